"""Base64 and hexadecimal."""

from __future__ import annotations

import re
from typing import Any, Final

from webhook.rego.builtins.declaration import builtin
from webhook.rego.builtins.operands import check_texts
from webhook.rego.context import BuiltinError, Context, check_string
from webhook.rego.go.base64_reader import base64_bytes, base64url_bytes
from webhook.rego.raw_text import decoded, encoded
from webhook.rego.types import BOOLEAN, STRING

_NO_HEX: Final = re.compile(rb"[^0-9a-fA-F]")


def _sized(context: Context, text: str) -> bytes:
    context.spend(1 + (len(text) >> 7))
    return encoded(text)


@builtin("base64.encode", (STRING,), STRING, needs_context=True)
def base64_encode(context: Context, text: Any) -> str:
    """Return the bytes in base64."""
    check_texts(text)
    return _base64(_sized(context, text))


def _base64(data: bytes) -> str:
    import base64

    check_string(len(data) * 4 // 3 + 4)
    return base64.b64encode(data).decode()


@builtin("base64.decode", (STRING,), STRING, needs_context=True)
def base64_decode(context: Context, text: Any) -> str:
    """Return what base64 stands for."""
    check_texts(text)
    context.spend(1 + (len(text) >> 4))
    return decoded(base64_bytes(text))


@builtin("base64.is_valid", (STRING,), BOOLEAN, needs_context=True)
def base64_is_valid(context: Context, text: Any) -> bool:
    """Tell whether it is base64."""
    if text.__class__ is not str:
        return False
    context.spend(1 + (len(text) >> 4))
    try:
        base64_bytes(text)
    except BuiltinError:
        return False
    return True


@builtin("base64url.encode", (STRING,), STRING, needs_context=True)
def base64url_encode(context: Context, text: Any) -> str:
    """Return the bytes in base64 for URLs."""
    check_texts(text)
    return _base64(_sized(context, text)).replace("+", "-").replace("/", "_")


@builtin("base64url.encode_no_pad", (STRING,), STRING, needs_context=True)
def base64url_encode_no_pad(context: Context, text: Any) -> str:
    """Return the bytes in base64 for URLs, without padding."""
    check_texts(text)
    return _base64(_sized(context, text)).replace("+", "-").replace("/", "_").rstrip("=")


@builtin("base64url.decode", (STRING,), STRING, needs_context=True)
def base64url_decode(context: Context, text: Any) -> str:
    """Return what base64 for URLs stands for."""
    check_texts(text)
    context.spend(1 + (len(text) >> 4))
    return decoded(base64url_bytes(text))


@builtin("hex.encode", (STRING,), STRING, needs_context=True)
def hex_encode(context: Context, text: Any) -> str:
    """Return the bytes in hexadecimal."""
    check_texts(text)
    data = _sized(context, text)
    check_string(2 * len(data))
    return data.hex()


@builtin("hex.decode", (STRING,), STRING, needs_context=True)
def hex_decode(context: Context, text: Any) -> str:
    """Return what hexadecimal stands for."""
    check_texts(text)
    data = _sized(context, text)
    wrong = _NO_HEX.search(data)
    if wrong is not None:
        raise BuiltinError(f"encoding/hex: invalid byte: {_rune(data[wrong.start()])}")
    if len(data) % 2:
        raise BuiltinError("encoding/hex: odd length hex string")
    return decoded(bytes.fromhex(data.decode()))


def _rune(byte: int) -> str:
    char = chr(byte)
    return f"U+{byte:04X}" + (f" '{char}'" if char.isprintable() else "")

"""Base64 as Go's ``encoding/base64`` reads it: strict, and told at which byte it is none."""

from __future__ import annotations

import base64
from typing import Final

from webhook.rego.context import BuiltinError
from webhook.rego.raw_text import encoded

_STANDARD: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
_URL: Final = _STANDARD[:-2] + "-_"


def base64_bytes(text: str, alphabet: str = _STANDARD) -> bytes:
    """Return what base64 stands for, as strict as Go is.

    Raises:
        BuiltinError: it is none; says at which byte.
    """
    data = encoded(text)
    known = frozenset(alphabet.encode())
    digits: list[int] = []
    at, size = 0, len(data)
    while at < size:
        byte = data[at]
        if byte in (10, 13):
            at += 1
            continue
        if byte == 61:
            return _padded(data, at, digits, alphabet)
        if byte not in known:
            raise BuiltinError(f"illegal base64 data at input byte {at}")
        digits.append(byte)
        at += 1
    if len(digits) % 4:
        # Go counts back from the end, as many bytes as the last, incomplete group has digits.
        raise BuiltinError(f"illegal base64 data at input byte {size - len(digits) % 4}")
    return _decode(bytes(digits), alphabet)


def _padded(data: bytes, at: int, digits: list[int], alphabet: str) -> bytes:
    missing = -len(digits) % 4
    if missing not in (1, 2):
        raise BuiltinError(f"illegal base64 data at input byte {at}")
    found = 0
    while at < len(data):
        byte = data[at]
        if byte in (10, 13):
            at += 1
            continue
        if byte != 61 or found == missing:
            raise BuiltinError(f"illegal base64 data at input byte {at}")
        found += 1
        at += 1
    if found < missing:
        raise BuiltinError(f"illegal base64 data at input byte {len(data)}")
    return _decode(bytes(digits) + b"=" * missing, alphabet)


def _decode(data: bytes, alphabet: str) -> bytes:
    return base64.b64decode(data, altchars=b"-_" if alphabet is _URL else None)


def base64url_bytes(text: str) -> bytes:
    """Return what base64 for URLs stands for, its padding there or not.

    Raises:
        BuiltinError: it is none.
    """
    if not text.endswith("="):
        rest = len(encoded(text)) % 4
        if rest == 1:
            raise BuiltinError(f"illegal base64url string: {text}")
        text += "=" * (-rest % 4)
    return base64_bytes(text, _URL)

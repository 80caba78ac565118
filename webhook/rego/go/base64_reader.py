"""Base64 as Go's ``encoding/base64`` reads it: strict, and told at which byte it is none."""

from __future__ import annotations

import base64
import re
from typing import Final

from webhook.rego.context import BuiltinError
from webhook.rego.raw_text import encoded

_STANDARD: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
_URL: Final = _STANDARD[:-2] + "-_"
_NO_STANDARD: Final = re.compile(rb"[^A-Za-z0-9+/\r\n]")
_NO_URL: Final = re.compile(rb"[^A-Za-z0-9_\r\n-]")
_NO_NEW_LINE: Final = re.compile(rb"[^\r\n]")


def base64_bytes(text: str, alphabet: str = _STANDARD) -> bytes:
    """Return what base64 stands for, as strict as Go is.

    Raises:
        BuiltinError: it is none; says at which byte.
    """
    data = encoded(text)
    end = data.find(b"=")
    body = data if end < 0 else data[:end]
    wrong = (_NO_URL if alphabet is _URL else _NO_STANDARD).search(body)
    if wrong is not None:
        raise BuiltinError(f"illegal base64 data at input byte {wrong.start()}")
    digits = body.translate(None, b"\r\n")
    if end >= 0:
        return _padded(data, end, digits, alphabet)
    if len(digits) % 4:
        # Go counts back from the end, as many bytes as the last, incomplete group has digits.
        raise BuiltinError(f"illegal base64 data at input byte {len(data) - len(digits) % 4}")
    return _decode(digits, alphabet)


def _padded(data: bytes, end: int, digits: bytes, alphabet: str) -> bytes:
    missing = -len(digits) % 4
    if missing not in (1, 2):
        raise BuiltinError(f"illegal base64 data at input byte {end}")
    found = 0
    for each in _NO_NEW_LINE.finditer(data, end):
        if each.group() != b"=" or found == missing:
            raise BuiltinError(f"illegal base64 data at input byte {each.start()}")
        found += 1
    if found < missing:
        raise BuiltinError(f"illegal base64 data at input byte {len(data)}")
    return _decode(digits + b"=" * missing, alphabet)


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

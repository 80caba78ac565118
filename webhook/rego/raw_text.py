"""Strings as Go has them, which are any bytes: those that aren't UTF-8 are lone surrogates here."""

from __future__ import annotations

import re
from typing import Final

_SURROGATE: Final = re.compile("[\ud800-\udfff]")


def encoded(text: str) -> bytes:
    """Return the bytes of a string; those that `decoded` couldn't read are what they were."""
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return text.encode("utf-8", "replace")


def decoded(data: bytes) -> str:
    """Return bytes as a string; to Go any bytes are one, so what isn't UTF-8 is kept as lone surrogates."""
    return data.decode("utf-8", "surrogateescape")


def printable(text: str) -> str:
    """Return a string that can leave the process: U+FFFD for each byte that isn't UTF-8, as in Go's JSON."""
    return text if text.isascii() else _SURROGATE.sub("\ufffd", text)

"""Elements of DER, and bytes and object identifiers as Go's JSON shows them."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm

MALFORMED: Final = (
    ValueError,
    IndexError,
    UnsupportedAlgorithm,
    x509.DuplicateExtension,
    x509.InvalidVersion,
    x509.UnsupportedGeneralNameType,
)
"""What the library raises at certificates and requests that it can't read."""


def base64_text(data: bytes | None) -> str | None:
    """Return bytes as Go's JSON has them."""
    return None if data is None else base64.b64encode(data).decode()


def oid_numbers(oid: x509.ObjectIdentifier) -> list[int]:
    """Return an object identifier as Go's JSON has it."""
    return [int(part) for part in oid.dotted_string.split(".")]


def elements(data: bytes) -> Iterator[bytes]:
    """Give the elements of DER, one after the other."""
    at = 0
    while at < len(data):
        size, start = data[at + 1], at + 2
        if size & 0x80:
            count = size & 0x7F
            if not 0 < count <= 4:
                raise ValueError("length")
            size, start = int.from_bytes(data[start : start + count], "big"), start + count
        if start + size > len(data):
            raise ValueError("length")
        yield data[at : start + size]
        at = start + size


def inside(data: bytes) -> bytes:
    """Return the content of an element of DER."""
    return data[2 + (data[1] & 0x7F if data[1] & 0x80 else 0) :]

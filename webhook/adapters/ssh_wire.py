"""The binary form of SSH keys and signatures (RFC 4251, section 5), read strictly."""

from __future__ import annotations

import base64
import binascii

_LENGTH = 4


class Reader:
    """Reads one blob from its start to its end.

    Args:
        data: the blob.
        what: what it is, for the texts of errors.
    """

    def __init__(self, data: bytes, what: str) -> None:
        self._data = data
        self._at = 0
        self._what = what

    def take(self, length: int) -> bytes:
        """Return the next bytes.

        Raises:
            ValueError: there are fewer.
        """
        end = self._at + length
        if end > len(self._data):
            raise ValueError(f"{self._what} is cut short")
        found = self._data[self._at : end]
        self._at = end
        return found

    def uint32(self) -> int:
        """Return the next number of four bytes; raises ValueError where there is none."""
        return int.from_bytes(self.take(_LENGTH), "big")

    def string(self) -> bytes:
        """Return the next bytes with their length before them; raises ValueError where there are none."""
        return self.take(self.uint32())

    def name(self) -> str:
        """Return the next string as text; raises ValueError where it isn't plain ASCII."""
        found = self.string()
        if not found.isascii() or not found.decode("ascii").isprintable():
            raise ValueError(f"{self._what} holds a name that is no text")
        return found.decode("ascii")

    def positive(self, most_bits: int) -> int:
        """Return the next integer, which must be positive and in its shortest form.

        Raises:
            ValueError: it is none of that, or longer than `most_bits`.
        """
        found = self.string()
        if not found or found[0] & 0x80 or (found[0] == 0 and not (len(found) > 1 and found[1] & 0x80)):
            raise ValueError(
                f"{self._what} holds an integer that is not positive or not in its shortest form"
            )
        value = int.from_bytes(found, "big")
        if value.bit_length() > most_bits:
            raise ValueError(f"{self._what} holds an integer of more than {most_bits} bits")
        return value

    def end(self) -> None:
        """Raise ValueError where something is left."""
        if self._at != len(self._data):
            raise ValueError(f"{self._what} has {len(self._data) - self._at} bytes too many")


def string(value: bytes) -> bytes:
    """Return bytes with their length before them."""
    return len(value).to_bytes(_LENGTH, "big") + value


def from_base64(text: str, what: str) -> bytes:
    """Return what base64 holds, which has one spelling only.

    Raises:
        ValueError: it is no base64, or spelt otherwise.
    """
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise ValueError(f"{what} is no base64") from None
    if base64.b64encode(data).decode("ascii") != text:
        raise ValueError(f"{what} is not spelt as base64 is")
    return data

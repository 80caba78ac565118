"""How Go writes numbers and quoted strings: shared by conversions and formatting."""

from __future__ import annotations

import math
import unicodedata
from typing import Final

_ESCAPES: Final = {
    "\a": "\\a", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\v": "\\v",
    "\\": "\\\\", '"': '\\"',
}  # fmt: skip
_UNPRINTABLE: Final = frozenset(("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp", "Zs"))


def write_double(value: float) -> str:
    """Return a double as Go's ``%g`` does: the fewest digits, an exponent below 1e-04 and from 1e+06 on."""
    if value != value:
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    if value == 0:
        return "-0" if math.copysign(1.0, value) < 0 else "0"
    sign = "-" if value < 0 else ""
    digits, exponent = shortest_digits(abs(value))
    if exponent < -4 or exponent >= 6:
        fraction = f".{digits[1:]}" if len(digits) > 1 else ""
        return f"{sign}{digits[0]}{fraction}e{'-' if exponent < 0 else '+'}{abs(exponent):02d}"
    return sign + _plain(digits, exponent)


def write_seconds(ns: int) -> str:
    """Return a duration's text: its seconds as the nearest double, without an exponent."""
    whole, rest = divmod(abs(ns), 10**9)
    value = float(whole) + rest / 1e9
    if value == 0:
        return "0s"
    return ("-" if ns < 0 else "") + _plain(*shortest_digits(value)) + "s"


def shortest_digits(value: float) -> tuple[str, int]:
    """Return the shortest digits that give back a positive double, and the exponent of the first."""
    mantissa, _, power = repr(value).partition("e")
    whole, _, fraction = mantissa.partition(".")
    if fraction == "0":
        fraction = ""
    digits = (whole + fraction).lstrip("0")
    leading = len(whole + fraction) - len(digits)
    exponent = len(whole) - 1 - leading + int(power or 0)
    return digits.rstrip("0") or "0", exponent


def _plain(digits: str, exponent: int) -> str:
    if exponent < 0:
        return "0." + "0" * (-exponent - 1) + digits
    whole = digits[: exponent + 1].ljust(exponent + 1, "0")
    return f"{whole}.{digits[exponent + 1 :]}" if len(digits) > exponent + 1 else whole


def quote(text: str) -> str:
    """Return the text in double quotes as Go's ``%q`` writes it."""
    if text.isprintable():  # Python and Go mean the same characters by it
        return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return '"' + "".join([_quoted(char) for char in text]) + '"'


def _quoted(char: str) -> str:
    if char in _ESCAPES:
        return _ESCAPES[char]
    if char == " " or unicodedata.category(char) not in _UNPRINTABLE:
        return char
    code = ord(char)
    return f"\\x{code:02x}" if code < 0x80 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def quote_bytes(data: bytes) -> str:
    """Return bytes in double quotes as Go's ``%q`` writes them; what isn't UTF-8 as ``\\x..``."""
    text = data.decode("utf-8", "surrogateescape")
    parts = [f"\\x{ord(c) - 0xDC00:02x}" if "\udc80" <= c <= "\udcff" else _quoted(c) for c in text]
    return '"' + "".join(parts) + '"'

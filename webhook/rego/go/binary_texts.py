"""Floats as powers of two: ``%b`` and ``%x`` of Go's ``fmt``."""

from __future__ import annotations

import struct


def _split(value: float) -> tuple[bool, int, int]:
    """Return a float's sign, mantissa of 53 bits and exponent of two."""
    bits = struct.unpack("<Q", struct.pack("<d", value))[0]
    negative, exponent, mantissa = bool(bits >> 63), bits >> 52 & 0x7FF, bits & ((1 << 52) - 1)
    if exponent == 0:
        return negative, mantissa, -1074
    return negative, mantissa | 1 << 52, exponent - 1075


def power_of_two(value: float) -> str:
    """Return ``%b``: ``4503599627370496p-52``."""
    negative, mantissa, exponent = _split(value)
    return f"{'-' if negative else ''}{mantissa}p{exponent:+d}"


def hexadecimal_float(value: float, precision: int | None) -> str:
    """Return ``%x`` of a float: ``0x1.8p+00``."""
    negative, mantissa, exponent = _split(value)
    sign = "-" if negative else ""
    if not mantissa:
        digits = "." + "0" * precision if precision else ""
        return f"{sign}0x0{digits}p+00"
    shift = 53 - mantissa.bit_length()
    mantissa, exponent = mantissa << shift, exponent - shift + 52
    fraction = mantissa & ((1 << 52) - 1)
    if precision is not None and precision < 13:
        drop = 52 - 4 * precision
        kept, rest = mantissa >> drop, mantissa & ((1 << drop) - 1)
        half = 1 << (drop - 1)
        kept += rest > half or (rest == half and kept & 1)
        if kept >> (4 * precision + 1):
            kept, exponent = kept >> 1, exponent + 1
        digits = f"{kept & ((1 << 4 * precision) - 1):0{precision}x}" if precision else ""
    else:
        digits = f"{fraction:013x}"
        digits = digits.rstrip("0") if precision is None else digits.ljust(precision, "0")
    point = "." if digits else ""
    return f"{sign}0x1{point}{digits}p{'-' if exponent < 0 else '+'}{abs(exponent):02d}"

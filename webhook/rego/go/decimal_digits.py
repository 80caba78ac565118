"""The shortest decimal digits of binary numbers, and their texts, as Go has them."""

from __future__ import annotations

from decimal import Decimal

from webhook.rego.numbers import MAX_BITS, NumberTooLarge


def shortest_text(value: float) -> str:
    """Return Go's ``strconv.FormatFloat(value, 'g', -1, 64)``."""
    negative, digits, exponent = Decimal(repr(value)).as_tuple()
    text = "".join(map(str, digits))
    point = len(text) + int(exponent)
    kept = text.strip("0")
    sign = "-" if negative else ""
    if not kept:
        return sign + "0"
    return sign + general_text(kept, point - (len(text) - len(text.lstrip("0"))))


def general_text(digits: str, point: int) -> str:
    """Return the text that Go's ``%g`` makes of the shortest digits, `point` of them before the point."""
    exponent = point - 1
    if exponent < -4 or exponent >= 6:
        tail = "." + digits[1:] if len(digits) > 1 else ""
        return f"{digits[0]}{tail}e{'-' if exponent < 0 else '+'}{abs(exponent):02d}"
    if point <= 0:
        return "0." + "0" * -point + digits
    if point >= len(digits):
        return digits + "0" * (point - len(digits))
    return digits[:point] + "." + digits[point:]


def shortest_digits(mantissa: int, exponent: int, precision: int) -> tuple[str, int]:
    """Return the fewest digits that only this number has among those of its precision.

    Digit by digit, as Go does it: it ends where rounding what has been read stays between the neighbours.
    """
    digits, point = _digits(mantissa, exponent)
    shift = precision + 1 - mantissa.bit_length()
    scaled = mantissa << shift if shift >= 0 else mantissa >> -shift
    exponent -= shift
    lower, upper = _digits(scaled - 1, exponent)[0], _digits(scaled + 1, exponent)[0]
    inclusive = not scaled & 2
    for index, digit in enumerate(digits):
        below = lower[index] if index < len(lower) else "0"
        above = upper[index] if index < len(upper) else "0"
        down = below != digit or (inclusive and index + 1 == len(lower))
        up = digit != above and (
            inclusive or ord(digit) + 1 < ord(above) or index + 1 < len(upper)
        )  # fmt: skip
        if down and up:
            return _rounded(digits, point, index + 1, None)
        if down or up:
            return _rounded(digits, point, index + 1, up)
    return digits, point


def _rounded(digits: str, point: int, keep: int, up: bool | None) -> tuple[str, int]:
    """Return the first `keep` digits, rounded up or down, or (None) to the nearest, a tie to even."""
    if keep >= len(digits):
        return digits, point
    if up is None:
        rest = digits[keep]
        up = rest > "5" or (
            rest == "5" and (keep + 1 < len(digits) or (keep > 0 and int(digits[keep - 1]) % 2 == 1))
        )
    if not up:
        return digits[:keep].rstrip("0"), point
    kept = digits[:keep].rstrip("9")
    if not kept:
        return "1", point + 1
    return kept[:-1] + chr(ord(kept[-1]) + 1), point


def _digits(mantissa: int, exponent: int) -> tuple[str, int]:
    """Return the decimal digits of ``mantissa * 2**exponent``, and where among them the point is."""
    if exponent < 0:
        zeros = (mantissa & -mantissa).bit_length() - 1
        drop = min(zeros, -exponent)
        mantissa >>= drop
        exponent += drop
    value = mantissa << exponent if exponent >= 0 else mantissa * 5**-exponent
    if value.bit_length() > MAX_BITS:
        raise NumberTooLarge("a number's exponent is out of range")
    text = str(value)
    return text.rstrip("0"), len(text) + min(exponent, 0)

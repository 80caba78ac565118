"""Rego's numbers: their texts, and the arithmetic of OPA, which computes in binary with 64 bits of mantissa.

To OPA a number is its text: ``1.50`` stays so until something is computed with it, and the result is written
as Go's ``big.Float`` writes it: the shortest digits that only this number of 64 bits has, integers without an
exponent.
"""

from __future__ import annotations

import re
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from typing import Any, Final, NamedTuple, Self, TypeAlias

from webhook.core.errors import BudgetExceeded

Number: TypeAlias = "int | float | Decimal"

PRECISION: Final = 64
_MAX_DIGITS: Final = 4000  # of an integer: Python makes no text of more than 4300
_MAX_EXPONENT: Final = 1000  # decimal, of what is computed with
_INTEGER = re.compile(r"0|-?[1-9][0-9]*")
_GO_INTEGER = re.compile(r"[+-]?[0-9]+")  # to_number lets "+5" and "007" be numbers
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")


class NumberTooLarge(BudgetExceeded):
    """A number is larger or finer than is computed with here."""


class Numeral(Decimal):
    """A number whose text is neither an integer's nor the shortest of a float: ``1.50``, ``1e3``."""

    __slots__ = ("text",)
    text: str

    def __new__(cls, text: str) -> Self:
        """Return the number that `text` writes.

        Raises:
            NumberTooLarge: the exponent is beyond all bounds.
        """
        try:
            number = super().__new__(cls, text)
        except InvalidOperation:
            raise NumberTooLarge("a number's exponent is out of range") from None
        number.text = text
        return number


NUMBERS: Final[frozenset[Any]] = frozenset((int, float, Decimal, Numeral))
"""The classes that numbers have."""


class Binary(NamedTuple):
    """A number as OPA computes with it: ``mantissa * 2**exponent``, negative or not; zero has a sign too."""

    negative: bool
    mantissa: int
    exponent: int

    def __bool__(self) -> bool:
        return self.mantissa != 0


def number_of(text: str) -> Number:
    """Return the number that `text` writes, which is a number in JSON's grammar.

    Raises:
        NumberTooLarge: it has more digits, or a larger exponent, than is computed with here.
    """
    if _INTEGER.fullmatch(text):
        if len(text) > _MAX_DIGITS:
            raise NumberTooLarge(f"a number of {len(text)} digits is over the limit of {_MAX_DIGITS}")
        return int(text)
    near = float(text)
    return near if repr(near) == text else Numeral(text)


def is_number_text(text: str) -> bool:
    """Tell whether `text` is a number in JSON's grammar."""
    return _NUMBER.fullmatch(text) is not None


def text_of(number: Number) -> str:
    """Return the text that OPA has for a number.

    Raises:
        NumberTooLarge: it has more digits than are written here.
    """
    kind = number.__class__
    if kind is int:
        if number.bit_length() > 13_000:  # type: ignore[union-attr]
            raise NumberTooLarge(f"an integer of {number.bit_length()} bits is too large")  # type: ignore[union-attr]
        return str(number)
    if kind is float:
        return repr(number)
    if kind is Numeral:
        return number.text  # type: ignore[union-attr, no-any-return]
    return str(number).replace("E", "e")


def integer_of(number: Number) -> int | None:
    """Return the number as an int where its text is an integer's in 64 bits (Go's ``json.Number.Int64``)."""
    if number.__class__ is int:
        return number if -(1 << 63) <= number < 1 << 63 else None
    if number.__class__ is Numeral and _GO_INTEGER.fullmatch(number.text) and len(number.text) < 64:
        return integer_of(int(number.text))
    return None


def float_of(number: Number) -> float | None:
    """Return the nearest float, None where it would be infinite."""
    try:
        near = float(number)
    except OverflowError:
        return None
    return None if near in (float("inf"), float("-inf")) else near


def binary(number: Number) -> Binary:
    """Return a number in 64 bits, rounded to the nearest, ties to even.

    Raises:
        NumberTooLarge: its exponent is larger than is computed with here.
    """
    if number.__class__ is int:
        return _round_integer(number < 0, abs(number), 0)
    exact = Decimal(repr(number)) if number.__class__ is float else number
    negative, digits, exponent = exact.as_tuple()  # type: ignore[union-attr]
    if not any(digits):
        return Binary(bool(negative), 0, 0)
    if (
        not isinstance(exponent, int)
        or abs(exponent + len(digits)) > _MAX_EXPONENT
        or len(digits) > _MAX_DIGITS
    ):
        raise NumberTooLarge("a number's exponent is out of range")
    mantissa = int("".join(map(str, digits)))
    if exponent >= 0:
        return _round_integer(bool(negative), mantissa * 10**exponent, 0)
    return _quotient(bool(negative), mantissa, 10**-exponent)


def number(value: Binary) -> Number:
    """Return the number as OPA writes what it computed."""
    if not value.mantissa:
        return Numeral("-0") if value.negative else 0
    if is_integer(value):
        digits, point = _shortest(value.mantissa, value.exponent, PRECISION)
        whole: int = int(digits) * 10 ** (point - len(digits))
        return -whole if value.negative else whole
    text = general_text(*_shortest(value.mantissa, value.exponent, PRECISION))
    return number_of("-" + text if value.negative else text)


def exact_number(value: int) -> int:
    """Return an integer of as many bits as it has, if it isn't too large.

    Raises:
        NumberTooLarge: it has more bits than any number that is read here.
    """
    if value.bit_length() > 13_000:
        raise NumberTooLarge(f"an integer of {value.bit_length()} bits is too large")
    return value


def is_integer(value: Binary) -> bool:
    """Tell whether there is nothing behind the point."""
    exponent = value.exponent
    return exponent >= 0 or not value.mantissa & ((1 << -exponent) - 1)


def truncated(value: Binary) -> int:
    """Return the integer part."""
    mantissa, exponent = value.mantissa, value.exponent
    whole = mantissa << exponent if exponent >= 0 else mantissa >> -exponent
    return -whole if value.negative else whole


def add(a: Number, b: Number) -> Number:
    """Return a + b."""
    if a.__class__ is int and b.__class__ is int:
        total = a + b
        if total.bit_length() <= PRECISION >= max(a.bit_length(), b.bit_length()):
            return total
    return number(sum_of(binary(a), binary(b)))


def subtract(a: Number, b: Number) -> Number:
    """Return a - b."""
    if a.__class__ is int and b.__class__ is int:
        total = a - b
        if total.bit_length() <= PRECISION >= max(a.bit_length(), b.bit_length()):
            return total
    right = binary(b)
    return number(sum_of(binary(a), right._replace(negative=not right.negative)))


def multiply(a: Number, b: Number) -> Number:
    """Return a * b."""
    if a.__class__ is int and b.__class__ is int:
        product = a * b
        if product and product.bit_length() <= PRECISION >= max(a.bit_length(), b.bit_length()):
            return product
        if not product and -1000 < a < 1000 and -1000 < b < 1000:
            return 0
    return number(product_of(binary(a), binary(b)))


def divide(a: Number, b: Number) -> Number | None:
    """Return a / b, None where b is zero."""
    if a.__class__ is int and b.__class__ is int and b and a and not a % b:
        quotient = a // b
        if max(a.bit_length(), b.bit_length()) <= PRECISION:
            return quotient
    left, right = binary(a), binary(b)
    if not right:
        return None
    negative = left.negative != right.negative
    if not left:
        return number(Binary(negative, 0, 0))
    shift = left.exponent - right.exponent
    if shift >= 0:
        return number(_quotient(negative, left.mantissa << shift, right.mantissa))
    return number(_quotient(negative, left.mantissa, right.mantissa << -shift))


def remainder(a: int, b: int) -> int:
    """Return what is left of a divided by b, with a's sign, as Go has it."""
    rest = abs(a) % abs(b)
    return -rest if a < 0 else rest


def sum_of(a: Binary, b: Binary) -> Binary:
    """Return the sum in 64 bits."""
    if not b:
        return a if a else Binary(a.negative and b.negative, 0, 0)
    if not a:
        return b
    low = min(a.exponent, b.exponent)
    left = a.mantissa << (a.exponent - low)
    right = b.mantissa << (b.exponent - low)
    total = (-left if a.negative else left) + (-right if b.negative else right)
    return _round_integer(total < 0, abs(total), low)


def product_of(a: Binary, b: Binary) -> Binary:
    """Return the product in 64 bits."""
    negative = a.negative != b.negative
    if not a or not b:
        return Binary(negative, 0, 0)
    return _round_integer(negative, a.mantissa * b.mantissa, a.exponent + b.exponent)


def whole(number_: Number) -> int | None:
    """Return a number as an int, rounded to 64 bits before; None where that has digits behind the point."""
    if number_.__class__ is int and -(1 << 64) < number_ < 1 << 64:
        return number_
    value = binary(number_)
    return truncated(value) if is_integer(value) else None


def fraction(value: Binary) -> Fraction:
    """Return the exact value."""
    mantissa = -value.mantissa if value.negative else value.mantissa
    if value.exponent >= 0:
        return Fraction(mantissa << value.exponent)
    return Fraction(mantissa, 1 << -value.exponent)


def _round_integer(negative: bool, mantissa: int, exponent: int) -> Binary:
    """Return ``mantissa * 2**exponent`` in 64 bits."""
    surplus = mantissa.bit_length() - PRECISION
    if surplus > 0:
        rest = mantissa & ((1 << surplus) - 1)
        mantissa >>= surplus
        half = 1 << (surplus - 1)
        if rest > half or (rest == half and mantissa & 1):
            mantissa += 1
        exponent += surplus
    if mantissa and abs(exponent) > 8 * _MAX_EXPONENT:
        raise NumberTooLarge("a number's exponent is out of range")
    return Binary(negative, mantissa, exponent)


def _quotient(negative: bool, numerator: int, denominator: int) -> Binary:
    """Return ``numerator / denominator`` in 64 bits."""
    shift = max(0, PRECISION + 2 - numerator.bit_length() + denominator.bit_length())
    result, rest = divmod(numerator << shift, denominator)
    # A last bit for whatever is left makes the rounding right.
    return _round_integer(negative, result << 1 | (rest != 0), -shift - 1)


def _digits(mantissa: int, exponent: int) -> tuple[str, int]:
    """Return the decimal digits of ``mantissa * 2**exponent``, and where among them the point is."""
    if exponent < 0:
        zeros = (mantissa & -mantissa).bit_length() - 1
        drop = min(zeros, -exponent)
        mantissa >>= drop
        exponent += drop
    value = mantissa << exponent if exponent >= 0 else mantissa * 5**-exponent
    if value.bit_length() > 13_000:
        raise NumberTooLarge("a number's exponent is out of range")
    text = str(value)
    return text.rstrip("0"), len(text) + min(exponent, 0)


def _shortest(mantissa: int, exponent: int, precision: int) -> tuple[str, int]:
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

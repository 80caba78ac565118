"""Arithmetic as OPA has it: in Go's ``big.Float``, which is binary with 64 bits of mantissa."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from typing import Final, NamedTuple

from webhook.rego.go.decimal_digits import general_text, shortest_digits
from webhook.rego.metering import pay
from webhook.rego.numbers import MAX_DIGITS, Number, NumberTooLarge, Numeral, number_of

PRECISION: Final = 64
_MAX_EXPONENT: Final = 1000  # decimal, of what is computed with


class Binary(NamedTuple):
    """A number as OPA computes with it: ``mantissa * 2**exponent``, negative or not; zero has a sign too."""

    negative: bool
    mantissa: int
    exponent: int

    def __bool__(self) -> bool:
        return self.mantissa != 0


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
        or len(digits) > MAX_DIGITS
    ):
        raise NumberTooLarge("a number's exponent is out of range")
    if len(digits) > 64:
        pay(len(digits) >> 3)
    mantissa = int("".join(map(str, digits)))
    if exponent >= 0:
        return _round_integer(bool(negative), mantissa * 10**exponent, 0)
    return _quotient(bool(negative), mantissa, 10**-exponent)


def number(value: Binary) -> Number:
    """Return the number as OPA writes what it computed."""
    if not value.mantissa:
        return Numeral("-0") if value.negative else 0
    if is_integer(value):
        digits, point = shortest_digits(value.mantissa, value.exponent, PRECISION)
        whole: int = int(digits) * 10 ** (point - len(digits))
        return -whole if value.negative else whole
    text = general_text(*shortest_digits(value.mantissa, value.exponent, PRECISION))
    return number_of("-" + text if value.negative else text)


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

"""Rego's numbers and their texts.

To OPA a number is its text: ``1.50`` stays so until something is computed with it (see
`webhook.rego.go.big_floats`).
"""

from __future__ import annotations

import re
from decimal import Decimal, InvalidOperation
from typing import Any, Final, Self, TypeAlias

from webhook.core.errors import BudgetExceeded

Number: TypeAlias = "int | float | Decimal"

MAX_DIGITS: Final = 4000  # of an integer: Python makes no text of more than 4300
MAX_BITS: Final = 13_000
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


def number_of(text: str) -> Number:
    """Return the number that `text` writes, which is a number in JSON's grammar.

    Raises:
        NumberTooLarge: it has more digits, or a larger exponent, than is computed with here.
    """
    if _INTEGER.fullmatch(text):
        if len(text) > MAX_DIGITS:
            raise NumberTooLarge(f"a number of {len(text)} digits is over the limit of {MAX_DIGITS}")
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
        if number.bit_length() > MAX_BITS:  # type: ignore[union-attr]
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


def exact_number(value: int) -> int:
    """Return an integer of as many bits as it has, if it isn't too large.

    Raises:
        NumberTooLarge: it has more bits than any number that is read here.
    """
    if value.bit_length() > MAX_BITS:
        raise NumberTooLarge(f"an integer of {value.bit_length()} bits is too large")
    return value

"""Checks of the operands that builtins are given, and OPA's words where one has the wrong type."""

from __future__ import annotations

from typing import Any, Final

from webhook.rego import numbers
from webhook.rego.context import OperandError
from webhook.rego.go import big_floats
from webhook.rego.numbers import NUMBERS
from webhook.rego.order import members_in_order
from webhook.rego.values import RegoObject, RegoSet, type_name

OBJECTS: Final[frozenset[Any]] = frozenset((dict, RegoObject))


def operand_error(position: int, got: Any, *expected: str) -> OperandError:
    """Return OPA's words for an operand of another type than `expected`."""
    if len(expected) == 1:
        return OperandError(f"operand {position} must be {expected[0]} but got {type_name(got)}")
    return OperandError(
        f"operand {position} must be one of {{{', '.join(expected)}}} but got {type_name(got)}"
    )


def element_error(position: int, composite: Any, got: Any, *expected: str) -> OperandError:
    """Return OPA's words for an array, set or object that holds something of another type than `expected`."""
    kind = type_name(composite)
    if len(expected) == 1:
        wanted = f"{kind} of {expected[0]}s"
    else:
        wanted = f"{kind} of (any of) {{{', '.join(expected)}}}"
    return OperandError(f"operand {position} must be {wanted} but got {kind} containing {type_name(got)}")


def check_number(value: Any, position: int) -> None:
    """Refuse what is no number.

    Raises:
        OperandError: in OPA's words.
    """
    if value.__class__ not in NUMBERS:
        raise operand_error(position, value, "number")


def small_integer(value: Any, position: int) -> int:
    """Return an operand that must be an integer of 64 bits.

    Raises:
        OperandError: it is none.
    """
    check_number(value, position)
    small = numbers.integer_of(value)
    if small is None:
        raise OperandError(f"operand {position} must be integer number but got floating-point number")
    return small


def big_integer(value: Any, position: int) -> int:
    """Return an operand that must be a whole number, which is rounded to 64 bits of mantissa before.

    Raises:
        OperandError: it is none.
    """
    if value.__class__ not in NUMBERS:
        raise operand_error(position, value, "integer")
    found = big_floats.whole(value)
    if found is None:
        raise OperandError(f"operand {position} must be integer number but got floating-point number")
    return found


def check_texts(*values: Any) -> None:
    """Refuse the first of the operands that is no string.

    Raises:
        OperandError: in OPA's words.
    """
    for value in values:
        if value.__class__ is not str:
            kinds = [one.__class__ for one in values]
            position = next(at for at, kind in enumerate(kinds, 1) if kind is not str)
            raise operand_error(position, value, "string")


def text_list(value: Any, position: int) -> list[str]:
    """Return the strings of an array, or of a set in order.

    Raises:
        OperandError: it is neither, or holds something else.
    """
    kind = value.__class__
    if kind is list:
        found = value
    elif kind is RegoSet:
        found = members_in_order(value)
    else:
        raise operand_error(position, value, "array", "set")
    for item in found:
        if item.__class__ is not str:
            raise element_error(position, value, item, "string")
    return found  # type: ignore[no-any-return]


def check_object(value: Any, position: int) -> None:
    """Refuse what is no object.

    Raises:
        OperandError: in OPA's words.
    """
    if value.__class__ not in OBJECTS:
        raise operand_error(position, value, "object")

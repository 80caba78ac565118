"""Constants in types, as the keys of objects: their order, and their text in OPA's messages."""

from __future__ import annotations

from decimal import Decimal
from typing import TypeAlias

#: A constant: numbers are `int`, or `Decimal` with a point or an exponent; arrays and sets are tuples.
Constant: TypeAlias = "bool | int | float | Decimal | str | tuple[object, ...] | None"


class Pairs(tuple[tuple[object, object], ...]):
    """A constant object: its keys with their values."""

    __slots__ = ()


def show_constant(key: Constant) -> str:
    """Return a key's text in OPA's messages."""
    if key is None:
        return "<nil>"
    if isinstance(key, bool):
        return "true" if key else "false"
    if isinstance(key, tuple):
        return "[" + " ".join(show_constant(item) for item in key) + "]"  # type: ignore[arg-type]
    return str(key)


def constant_rank(a: Constant) -> int:
    """Return the place of a constant's type among null, boolean, number, string and all others."""
    if a is None:
        return 0
    if isinstance(a, bool):
        return 1
    if isinstance(a, int | float | Decimal):
        return 2
    return 3 if isinstance(a, str) else 4


def compare_constants(a: Constant, b: Constant) -> int:
    """-1, 0 or 1 in Rego's order of values."""
    first, second = constant_rank(a), constant_rank(b)
    if first != second:
        return -1 if first < second else 1
    if isinstance(a, tuple) and isinstance(b, tuple):
        for left, right in zip(a, b, strict=False):
            if (order := compare_constants(left, right)) != 0:  # type: ignore[arg-type]
                return order
        return (len(a) > len(b)) - (len(a) < len(b))
    if a is None or b is None or a == b:
        return 0
    return -1 if a < b else 1  # type: ignore[operator]

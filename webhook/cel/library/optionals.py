"""Optional values: ``optional.of`` and its like, and the methods of what they give."""

from __future__ import annotations

from typing import Any, Final

from webhook.cel.library.function import Library, no_overload, size_cost
from webhook.cel.values import NONE, Duration, Optional, Timestamp, UInt
from webhook.core.errors import EvaluationError

LIBRARY = Library()
_EMPTY_IS_ZERO: Final = frozenset((bool, int, UInt, float, str, bytes, list, dict))


def _optional(value: Any, name: str) -> Optional:
    if value.__class__ is not Optional:
        raise no_overload(name)
    return value


@LIBRARY.function("optional.of", "optional")
def of(value: Any) -> Optional:
    """Return an optional that holds the value."""
    return Optional(value)


@LIBRARY.function("optional.none", "optional", (0,))
def none() -> Optional:
    """Return the optional that holds nothing."""
    return NONE


@LIBRARY.function("optional.ofNonZeroValue", "optional")
def of_non_zero_value(value: Any) -> Optional:
    """Return an optional that holds the value, unless it is null or its type's zero, or empty."""
    return NONE if _is_zero(value) else Optional(value)


def _is_zero(value: Any) -> bool:
    kind = value.__class__
    if kind in _EMPTY_IS_ZERO:
        return not value
    if kind is Duration:
        return value.ns == 0  # type: ignore[no-any-return]
    if kind is Timestamp:
        first = -62_135_596_800 * 10**9  # Go's zero time
        return bool(value.ns == first)
    return value is None


@LIBRARY.method("unwrapOpt", "list", costly=size_cost)
@LIBRARY.function("optional.unwrap", "list", costly=size_cost)
def unwrap(values: Any) -> list[Any]:
    """Return what the optionals of a list hold, without those that hold nothing."""
    if values.__class__ is not list:
        raise no_overload("unwrapOpt")
    return [value.value for value in values if _optional(value, "unwrapOpt").present]


@LIBRARY.method("hasValue", "bool")
def has_value(value: Any) -> bool:
    """Tell whether an optional holds a value."""
    return _optional(value, "hasValue").present


@LIBRARY.method("value", "dyn")
def value_of(value: Any) -> Any:
    """Return what an optional holds."""
    found = _optional(value, "value")
    if not found.present:
        raise EvaluationError("optional.none() dereference")
    return found.value


@LIBRARY.method("or", "optional", (1,))
def choose(value: Any, other: Any) -> Optional:
    """Return the first of two optionals that holds a value.

    The compiler evaluates `other` only where it is needed; this is for callers with both at hand.
    """
    return value if _optional(value, "or").present else _optional(other, "or")


@LIBRARY.method("orValue", "dyn", (1,))
def or_value(value: Any, default: Any) -> Any:
    """Return what an optional holds, or `default`; evaluated lazily as `choose` is."""
    return value.value if _optional(value, "orValue").present else default

"""Equality, keys and order of CEL's values: numbers across their types, lists and maps by content."""

from __future__ import annotations

from typing import Any, Final

from webhook.cel.complaints import NoOverload
from webhook.cel.opaque import (
    CIDR,
    IP,
    URL,
    Authorizer,
    Decision,
    GroupCheck,
    NamedFormat,
    PathCheck,
    Quantity,
    ResourceCheck,
    Semver,
)
from webhook.cel.values import Duration, Optional, Timestamp, Type, UInt
from webhook.core.errors import BudgetExceeded, EvaluationError

_PAIRS = 2_000_000  # pairs of values one comparison may look at
_NUMBERS = frozenset((int, float, UInt))
_SCALARS = frozenset((str, int, bool, type(None), bytes, float, UInt, Timestamp, Duration, Type))
_STRICT = frozenset((Quantity, IP, CIDR, URL, Semver, NamedFormat))
_UNEQUATABLE = frozenset((Authorizer, PathCheck, GroupCheck, ResourceCheck, Decision))


def is_number(value: Any) -> bool:
    """Tell whether a value is an int, uint or double; a bool is none of them."""
    return value.__class__ in _NUMBERS


def equals(left: Any, right: Any) -> bool:
    """Return ``left == right`` as CEL means it: numbers across their types, lists and maps by content.

    Raises:
        EvaluationError: the left side is of a kind that can't be compared with the right one.
    """
    kind, other = left.__class__, right.__class__
    if kind is other and kind in _SCALARS:
        return left == right  # type: ignore[no-any-return]
    found = _compare_shallow(left, right, kind, other)
    if found is None:
        raise EvaluationError("no such overload")
    if found is _DEEPER:
        return _equal_inside(left, right)
    return found  # type: ignore[return-value]


def same(left: Any, right: Any) -> bool:
    """Tell whether two values are equal; values that can't be compared are not."""
    kind, other = left.__class__, right.__class__
    if kind is other and kind in _SCALARS:
        return left == right  # type: ignore[no-any-return]
    found = _compare_shallow(left, right, kind, other)
    if found is _DEEPER:
        return _equal_inside(left, right)
    return found is True


_DEEPER: Final = object()


def _compare_shallow(left: Any, right: Any, kind: type, other: type) -> object:
    """Return True, False, None for values that can't be compared, or _DEEPER for containers of one size."""
    if kind in _NUMBERS:
        if other not in _NUMBERS:
            return False
        if kind is float:
            return left == float(right)
        if other is float:  # Kubernetes compares as doubles, though an int may lose its last digits so
            return float(left) == right
        return left == right
    if kind is other:
        if kind is list or kind is dict:
            return _DEEPER if len(left) == len(right) else False
        if kind is Optional:
            return _DEEPER if left.present and right.present else left.present == right.present
        if kind in _UNEQUATABLE:
            return None
        return left == right
    if right is None or left is None:
        return False
    return None if kind in _STRICT or kind in _UNEQUATABLE else False


def _equal_inside(left: Any, right: Any) -> bool:
    """Compare two lists, maps or optionals of one size without recursion.

    Elements that can't be compared count as equal here, as in Kubernetes' own CEL.
    """
    waiting = [(left, right)]
    pairs = 0
    while waiting:
        left, right = waiting.pop()
        if left.__class__ is list:
            inside: Any = zip(left, right, strict=True)
        elif left.__class__ is dict:
            inside = []
            for key, value in left.items():
                if not find_key(right, key):
                    return False
                inside.append((value, right[key]))
        else:
            inside = ((left.value, right.value),)
        for one, two in inside:
            pairs += 1
            kind, other = one.__class__, two.__class__
            if kind is other and kind in _SCALARS:
                if one != two:
                    return False
                continue
            found = _compare_shallow(one, two, kind, other)
            if found is _DEEPER:
                waiting.append((one, two))
            elif found is False:
                return False
        if pairs > _PAIRS:
            raise BudgetExceeded(f"compared more than {_PAIRS} pairs of values at once")
    return True


class _Probe:
    """Stands for a key in a lookup, and learns which of the mapping's own keys it equals."""

    __slots__ = ("key", "own")

    def __init__(self, key: Any) -> None:
        self.key = key

    def __hash__(self) -> int:
        return hash(self.key)

    def __eq__(self, other: object) -> bool:
        if self.key != other:
            return False
        self.own = other
        return True


def key_class(mapping: dict[Any, Any], key: Any) -> type | None:
    """Return the class of the mapping's own key that Python holds equal to `key`; None if there is none.

    To Python 1, true, 1u and 1.0 are one key, and which of them a mapping has only a lookup tells fast.
    """
    kind = key.__class__
    if kind is not bool and kind not in _NUMBERS:
        return kind if key in mapping else None
    probe = _Probe(key)
    return probe.own.__class__ if probe in mapping else None


def find_key(mapping: dict[Any, Any], key: Any) -> bool:
    """Tell whether a map has a key: whole numbers are found by numbers of any type, others by their own."""
    kind = key.__class__
    if kind is str:
        return key in mapping
    if kind is list or kind is dict:
        return False
    own = key_class(mapping, key)
    return own is kind or (kind in _NUMBERS and (own is int or own is UInt))


def _ordered(left: Any, right: Any) -> tuple[Any, Any]:
    """Return two Python values that are ordered as the CEL values are."""
    kind, other = left.__class__, right.__class__
    if kind is other:
        if kind is int or kind is str or kind is UInt or kind is bytes or kind is bool:
            return left, right
        if kind is Timestamp or kind is Duration:
            return left.ns, right.ns
    if kind in _NUMBERS and other in _NUMBERS:
        if kind is float or other is float:
            left, right = float(left), float(right)
            if left != left or right != right:
                raise EvaluationError("NaN values cannot be ordered")
        return left, right
    raise NoOverload("no such overload")


def compare(left: Any, right: Any) -> int:
    """Return -1, 0 or 1.

    Raises:
        EvaluationError: the two have no order, or one is NaN.
    """
    one, two = _ordered(left, right)
    return (one > two) - (one < two)  # type: ignore[no-any-return]


def less(left: Any, right: Any) -> bool:
    """Return ``left < right``; raises as `compare` does."""
    one, two = _ordered(left, right)
    return one < two  # type: ignore[no-any-return]


def less_equal(left: Any, right: Any) -> bool:
    """Return ``left <= right``; raises as `compare` does."""
    one, two = _ordered(left, right)
    return one <= two  # type: ignore[no-any-return]


def greater(left: Any, right: Any) -> bool:
    """Return ``left > right``; raises as `compare` does."""
    one, two = _ordered(left, right)
    return one > two  # type: ignore[no-any-return]


def greater_equal(left: Any, right: Any) -> bool:
    """Return ``left >= right``; raises as `compare` does."""
    one, two = _ordered(left, right)
    return one >= two  # type: ignore[no-any-return]

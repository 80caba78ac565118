"""The list methods of Kubernetes and of CEL's lists library (version 3), and ``lists.range``."""

from __future__ import annotations

from functools import cmp_to_key
from itertools import pairwise
from typing import Any, Final

from webhook.cel.comparison import compare, same
from webhook.cel.complaints import NoOverload
from webhook.cel.library.function import (
    MAX_LIST,
    Library,
    check_list,
    deep_cost,
    no_overload,
    size_cost,
    square_cost,
)
from webhook.cel.library.operators import add
from webhook.cel.values import NONE, Duration, Optional, Timestamp, UInt
from webhook.core.errors import EvaluationError

LIBRARY = Library()
_COMPARABLE: Final = frozenset((int, UInt, float, bool, Duration, Timestamp, str, bytes))
_SUMMABLE: Final = frozenset((int, UInt, float, Duration))
_HASHED: Final = frozenset((str, bytes, bool, type(None)))


def _list(value: Any, name: str) -> list[Any]:
    if value.__class__ is not list:
        raise no_overload(name)
    return value


def _comparable(values: Any, name: str) -> list[Any]:
    """Return the list if its first element is of a kind that has an order."""
    if values.__class__ is not list or (values and values[0].__class__ not in _COMPARABLE):
        raise no_overload(name)
    return values


def _order(left: Any, right: Any) -> int | None:
    """Return the order of two elements; None where they have none, as NaN."""
    try:
        return compare(left, right)
    except EvaluationError:
        return None


@LIBRARY.method("isSorted", "bool", costly=size_cost)
def is_sorted(values: Any) -> bool:
    """Tell whether no element is greater than the next."""
    elements = _comparable(values, "isSorted")
    for value in elements:
        if value.__class__ not in _COMPARABLE:
            raise EvaluationError("no such overload")
    return all(_order(one, two) != 1 for one, two in pairwise(elements))


@LIBRARY.method("sum", "dyn", costly=size_cost)
def total(values: Any) -> Any:
    """Return the sum of numbers or durations; 0 of none."""
    if values.__class__ is not list or (values and values[0].__class__ not in _SUMMABLE):
        raise no_overload("sum")
    if not values:
        return 0
    result = values[0]
    for value in values[1:]:
        try:
            result = add(result, value)
        except NoOverload:
            raise EvaluationError("no such overload") from None
    return result if result.__class__ is not float else 0.0 + result


def _extreme(values: Any, name: str, unwanted: int) -> Any:
    elements = _comparable(values, name)
    if not elements:
        raise EvaluationError(f"{name} called on empty list")
    result = elements[0]
    for value in elements[1:]:
        if value.__class__ not in _COMPARABLE:
            raise EvaluationError("no such overload")
        if _order(result, value) == unwanted:
            result = value
    return result


@LIBRARY.method("min", "dyn", costly=size_cost)
def least(values: Any) -> Any:
    """Return the smallest element."""
    return _extreme(values, "min", 1)


@LIBRARY.method("max", "dyn", costly=size_cost)
def greatest(values: Any) -> Any:
    """Return the greatest element."""
    return _extreme(values, "max", -1)


@LIBRARY.method("includes", "bool", (1,), costly=deep_cost)
def includes(values: Any, item: Any) -> bool:
    """Tell whether a list has an element, or whether a single value is it."""
    if values.__class__ is list:
        return any(same(value, item) for value in values)
    return same(values, item)


@LIBRARY.method("slice", "list", (2,), costly=size_cost)
def slice_list(values: Any, start: Any, end: Any) -> list[Any]:
    """Return the elements from `start` to before `end`."""
    elements = _list(values, "slice")
    if start.__class__ is not int or end.__class__ is not int:
        raise no_overload("slice")
    asked = f"cannot slice({start}, {end})"
    if start < 0 or end < 0:
        raise EvaluationError(f"{asked}, negative indexes not supported")
    if start > end:
        raise EvaluationError(f"{asked}, start index must be less than or equal to end index")
    if len(elements) < end:
        raise EvaluationError(f"{asked}, list is length {len(elements)}")
    return elements[start:end]


@LIBRARY.method("flatten", "list", (0, 1), costly=deep_cost)
def flatten(values: Any, depth: Any = 1) -> list[Any]:
    """Return the list with the elements of inner lists in their place, `depth` levels deep."""
    elements = _list(values, "flatten")
    if depth.__class__ is not int:
        raise no_overload("flatten")
    if depth < 0:
        raise EvaluationError("level must be non-negative")
    result: list[Any] = []
    waiting = [(iter(elements), depth)]
    steps = 0
    while waiting:
        inside, left = waiting[-1]
        for value in inside:
            steps += 1
            if value.__class__ is list and left > 0:
                waiting.append((iter(value), left - 1))
                break
            result.append(value)
        else:
            waiting.pop()
        if steps > MAX_LIST:
            check_list(steps)
    return result


def _sorted_by(values: list[Any], keys: list[Any]) -> list[Any]:
    if not keys:
        return values
    kind = keys[0].__class__
    if kind not in _COMPARABLE:
        raise EvaluationError("list elements must be comparable")
    if any(key.__class__ is not kind for key in keys):
        raise EvaluationError("list elements must have the same type")
    if kind is float and any(key != key for key in keys):
        rank: Any = cmp_to_key(lambda one, two: _order(keys[one], keys[two]) or 0)
    elif kind is Duration or kind is Timestamp:
        rank = [key.ns for key in keys].__getitem__
    else:
        rank = keys.__getitem__
    return [values[index] for index in sorted(range(len(keys)), key=rank)]


@LIBRARY.method("sort", "list", costly=deep_cost)
def sort(values: Any) -> list[Any]:
    """Return the elements in ascending order."""
    elements = _list(values, "sort")
    return _sorted_by(elements, elements)


@LIBRARY.function("@sortBy", "list", (2,), costly=deep_cost)
def sort_by(values: Any, keys: Any) -> list[Any]:
    """Return the elements in ascending order of the keys that belong to them; ``sortBy`` compiles to it."""
    elements, own = _list(values, "sortBy"), _list(keys, "sortBy")
    if len(elements) != len(own):
        raise no_overload("sortBy")
    return _sorted_by(elements, own)


@LIBRARY.method("reverse", "list", costly=size_cost)
def reverse(values: Any) -> list[Any]:
    """Return the elements in reverse order."""
    return _list(values, "reverse")[::-1]


@LIBRARY.method("distinct", "list", costly=square_cost)
def distinct(values: Any) -> list[Any]:
    """Return each element once, where it first is."""
    result: list[Any] = []
    known: set[Any] = set()
    others: list[Any] = []
    for value in _list(values, "distinct"):
        kind = value.__class__
        if kind in _HASHED:
            key = (kind, value)
            if key in known:
                continue
            known.add(key)
        elif any(same(value, other) for other in others):
            continue
        else:
            others.append(value)
        result.append(value)
    return result


@LIBRARY.function("lists.range", "list", costly=lambda count: count if count.__class__ is int else 0)
def range_list(count: Any) -> list[int]:
    """Return the integers from 0 to before `count`."""
    if count.__class__ is not int:
        raise no_overload("lists.range")
    if count < 0:
        raise EvaluationError(f"lists.range: size must be non-negative, got {count}")
    if count > MAX_LIST:
        raise EvaluationError(f"lists.range: size {count} exceeds maximum allowed ({MAX_LIST})")
    return list(range(count))


@LIBRARY.method("first", "optional")
def first(values: Any) -> Optional:
    """Return the first element, if there is one."""
    elements = _list(values, "first")
    return Optional(elements[0]) if elements else NONE


@LIBRARY.method("last", "optional")
def last(values: Any) -> Optional:
    """Return the last element, if there is one."""
    elements = _list(values, "last")
    return Optional(elements[-1]) if elements else NONE

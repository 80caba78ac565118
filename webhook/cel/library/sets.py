"""Lists taken as sets: ``sets.contains``, ``sets.equivalent`` and ``sets.intersects``."""

from __future__ import annotations

from typing import Any, Final

from webhook.cel.comparison import same
from webhook.cel.library.function import Library, no_overload, product_cost

LIBRARY = Library()
_HASHED: Final = frozenset((str, bool, type(None)))


def _lists(name: str, *values: Any) -> None:
    for value in values:
        if value.__class__ is not list:
            raise no_overload(name)


def _has(values: list[Any], item: Any) -> bool:
    return any(same(item, value) for value in values)


def _contains(values: list[Any], items: list[Any]) -> bool:
    if len(values) * len(items) > 64 and all(item.__class__ in _HASHED for item in items):
        known = {(value.__class__, value) for value in values if value.__class__ in _HASHED}
        return all((item.__class__, item) in known for item in items)
    return all(_has(values, item) for item in items)


@LIBRARY.function("sets.contains", "bool", (2,), costly=product_cost)
def contains(values: Any, items: Any) -> bool:
    """Tell whether every item is among the values."""
    _lists("sets.contains", values, items)
    return _contains(values, items)


@LIBRARY.function("sets.equivalent", "bool", (2,), costly=product_cost)
def equivalent(values: Any, items: Any) -> bool:
    """Tell whether each of the two lists contains the other."""
    _lists("sets.equivalent", values, items)
    return _contains(values, items) and _contains(items, values)


@LIBRARY.function("sets.intersects", "bool", (2,), costly=product_cost)
def intersects(values: Any, items: Any) -> bool:
    """Tell whether the two lists have a value in common."""
    _lists("sets.intersects", values, items)
    return any(_has(items, value) for value in values)

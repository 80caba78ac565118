"""Keeps what functions of texts alone gave, for all queries: quantities and names come again and again."""

from __future__ import annotations

import threading
import weakref
from decimal import Decimal
from sys import getsizeof
from typing import Any, Final

from webhook.rego.numbers import Numeral
from webhook.rego.values import UNDEFINED, Value

_MOST: Final = 16_384  # results, of all programs together
_MOST_BYTES: Final = 512  # of a result, and characters of what it is of: all of them take some megabytes
_MOST_PARTS: Final = 16
_MOST_STEPS: Final = 5_000  # of what is kept: far less than a stride of the budget
_SCALARS: Final = frozenset((str, bool, int, float, type(None), Numeral, Decimal, UNDEFINED.__class__))


class Remembered(dict[Any, tuple[Value, int]]):
    """What one function gave, by its argument, or the tuple of its arguments: the value, and its steps.

    Whoever takes a value from here charges the steps: a query takes the same ones each time.
    """

    __slots__ = ("__weakref__",)

    def __hash__(self) -> int:  # type: ignore[override]
        return id(self)


class _Memory:
    """All places, within one bound: where it is reached, all begin anew."""

    def __init__(self) -> None:
        self.places: weakref.WeakSet[Remembered] = weakref.WeakSet()
        self.lock = threading.Lock()
        self.count = 0

    def make_room(self) -> None:
        if self.count >= _MOST:
            self.clear()
        self.count += 1

    def clear(self) -> None:
        with self.lock:
            for place in self.places:
                place.clear()
            self.count = 0


_memory: Final = _Memory()


def remembered() -> Remembered:
    """Return the place of one more function."""
    place = Remembered()
    with _memory.lock:
        _memory.places.add(place)
    return place


def forget() -> None:
    """Forget everything, as at the start of the process."""
    _memory.clear()


def remember(place: Remembered, asked: str | tuple[str, ...], value: Value, steps: int) -> Value:
    """Keep what a function of texts alone gave, if it is small, with its steps; return it."""
    length = len(asked) if asked.__class__ is str else sum(map(len, asked))
    # A new stride of the budget, or a look at the time, made the steps negative.
    if 0 <= steps <= _MOST_STEPS and length <= _MOST_BYTES and _is_small(value):
        _memory.make_room()
        place[asked] = (value, steps)
    return value


def _is_small(value: Value) -> bool:
    """Tell whether a value takes little room, and is made of nothing that changes inside, as sets do."""
    kind = value.__class__
    if kind is list:
        few = len(value) <= _MOST_PARTS and all(part.__class__ in _SCALARS for part in value)
        return few and sum(map(getsizeof, value)) <= 4 * _MOST_BYTES
    return kind in _SCALARS and getsizeof(value) <= _MOST_BYTES

"""Which values are equal to Rego, and OPA's order of all values."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from functools import cmp_to_key
from typing import Final

from webhook.rego.metering import pay
from webhook.rego.numbers import Numeral
from webhook.rego.raw_text import encoded
from webhook.rego.values import CONTAINERS, RegoObject, RegoSet, Value, key, size

_LONG: Final = 4_096  # characters that are gone through in no time
_ORDER: Final[dict[type, int]] = {
    type(None): 0,
    bool: 1,
    int: 2,
    float: 2,
    Decimal: 2,
    Numeral: 2,
    str: 3,
    list: 6,
    dict: 7,
    RegoObject: 7,
    RegoSet: 8,
}


def equal(a: Value, b: Value) -> bool:
    """Tell whether two values are the same to Rego: 1 and 1.0 are, true and 1 aren't.

    Raises:
        BudgetExceeded: they are too large; see `size`.
    """
    kind = a.__class__
    if a is not b and kind is b.__class__:
        if kind in CONTAINERS:
            if len(a) != len(b):
                return False
            size(a)
        elif kind is str and len(a) > _LONG:
            pay(len(a) >> 10)
    return _equal(a, b)


def _equal(a: Value, b: Value) -> bool:
    if a is b:
        return True
    kind, other = a.__class__, b.__class__
    if kind is str or other is str:
        return kind is other and a == b
    if kind is bool or other is bool or a is None or b is None:
        return False  # the same ones are identical
    if kind is list:
        return other is list and len(a) == len(b) and all(map(_equal, a, b))
    if kind is dict:
        if other is not dict or len(a) != len(b):
            return False
        return all(k in b and _equal(v, b[k]) for k, v in a.items())
    if kind is int and other is int:
        return a == b  # type: ignore[no-any-return]
    if kind is RegoSet or kind is RegoObject:
        return a == b  # type: ignore[no-any-return]
    if _ORDER[kind] != 2 or _ORDER[other] != 2:
        return False
    return _compare_numbers(a, b) == 0


def compare(a: Value, b: Value) -> int:
    """Return -1, 0 or 1: OPA's order of all values (ast.Compare).

    Raises:
        BudgetExceeded: they are too large; see `size`.
    """
    kind = a.__class__
    if a is not b and kind is b.__class__:
        if kind in CONTAINERS:
            size(a)
        elif kind is str and len(a) > _LONG:
            pay(len(a) >> 7)  # which may have to be encoded
    return _compare(a, b)


def _compare(a: Value, b: Value) -> int:
    if a is b:
        return 0
    kind, other = a.__class__, b.__class__
    if kind is other and (kind is str or kind is int or kind is bool):
        if kind is str and not (a.isascii() and b.isascii()):
            a, b = encoded(a), encoded(b)  # in the order of bytes, as in Go
        return (a > b) - (a < b)  # type: ignore[no-any-return]
    rank, rank_of_other = _ORDER[kind], _ORDER[other]
    if rank != rank_of_other:
        return -1 if rank < rank_of_other else 1
    if rank == 2:
        return _compare_numbers(a, b)
    if rank == 6:
        return _compare_lists(a, b)
    if rank == 7:
        return _compare_objects(a, b)
    if rank == 8:
        return _compare_lists(members_in_order(a), members_in_order(b))
    return 0  # null


def _compare_numbers(a: Value, b: Value) -> int:
    if a.__class__ is not b.__class__:
        if a.__class__ is float:
            a = Decimal(repr(a))
        if b.__class__ is float:
            b = Decimal(repr(b))
    return (a > b) - (a < b)  # type: ignore[no-any-return]


def _compare_lists(a: list[Value], b: list[Value]) -> int:
    for x, y in zip(a, b, strict=False):
        difference = _compare(x, y)
        if difference:
            return difference
    return (len(a) > len(b)) - (len(a) < len(b))


def _compare_objects(a: Value, b: Value) -> int:
    for (k, v), (m, w) in zip(entries_in_order(a), entries_in_order(b), strict=False):
        difference = _compare(k, m) or _compare(v, w)
        if difference:
            return difference
    return (len(a) > len(b)) - (len(a) < len(b))


def ordered(values: Iterable[Value]) -> list[Value]:
    """Return `values` in OPA's order, equal ones in the order given."""
    listed = list(values)
    if len(listed) > 64:
        pay(len(listed) >> 1)
    kinds = {value.__class__ for value in listed}
    if kinds == {str}:
        listed.sort(key=None if all(map(str.isascii, listed)) else encoded)
    elif kinds == {int}:
        listed.sort()
    else:
        often = len(listed).bit_length()  # is each compared, about
        for value in listed:
            if value.__class__ in CONTAINERS:
                pay((often - 1) * size(value))
        listed.sort(key=cmp_to_key(_compare))
    return listed


def members_in_order(of: RegoSet) -> list[Value]:
    """Return a set's members in OPA's order, sorted once."""
    if of.in_order is None or len(of.in_order) != len(of.members):
        of.in_order = ordered(of.members.values())
    return of.in_order


def entries_in_order(container: Value) -> Iterable[tuple[Value, Value]]:
    """Return what `entries` does, in OPA's order: arrays by index, objects and sets by key."""
    kind = container.__class__
    if kind is list:
        return enumerate(container)
    if kind is dict:
        return [(name, container[name]) for name in ordered(container)]
    if kind is RegoSet:
        return [(v, v) for v in members_in_order(container)]
    if kind is RegoObject:
        return [container.members[key(k)] for k in ordered([pair[0] for pair in container.members.values()])]
    return ()

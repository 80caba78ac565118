"""What is in values of a type: what a key selects, which keys and values there are; one type or another."""

from __future__ import annotations

from collections.abc import Callable

from webhook.rego.type_constants import Constant, constant_rank
from webhook.rego.types import ANY, NUMBER, Array, Function, Object, Set, Type, Union, compare, type_of


def either(a: Type | None, b: Type | None) -> Type | None:
    """Return the type of a value that is of one or of the other (OPA's ``Or``)."""
    if a is None or b is None:
        return b if a is None else a
    if isinstance(a, Function) and isinstance(b, Function):
        if a.arity != b.arity or (a.variadic is None) != (b.variadic is None):
            return None
        arguments = tuple(map(either, a.arguments, b.arguments))
        return Function(arguments, either(a.result, b.result), either(a.variadic, b.variadic))
    if isinstance(a, Function) or isinstance(b, Function):
        return None
    if isinstance(a, Union):
        return a.merge(b)
    if isinstance(b, Union):
        return b.merge(a)
    return a if compare(a, b) == 0 else Union((a, b))


def select(a: Type | None, key: Constant) -> Type | None:
    """Return the type of what a constant selects from a value of type `a`; None if nothing can be there."""
    if isinstance(a, Array):
        if isinstance(key, bool) or not isinstance(key, int):
            return None
        return a.select(key)
    if isinstance(a, Object):
        return a.select(key)
    if isinstance(a, Set):
        of = type_of(key)
        if compare(a.of, of) == 0:
            return a.of
        return of if isinstance(a.of, Union) and a.of.contains(of) else None
    return _of_members(a, lambda member: select(member, key)) if isinstance(a, Union) else None


def keys(a: Type | None) -> Type | None:
    """Return the type of the keys that a value of type `a` can be walked by."""
    found: Type | None = None
    if isinstance(a, Array):
        return NUMBER
    if isinstance(a, Object):
        seen = set()
        for key, _ in a.static:
            rank = constant_rank(key)
            if rank not in seen:  # a type for all of them, but for composite ones
                found = either(found, type_of(key))
                if not isinstance(key, tuple):
                    seen.add(rank)
        return found if a.dynamic is None else either(found, a.dynamic[0])
    if isinstance(a, Set):
        return a.of
    return _of_members(a, keys) if isinstance(a, Union) else None


def values(a: Type | None) -> Type | None:
    """Return the type of the values that can be walked in a value of type `a`."""
    found: Type | None = None
    if isinstance(a, Array):
        for item in a.static:
            found = either(found, item)
        return either(found, a.dynamic)
    if isinstance(a, Object):
        for _, of in a.static:
            found = either(found, of)
        return found if a.dynamic is None else either(found, a.dynamic[1])
    if isinstance(a, Set):
        return a.of
    return _of_members(a, values) if isinstance(a, Union) else None


def _of_members(a: Union, part: Callable[[Type | None], Type | None]) -> Type | None:
    """Return the type of a part of a value that is of any member's type."""
    if not a.of:
        return ANY
    found: Type | None = None
    for member in a.of:
        found = either(part(member), found)
    return found

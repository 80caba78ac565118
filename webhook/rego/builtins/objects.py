"""Functions of objects."""

from __future__ import annotations

from typing import Any, Final

from webhook.rego.builtins.collections import of_members
from webhook.rego.builtins.declaration import builtin
from webhook.rego.builtins.operands import OBJECTS, check_object, element_error, operand_error
from webhook.rego.context import Context, OperandError, check_items
from webhook.rego.order import equal
from webhook.rego.types import ANY, ARRAY_OF_ANY, SET_OF_ANY, Array, Object, Union
from webhook.rego.values import UNDEFINED, RegoSet, entries, key, lookup, object_of

OBJECT: Final = Object((), (ANY, ANY))
_KEYS: Final = Union((ARRAY_OF_ANY, OBJECT, SET_OF_ANY))


def _keys(value: Any) -> RegoSet:
    kind = value.__class__
    if kind is RegoSet:
        return value  # type: ignore[no-any-return]
    if kind is list:
        return RegoSet(value)
    if kind in OBJECTS:
        return RegoSet(k for k, _ in entries(value))
    raise operand_error(2, value, "object", "set", "array")


@builtin("object.get", (OBJECT, ANY, ANY), ANY)
def object_get(value: Any, path: Any, default: Any) -> Any:
    """Return what is under a key, or under a path of keys if that is an array; else `default`."""
    kind = value.__class__
    if kind is dict and path.__class__ is str:
        return value.get(path, default)
    if kind not in OBJECTS:
        raise operand_error(1, value, "object")
    if path.__class__ is not list:
        found = lookup(value, path)
        return default if found is UNDEFINED else found
    found = value
    for step in path:
        if found.__class__ is str:
            return default
        found = lookup(found, step)
        if found is UNDEFINED:
            return default
    return found


@builtin("object.keys", (OBJECT,), SET_OF_ANY, needs_context=True)
def object_keys(context: Context, value: Any) -> RegoSet:
    """Return the keys."""
    check_object(value, 1)
    context.spend(len(value) >> 2)
    if value.__class__ is dict:
        return of_members({k: k for k in value})
    return of_members({k: pair[0] for k, pair in value.members.items()})


@builtin("object.remove", (OBJECT, _KEYS), ANY, needs_context=True)
def object_remove(context: Context, value: Any, keys: Any) -> Any:
    """Return the object without some keys."""
    check_object(value, 1)
    gone = _keys(keys)
    context.spend((len(value) + len(gone)) >> 2)
    return object_of((k, v) for k, v in entries(value) if k not in gone)


@builtin("object.filter", (OBJECT, _KEYS), ANY, needs_context=True)
def object_filter(context: Context, value: Any, keys: Any) -> Any:
    """Return the object with these keys only."""
    check_object(value, 1)
    kept = _keys(keys)
    context.spend((len(value) + len(kept)) >> 2)
    return object_of((k, v) for k, v in entries(value) if k in kept)


def merged(context: Context, first: Any, second: Any) -> Any:
    """Return the entries of both, the second's where both have one; objects in both are merged too."""
    context.spend(1 + ((len(first) + len(second)) >> 2))
    pairs = [(k, v) for k, v in entries(first) if lookup(second, k) is UNDEFINED]
    for k, v in entries(second):
        before = lookup(first, k)
        both = before.__class__ in OBJECTS and v.__class__ in OBJECTS
        pairs.append((k, merged(context, before, v) if both else v))
    return object_of(pairs)


@builtin("object.union", (OBJECT, OBJECT), ANY, needs_context=True)
def object_union(context: Context, first: Any, second: Any) -> Any:
    """Return the entries of both, the second's where both have one; objects in both are merged too."""
    check_object(first, 1)
    check_object(second, 2)
    return merged(context, first, second)


@builtin("object.union_n", (Array(OBJECT),), ANY, needs_context=True)
def object_union_n(context: Context, values: Any) -> Any:
    """Return the union of all, the later over the earlier."""
    if values.__class__ is not list:
        raise operand_error(1, values, "array")
    for value in values:
        if value.__class__ not in OBJECTS:
            raise element_error(1, values, value, "object")
    result: Any = {}
    for value in values:
        result = merged(context, result, value)
        check_items(len(result))
    return result


_SETS = Union((ARRAY_OF_ANY, OBJECT, SET_OF_ANY))


@builtin("object.subset", (_SETS, _SETS), ANY, needs_context=True)
def object_subset(context: Context, whole: Any, part: Any) -> bool:
    """Tell whether the second is in the first: entries, members, or a run of elements."""
    found = _subset(context, whole, part)
    if found is not None:
        return found
    if whole.__class__ is list and part.__class__ is RegoSet:
        context.spend(len(whole) >> 2)
        # OPA looks for as many as the set has, counting one that is there twice twice.
        missing = len(part)
        for item in whole:
            missing -= item in part
            if missing == 0:
                return True
        return False
    raise OperandError("both arguments object.subset must be of the same type or array and set")


def _subset(context: Context, whole: Any, part: Any) -> bool | None:
    kind = whole.__class__
    if kind in OBJECTS and part.__class__ in OBJECTS:
        context.spend(1 + (len(part) >> 2))
        return all(_entry(context, lookup(whole, k), v) for k, v in entries(part))
    if kind is RegoSet and part.__class__ is RegoSet:
        context.spend(len(part) >> 4)
        return part.members.keys() <= whole.members.keys()  # type: ignore[no-any-return]
    if kind is list and part.__class__ is list:
        return _run(context, whole, part)
    return None


def _entry(context: Context, whole: Any, part: Any) -> bool:
    if whole is UNDEFINED:
        return False
    return equal(whole, part) or bool(_subset(context, whole, part))


def _run(context: Context, whole: list[Any], part: list[Any]) -> bool:
    """Tell whether the elements of `part` follow each other in `whole`."""
    size = len(part)
    if size > len(whole):
        return False
    wanted, at = [key(item) for item in part], [key(item) for item in whole]
    context.spend((size + len(whole)) >> 1)
    for start in range(len(at) - size + 1):
        context.spend(1 + (size >> 6))
        if at[start : start + size] == wanted:
            return True
    return False

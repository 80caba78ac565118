"""What is computed over all members of an array or set, and membership."""

from __future__ import annotations

from typing import Any

from webhook.rego import numbers
from webhook.rego.builtins.declaration import builtin
from webhook.rego.builtins.operands import element_error, operand_error
from webhook.rego.context import Context
from webhook.rego.go import big_floats
from webhook.rego.numbers import NUMBERS, Number
from webhook.rego.order import compare, equal, members_in_order, ordered
from webhook.rego.types import (
    ANY,
    ARRAY_OF_ANY,
    BOOLEAN,
    NUMBER,
    SET_OF_ANY,
    STRING,
    Array,
    Object,
    Set,
    Union,
)
from webhook.rego.values import UNDEFINED, RegoObject, RegoSet, entries, lookup

_COLLECTION = Union((SET_OF_ANY, ARRAY_OF_ANY))
_NUMBERS = Union((Set(NUMBER), Array(NUMBER)))
_SIZED: frozenset[Any] = frozenset((list, dict, RegoObject, RegoSet, str))


def members(value: Any) -> list[Any]:
    """Return an array's elements, or a set's members in order.

    Raises:
        OperandError: it is neither.
    """
    if value.__class__ is list:
        return value
    if value.__class__ is RegoSet:
        return members_in_order(value)
    raise operand_error(1, value, "set", "array")


@builtin("count", (Union((STRING, ARRAY_OF_ANY, Object((), (ANY, ANY)), SET_OF_ANY)),), NUMBER)
def count(value: Any) -> int:
    """Return how many elements, members, entries or characters there are."""
    if value.__class__ not in _SIZED:
        raise operand_error(1, value, "array", "object", "set", "string")
    return len(value)


@builtin("sum", (_NUMBERS,), NUMBER, needs_context=True)
def sum_(context: Context, value: Any) -> Number:
    """Return the sum of numbers; of integers as 64 bits have it."""
    found = members(value)
    context.spend(len(found) >> 3)
    for item in found:
        if item.__class__ not in NUMBERS:
            raise element_error(1, value, item, "number")
    whole = [numbers.integer_of(item) for item in found]
    if None not in whole:
        total = sum(whole)  # type: ignore[arg-type]
        return (total + (1 << 63)) % (1 << 64) - (1 << 63)
    result = big_floats.Binary(False, 0, 0)
    for item in found:
        context.spend(4)
        result = big_floats.sum_of(result, big_floats.binary(item))
    return big_floats.number(result)


@builtin("product", (_NUMBERS,), NUMBER, needs_context=True)
def product(context: Context, value: Any) -> Number:
    """Return the product of numbers."""
    found = members(value)
    result = big_floats.Binary(False, 1, 0)
    for item in found:
        if item.__class__ not in NUMBERS:
            raise element_error(1, value, item, "number")
        context.spend(4)
        result = big_floats.product_of(result, big_floats.binary(item))
    return big_floats.number(result)


@builtin("max", (_COLLECTION,), ANY, needs_context=True)
def max_(context: Context, value: Any) -> Any:
    """Return the last in OPA's order; nothing of nothing."""
    found = members(value)
    if not found:
        return UNDEFINED
    context.spend(len(found) >> 1)
    best = found[0]
    for item in found:
        if compare(best, item) <= 0:
            best = item
    return best


@builtin("min", (_COLLECTION,), ANY, needs_context=True)
def min_(context: Context, value: Any) -> Any:
    """Return the first in OPA's order; nothing of nothing.

    Of a set with null and others OPA forgets null, unless it comes last, which it never does.
    """
    found = members(value)
    if not found:
        return UNDEFINED
    context.spend(len(found) >> 1)
    if value.__class__ is RegoSet:
        return found[1] if found[0] is None and len(found) > 1 else found[0]
    best = found[0]
    for item in found:
        if compare(best, item) >= 0:
            best = item
    return best


@builtin("sort", (_COLLECTION,), ARRAY_OF_ANY, needs_context=True)
def sort(context: Context, value: Any) -> list[Any]:
    """Return the members in OPA's order."""
    if value.__class__ is RegoSet:
        return members_in_order(value)
    found = members(value)
    context.spend(len(found) * max(1, len(found).bit_length() >> 2))
    return ordered(found)


@builtin("all", (Union((SET_OF_ANY, ARRAY_OF_ANY)),), BOOLEAN, deprecated=True, needs_context=True)
def all_(context: Context, value: Any) -> bool:
    """Tell whether there is nothing but true."""
    if value.__class__ is not list and value.__class__ is not RegoSet:
        raise operand_error(1, value, "array", "set")
    context.spend(1 + (len(value) >> 5))
    return all(item is True for item in value)


@builtin("any", (Union((SET_OF_ANY, ARRAY_OF_ANY)),), BOOLEAN, deprecated=True, needs_context=True)
def any_(context: Context, value: Any) -> bool:
    """Tell whether true is there."""
    if value.__class__ is not list and value.__class__ is not RegoSet:
        raise operand_error(1, value, "array", "set")
    context.spend(1 + (len(value) >> 5))
    return any(item is True for item in value)


@builtin("internal.member_2", (ANY, ANY), BOOLEAN, infix="in", needs_context=True)
def member(context: Context, wanted: Any, collection: Any) -> bool:
    """Tell whether an array, set or object holds the value."""
    kind = collection.__class__
    if kind is RegoSet:
        return wanted in collection
    if kind is list:
        context.spend(len(collection) >> 4)
        if wanted.__class__ is str:
            context.spend(len(collection) * (len(wanted) >> 8) >> 4)  # they may differ at the end alone
            return wanted in collection
        return any(equal(wanted, item) for item in collection)
    if kind is dict or kind is RegoObject:
        context.spend(len(collection) >> 3)
        return any(equal(wanted, item) for _, item in entries(collection))
    return False


@builtin("internal.member_3", (ANY, ANY, ANY), BOOLEAN, infix="in")
def member_with_key(key: Any, wanted: Any, collection: Any) -> bool:
    """Tell whether an array or object holds the value under the key."""
    if collection.__class__ is str or collection.__class__ is RegoSet:
        return False
    found = lookup(collection, key)
    return found is not UNDEFINED and equal(found, wanted)

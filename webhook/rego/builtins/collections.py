"""Functions of arrays, sets and graphs."""

from __future__ import annotations

from typing import Any

from webhook.rego.builtins.arithmetic import difference
from webhook.rego.builtins.declaration import builtin
from webhook.rego.builtins.operands import check_object, operand_error, small_integer
from webhook.rego.context import Context, check_items
from webhook.rego.order import members_in_order
from webhook.rego.types import ANY, ARRAY_OF_ANY, NUMBER, SET_OF_ANY, Array, Object, Set, Union
from webhook.rego.values import UNDEFINED, RegoSet, key, lookup

_GRAPH = Object((), (ANY, Union((SET_OF_ANY, ARRAY_OF_ANY))))
_NODES = Union((SET_OF_ANY, ARRAY_OF_ANY))


def _array(value: Any, position: int) -> list[Any]:
    if value.__class__ is not list:
        raise operand_error(position, value, "array")
    return value


def _set(value: Any, position: int) -> RegoSet:
    if value.__class__ is not RegoSet:
        raise operand_error(position, value, "set")
    return value


def of_members(found: dict[Any, Any]) -> RegoSet:
    """Return the set of members that are there by their canonical keys already."""
    result = RegoSet()
    result.members = found
    return result


@builtin("array.concat", (ARRAY_OF_ANY, ARRAY_OF_ANY), ARRAY_OF_ANY, needs_context=True)
def array_concat(context: Context, first: Any, second: Any) -> list[Any]:
    """Return the elements of both."""
    size = len(_array(first, 1)) + len(_array(second, 2))
    check_items(size)
    context.spend(size >> 4)
    return first + second  # type: ignore[no-any-return]


@builtin("array.flatten", (ARRAY_OF_ANY,), ARRAY_OF_ANY, needs_context=True)
def array_flatten(context: Context, value: Any) -> list[Any]:
    """Return the elements, those of arrays among them instead of these arrays, one level deep."""
    result: list[Any] = []
    for item in _array(value, 1):
        if item.__class__ is list:
            result += item
            check_items(len(result))
        else:
            result.append(item)
    context.spend(len(result) >> 4)
    return result


@builtin("array.slice", (ARRAY_OF_ANY, NUMBER, NUMBER), ARRAY_OF_ANY, needs_context=True)
def array_slice(context: Context, value: Any, start: Any, stop: Any) -> list[Any]:
    """Return the elements from `start` up to before `stop`."""
    found = _array(value, 1)
    first, last = small_integer(start, 2), small_integer(stop, 3)
    result = found[max(0, first) : max(0, last)]
    context.spend(1 + (len(result) >> 4))
    return result


@builtin("array.reverse", (ARRAY_OF_ANY,), ARRAY_OF_ANY, needs_context=True)
def array_reverse(context: Context, value: Any) -> list[Any]:
    """Return the elements from the last to the first."""
    found = _array(value, 1)
    context.spend(1 + (len(found) >> 4))
    return found[::-1]


@builtin("and", (SET_OF_ANY, SET_OF_ANY), SET_OF_ANY, infix="&", needs_context=True)
def set_and(context: Context, first: Any, second: Any) -> RegoSet:
    """Return what both hold."""
    a, b = _set(first, 1).members, _set(second, 2).members
    context.spend(min(len(a), len(b)) >> 2)
    if len(b) < len(a):
        a, b = b, a
    return of_members({k: v for k, v in a.items() if k in b})


@builtin("or", (SET_OF_ANY, SET_OF_ANY), SET_OF_ANY, infix="|", needs_context=True)
def set_or(context: Context, first: Any, second: Any) -> RegoSet:
    """Return what either holds."""
    a, b = _set(first, 1).members, _set(second, 2).members
    check_items(len(a) + len(b))
    context.spend((len(a) + len(b)) >> 2)
    return of_members({**b, **a})


@builtin("set_diff", (SET_OF_ANY, SET_OF_ANY), SET_OF_ANY, deprecated=True, needs_context=True)
def set_diff(context: Context, first: Any, second: Any) -> RegoSet:
    """Return what only the first holds."""
    context.spend(len(_set(first, 1)) >> 2)
    return difference(_set(first, 1), _set(second, 2))


@builtin("intersection", (Set(SET_OF_ANY),), SET_OF_ANY, needs_context=True)
def intersection(context: Context, sets: Any) -> RegoSet:
    """Return what all sets of a set hold."""
    result: RegoSet | None = None
    for item in members_in_order(_set(sets, 1)):
        found = _set(item, 1)
        result = found if result is None else set_and(context, result, found)
    return RegoSet() if result is None else result


@builtin("union", (Set(SET_OF_ANY),), SET_OF_ANY, needs_context=True)
def union(context: Context, sets: Any) -> RegoSet:
    """Return what any set of a set holds."""
    found: dict[Any, Any] = {}
    for item in members_in_order(_set(sets, 1)):
        for k, v in _set(item, 1).members.items():
            found.setdefault(k, v)
        check_items(len(found))
        context.spend(len(item) >> 2)
    return of_members(found)


def _edges(graph: Any, node: Any) -> list[Any]:
    """Return the nodes that a node leads to; none from what is no array or set."""
    found = lookup(graph, node)
    if found.__class__ is list:
        return found
    return members_in_order(found) if found.__class__ is RegoSet else []


def _initial(value: Any, position: int) -> list[Any]:
    if value.__class__ is list:
        return value
    if value.__class__ is RegoSet:
        return members_in_order(value)
    raise operand_error(position, value, "{array, set}")


def _graph(value: Any) -> None:
    check_object(value, 1)


@builtin("graph.reachable", (_GRAPH, _NODES), SET_OF_ANY, needs_context=True)
def reachable(context: Context, graph: Any, initial: Any) -> RegoSet:
    """Return the nodes that are reached from the initial ones."""
    _graph(graph)
    waiting = list(_initial(initial, 2))
    found: dict[Any, Any] = {}
    while waiting:
        node = waiting.pop()
        context.spend(1)
        identity = key(node)
        if identity in found or lookup(graph, node) is UNDEFINED:
            continue
        found[identity] = node
        following = _edges(graph, node)
        context.spend(1 + len(following))
        waiting += following
    return of_members(found)


@builtin("graph.reachable_paths", (_GRAPH, _NODES), Set(Array(ANY)), needs_context=True)
def reachable_paths(context: Context, graph: Any, initial: Any) -> RegoSet:
    """Return the paths from the initial nodes to where nothing new is reached."""
    _graph(graph)
    result = RegoSet()
    for node in _initial(initial, 2):
        if lookup(graph, node) is UNDEFINED:
            continue
        following = _edges(graph, node)
        if not following:
            result.add([node])
        waiting = [([node], {key(node)}, n) for n in reversed(following)]
        while waiting:
            path, seen, at = waiting.pop()
            context.spend(2 + (len(path) >> 2))
            identity = key(at)
            # OPA takes the first step even back to where it starts.
            if (len(path) > 1 and identity in seen) or lookup(graph, at) is UNDEFINED:
                result.add(path)
                check_items(len(result))
                continue
            longer = [*path, at]
            following = _edges(graph, at)
            if not following:
                result.add(longer)
                check_items(len(result))
                continue
            known = seen | {identity}
            check_items(len(waiting) + len(following))
            waiting += [(longer, known, n) for n in reversed(following)]
    return result

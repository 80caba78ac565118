"""What is at some paths of a document, or all but that: ``json.filter`` and ``json.remove``."""

from __future__ import annotations

from typing import Any, Final

from webhook.rego.builtins.declaration import builtin
from webhook.rego.builtins.objects import OBJECT
from webhook.rego.builtins.operands import OBJECTS, check_object, operand_error
from webhook.rego.context import Context, OperandError
from webhook.rego.metering import pay
from webhook.rego.order import members_in_order
from webhook.rego.types import ANY, ARRAY_OF_ANY, STRING, Array, Set, Union
from webhook.rego.values import UNDEFINED, RegoSet, entries, key, object_of, type_name

_PATH: Final = Union((STRING, ARRAY_OF_ANY))
_PATHS: Final = Union((Array(_PATH), Set(_PATH)))

Tree = dict[Any, Any]
"""Paths as a tree: what is under a key, by its canonical key; None where a path ends."""


def path_steps(value: Any) -> list[Any]:
    """Return the steps of a path: a JSON pointer, or an array."""
    if value.__class__ is str:
        if not value:
            return []
        pay(len(value) >> 3)
        return [part.replace("~1", "/").replace("~0", "~") for part in value.lstrip("/").split("/")]
    if value.__class__ is list:
        return value
    raise OperandError(
        "operand 2 must be one of {set, array} containing string paths or array of path segments but got "
        + type_name(value)
    )


def _tree(context: Context, paths: Any) -> Tree:
    """Return the paths of an operand as a tree."""
    if paths.__class__ is list:
        found = paths
    elif paths.__class__ is RegoSet:
        found = members_in_order(paths)
    else:
        raise operand_error(2, paths, "set", "array")
    root: Tree = {}
    for item in found:
        path = path_steps(item)
        context.spend(1 + 4 * len(path))
        if not path:
            continue
        node: Tree | None = root
        for step in path[:-1]:
            if node is None:
                break
            node = node.setdefault(key(step), {})
        if node is not None:
            node[key(path[-1])] = None
    return root


@builtin("json.filter", (OBJECT, _PATHS), ANY, needs_context=True)
def json_filter(context: Context, value: Any, paths: Any) -> Any:
    """Return the object with what is at these paths only."""
    check_object(value, 1)
    return _filtered(context, value, _tree(context, paths))


def _filtered(context: Context, value: Any, tree: Tree | None) -> Any:
    if tree is None:
        return value
    kind = value.__class__
    if kind is list:
        context.spend(1 + (len(value) >> 3))
        chosen = ((item, tree.get(str(index), UNDEFINED)) for index, item in enumerate(value))
        return [_filtered(context, item, under) for item, under in chosen if under is not UNDEFINED]
    if kind is RegoSet:
        context.spend(1 + (len(value) >> 3))
        return RegoSet(_filtered(context, item, tree[key(item)]) for item in value if key(item) in tree)
    if kind in OBJECTS:
        context.spend(1 + (len(value) >> 3))
        return object_of(
            (k, _filtered(context, item, tree[key(k)])) for k, item in entries(value) if key(k) in tree
        )
    return value


@builtin("json.remove", (OBJECT, _PATHS), ANY, needs_context=True)
def json_remove(context: Context, value: Any, paths: Any) -> Any:
    """Return the object without what is at these paths."""
    check_object(value, 1)
    return _removed(context, value, _tree(context, paths))


def _removed(context: Context, value: Any, tree: Any) -> Any:
    """Return what is left of a value; UNDEFINED if nothing."""
    if tree is None:
        return UNDEFINED
    kind = value.__class__
    if tree is UNDEFINED or (kind is not list and kind is not RegoSet and kind not in OBJECTS):
        return value
    context.spend(1 + (len(value) >> 3))
    if kind is list:
        left = [_removed(context, item, tree.get(str(i), UNDEFINED)) for i, item in enumerate(value)]
        return [item for item in left if item is not UNDEFINED]
    if kind is RegoSet:
        left = [_removed(context, item, tree.get(key(item), UNDEFINED)) for item in value]
        return RegoSet(item for item in left if item is not UNDEFINED)
    pairs = [(k, _removed(context, item, tree.get(key(k), UNDEFINED))) for k, item in entries(value)]
    return object_of((k, item) for k, item in pairs if item is not UNDEFINED)

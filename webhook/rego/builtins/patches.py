"""Documents changed by patches: ``json.patch`` (RFC 6902)."""

from __future__ import annotations

import re
from typing import Any, Final

from webhook.rego.builtins.declaration import builtin
from webhook.rego.builtins.operands import OBJECTS, operand_error
from webhook.rego.builtins.paths import path_steps
from webhook.rego.context import BuiltinError, Context, check_items
from webhook.rego.numbers import integer_of
from webhook.rego.order import equal
from webhook.rego.types import ANY, STRING, Array, Object
from webhook.rego.value_text import term_text
from webhook.rego.values import UNDEFINED, RegoSet, entries, key, lookup, object_of, type_name

_INDEX: Final = re.compile(r"[+-]?[0-9]+")
_GO_TYPES: Final = {
    "null": "ast.Null",
    "boolean": "ast.Boolean",
    "number": "ast.Number",
    "string": "ast.String",
}


_OPERATIONS = Array(Object((("op", STRING), ("path", ANY)), (ANY, ANY)))


@builtin("json.patch", (ANY, _OPERATIONS), ANY, needs_context=True)
def json_patch(context: Context, value: Any, operations: Any) -> Any:
    """Return a document after the operations of a JSON Patch (RFC 6902); paths may go into sets."""
    if operations.__class__ is not list:
        raise operand_error(2, operations, "array")
    for operation in operations:
        value = _patched(context, value, operation)
    return value


def _patched(context: Context, value: Any, operation: Any) -> Any:
    if operation.__class__ not in OBJECTS:
        raise BuiltinError(
            "must be an array of JSON-Patch objects, but at least one element is not an object"
        )
    path_value, name = _attribute(operation, "path"), _attribute(operation, "op")
    if name.__class__ is not str:
        raise BuiltinError(f"attribute 'op' must be a string but found: {type_name(name)}")
    path = path_steps(path_value)
    patch = _Patch(context)
    if name == "add":
        return patch.insert(value, path, _attribute(operation, "value"))
    if name == "remove":
        return patch.delete(value, path)
    if name == "replace":
        value = patch.delete(value, path)
        return patch.insert(value, path, _attribute(operation, "value"))
    if name in ("move", "copy"):
        source = path_steps(_attribute(operation, "from"))
        chunk = patch.find(value, source)
        if name == "move":
            value = patch.delete(value, source)
        return patch.insert(value, path, chunk)
    if name == "test":
        chunk, wanted = patch.find(value, path), _attribute(operation, "value")
        if not equal(chunk, wanted):
            raise BuiltinError(
                f"value from EditTree != patch value.\n\nExpected: {term_text(wanted)}"
                f"\n\nFound: {term_text(chunk)}"
            )
        return value
    raise BuiltinError(f"unrecognized op: '{name}'")


def _attribute(operation: Any, name: str) -> Any:
    found = lookup(operation, name)
    if found is UNDEFINED:
        raise BuiltinError(f"missing required attribute '{name}'")
    return found


class _Patch:
    """Makes new documents out of old ones, with one place changed."""

    def __init__(self, context: Context) -> None:
        self.context = context

    def find(self, value: Any, path: list[Any]) -> Any:
        """Return what is at a path."""
        for step in path:
            value = self.child(value, step)
        return value

    def child(self, value: Any, step: Any) -> Any:
        """Return what is one step inside."""
        if value is UNDEFINED:
            raise BuiltinError("nil value encountered where composite value was expected")
        kind = value.__class__
        shown = step
        if kind is list:
            shown = _index(len(value), step)
            found = value[shown] if 0 <= shown < len(value) else UNDEFINED
        elif kind in OBJECTS or kind is RegoSet:
            found = lookup(value, step)
        else:
            raise BuiltinError(
                f"expected composite type for path {term_text(step)}, found value: {term_text(value)} "
                f"(type: {_GO_TYPES[type_name(value)]})"
            )
        if found is UNDEFINED:
            path = f"[{term_text(step)}]" if kind is RegoSet else term_text(shown)
            raise BuiltinError(f"path {path} does not exist in {type_name(value)} term {term_text(value)}")
        return found

    def insert(self, value: Any, path: list[Any], new: Any) -> Any:
        """Return the document with something new at a path."""
        if not path:
            return new
        if len(path) > 1:
            inner = self.child(value, path[0])
            return self.replace(value, path[0], inner, self.insert(inner, path[1:], new))
        if value is UNDEFINED:
            raise BuiltinError("deleted node encountered during insert operation")
        step, kind = path[0], value.__class__
        if kind is list:
            index = _index(len(value), step)
            if not 0 <= index <= len(value):
                raise BuiltinError("index for array insertion out of bounds")
            self.pay(value)
            return [*value[:index], new, *value[index:]]
        if kind in OBJECTS:
            self.pay(value)
            return object_of([*entries(value), (step, new)])
        if kind is RegoSet:
            if not equal(step, new):
                raise BuiltinError(
                    f"set key {term_text(step)} does not equal value to be inserted {term_text(new)}"
                )
            self.pay(value)
            return RegoSet([*value, new])
        raise BuiltinError(_no_composite(value))

    def delete(self, value: Any, path: list[Any]) -> Any:
        """Return the document without what is at a path."""
        if not path:
            if value is UNDEFINED:
                raise BuiltinError("deleted node encountered during delete operation")
            return UNDEFINED
        if len(path) > 1:
            inner = self.child(value, path[0])
            return self.replace(value, path[0], inner, self.delete(inner, path[1:]))
        if value is UNDEFINED:
            raise BuiltinError("deleted node encountered during delete operation")
        step, kind = path[0], value.__class__
        if kind is list:
            index = _index(len(value), step)
            if not 0 <= index < len(value):
                raise BuiltinError("index for array delete out of bounds")
            self.pay(value)
            return [*value[:index], *value[index + 1 :]]
        if kind not in OBJECTS and kind is not RegoSet:
            raise BuiltinError(_no_composite(value))
        if lookup(value, step) is UNDEFINED:
            raise BuiltinError(f"cannot delete child key {term_text(step)} that does not exist")
        self.pay(value)
        gone = key(step)
        if kind is RegoSet:
            return RegoSet(item for item in value if key(item) != gone)
        return object_of((k, v) for k, v in entries(value) if key(k) != gone)

    def replace(self, value: Any, step: Any, old: Any, new: Any) -> Any:
        """Return a collection with `new` where `old` was."""
        if old is new:
            return value
        self.pay(value)
        kind = value.__class__
        if kind is list:
            index = _index(len(value), step)
            return [*value[:index], new, *value[index + 1 :]]
        if kind is RegoSet:
            gone = key(old)
            return RegoSet([*(item for item in value if key(item) != gone), new])
        return object_of([*entries(value), (step, new)])

    def pay(self, value: Any) -> None:
        """Pay for a copy of a collection."""
        check_items(len(value) + 1)
        self.context.spend(1 + (len(value) >> 4))


def _no_composite(value: Any) -> str:
    return f"expected composite type, found value: {term_text(value)} (type: {_GO_TYPES[type_name(value)]})"


def _index(length: int, step: Any) -> int:
    if step.__class__ is str:
        if step == "-":
            return length
        if not _INDEX.fullmatch(step) or len(step) > 18:
            raise BuiltinError("invalid string for indexing")
        if step != "0" and step.startswith("0"):
            raise BuiltinError("leading zeros are not allowed in JSON paths")
        return int(step)
    if step.__class__ is bool or type_name(step) != "number":
        raise BuiltinError("invalid type for indexing")
    found = integer_of(step)
    if found is None:
        raise BuiltinError("invalid number type for indexing")
    return found

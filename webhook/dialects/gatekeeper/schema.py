"""Structural schemas: what values they take, and the defaults they fill in.

The part of OpenAPI v3 that a CustomResourceDefinition may use:
https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/#specifying-a-structural-schema
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from webhook.core.errors import CompileError
from webhook.dialects.gatekeeper.patterns import compile_pattern

Schema = Mapping[str, Any]

PRESERVE = "x-kubernetes-preserve-unknown-fields"
INT_OR_STRING = "x-kubernetes-int-or-string"
LIST_TYPE, LIST_KEYS = "x-kubernetes-list-type", "x-kubernetes-list-map-keys"
DEEPEST = 64
_LONGEST_INTEGER = 2**53 - 1


class SchemaError(CompileError):
    """A constraint that its template's schema doesn't take."""


def opened(schema: Schema, depth: int = 0) -> dict[str, Any]:
    """Return a schema that also takes what it doesn't describe: what ``legacySchema: true`` means.

    Args:
        schema: as the template has it.
        depth: how deep this part lies.

    Raises:
        CompileError: it is nested too deeply, or a part is no map.
    """
    if depth > DEEPEST:
        raise CompileError("the schema is nested too deeply")
    found = dict(schema)
    kind = schema.get("type") or ""
    if kind in ("", "object"):
        found[PRESERVE] = True  # also where check_structural then refuses it, as the API server does
    elif kind == "array" and not schema.get("items"):
        found["items"] = {PRESERVE: True}
    properties = schema.get("properties")
    if isinstance(properties, Mapping):
        found["properties"] = {key: opened(_schema(value), depth + 1) for key, value in properties.items()}
    for name in ("items", "additionalProperties"):
        if isinstance(found.get(name), Mapping) and found[name] != {PRESERVE: True}:
            found[name] = opened(found[name], depth + 1)
    return found


def _schema(value: Any) -> Schema:
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise CompileError("a schema must be a map")
    return value


def check(value: Any, schema: Schema, field: str) -> None:
    """Refuse a value that a schema doesn't take.

    Raises:
        SchemaError: it says where, and what would be right.
    """
    for where, message in _wrong(value, schema, field):
        raise SchemaError(message, where)


def unknown_fields(value: Any, schema: Schema, field: str) -> Iterator[str]:
    """Give the fields of a value that a schema doesn't describe: the API server would drop them."""
    if isinstance(value, Mapping):
        if schema.get(PRESERVE) is True and not schema.get("properties"):
            return
        properties = schema.get("properties")
        known: Mapping[str, Any] = properties if isinstance(properties, Mapping) else {}
        more = schema.get("additionalProperties")
        for name, item in value.items():
            if name in known:
                yield from unknown_fields(item, known[name], f"{field}.{name}")
            elif isinstance(more, Mapping):
                yield from unknown_fields(item, more, f"{field}.{name}")
            elif more is not True and schema.get(PRESERVE) is not True:
                yield f"{field}.{name}"
    elif isinstance(value, list) and isinstance(schema.get("items"), Mapping):
        for position, item in enumerate(value):
            yield from unknown_fields(item, schema["items"], f"{field}[{position}]")


def defaulted(value: Any, schema: Schema) -> Any:
    """Return a value with the defaults of a schema filled in, as the API server does before it stores it.

    What is null and may not be becomes the default; in a map without one it is dropped:
    https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/#defaulting-and-nullable
    """
    if isinstance(value, Mapping):
        properties = schema.get("properties")
        known: Mapping[str, Any] = properties if isinstance(properties, Mapping) else {}
        more = schema.get("additionalProperties")
        found = {}
        for name, item in value.items():
            part = known.get(name, more)
            if not isinstance(part, Mapping):
                found[name] = item
            elif item is not None or part.get("nullable"):
                found[name] = defaulted(item, part)
            elif part.get("default") is not None:
                found[name] = defaulted(part["default"], part)
        for name, part in known.items():
            if name not in value and isinstance(part, Mapping) and part.get("default") is not None:
                found[name] = defaulted(part["default"], part)
        return found
    items = schema.get("items")
    if isinstance(value, list) and isinstance(items, Mapping):
        instead = None if items.get("nullable") else items.get("default")
        return [defaulted(instead if item is None else item, items) for item in value]
    return value


def _wrong(value: Any, schema: Schema, field: str) -> Iterator[tuple[str, str]]:
    if value is None:
        # In a map it was dropped before.
        kind = schema.get("type") or ("integer,string" if schema.get(INT_OR_STRING) is True else "")
        if kind and not schema.get("nullable"):
            yield field, f"must be of type {kind}: null"
        elif schema.get("enum"):  # even one that has it
            yield field, "unsupported value: null"
        return
    if schema.get(INT_OR_STRING) is True:
        if isinstance(value, bool) or not isinstance(value, int | str):
            yield field, "must be an integer or a string"
            return
    elif schema.get("type") and not _is_of(value, schema["type"]):
        yield field, f"must be of type {schema['type']}: {_kind(value)}"
        return
    yield from _limits(value, schema, field)
    if isinstance(value, Mapping):
        yield from _wrong_in_map(value, schema, field)
    elif isinstance(value, list) and isinstance(schema.get("items"), Mapping):
        for position, item in enumerate(value):
            yield from _wrong(item, schema["items"], f"{field}[{position}]")
    yield from _junctors(value, schema, field)


def _wrong_in_map(value: Mapping[str, Any], schema: Schema, field: str) -> Iterator[tuple[str, str]]:
    for name in schema.get("required") or ():
        if name not in value:
            yield f"{field}.{name}", "is required"
    properties = schema.get("properties")
    known: Mapping[str, Any] = properties if isinstance(properties, Mapping) else {}
    more = schema.get("additionalProperties")
    for name, item in value.items():
        part = known.get(name, more)
        if isinstance(part, Mapping):
            yield from _wrong(item, part, f"{field}.{name}")
        elif part is False:
            yield f"{field}.{name}", "is a forbidden property"


def _limits(value: Any, schema: Schema, field: str) -> Iterator[tuple[str, str]]:
    options = schema.get("enum")
    if isinstance(options, list) and options and not any(_same(value, option) for option in options):
        yield field, f"unsupported value {value!r}: supported values: {', '.join(map(repr, options))}"
    if isinstance(value, str):
        size = len(value)
        yield from _sized(size, schema, field, ("minLength", "maxLength"), "characters")
        pattern = schema.get("pattern")
        if pattern is not None and not _pattern(str(pattern), field).search(value):
            yield field, f"{value!r} should match '{pattern}'"
    elif isinstance(value, list):
        yield from _sized(len(value), schema, field, ("minItems", "maxItems"), "items")
        keys = schema.get(LIST_KEYS) if schema.get(LIST_TYPE) == "map" else None
        if isinstance(keys, list) or schema.get(LIST_TYPE) == "set":
            named = [_keyed(item, keys) for item in value]
            for position, item in enumerate(named):
                if any(_same(item, other) for other in named[:position]):
                    yield f"{field}[{position}]", f"duplicate value: {item!r}"
    elif isinstance(value, Mapping):
        yield from _sized(len(value), schema, field, ("minProperties", "maxProperties"), "properties")
    elif isinstance(value, int | float) and not isinstance(value, bool):
        least, most = schema.get("minimum"), schema.get("maximum")
        if least is not None and (value < least or (value == least and schema.get("exclusiveMinimum"))):
            yield field, f"{value} is too small: the minimum is {least}"
        if most is not None and (value > most or (value == most and schema.get("exclusiveMaximum"))):
            yield field, f"{value} is too large: the maximum is {most}"
        step = schema.get("multipleOf")
        if step and value % step:
            yield field, f"{value} should be a multiple of {step}"
        if (schema.get("type"), schema.get("format")) == ("integer", "int32") and not -(
            2**31
        ) <= value < 2**31:
            yield field, f"must be of type integer with format int32: {value}"


def _keyed(item: Any, keys: Any) -> Any:
    """Return what an item of a list is told from the others by."""
    if not isinstance(keys, list):
        return item
    return {name: item[name] for name in keys if name in item} if isinstance(item, Mapping) else item


def _sized(
    size: int, schema: Schema, field: str, names: tuple[str, str], what: str
) -> Iterator[tuple[str, str]]:
    least, most = (schema.get(name) for name in names)
    if isinstance(least, int) and size < least:
        yield field, f"must have at least {least} {what}"
    if isinstance(most, int) and size > most:
        yield field, f"must have at most {most} {what}"


def _junctors(value: Any, schema: Schema, field: str) -> Iterator[tuple[str, str]]:
    def fits(part: Any) -> bool:
        return isinstance(part, Mapping) and next(_wrong(value, part, field), None) is None

    parts = schema.get("allOf")
    if isinstance(parts, list):
        for part in parts:
            if isinstance(part, Mapping):
                yield from _wrong(value, part, field)
    parts = schema.get("anyOf")
    if isinstance(parts, list) and not any(map(fits, parts)):
        yield field, "must validate at least one schema (anyOf)"
    parts = schema.get("oneOf")
    if isinstance(parts, list) and sum(map(fits, parts)) != 1:
        yield field, "must validate one and only one schema (oneOf)"
    if isinstance(schema.get("not"), Mapping) and fits(schema["not"]):
        yield field, "must not validate the schema (not)"


def _is_of(value: Any, kind: str) -> bool:
    if kind == "object":
        return isinstance(value, Mapping)
    if kind == "array":
        return isinstance(value, list)
    if kind == "string":
        return isinstance(value, str)
    if kind == "boolean":
        return isinstance(value, bool)
    if isinstance(value, bool):
        return False
    if kind == "integer":
        # Longer ones are no integers to Gatekeeper, which reads them as floating point.
        whole = isinstance(value, int) or (isinstance(value, float) and value.is_integer())
        return whole and abs(value) <= _LONGEST_INTEGER
    return isinstance(value, int | float)


def _kind(value: Any) -> str:
    for kind in ("boolean", "integer", "number", "string", "array", "object"):
        if _is_of(value, kind):
            return f'"{kind}"'
    return '"null"'


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    return bool(one == other)


def _pattern(text: str, field: str) -> Any:
    try:
        return compile_pattern(text)
    except ValueError as error:
        raise CompileError(str(error), field) from None

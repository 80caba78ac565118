"""What a schema must be for the API server to take a CustomResourceDefinition with it.

https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/#specifying-a-structural-schema
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from webhook.core.errors import CompileError
from webhook.dialects.gatekeeper import schema as schemas
from webhook.dialects.gatekeeper.patterns import compile_pattern
from webhook.dialects.gatekeeper.schema import DEEPEST, INT_OR_STRING, LIST_KEYS, LIST_TYPE, PRESERVE, Schema

_TYPES = frozenset({"object", "array", "string", "integer", "number", "boolean"})
_WHOLE = ("minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties")
_NUMBERS = ("minimum", "maximum", "multipleOf")
_FLAGS = ("nullable", "exclusiveMinimum", "exclusiveMaximum", "uniqueItems", PRESERVE, INT_OR_STRING)
_TEXTS = ("type", "format", "pattern", "description", "title", LIST_TYPE, "x-kubernetes-map-type")
_LISTS = ("required", "enum", "allOf", "anyOf", "oneOf", LIST_KEYS)
_SHAPES: Final[Mapping[str, tuple[type, ...]]] = {
    **dict.fromkeys(_WHOLE, (int,)),
    **dict.fromkeys(_NUMBERS, (int, float)),
    **dict.fromkeys(_FLAGS, (bool,)),
    **dict.fromkeys(_TEXTS, (str,)),
    **dict.fromkeys(_LISTS, (list,)),
}
"""Keywords by what Kubernetes reads them as."""

_ONLY_OUTSIDE = ("type", "default", "description", "title", "nullable", "additionalProperties", PRESERVE)
"""What may not stand below ``allOf``, ``anyOf``, ``oneOf`` and ``not``."""
_EITHER = [{"type": "integer"}, {"type": "string"}]


def check_structural(schema: Any, field: str, depth: int = 0, *, defaults: bool = True) -> None:
    """Refuse a schema that the API server would take no CustomResourceDefinition with.

    Args:
        schema: the schema.
        field: where it stands.
        depth: how deep that is.
        defaults: those that the schema itself doesn't take are refused; the API server doesn't look at
            those below ``additionalProperties``.

    Raises:
        CompileError: it isn't structural; it says where.
    """
    if depth > DEEPEST:
        raise CompileError("is nested too deeply", field)
    if not isinstance(schema, Mapping):
        raise CompileError("must be a map", field)
    _check_keywords(schema, field)
    kind = schema.get("type") or None
    if kind is not None and kind not in _TYPES:
        known = ", ".join(f'"{each}"' for each in sorted(_TYPES))
        raise CompileError(f'Unsupported value: "{kind}": supported values: {known}', f"{field}.type")
    if not kind and not schema.get(PRESERVE) and not schema.get(INT_OR_STRING):
        raise CompileError("Required value: must not be empty for specified object fields", f"{field}.type")
    if schema.get(INT_OR_STRING) and schema.get(PRESERVE):
        raise CompileError(f"must be false if {INT_OR_STRING} is true", f"{field}.{PRESERVE}")
    if kind == "array" and not isinstance(schema.get("items"), Mapping):
        raise CompileError("Required value: must be specified", f"{field}.items")
    _check_list(schema, field)
    if schema.get("properties") and schema.get("additionalProperties") not in (None, True):
        raise CompileError(
            "Forbidden: additionalProperties and properties are mutual exclusive",
            f"{field}.additionalProperties",
        )
    properties = schema.get("properties")
    if properties is not None:
        if not isinstance(properties, Mapping):
            raise CompileError("must be a map", f"{field}.properties")
        for name, value in properties.items():
            check_structural(value or {}, f"{field}.properties[{name}]", depth + 1, defaults=defaults)
    if isinstance(schema.get("items"), Mapping):
        check_structural(schema["items"], f"{field}.items", depth + 1, defaults=defaults)
    if isinstance(schema.get("additionalProperties"), Mapping):
        more = schema["additionalProperties"]
        check_structural(more, f"{field}.additionalProperties", depth + 1, defaults=False)
    for where, part in _junctors(schema, field):
        _check_junctor(part, where, depth + 1)
    if defaults and schema.get("default") is not None:
        _check_default(schema, f"{field}.default")


def _check_keywords(schema: Schema, field: str) -> None:
    for name, shapes in _SHAPES.items():
        value = schema.get(name)
        if value is not None and (
            not isinstance(value, shapes) or isinstance(value, bool) > (bool in shapes)
        ):
            raise CompileError(f"can't be {value!r}", f"{field}.{name}")
    for name in ("required", LIST_KEYS):
        if not all(isinstance(each, str) for each in schema.get(name) or ()):
            raise CompileError("must be a list of strings", f"{field}.{name}")
    if schema.get("$ref"):
        raise CompileError("Forbidden: $ref is not supported", f"{field}.$ref")
    if schema.get("uniqueItems"):
        raise CompileError(
            "Forbidden: uniqueItems cannot be set to true since the runtime complexity becomes quadratic",
            f"{field}.uniqueItems",
        )
    if schema.get(PRESERVE) is False:
        raise CompileError("must be true or undefined", f"{field}.{PRESERVE}")
    if schema.get("pattern"):
        try:
            compile_pattern(schema["pattern"])
        except ValueError as error:
            why = f'Invalid value: "{schema["pattern"]}": must be a valid regular expression, but isn\'t'
            raise CompileError(f"{why}: {error}", f"{field}.pattern") from None


def _check_list(schema: Schema, field: str) -> None:
    how, keys = schema.get(LIST_TYPE), schema.get(LIST_KEYS)
    if how is None:
        return
    if schema.get("type") != "array":
        raise CompileError(f"must be array if {LIST_TYPE} is specified", f"{field}.type")
    items = schema["items"]
    if how == "map" and not keys:
        raise CompileError(f"must not be empty if {LIST_TYPE} is map", f"{field}.{LIST_KEYS}")
    if how in ("map", "set") and items.get("nullable"):
        raise CompileError(f"cannot be nullable when {LIST_TYPE} is {how}", f"{field}.items.nullable")
    if how == "set" and items.get("type") == "object" and items.get("x-kubernetes-map-type") != "atomic":
        raise CompileError(
            f"must be atomic as item of a list with {LIST_TYPE}=set", f"{field}.items.x-kubernetes-map-type"
        )


def _junctors(schema: Schema, field: str) -> Iterator[tuple[str, Any]]:
    for name in ("allOf", "anyOf", "oneOf"):
        parts = schema.get(name) or ()
        # This is how integers and strings are spelled out.
        if name == "anyOf" and schema.get(INT_OR_STRING) and parts == _EITHER:
            continue
        for position, part in enumerate(parts):
            yield f"{field}.{name}[{position}]", part
    if schema.get("not") is not None:
        yield f"{field}.not", schema["not"]


def _check_junctor(part: Any, field: str, depth: int) -> None:
    """Refuse a part of a junctor that does more than to restrict values."""
    if depth > DEEPEST:
        raise CompileError("is nested too deeply", field)
    if not isinstance(part, Mapping):
        raise CompileError("must be a map", field)
    _check_keywords(part, field)
    for name in _ONLY_OUTSIDE:
        if part.get(name):
            raise CompileError("Forbidden: must be empty to be structural", f"{field}.{name}")
    properties = part.get("properties")
    if isinstance(properties, Mapping):
        for name, value in properties.items():
            _check_junctor(value or {}, f"{field}.properties[{name}]", depth + 1)
    if isinstance(part.get("items"), Mapping):
        _check_junctor(part["items"], f"{field}.items", depth + 1)
    for where, inner in _junctors(part, field):
        _check_junctor(inner, where, depth + 1)


def _check_default(schema: Schema, field: str) -> None:
    """Refuse a default that the schema itself doesn't take."""
    schemas.check(schema["default"], schema, field)
    unknown = next(schemas.unknown_fields(schema["default"], schema, field), "")
    if unknown:
        raise CompileError("is a field that the schema doesn't describe", unknown)

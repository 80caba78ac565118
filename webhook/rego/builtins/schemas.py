"""Functions of JSON Schema."""

from __future__ import annotations

from typing import Any, Final

from webhook.rego.builtins.declaration import builtin
from webhook.rego.builtins.json_texts import json_unmarshal
from webhook.rego.context import BuiltinError, Context
from webhook.rego.go.json_reader import is_json
from webhook.rego.plain_json import to_json
from webhook.rego.types import ANY, BOOLEAN, NULL, STRING, Array, Object, Union
from webhook.rego.values import RegoObject

_DOCUMENT: Final = Union((STRING, Object((), (ANY, ANY))))
_FAILURE: Final = Object(tuple((name, STRING) for name in ("desc", "error", "field", "type")))


def _document(context: Context, value: Any) -> Any:
    """Return a document that is given as JSON text or as a value."""
    if value.__class__ is str:
        context.spend(1 + (len(value) >> 1))
        if not is_json(value):
            raise BuiltinError("invalid JSON string")
        return json_unmarshal(context, value)
    if value.__class__ is dict or value.__class__ is list or value.__class__ is RegoObject:
        return to_json(value)
    raise BuiltinError("wrong type, expected string or object")


def _understood(context: Context, schema: Any) -> None:
    from webhook.rego.go.json_schema import check_schema

    check_schema(context, _document(context, schema))


@builtin(
    "json.match_schema",
    (_DOCUMENT, _DOCUMENT),
    Array(None, (BOOLEAN, Array(_FAILURE))),
    needs_context=True,
    constants={1: _understood},
)
def match_schema(context: Context, document: Any, schema: Any) -> list[Any]:
    """Return whether a document is as a schema says, and what isn't."""
    from webhook.rego.go.json_schema import check_schema, failures

    value, wanted = _document(context, document), _document(context, schema)
    check_schema(context, wanted)
    found = failures(context, wanted, value)
    return [not found, found]


@builtin(
    "json.verify_schema",
    (_DOCUMENT,),
    Array(None, (BOOLEAN, Union((NULL, STRING)))),
    needs_context=True,
    constants={0: _understood},
)
def verify_schema(context: Context, schema: Any) -> list[Any]:
    """Return whether it is a schema, and what is wrong with it."""
    from webhook.rego.go.json_schema import check_schema

    try:
        check_schema(context, _document(context, schema))
    except BuiltinError as error:
        return [False, f"jsonschema: {error}"]
    return [True, None]

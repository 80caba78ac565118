"""JSON written and read, as Go's ``encoding/json`` does."""

from __future__ import annotations

from typing import Any

from webhook.rego.builtins.declaration import builtin
from webhook.rego.builtins.operands import check_object, check_texts, operand_error
from webhook.rego.context import Context, OperandError, check_string
from webhook.rego.go.json_reader import is_json, read_json
from webhook.rego.order import entries_in_order
from webhook.rego.types import ANY, BOOLEAN, STRING, Object
from webhook.rego.value_text import json_text, quote, term_text


@builtin("json.marshal", (ANY,), STRING, needs_context=True)
def json_marshal(context: Context, value: Any) -> str:
    """Return the value as JSON, as Go writes it."""
    text = json_text(value)
    check_string(len(text))
    context.spend(1 + (len(text) >> 4))
    return text


_OPTIONS = Object(
    (("indent", STRING), ("prefix", STRING), ("pretty", BOOLEAN)),
    (STRING, ANY),
)


@builtin("json.marshal_with_options", (ANY, _OPTIONS), STRING, needs_context=True)
def json_marshal_with_options(context: Context, value: Any, options: Any) -> str:
    """Return the value as JSON, indented if that is asked for."""
    check_object(options, 2)
    indent, prefix, implicit, pretty = "\t", "", False, None
    for index, (key, option) in enumerate(entries_in_order(options)):
        if key.__class__ is not str:
            problem = operand_error(index, key, "string")
            raise OperandError(
                f"operand 2 failed to stringify key {term_text(key)} at index {index}: {problem}"
            )
        if key in ("prefix", "indent"):
            if option.__class__ is not str:
                problem = operand_error(index, option, "string")
                raise OperandError(f"operand 2 key {quote(key)} failed cast to string: {problem}")
            implicit = True
            if key == "prefix":
                prefix = option
            else:
                indent = option
        elif key == "pretty":
            if option.__class__ is not bool:
                raise OperandError(f"operand 2 key {quote(key)} failed cast to bool")
            pretty = option
        else:
            raise OperandError(f"operand 2 object contained unknown key {quote(key)}")
    if not (implicit if pretty is None else pretty):
        return json_marshal(context, value)
    context.spend((len(indent) + len(prefix)) >> 2)
    if len(indent) + len(prefix) > 256:
        check_string(json_text(value, prefix="", indent="").count("\n") * (len(indent) * 8 + len(prefix)))
    text = prefix + json_text(value, prefix=prefix, indent=indent)
    check_string(len(text))
    context.spend(1 + (len(text) >> 4))
    return text


@builtin("json.unmarshal", (STRING,), ANY, needs_context=True)
def json_unmarshal(context: Context, text: Any) -> Any:
    """Return the value of a JSON text."""
    check_texts(text)
    context.spend(1 + (len(text) >> 1))
    return read_json(text)


@builtin("json.is_valid", (STRING,), BOOLEAN, needs_context=True)
def json_is_valid(context: Context, text: Any) -> bool:
    """Tell whether it is a JSON text."""
    if text.__class__ is not str:
        return False
    context.spend(1 + (len(text) >> 1))
    return is_json(text)

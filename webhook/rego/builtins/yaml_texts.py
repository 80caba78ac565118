"""Functions of YAML."""

from __future__ import annotations

from typing import Any

from webhook.rego.builtins.declaration import builtin
from webhook.rego.builtins.operands import check_texts
from webhook.rego.context import BuiltinError, Context, check_string
from webhook.rego.types import ANY, BOOLEAN, STRING
from webhook.rego.value_text import json_text


@builtin("yaml.marshal", (ANY,), STRING, needs_context=True)
def yaml_marshal(context: Context, value: Any) -> str:
    """Return the value as YAML."""
    from webhook.rego.go.yaml_writer import write_yaml  # late: few policies need it

    size = len(json_text(value))
    check_string(size)
    context.spend(10 + (size >> 1))
    text = write_yaml(value)
    check_string(len(text))
    return text


@builtin("yaml.unmarshal", (STRING,), ANY, needs_context=True)
def yaml_unmarshal(context: Context, text: Any) -> Any:
    """Return the value of a YAML text's first document."""
    check_texts(text)
    return _read(context, text)


@builtin("yaml.is_valid", (STRING,), BOOLEAN, needs_context=True)
def yaml_is_valid(context: Context, text: Any) -> bool:
    """Tell whether it is YAML."""
    if text.__class__ is not str:
        return False
    try:
        _read(context, text)
    except BuiltinError:
        return False
    return True


def _read(context: Context, text: str) -> Any:
    from webhook.rego.go.yaml_reader import read_yaml

    context.spend(20 + len(text) * 3)  # the reader doesn't ask for the time
    return read_yaml(context, text)

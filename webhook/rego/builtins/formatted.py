"""Strings made of values: ``sprintf``, ``format_int`` and templates."""

from __future__ import annotations

from typing import Any

from webhook.rego import numbers
from webhook.rego.builtins.declaration import builtin
from webhook.rego.builtins.operands import check_number, check_object, check_texts, operand_error
from webhook.rego.context import Context, OperandError, check_string
from webhook.rego.go import big_floats
from webhook.rego.go.printing import sprintf
from webhook.rego.order import members_in_order
from webhook.rego.plain_json import to_json
from webhook.rego.types import ANY, ARRAY_OF_ANY, NUMBER, STRING, Object
from webhook.rego.value_text import term_text
from webhook.rego.values import RegoSet


@builtin("format_int", (NUMBER, NUMBER), STRING)
def format_int(number: Any, base: Any) -> str:
    """Return the integer part in base 2, 8, 10 or 16."""
    check_number(number, 1)
    check_number(base, 2)
    if base.__class__ is not int or base not in (2, 8, 10, 16):
        raise OperandError("operand 2 must be one of {2, 8, 10, 16}")
    if number.__class__ is int and number.bit_length() <= big_floats.PRECISION:
        whole = number
    else:
        whole = numbers.exact_number(big_floats.truncated(big_floats.binary(number)))
    return format(whole, {2: "b", 8: "o", 10: "d", 16: "x"}[base])


@builtin("sprintf", (STRING, ARRAY_OF_ANY), STRING, needs_context=True)
def sprintf_(context: Context, template: Any, values: Any) -> str:
    """Return the template with its verbs replaced, as Go's ``fmt.Sprintf`` does."""
    check_texts(template)
    if values.__class__ is not list:
        raise operand_error(2, values, "array")
    result = sprintf(template, values)
    context.spend(2 + len(values) + (len(result) >> 5))
    return result


@builtin("internal.template_string", (ARRAY_OF_ANY,), STRING, needs_context=True)
def template_string(context: Context, parts: Any) -> str:
    """Return the parts of a template string: texts, and sets of at most one value, none being undefined."""
    if parts.__class__ is not list:
        raise operand_error(1, parts, "array")
    texts: list[str] = []
    size = 0
    for part in parts:
        found = part
        if part.__class__ is RegoSet:
            if not len(part):
                texts.append("<undefined>")
                continue
            found = members_in_order(part)[0]
        texts.append(found if found.__class__ is str else term_text(found))
        size += len(texts[-1])
        check_string(size)
    context.spend(len(texts) + (size >> 6))
    return "".join(texts)


def _understood(context: Context, template: Any) -> None:
    from webhook.rego.go.templates import check

    check_texts(template)
    check(context, template)


@builtin(
    "strings.render_template",
    (STRING, Object((), (STRING, ANY))),
    STRING,
    needs_context=True,
    constants={0: _understood},
)
def render_template(context: Context, template: Any, values: Any) -> str:
    """Return a template of Go with values put in."""
    from webhook.rego.go.templates import render

    check_texts(template)
    check_object(values, 2)
    return render(context, template, to_json(values)).replace("<no value>", "<undefined>")

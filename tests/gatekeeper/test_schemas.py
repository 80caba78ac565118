"""Schemas of templates: which are taken, which constraints they take, and what they fill in.

What is expected here an API server with Gatekeeper's webhook said of the same templates and constraints.
"""

from __future__ import annotations

from typing import Any

import pytest

from tests.gatekeeper.gk import constraint, template
from webhook.core.errors import CompileError
from webhook.dialects.gatekeeper.constraint import check_constraint, compile_constraint
from webhook.dialects.gatekeeper.schema import defaulted
from webhook.dialects.gatekeeper.template import Template, compile_template

PRESERVE, INT_OR_STRING = "x-kubernetes-preserve-unknown-fields", "x-kubernetes-int-or-string"
LIST_TYPE, LIST_KEYS = "x-kubernetes-list-type", "x-kubernetes-list-map-keys"
TEXT, WHOLE = {"type": "string"}, {"type": "integer"}
WRONG = {**WHOLE, "default": "x"}


def fields(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties}


def compiled(schema: Any, *, legacy: bool = False) -> Template:
    source = {"engine": "K8sNativeValidation", "source": {"validations": [{"expression": "true"}]}}
    made = template("K8sShown", source, schema=schema)
    made["spec"]["crd"]["spec"]["validation"]["legacySchema"] = legacy
    return compile_template(made)


def of(parameters: Any, **spec: Any) -> dict[str, Any]:
    return constraint("K8sShown", "shown", parameters=parameters, **spec)


@pytest.mark.parametrize(
    ("schema", "said"),
    [
        (fields(a=WRONG), "properties[a].default: must be of type integer"),
        (fields(a={"type": "array", "items": WRONG}), "properties[a].items.default: must be of type integer"),
        ({**fields(a={**TEXT, "default": "x"}), "required": ["a"], "default": {}}, "default.a: is required"),
        (fields(a={**fields(b=TEXT), "default": {"c": 1}}), "properties[a].default.c: is a field that"),
        (fields(a={"$ref": "#/definitions/x", **TEXT}), "$ref is not supported"),
        (fields(a={"type": "array", "items": TEXT, "uniqueItems": True}), "uniqueItems cannot be set"),
        (fields(a={**TEXT, LIST_TYPE: "set"}), "must be array if"),
        (fields(a={"type": "array", "items": fields(b=TEXT), LIST_TYPE: "map"}), "must not be empty if"),
        (fields(a={"type": "array", "items": fields(b=TEXT), LIST_TYPE: "set"}), "must be atomic"),
        (
            fields(
                a={
                    "type": "array",
                    "items": {**fields(b=TEXT), "nullable": True},
                    LIST_TYPE: "map",
                    LIST_KEYS: ["b"],
                }
            ),
            "cannot be nullable when",
        ),
        (fields(a={**TEXT, "anyOf": [TEXT]}), "properties[a].anyOf[0].type: Forbidden: must be empty"),
        (fields(a={**TEXT, "not": {"anyOf": [{"default": "x"}]}}), "not.anyOf[0].default: Forbidden"),
        (fields(a={**TEXT, PRESERVE: False}), "must be true or undefined"),
        (fields(a={INT_OR_STRING: True, PRESERVE: True}), "must be false if x-kubernetes-int-or-string"),
        (fields(a={**TEXT, "minLength": "1"}), "minLength: can't be '1'"),
        (fields(a={**WHOLE, "exclusiveMinimum": 1}), "exclusiveMinimum: can't be 1"),
        (fields(a={**WHOLE, "minimum": True}), "minimum: can't be True"),
        (fields(a={"type": "object", "required": "b"}), "required: can't be 'b'"),
        (fields(a={"type": "object", "required": [1]}), "required: must be a list of strings"),
        (fields(a={**fields(b=TEXT), "additionalProperties": False}), "mutual exclusive"),
        (fields(a=None), "must not be empty for specified object fields"),
    ],
)
def test_a_schema_that_the_api_server_refuses_is_refused(schema: Any, said: str) -> None:
    with pytest.raises(CompileError) as caught:
        compiled(schema)
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("schema", "legacy"),
    [
        ({"type": "object", "additionalProperties": WRONG}, False),
        ({"type": "object", "additionalProperties": fields(a=WRONG)}, False),
        (fields(a={**TEXT, "default": None}), False),
        (fields(a={"type": "number", "format": "int32", "default": 2**40}), False),
        (fields(a={**fields(b=TEXT), "additionalProperties": True}), False),
        (fields(a={INT_OR_STRING: True, "anyOf": [WHOLE, TEXT]}), False),
        (fields(a={**TEXT, "anyOf": [{"minLength": 1}, {"enum": ["x"]}]}), False),
        (fields(a={**fields(b=TEXT), "anyOf": [{"properties": {"b": {"minLength": 1}}}]}), False),
        (fields(a={"type": ""}), True),
        (fields(a=None), True),
    ],
)
def test_a_schema_that_the_api_server_takes_is_taken(schema: Any, legacy: bool) -> None:
    compiled(schema, legacy=legacy)


def test_a_legacy_schema_has_no_integers_or_strings() -> None:
    """Gatekeeper opens every part without a type, and the API server then refuses the kind."""
    schema = fields(a={INT_OR_STRING: True})
    compiled(schema)
    with pytest.raises(CompileError, match="must be false if x-kubernetes-int-or-string is true"):
        compiled(schema, legacy=True)


SET = {"type": "array", "items": TEXT, LIST_TYPE: "set"}
MAP = {
    "type": "array",
    "items": {**fields(b=TEXT, c=WHOLE), "required": ["b"]},
    LIST_TYPE: "map",
    LIST_KEYS: ["b"],
}


@pytest.mark.parametrize(
    ("schema", "parameters", "said"),
    [
        (fields(a=TEXT), {"a": None}, ""),
        (fields(a=TEXT), None, ""),
        ({"type": "object", "additionalProperties": WHOLE}, {"a": None}, ""),
        ({**fields(a={**TEXT, "default": "x"}), "minProperties": 1}, {}, ""),
        ({**fields(a={**TEXT, "default": "x"}), "required": ["a"]}, {"a": None}, ""),
        ({**fields(a=TEXT), "required": ["a"]}, {"a": None}, "spec.parameters.a: is required"),
        (fields(a={"type": "array", "items": {INT_OR_STRING: True}}), {"a": [None]}, "integer,string: null"),
        (fields(a={"type": "array", "items": {**WHOLE, "default": 1}}), {"a": [None]}, ""),
        (fields(a=WHOLE), {"a": 2**53 - 1}, ""),
        (fields(a=WHOLE), {"a": 2**53}, "must be of type integer"),
        (fields(a={**WHOLE, "format": "int32"}), {"a": 2**31}, "with format int32"),
        (fields(a={"type": "number", "format": "int32"}), {"a": 2**31}, ""),
        (fields(a={**TEXT, "nullable": True, "enum": ["x", None]}), {"a": None}, "unsupported value: null"),
        (fields(a={**TEXT, "enum": []}), {"a": "y"}, ""),
        (fields(a=SET), {"a": ["x", "y"]}, ""),
        (fields(a=SET), {"a": ["x", "y", "x"]}, "spec.parameters.a[2]: duplicate value: 'x'"),
        (fields(a=MAP), {"a": [{"b": "x", "c": 1}, {"b": "y", "c": 1}]}, ""),
        (fields(a=MAP), {"a": [{"b": "x", "c": 1}, {"b": "x", "c": 2}]}, "duplicate value: {'b': 'x'}"),
        (fields(a={"type": "object", "additionalProperties": False}), {"a": {}}, ""),
        (fields(a={"type": "object", "additionalProperties": False}), {"a": {"b": 1}}, "a.b: is a forbidden"),
    ],
)
def test_a_constraint_is_judged_as_the_api_server_stores_it(schema: Any, parameters: Any, said: str) -> None:
    if not said:
        check_constraint(of(parameters), compiled(schema))
        return
    with pytest.raises(CompileError) as caught:
        check_constraint(of(parameters), compiled(schema))
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({}, {"a": "x"}),
        ({"a": None, "b": None}, {"a": "x"}),
        ({"b": "y", "more": None}, {"a": "x", "b": "y"}),
        ({"list": [None, 2], "free": {"c": None}}, {"a": "x", "list": [1, 2], "free": {"c": None}}),
        ({"map": {"d": None, "e": "f"}}, {"a": "x", "map": {"e": "f"}}),
        ({"maybe": None}, {"a": "x", "maybe": None}),
    ],
)
def test_null_becomes_the_default_or_goes(value: Any, expected: Any) -> None:
    schema = {
        **fields(
            a={**TEXT, "default": "x"},
            b=TEXT,
            list={"type": "array", "items": {**WHOLE, "default": 1}},
            free={"type": "object", PRESERVE: True},
            map={"type": "object", "additionalProperties": TEXT},
            maybe={**TEXT, "nullable": True, "default": None},
        ),
        "additionalProperties": TEXT,
    }
    assert defaulted(value, schema) == expected


@pytest.mark.parametrize(
    ("selector", "said"),
    [
        ({"matchLabels": {"a": "b c"}}, "the label 'a': a valid label must be"),
        ({"matchLabels": {"a b": "c"}}, "the label 'a b': name part"),
        ({"matchLabels": {"a/b/c": "d"}}, "the label 'a/b/c': a valid label key"),
        ({"matchExpressions": [{"key": "a", "operator": "In", "values": ["-"]}]}, "a valid label must be"),
        ({"matchExpressions": [{"key": "A..b/c", "operator": "Exists"}]}, "prefix part"),
        ({"matchLabels": {"A.b_c": "", "example.com/x-y": "Z.1"}}, ""),
    ],
)
@pytest.mark.parametrize("name", ["labelSelector", "namespaceSelector"])
def test_a_selector_of_no_labels_is_refused(name: str, selector: Any, said: str) -> None:
    asked, around = of({}, match={name: selector}), compiled({"type": "object"})
    if not said:
        compile_constraint(asked, around, lambda _: "")
        return
    with pytest.raises(CompileError) as caught:
        compile_constraint(asked, around, lambda _: "")
    assert f"spec.match.{name}: " in str(caught.value)
    assert said in str(caught.value)

"""What builtins don't support of schemas and templates is refused with its line, or said when it comes."""

from __future__ import annotations

import json

import pytest

from webhook.core.errors import CompileError, EvaluationError
from webhook.rego import Context, RegoProgram, compile_modules
from webhook.rego.go.json_schema import UNSUPPORTED

REFUSED = {
    "a schema": ('p if {\n  json.match_schema(input, {"allOf": []})[0]\n}', 3, "allOf"),
    "a schema inside": (
        'p if {\n  json.match_schema(input, {"properties": {"a": {"not": {}}}})[0]\n}',
        3,
        "not",
    ),
    "a rule": ('schema := {"$ref": "x"}\np if {\n  json.match_schema(input, schema)[0]\n}', 4, "$ref"),
    "a rule's second value": (
        'schema := {} if input.a\nelse := {"format": "date"}\np := json.match_schema(input, schema)',
        4,
        "format",
    ),
    "a rule of a rule": (
        'schema := inner\ninner := {"if": true}\np := json.match_schema(input, schema)',
        4,
        "if",
    ),
    "a variable": (
        'p if {\n  s := {"oneOf": []}\n  [ok, _] := json.match_schema(input, s)\n  ok\n}',
        4,
        "oneOf",
    ),
    "a text": ('p if {\n  json.verify_schema(`{"contains": {}}`)[0]\n}', 3, "contains"),
    "in a comprehension": (
        'p := {x |\n  some y in input\n  x := json.match_schema(y, {"anyOf": [{}]})\n}',
        4,
        "anyOf",
    ),
    "in a function": ('f(x) := json.match_schema(x, {"items": [{}]})', 2, "a list of items"),
    "a Go function": (
        'p := x if {\n  x := strings.render_template("{{printf `a`}}", {})\n}',
        3,
        "the function printf",
    ),
    "a part of a template": (
        'p := strings.render_template("{{define `a`}}{{end}}", input)',
        2,
        "{{define}}",
    ),
    "a variable set anew": (
        'p := strings.render_template("{{$a := 1}}{{if .b}}{{$a = 2}}{{end}}{{$a}}", input)',
        2,
        "setting a variable anew",
    ),
    "a field of parentheses": ('p := strings.render_template("{{(.a).b}}", input)', 2, "parentheses, .b,"),
    "nil": ('p := strings.render_template("{{if eq .a nil}}{{end}}", input)', 2, "nil"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_constant_is_refused_when_it_is_compiled(name: str) -> None:
    text, line, what = REFUSED[name]
    with pytest.raises(CompileError) as caught:
        compile_modules({"t.rego": f"package t\n{text}"}, version="v1")
    assert caught.value.line == line
    assert f"{what} is not supported" in str(caught.value)


@pytest.mark.parametrize("keyword", sorted(UNSUPPORTED))
def test_a_keyword_is_refused_or_said(keyword: str) -> None:
    schema = json.dumps({"properties": {"a": {keyword: {}}}})
    with pytest.raises(CompileError, match="is not supported"):
        compile_modules({"t.rego": f"package t\np := json.verify_schema({schema})"}, version="v1")
    late = program("p := json.match_schema({}, input)")
    with pytest.raises(EvaluationError, match="is not supported"):
        late.evaluate(json.loads(schema), {}, Context())


def program(text: str) -> RegoProgram:
    return compile_modules({"t.rego": f"package t\n{text}"}, version="v1", entry=("t", "p"))


@pytest.mark.parametrize(
    "template",
    [
        "{{html .a}}",
        "{{index .a 1}}",
        "{{template `a`}}",
        "{{(.a).b}}",
        "{{range $i = .a}}{{end}}",
        "{{'a'}}",
    ],
)
def test_a_template_that_comes_late_is_an_error_and_no_answer(template: str) -> None:
    late = program("p := strings.render_template(input.t, {})")
    with pytest.raises(EvaluationError, match="is not supported"):
        late.evaluate({"t": template}, {}, Context())


@pytest.mark.parametrize(
    "text",
    [
        'p := json.match_schema({"allOf": 1}, {"type": "object"})',
        'p := strings.render_template("{{.a}}", {"a": "{{define}}"})',
        'p := strings.render_template("{{sprig .a}}", {})',
        'p := [s | s := {"allOf": []}]',
    ],
)
def test_what_is_supported_or_undefined_in_opa_too_is_compiled(text: str) -> None:
    program(text)

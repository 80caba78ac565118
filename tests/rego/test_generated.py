"""Generated code holds constants by `repr` and the generator's own names: nothing of a policy is Python."""

import ast
import builtins
import keyword

import pytest

from webhook.rego import Context, compile_modules
from webhook.rego.codegen.helpers import HELPERS
from webhook.rego.plain_json import to_json
from webhook.rego.values import UNDEFINED

HOSTILE_TEXTS = [
    "'",
    '"',
    "\\",
    "\\'",
    "'''",
    '"""',
    "\n",
    "\r",
    "\u2028",
    "\x00",
    "'; __import__('os').abort(); '",
    "{weight}",
    "{0}",
    "%s",
    "v1",
    "F0 I0 B0 t1 t2 r3",
    "# -*- coding: utf-7 -*-",
    "\ufeff",
    "\U0001f600",
    "')\n raise SystemExit('",
]

SHAPES = {
    "value": "p = {0}",
    "key": "p[x] {{ x = {{ {0}: {0} }} }}",
    "reference": "p {{ not input[{0}] }}",
    "chain": "p {{ not input.a[{0}][{0}] }}",
    "loop": "p[x] {{ x = input.a[_][{0}] }}",
    "argument": "f({0}) = {0} {{ true }}\np = x {{ x = f({0}) }}",
    "data": "p {{ not data[{0}].x }}",
    "package member": "p {{ not data.t[{0}] }}",
    "pattern": "p {{ not [{0}, 1] = input.a }}",
    "comparison": "p {{ input.a != {0} }}",
    "with": 'q {{ input.a[{0}] }}\np {{ q with input as {{ "a": {{ {0}: true }} }} }}',
    "with data": "p = x {{ x = data.foo with data.foo as {0} }}",
    "comprehension": "p = [x | x = {0}]",
    "object": "p[{0}] = {0} {{ true }}",
    "set": "p = {{ {0} }}",
    "builtins": 'p = x {{ x = replace(trim_suffix(concat("", [{0}, {0}]), {0}), {0}, {0}) }}',
    "before a loop": "p = x {{ y = input.a[0][{0}]; not y != {0}; x = [z | z = input.a[_][y]] }}",
    "function of texts": "f(x, y) {{ x == y; x == {0}; y == {0}; x != 1 }}\np = x {{ x = f({0}, {0}) }}",
}


def rego_text(text: str) -> str:
    return '"' + "".join(one if one.isalnum() else f"\\u{ord(one):04x}" for one in text) + '"'


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES.keys())
@pytest.mark.parametrize("text", HOSTILE_TEXTS, ids=ascii)
def test_texts_of_a_policy_stay_texts(shape: str, text: str) -> None:
    quoted = '"' + text + '"' if ord(max(text)) > 0xFFFF else rego_text(text)
    program = compile_modules({"t.rego": "package t\n" + shape.format(quoted)}, entry=("t", "p"))
    check_source(program.source)
    value = program.evaluate({"a": [{text: text}]}, {}, Context())
    assert value is not UNDEFINED
    if shape.startswith("p = {0}"):
        assert value == text


def check_source(source: str) -> None:
    """Every name in the code is a helper's, or was made by the generator; nothing is imported or opened."""
    for node in ast.walk(ast.parse(source)):
        assert not isinstance(node, _NEVER), source
        if isinstance(node, ast.Name):
            assert node.id in ("_", "t", "error") or node.id in HELPERS or is_generated(node.id), source
        if isinstance(node, ast.Attribute):
            assert node.attr in _ATTRIBUTES, (node.attr, source)


_NEVER = (ast.Import, ast.ImportFrom, ast.Global, ast.Lambda, ast.JoinedStr, ast.ClassDef)
_ATTRIBUTES = {"get", "append", "put", "add", "finish", "left", "spend", "cache", "input", "data", "budget"}
_ATTRIBUTES |= {"context", "mocks", "startswith", "endswith", "__class__"}
_ATTRIBUTES |= {"collect", "collect_all", "members", "strict", "lower", "upper", "isascii"}
_ATTRIBUTES |= {"replace", "split", "removeprefix", "removesuffix", "clear"}


def is_generated(name: str) -> bool:
    head = name.removesuffix("_value").replace("_", "")
    return len(head) > 1 and head[0].isalpha() and head[1:].isdigit()


NAMES = [
    *[name for name in keyword.kwlist if name not in ("import", "default", "else", "with", "as", "not")],
    "__import__",
    "__builtins__",
    "__class__",
    "eval",
    "F0",
    "B0",
    "I0",
    "U",
    "ONCE",
    "SET",
    "t1",
    "r_0",
    "k_0",
    "r_0_value",
    "v2",
]


@pytest.mark.parametrize("name", NAMES)
def test_names_of_a_policy_are_not_names_of_the_code(name: str) -> None:
    if name in ("None", "True", "False", "in", "if"):
        name = name.lower() + "_"
    module = f"""package t
{name}_rule[x] {{ {name} := input.a[_]; x := {name} }}
{name}_f({name}) = {name} {{ {name} > 0 }}
p[x] {{ some {name}; {name}_rule[{name}]; x := {name}_f({name}) }}
"""
    program = compile_modules({"t.rego": module}, entry=("t", "p"))
    check_source(program.source)
    assert to_json(program.evaluate({"a": [1, 2]}, {}, Context())) == [1, 2]


def test_a_program_sees_none_of_pythons_builtins() -> None:
    program = compile_modules({"t.rego": "package t\np = 1"}, entry=("t", "p"))
    names = {n.id for n in ast.walk(ast.parse(program.source)) if isinstance(n, ast.Name)}
    assert HELPERS["__builtins__"] == {}
    assert not names & set(dir(builtins))

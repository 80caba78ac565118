"""What `webhook.rego.compile` says of the rules that it hands over is so, for every case of OPA's own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.rego.front.checks import VERSIONS, compiled, own_cases, problems
from webhook.core.errors import CompileError
from webhook.rego import ast
from webhook.rego.ast import Body, Call, Every, Expr, Not, Ref, Rule, Some, Term, Var, Version
from webhook.rego.compile import Compiled
from webhook.rego.node_text import show_body

DYNAMIC = (Ref, Call, ast.TemplateString, *ast.COMPREHENSIONS)

POLICY = """
package t
import rego.v1
import data.lib.names as others

p contains {"a": lower(x), "b": [input.c, count(others)]} if {
    some x in input.xs[count(input.ys)]
    not startswith(lower(x), input.prefix[f(x)].name)
    every k, v in object.get(input, "o", {}) { k != trim(v, " "); v in {upper(w) | some w in input.ws} }
    print(x)
    z := {k: f(v) | some k, v in input.o} with input.o as {"k": f(1)}
    z == {} with data.lib.names as others
} else := 1
f(x) := {"y": [x, input.z]}.y[1] if [x, _] = [1, input.q]
q[input.a[b]].c[f(b)] := b if { b := input.bs[_] }
""".replace("} else := 1\n", "}\n")


def bodies(rule: Rule) -> Iterator[Body]:
    yield rule.body
    for expr in rule.body:
        yield from inner_bodies(expr)


def inner_bodies(node: Term | Expr) -> Iterator[Body]:
    if isinstance(node, Expr):
        terms = node.terms
        if isinstance(terms, Every | Not):
            yield terms.body
            for expr in terms.body:
                yield from inner_bodies(expr)
        elif not isinstance(terms, Some):
            yield from inner_bodies(terms)
    elif isinstance(node, ast.COMPREHENSIONS):
        yield node.body
        for expr in node.body:
            yield from inner_bodies(expr)
    else:
        for one in ast.operands(node):
            yield from inner_bodies(one)


def static(term: Term) -> bool:
    """Tell whether nothing in a term needs evaluation."""
    return not isinstance(term, DYNAMIC) and all(map(static, ast.operands(term)))


def shallow(term: Term) -> bool:
    """Tell whether only the term itself may be a reference or a comprehension."""
    if isinstance(term, Ref):
        return isinstance(term.terms[0], Var) and all(map(static, term.terms[1:]))
    if isinstance(term, ast.ObjectComprehension):
        return static(term.key) and static(term.value)
    if isinstance(term, ast.ArrayComprehension | ast.SetComprehension):
        return static(term.term)
    return static(term)


def broken(expr: Expr) -> str | None:
    """Say which promise an expression breaks."""
    terms = expr.terms
    if isinstance(terms, Some):
        return "a some is left"
    for modifier in expr.with_:
        if not isinstance(modifier.target, Ref):
            return "the target of a with is no reference"
        if not (static(modifier.value) or isinstance(modifier.value, Ref)):
            return "the value of a with needs evaluation"
    if isinstance(terms, Every):
        return None if static(terms.domain) else "the domain of an every needs evaluation"
    if isinstance(terms, Not):
        return None
    if not isinstance(terms, Call):
        return None if shallow(terms) else "a term has more than itself to evaluate"
    if terms.name in ("assign", "print") or (terms.name == "equal" and len(terms.args) < 3):
        return f"a call of {terms.name} is left"
    if terms.name == "eq":
        return None if all(map(shallow, terms.args)) else "an operand of eq has more than itself to evaluate"
    return None if all(map(static, terms.args)) else "an operand needs evaluation"


def check(result: Compiled) -> None:
    for rule in result.rules.values():
        head = rule.head
        for term in (*head.args, *head.ref.terms[1:], head.key, head.value):
            assert term is None or static(term), (rule.location, term)
        for body in bodies(rule):
            for expr in body:
                assert broken(expr) is None, (expr.location, expr)
    places = {one: index for index, one in enumerate(result.order)}
    assert set(places) == set(result.rules)
    for one, others in result.dependencies.items():
        assert all(places[other] < places[one] for other in others)


def test_promises_hold_of_a_policy_with_everything() -> None:
    check(compiled({"t.rego": POLICY, "l.rego": 'package lib\nnames = ["a"] { true }'}, "v0"))


@pytest.mark.parametrize("version", VERSIONS)
def test_promises_hold_of_a_sample_of_opa_s_cases(opa_cases: Path, version: Version) -> None:
    check_cases(opa_cases, version, 5)


@pytest.mark.long
@pytest.mark.parametrize("version", VERSIONS)
def test_promises_hold_of_every_case_of_opa(opa_cases: Path, version: Version) -> None:
    check_cases(opa_cases, version, 1)


def check_cases(folder: Path, version: Version, step: int) -> None:
    checked = 0
    for number, case in enumerate(own_cases(folder, version)):
        if number % step:
            continue
        modules = {f"{place}.rego": text for place, text in enumerate(case.fields["modules"])}
        try:
            result = compiled(modules, version)
        except CompileError:
            continue
        check(result)
        checked += 1
    assert checked > 1000 // step


@pytest.mark.parametrize(
    ("rule", "body"),
    [
        ("p { not f(input.x) }\nf(x) = x", "__local1__ = input.x; not data.t.f(__local1__)"),
        (
            "p { not count(input.x) > 0 }",
            "__local1__ = input.x; count(__local1__, __local0__); not gt(__local0__, 0)",
        ),
        ("p { y > 1; y = input.x }", "y = input.x; gt(y, 1)"),
        ("p { x := 1; x == 1 }", "__local0__ = 1; __local0__ = 1"),
        ("p { x == 1; x := input.y }", None),
        ("p { print(1) }", "true"),
        ("p = x { some i; x := input.xs[i] }", "__local1__ = input.xs[__local0__]"),
        ("p { z = [y | y > x]; x = input.n; y = 1 }", "x = input.n; y = 1; z = [y | gt(y, x)]"),
    ],
)
def test_the_body_of_a_rule_becomes(rule: str, body: str | None) -> None:
    text = f"package t\n{rule}"
    if body is None:
        assert problems(text, "v0")
    else:
        assert show_body(compiled({"t.rego": text}, "v0").rules["t.rego", 0, 0].body) == body

"""What the generated code computes itself is what the builtins compute, and costs what they cost."""

from __future__ import annotations

import time

import pytest

from webhook.core.activation import Budget
from webhook.core.errors import BudgetExceeded
from webhook.rego import Context, compile_modules


def _evaluate(rules: str, value: object, context: Context | None = None) -> object:
    program = compile_modules({"t.rego": f"package t\n{rules}"}, version="v0", entry=("t", "p"))
    return program.evaluate(value, {}, context or Context())


@pytest.mark.parametrize(
    ("expression", "result"),
    [
        ("100000000000000000000 + 1", 100000000000000000000),
        ("9223372036854775807 + 1", 9223372036854775808),
        ("18446744073709551617 - 18446744073709551616", 0),
        ("input.x + input.x", 200000000000000000000),
        ("input.y - input.x", 100000000000000000000),
        ("4611686018427387904 + 4611686018427387904", 9223372036854775808),
    ],
)
def test_sums_of_large_integers_are_rounded_to_64_bits(expression: str, result: int) -> None:
    value = {"x": 100000000000000000000, "y": 200000000000000000001}
    assert _evaluate(f"p = x {{ x := {expression} }}", value) == result


@pytest.mark.parametrize("length", [10, 5000])
def test_short_and_long_texts_contain_the_same(length: int) -> None:
    value = {"x": "a" * length + "b"}
    assert _evaluate('p { contains(input.x, "ab"); not contains(input.x, "ba") }', value) is True


@pytest.mark.parametrize(
    "rules",
    [
        "s := {x | x := input.many[_]}\np { i := input.many[_]; count(s - {i}) < 0 }",
        "p { i := input.many[_]; array.reverse(input.many)[0] < i - 1000000 }",
        "p { i := input.many[_]; array.slice(input.many, 1, 1000000)[0] < i - 1000000 }",
        'p { i := input.many[_]; contains(input.text, sprintf("%d", [i])) }',
        'p { i := input.many[_]; count(trim(input.text, sprintf("%d", [i]))) < 0 }',
        'p { i := input.many[_]; strings.count(input.text, sprintf("%d", [i])) > 0 }',
    ],
)
def test_a_loop_of_costly_calls_stops_soon_after_the_deadline(rules: str) -> None:
    end = time.monotonic() + 0.05  # far less than any of the loops takes
    context = Context(budget=Budget(steps=10**9, expired=lambda: time.monotonic() > end))
    start = time.monotonic()
    with pytest.raises(BudgetExceeded):
        _evaluate(rules, {"many": list(range(60_000)), "text": "ab" * 500_000}, context)
    assert time.monotonic() - start < 20

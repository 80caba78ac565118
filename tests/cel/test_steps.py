"""Steps bound the time and the memory of an expression, whatever its functions build or read."""

from __future__ import annotations

import random
from typing import Any

import pytest

from webhook.cel import compile_expression
from webhook.core.activation import Activation, Budget
from webhook.core.errors import BudgetExceeded, EvaluationError

COUNT = list(range(100))
ENTRIES = ", ".join(f"'k{number}': y" for number in range(200))
AB = "".join(random.Random(1).choice("ab") for _ in range(100_000))


def outcomes(source: str, obj: Any, steps: int = 200_000) -> list[Any]:
    """Return the value of each tier, or the class of its error."""
    expression = compile_expression(source)
    results = []
    for program in (expression.run, expression.exact):
        try:
            results.append(program(Activation(object=obj, budget=Budget(steps))))
        except EvaluationError as error:
            results.append(type(error))
    return results


def spent(source: str, obj: Any) -> int:
    """Return the steps that the exact tier takes."""
    budget, steps = Budget(10**9), 10**9
    compile_expression(source).exact(Activation(object=obj, budget=budget))
    return steps - budget.left - budget._reserve


@pytest.mark.parametrize(
    ("source", "obj"),
    [
        ("object.l.map(x, object.s.replace('a', object.r)).size() > 0", {"s": "a" * 60_000, "r": "b" * 120}),
        ("object.l.map(x, object.q.join(object.r)).size() > 0", {"q": ["x" * 100] * 1000, "r": "y" * 5000}),
        ("object.l.map(x, object.s.split('')).size() > 0", {"s": "中" * 100_000}),
        ("object.l.map(x, object.s.split('a')).size() > 0", {"s": "a中" * 50_000}),
        ("object.l.map(x, '%.65535e%.65535e'.format([1.0, 1.0])).size() > 0", {"l": list(range(1000))}),
        ("object.l.map(x, object.s + object.s).size() > 0", {"s": "\U0001f600" * 100_000}),
        ("object.l.map(x, url(object.s).getQuery()).size() > 0", {"s": "/?" + "a=b&" * 16_000}),
        (f"object.l.map(x, object.l.map(y, {{{ENTRIES}}})).size() > 0", {}),
    ],
    ids=["replace", "join", "letters", "parts", "width", "wide", "query", "maps"],
)
def test_what_a_function_builds_is_charged(source: str, obj: dict[str, Any]) -> None:
    assert outcomes(source, {"l": COUNT, **obj}) == [BudgetExceeded, BudgetExceeded]


def test_a_turn_costs_more_the_longer_its_body_is() -> None:
    short = "object.all(x, object.all(y, x + y >= 0))"
    long = f"object.all(x, object.all(y, {' && '.join(['x + y >= 0'] * 40)}))"
    assert 10 * spent(short, COUNT) < spent(long, COUNT)
    assert outcomes(f"object.all(x, object.all(y, {' || '.join(['x + y < 0'] * 200)} || true))", COUNT) == [
        BudgetExceeded,
        BudgetExceeded,
    ]


def test_few_turns_of_long_bodies_are_charged_by_the_loop_around() -> None:
    body = " && ".join(["x + y >= 0"] * 400)
    source = f"object.l.all(x, object.f.all(y, {body}))"
    assert outcomes(source, {"l": list(range(1000)), "f": list(range(16))}) == [
        BudgetExceeded,
        BudgetExceeded,
    ]


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        ("(a|b)*a(a|b){20}c", AB),
        ("(a|b)*a(a|b){900}c", AB),
        ("([ab]{30}a){30}c", AB),
        ("b?c?d?e?f?g?h?i?j?k?l?m?n?o?p?q?r?s?t?u?v?w?x?y?z?a?1?2?3?4?5?6?7?8?9?0?_", "a" * 300_000),
        (r"\pL{50}\pN", AB[:10_000]),
    ],
)
def test_long_texts_cost_the_more_the_larger_the_pattern_is(pattern: str, text: str) -> None:
    source = f"object.l.all(x, !object.s.matches(r'{pattern}'))"
    assert outcomes(source, {"l": COUNT, "s": text}) == [BudgetExceeded, BudgetExceeded]


def test_short_texts_are_charged_for_a_large_pattern() -> None:
    source = "object.l.all(x, object.l.all(y, !object.s.matches('(a|b)*a(a|b){900}c')))"
    assert outcomes(source, {"l": COUNT, "s": AB[:200]}) == [BudgetExceeded, BudgetExceeded]


def test_making_patterns_while_running_is_charged() -> None:
    source = r"object.l.all(x, !object.s.matches(r'\pL{30}x' + string(x)))"
    assert outcomes(source, {"l": COUNT, "s": "a"}) == [BudgetExceeded, BudgetExceeded]
    source = r"object.l.all(x, !object.s.matches(r'\pL{1000}x' + string(x)) || true)"
    assert outcomes(source, {"l": list(range(1000)), "s": "a"}) == [BudgetExceeded, BudgetExceeded]


@pytest.mark.parametrize("pattern", ["a.*b|a", "(a.*b|a)"])
def test_finding_all_is_charged_for_reading_to_the_end_again_and_again(pattern: str) -> None:
    source = f"object.s.findAll('{pattern}').size() > 0"
    assert outcomes(source, {"s": "a" * 100_000}) == [BudgetExceeded, BudgetExceeded]
    assert outcomes(source, {"s": "a" * 1_000}) == [True, True]


def test_finding_the_words_of_a_long_text_is_affordable() -> None:
    source = "object.s.findAll('[a-z]+').size()"
    assert outcomes(source, {"s": "some words " * 1_000}) == [2_000, 2_000]


def test_the_last_index_is_found_without_going_back_and_forth() -> None:
    text, part = "a" * 1_000_000, "ab" + "a" * 300_000
    assert outcomes("object.s.lastIndexOf(object.p)", {"s": text, "p": part}) == [-1, -1]


@pytest.mark.parametrize(
    "source",
    [
        "object.l.all(x, object.l.all(y, duration(object.d) > duration('0s')))",
        "object.l.all(x, object.l.all(y, isURL(object.u)))",
        "object.l.all(x, object.l.all(y, url(object.u).getHost() == 'a'))",
        "object.l.all(x, object.l.all(y, timestamp(object.t).getFullYear('America/New_York') == 2020))",
        "object.l.all(x, object.l.all(y, format.uri().validate(object.u).hasValue() || true))",
    ],
)
def test_reading_short_texts_in_many_turns_is_charged(source: str) -> None:
    obj = {
        "l": list(range(500)),
        "d": "1ns" * 20,
        "u": "http://a/" + "%41" * 20,
        "t": "2020-01-01T05:00:00.000000001Z",
    }
    assert outcomes(source, obj) == [BudgetExceeded, BudgetExceeded]


def test_comparing_elements_that_share_their_parts_is_charged() -> None:
    tree = "[object.s]" + ".map(t, [t, t])" * 14
    source = f"sets.contains({tree} + {tree}, {tree} + {tree})"
    many = f"object.l.all(x, {source})"
    assert outcomes(many, {"l": COUNT, "s": 1}) == [BudgetExceeded, BudgetExceeded]


def test_looking_up_a_bool_in_a_large_map_takes_no_longer() -> None:
    source = (
        "[lists.range(20000).transformMapEntry(k, v, {v: k})].all(m, lists.range(5000).all(i, !(true in m)))"
    )
    assert outcomes(source, None) == [True, True]


def test_versions_are_charged_by_their_length() -> None:
    source = "object.l.all(x, object.l.all(y, isSemver(object.v + string(x), true) || true))"
    assert outcomes(source, {"l": COUNT, "v": "1.2.3-" + "1." * 500 + "b"}) == [BudgetExceeded] * 2

"""What functions gave is kept for the frame, or for all queries: values, errors and steps stay the same."""

from __future__ import annotations

from typing import Any

import pytest

from webhook.core.activation import Budget
from webhook.core.errors import BudgetExceeded, EvaluationError
from webhook.rego import Context, RegoProgram, compile_modules
from webhook.rego.plain_json import to_json
from webhook.rego.runtime import remembered as module
from webhook.rego.values import UNDEFINED

ALONE = """
canonical(x) := y { endswith(x, "m"); y := to_number(trim_suffix(x, "m")) }
canonical(x) := y { not endswith(x, "m"); y := to_number(x) * 1000 }
p[y] { y := canonical(input.cpus[_]) }
"""


def compiled(text: str, name: str = "p") -> RegoProgram:
    return compile_modules({"t.rego": f"package t\n{text}"}, entry=("t", name))


def evaluated(program: RegoProgram, value: Any, *, strict: bool = False, steps: int = 100_000) -> Any:
    found = program.evaluate(value, {}, Context(budget=Budget(steps)), strict=strict)
    return found if found is UNDEFINED else to_json(found)


def taken(program: RegoProgram, value: Any) -> int:
    budget = Budget()
    before = budget.left
    program.evaluate(value, {}, Context(budget=budget))
    return before - budget.left


def kept(program: RegoProgram) -> int:
    return sum(len(place) for place in module._memory.places if place in constants(program))


def constants(program: RegoProgram) -> list[Any]:
    call = program.call
    return [one for one in call.__globals__.values() if isinstance(one, module.Remembered)]  # type: ignore[attr-defined]


def test_a_function_of_texts_alone_takes_the_same_steps_and_gives_the_same_again() -> None:
    module.forget()
    program, value = compiled(ALONE), {"cpus": ["500m", "2", "500m", "x"]}
    first = taken(program, value)
    assert kept(program) == 3
    assert evaluated(program, value) == [500, 2000]
    assert taken(program, value) == first
    assert kept(program) == 3


@pytest.mark.parametrize(
    ("text", "values", "expected"),
    [
        ("f(x) := y { y := concat(x, input.b); y != x; x != 1; x != 2 }", ["-", "-"], [["a-b"], ["c-d"]]),
        (
            "f(x) := y { y := g[r(x)]; x != 1; x != 2 }\nr(x) := strings.reverse(x)\ng := input.c",
            ["k", "k"],
            [["b"], ["d"]],
        ),
        (
            'f(x) := y { y := h(x) with input as {"b": ["z"]}; x != 1; x != 2; x != 3 }\nh(x) := input.b',
            ["k", "k"],
            [[["z"]]] * 2,
        ),
        ("f(x) := y { y := data.base[concat(x, [])]; x != 1; x != 2 }", ["k", "k"], [[]] * 2),
        ("f(x) := y { y := time.now_ns(); x != 1; x != 2; x != 3 }", ["k", "k"], [[0]] * 2),
        ('f(x) := {x} { indexof(x, "q") != 1; x != 2; x != 3 }', ["k", "l"], [[["k"]], [["l"]]]),
    ],
    ids=["input", "a rule of input", "with", "base documents", "the clock", "a set"],
)
def test_what_depends_on_more_or_changes_inside_is_not_kept_for_all_queries(
    text: str, values: list[str], expected: list[Any]
) -> None:
    module.forget()
    program = compiled(f"{text}\np[y] {{ y := f(input.a) }}")
    more = [{"b": ["a", "b"], "c": {"k": "b"}}, {"b": ["c", "d"], "c": {"k": "d"}}]
    found = [evaluated(program, {"a": a, **rest}) for a, rest in zip(values, more, strict=True)]
    assert found == expected
    assert kept(program) == 0


def test_texts_numbers_and_other_values_of_the_same_look_are_told_apart() -> None:
    program = compiled(
        'f(x) := y { y := [type_name(x), x]; x != "a"; x != "b"; x != "c" }\np[y] { y := f(input.a[_]) }'
    )
    for _ in range(2):
        assert evaluated(program, {"a": ["1", 1, True, None, [1], ["1"], {"1": 1}]}) == [
            ["array", [1]],
            ["array", ["1"]],
            ["boolean", True],
            ["null", None],
            ["number", 1],
            ["object", {"1": 1}],
            ["string", "1"],
        ]


def test_the_arguments_of_one_function_are_not_mixed_up() -> None:
    program = compiled(
        'f(x, y) := z { z := concat("-", [x, y]); x != 1; y != 1; x != 2 }\np[z] { z := f(input.a, input.b) }'
    )
    for a, b, expected in (("x", "y", ["x-y"]), ("y", "x", ["y-x"]), ("x", "y", ["x-y"]), ("x", 1, [])):
        assert evaluated(program, {"a": a, "b": b}) == expected


def test_strict_queries_see_the_error_that_others_took_for_undefined() -> None:
    program = compiled(ALONE)
    assert evaluated(program, {"cpus": ["x"]}) == []
    with pytest.raises(EvaluationError, match="to_number"):
        evaluated(program, {"cpus": ["x"]}, strict=True)


def test_a_conflict_is_one_each_time() -> None:
    program = compiled(
        'f(x) := 1 { x != "a"; indexof(x, "q") < 0 }\nf(x) := 2 { x != "c" }\np[y] { y := f(input.a) }'
    )
    for _ in range(2):
        with pytest.raises(EvaluationError, match="must not produce multiple outputs"):
            evaluated(program, {"a": "x"})
        assert evaluated(program, {"a": "a"}) == [2]


def test_a_mocked_function_is_not_the_one_that_is_kept() -> None:
    program = compiled(
        'f(x) := y { y := upper(concat("", [x])); x != "1"; x != "2" }\n'
        "g(x) := lower(x)\n"
        "p[[a, b, c]] { a := f(input.a); b := f(input.a) with f as g; c := f(input.a) with upper as g }"
    )
    for _ in range(2):
        assert evaluated(program, {"a": "Ab"}) == [["AB", "ab", "ab"]]


def test_containers_are_told_apart_by_what_they_are_and_frames_by_their_input() -> None:
    program = compiled(
        "f(c) := y { y := [c.n, input.b]; c.n != 10; c.n != 11; c.n != 12 }\n"
        "p[y] { input.l[_] < 9; y := f(input.a[_]) }\n"
        'p[y] { y := f(input.a[_]) with input.b as "with" }'
    )
    value = {"a": [{"n": 1}, {"n": 1}, {"n": 2}], "l": [0, 1], "b": "own"}
    expected = [[1, "own"], [1, "with"], [2, "own"], [2, "with"]]
    assert evaluated(program, value) == expected
    value = {"a": [{"n": 3}], "l": [0], "b": "other"}
    assert evaluated(program, value) == [[3, "other"], [3, "with"]]


def test_a_comprehension_of_input_alone_is_that_of_the_frame() -> None:
    program = compiled(
        "f(x) := y { y := {z | z := input.a[_]} | {x} }\n"
        "p[y] { y := f(input.b[_]) }\n"
        'p[y] { y := f("w") with input.a as ["with"] }'
    )
    assert evaluated(program, {"a": ["1"], "b": ["x", "y"]}) == [["1", "x"], ["1", "y"], ["w", "with"]]
    assert evaluated(program, {"a": ["2"], "b": ["x"]}) == [["2", "x"], ["w", "with"]]


def test_all_that_is_kept_stays_within_one_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    module.forget()
    monkeypatch.setattr(module, "_MOST", 50)
    programs = [compiled(ALONE), compiled(ALONE)]
    for number in range(200):
        assert evaluated(programs[number % 2], {"cpus": [f"{number}m"]}) == [number]
        assert sum(map(kept, programs)) <= 50


def test_a_function_that_gives_constants_for_texts_gives_nothing_for_anything_else() -> None:
    program = compiled(
        'f("a") := 1\nf("b") := false\nf("c") := [1]\np[[x, y]] { x := input.a[_]; y := f(x) }'
    )
    given = ["a", "b", "c", "d", 1, None, ["a"], {"a": "a"}]
    assert evaluated(program, {"a": given}) == [["a", 1], ["b", False], ["c", [1]]]
    other = compiled('f("b") := false\nf("a") := 1\nq { f(input.b) }', "q")
    assert evaluated(other, {"b": "a"}) is True
    assert evaluated(other, {"b": "b"}) is UNDEFINED


@pytest.mark.parametrize("text", ["x" * 10_000, "é" * 600], ids=["long", "not Latin"])
def test_long_texts_are_not_kept(text: str) -> None:
    module.forget()
    program = compiled(
        'f(x) := y { y := concat("", [x, x]); x != "1"; x != "2"; x != "3" }\np[y] { y := f(input.a) }'
    )
    assert evaluated(program, {"a": text}) == [text + text]
    assert kept(program) == 0


def test_a_spent_budget_stops_a_query_that_only_takes_what_is_kept() -> None:
    program, value = compiled(ALONE), {"cpus": ["500m"] * 5_000}
    assert evaluated(program, {"cpus": ["500m"]}) == [500]
    with pytest.raises(BudgetExceeded):
        evaluated(program, value, steps=5_000)

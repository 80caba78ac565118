"""What an expression or an object can make a function do stays bounded: in time, memory and depth."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from webhook.cel.comparison import equals
from webhook.cel.library import FUNCTIONS, MAX_LIST, MAX_STRING, METHODS
from webhook.core.errors import BudgetExceeded, EvaluationError
from webhook.core.patterns import is_linear


def call(name: str, *values: Any) -> Any:
    return FUNCTIONS[name].implementation(*values)


def method(name: str, *values: Any) -> Any:
    return METHODS[name].implementation(*values)


def nested(depth: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(depth):
        value = [value]
    return value


def doubled(times: int) -> list[Any]:
    value: list[Any] = [1]
    for _ in range(times):
        value = [value, value]
    return value


BIG = "a" * MAX_STRING
REFUSED: list[tuple[str, Callable[[], Any]]] = [
    ("concatenation", lambda: call("+", BIG, "a")),
    ("list concatenation", lambda: call("+", [0] * MAX_LIST, [0])),
    ("replace", lambda: method("replace", "a" * 100_000, "", "b" * 1000)),
    ("replace with long text", lambda: method("replace", "a" * 10_000, "a", "b" * 10_000)),
    ("join", lambda: method("join", ["a" * 1000] * 10_000)),
    ("join with separator", lambda: method("join", [""] * 10_000, "a" * 1000)),
    ("split", lambda: method("split", "a" * (MAX_LIST + 1), "")),
    ("split by text", lambda: method("split", "," * (MAX_LIST + 1), ",")),
    ("findAll", lambda: method("findAll", lambda steps: None, "a" * (MAX_LIST + 1), "[a]")),
    ("quote", lambda: call("strings.quote", '"' * MAX_STRING)),
    ("range", lambda: call("lists.range", MAX_LIST + 1)),
    ("flatten", lambda: method("flatten", doubled(40), 100)),
    ("format of doubled lists", lambda: method("format", "%s", [doubled(40)])),
    ("format of nested lists", lambda: method("format", "%s", [nested(100_000)])),
    ("format of one text often", lambda: method("format", "%s" * 1000, ["a" * 100_000] * 1000)),
    ("quantity of many digits", lambda: call("quantity", "1" * 100_000)),
    ("sum of far quantities", lambda: method("add", call("quantity", "1e1000000000"), call("quantity", "1"))),
    ("url", lambda: call("url", "http://" + "a" * 1_000_000)),
    ("query", lambda: call("url", "http://h/?" + "&" * 1_000_000)),
    ("version", lambda: call("semver", "1" * 100_000 + ".0.0")),
    ("pattern", lambda: call("matches", "a", "a" * 100_000)),
    ("large pattern", lambda: call("matches", "a", "(a{1000}){1000}")),
    ("int", lambda: call("int", "9" * 1_000_000)),
    ("double", lambda: call("double", "9" * 1_000_000)),
    ("duration", lambda: call("duration", "9" * 1_000_000 + "s")),
]


@pytest.mark.parametrize("hostile", [pytest.param(work, id=name) for name, work in REFUSED])
def test_refuses_what_would_grow(hostile: Callable[[], Any]) -> None:
    with pytest.raises(EvaluationError):
        hostile()


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("isIP", ("1" * 1_000_000,)),
        ("isCIDR", ("1" * 1_000_000 + "/8",)),
        ("isURL", ("http://" + "%" * 1_000_000,)),
        ("matches", ("a" * 100_000 + "!", "(a+)+$")),
        ("matches", ("a" * 100_000 + "!", "^a+$")),
        ("matches", ("a" * 100_000, "^[a-z]+[0-9]+$")),
        ("matches", ("a" * 5_000, "(a?){100}a{100}b")),
    ],
)
def test_answers_false_without_backtracking(name: str, values: tuple[Any, ...]) -> None:
    assert call(name, *values) is False


def test_huge_exponents_are_compared_without_being_written_out() -> None:
    huge, larger = call("quantity", "1e1000000000"), call("quantity", "1e1000000001")
    assert method("compareTo", huge, larger) == -1
    assert method("compareTo", huge, call("quantity", "1")) == 1
    assert call("==", huge, call("quantity", "10e999999999"))
    assert not method("isInteger", huge)
    assert method("asApproximateFloat", huge) == float("inf")
    assert method("asApproximateFloat", call("quantity", "1e-1000000000")) == 1e-9
    assert method("compareTo", call("quantity", "1" * 30 + "e1000000000"), huge) == 1
    assert hash(huge) == hash(call("quantity", "10e999999999"))


def test_huge_precisions_cost_nothing() -> None:
    assert method("format", "%.1000000000f", [1.0]) == "%!(NOVERB)"
    assert len(method("format", "%.10000009f", [1.0])) < 300
    assert len(method("format", "%.10000009e", [1.0])) < 70_000


def test_deep_values_are_compared_without_recursion() -> None:
    assert equals(nested(100_000), nested(100_000))
    assert not equals(nested(100_000), nested(99_999))


def test_values_that_hold_themselves_many_times_are_not_compared_for_ever() -> None:
    with pytest.raises(BudgetExceeded):
        equals(doubled(60), doubled(60))  # would take years without a bound


@pytest.mark.parametrize(
    ("pattern", "linear"),
    [
        ("^[a-z]+$", True),
        ("^v[0-9]+[.][0-9]+$", True),
        ("registry[.]example", True),
        ("a.b", False),
        ("(a+)+", False),
        ("[a-z]+", False),  # a search would begin anew at each place
        ("^[a-z]*[a-f]*$", False),
        ("^[a-z]*x$", False),
        ("^a*b?a*$", False),
        ("[^a]", False),
        ("\\w", False),
        ("a|b", False),
        ("[a&&b]", False),
        ("é", False),
        ("a{2}", False),
        ("a**", False),
        ("a\\", False),
        ("\\$", True),
    ],
)
def test_only_plainly_linear_patterns_leave_re2(pattern: str, linear: bool) -> None:
    assert is_linear(pattern) is linear


@pytest.mark.parametrize("name", sorted(FUNCTIONS))
def test_functions_refuse_other_values_with_an_error_of_ours(name: str) -> None:
    function = FUNCTIONS[name]
    for arity in function.arities:
        for value in (None, True, 1, 1.5, "x", b"x", [], {}, [None], {"a": 1}):
            try:
                function.implementation(*[value] * arity)
                if function.costly is not None:
                    assert function.costly(*[value] * arity) >= 0
            except EvaluationError:
                continue


@pytest.mark.parametrize("name", sorted(METHODS))
def test_methods_refuse_other_receivers_with_an_error_of_ours(name: str) -> None:
    function = METHODS[name]
    charge = [lambda steps: None] if function.metered else []
    for arity in function.arities:
        for value in (None, True, 1, 1.5, "x", b"x", [], {}, [None], {"a": 1}):
            for argument in (None, 1, "x", []):
                try:
                    function.implementation(*charge, value, *[argument] * arity)
                except EvaluationError:
                    continue
                if function.costly is not None:
                    assert function.costly(value, *[argument] * arity) >= 0

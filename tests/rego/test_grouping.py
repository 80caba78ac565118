"""Comprehensions that OPA evaluates once for all values of what is around: objects and errors show it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.rego.differential import answer, servers
from tests.rego.opa_server import Opa
from webhook.rego import compile_modules
from webhook.rego.ast import Version

HEADER = """package t
import rego.v1
quiet(name) if name != "b"
quiet(name) := x if { name == "b"; x := [1, 2][_] }
"""
LIST: dict[str, Any] = {
    "names": ["a", "b"],
    "one": ["a"],
    "of": [{"name": "a", "image": "x"}, {"name": "a", "image": "y"}, {"name": "b", "image": "z"}],
}
OBJECT: dict[str, Any] = {
    **LIST,
    "of": {
        "z": {"name": "a", "image": "x"},
        "y": {"name": "a", "image": "y"},
        "x": {"name": "b", "image": "z"},
    },
}
UNIQUE = {"error": "conflict_error: object keys must be unique"}
OUTPUTS = {"error": "conflict_error: functions must not produce multiple outputs for same inputs"}


def each(body: str, names: str = "names") -> str:
    return f"p contains [n, m] if {{ n := input.{names}[_]; {body} }}"


def images(a: str, b: str) -> dict[str, Any]:
    return {"result": [["a", {"k": a}], ["b", {"k": b}]]}


LAST = (images("y", "z"), images("x", "z"))
CASES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    # the last value stays, in OPA's order
    each('m := {"k": v | c := input.of[_]; c.name == n; v := c.image}'): LAST,
    each('m := {k: v | some c in input.of; c.name == n; k := "k"; v := c.image}'): LAST,
    each('m := {"k": v | input.of[i].name = n; v := input.of[i].image}'): LAST,
    each('{"k": v | c := input.of[_]; n = c.name; v := c.image} = m'): LAST,
    'f(n) := {"k": v | c := input.of[_]; c.name == n; v := c.image}\n' + each("m := f(n)"): LAST,
    each('h := "k"; m := {h: c.image | c := input.of[_]; c.name == n}'): LAST,
    'p := m if { n := "a"; m := {"k": v | c := input.of[_]; c.name == n; v := c.image} }': (
        {"result": {"k": "y"}},
        {"result": {"k": "x"}},
    ),
    each('m := {"k": v | walk(input.of, [[v, _], x]); x == n}'): (images(1, 2), images("z", "x")),
    # not looked up: a conflict as ever
    'p := {"k": v | v := input.of[_].image}': (UNIQUE, UNIQUE),
    each('m := count({"k": v | c := input.of[_]; c.name == n; v := c.image})'): (
        {"result": [["a", 1], ["b", 1]]},
        {"result": [["a", 1], ["b", 1]]},
    ),
    each('q := n; m := {"k": v | c := input.of[_]; startswith(c.name, q); v := c.image}'): (UNIQUE, UNIQUE),
    each('m := {"k": v | walk(input.of, [v, n])}'): (UNIQUE, UNIQUE),
    each('m := {"k": v | c := input.of[v]; c.name == n; count({d | d := input.of[_]; d.name == n}) > 0}'): (
        UNIQUE,
        UNIQUE,
    ),
    each('not {"k": v | c := input.of[_]; c.name == n; v := c.image} == {}; m := 1'): (UNIQUE, UNIQUE),
    # what may end the query does so for names that aren't asked for
    each("m := {v | c := input.of[_]; c.name == n; v := c.image; quiet(c.name)}", "one"): (OUTPUTS, OUTPUTS),
    each("m := [v | input.of[i].name = n; v := input.of[i].image; quiet(n)]", "one"): (OUTPUTS, OUTPUTS),
    each("m := {v | c := input.of[_]; v := c.image; quiet(n)}", "one"): (
        {"result": [["a", ["x", "y", "z"]]]},
        {"result": [["a", ["x", "y", "z"]]]},
    ),
}


@pytest.fixture(scope="module")
def running(opa: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[Version, Opa]]:
    with servers(opa, tmp_path_factory.mktemp("opa")) as found:
        yield found


@pytest.mark.parametrize("text", CASES)
def test_comprehensions_are_what_opa_makes_of_all_of_them(text: str) -> None:
    program = compile_modules({"t": HEADER + text}, version="v1", entry=("t", "p"))
    assert (answer(program, LIST, {}), answer(program, OBJECT, {})) == CASES[text]


@pytest.mark.parametrize("version", ["v0", "v1"])
def test_so_they_are_in_opa(running: dict[Version, Opa], version: Version) -> None:
    opa = running[version]
    wrong = {}
    for text, expected in CASES.items():
        assert opa.ask("PUT", "/v1/policies/t.rego", HEADER + text)[0] == 200, text
        found = (opa.value("t/p", LIST), opa.value("t/p", OBJECT))
        if found != expected:
            wrong[text] = found
    assert not wrong

"""What OPA's rule index leaves out is left out here: no conflict there is seen, and nothing true either."""

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
boom(x) := y if { y := [1, 2][_]; x == x }
at_one(i) if i != 1
at_one(i) := boom(i) if i == 1
"""
INPUT: dict[str, Any] = {
    "kind": "v",
    "list": [1, 2, 3],
    "lists": [[1, 2]],
    "path": "a.b",
    "slashed": "a\\.b",
    "shape": [1, None, "x"],
    "object": {"a": "b"},
    "none": None,
    "no": False,
    "e": "x\u00e9y",
}
CONFLICT = {"error": "conflict_error: functions must not produce multiple outputs for same inputs"}
NOTHING: dict[str, Any] = {}

CASES: dict[str, dict[str, Any]] = {
    # equality
    'p if { boom(1) > 0; input.kind == "w" }': NOTHING,
    'p if { boom(1) > 0; input.kind == "v"; false }': CONFLICT,
    'p if { boom(1) > 0; input["kind"] == "w" }': NOTHING,
    'p if { boom(1) > 0; x := input.kind; x == "w" }': NOTHING,
    'p if { boom(1) > 0; x := input.kind; y := x; y == "w" }': CONFLICT,
    'p if { boom(1) > 0; x := "w"; input.kind == x }': NOTHING,
    'p if { boom(1) > 0; x := "w"; input.kind = x }': NOTHING,
    'p if { boom(1) > 0; input.kind == "u"; input.kind == "w" }': NOTHING,
    'p if { boom(1) > 0; input.kind == "v"; input.kind == "w" }': CONFLICT,
    "p if { boom(1) > 0; input.none == null; false }": CONFLICT,
    "p if { boom(1) > 0; input.none == false }": NOTHING,
    "p if { boom(1) > 0; input.list[0] == 1.0; false }": CONFLICT,
    'p if { boom(1) > 0; input.object == {"a": "c"} }': CONFLICT,
    'p if { boom(1) > 0; startswith(input.kind, "w") }': CONFLICT,
    "p if { boom(1) > 0; data.missing == 1 }": NOTHING,
    "p if { boom(1) > 0; data.t.other == 1 }\nother := 2": CONFLICT,
    "p if { boom(1) > 0; input.missing }": NOTHING,
    "p if { boom(1) > 0; not input.kind }": CONFLICT,
    "p if { boom(1) > 0; input.no }": CONFLICT,
    "p if { boom(1) > 0; x := input.missing; x > 1 }": NOTHING,
    "p if { boom(1) > 0; x := input.no; y := input.missing; x != y }": NOTHING,
    "p if { boom(1) > 0; x := input.kind; y := input.missing; x == y }": NOTHING,
    "p if { x := 7; boom(1) > 0; x = input.none }": NOTHING,
    'p if { x := lower("A"); boom(1) > 0; x = input.none }': CONFLICT,
    'p if { boom(1) > 0; x = input.kind; x = input.no; x == "w" }': NOTHING,
    # an equality with what is in a collection
    "p if { boom(1) > 0; input.list[_] == 7 }": NOTHING,
    "p if { boom(1) > 0; input.list[_] == 3; false }": CONFLICT,
    "p if { boom(1) > 0; input[_] == 7 }": NOTHING,
    'p if { boom(1) > 0; input.list == "x" }': NOTHING,
    "p if { boom(1) > 0; input.list == 3 }": CONFLICT,
    # arrays
    "p if { boom(1) > 0; [1, x] = input.lists }": NOTHING,
    "p if { boom(1) > 0; [x] = input.lists; false }": CONFLICT,
    "p if { boom(1) > 0; [x] = input.shape }": NOTHING,
    'p if { boom(1) > 0; [1, null, "y"] = input.shape }': NOTHING,
    'p if { boom(1) > 0; [1, x, "x"] = input.shape; false }': CONFLICT,
    # members
    'p if { boom(1) > 0; input.kind in {"u", "w"} }': NOTHING,
    'p if { boom(1) > 0; input.kind in ["v", "w"]; false }': CONFLICT,
    'p if { boom(1) > 0; input.kind in {"q": "r"} }': NOTHING,
    'p if { boom(1) > 0; input.kind in {"q": "v"}; false }': CONFLICT,
    'p if { boom(1) > 0; s := {"u", "w"}; input.kind in s }': NOTHING,
    'p if { boom(1) > 0; "z" in input.list }': NOTHING,
    "p if { boom(1) > 0; 1 in input.list; false }": CONFLICT,
    'p if { boom(1) > 0; "a" in input.object }': NOTHING,
    "p if { x := [1, 2]; x in input.lists }": NOTHING,
    "p if { [1, 2] in input.lists }": {"result": True},
    # globs
    'p if { boom(1) > 0; glob.match("x.*", ["."], input.path) }': NOTHING,
    'p if { boom(1) > 0; glob.match("a.*", ["."], input.path); false }': CONFLICT,
    'p if { boom(1) > 0; glob.match("x.*", [], input.path) }': NOTHING,
    'p if { boom(1) > 0; glob.match("x.*", null, input.path) }': CONFLICT,
    'p if { boom(1) > 0; glob.match("x?*", ["."], input.path) }': CONFLICT,
    'p if { glob.match("*.*", ["."], input.slashed) }': NOTHING,
    'p if { glob.match("*b", ["/"], input.slashed) }': {"result": True},
    'p if { glob.match("*", ["."], input.slashed) with input.slashed as "x" }': {"result": True},
    'p if { glob.match("x\u00e9y", ["\u00e9"], input.e) }': {"result": True},
    'p if { glob.match("x\u00e9*", ["\u00c3"], input.e) }': {"result": True},
    # what is taken apart for the glob is looked at as a collection by the other
    'p if { glob.match("x.*", ["."], input.path) }\np := 2 if { boom(1) > 0; input.path == "b" }': CONFLICT,
    # arguments of functions
    "f(x) if { boom(1) > 0; x == 3 }\np if f(1)": NOTHING,
    "f(x) if { boom(1) > 0; x == 1; false }\np if f(1)": CONFLICT,
    "f(x) if { boom(1) > 0; x in [2, 3] }\np if f(1)": NOTHING,
    "f(x) if { boom(1) > 0; 3 in x }\np if f([1])": CONFLICT,
    'f(x, y) if { boom(1) > 0; glob.match("q.*", ["."], y) }\np if f(1, "z.a")': NOTHING,
    "f(x) if { boom(1) > 0; [1, y] = x }\np if f([2, 3])": NOTHING,
    "f([x, y]) if { boom(1) > 0; x == 1 }\np if f([2, 3])": CONFLICT,
    "f(x) if { boom(1) > 0; x == 2 }\np if f(input.list[_])": CONFLICT,
    'default f(x) := 3\nf(x) := 2 if { x == "w"; boom(1) > 0 }\np := f("v")': {"result": 3},
    # other kinds of rules, `else`, `with`
    'p contains x if { x := boom(1); input.kind == "w" }': {"result": []},
    'p[x] := y if { x := "a"; y := boom(1); input.kind == "w" }': {"result": {}},
    'q[x].r[z] := y if { x := "a"; z := "b"; y := boom(1); input.kind == "w" }\np if q[_].r[_] > 0': NOTHING,
    'p if { boom(1) > 0; input.kind == "w" } else := 2 if { input.kind == "v" }': {"result": 2},
    'p if { input.kind == "x" } else := 2 if { boom(1) > 0; input.kind == "w" }': NOTHING,
    'p if { input.kind == "x" } else := 2 if { boom(1) > 0; input.kind == "v" }': CONFLICT,
    'p if { q with input.kind as "w" }\nq if { boom(1) > 0; input.kind == "v" }': NOTHING,
    'p if { q with input.kind as "w" }\nq if { boom(1) > 0; input.kind == "w" }': CONFLICT,
    "p if { q with data.base as 1 }\nq if { boom(1) > 0; data.base == 2 }": NOTHING,
    # early exit: what is left has one value
    "p if { at_one(0) }\np if { boom(1) > 0 }": {"result": True},
    'p := 1 if { input.list[i] > 0; at_one(i) }\np := 2 if { input.kind == "w"; at_one(2) }': {"result": 1},
    'p := 1 if { input.list[i] > 0; at_one(i) }\np := 2 if { input.kind == "v"; at_one(9); false }': CONFLICT,
    "p := 1 if { input.list[i] > 0; at_one(i) }\np := 2 if input.a else := 3 if input.kind": CONFLICT,
    "p := 1 if { input.list[i] > 0; at_one(i) }\np := 2 if count(input.list) == 2": CONFLICT,
    "f(x) := 1 if { x > 0; input.list[i] > 0; at_one(i) }\nf(x) := 2 if x == 5\np := f(1)": {"result": 1},
    "f(x) := 1 if { x > 0; input.list[i] > 0; at_one(i) }\nf(x) := 2 if x == 5\np := f(5)": CONFLICT,
}


@pytest.fixture(scope="module")
def running(opa: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[Version, Opa]]:
    with servers(opa, tmp_path_factory.mktemp("opa")) as found:
        yield found


def here(text: str, version: Version = "v1") -> dict[str, Any]:
    return answer(compile_modules({"t": HEADER + text}, version=version, entry=("t", "p")), INPUT, {})


@pytest.mark.parametrize("text", CASES)
def test_what_the_index_leaves_out_is_not_evaluated(text: str) -> None:
    assert here(text) == CASES[text]


@pytest.mark.parametrize("version", ["v0", "v1"])
def test_so_it_is_in_opa(running: dict[Version, Opa], version: Version) -> None:
    opa = running[version]
    wrong = {}
    for text, expected in CASES.items():
        assert opa.ask("PUT", "/v1/policies/t.rego", HEADER + text)[0] == 200, text
        found = opa.value("t/p", INPUT)
        if found != expected:
            wrong[text] = found
    assert not wrong


@pytest.mark.parametrize(
    "body", ['x := {"a": 1}; input.kind = x', 'input.kind in [{"a": 1}]', "input.kind in [[1, [2]]]"]
)
def test_where_opa_panics_there_is_no_index(body: str) -> None:
    assert here(f"p if {{ {body} }}") == NOTHING
    assert here(f"p if {{ boom(1) > 0; {body} }}") == CONFLICT

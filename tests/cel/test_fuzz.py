"""Expressions made of parts of the corpora: no crash, tiers that agree, and what Kubernetes' CEL gives."""

from __future__ import annotations

import json
import random
import re
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

TOKEN = re.compile(r"'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\"|[A-Za-z_]\w*|\d+(?:\.\d+)?u?|&&|\|\||[=!<>]=|\S")
ATOMS = [
    *(
        "0",
        "1",
        "-1",
        "2.5",
        "1u",
        "true",
        "false",
        "null",
        "'a'",
        "''",
        "b'a'",
        "[]",
        "[1]",
        "{}",
        "{'a': 1}",
    ),
    *(
        "object",
        "object.one",
        "object.text",
        "object.list",
        "object.map",
        "object.nope",
        "object.null",
        "object.items",
    ),
    *("object.?one", "optional.none()", "int", "dyn(1)", "duration('1s')", "quantity('1k')", "x", "c"),
]
OPERATORS = [*("+", "-", "*", "/", "%", "==", "!=", "<", "<=", ">", ">=", "in", "&&", "||"), "."]
KNOWN = re.compile(r"has ?\( ?(optional|object ?\. ?\?)")
"""Known to differ: Kubernetes gives an optional, in some places, for the presence of an optional's field."""

KEYS = re.compile("unsupported key type|as keys? here")
"""Known to differ: a map made by an expression has no lists or maps as keys here, nor 1 with true or 1.0."""


def grow(sources: list[str], rng: random.Random) -> str:
    """Return an expression made from one or two others."""
    source = rng.choice(sources)
    for _ in range(rng.randint(1, 3)):
        tokens = TOKEN.findall(source)
        if not tokens:
            return source
        place = rng.randrange(len(tokens))
        match rng.randrange(8):
            case 0:
                tokens[place] = rng.choice(ATOMS)
            case 1:
                tokens[place] = rng.choice(TOKEN.findall(rng.choice(sources)))
            case 2:
                return f"{source} {rng.choice(OPERATORS[:-1])} {rng.choice(ATOMS)}"
            case 3:
                return f"({source}) {rng.choice(('||', '&&'))} ({rng.choice(sources)})"
            case 4:
                return f"({source}) ? ({rng.choice(sources)}) : ({rng.choice(ATOMS)})"
            case 5:
                values = [at for at, one in enumerate(tokens) if one[0] in "'\"0123456789"]
                if values:
                    tokens[rng.choice(values)] = rng.choice(ATOMS)
            case 6:
                operators = [at for at, token in enumerate(tokens) if token in OPERATORS]
                if operators:
                    tokens[rng.choice(operators)] = rng.choice(OPERATORS)
            case _:
                return f"[{rng.choice(ATOMS)}].{rng.choice(('all', 'exists', 'map', 'filter'))}(x, {source})"
        source = " ".join(tokens)
    return source


def grown(differential: ModuleType, count: int, seed: int) -> list[Any]:
    rng = random.Random(seed)
    plain = [case for case in differential.read_corpora() if not case.variables]
    sources = {name: [c.source for c in plain if c.binding == name] for name in ("values", "deployment")}
    cases = []
    while len(cases) < count:
        binding = rng.choice(("values", "values", "deployment"))
        source = grow(sources[binding], rng)
        if len(source) < 2000 and "\n" not in source:
            cases.append(differential.Case("fuzz", len(cases), source, binding))
    return cases


def tiers_that_differ(differential: ModuleType, cases: list[Any]) -> list[str]:
    bindings = differential.read_bindings()
    found = []
    for case in cases:
        fast, exact = (differential.ours(case, bindings[case.binding], exact=one) for one in (False, True))
        if fast != exact:
            found.append(f"{case.source}\n  generated {fast}\n  exact {exact}")
    return found


def same_but_for_order(one: Any, two: Any) -> bool:
    """Tell whether two lists hold the same: a map is iterated over in an order that Go makes up each time."""
    lists = one.type == two.type == "list"
    return lists and sorted(map(json.dumps, one.value)) == sorted(map(json.dumps, two.value))


def differences(differential: ModuleType, oracles: Path, cases: list[Any]) -> list[str]:
    bindings = differential.read_bindings()
    found = []
    for case, want in zip(cases, differential.ask_oracle(oracles, cases, bindings), strict=True):
        if want.stage not in ("ok", "eval") or KNOWN.search(case.source):
            continue  # what only its type checker refuses may compile here; a panic is no answer
        have = differential.ours(case, bindings[case.binding])
        if not (have == want or KEYS.search(have.error) or same_but_for_order(have, want)):
            found.append(f"{case.source}\n  expected {want}\n  got {have}")
    return found


def test_tiers_agree_on_grown_expressions(differential: ModuleType) -> None:
    found = tiers_that_differ(differential, grown(differential, 1500, seed=1))
    assert not found, f"{len(found)} differ:\n" + "\n".join(found[:20])


@pytest.mark.oracle
@pytest.mark.xdist_group("cel-oracle")
def test_grown_expressions_equal_kubernetes(differential: ModuleType, oracles: Path) -> None:
    found = differences(differential, oracles, grown(differential, 800, seed=2))
    assert not found, f"{len(found)} differ:\n" + "\n".join(found[:20])


@pytest.mark.long
@pytest.mark.oracle
@pytest.mark.xdist_group("cel-oracle")
@pytest.mark.parametrize("seed", range(10, 14))
def test_many_grown_expressions_equal_kubernetes(differential: ModuleType, oracles: Path, seed: int) -> None:
    cases = grown(differential, 5000, seed)
    found = [*tiers_that_differ(differential, cases), *differences(differential, oracles, cases)]
    assert not found, f"{len(found)} differ:\n" + "\n".join(found[:40])

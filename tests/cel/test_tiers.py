"""The generated tier gives what the exact tier gives: on every expression of the corpora, on any data."""

from __future__ import annotations

import copy
import random
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import pytest

ODD = [
    None,
    True,
    False,
    0,
    1,
    -1,
    2.5,
    1.0,
    "",
    "a",
    "ALL",
    [],
    [1],
    ["a", True],
    {},
    {"a": 1},
    2**53 + 1,
    1e300,
]


@pytest.fixture(scope="module")
def cases(differential: ModuleType) -> list[Any]:
    return differential.read_corpora()


def mutate(value: Any, rng: random.Random, odds: float) -> Any:
    """Return a copy with parts taken out, swapped for values of other types, or made null."""
    if rng.random() < odds:
        return copy.deepcopy(rng.choice(ODD))
    if isinstance(value, dict):
        return {key: mutate(item, rng, odds) for key, item in value.items() if rng.random() > odds}
    if isinstance(value, list):
        return [mutate(item, rng, odds) for item in value if rng.random() > odds]
    return value


def mutations(binding: dict[str, Any], seed: int, count: int) -> Iterator[dict[str, Any]]:
    rng = random.Random(seed)
    for _ in range(count):
        odds = rng.choice((0.02, 0.05, 0.15))
        yield {
            name: mutate(value, rng, odds) if name in ("object", "oldObject", "params") else value
            for name, value in binding.items()
        }


def compare(differential: ModuleType, cases: list[Any], count: int, seed: int) -> list[str]:
    """Describe each case and binding on which the tiers differ."""
    bindings = differential.read_bindings()
    changed = {name: list(mutations(one, seed, count)) for name, one in bindings.items()}
    found = []
    for case in cases:
        programs = differential.compiled(case)
        if programs is None:
            continue
        for binding in [bindings[case.binding], *changed[case.binding]]:
            fast = differential.evaluate(programs, binding, exact=False)
            exact = differential.evaluate(programs, binding, exact=True)
            if fast != exact:
                found.append(f"{case.id}: {case.source}\n  generated {fast}\n  exact {exact}")
                break
    return found


def test_tiers_agree_on_every_expression_and_changed_data(differential: ModuleType, cases: list[Any]) -> None:
    found = compare(differential, cases, 12, seed=20261123)
    assert not found, f"{len(found)} differ:\n" + "\n".join(found[:20])


@pytest.mark.long
def test_tiers_agree_on_much_changed_data(differential: ModuleType, cases: list[Any]) -> None:
    found = compare(differential, cases, 300, seed=7)
    assert not found, f"{len(found)} differ:\n" + "\n".join(found[:20])


def test_data_is_never_changed(differential: ModuleType, cases: list[Any]) -> None:
    bindings = differential.read_bindings()
    before = copy.deepcopy(bindings)
    for case in cases:
        for exact in (False, True):
            differential.ours(case, bindings[case.binding], exact=exact)
    assert bindings == before


def test_most_valid_expressions_have_generated_code(differential: ModuleType, cases: list[Any]) -> None:
    programs = [made for case in cases if (made := differential.compiled(case)) is not None]
    without = [made.expression.source for made in programs if made.expression.generated is None]
    assert len(without) < len(programs) // 50, without

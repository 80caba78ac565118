"""Expressions grown by a grammar, on data that fits them: the tiers agree, and Kubernetes' CEL with both."""

from __future__ import annotations

import random
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest


def tiers(
    grammar: ModuleType, differential: ModuleType, seed: int, count: int, each: int
) -> tuple[list[str], int]:
    """Return where the tiers differ, and how often the generated one finished by itself."""
    rng = random.Random(seed)
    bindings = [grammar.binding(rng) for _ in range(100)]
    return compare(differential, grammar.expressions(seed, count), bindings, each, rng)


def compare(
    differential: ModuleType, sources: list[str], bindings: list[Any], each: int, rng: random.Random
) -> tuple[list[str], int]:
    different, finished = [], 0
    for source in sources:
        programs = differential.compiled(differential.Case("grammar", 0, source))
        if programs is None:
            continue
        for one in rng.sample(bindings, each):
            exact = differential.evaluate(programs, one, exact=True)
            generated = differential.evaluate(programs, one, exact=False)
            finished += exact.stage == "ok"
            if generated != exact:
                different.append(f"{source}\n  generated {generated}\n  exact {exact}")
                break
    return different, finished


def unlike_kubernetes(
    grammar: ModuleType, differential: ModuleType, oracles: Path, seed: int, count: int
) -> list[str]:
    rng = random.Random(seed)
    bindings = {str(number): grammar.binding(rng) for number in range(100)}
    cases = [
        differential.Case("grammar", number, source, rng.choice(list(bindings)))
        for number, source in enumerate(grammar.expressions(seed, count))
    ]
    answers = differential.ask_oracle(oracles, cases, bindings)
    judged = [(case, want) for case, want in zip(cases, answers, strict=True) if want.stage in ("ok", "eval")]
    assert len(judged) > count // 2
    got = [differential.ours(case, bindings[case.binding]) for case, _ in judged]
    found: list[str] = differential.differences(*zip(*judged, strict=True), got)
    return found


def test_tiers_agree_on_grown_expressions(grammar: ModuleType, differential: ModuleType) -> None:
    different, finished = tiers(grammar, differential, seed=1, count=1000, each=6)
    assert finished > 3000
    assert not different, "\n".join(different[:20])


def test_no_turn_of_a_loop_sees_what_an_earlier_one_read(
    grammar: ModuleType, differential: ModuleType
) -> None:
    rng = random.Random(5)
    bindings = [{"object": {"l": [grammar.record(rng, 2, 0) for _ in range(5)]}} for _ in range(30)]
    different, finished = compare(differential, grammar.loops(5, 600), bindings, 6, rng)
    assert finished > 3_000
    assert not different, "\n".join(different[:20])


@pytest.mark.oracle
@pytest.mark.xdist_group("cel-oracle")
def test_grown_expressions_equal_kubernetes(
    grammar: ModuleType, differential: ModuleType, oracles: Path
) -> None:
    found = unlike_kubernetes(grammar, differential, oracles, seed=2, count=1000)
    assert not found, "\n".join(found[:20])


@pytest.mark.long
@pytest.mark.oracle
@pytest.mark.xdist_group("cel-oracle")
@pytest.mark.parametrize("seed", range(20, 24))
def test_many_grown_expressions_equal_kubernetes(
    grammar: ModuleType, differential: ModuleType, oracles: Path, seed: int
) -> None:
    different, _ = tiers(grammar, differential, seed, count=10_000, each=12)
    found = [*different, *unlike_kubernetes(grammar, differential, oracles, seed, count=10_000)]
    assert not found, "\n".join(found[:20])

"""Every expression of the corpora gives what Kubernetes' own CEL gives: stage, type and value."""

from __future__ import annotations

import json
import os
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

CORPORA = sorted(path.stem for path in (Path(__file__).parent / "corpus").glob("*.txt"))
UPDATE = os.environ.get("TIDEWAITER_UPDATE_GOLDEN") == "1"


@pytest.fixture(scope="module")
def bindings(differential: ModuleType) -> dict[str, Any]:
    return differential.read_bindings()


@pytest.fixture(scope="module")
def oracle_answers(differential: ModuleType, oracles: Path, bindings: dict[str, Any]) -> dict[str, list[Any]]:
    """Ask the oracle for all corpora at once: its start takes longer than the cases."""
    cases = differential.read_corpora()
    answers: dict[str, list[Any]] = {}
    for case, one in zip(cases, differential.ask_oracle(oracles, cases, bindings), strict=True):
        answers.setdefault(case.corpus, []).append(one)
    return answers


@pytest.mark.oracle
@pytest.mark.xdist_group("cel-oracle")
@pytest.mark.parametrize("corpus", CORPORA)
def test_corpus_equals_kubernetes(
    corpus: str, differential: ModuleType, bindings: dict[str, Any], oracle_answers: dict[str, list[Any]]
) -> None:
    cases = differential.read_corpus(differential.CORPUS / f"{corpus}.txt")
    expected = oracle_answers[corpus]
    if UPDATE:
        golden = [{"source": case.source, **one.to_json()} for case, one in zip(cases, expected, strict=True)]
        lines = ",\n".join(json.dumps(row, ensure_ascii=False, sort_keys=True) for row in golden)
        (differential.GOLDEN / f"{corpus}.json").write_text(f"[\n{lines}\n]\n", encoding="utf-8")
    wrongly_marked = [
        case.id
        for case, one in zip(cases, expected, strict=True)
        if case.marker == "checker" and one.stage != "compile"
    ]
    assert not wrongly_marked, "marked checker, but Kubernetes compiles it"
    got = [differential.ours(case, bindings[case.binding]) for case in cases]
    found = differential.differences(cases, expected, got)
    assert not found, f"{len(found)} of {len(cases)} differ:\n" + "\n".join(found)


@pytest.mark.skipif(UPDATE, reason="the golden files are being written")
@pytest.mark.parametrize("exact", [False, True], ids=["generated", "exact"])
@pytest.mark.parametrize("corpus", CORPORA)
def test_corpus_equals_golden(
    corpus: str, exact: bool, differential: ModuleType, bindings: dict[str, Any]
) -> None:
    cases = differential.read_corpus(differential.CORPUS / f"{corpus}.txt")
    golden = json.loads((differential.GOLDEN / f"{corpus}.json").read_text(encoding="utf-8"))
    assert [case.source for case in cases] == [row["source"] for row in golden], (
        "the corpus changed: write the golden files anew with TIDEWAITER_UPDATE_GOLDEN=1"
    )
    expected = [differential.Answer.from_json(row) for row in golden]
    got = [differential.ours(case, bindings[case.binding], exact=exact) for case in cases]
    found = differential.differences(cases, expected, got)
    assert not found, f"{len(found)} of {len(cases)} differ:\n" + "\n".join(found)

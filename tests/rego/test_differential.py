"""Mutated policies and inputs: every answer, message and error here is OPA's."""

import os
from pathlib import Path

import pytest

from tests.rego.differential import Report, base_data, run
from tests.rego.opa_server import Opa

SEEDS = (1, 2, 3, 4, 5)


@pytest.fixture
def opa(tmp_path: Path) -> Opa:
    folder = os.environ.get("TIDEWAITER_ORACLES", "")
    program = Path(folder) / "opa"
    if not folder or not os.access(program, os.X_OK):
        advice = "needs OPA 1.17: set TIDEWAITER_ORACLES to a folder with opa"
        if os.environ.get("CI") == "true":
            pytest.fail(advice, pytrace=False)
        pytest.skip(advice)
    return Opa(program, tmp_path)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_sample_of_mutated_policies_and_inputs(opa: Opa, seed: int) -> None:
    compared(opa, seed, 12)


@pytest.mark.long
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("seed", SEEDS)
def test_many_mutated_policies_and_inputs(opa: Opa, seed: int) -> None:
    compared(opa, seed, 1000)


def compared(opa: Opa, seed: int, rounds: int) -> None:
    report = Report()
    with opa:
        opa.data("inventory", base_data()["inventory"])
        run(opa, seed, rounds, report)
    assert not report.differences, "\n----\n".join(report.differences[:5])
    assert report.counted["compared"] >= rounds
    assert report.counted["result"] > report.counted["compared"] / 10

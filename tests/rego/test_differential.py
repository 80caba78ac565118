"""Mutated policies and inputs: every answer, message and error here is OPA's."""

from pathlib import Path

import pytest

from tests.rego.differential import Report, base_data, run
from tests.rego.opa_server import Opa

SEEDS = (1, 2, 3, 4, 5)


@pytest.fixture
def server(opa: Path, tmp_path: Path) -> Opa:
    return Opa(opa, tmp_path)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_sample_of_mutated_policies_and_inputs(server: Opa, seed: int) -> None:
    compared(server, seed, 12)


@pytest.mark.long
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("seed", SEEDS)
def test_many_mutated_policies_and_inputs(server: Opa, seed: int) -> None:
    compared(server, seed, 1000)


def compared(opa: Opa, seed: int, rounds: int) -> None:
    report = Report()
    with opa:
        opa.data("inventory", base_data()["inventory"])
        run(opa, seed, rounds, report)
    assert not report.differences, "\n----\n".join(report.differences[:5])
    assert report.counted["compared"] >= rounds
    assert report.counted["result"] > report.counted["compared"] / 10

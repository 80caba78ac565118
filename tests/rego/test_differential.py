"""Mutated policies and inputs: every answer, message and error here is OPA's."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.rego.differential import Report, base_data, run, servers
from tests.rego.opa_server import Opa
from webhook.rego.ast import Version

SEEDS = (1, 2, 3, 4, 5)


@pytest.fixture(scope="module")
def running(opa: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[Version, Opa]]:
    with servers(opa, tmp_path_factory.mktemp("opa")) as found:
        yield found


@pytest.mark.parametrize("seed", SEEDS)
def test_a_sample_of_mutated_policies_and_inputs(running: dict[Version, Opa], seed: int) -> None:
    compared(running, seed, 12)


@pytest.mark.long
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("seed", SEEDS)
def test_many_mutated_policies_and_inputs(running: dict[Version, Opa], seed: int) -> None:
    compared(running, seed, 1000)


def compared(running: dict[Version, Opa], seed: int, rounds: int) -> None:
    report = Report()
    for opa in running.values():
        opa.data("inventory", base_data()["inventory"])
    run(running, seed, rounds, report)
    assert not report.differences, "\n----\n".join(report.differences[:5])
    assert report.counted["compared"] >= rounds
    assert report.counted["result"] > report.counted["compared"] / 10

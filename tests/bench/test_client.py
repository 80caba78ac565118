"""The load's client: it counts what was answered, and ends at the first wrong answer."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from bench.answers import WrongAnswerError
from bench.client import load
from bench.pods import samples
from bench.sides import bare


def test_load_counts_each_answer_and_refuses_a_wrong_one(tmp_path: Path) -> None:
    with ExitStack() as stack:
        side = bare(stack, tmp_path / "bare")
        done = load(side.target, samples(), connections=3, seconds=30, most=60)
        assert done.requests == 60
        assert done.connections == 3
        assert done.latencies == sorted(done.latencies)
        assert 0 < done.median <= done.percentile(0.99) <= done.seconds

        # What allows everything is wrong as soon as something must be denied.
        strict = replace(side.target, denying={**side.target.denying, "privileged": frozenset({"a"})})
        with pytest.raises(WrongAnswerError):
            load(strict, samples(), connections=3, seconds=30, most=60)
        assert side.process.cpu() > 0
        assert side.memory() > 0

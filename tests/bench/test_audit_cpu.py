"""The audit's comparison with Gatekeeper: how far the other side is, and what a run that was cut off says."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from bench.audit import options
from bench.audit_cpu import Progress, Theirs, figure


def told(log: Path, *numbers: int, end: str = "\n") -> None:
    lines = [
        json.dumps(
            {
                "event_type": "violation_audited",
                "constraint_name": "pod-7",
                "resource_name": f"pod-{number:05}",
            },
            separators=(",", ":"),
        )
        for number in numbers
    ]
    with log.open("a") as file:
        file.write("\n".join(lines) + end)


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "log"
    told(path, 990, 980)
    return path


@pytest.mark.parametrize(
    ("numbers", "about", "most"),
    [
        ((), 0, 500),
        ((250, 250, 10), 20, 500),
        (tuple(range(0, 490, 10)), 490, 500),
        (tuple(range(0, 500, 10)), 500, 1000),
        (tuple(range(0, 510, 10)), 510, 1000),
        (tuple(range(0, 1200, 10)), 1200, 1200),
    ],
    ids=["nothing", "the same Pod twice", "most of a page", "a whole page", "one of the next", "all"],
)
def test_the_most_that_it_can_have_judged_is_all_of_its_page(
    log: Path, numbers: Sequence[int], about: int, most: int
) -> None:
    progress = Progress(log, 1200)
    told(log, *numbers)
    progress.read()
    assert (progress.about, progress.most) == (about, most), "what the log had before doesn't count"


def test_half_a_line_is_read_when_it_is_whole(log: Path) -> None:
    progress = Progress(log, 1000)
    told(log, 10, end="")
    progress.read()
    assert progress.about == 0
    told(log, end="\n")
    progress.read()
    assert progress.about == 10


def test_a_violation_of_a_pod_that_has_none_ends_the_run(log: Path) -> None:
    progress = Progress(log, 1000)
    told(log, 11)
    with pytest.raises(RuntimeError, match="a Pod that has none: 11"):
        progress.read()


def test_a_run_that_was_cut_off_is_called_a_lower_bound() -> None:
    whole = figure(1000, [0.001, 0.002, 0.001], [Theirs(50.0, 1000, True, 60.0, 1000)], 20)
    assert (whole.value, whole.holds) == (50.0, True)
    assert whole.note.startswith("measured: 1000 µs and 50000 µs")
    cut = figure(1000, [0.001], [Theirs(3.0, 500, False, 60.0, 310)], 20)
    assert (cut.value, cut.holds) == (6.0, False)
    assert cut.note.startswith("a lower bound: 1000 µs and 6000 µs")
    assert "with about 310 of 1000 Pods judged, 500 at most" in cut.note


@pytest.mark.parametrize("words", [["--objects", "5"], ["--runs", "0"], ["--limit", "0"], ["--only", "all"]])
def test_options_that_measure_nothing_are_refused(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        options(words)
    assert ended.value.code == 2
    assert words[0] in capsys.readouterr().err

"""Many policies change at once, in a cluster with many acceptances and namespaces."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from bench import crowd, scale
from bench.crowd import Size
from bench.scale import Changed
from bench.steady import Answer

SMALL = Size(policies=200, acceptances=300, namespaces=300, changes=50, seconds=2.0)
SOON = 20.0
VERSIONS = {
    "first": {crowd.policy_name(number): "0" for number in range(40)},
    "second": {crowd.policy_name(number): "1" if number in (3, 30) else "0" for number in range(40)},
}
GROUPS = ["group-000", "group-001"]


def answer(body: int, sent: float, revision: str, **changes: str) -> Answer:
    """Return the answer of a group's policies in version 0, but those that are said."""
    first = body * crowd.GROUP_SIZE
    names = [crowd.policy_name(number) for number in range(first, first + crowd.GROUP_SIZE)]
    notes = {f"{name}.version": changes.get(name, "0") for name in names}
    return Answer(body, sent, 0.001, True, revision, {**notes, "revision": revision})


def test_a_mixture_is_an_answer_that_its_revision_does_not_give() -> None:
    right = [
        answer(0, 1.0, "first"),
        answer(0, 2.0, "second", **{"policy-0003": "1"}),
        answer(1, 2.0, "second", **{"policy-0030": "1"}),
    ]
    assert not scale.mixtures(right, GROUPS, VERSIONS)
    wrong = [
        answer(0, 2.0, "first", **{"policy-0003": "1"}),
        answer(0, 2.0, "second"),
        answer(1, 2.0, "unknown"),
        Answer(0, 2.0, 0.001, True, "first", {}),
    ]
    assert len(scale.mixtures([*right, *wrong], GROUPS, VERSIONS)) == len(wrong)


def test_a_change_is_late_for_as_long_as_requests_get_answers_without_it() -> None:
    changes = [Changed(3, 1, at=10.0), Changed(30, 1, at=11.0)]
    answers = [answer(0, 9.0, "first"), answer(0, 11.5, "first"), answer(0, 11.2, "second")]
    assert scale.stale(answers, changes, VERSIONS) == pytest.approx(1.5)
    assert scale.stale(answers[2:], changes, VERSIONS) == 0.0


@pytest.mark.e2e
@pytest.mark.parametrize(
    "size",
    [
        pytest.param(SMALL, id="small", marks=pytest.mark.timeout(600)),
        pytest.param(Size(), id="full", marks=[pytest.mark.long, pytest.mark.timeout(1200)]),
    ],
)
def test_every_change_is_effective_soon_and_no_answer_mixes_two_revisions(
    assets: Path, tmp_path: Path, size: Size
) -> None:
    seen = asyncio.run(scale.measure(size, tmp_path, str(assets)))
    assert not seen.failed
    assert not seen.mixed
    assert len(seen.changes) == size.changes
    assert len(seen.revisions) > 1
    # `python -m bench.scale` holds both to 2 s; here other tests run beside.
    assert seen.stale < SOON
    assert seen.withdrawn < SOON
    # What loads snapshots is a small part of what answers, however slow the machine.
    assert seen.storm.swapping < seen.storm.serving

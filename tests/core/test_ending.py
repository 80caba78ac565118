"""Notices before an acceptance ends: when each is reached, by which clock, and what a user is told."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from tests.core.builders import NON_ROOT, acceptance, approval, pod, policy, request, snapshot
from webhook.core.ending import NOTICE_DAYS, notice
from webhook.core.evaluate import evaluate
from webhook.core.standing import Standing, State
from webhook.core.times import within
from webhook.core.verdict import Verdict

END = datetime(2026, 12, 1, tzinfo=UTC)
RISK = acceptance()
SECOND = timedelta(seconds=1)


def verdict_at(at: datetime, skew: timedelta = timedelta()) -> Verdict:
    around = snapshot(policy(NON_ROOT), risks=(RISK,), approvals=(approval(RISK),), clock_skew=skew)
    return evaluate(request(pod()), around, at)


@pytest.mark.parametrize(
    ("left", "days"),
    [
        (timedelta(days=30) + SECOND, None),
        (timedelta(days=30), 30),
        (timedelta(days=7) + SECOND, 30),
        (timedelta(days=7), 7),
        (timedelta(days=1) + SECOND, 7),
        (timedelta(days=1), 1),
        (SECOND, 1),
    ],
)
def test_a_notice_is_reached_that_many_days_before_the_end(left: timedelta, days: int | None) -> None:
    assert notice(Standing(State.ACTIVE, END), END - left) == days


@pytest.mark.parametrize("state", [state for state in State if state is not State.ACTIVE])
def test_what_is_not_in_force_has_no_notice(state: State) -> None:
    assert notice(Standing(state, END), END - SECOND) is None


@pytest.mark.parametrize("days", NOTICE_DAYS)
def test_the_warning_says_first_that_it_ends_soon(days: int) -> None:
    (warning,) = verdict_at(max(END - timedelta(days=days), datetime(2026, 11, 3, tzinfo=UTC))).warnings
    assert warning.startswith(f"{within(days)}: risk accepted by RiskAcceptance shop/legacy until 2026-12-01")


def test_the_later_of_both_clocks_counts() -> None:
    at = END - timedelta(days=7, minutes=30)
    assert verdict_at(at).accepted[0].notice == 30
    assert verdict_at(at, skew=timedelta(hours=1)).accepted[0].notice == 7
    assert verdict_at(at, skew=-timedelta(hours=1)).accepted[0].notice == 30


def test_of_several_accepted_risks_the_one_that_ends_first_is_told_first() -> None:
    late, soon = policy(NON_ROOT, name="late"), policy(NON_ROOT, name="soon")
    risks = tuple(
        acceptance(
            name,
            policies=[{"kind": "ClusterPolicy", "name": name}],
            validFrom="2026-11-01T00:00:00Z",
            validUntil=until,
        )
        for name, until in (("late", "2027-01-20T00:00:00Z"), ("soon", "2026-11-24T00:00:00Z"))
    )
    around = snapshot(late, soon, risks=risks, approvals=tuple(map(approval, risks)))
    warnings = evaluate(request(pod()), around, datetime(2026, 11, 23, 12, tzinfo=UTC)).warnings
    assert [each.partition(" until")[0] for each in warnings] == [
        "ends within 1 day: risk accepted by RiskAcceptance shop/soon",
        "risk accepted by RiskAcceptance shop/late",
    ]

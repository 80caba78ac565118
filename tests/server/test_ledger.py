"""A policy that is slow for every request leaves a worker time for the others."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.faults.happenings import LOOPS
from tests.gatekeeper.gk import cel_template, constraint, rego_template
from tests.server.builders import make_policy, make_review, make_snapshot
from tests.server.serving import policy_manifest
from webhook.adapters.snapshots import Context, build
from webhook.core.activation import Budget
from webhook.core.evaluate import evaluate
from webhook.core.match import EVERY_POLICY
from webhook.core.model import PolicyRef
from webhook.core.review import AdmissionRequest
from webhook.core.verdict import Verdict
from webhook.server.current import Current
from webhook.server.deadline import Deadline
from webhook.server.judging import Judge
from webhook.server.ledger import CREDIT_SECONDS, SHARE, Ledger

SLOW = PolicyRef("ClusterPolicy", "", "slow")


class Clock:
    """A clock, and a ledger that goes by it."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.ledger = Ledger(lambda: self.now)

    def take(self, seconds: float, policy: PolicyRef = SLOW) -> bool:
        """Let an evaluation take time, and tell whether it may go on."""
        self.ledger.goes_on(policy, again=False)
        self.now += seconds
        return self.ledger.goes_on(policy, again=True)


@pytest.mark.parametrize(
    ("taken", "goes_on"),
    [
        ([CREDIT_SECONDS - 0.1], True),
        ([CREDIT_SECONDS * 2], False),
        ([CREDIT_SECONDS * 0.7, CREDIT_SECONDS * 0.7], False),
        ([CREDIT_SECONDS * 9, -1, SHARE * 0.5], True),  # there is no debt, and credit comes back
        ([CREDIT_SECONDS * 9, -1, SHARE * 2], False),
        ([CREDIT_SECONDS, -1_000_000, CREDIT_SECONDS - 0.1], True),
        ([CREDIT_SECONDS, -1_000_000, CREDIT_SECONDS * 2], False),  # it doesn't pile up
    ],
)
def test_credit_comes_back_with_time(taken: list[float], goes_on: bool) -> None:
    """What is negative passes between evaluations."""
    clock = Clock()
    for seconds in taken:
        if seconds < 0:
            clock.now -= seconds
        else:
            last = clock.take(seconds)
    assert last is goes_on
    assert clock.take(0.1, PolicyRef("ClusterPolicy", "", "another")) is True


def test_whoever_has_no_credit_is_stopped_at_the_first_look() -> None:
    clock = Clock()
    clock.take(CREDIT_SECONDS * 2)
    assert clock.ledger.goes_on(SLOW, again=False) is False
    clock.now += 0.1
    assert clock.ledger.goes_on(SLOW, again=False) is True


def test_accounts_of_policies_that_are_quick_again_are_closed() -> None:
    clock = Clock()
    for number in range(3000):
        clock.take(1.0, PolicyRef("ClusterPolicy", "", str(number)))
    assert len(clock.ledger._accounts) <= 1000


RANGE = "numbers.range(1, 300)[_]"
BURNS_IN_REGO = (
    f'package burns\nviolation[{{"msg": "m"}}] {{ a := {RANGE}; b := {RANGE}; c := {RANGE}; a + b + c < 0 }}'
)


@pytest.mark.parametrize(
    "burns",
    [
        [policy_manifest("burns", LOOPS)],
        [cel_template(validations=[{"expression": LOOPS, "message": "m"}]), constraint(name="burns")],
        [rego_template(BURNS_IN_REGO), constraint(name="burns")],
    ],
    ids=["policy", "constraint in CEL", "constraint in Rego"],
)
def test_whatever_is_slow_has_an_account(burns: list[dict[str, Any]]) -> None:
    asked: list[tuple[str, bool]] = []

    class Accounts:
        def goes_on(self, policy: PolicyRef, *, again: bool) -> bool:
            asked.append((policy.name, again))
            return not again

    found = evaluate(
        AdmissionRequest.parse(make_review()),
        build(burns, Context()),
        datetime.now(UTC),
        budget=Budget(ledger=Accounts()),
    )
    assert "so often lately" in found.errors[0].message
    assert asked == [("burns", False), ("burns", True)]


def test_a_policy_that_burns_its_budget_for_every_request_soon_takes_little() -> None:
    manifest = policy_manifest("burns", f"!object.metadata.name.startsWith('slow') || {LOOPS}")
    compiled = build([manifest], Context()).policies
    judge = Judge(Current(make_snapshot(*compiled, make_policy())))
    judge._ledger = Ledger(time.thread_time)  # whatever else this machine does

    def judged(name: str) -> tuple[Verdict, float]:
        request = AdmissionRequest.parse(make_review(name))
        started = time.thread_time()
        verdict = judge(request, EVERY_POLICY, Deadline(30))
        assert isinstance(verdict, Verdict)
        return verdict, time.thread_time() - started

    # While its credit lasts, it burns what a request may take; then it is stopped at its first look.
    for _ in range(200):
        verdict = judged("slow")[0]
        assert verdict.allowed is False
        if "so often lately" in verdict.message:
            break
    verdicts = [judged("slow") for _ in range(5)]
    assert all(not verdict.allowed for verdict, _ in verdicts)
    alone = evaluate(
        AdmissionRequest.parse(make_review("slow")),
        make_snapshot(*compiled),
        datetime.now(UTC),
        budget=Budget(taken=time.thread_time, seconds=0.25),
    )
    assert "took longer than one policy may take" in alone.message
    assert min(seconds for _, seconds in verdicts) < 0.05
    assert judged("web")[0].allowed is True, "what it judges quickly, it judges as ever"
    assert judged("bad")[0].message == "no-bad-names/name: the name is bad", "and others do"

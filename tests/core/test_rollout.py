"""A first rollout: actions that are capped, users who are exempt; and the meter of the policies."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.core.builders import (
    APPETITE,
    NON_ROOT,
    NOW,
    acceptance,
    approval,
    container,
    namespace,
    pod,
    policy,
    request,
    snapshot,
    validation,
)
from webhook.core.errors import EvaluationError
from webhook.core.evaluate import evaluate
from webhook.core.model import Action, PolicyRef
from webhook.core.policy import ActionOverride
from webhook.core.selectors import Selector

DENY, WARN, AUDIT = Action.DENY, Action.WARN, Action.AUDIT
NEVER = validation(lambda _: False, "never")


def broken(_: Any) -> Any:
    raise EvaluationError("it failed")


CAPS = [
    ("", (DENY,), (DENY,)),
    ("Deny", (DENY, AUDIT), (DENY, AUDIT)),
    ("Warn", (DENY,), (WARN,)),
    ("Warn", (DENY, AUDIT), (WARN, AUDIT)),
    ("Warn", (WARN, AUDIT), (WARN, AUDIT)),
    ("Warn", (AUDIT,), (AUDIT,)),
    ("Audit", (DENY,), (AUDIT,)),
    ("Audit", (WARN, AUDIT), (AUDIT,)),
    ("Audit", (AUDIT,), (AUDIT,)),
]


@pytest.mark.parametrize(("most", "own", "left"), CAPS)
def test_no_policy_does_more_than_the_cap(
    most: str, own: tuple[Action, ...], left: tuple[Action, ...]
) -> None:
    made = (policy(NEVER, name="a", actions=own), policy(validation(broken), name="b", actions=own))
    verdict = evaluate(request(pod()), replace(snapshot(*made), max_action=most), NOW)
    assert [violation.actions for violation in verdict.violations] == [left]
    assert [error.actions for error in verdict.errors] == [left]
    assert verdict.allowed is (DENY not in left)
    assert bool(verdict.warnings) is (left[0] is WARN)


def test_an_override_is_capped_too() -> None:
    override = ActionOverride(Selector.parse({"matchLabels": {"stage": "prod"}}), (DENY, AUDIT))
    made = policy(NEVER, actions=(AUDIT,), overrides=(override,))
    built = snapshot(made, namespaces=(namespace("shop", stage="prod"),))
    assert not evaluate(request(pod()), built, NOW).allowed
    verdict = evaluate(request(pod()), replace(built, max_action="Warn"), NOW)
    assert verdict.allowed
    assert verdict.violations[0].actions == (WARN, AUDIT)


def test_under_a_cap_what_ignores_its_errors_still_does() -> None:
    made = policy(validation(broken), fail=False)
    verdict = evaluate(request(pod()), replace(snapshot(made), max_action="Warn"), NOW)
    assert verdict.errors[0].actions == ()
    assert not verdict.warnings


def test_under_a_cap_acceptances_cover_and_controls_count_as_without() -> None:
    control = policy(validation(lambda _: False), name="control")
    controls = [{"description": "egress", "policy": {"kind": "ClusterPolicy", "name": "control"}}]
    for given, covered in (({}, True), ({"compensatingControls": controls}, False)):
        risk = acceptance(**given)
        built = snapshot(
            policy(NON_ROOT), control, risks=(risk,), approvals=(approval(risk),), appetite=APPETITE
        )
        verdict = evaluate(request(pod(container())), replace(built, max_action="Audit"), NOW)
        assert bool(verdict.accepted) is covered


def test_an_exempt_user_passes_and_the_audit_log_says_so() -> None:
    built = replace(snapshot(policy(NEVER)), exempt_users=frozenset({"system:serviceaccount:backup:restore"}))
    verdict = evaluate(request(pod(), user="system:serviceaccount:backup:restore"), built, NOW)
    assert verdict.allowed
    assert verdict.audit_annotations == {
        "exempt-user": "system:serviceaccount:backup:restore",
        "revision": "r1",
    }
    assert not evaluate(request(pod(), user="system:serviceaccount:backup:other"), built, NOW).allowed
    assert not evaluate(request(pod(), user=""), built, NOW).allowed


class Stopwatch:
    def __init__(self) -> None:
        self.running = False
        self.measured: list[PolicyRef] = []

    def start(self) -> None:
        assert not self.running
        self.running = True

    def stop(self, policy: PolicyRef) -> None:
        assert self.running
        self.running = False
        self.measured.append(policy)


def test_a_meter_measures_each_policy_that_is_judged_and_no_other() -> None:
    made = (
        policy(NEVER, name="a"),
        policy(validation(broken), name="b"),
        policy(NEVER, name="elsewhere", namespace="other"),
        policy(NEVER, name="c", namespace="shop"),
    )
    built, meter = snapshot(*made), Stopwatch()
    metered = evaluate(request(pod()), built, NOW, meter=meter)
    assert [ref.name for ref in meter.measured] == ["a", "b", "c"]
    assert metered == evaluate(request(pod()), built, NOW)

"""Statuses say what holds, since when, and what is missing."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from webhook.adapters.snapshots import Context, build
from webhook.core.acceptance import digest_of
from webhook.core.model import API_VERSION
from webhook.core.snapshot import Snapshot
from webhook.core.times import format_time
from webhook.operator.status import Enforcement, acceptance_status, appetite_status, policy_status

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
IN_FORCE = Enforcement(True, 2, 3)


def policy(expression: str = "true", resource: str = "pods", group: str = "") -> dict[str, Any]:
    rule = {"apiGroups": [group], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": [resource]}
    return {
        "apiVersion": API_VERSION,
        "kind": "ClusterPolicy",
        "metadata": {"name": "one", "generation": 3},
        "spec": {
            "severity": "medium",
            "matchConstraints": {"resourceRules": [rule]},
            "validations": [{"name": "check", "expression": expression}],
        },
    }


def acceptance(**more: Any) -> dict[str, Any]:
    spec = {
        "policies": [{"kind": "ClusterPolicy", "name": "one"}],
        "scope": {"kinds": [{"kind": "Pod"}], "names": ["a"]},
        "justification": "because",
        "riskOwner": "jane",
        "requester": "john",
        "validFrom": format_time(NOW - timedelta(days=1)),
        "validUntil": format_time(NOW + timedelta(days=60)),
        **more,
    }
    metadata = {"name": "one", "namespace": "shop", "generation": 2}
    return {"apiVersion": API_VERSION, "kind": "RiskAcceptance", "metadata": metadata, "spec": spec}


def approval(of: dict[str, Any]) -> dict[str, Any]:
    return {
        "apiVersion": API_VERSION,
        "kind": "RiskApproval",
        "metadata": {"name": "jane", "namespace": "shop"},
        "spec": {
            "riskAcceptance": "one",
            "digest": digest_of(of),
            "approver": "jane",
            "groups": ["owners"],
            "approvedAt": format_time(NOW - timedelta(hours=1)),
        },
    }


APPETITE: dict[str, Any] = {
    "apiVersion": API_VERSION,
    "kind": "RiskAppetite",
    "metadata": {"name": "default", "generation": 1},
    "spec": {"rules": [{"severities": ["medium"], "approvers": {"groups": ["owners"]}}]},
}


def snapshot(*objects: dict[str, Any]) -> Snapshot:
    return build(objects, Context(trust_approvals=True))


def of_policy(obj: dict[str, Any], enforcement: Enforcement, observed: dict[str, Any] | None = None) -> Any:
    built = snapshot(obj)
    compiled = next(iter(built.policies), None)
    failure = next(iter(built.failures), None)
    return policy_status(obj, compiled, failure, enforcement, observed or {}, NOW)


def of_acceptance(obj: dict[str, Any], *others: dict[str, Any]) -> Any:
    built = snapshot(obj, *others)
    policies = {each.ref: each for each in built.policies}
    return acceptance_status(obj, policies, built.register, {}, NOW).fields


def conditions(status: Any) -> dict[str, tuple[str, str]]:
    return {each["type"]: (each["status"], each["reason"]) for each in status["conditions"]}


@pytest.mark.parametrize(
    ("obj", "enforcement", "ready", "enforced"),
    [
        (policy(), IN_FORCE, ("True", "Compiled"), ("True", "Enforced")),
        (policy(), Enforcement(True, 0, 0), ("True", "Compiled"), ("False", "NoWorker")),
        (policy(), Enforcement(True, 2, 2), ("True", "Compiled"), ("False", "NotLoaded")),
        (policy(), Enforcement(False, 2, 3), ("True", "Compiled"), ("False", "NotRegistered")),
        (policy("1 +"), IN_FORCE, ("False", "CompileError"), ("False", "CompileError")),
        (
            policy(resource="validatingadmissionpolicies", group="admissionregistration.k8s.io"),
            IN_FORCE,
            ("True", "Compiled"),
            ("False", "NeverSentToWebhooks"),
        ),
    ],
)
def test_a_policy_is_ready_when_it_compiles_and_enforced_when_workers_judge_by_it(
    obj: dict[str, Any], enforcement: Enforcement, ready: tuple[str, str], enforced: tuple[str, str]
) -> None:
    status = of_policy(obj, enforcement)
    assert conditions(status) == {"Ready": ready, "Enforced": enforced}
    assert status["observedGeneration"] == 3


def test_a_compile_error_says_where() -> None:
    message = of_policy(policy("object.spec.containers.all(c, )"), IN_FORCE)["conditions"][0]["message"]
    assert message.startswith("spec.validations[0].expression: 1:")


def test_a_condition_keeps_the_time_since_when_it_holds() -> None:
    first = of_policy(policy(), Enforcement(True, 0, 0))
    for condition in first["conditions"]:
        condition["lastTransitionTime"] = "2026-01-01T00:00:00Z"
    later = of_policy(policy(), IN_FORCE, first)
    assert [each["lastTransitionTime"] for each in later["conditions"]] == [
        "2026-01-01T00:00:00Z",
        format_time(NOW),
    ]
    assert of_policy(policy(), IN_FORCE, later) == later


def test_an_acceptance_in_force() -> None:
    obj = acceptance()
    status = of_acceptance(obj, approval(obj), policy(), APPETITE)
    assert (status["phase"], status["approvals"], status["digest"]) == ("Active", 1, digest_of(obj))
    assert {name: state for name, (state, _) in conditions(status).items()} == {
        "Approved": "True",
        "Active": "True",
        "Expiring": "False",
        "Expired": "False",
        "Revoked": "False",
    }


@pytest.mark.parametrize(
    ("change", "others", "phase", "why"),
    [
        ({}, [policy(), APPETITE], "Pending", "0 of 1 approvals"),
        ({}, [APPETITE], "Pending", "no such policy"),
        ({}, [policy()], "Refused", "no RiskAppetite"),
        (
            {"validUntil": format_time(NOW - timedelta(hours=1))},
            ["approval", policy(), APPETITE],
            "Expired",
            "ended",
        ),
        ({"revoked": {"at": format_time(NOW)}}, ["approval", policy(), APPETITE], "Revoked", "revoked"),
        ({"clusters": ["elsewhere"]}, ["approval", policy(), APPETITE], "Refused", "cluster"),
        ({"validFrom": "soon"}, [policy(), APPETITE], "Invalid", "validFrom"),
    ],
)
def test_an_acceptance_that_does_not_hold_says_why(
    change: dict[str, Any], others: list[Any], phase: str, why: str
) -> None:
    obj = acceptance(**change)
    status = of_acceptance(obj, *(approval(obj) if each == "approval" else each for each in others))
    active = next(each for each in status["conditions"] if each["type"] == "Active")
    assert (status["phase"], active["status"]) == (phase, "False")
    assert why in active["message"]


@pytest.mark.parametrize(
    ("hours", "expected", "says"),
    [
        (31 * 24, ("False", "NotSoon"), ""),
        (30 * 24, ("True", "WithinThirtyDays"), "ends within 30 days, at 2026-12-23T12:00:00Z: one"),
        (7 * 24 + 1, ("True", "WithinThirtyDays"), "ends within 30 days, at 2026-11-30T13:00:00Z: one"),
        (7 * 24, ("True", "WithinSevenDays"), "ends within 7 days, at 2026-11-30T12:00:00Z: one"),
        (24, ("True", "WithinOneDay"), "ends within 1 day, at 2026-11-24T12:00:00Z: one"),
        (0, ("False", "NotSoon"), ""),
    ],
)
def test_the_condition_expiring_changes_with_each_notice(
    hours: int, expected: tuple[str, str], says: str
) -> None:
    obj = acceptance(validUntil=format_time(NOW + timedelta(hours=hours)))
    status = of_acceptance(obj, approval(obj), policy(), APPETITE)
    assert conditions(status)["Expiring"] == expected
    (expiring,) = (each for each in status["conditions"] if each["type"] == "Expiring")
    assert expiring["message"] == says


def test_the_end_that_counts_for_notices_is_the_first_of_several_policies() -> None:
    short = policy()
    short["metadata"]["name"] = "short"
    short["spec"]["riskAcceptance"] = {"maxDuration": "3d"}
    named = [{"kind": "ClusterPolicy", "name": name} for name in ("one", "short")]
    obj = acceptance(policies=named)
    built = snapshot(obj, approval(obj), policy(), short, APPETITE)
    policies = {each.ref: each for each in built.policies}
    found = acceptance_status(obj, policies, built.register, {}, NOW)
    assert found.until == NOW + timedelta(days=2)
    (expiring,) = (each for each in found.fields["conditions"] if each["type"] == "Expiring")
    assert expiring["message"] == "ends within 7 days, at 2026-11-25T12:00:00Z: short"


@pytest.mark.parametrize(
    ("name", "rule", "expected"),
    [
        ("default", {}, ("True", "Holds")),
        ("other", {}, ("False", "NotTheDefault")),
        ("default", {"maxDuration": "for ever"}, ("False", "Invalid")),
    ],
)
def test_only_the_default_appetite_holds(name: str, rule: dict[str, Any], expected: tuple[str, str]) -> None:
    obj = {
        **APPETITE,
        "metadata": {"name": name},
        "spec": {"rules": [{**APPETITE["spec"]["rules"][0], **rule}]},
    }
    assert conditions(appetite_status(obj, {}, NOW)) == {"Ready": expected}


def test_an_acceptance_for_an_emergency_says_so() -> None:
    known = {**APPETITE, "spec": {**APPETITE["spec"], "breakGlass": {"groups": ["owners"]}}}
    obj = acceptance(
        breakGlass=True,
        validFrom=format_time(NOW - timedelta(hours=1)),
        validUntil=format_time(NOW + timedelta(hours=1)),
    )
    status = of_acceptance(obj, approval(obj), policy(), known)
    active = next(each for each in status["conditions"] if each["type"] == "Active")
    assert (status["phase"], active["status"]) == ("Active", "True")
    assert "in an emergency (break-glass)" in active["message"]

"""What the audit finds on one object: as at admission, through owners, and to the second."""

from __future__ import annotations

import copy
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from tests.core.builders import NON_ROOT, acceptance, approval, container, owned, pod, policy, snapshot
from tests.core.test_keep_running import DEPLOYMENT, END, EVERY, FOR, POD, REPLICASET, SECOND
from webhook.adapters.findings import Result
from webhook.core.policy import CompiledPolicy, Rule
from webhook.operator.audit.judging import Judge
from webhook.operator.client import Resource

PODS = Resource("", "v1", "pods", "Pod", namespaced=True)
DEPLOYMENTS = Resource("apps", "v1", "deployments", "Deployment", namespaced=True)
REPLICASETS = Resource("apps", "v1", "replicasets", "ReplicaSet", namespaced=True)
PODS_ALONE = replace(EVERY, pod_templates=False)
INSIDE = END - timedelta(days=2)


def found(
    obj: dict[str, Any],
    resource: Resource,
    rule: CompiledPolicy = EVERY,
    at: datetime = INSIDE,
    *,
    approved: bool = True,
    **context: Any,
) -> list[tuple[Result, bool]]:
    risk = acceptance(scope=FOR)
    around = snapshot(
        rule,
        risks=(risk,),
        approvals=(approval(risk),) if approved else (),
        owners=(DEPLOYMENT, REPLICASET),
        **context,
    )
    return [
        (each.result, each.accepted is not None and each.accepted.kept_running)
        for each in Judge(around)(obj, resource, at).findings
    ]


SKIPPED = [(Result.SKIP, False)]
FAILED = [(Result.FAIL, False)]
KEPT = [(Result.FAIL, True)]


@pytest.mark.parametrize(
    ("obj", "resource", "rule", "expected"),
    [
        (DEPLOYMENT, DEPLOYMENTS, EVERY, SKIPPED),
        (REPLICASET, REPLICASETS, EVERY, []),
        (POD, PODS, EVERY, []),
        (POD, PODS, PODS_ALONE, SKIPPED),
        (DEPLOYMENT, DEPLOYMENTS, PODS_ALONE, []),
        (pod(name="bare"), PODS, EVERY, FAILED),
        (pod(container(securityContext={"runAsNonRoot": True})), PODS, EVERY, []),
    ],
    ids=[
        "a workload by its own acceptance",
        "a ReplicaSet only by its Deployment",
        "a Pod only by its Deployment",
        "without podTemplates a Pod, by the acceptance of its Deployment",
        "without podTemplates no workload",
        "a bare Pod",
        "one that complies",
    ],
)
def test_what_is_judged_and_by_what_it_is_covered(
    obj: dict[str, Any], resource: Resource, rule: CompiledPolicy, expected: list[tuple[Result, bool]]
) -> None:
    assert found(obj, resource, rule) == expected


@pytest.mark.parametrize(
    ("obj", "resource", "rule", "ended"),
    [(DEPLOYMENT, DEPLOYMENTS, EVERY, FAILED), (POD, PODS, PODS_ALONE, KEPT)],
    ids=["workload", "Pod that is kept running"],
)
def test_the_end_shows_from_the_first_second(
    obj: dict[str, Any], resource: Resource, rule: CompiledPolicy, ended: list[tuple[Result, bool]]
) -> None:
    assert found(obj, resource, rule, END - SECOND) == SKIPPED
    assert found(obj, resource, rule, END) == ended


def test_nothing_covers_without_its_approval() -> None:
    assert found(DEPLOYMENT, DEPLOYMENTS, approved=False) == FAILED


def test_an_owner_of_another_uid_covers_nothing() -> None:
    forged = owned(POD, {**REPLICASET, "metadata": {**REPLICASET["metadata"], "uid": "another"}})
    assert found(forged, PODS, PODS_ALONE) == FAILED


def test_another_container_than_the_workloads_is_not_covered() -> None:
    changed = copy.deepcopy(POD)
    changed["spec"]["containers"].append(container("added"))
    assert sorted(map(str, found(changed, PODS, PODS_ALONE))) == sorted(map(str, [*SKIPPED, *FAILED]))


@pytest.mark.parametrize(
    "change",
    [
        {"background": False},
        {"make_authorizer": lambda *_: None},
        {"rules": (Rule(frozenset({""}), frozenset({"v1"}), frozenset({"pods"}), frozenset({"DELETE"})),)},
    ],
    ids=["not in the background", "asks the authorizer", "not about making objects"],
)
def test_policies_that_are_left_out_find_nothing(change: dict[str, Any]) -> None:
    assert found(pod(name="bare"), PODS, replace(EVERY, **change)) == []


def test_an_unknown_namespace_or_owner_is_looked_for_again() -> None:
    risk = acceptance(scope=FOR)
    around = snapshot(PODS_ALONE, risks=(risk,), approvals=(approval(risk),), owners=())
    assert Judge(around)(POD, PODS, INSIDE).again
    assert not Judge(snapshot(policy(NON_ROOT)))(pod(), PODS, INSIDE).again

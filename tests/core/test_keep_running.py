"""What may be made again after its acceptance has ended: line by line what the rules of time say."""

from __future__ import annotations

import copy
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.core.builders import (
    APPETITE,
    NON_ROOT,
    acceptance,
    approval,
    container,
    owned,
    pod,
    policy,
    request,
    snapshot,
    workload,
)
from webhook.core.acceptance import digest_of
from webhook.core.evaluate import evaluate
from webhook.core.policy import Rule
from webhook.core.verdict import Verdict

END = datetime(2026, 12, 1, tzinfo=UTC)
SECOND = timedelta(seconds=1)
INSIDE = "2026-11-05T00:00:00Z"
CONTROLLERS = "system:serviceaccount:kube-system:"
EVERY = policy(
    NON_ROOT,
    pod_templates=True,
    rules=(Rule(frozenset({""}), frozenset({"v1"}), frozenset({"pods"}), frozenset({"CREATE", "UPDATE"})),),
)
FOR = {
    "kinds": [{"group": "apps", "kind": "Deployment"}, {"group": "batch", "kind": "CronJob"}],
    "names": ["web"],
}


def job(kind: str = "Job", **metadata: Any) -> dict[str, Any]:
    made = workload(kind, **metadata)
    made["apiVersion"] = "batch/v1"
    made["spec"] = {"template": made["spec"]["template"]}
    if kind == "CronJob":
        made["spec"] = {"jobTemplate": {"spec": made["spec"]}}
    return made


DEPLOYMENT = workload()
REPLICASET = owned(workload("ReplicaSet", name="web-1", creationTimestamp=INSIDE), DEPLOYMENT)
REPLICASET["spec"]["template"] = copy.deepcopy(DEPLOYMENT["spec"]["template"])
CRONJOB = job("CronJob")
JOB = owned(job(name="web-1", creationTimestamp=INSIDE), CRONJOB)
JOB["spec"]["template"] = copy.deepcopy(CRONJOB["spec"]["jobTemplate"]["spec"]["template"])
POD = owned(pod(labels={"app": "web"}), REPLICASET)
JOBS_POD = owned(pod(labels={"app": "web"}), JOB)


def judged(
    obj: dict[str, Any] = POD,
    at: datetime = END,
    *,
    user: str = f"{CONTROLLERS}replicaset-controller",
    risk: dict[str, Any] | None = None,
    approved: bool = True,
    owners: tuple[dict[str, Any], ...] = (DEPLOYMENT, REPLICASET, CRONJOB, JOB),
    appetite: dict[str, Any] = APPETITE,
    deleted: bool = False,
    **spec: Any,
) -> Verdict:
    risk = risk or acceptance(scope=FOR, **spec)
    around = snapshot(
        EVERY,
        risks=() if deleted else (risk,),
        approvals=(approval(risk),) if approved else (),
        owners=owners,
        appetite=appetite,
    )
    return evaluate(request(obj, user=user), around, at)


def changed(obj: dict[str, Any], **metadata: Any) -> dict[str, Any]:
    result = copy.deepcopy(obj)
    result["metadata"].update(metadata)
    return result


def of_appetite(**spec: Any) -> dict[str, Any]:
    return {**APPETITE, "spec": {**APPETITE["spec"], **spec}}


def test_it_is_kept_running_from_the_first_second_and_said_so() -> None:
    before, after = judged(at=END - SECOND), judged(at=END)
    assert [each.kept_running for each in before.accepted] == [False]
    assert [each.kept_running for each in after.accepted] == [True]
    assert after.allowed
    assert "ended 2026-12-01, kept running" in after.warnings[0]


@pytest.mark.parametrize(
    ("appetite", "last"),
    [
        (APPETITE, timedelta(days=30)),
        (of_appetite(keepRunningFor="2d"), timedelta(days=2)),
        (of_appetite(afterExpiry="KeepRunning", keepRunningFor="1h"), timedelta(hours=1)),
    ],
)
def test_it_is_for_no_longer_than_the_appetite_says(appetite: dict[str, Any], last: timedelta) -> None:
    assert judged(at=END + last, appetite=appetite).allowed
    assert not judged(at=END + last + SECOND, appetite=appetite).allowed


def test_the_appetite_may_allow_none_of_it() -> None:
    assert not judged(appetite=of_appetite(afterExpiry="Deny")).allowed


@pytest.mark.parametrize(
    ("created", "allowed"),
    [
        ("2026-11-01T23:59:59Z", False),  # in its window, but before it was approved
        ("2026-11-02T00:00:00Z", True),
        ("2026-11-30T23:59:59Z", True),
        ("2026-12-01T00:00:01Z", False),
        ("", False),
        ("yesterday", False),
    ],
)
def test_what_holds_the_template_was_made_while_it_was_in_force(created: str, *, allowed: bool) -> None:
    known = (DEPLOYMENT, changed(REPLICASET, creationTimestamp=created))
    assert judged(owners=known).allowed is allowed


def test_the_template_is_the_workloads_present_one() -> None:
    present = copy.deepcopy(DEPLOYMENT)
    present["spec"]["template"]["spec"]["containers"][0]["image"] = "registry.example.com/app:2"
    assert not judged(owners=(present, REPLICASET)).allowed
    other = owned(pod(container(image="registry.example.com/app:2")), REPLICASET)
    assert not judged(other).allowed


@pytest.mark.parametrize(
    "gone",
    [
        {"deleted": True},
        {"revoked": {"at": "2026-11-20T00:00:00Z"}},
        {"approved": False},
        {"appetite": of_appetite(revoked=[{"digest": digest_of(acceptance(scope=FOR)), "at": INSIDE}])},
        {"clusters": ["elsewhere"]},
    ],
    ids=["deleted", "revoked", "approvals withdrawn", "digest revoked", "for another cluster"],
)
def test_the_ended_acceptance_is_there_and_not_taken_back(gone: dict[str, Any]) -> None:
    assert not judged(**gone).allowed


@pytest.mark.parametrize("user", ["alice", f"{CONTROLLERS}job-controller", f"{CONTROLLERS}default"])
def test_only_the_controller_makes_it_again(user: str) -> None:
    assert not judged(user=user).allowed


def test_a_pod_of_a_job_may_be_made_again_and_a_new_job_may_not() -> None:
    assert judged(JOBS_POD, user=f"{CONTROLLERS}job-controller").accepted[0].kept_running
    by_cron = f"{CONTROLLERS}cronjob-controller"
    new = changed(JOB, name="web-2", uid="new")
    assert judged(new, at=END - SECOND, user=by_cron).allowed
    assert not judged(new, user=by_cron).allowed


@pytest.mark.parametrize("obj", [pod(), DEPLOYMENT, REPLICASET], ids=["bare Pod", "Deployment", "ReplicaSet"])
def test_nothing_else_is_made_again(obj: dict[str, Any]) -> None:
    for user in ("alice", f"{CONTROLLERS}deployment-controller", f"{CONTROLLERS}replicaset-controller"):
        assert not judged(obj, user=user).allowed


def test_no_acceptance_of_the_pod_itself_keeps_it_running() -> None:
    direct = acceptance(scope={"kinds": [{"kind": "Pod"}], "names": ["web*"]})
    assert judged(risk=direct, at=END - SECOND).allowed
    assert not judged(risk=direct).allowed

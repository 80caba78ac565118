"""A compensating control that names a policy holds only while that policy passes for the same object."""

from __future__ import annotations

import copy
from datetime import timedelta
from typing import Any

import pytest

from tests.core.builders import (
    NON_ROOT,
    NOW,
    PODS,
    REPLICASET_CONTROLLER,
    acceptance,
    approval,
    container,
    namespace,
    owned,
    pod,
    policy,
    request,
    snapshot,
    validation,
    workload,
)
from webhook.core.errors import EvaluationError
from webhook.core.evaluate import evaluate
from webhook.core.model import Action
from webhook.core.policy import ActionOverride, ParamSource, Rule
from webhook.core.selectors import Selector
from webhook.core.verdict import NamespaceLack, Verdict

SCOPE = {"kinds": [{"kind": "Pod"}, {"group": "apps", "kind": "Deployment"}], "names": ["web*"]}
DROPS = validation(
    lambda a: (a.container.get("securityContext") or {}).get("drop") is True,
    "drops",
    for_each_container=True,
)
GOOD, BAD = container(securityContext={"drop": True}), container()
BROKEN = "it can't be evaluated"


def broken(_: Any) -> Any:
    raise EvaluationError(BROKEN)


def risk(*controls: tuple[str, str], **spec: Any) -> dict[str, Any]:
    named = [{"description": "d", "policy": {"kind": kind, "name": name}} for kind, name in controls]
    return acceptance(compensatingControls=named, **{"scope": SCOPE, **spec})


def judged(
    *controls: Any,
    obj: dict[str, Any],
    old: dict[str, Any] | None = None,
    user: str = "alice",
    more: tuple[dict[str, Any], ...] = (),
    **around: Any,
) -> Verdict:
    """Judge an object by a policy that it violates, accepted as long as the controls pass."""
    accepted = policy(NON_ROOT, pod_templates=True, rules=(PODS,))
    risks = (risk(*((each.ref.kind, each.ref.name) for each in controls)), *more)
    known = snapshot(accepted, *controls, risks=risks, approvals=tuple(map(approval, risks)), **around)
    return evaluate(request(obj, old, user=user), known, NOW)


def control(*validations: Any, **options: Any) -> Any:
    return policy(*(validations or (DROPS,)), **{"name": "control", "pod_templates": True, **options})


ANYTHING = namespace(stage="prod")
LABELLED = Selector.parse({"matchLabels": {"stage": "prod"}})


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"actions": (Action.WARN,)},
        {"actions": (Action.AUDIT,)},
        {"actions": ()},
        {"overrides": (ActionOverride(LABELLED, (Action.AUDIT,)),)},
        {"namespace_selector": LABELLED},
    ],
    ids=["denies", "warns", "audits", "does nothing", "an override makes it audit", "for this namespace"],
)
def test_whatever_it_does_by_itself_it_must_pass(options: dict[str, Any]) -> None:
    made = control(**options)
    fine = judged(made, obj=pod(GOOD), namespaces=(ANYTHING,))
    assert fine.allowed
    assert len(fine.accepted) == 1
    verdict = judged(made, obj=pod(BAD), namespaces=(ANYTHING,))
    assert not verdict.allowed
    assert "its compensating control control does not hold for this object" in verdict.message


@pytest.mark.parametrize("fail", [True, False], ids=["Fail", "Ignore"])
def test_an_evaluation_error_is_no_pass_whatever_the_failure_policy(*, fail: bool) -> None:
    verdict = judged(control(validation(broken), fail=fail), obj=pod(GOOD))
    assert not verdict.allowed
    assert verdict.accepted == ()
    assert "does not hold for this object" in verdict.message


def test_all_of_several_must_pass() -> None:
    other = control(validation(lambda _: False, "never"), name="other", actions=())
    assert judged(control(), obj=pod(GOOD)).allowed
    assert "control other does not hold" in judged(control(), other, obj=pod(GOOD)).message


def test_that_another_acceptance_covers_its_violation_is_no_pass() -> None:
    covers = acceptance("covers", policies=[{"kind": "ClusterPolicy", "name": "control"}], scope=SCOPE)
    verdict = judged(control(), obj=pod(BAD), more=(covers,))
    assert [each.acceptance.name for each in verdict.accepted] == ["covers"]
    assert not verdict.allowed


def test_that_the_object_violated_it_before_is_no_pass() -> None:
    old = pod(BAD)
    new = copy.deepcopy(old)
    new["metadata"]["labels"] = {"a": "b"}
    verdict = judged(control(), obj=new, old=old)
    assert not verdict.accepted


@pytest.mark.parametrize(("most", "allowed"), [("1", True), ("0", False), (None, False)])
def test_its_parameters_are_those_of_the_object(most: str | None, *, allowed: bool) -> None:
    source = ParamSource("", "v1", "ConfigMap", "limits", None, "", required=True)
    few = validation(lambda a: len(a.object["spec"]["containers"]) <= int(a.params["data"]["most"]), "few")
    given = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "limits", "namespace": "shop"},
        "data": {"most": most},
    }
    verdict = judged(
        control(few, param_source=source, actions=()),
        obj=pod(GOOD),
        params=(given,) if most is not None else (),
    )
    assert bool(verdict.accepted) is allowed


def test_a_namespaced_policy_controls_in_its_own_namespace_only() -> None:
    here = control(namespace="shop")
    assert judged(here, obj=pod(GOOD)).allowed
    assert not judged(here, obj=pod(BAD)).allowed
    elsewhere = control(namespace="other")
    verdict = judged(elsewhere, obj=pod(GOOD))
    assert "its compensating control shop/control is not enforced here" in verdict.message


@pytest.mark.parametrize(("part", "allowed"), [(GOOD, True), (BAD, False)], ids=["passes", "violates"])
def test_a_workload_is_compared_by_its_template(part: dict[str, Any], *, allowed: bool) -> None:
    assert judged(control(), obj=workload("Deployment", part)).allowed is allowed


def test_a_policy_on_pods_alone_demands_nothing_of_a_workload_and_all_of_its_pods() -> None:
    pods_only = control(pod_templates=False)
    deployment = workload("Deployment", BAD)
    assert judged(pods_only, obj=deployment).allowed
    replicaset = owned(workload("ReplicaSet", BAD, name="web-1"), deployment)
    replicaset["spec"]["template"] = copy.deepcopy(deployment["spec"]["template"])
    made = owned(pod(BAD), replicaset)
    verdict = judged(pods_only, obj=made, user=REPLICASET_CONTROLLER, owners=(deployment, replicaset))
    assert not verdict.allowed


@pytest.mark.parametrize(("part", "allowed"), [(GOOD, True), (BAD, False)], ids=["passes", "violates"])
def test_what_is_made_of_a_workload_must_pass_itself(part: dict[str, Any], *, allowed: bool) -> None:
    deployment = workload("Deployment", part)
    replicaset = owned(workload("ReplicaSet", part, name="web-1"), deployment)
    replicaset["spec"]["template"] = copy.deepcopy(deployment["spec"]["template"])
    scoped = acceptance(
        scope={"kinds": [{"group": "apps", "kind": "Deployment"}], "names": ["web"]},
        compensatingControls=[{"description": "d", "policy": {"kind": "ClusterPolicy", "name": "control"}}],
    )
    known = snapshot(
        policy(NON_ROOT, pod_templates=True),
        control(actions=()),
        risks=(scoped,),
        approvals=(approval(scoped),),
        owners=(deployment, replicaset),
    )
    made = request(owned(pod(part, name="web-1-x"), replicaset), user=REPLICASET_CONTROLLER)
    assert evaluate(made, known, NOW).allowed is allowed


def test_what_does_not_match_the_object_demands_nothing_of_it() -> None:
    services = Rule(frozenset({""}), frozenset({"v1"}), frozenset({"services"}), frozenset({"*"}))
    assert judged(control(validation(lambda _: False), rules=(services,)), obj=pod(BAD)).allowed


def test_a_namespace_that_is_not_known_yet_is_waited_for() -> None:
    verdict = judged(control(namespace_selector=LABELLED), obj=pod(GOOD), namespaces=())
    assert not verdict.accepted
    assert NamespaceLack("shop") in verdict.lacking


def test_a_control_is_judged_once_for_all_violations_of_a_request() -> None:
    calls: list[int] = []

    def count(_: Any) -> bool:
        calls.append(1)
        return True

    made = control(validation(count), rules=(PODS,), actions=())
    alone = judged(made, obj=pod(container("a"), container("b"), container("c")))
    assert len(alone.accepted) == 3
    # Once as a policy of its own, once as a control.
    assert len(calls) == 2


def test_time_does_not_make_a_control_pass() -> None:
    known = snapshot(
        policy(NON_ROOT),
        control(),
        risks=(risk(("ClusterPolicy", "control")),),
        approvals=(approval(risk(("ClusterPolicy", "control"))),),
    )
    for hours in (0, 24, 100):
        assert not evaluate(request(pod(BAD)), known, NOW + timedelta(hours=hours)).accepted

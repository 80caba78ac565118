"""Objects and requests that no schema let through: one of them never hurts another, and none crashes."""

from __future__ import annotations

import copy
import random
from collections.abc import Iterator
from typing import Any

import orjson
import pytest

from tests.core.builders import (
    APPETITE,
    NON_ROOT,
    NOW,
    REPLICASET_CONTROLLER,
    acceptance,
    approval,
    container,
    namespace,
    owned,
    pod,
    policy,
    request,
    review,
    snapshot,
    validation,
    workload,
)
from webhook.adapters import snapshots
from webhook.adapters.reading import Cache
from webhook.core.errors import ReviewError
from webhook.core.evaluate import evaluate
from webhook.core.review import AdmissionRequest, response
from webhook.core.selectors import Selector

SELECTOR = {
    "matchLabels": {"a": "b"},
    "matchExpressions": [{"key": "x", "operator": "In", "values": ["1"]}],
}
CLUSTER_POLICY = {
    "apiVersion": "tidewaiter.dev/v1alpha1",
    "kind": "ClusterPolicy",
    "metadata": {"name": "policy", "generation": 2},
    "spec": {
        "severity": "high",
        "matchConstraints": {
            "resourceRules": [
                {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["*"], "resources": ["pods"]}
            ]
        },
        "podTemplates": True,
        "paramKind": {"apiVersion": "v1", "kind": "ConfigMap"},
        "paramRef": {"selector": SELECTOR, "parameterNotFoundAction": "Allow"},
        "validationActionOverrides": [{"namespaceSelector": SELECTOR, "validationActions": ["Warn"]}],
        "validations": [{"name": "rule", "expression": "container.image != ''", "forEach": "containers"}],
        "auditAnnotations": [{"key": "k", "valueExpression": "'x'"}],
        "riskAcceptance": {"maxDuration": "90d"},
    },
}
POLICY = {**CLUSTER_POLICY, "kind": "Policy", "metadata": {"name": "policy", "namespace": "shop"}}
CONFIG = {
    "apiVersion": "v1",
    "kind": "ConfigMap",
    "metadata": {"name": "limits", "namespace": "shop", "labels": {"a": "b", "x": "1"}},
}
RISK = acceptance(
    compensatingControls=[{"description": "d", "policy": {"kind": "ClusterPolicy", "name": "other"}}],
    clusters=["here"],
    scope={
        "kinds": [{"group": "", "kind": "Pod"}],
        "names": ["web*"],
        "objectSelector": SELECTOR,
        "images": ["*"],
        "containers": ["app"],
    },
)
DEPLOYMENT = workload()
REPLICASET = owned(workload("ReplicaSet", name="web-1"), DEPLOYMENT)
REVISION = {
    "apiVersion": "apps/v1",
    "kind": "ControllerRevision",
    "metadata": {"name": "web-1", "namespace": "shop", "uid": "uid-revision"},
    "data": {"spec": {"template": DEPLOYMENT["spec"]["template"]}},
}
OBJECTS = (
    CLUSTER_POLICY,
    POLICY,
    RISK,
    approval(RISK),
    APPETITE,
    CONFIG,
    namespace(),
    DEPLOYMENT,
    REPLICASET,
    REVISION,
)
JUNK: tuple[Any, ...] = (
    *(None, True, -1, 2**70, 1.5, float("inf"), "", "x", [], {}, [1], [[]], [{}], [None]),
    *({"a": 1}, {"": None}, {"a": []}, {"matchLabels": {"a": []}}, "9999-12-31T23:59:59Z", "99999d"),
)


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if path:
        yield path
    for key in value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ():
        yield from places(value[key], (*path, key))


def mutated(value: Any, random_: random.Random) -> Any:
    """Return a copy in which one or two places hold something else, or nothing."""
    changed = copy.deepcopy(value)
    for _ in range(random_.choice((1, 1, 2))):
        *above, last = random_.choice(list(places(changed)))
        holder = changed
        for key in above:
            holder = holder[key]
        if random_.random() < 0.1:
            del holder[last]
        else:
            holder[last] = copy.deepcopy(random_.choice(JUNK))
    return changed


REQUESTS = (
    request(pod(container(image=""))),
    request(pod(container(image=""), labels={"a": "b", "x": "1"}), pod(container(image=""))),
    request(owned(pod(container(image="")), REPLICASET), user=REPLICASET_CONTROLLER),
    request(REPLICASET, user="system:serviceaccount:kube-system:deployment-controller"),
    request(DEPLOYMENT),
)


def test_a_broken_object_in_a_snapshot_hurts_no_other() -> None:
    random_ = random.Random(7)
    cache = Cache()
    context = snapshots.Context(trust_approvals=True, cluster="here")
    guard = {**CLUSTER_POLICY, "metadata": {"name": "guard"}}
    for _ in range(300):
        broken = mutated(random_.choice(OBJECTS), random_)
        built = snapshots.build([broken, *OBJECTS, guard], context, cache)
        assert any(known.ref.name == "guard" for known in built.policies), broken
        for req in REQUESTS:
            orjson.dumps(response("u", evaluate(req, built, NOW)))


def test_what_a_controller_revision_holds_breaks_no_snapshot() -> None:
    deep: Any = {}
    for _ in range(900):
        deep = {"a": deep}
    for template in ({"metadata": {"labels": {"a": 1.5, "b": 2**60}}, "spec": {}}, {"spec": deep}):
        revision = {**REVISION, "data": {"spec": {"template": template}}}
        data = snapshots.dump([revision, CLUSTER_POLICY], snapshots.Context())
        assert len(snapshots.load(data).policies) == 1


def test_a_policy_that_is_nested_too_deeply_alone_is_not_enforced() -> None:
    deep: Any = {}
    for _ in range(900):
        deep = {"a": deep}
    hostile = {**POLICY, "spec": {**POLICY["spec"], "params": deep}}
    risk = {**RISK, "spec": {**RISK["spec"], "scope": deep}}
    built = snapshots.load(snapshots.dump([hostile, risk, CLUSTER_POLICY], snapshots.Context()))
    assert [known.ref.kind for known in built.policies] == ["ClusterPolicy"]
    assert built.failures[0].ref.namespace == "shop"
    assert "can't be kept in a snapshot" in built.failures[0].message
    assert "RiskAcceptance legacy: can't be kept in a snapshot" in built.problems[0]


def test_a_broken_review_is_a_review_error_or_is_judged() -> None:
    random_ = random.Random(11)
    made = policy(NON_ROOT, validation(lambda _: False, "never", field_path="spec.x"), pod_templates=True)
    snap = snapshot(made, risks=(RISK,), approvals=(approval(RISK),), owners=(DEPLOYMENT, REPLICASET))
    reviews = (
        review(pod(), pod()),
        review(DEPLOYMENT, DEPLOYMENT),
        review(owned(pod(), REPLICASET), user=REPLICASET_CONTROLLER),
        review(REPLICASET, REPLICASET, user="system:serviceaccount:kube-system:deployment-controller"),
        review(namespace(), namespace()),
    )
    for _ in range(1500):
        try:
            req = AdmissionRequest.parse(mutated(random_.choice(reviews), random_))
        except ReviewError:
            continue
        orjson.dumps(response(req.uid, evaluate(req, snap, NOW)))


@pytest.mark.parametrize(
    "selector",
    [
        {"matchLabels": {"a": ["b"]}},
        {"matchLabels": ["a"]},
        {"matchExpressions": [{"key": [], "operator": "Exists"}]},
        {"matchExpressions": [{"operator": "Exists"}]},
        {"matchExpressions": [{"key": "a", "operator": "In", "values": "b"}]},
        {"matchExpressions": ["a"]},
    ],
)
def test_a_selector_of_wrong_types_is_refused_when_it_is_read(selector: Any) -> None:
    with pytest.raises(ValueError):
        Selector.parse(selector)


@pytest.mark.parametrize("field", ["names", "images", "containers", "namespaces"])
def test_a_text_where_a_list_must_be_covers_nothing(field: str) -> None:
    scope = {"kinds": [{"group": "", "kind": "Pod"}], "names": ["web"], "namespaces": ["*"], field: "*"}
    risk = acceptance(kind="ClusterRiskAcceptance", scope=scope)
    policies = {**CLUSTER_POLICY, "spec": {**CLUSTER_POLICY["spec"], "paramRef": None, "paramKind": None}}
    built = snapshots.build(
        [risk, approval(risk), APPETITE, namespace(), policies], snapshots.Context(trust_approvals=True)
    )
    assert f"spec.scope.{field}" in built.problems[0]
    assert not evaluate(request(pod(container(image=""))), built, NOW).allowed

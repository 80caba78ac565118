"""What passes at one call is what judging each validation by itself lets pass: the same verdicts, whole."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from tests.policies import ours
from tests.policies.pods import generate
from webhook.adapters.snapshots import Context, build
from webhook.core.evaluate import evaluate
from webhook.core.match import PolicyIndex
from webhook.core.review import request_for
from webhook.core.snapshot import Snapshot


def test_verdicts_are_the_same_without_the_quick_way() -> None:
    quick = ours.snapshot("latest")
    assert all(policy.passes is not None for policy in quick.policies)
    slow_policies = tuple(replace(policy, passes=None) for policy in quick.policies)
    slow = replace(quick, policies=slow_policies, index=PolicyIndex(slow_policies))
    denied = 0
    for generated in generate(300, seed=24):
        asked = ours.request(generated.pod)
        verdict = evaluate(asked, quick, ours.NOW)
        assert verdict == evaluate(asked, slow, ours.NOW)
        denied += not verdict.allowed
    assert 60 < denied < 240


def test_in_whatever_order_policies_on_the_object_and_on_its_pod_follow_each_other() -> None:
    pods = {"apiGroups": [""], "apiVersions": ["v1"], "resources": ["pods"], "operations": ["CREATE"]}
    workloads = {**pods, "apiGroups": ["apps"], "resources": ["deployments"]}

    def made(name: str, expression: str, rule: Mapping[str, Any], **more: Any) -> dict[str, Any]:
        validation = {"name": "holds", "expression": expression, "message": "no", **more.pop("each", {})}
        spec = {"matchConstraints": {"resourceRules": [rule]}, "validations": [validation], **more}
        metadata = {"name": name}
        return {
            "apiVersion": "tidewaiter.dev/v1alpha1",
            "kind": "ClusterPolicy",
            "metadata": metadata,
            "spec": spec,
        }

    each = {"forEach": "containers"}
    kinds = [
        made("on-object", "object.kind == 'Deployment' && object.spec.replicas == 2", workloads),
        made("on-pod", "object.kind == 'Pod'", pods, podTemplates=True),
        made("on-containers", "container.image != 'bad'", pods, podTemplates=True, each=each),
        made("denies-object", "object.kind == 'Pod'", workloads),
        made("denies-pod", "object.kind == 'Deployment'", pods, podTemplates=True),
        made("fails", "object.spec.nothing == 1", workloads),
        made(
            "by-variable",
            "variables.kind == 'Pod'",
            pods,
            podTemplates=True,
            variables=[{"name": "kind", "expression": "object.kind"}],
        ),
    ]
    deployment = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web"},
        "spec": {"replicas": 2, "template": {"spec": {"containers": [{"name": "a", "image": "good"}]}}},
    }
    asked = request_for(deployment, resource="deployments", namespace="shop")
    compiled = {policy.ref.name: policy for policy in build(kinds, Context()).policies}
    assert all(policy.passes is not None for policy in compiled.values())
    for order in itertools.permutations(compiled.values(), 4):
        quick = Snapshot(policies=order, index=PolicyIndex(order))
        slow_policies = tuple(replace(policy, passes=None) for policy in order)
        slow = Snapshot(policies=slow_policies, index=PolicyIndex(slow_policies))
        verdict = evaluate(asked, quick, ours.NOW)
        assert verdict == evaluate(asked, slow, ours.NOW)
        denying = {policy.ref.name for policy in order} & {"denies-object", "denies-pod", "fails"}
        assert {ref.name for ref in verdict.denied_by} == denying

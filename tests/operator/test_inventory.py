"""The snapshot holds what judging needs of a real cluster, and nothing else of it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.controlplane import ControlPlane
from webhook.core.model import API_VERSION
from webhook.operator import workloads
from webhook.operator.client import KubernetesClient
from webhook.operator.inventory import Inventory
from webhook.operator.params import ParamKind, keep_meant, sources

Until = Callable[..., Awaitable[None]]
CRDS = Path(__file__).parents[2] / "charts/tidewaiter/crds"


def policy(title: str, namespace: str = "", **reference: Any) -> dict[str, Any]:
    rule = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}
    return {
        "apiVersion": API_VERSION,
        "kind": "Policy" if namespace else "ClusterPolicy",
        "metadata": {"name": title, **({"namespace": namespace} if namespace else {})},
        "spec": {
            "matchConstraints": {"resourceRules": [rule]},
            "paramKind": {"apiVersion": "v1", "kind": "ConfigMap"},
            "paramRef": {"parameterNotFoundAction": "Deny", **reference},
            "validations": [{"name": "check", "expression": "true"}],
        },
    }


def item(name: str, namespace: str = "shop", **labels: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "namespace": namespace, "labels": labels},
    }


@pytest.mark.parametrize(
    ("policies", "meant", "others"),
    [
        ([policy("a", name="limits")], [item("limits"), item("limits", "billing")], [item("other")]),
        (
            [policy("a", name="limits", parameterNotFoundAction="Allow")],
            [item("limits")],
            [item("other")],
        ),
        (
            [policy("a", "shop", name="limits")],
            [item("limits")],
            [item("limits", "billing")],
        ),
        (
            [policy("a", selector={"matchLabels": {"param": "yes"}})],
            [item("any", param="yes")],
            [item("any", param="no"), item("any")],
        ),
        ([policy("a", name="x"), policy("b", name="y")], [item("x"), item("y")], [item("z")]),
    ],
)
def test_only_parameters_that_a_policy_can_mean_are_kept(
    policies: list[dict[str, Any]], meant: list[dict[str, Any]], others: list[dict[str, Any]]
) -> None:
    keep = keep_meant(sources(policies)[ParamKind("v1", "ConfigMap")])
    assert [keep(each) for each in meant] == meant
    assert [keep(each) for each in others] == [None] * len(others)


def test_a_reference_to_a_namespace_means_that_namespace() -> None:
    named = policy("a", name="limits")
    named["spec"]["paramRef"]["namespace"] = "shop"
    keep = keep_meant(sources([named])[ParamKind("v1", "ConfigMap")])
    assert keep(item("limits"))
    assert keep(item("limits", "billing")) is None


def test_secrets_are_never_parameters() -> None:
    secret = policy("a", name="password")
    secret["spec"]["paramKind"] = {"apiVersion": "v1", "kind": "Secret"}
    assert sources([secret]) == {}


def test_workloads_are_kept_where_a_risk_is_accepted() -> None:
    acceptances = [
        {"kind": "RiskAcceptance", "metadata": {"namespace": "shop"}},
        {"kind": "ClusterRiskAcceptance", "spec": {"scope": {"namespaces": ["team-*-dev", "billing"]}}},
    ]
    covered = workloads.covered_namespaces(acceptances)
    assert covered == {"shop", "billing", "team-*-dev"}
    keep = workloads.keep_in(covered)

    def kept(namespace: str) -> bool:
        found = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"namespace": namespace}}
        return keep(found) is not None

    assert [name for name in ("shop", "shop2", "team-a-dev", "team--dev", "team-dev") if kept(name)] == [
        "shop",
        "team-a-dev",
        "team--dev",
    ]


def test_of_a_workload_only_its_origin_and_template_are_kept() -> None:
    found = {
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "metadata": {"name": "a", "namespace": "shop", "uid": "1", "resourceVersion": "7", "annotations": {}},
        "spec": {"replicas": 3, "template": {"spec": {}}},
        "status": {"replicas": 1},
    }
    assert workloads.reduce(found) == {
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "metadata": {"name": "a", "namespace": "shop", "uid": "1"},
        "spec": {"template": {"spec": {}}},
    }


@asynccontextmanager
async def running(client: KubernetesClient) -> AsyncIterator[tuple[Inventory, list[bool]]]:
    changes: list[bool] = []
    inventory = Inventory(client, changes.append)
    task = asyncio.create_task(inventory.run())
    try:
        yield inventory, changes
    finally:
        task.cancel()
        await asyncio.wait({task})


def _names(inventory: Inventory, kind: str) -> set[str]:
    return {each["metadata"]["name"] for each in inventory.objects() if each["kind"] == kind}


@pytest.mark.e2e
@pytest.mark.xdist_group("operator")
async def test_informers_come_and_go_with_what_policies_and_acceptances_name(
    plane: ControlPlane, client: KubernetesClient, until: Until
) -> None:
    plane.kubectl("delete", "-k", str(CRDS), "--ignore-not-found", check=True)
    plane.kubectl("create", "configmap", "limits", check=True)
    plane.kubectl("create", "configmap", "unrelated", check=True)
    plane.kubectl("create", "deployment", "legacy", "--image=app", check=True)
    async with running(client) as (inventory, changes):
        await until(lambda: len(inventory.missing_kinds) == 7)
        assert not inventory.complete
        plane.kubectl("apply", "-k", str(CRDS), check=True)
        await until(lambda: inventory.complete)
        assert not inventory.missing_kinds
        assert "default" in _names(inventory, "Namespace")
        assert not _names(inventory, "ConfigMap") | _names(inventory, "Deployment")

        rule = policy("params", name="limits")
        plane.kubectl("apply", "-f", "-", input=json.dumps(rule), check=True)
        await until(lambda: _names(inventory, "ConfigMap") == {"limits"})
        rule["spec"]["paramRef"] = {"name": "unrelated", "parameterNotFoundAction": "Deny"}
        plane.kubectl("apply", "-f", "-", input=json.dumps(rule), check=True)
        await until(lambda: _names(inventory, "ConfigMap") == {"unrelated"})

        rule["metadata"]["name"] = "unknown-kind"
        rule["spec"]["paramKind"] = {"apiVersion": "tests.example.com/v1", "kind": "Thing"}
        plane.kubectl("apply", "-f", "-", input=json.dumps(rule), check=True)
        await until(lambda: "unknown-kind" in _names(inventory, "ClusterPolicy"))
        assert not inventory.complete, "its parameters may be about to come"
        await until(lambda: inventory.complete)

        accepted = {
            "apiVersion": API_VERSION,
            "kind": "RiskAcceptance",
            "metadata": {"name": "one", "namespace": "default"},
            "spec": {
                "policies": [{"kind": "ClusterPolicy", "name": "params"}],
                "scope": {"kinds": [{"group": "apps", "kind": "Deployment"}], "names": ["legacy"]},
                "justification": "The rewrite has begun; until then nothing else can be run.",
                "riskOwner": "jane",
                "requester": "john",
                "validFrom": "2026-01-01T00:00:00Z",
                "validUntil": "2026-02-01T00:00:00Z",
            },
        }
        plane.kubectl("apply", "-f", "-", input=json.dumps(accepted), check=True)
        await until(lambda: _names(inventory, "Deployment") == {"legacy"})
        plane.kubectl("delete", "riskacceptance", "one", check=True)
        plane.kubectl("delete", "clusterpolicy", "params", "unknown-kind", check=True)
        await until(lambda: not _names(inventory, "Deployment") | _names(inventory, "ConfigMap"))

        changes.clear()
        plane.kubectl("create", "namespace", "soon", check=True)
        await until(lambda: "soon" in _names(inventory, "Namespace"))
        assert True in changes, "a namespace is published at once"
        assert all(heard and not error for heard, error in inventory.contacts().values())

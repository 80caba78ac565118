"""Accepted risks on a real cluster: what they let through, for whom, and until when."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest

from tests.e2e.cluster import (
    Cluster,
    acceptance,
    configmap,
    deployment,
    eventually,
    no_privileged,
    pod,
    policy,
)

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("e2e")]

NO_SECRETS = "!has(object.data) || !('password' in object.data)"
CONFIGMAP = ("", "ConfigMap")
DEPLOYMENT = ("apps", "Deployment")


def accepted(cluster: Cluster, *objects: dict[str, Any]) -> str:
    """Apply what an acceptance lets through soon; return the warnings."""
    return str(eventually(lambda: _passes(cluster, objects), "the acceptance").stderr)


def _passes(cluster: Cluster, objects: tuple[dict[str, Any], ...]) -> Any:
    done = cluster.apply(*objects)
    return None if done.returncode else done


def test_an_accepted_violation_passes_with_a_warning_and_a_note(cluster: Cluster) -> None:
    space = cluster.namespace()
    rule = policy(space, NO_SECRETS)
    cluster.enforce(rule)
    cluster.denied(configmap(space, password="x"))
    asked, given = acceptance(rule, space, CONFIGMAP, ["one"])
    cluster.apply(asked, check=True)
    name = asked["metadata"]["name"]
    assert "0 of 1 approvals" in eventually(
        lambda: "approvals" in (said := cluster.denied(configmap(space, password="x"))) and said,
        "the acceptance in the denial",
    )
    cluster.apply(given, check=True)
    warning = accepted(cluster, configmap(space, password="x"))
    assert name in warning
    assert f"until {asked['spec']['validUntil'][:10]}" in warning
    assert "approved by jane.doe@example.com" in warning
    cluster.denied(configmap(space, "another", password="x"))

    def status() -> Any:
        found = cluster.status_of("riskacceptance", name, space)
        return found if found.get("phase") == "Active" else None

    found = eventually(status, "an active acceptance")
    assert found["digest"] == given["spec"]["digest"]
    assert found["approvals"] == 1
    assert {each["type"]: each["status"] for each in found["conditions"]} == {
        "Approved": "True",
        "Active": "True",
        "Expiring": "True",
        "Expired": "False",
        "Revoked": "False",
    }
    notes = [
        event["annotations"]["cluster.tidewaiter.dev/accepted"]
        for event in cluster.plane.audit_events()
        if event.get("objectRef", {}).get("namespace") == space
        and "cluster.tidewaiter.dev/accepted" in (event.get("annotations") or {})
    ]
    assert notes
    assert name in notes[0]


def test_an_acceptance_of_a_deployment_covers_its_pods_but_no_forged_owner(cluster: Cluster) -> None:
    space = cluster.namespace()
    rule = no_privileged(space)
    cluster.enforce(rule)
    cluster.denied(deployment(space, privileged=True))
    cluster.apply(*acceptance(rule, space, DEPLOYMENT, ["legacy"]), check=True)
    accepted(cluster, deployment(space, privileged=True))

    def made(kind: str) -> Any:
        found = cluster.kubectl("get", kind, "-n", space, "-l", "app=legacy", "-o", "json", check=True)
        return json.loads(found.stdout)["items"]

    assert eventually(lambda: made("pods"), "a Pod made by the controllers", 30)
    replica_set = made("replicasets")[0]
    owner = {
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "name": replica_set["metadata"]["name"],
        "uid": replica_set["metadata"]["uid"],
        "controller": True,
    }
    said = cluster.denied(pod(space, "forged", owner, privileged=True))
    assert "is not the controller" in said
    forged = {
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "metadata": {
            "name": "forged",
            "namespace": space,
            "ownerReferences": replica_set["metadata"]["ownerReferences"],
        },
        "spec": {
            "selector": {"matchLabels": {"app": "forged"}},
            "template": {
                "metadata": {"labels": {"app": "forged"}},
                "spec": pod(space, privileged=True)["spec"],
            },
        },
    }
    cluster.denied(forged)
    cluster.kubectl("scale", "deployment", "legacy", "--replicas=2", "-n", space, check=True)
    eventually(lambda: len(made("pods")) == 2, "a second Pod", 30)


def test_an_expired_acceptance_no_longer_holds_and_is_named(cluster: Cluster) -> None:
    space = cluster.namespace()
    rule = policy(space, NO_SECRETS)
    cluster.enforce(rule)
    past = acceptance(rule, space, CONFIGMAP, ["old"], end=timedelta(hours=-1))
    cluster.apply(*past, check=True)
    # Long enough for a busy machine to write it, load it and be asked.
    soon = acceptance(rule, space, CONFIGMAP, ["soon"], end=timedelta(seconds=20))
    cluster.apply(*soon, check=True)
    accepted(cluster, configmap(space, "soon", password="x"))
    cluster.denied(configmap(space, "old", password="x"))
    said = eventually(
        lambda: "ended" in (said := cluster.denied(configmap(space, "old", password="x"))) and said,
        "the expired acceptance in the denial",
    )
    assert past[0]["metadata"]["name"] in said

    def denied_at_last() -> Any:
        cluster.kubectl("delete", "configmap", "soon", "-n", space)
        return "ended at" in cluster.apply(configmap(space, "soon", password="x")).stderr

    eventually(denied_at_last, "the expiry", 60)
    for asked in (past[0], soon[0]):
        name = asked["metadata"]["name"]
        eventually(
            lambda name=name: cluster.status_of("riskacceptance", name, space).get("phase") == "Expired",
            "the phase Expired",
        )


def test_a_deleted_acceptance_no_longer_holds(cluster: Cluster) -> None:
    space = cluster.namespace()
    rule = policy(space, NO_SECRETS)
    cluster.enforce(rule)
    asked, given = acceptance(rule, space, CONFIGMAP, ["one*"])
    cluster.apply(asked, given, check=True)
    accepted(cluster, configmap(space, password="x"))
    cluster.kubectl("delete", "riskacceptance", asked["metadata"]["name"], "-n", space, check=True)
    cluster.denied(configmap(space, "one-more", password="x"))


def test_an_acceptance_deleted_while_the_operator_was_cut_off_no_longer_holds(cluster: Cluster) -> None:
    space = cluster.namespace()
    rule = policy(space, NO_SECRETS)
    cluster.enforce(rule)
    asked, given = acceptance(rule, space, CONFIGMAP, ["one*"])
    cluster.apply(asked, given, check=True)
    accepted(cluster, configmap(space, password="x"))
    cluster.proxy.cut()
    try:
        cluster.kubectl("delete", "riskacceptance", asked["metadata"]["name"], "-n", space, check=True)
        # The last good snapshot serves on.
        cluster.allowed(configmap(space, "one-while-cut", password="x"))
    finally:
        cluster.proxy.mend()
    cluster.denied(configmap(space, "one-more", password="x"))

"""Gatekeeper's templates and constraints on a real API server, in Gatekeeper's place and beside it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.controlplane import ControlPlane
from tests.e2e.cluster import APPETITE, Cluster, configmap, eventually, pod, stamp
from tests.gatekeeper.gk import cel_template, constraint, rego_template
from webhook.core.acceptance import digest_of

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("e2e-gatekeeper")]

SECRETIVE = cel_template(
    "K8sSecretive",
    validations=[
        {
            "expression": "!has(object.data) || !(variables.params.key in object.data)",
            "messageExpression": "'no ' + variables.params.key + ' here'",
        }
    ],
)
MATCH = {"kinds": [{"apiGroups": [""], "kinds": ["ConfigMap"]}], "excludedNamespaces": ["kube-*"]}


def secretive(name: str = "no-passwords", **spec: Any) -> dict[str, Any]:
    return constraint("K8sSecretive", name, **{"match": MATCH, "parameters": {"key": "password"}, **spec})


@pytest.fixture(scope="module")
def cluster(assets: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    plane = ControlPlane(assets, tmp_path_factory.mktemp("gatekeeper"), kcm=True)
    with plane, Cluster(plane, "--gatekeeper", "replace") as started:
        started.apply(APPETITE, check=True)
        eventually(
            lambda: _established(started, "constrainttemplates.templates.gatekeeper.sh"), "the kinds", 60
        )
        yield started


def _established(cluster: Cluster, name: str) -> bool:
    done = cluster.kubectl("wait", "--for=condition=Established", "--timeout=1s", f"crd/{name}")
    return done.returncode == 0


def _get(cluster: Cluster, *words: str) -> dict[str, Any]:
    done = cluster.kubectl("get", *words, "-o", "json")
    found: dict[str, Any] = json.loads(done.stdout) if done.returncode == 0 else {}
    return found


@pytest.fixture
def enforced(cluster: Cluster) -> Iterator[Cluster]:
    cluster.apply(SECRETIVE, check=True)
    eventually(lambda: cluster.apply(secretive()).returncode == 0, "the kind of the constraint")
    yield cluster
    cluster.kubectl("delete", "k8ssecretive.constraints.gatekeeper.sh", "--all", check=True)


def test_a_template_and_its_constraint_are_there_on_the_second_try(cluster: Cluster, tmp_path: Path) -> None:
    kind = cel_template("K8sBoth", validations=[{"expression": "false", "message": "refused"}])
    match = {"kinds": [{"apiGroups": [""], "kinds": ["ConfigMap"]}], "namespaces": ["test-both"]}
    for name, obj in (("template", kind), ("constraint", constraint("K8sBoth", "both", match=match))):
        (tmp_path / f"{name}.yaml").write_text(json.dumps(obj))
    (tmp_path / "kustomization.yaml").write_text("resources: [template.yaml, constraint.yaml]\n")
    first = cluster.kubectl("apply", "-k", str(tmp_path))
    assert first.returncode != 0
    assert 'no matches for kind "K8sBoth"' in first.stderr
    eventually(lambda: cluster.kubectl("apply", "-k", str(tmp_path)).returncode == 0, "the second try", 30)
    cluster.kubectl("create", "namespace", "test-both", check=True)
    assert "[both] refused" in cluster.denied(configmap("test-both"))
    cluster.kubectl("delete", "-k", str(tmp_path), check=True)
    eventually(
        lambda: not _get(cluster, "crd", "k8sboth.constraints.gatekeeper.sh"), "the end of the kind", 60
    )
    eventually(lambda: cluster.apply(configmap("test-both")).returncode == 0, "nothing to be enforced")


def test_a_constraint_denies_and_says_so_as_gatekeeper_does(enforced: Cluster) -> None:
    space = enforced.namespace()
    said = enforced.denied(configmap(space, password="x"))
    assert "[no-passwords] no password here" in said
    enforced.allowed(configmap(space, user="x"))
    template = eventually(
        lambda: _get(enforced, "constrainttemplate", "k8ssecretive").get("status"), "the template's status"
    )
    assert template["created"] is True
    assert "errors" not in template["byPod"][0]

    def status() -> Any:
        found = _get(enforced, "k8ssecretive", "no-passwords").get("status") or {}
        return found if (found.get("byPod") or [{}])[0].get("enforced") else None

    pods = eventually(status, "the constraint's status")["byPod"]
    assert pods[0]["operations"] == ["webhook"]
    assert pods[0]["observedGeneration"] == 1


def test_only_what_constraints_are_for_is_sent(enforced: Cluster) -> None:
    space = enforced.namespace()
    enforced.denied(configmap(space, password="x"))
    rules = [
        rule for entry in (enforced.configuration() or {})["webhooks"] for rule in entry.get("rules", ())
    ]
    of_core = {resource for rule in rules if "" in rule["apiGroups"] for resource in rule["resources"]}
    assert of_core == {"configmaps"}
    enforced.allowed(pod(space))


def test_actions_change_at_once(enforced: Cluster) -> None:
    space = enforced.namespace()
    enforced.denied(configmap(space, password="x"))
    enforced.apply(secretive(enforcementAction="warn"), check=True)

    def warned() -> Any:
        done = enforced.apply(configmap(space, password="x"))
        if done.returncode == 0:
            enforced.kubectl("delete", "configmap", "one", "-n", space, check=True)
            return done.stderr
        return None

    assert "Warning: [no-passwords] no password here" in eventually(warned, "a warning")


def test_the_namespaces_that_a_config_names_are_left_out(enforced: Cluster) -> None:
    space = enforced.namespace()
    enforced.denied(configmap(space, password="x"))
    config = {
        "apiVersion": "config.gatekeeper.sh/v1alpha1",
        "kind": "Config",
        "metadata": {"name": "config", "namespace": "default"},
        "spec": {"match": [{"processes": ["*"], "excludedNamespaces": [space]}]},
    }
    enforced.apply(config, check=True)
    try:
        eventually(lambda: enforced.apply(configmap(space, password="x")).returncode == 0, "the exclusion")
    finally:
        enforced.kubectl("delete", "configs.config.gatekeeper.sh", "config", "-n", "default", check=True)


def test_the_audit_counts_what_is_there_already(cluster: Cluster) -> None:
    space = cluster.namespace()
    cluster.apply(configmap(space, password="x"), check=True)
    cluster.apply(SECRETIVE, check=True)
    there = secretive("old-passwords", enforcementAction="dryrun", match={**MATCH, "namespaces": [space]})
    eventually(lambda: cluster.apply(there).returncode == 0, "the kind of the constraint")

    def status() -> Any:
        found = _get(cluster, "k8ssecretive", "old-passwords").get("status") or {}
        return found if found.get("totalViolations") else None

    found = eventually(status, "what the audit found", 90)
    assert found["totalViolations"] == 1
    assert found["auditTimestamp"]
    assert found["violations"] == [
        {
            "enforcementAction": "dryrun",
            "group": "",
            "version": "v1",
            "kind": "ConfigMap",
            "namespace": space,
            "name": "one",
            "message": "no password here",
        }
    ]
    cluster.kubectl("delete", "k8ssecretive", "old-passwords", check=True)


def test_a_template_that_can_not_be_used_says_why(cluster: Cluster) -> None:
    broken = cel_template("K8sBroken", validations=[{"expression": "object.", "message": "m"}])
    cluster.apply(broken, check=True)

    def errors() -> Any:
        status = _get(cluster, "constrainttemplate", "k8sbroken").get("status") or {}
        return status if status.get("byPod", [{}])[0].get("errors") else None

    status = eventually(errors, "the error")
    assert status["created"] is False
    (error,) = status["byPod"][0]["errors"]
    assert error["location"].startswith("spec.targets[0].code[0].source.validations[0].expression:1:")
    assert error["code"] == "ingest_error"
    assert error["message"].startswith("Could not ingest Rego: ")  # as Gatekeeper says of CEL too
    cluster.kubectl("delete", "constrainttemplate", "k8sbroken", check=True)


def test_a_kind_that_the_api_server_refuses_is_said_in_the_status(cluster: Cluster) -> None:
    made = cel_template("K8sCased")
    cluster.apply(made, check=True)

    def errors() -> Any:
        status = _get(cluster, "constrainttemplate", "k8scased").get("status") or {}
        return (status.get("byPod") or [{}])[0].get("errors")

    try:
        eventually(lambda: _established(cluster, "k8scased.constraints.gatekeeper.sh"), "the kind")
        made["spec"]["crd"]["spec"]["names"]["kind"] = "K8scased"
        cluster.apply(made, check=True)
        (error,) = eventually(errors, "the error")
        assert error["code"] == "update_error"
        assert error["message"].startswith("Could not update CRD: ")
        assert "field is immutable" in error["message"]
        made["spec"]["crd"]["spec"]["names"]["kind"] = "K8sCased"
        cluster.apply(made, check=True)
        eventually(lambda: not errors(), "the end of the error")
    finally:
        cluster.kubectl("delete", "constrainttemplate", "k8scased", check=True)


def _risk(cluster: Cluster, *words: str) -> subprocess.CompletedProcess[str]:
    config = str(cluster.plane.kubeconfig)
    return subprocess.run(
        [sys.executable, "-m", "webhook", "risk", *words, "--kubeconfig", config],
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
        cwd=Path(__file__).parents[2],
    )


def test_a_risk_is_drafted_and_shown_for_what_violates_a_constraint(cluster: Cluster) -> None:
    space = cluster.namespace()
    cluster.apply(configmap(space, password="x"), check=True)
    cluster.apply(SECRETIVE, check=True)
    eventually(lambda: cluster.apply(secretive("drafted")).returncode == 0, "the kind of the constraint")
    try:
        said = ("--justification", "Old.", "--owner", "jane.doe@example.com", "--for", "2d")
        words = ("draft", "-n", space, *said, "--requester", "john.roe@example.com")
        drafted = eventually(lambda: _risk(cluster, *words), "a draft")
        assert drafted.returncode == 0, drafted.stderr
        (asked,) = yaml.safe_load_all(drafted.stdout)
        assert [(each["kind"], each["name"]) for each in asked["spec"]["policies"]] == [
            ("K8sSecretive", "drafted")
        ]
        given = {
            "apiVersion": asked["apiVersion"],
            "kind": "RiskApproval",
            "metadata": {"name": "jane", "namespace": space},
            "spec": {
                "riskAcceptance": asked["metadata"]["name"],
                "digest": digest_of(asked),
                "approver": "jane.doe@example.com",
                "groups": ["risk-owners"],
                "approvedAt": stamp(),
            },
        }
        cluster.apply(asked, given, check=True)
        shown = _risk(cluster, "show", asked["metadata"]["name"], "-n", space, "-o", "json")
        found = json.loads(shown.stdout)
        assert (found["phase"], [each["name"] for each in found["covers"]]) == ("Active", ["one"])
    finally:
        cluster.kubectl("delete", "k8ssecretive.constraints.gatekeeper.sh", "drafted", check=True)


HOSTS = """package hosts

violation[{"msg": msg}] {
  host := input.review.object.spec.rules[_].host
  other := data.inventory.namespace[namespace]["networking.k8s.io/v1"].Ingress[name]
  other.spec.rules[_].host == host
  [namespace, name] != [input.review.object.metadata.namespace, input.review.object.metadata.name]
  msg := sprintf("the host %v is taken by %v/%v", [host, namespace, name])
}
"""


def _ingress(space: str, name: str, host: str) -> dict[str, Any]:
    backend = {"service": {"name": "web", "port": {"number": 80}}}
    path = {"path": "/", "pathType": "Prefix", "backend": backend}
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "Ingress",
        "metadata": {"name": name, "namespace": space},
        "spec": {"rules": [{"host": host, "http": {"paths": [path]}}]},
    }


def test_what_is_synced_is_the_inventory_of_rego(cluster: Cluster) -> None:
    sync = {
        "apiVersion": "syncset.gatekeeper.sh/v1alpha1",
        "kind": "SyncSet",
        "metadata": {"name": "hosts"},
        "spec": {"gvks": [{"group": "networking.k8s.io", "version": "v1", "kind": "Ingress"}]},
    }
    match = {"kinds": [{"apiGroups": ["networking.k8s.io"], "kinds": ["Ingress"]}]}
    cluster.apply(sync, rego_template(HOSTS, "K8sHosts"), check=True)
    eventually(
        lambda: cluster.apply(constraint("K8sHosts", "hosts", match=match)).returncode == 0, "the kind"
    )
    space, other = cluster.namespace(), cluster.namespace()
    cluster.allowed(_ingress(space, "web", "a.example.com"))
    said = cluster.denied(_ingress(other, "web", "a.example.com"))
    assert f"[hosts] the host a.example.com is taken by {space}/web" in said
    cluster.allowed(_ingress(other, "web", "b.example.com"))
    cluster.kubectl("delete", "ingress", "web", "-n", space, check=True)
    again = _ingress(other, "again", "a.example.com")
    eventually(lambda: cluster.apply(again).returncode == 0, "that the host is free")
    cluster.kubectl("delete", "constrainttemplate", "k8shosts", check=True)

"""The risk commands by people who hold the chart's roles and nothing else, on a guarded cluster."""

from __future__ import annotations

import contextlib
import io
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.e2e.cluster import (
    Cluster,
    acceptance,
    configmap,
    deployment,
    eventually,
    no_privileged,
    policy,
    stamp,
)
from webhook import cli

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("e2e"), pytest.mark.timeout(900)]

ROOT = Path(__file__).parents[2]
RBAC = "rbac.authorization.k8s.io"
JANE, JOHN, ANN = "jane.doe@example.com", "john.roe@example.com", "ann.audit@example.com"
OWNERS, DEVELOPERS, AUDIT = "risk-owners", "developers", "audit"
GROUPS = {JANE: OWNERS, JOHN: DEVELOPERS, ANN: AUDIT}


def roles() -> dict[str, dict[str, Any]]:
    """Return the chart's roles for people by the end of their name."""
    documents = yaml.safe_load_all((ROOT / "deploy/tidewaiter.yaml").read_text())
    names = ("requester", "approver", "auditor", "reader", "view")
    found = {}
    for each in documents:
        end = each["metadata"]["name"].rpartition("-")[2]
        if each["kind"] in ("ClusterRole", "Role") and end in names:
            found[f"{each['kind']}/{end}"] = each
    return found


def binding(kind: str, role: Mapping[str, Any], group: str, space: str = "") -> dict[str, Any]:
    metadata = {"name": f"test-{role['metadata']['name']}-{group}", "namespace": space or None}
    return {
        "apiVersion": f"{RBAC}/v1",
        "kind": kind,
        "metadata": {name: value for name, value in metadata.items() if value},
        "roleRef": {"apiGroup": RBAC, "kind": role["kind"], "name": role["metadata"]["name"]},
        "subjects": [{"apiGroup": RBAC, "kind": "Group", "name": group}],
    }


@pytest.fixture(scope="module")
def people(cluster: Cluster) -> Iterator[dict[str, dict[str, Any]]]:
    """Bind the roles as the chart does; a requester's own role is bound in the namespaces of tests."""
    known = roles()
    view = known["Role/view"]
    space = view["metadata"]["namespace"]
    cluster.kubectl("create", "namespace", space)
    made = [
        *known.values(),
        binding("ClusterRoleBinding", known["ClusterRole/reader"], DEVELOPERS),
        binding("ClusterRoleBinding", known["ClusterRole/approver"], OWNERS),
        binding("ClusterRoleBinding", known["ClusterRole/auditor"], AUDIT),
        *(binding("RoleBinding", view, group, space) for group in (DEVELOPERS, OWNERS, AUDIT)),
    ]
    cluster.apply(*made, check=True)
    yield known
    text = "\n---\n".join(json.dumps(each) for each in made)
    cluster.kubectl("delete", "-f", "-", input=text, check=True)


@pytest.fixture
def space(cluster: Cluster, people: dict[str, dict[str, Any]]) -> str:
    """Make a namespace in which the developers may ask, and see the workloads."""
    made = cluster.namespace()
    workloads = {
        "apiVersion": f"{RBAC}/v1",
        "kind": "Role",
        "metadata": {"name": "workloads", "namespace": made},
        "rules": [
            {"apiGroups": ["", "apps", "batch"], "resources": ["*"], "verbs": ["get", "list"]},
        ],
    }
    cluster.apply(
        workloads,
        binding("RoleBinding", people["ClusterRole/requester"], DEVELOPERS, made),
        binding("RoleBinding", workloads, DEVELOPERS, made),
        check=True,
    )
    return made


def risk(cluster: Cluster, user: str, *words: str, status: int = 0) -> subprocess.CompletedProcess[str]:
    """Run a risk command as somebody; it must end with a status."""
    config = cluster.plane.kubeconfig_of(user, GROUPS[user])
    done = tidewaiter(config, "risk", *words)
    assert done.returncode == status, f"{words}: {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done


def tidewaiter(config: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run a command with a kubeconfig and no terminal, in this process: to start one takes far longer."""
    command = [*words, "--kubeconfig", str(config)]
    out, err = (io.TextIOWrapper(io.BytesIO(), "utf-8", write_through=True) for _ in range(2))
    with (
        Path(os.devnull).open() as nothing,
        pytest.MonkeyPatch.context() as patch,
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        patch.setattr(sys, "stdin", nothing)
        status = cli.run(command)
    for written in (out, err):
        written.seek(0)
    return subprocess.CompletedProcess(command, status, out.read(), err.read())


def as_john(cluster: Cluster, text: str) -> None:
    """Apply manifests as John, who holds what is bound to him."""
    config = cluster.plane.kubeconfig_of(JOHN, GROUPS[JOHN])
    cluster.kubectl("--kubeconfig", str(config), "apply", "-f", "-", input=text, check=True)


def test_from_a_denial_to_an_acceptance_that_is_renewed_and_taken_back(cluster: Cluster, space: str) -> None:
    rule = no_privileged(space, riskAcceptance={"maxRenewals": 1})
    web = deployment(space, "web", privileged=True)
    cluster.apply(web, check=True)
    cluster.enforce(rule)
    other = deployment(space, "other", privileged=True)
    cluster.denied(other)

    # John drafts for what runs, and applies it; nobody has approved it.
    said = ("--justification", "The driver needs it.", "--owner", JANE, "--for", "20d")
    drafted = risk(cluster, JOHN, "draft", "-n", space, "--object", "deployment/web", *said)
    (made,) = yaml.safe_load_all(drafted.stdout)
    for wrong in ("deployment/nothere", "gibberish"):
        done = risk(cluster, JOHN, "draft", "-n", space, "--object", wrong, *said, status=2)
        assert f"there is no {wrong} in the namespace {space} that a policy judges" in done.stderr
    assert made["spec"]["requester"] == JOHN
    assert made["spec"]["scope"]["names"] == ["web"]
    as_john(cluster, drafted.stdout)
    name = made["metadata"]["name"]
    shown = json.loads(risk(cluster, JOHN, "show", name, "-n", space, "-o", "json").stdout)
    assert (shown["phase"], shown["approvalsCounting"], shown["covers"]) == ("Pending", 0, [])
    changed = deployment(space, "web", privileged=True, image="registry.example.com/app:1")
    changed["spec"]["template"]["metadata"]["annotations"] = {"a": "b"}

    # Jane approves; it covers what runs, for everybody who looks.
    risk(cluster, JANE, "approve", name, "-n", space, "--yes")
    eventually(lambda: "Active" in risk(cluster, JOHN, "list", "-n", space).stdout, "the acceptance", 60)
    eventually(lambda: cluster.apply(changed).returncode == 0, "the acceptance")
    for who, words in ((JOHN, ("-n", space)), (JANE, ("-n", space)), (ANN, ("-A",))):
        rows = json.loads(risk(cluster, who, "list", *words, "-o", "json").stdout)["acceptances"]
        assert [each["phase"] for each in rows if each["name"] == name] == ["Active"]
    seen = json.loads(risk(cluster, ANN, "show", name, "-n", space, "-o", "json").stdout)
    assert [(each["kind"], each["name"]) for each in seen["covers"]] == [("Deployment", "web")]
    (approval,) = seen["approvals"]
    assert (approval["approver"], approval["route"], approval["counts"]) == (JANE, "ClusterUser", True)

    # Ann exports all of it.
    poam = json.loads(risk(cluster, ANN, "export", "-A", "--format", "oscal-poam").stdout)
    risks = poam["plan-of-action-and-milestones"]["risks"]
    assert [
        each["status"]
        for each in risks
        if {"name": "name", "ns": "https://tidewaiter.dev/ns/oscal", "value": name} in each["props"]
    ] == ["deviation-approved"]
    assert name in risk(cluster, ANN, "export", "-A", "--format", "csv").stdout
    assert name in risk(cluster, ANN, "export", "-n", space, "--format", "pci-worksheet").stdout

    # John renews it once, as the policy allows, and not twice.
    renewed = risk(cluster, JOHN, "renew", name, "-n", space, "--create", "--yes").stdout
    assert renewed == f"riskacceptance.tidewaiter.dev/{name}-renewal-1 created\n"
    again = risk(cluster, JANE, "approve", f"{name}-renewal-1", "-n", space, "--yes")
    assert "created" in again.stdout
    listed = json.loads(risk(cluster, JOHN, "list", "-n", space, "-o", "json").stdout)["acceptances"]
    (renewal,) = (each for each in listed if each["renewal"])
    assert (renewal["renews"], renewal["phase"]) == (name, "Pending")
    refused = risk(cluster, JOHN, "renew", renewal["name"], "-n", space, status=2)
    assert "this would be renewal 2" in refused.stderr

    # Jane takes it back: it is refused from then on.
    asked = risk(cluster, JANE, "revoke", name, "-n", space, "--reason", "misused", status=2)
    assert "say --yes once you have read it" in asked.stderr
    done = risk(cluster, JANE, "revoke", name, "-n", space, "--reason", "misused", "--yes")
    # Her role lists no Deployments: what she is told claims no more than was seen.
    assert "not looked at: deployments" in done.stderr
    assert "Covers: 0 violations, of what could be looked at" in done.stderr
    assert "whatever is created or changed with what it covers is denied" in done.stderr
    assert done.stdout.startswith(f"riskacceptance.tidewaiter.dev/{name} revoked at ")
    found = cluster.kubectl("get", "riskacceptance", name, "-n", space, "-o", "json", check=True)
    spec = json.loads(found.stdout)["spec"]
    assert (spec["revoked"]["by"], spec["revoked"]["reason"]) == (JANE, "misused")
    changed["spec"]["template"]["metadata"]["annotations"] = {"a": "c"}
    eventually(lambda: cluster.apply(changed).returncode != 0, "the revocation")
    assert (
        json.loads(risk(cluster, ANN, "show", name, "-n", space, "-o", "json").stdout)["phase"] == "Revoked"
    )

    # John brings it again as it was: its approval is from before, and Jane may give another.
    cluster.kubectl("delete", "riskacceptance", name, "-n", space, check=True)
    as_john(cluster, drafted.stdout)
    shown = json.loads(risk(cluster, JOHN, "show", name, "-n", space, "-o", "json").stdout)
    assert [each["why"].partition(" at ")[0] for each in shown["approvals"]] == [
        "what it approves was revoked"
    ]
    anew = risk(cluster, JANE, "approve", name, "-n", space, "--yes").stdout
    assert f"{approval['name']}-" in anew
    shown = json.loads(risk(cluster, JOHN, "show", name, "-n", space, "-o", "json").stdout)
    assert [each["counts"] for each in shown["approvals"]] == [False, True]


def test_who_may_take_back_may_change_nothing_else(cluster: Cluster, space: str) -> None:
    rule = policy(space, "false")
    cluster.enforce(rule)
    asked, _ = acceptance(rule, space, ("", "ConfigMap"), ["one"])
    cluster.apply(asked, check=True)
    name = asked["metadata"]["name"]
    config = cluster.plane.kubeconfig_of(JANE, OWNERS)
    for patch in (
        {"spec": {"scope": {"names": ["*"]}}},
        {"spec": {"validUntil": stamp(timedelta(days=80))}},
        {"spec": {"revoked": {"at": stamp()}, "riskOwner": ANN}},
    ):
        words = ("--kubeconfig", str(config), "patch", "riskacceptance", name, "-n", space, "--type=merge")
        done = cluster.kubectl(*words, "-p", json.dumps(patch))
        assert done.returncode != 0, patch
        assert "must be jane.doe@example.com, who writes this" in done.stderr


def test_a_digest_is_revoked_by_administrators_only_and_for_good(cluster: Cluster, space: str) -> None:
    rule = policy(space, "!has(object.data) || !('password' in object.data)")
    cluster.enforce(rule)
    asked, given = acceptance(rule, space, ("", "ConfigMap"), ["one"])
    cluster.apply(asked, given, check=True)
    name = asked["metadata"]["name"]
    words = ("revoke", name, "-n", space, "--how", "digest", "--reason", "for good", "--yes")
    refused = risk(cluster, JANE, *words, status=2)
    assert "not revoked: 403" in refused.stderr
    done = tidewaiter(cluster.plane.kubeconfig, "risk", *words)
    assert done.returncode == 0, done.stderr
    found = cluster.kubectl("get", "riskappetite", "default", "-o", "json", check=True)
    digest = json.loads(risk(cluster, ANN, "show", name, "-n", space, "-o", "json").stdout)["digest"]
    assert [
        each["reason"] for each in json.loads(found.stdout)["spec"]["revoked"] if each["digest"] == digest
    ] == ["for good"]
    assert tidewaiter(cluster.plane.kubeconfig, "risk", *words).returncode == 0
    cluster.kubectl("delete", "riskacceptance", name, "-n", space, check=True)
    cluster.kubectl("delete", "riskapproval", given["metadata"]["name"], "-n", space, check=True)
    cluster.apply(asked, given, check=True)
    bad = configmap(space, password="x")
    eventually(
        lambda: (
            "the RiskAppetite revokes its digest" in cluster.apply(bad, flags=["--dry-run=server"]).stderr
        ),
        "the denial that says so",
    )


def test_a_requester_deletes_their_own(cluster: Cluster, space: str) -> None:
    rule = policy(space, "false")
    cluster.enforce(rule)
    asked, _ = acceptance(rule, space, ("", "ConfigMap"), ["one"])
    cluster.apply(asked, check=True)
    name = asked["metadata"]["name"]
    done = risk(cluster, JOHN, "revoke", name, "-n", space, "--how", "delete", "--yes")
    assert f"riskacceptance.tidewaiter.dev/{name} deleted at " in done.stdout
    assert "can be applied again" in done.stderr
    risk(cluster, JOHN, "show", name, "-n", space, status=2)


def test_sign_takes_a_name(cluster: Cluster, space: str, tmp_path: Path) -> None:
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    from webhook.adapters import signatures
    from webhook.core.acceptance import digest_of

    rule = policy(space, "false")
    cluster.enforce(rule)
    asked, _ = acceptance(rule, space, ("", "ConfigMap"), ["one"])
    cluster.apply(asked, check=True)
    key = Ed25519PrivateKey.generate()
    form, plain = serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
    (tmp_path / "id").write_bytes(key.private_bytes(serialization.Encoding.PEM, form, plain))
    words = (
        "sign",
        asked["metadata"]["name"],
        "-n",
        space,
        "--key",
        str(tmp_path / "id"),
        "--approver",
        JANE,
    )
    unasked = risk(cluster, JANE, *words, status=2)
    assert "say --yes once you have read it" in unasked.stderr
    done = risk(cluster, JANE, *words, "--yes")
    spec = yaml.safe_load(done.stdout)["spec"]
    assert spec["digest"] == digest_of(asked)
    assert signatures.check(spec).signed_by == signatures.public_key(key)


def test_a_cluster_wide_acceptance_is_approved_shown_and_taken_back(
    cluster: Cluster, people: dict[str, dict[str, Any]]
) -> None:
    del people
    space = cluster.namespace()
    rule = policy(space, "!has(object.data) || !('password' in object.data)")
    cluster.enforce(rule)
    asked, _ = acceptance(rule, space, ("", "ConfigMap"), ["one"])
    asked["kind"] = "ClusterRiskAcceptance"
    del asked["metadata"]["namespace"]
    asked["spec"]["scope"]["namespaces"] = [space]
    cluster.apply(asked, check=True)
    name = f"clusterriskacceptance/{asked['metadata']['name']}"
    done = risk(cluster, JANE, "approve", name, "--yes")
    assert done.stdout.startswith("clusterriskapproval.tidewaiter.dev/")
    eventually(lambda: cluster.apply(configmap(space, password="x")).returncode == 0, "the acceptance")
    listed = risk(cluster, ANN, "list", "-A", "-o", "name").stdout
    assert f"clusterriskacceptance.tidewaiter.dev/{asked['metadata']['name']}" in listed
    shown = json.loads(risk(cluster, ANN, "show", name, "-o", "json").stdout)
    assert (shown["phase"], shown["approvalsCounting"]) == ("Active", 1)
    done = risk(cluster, JANE, "revoke", name, "--reason", "misused", "--yes")
    assert "revoked at" in done.stdout
    eventually(lambda: cluster.apply(configmap(space, password="y")).returncode != 0, "the revocation")


def test_an_auditor_may_run_everything_that_only_reads(cluster: Cluster, space: str) -> None:
    rule = no_privileged(space)
    cluster.apply(deployment(space, "old", privileged=True), check=True)
    cluster.enforce(rule)
    config = cluster.plane.kubeconfig_of(ANN, GROUPS[ANN])
    report = tidewaiter(config, "report", "--cluster", "-o", "json")
    found = [each["object"] for each in json.loads(report.stdout)["findings"]]
    assert [each["name"] for each in found if each["namespace"] == space] == ["old"]
    forecast = tidewaiter(config, "risk", "forecast", "--until", stamp(timedelta(days=40)), "-o", "json")
    assert forecast.returncode == 0, forecast.stderr
    refused = json.loads(forecast.stdout)["refusedNow"]
    assert [each["name"] for each in refused if each["namespace"] == space] == ["old"]
    # Once as a process of its own, as people run it.
    status = subprocess.run(
        [sys.executable, "-m", "webhook", "status", "--kubeconfig", str(config)],
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
    )
    assert status.returncode in (0, 1), status.stderr
    assert "Control plane" in status.stdout


@pytest.mark.parametrize("words", [("list",), ("show", "one"), ("draft",), ("export", "--format", "csv")])
def test_without_rights_nothing_is_said_to_be_there(
    cluster: Cluster, people: dict[str, dict[str, Any]], words: tuple[str, ...]
) -> None:
    """John's role is bound in other namespaces: this one he can't read, and is told so."""
    del people
    space = cluster.namespace()
    done = risk(cluster, JOHN, *words, "-n", space, status=2)
    assert "can't be read: " in done.stderr
    assert "forbidden" in done.stderr
    assert done.stdout == ""

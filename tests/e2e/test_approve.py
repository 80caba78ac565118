"""`tidewaiter risk approve`, by people who hold the chart's role and nothing else, judged by the guard."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.e2e.cluster import Cluster, acceptance, configmap, eventually, policy
from webhook.core.acceptance import digest_of

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("e2e")]

ROOT = Path(__file__).parents[2]
RBAC = "rbac.authorization.k8s.io"
JANE, OWNERS = "jane.doe@example.com", "risk-owners"


@pytest.fixture(scope="module")
def role(cluster: Cluster) -> Iterator[None]:
    """Bind the chart's approver role to the risk owners."""
    documents = yaml.safe_load_all((ROOT / "deploy/tidewaiter.yaml").read_text())
    (made,) = (
        each
        for each in documents
        if each["kind"] == "ClusterRole" and each["metadata"]["name"].endswith("-approver")
    )
    binding = {
        "apiVersion": f"{RBAC}/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": made["metadata"]["name"]},
        "roleRef": {"apiGroup": RBAC, "kind": "ClusterRole", "name": made["metadata"]["name"]},
        "subjects": [{"apiGroup": RBAC, "kind": "Group", "name": OWNERS}],
    }
    cluster.apply(made, binding, check=True)
    yield
    for kind in ("clusterrolebinding", "clusterrole"):
        cluster.kubectl("delete", kind, made["metadata"]["name"], check=True)


def approve(
    cluster: Cluster, user: str, *words: str, groups: tuple[str, ...] = (OWNERS,)
) -> subprocess.CompletedProcess[str]:
    config = cluster.plane.kubeconfig_of(user, *groups)
    return subprocess.run(
        [sys.executable, "-m", "webhook", "risk", "approve", *words, "--kubeconfig", str(config)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
    )


@pytest.mark.usefixtures("role")
def test_an_approver_approves_exactly_what_was_shown(cluster: Cluster) -> None:
    space = cluster.namespace()
    rule = policy(space, "!has(object.data) || !('password' in object.data)")
    cluster.enforce(rule)
    asked, _ = acceptance(rule, space, ("", "ConfigMap"), ["one"])
    cluster.apply(asked, check=True)
    name = asked["metadata"]["name"]
    cluster.denied(configmap(space, password="x"))

    unasked = approve(cluster, JANE, name, "-n", space)
    assert unasked.returncode == 2
    assert "say --yes once you have read it" in unasked.stderr

    done = approve(cluster, JANE, name, "-n", space, "--yes")
    assert done.returncode == 0, done.stderr
    assert rule["metadata"]["name"] in done.stderr
    assert digest_of(asked) in done.stderr
    written = done.stdout.removeprefix("riskapproval.tidewaiter.dev/").removesuffix(" created\n")
    found = cluster.kubectl("get", "riskapproval", written, "-n", space, "-o", "json", check=True)
    spec = json.loads(found.stdout)["spec"]
    assert (spec["approver"], spec["groups"], spec["digest"]) == (JANE, [OWNERS], digest_of(asked))
    eventually(lambda: cluster.apply(configmap(space, password="x")).returncode == 0, "the acceptance")

    again = approve(cluster, JANE, name, "-n", space, "--yes")
    assert again.returncode == 2
    assert f"approved before by: {JANE}" in again.stderr
    assert "already exists" in again.stderr


@pytest.mark.usefixtures("role")
def test_whoever_asked_is_refused_by_the_guard_and_told_why(cluster: Cluster) -> None:
    space = cluster.namespace()
    rule = policy(space, "false")
    cluster.enforce(rule)
    asked, _ = acceptance(rule, space, ("", "ConfigMap"), ["one"])
    cluster.apply(asked, check=True)
    done = approve(cluster, asked["spec"]["requester"], asked["metadata"]["name"], "-n", space, "--yes")
    assert done.returncode == 2
    assert "not approved: " in done.stderr
    assert "another person must approve it" in done.stderr


@pytest.mark.usefixtures("role")
@pytest.mark.parametrize(
    ("groups", "name", "said"),
    [
        ((OWNERS,), "nothing", "there is no RiskAcceptance nothing in the namespace default"),
        ((OWNERS,), "pod/one", "must be NAME, or riskacceptance or clusterriskacceptance and a slash"),
        (("others",), "nothing", "forbidden"),
    ],
    ids=["not there", "another kind", "no rights"],
)
def test_what_can_not_be_approved_is_told(
    cluster: Cluster, groups: tuple[str, ...], name: str, said: str
) -> None:
    done = approve(cluster, JANE, name, "--yes", groups=groups)
    assert done.returncode == 2
    assert said in done.stderr

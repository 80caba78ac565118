"""What people see of a cluster that is guarded: Events on silent workloads, and `tidewaiter status`."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.cluster import ROOT, Cluster, deployment, eventually, no_privileged, policy

pytestmark = pytest.mark.e2e


def pods_only(space: str) -> dict[str, Any]:
    """Return a policy that lets a workload in and refuses its Pods."""
    found = no_privileged(space)
    del found["spec"]["podTemplates"]
    return found


def events(cluster: Cluster, space: str) -> list[dict[str, Any]]:
    found = cluster.kubectl("get", "events", "-n", space, "-o", "json", check=True)
    return [event for event in json.loads(found.stdout)["items"] if event["reason"] == "PolicyDenied"]


def status(kubeconfig: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "webhook", "status", "--kubeconfig", str(kubeconfig), *arguments],
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=60,
        check=False,
    )


def overview(kubeconfig: Path) -> dict[str, Any]:
    done = status(kubeconfig, "-o", "json")
    assert done.stdout, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def settled(cluster: Cluster) -> dict[str, Any]:
    """Return what is told once all workers have caught up."""

    def look() -> dict[str, Any] | None:
        found = overview(cluster.plane.kubeconfig)
        return None if any("revision" in problem for problem in found["problems"]) else found

    found: dict[str, Any] = eventually(look, "all workers have caught up", 60)
    return found


class TestEvents:
    def test_a_deployment_tells_of_pods_that_its_replicaset_cant_make(self, cluster: Cluster) -> None:
        space = cluster.namespace()
        cluster.enforce(pods_only(space))
        cluster.allowed(deployment(space, "legacy", privileged=True))
        (event,) = eventually(lambda: events(cluster, space), "an event", 60)
        found = cluster.kubectl("get", "deployment", "legacy", "-n", space, "-o", "json", check=True)
        assert event["involvedObject"]["kind"] == "Deployment"
        assert event["involvedObject"]["uid"] == json.loads(found.stdout)["metadata"]["uid"]
        assert event["type"] == "Warning"
        assert "CREATE of Pod legacy-" in event["message"]
        assert "must not be" in event["message"]
        assert len(event["message"].encode()) <= 1024
        described = cluster.kubectl("describe", "deployment", "legacy", "-n", space, check=True).stdout
        assert "PolicyDenied" in described

    def test_a_cronjob_tells_of_pods_that_its_job_cant_make(self, cluster: Cluster) -> None:
        space = cluster.namespace()
        cluster.enforce(pods_only(space))
        template = deployment(space, privileged=True)["spec"]["template"]
        template["spec"]["restartPolicy"] = "Never"
        cronjob = {
            "apiVersion": "batch/v1",
            "kind": "CronJob",
            "metadata": {"name": "nightly", "namespace": space},
            "spec": {"schedule": "0 0 1 1 *", "jobTemplate": {"spec": {"template": template}}},
        }
        cluster.apply(cronjob, check=True)
        made = ("create", "job", "now", "--from=cronjob/nightly", "-n", space)
        cluster.kubectl(*made, check=True)
        found = eventually(lambda: events(cluster, space), "an event", 60)
        assert {event["involvedObject"]["kind"] for event in found} == {"CronJob"}

    def test_a_dry_run_and_a_person_make_none(self, cluster: Cluster) -> None:
        space = cluster.namespace()
        cluster.enforce(no_privileged(space))
        cluster.denied(deployment(space, "mine", privileged=True))
        cluster.denied(deployment(space, "mine", privileged=True), flags=("--dry-run=server",))
        # What would have come earlier has come when this one has.
        cluster.enforce(pods_only(other := cluster.namespace()))
        cluster.allowed(deployment(other, privileged=True))
        eventually(lambda: events(cluster, other), "an event", 60)
        assert events(cluster, space) == []


class TestStatus:
    def test_what_is_enforced_and_by_whom(self, cluster: Cluster) -> None:
        space = cluster.namespace()
        enforced = no_privileged(space)
        cluster.enforce(enforced)
        found = settled(cluster)
        name = enforced["metadata"]["name"]
        (line,) = [each for each in found["policies"] if each["name"] == name]
        assert (line["enforced"], line["actions"]) == (True, ["Deny"])
        (replica,) = found["replicas"]
        assert (replica["alive"], replica["leader"]) == (True, True)
        assert {each["revision"] for each in replica["workers"]} == {replica["revision"]}
        assert found["settings"]["cluster"] == "test"
        assert found["settings"]["maxAction"] == "Deny"
        assert found["configuration"]["authorities"]
        assert not any("webhook configuration" in problem for problem in found["problems"])

    def test_a_policy_that_does_not_compile_is_the_first_thing_told(self, cluster: Cluster) -> None:
        space = cluster.namespace()
        broken = policy(space, "object.metadata.name ==")
        cluster.apply(broken, check=True)
        name = broken["metadata"]["name"]
        try:
            done = status(cluster.plane.kubeconfig)
            assert done.returncode == 1
            lines = done.stdout.splitlines()
            assert lines[0].endswith("problem") or lines[0].endswith("problems")
            assert any(name in line and "is not enforced" in line for line in lines[1:12]), done.stdout
            assert "\x1b" not in done.stdout
        finally:
            cluster.kubectl("delete", "clusterpolicy.tidewaiter.dev", name, check=True)

    def test_a_user_with_few_rights_is_told_what_could_not_be_read(
        self, cluster: Cluster, tmp_path: Path
    ) -> None:
        config = _user(cluster, tmp_path, "reader")
        done = status(config, "-o", "json")
        found = json.loads(done.stdout)
        assert done.returncode == 2
        assert any(each.startswith("Lease:") for each in found["unknown"])
        assert found["impersonators"] is None
        assert found["problems"] == []

    def test_who_may_act_as_an_approver(self, cluster: Cluster) -> None:
        rule = "--verb=impersonate", "--resource=groups", "--resource=users"
        cluster.kubectl("create", "clusterrole", "puppeteer", *rule, check=True)
        bound = "--clusterrole=puppeteer", "--group=platform"
        cluster.kubectl("create", "clusterrolebinding", "puppeteers", *bound, check=True)
        found = overview(cluster.plane.kubeconfig)["impersonators"]
        (platform,) = [each for each in found if each["binding"] == "puppeteers"]
        assert platform["subject"] == "Group platform"
        assert platform["groups"] == ["*"]

    def test_without_an_api_server_nothing_can_be_told(self, tmp_path: Path) -> None:
        config = tmp_path / "config"
        config.write_text(
            json.dumps(
                {
                    "apiVersion": "v1",
                    "kind": "Config",
                    "current-context": "x",
                    "contexts": [{"name": "x", "context": {"cluster": "x", "user": "x"}}],
                    "clusters": [{"name": "x", "cluster": {"server": "https://127.0.0.1:1"}}],
                    "users": [{"name": "x", "user": {"token": "t"}}],
                }
            )
        )
        done = status(config)
        assert done.returncode == 2
        assert "the API server can't be asked" in done.stderr


def _user(cluster: Cluster, folder: Path, name: str) -> Path:
    """Return the kubeconfig of a ServiceAccount that may do nothing."""
    space = cluster.namespace()
    cluster.kubectl("create", "serviceaccount", name, "-n", space, check=True)
    token = cluster.kubectl("create", "token", name, "-n", space, check=True).stdout.strip()
    config = json.loads(cluster.plane.kubeconfig.read_text())
    config["users"] = [{"name": "admin", "user": {"token": token}}]
    path = folder / "kubeconfig"
    path.touch(mode=0o600)
    path.write_text(json.dumps(config))
    return path

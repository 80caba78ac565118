"""What the control plane keeps in order: its webhook configuration, a whole pack, its own end."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from tests.controlplane import ControlPlane
from tests.e2e.cluster import ROOT, Cluster, configmap, eventually, pod, policy

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("e2e")]

NO_SECRETS = "!has(object.data) || !('password' in object.data)"


def test_an_edited_webhook_configuration_is_mended(cluster: Cluster) -> None:
    space = cluster.namespace()
    cluster.enforce(policy(space, NO_SECRETS))
    cluster.denied(configmap(space, password="x"))
    foreign = {"key": "control-plane", "operator": "DoesNotExist"}
    patch = [
        {"op": "replace", "path": "/webhooks/0/failurePolicy", "value": "Ignore"},
        {"op": "replace", "path": "/webhooks/0/rules", "value": []},
        {"op": "add", "path": "/webhooks/0/namespaceSelector/matchExpressions/-", "value": foreign},
    ]
    kind = "validatingwebhookconfiguration"
    cluster.kubectl("patch", kind, "tidewaiter", "--type=json", "-p", json.dumps(patch), check=True)

    def mended() -> Any:
        entry = (cluster.configuration() or {})["webhooks"][0]
        return entry if entry["failurePolicy"] == "Fail" and entry.get("rules") else None

    entry = eventually(mended, "the mended configuration")
    assert foreign in entry["namespaceSelector"]["matchExpressions"], "what others added is kept"
    cluster.denied(configmap(space, password="x"))


def test_a_deleted_webhook_configuration_is_put_back(cluster: Cluster) -> None:
    space = cluster.namespace()
    cluster.enforce(policy(space, NO_SECRETS))
    cluster.denied(configmap(space, password="x"))
    cluster.kubectl("delete", "validatingwebhookconfiguration", "tidewaiter", check=True)
    eventually(cluster.configuration, "the configuration")
    cluster.denied(configmap(space, "two", password="x"))


def test_a_pack_is_enforced_and_says_so(cluster: Cluster) -> None:
    pack = str(ROOT / "policies/pss-baseline")
    cluster.kubectl("apply", "-k", pack, check=True)
    try:
        space = cluster.namespace()
        cluster.kubectl(
            "wait", "--for=condition=Enforced", "--timeout=60s", "clusterpolicy/pod-no-privileged", check=True
        )

        def table() -> Any:
            lines = cluster.kubectl("get", "clusterpolicies", check=True).stdout.splitlines()
            rows = [line.split() for line in lines if line.startswith("pod-")]
            return lines if rows and all(row[3:5] == ["True", "True"] for row in rows) else None

        lines = eventually(table, "a table that says so")
        assert lines[0].split()[:6] == ["NAME", "SEVERITY", "ACTIONS", "READY", "ENFORCED", "REASON"]
        assert "pod-no-privileged/privileged" in cluster.denied(pod(space, privileged=True))
        cluster.allowed(pod(space))
    finally:
        cluster.kubectl("delete", "-k", pack, check=True)


def test_run_waits_for_the_kinds_and_leaves_nothing_behind(assets: Path, tmp_path: Path) -> None:
    with ControlPlane(assets, tmp_path / "plane") as plane:
        guarded = Cluster(plane)
        try:
            eventually(
                lambda: "kubectl apply -k charts/tidewaiter/crds" in guarded.log.read_text(), "advice", 60
            )
            assert guarded.configuration() is None
            with guarded:
                space = guarded.namespace()
                guarded.enforce(policy(space, NO_SECRETS))
                guarded.denied(configmap(space, password="x"))
        finally:
            if guarded.process.poll() is None:
                guarded.process.kill()
        assert guarded.process.returncode == 0, guarded.log.read_text()
        assert guarded.configuration() is None
        guarded.allowed(configmap(space, password="x"))
        assert "Traceback" not in guarded.log.read_text()


def test_a_data_plane_that_was_killed_comes_back(cluster: Cluster) -> None:
    space = cluster.namespace()
    cluster.enforce(policy(space, NO_SECRETS))
    cluster.denied(configmap(space, password="x"))
    children = Path(f"/proc/{cluster.process.pid}/task/{cluster.process.pid}/children").read_text().split()
    assert children
    os.kill(int(children[0]), signal.SIGKILL)
    bad = configmap(space, "two", password="x")

    def judged() -> bool:
        done = cluster.apply(bad)
        assert done.returncode, "nothing passes while nobody answers"
        return "denied the request" in done.stderr

    # The workers of the killed supervisor may answer for a moment, and then nobody until the next ones do.
    eventually(lambda: all(judged() for _ in range(5)), "an answer")
    eventually(lambda: cluster.apply(configmap(space, colour="blue")).returncode == 0, "what is good passes")
    eventually(judged, "what is bad doesn't")

"""Beside Gatekeeper: a constraint is taken over and given back, and both are compared."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.controlplane import ControlPlane
from tests.e2e.cluster import Cluster, configmap, eventually
from tests.gatekeeper.gk import cel_template, constraint
from webhook import cli
from webhook.dialects.gatekeeper.crd import definition
from webhook.dialects.gatekeeper.kinds import definitions
from webhook.dialects.gatekeeper.template import compile_template

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("e2e-gatekeeper")]

TEMPLATE = cel_template("K8sEmpty", validations=[{"expression": "has(object.data)", "message": "no data"}])
EMPTY = constraint("K8sEmpty", "empty", match={"kinds": [{"apiGroups": [""], "kinds": ["ConfigMap"]}]})


def test_a_constraint_is_taken_over_and_given_back(
    assets: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with ControlPlane(assets, tmp_path / "plane", kcm=True) as plane:
        config = ["--kubeconfig", str(plane.kubeconfig)]

        def say(*words: str) -> str:
            assert cli.run(["gatekeeper", *words, *config]) in (0, 1), capsys.readouterr()
            return capsys.readouterr().out

        # What Gatekeeper brings and makes.
        kinds = [*definitions(), definition(compile_template(TEMPLATE))]
        plane.kubectl("apply", "-f", "-", input="\n---\n".join(map(json.dumps, kinds)), check=True)
        plane.kubectl("wait", "--for=condition=Established", "--timeout=60s", "crd", "--all", check=True)
        with Cluster(plane, "--gatekeeper", "beside") as cluster:
            cluster.apply(TEMPLATE, EMPTY, check=True)
            space = cluster.namespace()
            empty = {
                "apiVersion": "v1",
                "kind": "ConfigMap",
                "metadata": {"name": "none", "namespace": space},
            }
            cluster.allowed(empty)
            assert "configmaps" not in json.dumps(cluster.configuration()), "it is left to Gatekeeper"
            dry = say("takeover", "K8sEmpty/empty", "--dry-run")
            assert "webhook.tidewaiter.dev" in dry
            assert "scoped" not in _spec(cluster)["enforcementAction"]
            assert "deny is enforced by Tidewaiter, at webhook.tidewaiter.dev" in say(
                "takeover", "K8sEmpty/empty"
            )
            said = cluster.denied({**empty, "metadata": {"name": "other", "namespace": space}})
            assert "[empty] no data" in said
            cluster.allowed(configmap(space, key="x"))
            assert "it was taken over already" in say("takeover", "K8sEmpty/empty")

            assert "Gatekeeper enforces it again, as before (deny)" in say(
                "takeover", "K8sEmpty/empty", "--undo"
            )
            assert _spec(cluster) == {**EMPTY["spec"], "enforcementAction": "deny"}
            free = {**empty, "metadata": {"name": "free", "namespace": space}}
            eventually(lambda: cluster.apply(free).returncode == 0, "the end of our enforcement")

            # What Gatekeeper's audit would have left there, but for one.
            found = {"kind": "ConfigMap", "name": "none", "namespace": space, "message": "no data"}
            status = {"totalViolations": 1, "auditTimestamp": "2026-11-27T12:00:00Z", "violations": [found]}
            patch = json.dumps({"status": status})
            resource = "k8sempty.constraints.gatekeeper.sh/empty"
            merge = ("--type=merge", "--subresource=status", "-p", patch)
            cluster.kubectl("patch", resource, *merge, check=True)
            out = say("compare")
            assert f"only tidewaiter ConfigMap {space}/free K8sEmpty/empty\n    no data" in out
            assert "1 results the same, 1 different" in out


def _spec(cluster: Cluster) -> Any:
    found = cluster.kubectl("get", "k8sempty.constraints.gatekeeper.sh", "empty", "-o", "json", check=True)
    return json.loads(found.stdout)["spec"]

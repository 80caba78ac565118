"""`risk forecast` and `report` of a cluster: what a real API server holds, as far as the user may read it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.controlplane import ControlPlane
from webhook.core.acceptance import digest_of
from webhook.core.model import API_VERSION
from webhook.core.times import format_time

ROOT = Path(__file__).parents[2]
SPACE = "forecast"


def own(kind: str, name: str, spec: dict[str, Any], namespace: str = "") -> dict[str, Any]:
    metadata = {"name": name, **({"namespace": namespace} if namespace else {})}
    return {"apiVersion": API_VERSION, "kind": kind, "metadata": metadata, "spec": spec}


def workload(name: str) -> dict[str, Any]:
    labels = {"app": name}
    pod = {"containers": [{"name": "app", "image": "registry.example.com/app:1"}]}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": SPACE},
        "spec": {
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": pod},
        },
    }


def risk(name: str, until: datetime) -> list[dict[str, Any]]:
    """Return an acceptance of Deployments whose names begin with its own, and its approval."""
    now = datetime.now(UTC)
    asked = own(
        "RiskAcceptance",
        name,
        {
            "policies": [{"kind": "ClusterPolicy", "name": "forecast-never"}],
            "scope": {"kinds": [{"group": "apps", "kind": "Deployment"}], "names": [f"{name}*"]},
            "justification": "It is old.",
            "riskOwner": "jane@example.com",
            "requester": "john@example.com",
            "validFrom": format_time(now - timedelta(days=3)),
            "validUntil": format_time(until),
        },
        SPACE,
    )
    given = own(
        "RiskApproval",
        f"{name}-jane",
        {
            "riskAcceptance": name,
            "digest": digest_of(asked),
            "approver": "jane@example.com",
            "groups": ["risk-owners"],
            "approvedAt": format_time(now - timedelta(days=2)),
        },
        SPACE,
    )
    return [asked, given]


def objects(until: datetime) -> list[dict[str, Any]]:
    rule = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}
    constraints = {
        "resourceRules": [rule],
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": SPACE}},
    }
    policy = {
        "severity": "medium",
        "podTemplates": True,
        "matchConstraints": constraints,
        "validations": [{"name": "never", "expression": "false", "message": "not like this"}],
    }
    rules = {"rules": [{"severities": ["medium"], "approvers": {"groups": ["risk-owners"]}}]}
    made = {
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        **{key: value for key, value in workload("legacy").items() if key == "spec"},
        "metadata": {
            "name": "legacy-1",
            "namespace": SPACE,
            "labels": {"app": "legacy"},
            "ownerReferences": [
                {
                    "apiVersion": "apps/v1",
                    "kind": "Deployment",
                    "name": "legacy",
                    "uid": "0b8e9f2a",
                    "controller": True,
                }
            ],
        },
    }
    return [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": SPACE}},
        own("ClusterPolicy", "forecast-never", policy),
        own("RiskAppetite", "default", rules),
        *risk("legacy", until),
        *risk("unused", until),
        workload("legacy"),
        workload("other"),
        made,
    ]


@pytest.fixture(scope="module")
def end(plane: ControlPlane) -> Iterator[datetime]:
    """Put an accepted Deployment there, one that isn't, and a ReplicaSet of the first; return the end."""
    until = datetime.now(UTC).replace(microsecond=0) + timedelta(days=20)
    plane.kubectl("apply", "-k", str(ROOT / "charts/tidewaiter/crds"), check=True)
    plane.kubectl("wait", "--for=condition=Established", "crd", "--all", "--timeout=60s", check=True)
    text = "\n---\n".join(json.dumps(each) for each in objects(until))
    plane.kubectl("apply", "-f", "-", input=text, check=True)
    yield until
    plane.kubectl("delete", "-f", "-", "--wait=false", input=text, check=True)


def forecast(kubeconfig: Path, until: datetime, *words: str) -> subprocess.CompletedProcess[str]:
    return tidewaiter(
        "risk", "forecast", "--kubeconfig", str(kubeconfig), "--until", format_time(until), *words
    )


def report(kubeconfig: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return tidewaiter("report", "--cluster", "--kubeconfig", str(kubeconfig), *words)


def tidewaiter(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "webhook", *words],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        cwd=ROOT,
    )


def test_the_deployment_is_told_and_not_what_is_made_of_it(plane: ControlPlane, end: datetime) -> None:
    done = forecast(plane.kubeconfig, end, "-o", "json", "--fail-on-refused")
    assert done.returncode == 1, done.stderr
    told = json.loads(done.stdout)
    assert [(each["name"], each["at"]) for each in told["endings"]] == [
        (name, format_time(end)) for name in ("legacy", "unused")
    ]
    assert [(each["kind"], each["name"]) for each in told["refusals"]] == [("Deployment", "legacy")]
    assert [(each["kind"], each["name"]) for each in told["refusedNow"]] == [("Deployment", "other")]


def test_on_its_first_day_no_acceptance_is_called_obsolete(plane: ControlPlane, end: datetime) -> None:
    done = forecast(plane.kubeconfig, end, "-o", "json")
    assert json.loads(done.stdout)["untidy"] == []


def test_nothing_ends_before_its_end(plane: ControlPlane, end: datetime) -> None:
    done = forecast(plane.kubeconfig, end - timedelta(days=1), "--fail-on-refused")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("0 acceptances end by ")


def test_the_report_has_what_fails_and_what_is_accepted_and_not_what_is_made_of_it(
    plane: ControlPlane, end: datetime
) -> None:
    done = report(plane.kubeconfig, "-o", "json")
    assert done.returncode == 1, done.stderr
    told = json.loads(done.stdout)
    assert [(each["object"]["name"], each["result"]) for each in told["findings"]] == [
        ("legacy", "skip"),
        ("other", "fail"),
    ]
    assert told["findings"][0]["accepted"]["validUntil"] == format_time(end)
    owners = json.loads(report(plane.kubeconfig, "-o", "openreports").stdout)["items"]
    uids = [each["metadata"]["ownerReferences"][0]["uid"] for each in owners]
    live = plane.kubectl("get", "deployments", "-n", SPACE, "-o", "json", check=True)
    assert uids == [each["metadata"]["uid"] for each in json.loads(live.stdout)["items"]]


@pytest.mark.parametrize("command", [forecast, report])
def test_whoever_may_not_read_the_acceptances_is_told_so(
    plane: ControlPlane, end: datetime, tmp_path: Path, command: Any
) -> None:
    config = tmp_path / "config"
    made = plane.kubectl("config", "view", "--raw", "--minify", "-o", "json", check=True)
    content = json.loads(made.stdout)
    plane.kubectl("create", "serviceaccount", f"nobody-{command.__name__}", "-n", SPACE, check=True)
    made = plane.kubectl("create", "token", f"nobody-{command.__name__}", "-n", SPACE, check=True)
    token = made.stdout.strip()
    content["users"][0]["user"] = {"token": token}
    config.write_text(json.dumps(content))
    done = command(config, *([end] if command is forecast else []))
    assert done.returncode == 2
    assert "can't be read" in done.stderr
    assert "riskacceptances" in done.stderr

"""The background audit of a real cluster: found, fixed, accepted, ended, gone, and what it says of each."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.controlplane import ControlPlane
from tests.e2e.cluster import (
    APPETITE,
    Cluster,
    acceptance,
    configmap,
    deployment,
    eventually,
    no_privileged,
    pod,
    policy,
)
from tests.e2e.report_kinds import OPENREPORTS
from tests.gatekeeper.gk import cel_template, constraint

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("audit")]

NO_SECRETS = "!has(object.data) || !('password' in object.data)"
CONFIGMAP = ("", "ConfigMap")


@pytest.fixture(scope="module")
def cluster(assets: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    plane = ControlPlane(assets, tmp_path_factory.mktemp("audit"), kcm=True)
    with plane:
        definitions = "\n---\n".join(map(json.dumps, OPENREPORTS))
        plane.kubectl("apply", "-f", "-", input=definitions, check=True)
        plane.kubectl("wait", "--for=condition=Established", "crd", "--all", check=True)
        with Cluster(plane, "--gatekeeper", "replace") as started:
            started.apply(APPETITE, check=True)
            try:
                yield started
            finally:
                print(started.log.read_text()[-20000:])


def audited(cluster: Cluster, rule: dict[str, Any], violations: int, accepted: int = 0) -> dict[str, Any]:
    """Wait until a policy's status counts so; return it."""

    def counts() -> Any:
        status = cluster.status_of("clusterpolicy", rule["metadata"]["name"])
        fits = (status.get("violations"), status.get("accepted")) == (violations, accepted)
        return status if fits and "lastAudit" in status else None

    return dict(eventually(counts, f"{violations} violations, {accepted} accepted", 60))


def reports(cluster: Cluster, space: str) -> dict[str, dict[str, Any]]:
    """Return the reports of a namespace by what they are on."""
    found = cluster.kubectl("get", "reports.openreports.io", "-n", space, "-o", "json", check=True)
    return {
        f"{each['scope']['kind']}/{each['scope']['name']}": each for each in json.loads(found.stdout)["items"]
    }


def report_on(cluster: Cluster, space: str) -> dict[str, Any]:
    return reports(cluster, space).get("Deployment/legacy", {"results": []})


def results(report: dict[str, Any]) -> list[str]:
    return [each["result"] for each in report["results"]]


def test_what_was_there_before_a_policy_is_found_and_a_fix_is_seen(cluster: Cluster) -> None:
    space = cluster.namespace()
    cluster.apply(configmap(space, "bad", password="x"), configmap(space, "good"), check=True)
    cluster.apply(deployment(space, "web", privileged=True), pod(space, "bare", privileged=True), check=True)
    eventually(
        lambda: len(cluster.kubectl("get", "pods", "-n", space, "-o", "name").stdout.split()) == 2, "the Pods"
    )
    rule, pods = policy(space, NO_SECRETS), no_privileged(space, category="Pods")
    cluster.enforce(rule, pods)
    status = audited(cluster, rule, 1)
    (top,) = status["topViolations"]
    assert (top["kind"], top["namespace"], top["name"]) == ("ConfigMap", space, "bad")
    audited(cluster, pods, 2)
    found = eventually(lambda: len(known := reports(cluster, space)) == 3 and known, "three reports", 60)
    assert found.keys() == {"ConfigMap/bad", "Deployment/web", "Pod/bare"}, "workloads, not what they make"
    report = found["Deployment/web"]
    assert report["summary"] == {"pass": 0, "fail": 1, "warn": 0, "error": 0, "skip": 0}
    (result,) = report["results"]
    assert (result["result"], result["category"], result["source"]) == ("fail", "Pods", "tidewaiter")
    assert len(result["properties"]["resultID"]) == 32
    assert report["metadata"]["ownerReferences"][0]["kind"] == "Deployment"
    events = cluster.kubectl("get", "events", "-n", space, "-o", "json", check=True)
    told = [
        each["involvedObject"]["name"]
        for each in json.loads(events.stdout)["items"]
        if each["reason"] == "PolicyViolation"
    ]
    assert sorted(told) == ["bad", "bare", "web"]

    cluster.apply(configmap(space, "bad"), check=True)
    audited(cluster, rule, 0)
    eventually(lambda: "ConfigMap/bad" not in reports(cluster, space), "the report gone")
    cluster.kubectl("delete", "namespace", space, check=True)
    audited(cluster, pods, 0)
    eventually(lambda: not reports(cluster, space), "all reports of the namespace gone")


def test_the_report_goes_with_its_object_its_policy_or_the_last_violation(cluster: Cluster) -> None:
    space = cluster.namespace()
    names = ["deleted", "relabelled", "left"]
    cluster.apply(*(configmap(space, name, password="x") for name in names), check=True)
    rule, other = policy(space, NO_SECRETS), policy(space, NO_SECRETS, validationActions=["Warn"])
    cluster.enforce(rule, other)
    eventually(
        lambda: reports(cluster, space).keys() == {f"ConfigMap/{name}" for name in names}, "reports", 60
    )
    eventually(lambda: results(reports(cluster, space)["ConfigMap/left"]) == ["fail", "warn"], "both")
    cluster.kubectl("delete", "configmap", "deleted", "-n", space, check=True)
    cluster.apply(configmap(space, "relabelled"), check=True)
    eventually(lambda: reports(cluster, space).keys() == {"ConfigMap/left"}, "one left", 60)
    cluster.kubectl("delete", "clusterpolicy.tidewaiter.dev", rule["metadata"]["name"], check=True)
    eventually(lambda: results(reports(cluster, space)["ConfigMap/left"]) == ["warn"], "one result", 60)
    cluster.kubectl("delete", "clusterpolicy.tidewaiter.dev", other["metadata"]["name"], check=True)
    eventually(lambda: not reports(cluster, space), "none left", 60)


Said = set[tuple[str, ...]]


def reported(cluster: Cluster, space: str) -> Said:
    """Return what the audit's reports on a namespace say."""
    return {
        (
            f"{each['scope']['kind']}/{each['scope']['name']}",
            *(result[part] for part in ("policy", "rule", "result", "severity", "message")),
            *(
                result["properties"].get(part, "")
                for part in ("resultID", "action", "container", "acceptance")
            ),
        )
        for each in reports(cluster, space).values()
        for result in each["results"]
    }


def told(cluster: Cluster, space: str) -> Said:
    """Return what `tidewaiter report --cluster` says of it."""
    words = ("report", "--cluster", "--kubeconfig", str(cluster.plane.kubeconfig), "-o", "json")
    done = subprocess.run(
        [sys.executable, "-m", "webhook", *words], capture_output=True, text=True, timeout=120, check=False
    )
    found = json.loads(done.stdout)
    assert not found["problems"], done.stderr
    return {
        (
            f"{each['object']['kind']}/{each['object']['name']}",
            *(each[part] for part in ("policy", "validation", "result", "severity", "message")),
            *(each[part] for part in ("resultID", "action", "container")),
            f"{accepted['kind']}/{accepted['acceptance']}" if (accepted := each.get("accepted")) else "",
        )
        for each in found["findings"]
        if each["object"]["namespace"] == space
    }


def test_the_command_finds_what_the_audit_finds(cluster: Cluster) -> None:
    """One engine, one build of requests: of Pods and of templates, accepted or not, of any dialect."""
    space = cluster.namespace()
    cluster.apply(
        cel_template("K8sNoDebug", validations=[{"expression": "false", "message": "no"}]), check=True
    )
    kinds = [{"apiGroups": [""], "kinds": ["ConfigMap"]}]
    ruled = constraint("K8sNoDebug", "none", match={"kinds": kinds, "namespaces": [space]})
    eventually(lambda: cluster.apply(configmap(space, "debug")).returncode == 0, "a ConfigMap")
    eventually(lambda: cluster.apply(ruled).returncode == 0, "the constraint", 60)
    cluster.apply(deployment(space, privileged=True), deployment(space, "other", privileged=True), check=True)
    cluster.apply(pod(space, "bare", privileged=True), check=True)
    eventually(
        lambda: len(cluster.kubectl("get", "pods", "-n", space, "-o", "name").stdout.split()) == 3, "the Pods"
    )
    templates, pods = no_privileged(space), no_privileged(space)
    pods["spec"]["podTemplates"] = False
    silent = policy(space, "false", background=False)
    cluster.enforce(templates, pods, silent)
    risks = [
        each
        for rule in (templates, pods)
        for each in acceptance(rule, space, ("apps", "Deployment"), ["legacy"])
    ]
    cluster.apply(*risks, check=True)
    audited(cluster, templates, 2, 1)
    audited(cluster, pods, 2, 1)

    def shown() -> Any:
        found = reported(cluster, space)
        # Two on Deployments, two on their Pods, two on the bare Pod, and one of the constraint at least.
        return found if len(found) >= 7 and {each[3] for each in found} == {"fail", "skip"} else None

    expected = eventually(shown, "the reports", 60)
    assert {each[0].partition("/")[0] for each in expected} == {"Deployment", "Pod", "ConfigMap"}
    assert sum(each[3] == "skip" for each in expected) == 2
    assert eventually(
        lambda: (found := told(cluster, space)) == reported(cluster, space) and found, "the same"
    )


def test_an_acceptance_turns_a_failure_into_a_skip_until_it_ends(cluster: Cluster) -> None:
    space = cluster.namespace()
    cluster.apply(deployment(space, privileged=True), check=True)
    rule = no_privileged(space)
    cluster.enforce(rule)
    audited(cluster, rule, 1)
    asked, given = acceptance(rule, space, ("apps", "Deployment"), ["legacy"], end=timedelta(seconds=25))
    cluster.apply(asked, given, check=True)
    audited(cluster, rule, 0, 1)
    report = eventually(
        lambda: results(found := report_on(cluster, space)) == ["skip"] and found, "a skip", 60
    )
    properties = report["results"][0]["properties"]
    assert properties["acceptance"] == f"RiskAcceptance/{space}/{asked['metadata']['name']}"
    assert properties["validUntil"] == asked["spec"]["validUntil"]
    assert properties["approvers"] == "jane.doe@example.com"
    eventually(
        lambda: cluster.status_of("riskacceptance", asked["metadata"]["name"], space).get("covered") == 1,
        "what it covers",
    )
    audited(cluster, rule, 1)
    eventually(lambda: results(report_on(cluster, space)) == ["fail"], "a failure again", 60)


def test_a_restart_of_the_api_server_and_a_kill_of_the_audit_lose_nothing(cluster: Cluster) -> None:
    space = cluster.namespace()
    cluster.apply(configmap(space, "first", password="x"), check=True)
    rule = policy(space, NO_SECRETS, validationActions=["Audit"])
    cluster.enforce(rule)
    audited(cluster, rule, 1)
    cluster.plane.restart("kube-apiserver", signal.SIGKILL)
    cluster.apply(configmap(space, "second", password="x"), check=True)
    audited(cluster, rule, 2)

    (before,) = audits(cluster.process.pid)
    os.kill(before, signal.SIGKILL)
    cluster.kubectl("delete", "configmap", "first", "-n", space, check=True)
    cluster.apply(
        configmap(space, "third", password="x"), configmap(space, "fourth", password="x"), check=True
    )
    audited(cluster, rule, 3)
    assert audits(cluster.process.pid) not in ([], [before])
    found = eventually(lambda: len(known := reports(cluster, space)) == 3 and known, "three reports", 60)
    assert found.keys() == {f"ConfigMap/{name}" for name in ("second", "third", "fourth")}


def test_an_audit_that_stands_still_holds_nothing_up(cluster: Cluster) -> None:
    """It is the last to get the CPU and the first to go; neither the leader nor the workers wait for it."""
    (audit,) = eventually(lambda: audits(cluster.process.pid), "the audit")
    assert os.getpriority(os.PRIO_PROCESS, audit) >= 10
    assert int(Path(f"/proc/{audit}/oom_score_adj").read_text()) >= 500
    space = cluster.namespace()
    cluster.apply(configmap(space, "before", password="x"), check=True)
    os.kill(audit, signal.SIGSTOP)
    try:
        rule = policy(space, NO_SECRETS)
        cluster.enforce(rule)
        cluster.denied(configmap(space, "after", password="x"))
        asked, given = acceptance(rule, space, ("", "ConfigMap"), ["after"])
        cluster.apply(asked, given, check=True)
        eventually(lambda: cluster.apply(configmap(space, "after", password="x")).returncode == 0, "accepted")
        assert "lastAudit" not in cluster.status_of("clusterpolicy", rule["metadata"]["name"])
        assert audits(cluster.process.pid) == [audit]
    finally:
        os.kill(audit, signal.SIGCONT)
    audited(cluster, rule, 1, 1)


def audits(parent: int) -> list[int]:
    """Return the audit's processes among the children of a process."""
    children = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
    return [pid for pid in map(int, children) if b"\0audit\0" in Path(f"/proc/{pid}/cmdline").read_bytes()]


def test_status_tells_how_old_the_audit_is_and_what_it_counts(cluster: Cluster) -> None:
    def told() -> dict[str, Any]:
        words = [sys.executable, "-m", "webhook", "status", "--kubeconfig", str(cluster.plane.kubeconfig)]
        done = subprocess.run([*words, "-o", "json"], capture_output=True, text=True, timeout=60, check=False)
        return dict(json.loads(done.stdout)["audit"])

    found = eventually(lambda: (audit := told()).get("complete") and audit, "the audit in the status", 60)
    assert found["objects"] > 0
    assert found["ageSeconds"] < 300
    assert found["reports"] == "openreports"

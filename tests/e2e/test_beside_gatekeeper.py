"""Beside Gatekeeper itself: constraints are taken over and given back, as the migration guide says."""

from __future__ import annotations

import json
import shlex
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.controlplane import ControlPlane
from tests.e2e.cluster import ROOT, Cluster, eventually, pod
from tests.e2e.gatekeeper import Gatekeeper, Probe
from tests.gatekeeper.gk import constraint, rego_template
from webhook import cli

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("e2e-beside-gatekeeper")]

GUIDE = ROOT / "docs/how-to/migrate-from-gatekeeper.md"
REGO = """package k8sallowedrepos

violation[{"msg": msg}] {
  container := input.review.object.spec.containers[_]
  allowed := [repo | repo := input.parameters.repos[_]; startswith(container.image, repo)]
  count(allowed) == 0
  msg := sprintf("container <%v> has an invalid image repo <%v>", [container.name, container.image])
}
"""
KIND = "k8sallowedrepos.constraints.gatekeeper.sh"
REPOS = constraint(
    "K8sAllowedRepos",
    "prod-repos",
    match={"kinds": [{"apiGroups": [""], "kinds": ["Pod"]}], "namespaces": ["shop"]},
    parameters={"repos": ["registry.example.com/"]},
)
MESSAGE = "[prod-repos] container <app> has an invalid image repo <evil.example.com/app:1>"
BAD = pod("shop", "bad", image="evil.example.com/app:1")

Say = Callable[[str], str]


@pytest.fixture(scope="module")
def plane(assets: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    with ControlPlane(assets, tmp_path_factory.mktemp("beside"), kcm=True) as started:
        started.kubectl("create", "namespace", "shop", check=True)
        _apply(started, {**BAD, "metadata": {**BAD["metadata"], "name": "old"}})
        yield started


@pytest.fixture
def gatekeeper(gatekeeper_manager: Path, plane: ControlPlane) -> Iterator[Gatekeeper]:
    """Gatekeeper, with a constraint that it enforces."""
    with Gatekeeper(gatekeeper_manager, plane) as started:
        _apply(plane, rego_template(REGO, "K8sAllowedRepos"))
        eventually(lambda: plane.kubectl("get", "crd", KIND).returncode == 0, "Gatekeeper's kind", 60)
        plane.kubectl("wait", "--for=condition=Established", "--timeout=60s", f"crd/{KIND}", check=True)
        _apply(plane, REPOS)
        eventually(lambda: _probe(plane).once() == {"gatekeeper"}, "Gatekeeper's denial", 60)
        yield started
    plane.kubectl("delete", "constrainttemplate", "k8sallowedrepos", check=True)
    eventually(lambda: plane.kubectl("get", "crd", KIND).returncode, "the end of the kind", 60)


@pytest.fixture
def say(plane: ControlPlane, capsys: pytest.CaptureFixture[str]) -> Say:
    """Run a command of the migration guide against the cluster."""
    commands = _commands(GUIDE.read_text())

    def run(command: str) -> str:
        assert command in commands, f"the guide doesn't say: {command}"
        words = shlex.split(command)[1:]
        status = cli.run([*words, "--kubeconfig", str(plane.kubeconfig)])
        said = capsys.readouterr()
        assert status == 0, said
        return said.out + said.err

    return run


def test_a_constraint_is_taken_over_and_given_back_and_never_is_nobody_there(
    gatekeeper: Gatekeeper, plane: ControlPlane, say: Say
) -> None:
    before = _get(plane)["spec"]
    with Cluster(plane, "--gatekeeper", "beside") as cluster:
        eventually(lambda: _get(plane).get("status", {}).get("totalViolations"), "Gatekeeper's audit", 60)
        assert "1 result the same, 0 different" in say("tidewaiter gatekeeper compare")
        assert "pods" not in json.dumps(cluster.configuration()), "it is left to Gatekeeper"

        shown = say("tidewaiter gatekeeper takeover K8sAllowedRepos/prod-repos --dry-run")
        assert "tidewaiter.dev/enforcement-action" in shown
        assert _get(plane)["spec"] == before
        with _probe(plane) as probe:
            said = say("tidewaiter gatekeeper takeover K8sAllowedRepos/prod-repos")
        assert "deny is enforced by Tidewaiter, at webhook.tidewaiter.dev" in said
        assert not probe.let_through
        assert len(probe.said) == 2, probe.said
        assert all(message.endswith(f"denied the request: {MESSAGE}") for message in probe.said)
        eventually(lambda: _ends(plane, "gatekeeper"), "the end of Gatekeeper's enforcement")
        again = say("tidewaiter gatekeeper takeover K8sAllowedRepos/prod-repos")
        assert "it was taken over already" in again

        at = _get(plane)["status"]["auditTimestamp"]
        eventually(lambda: _get(plane)["status"]["auditTimestamp"] > at, "Gatekeeper's next audit")
        assert _get(plane)["status"]["totalViolations"] == 1, "its audit goes on"

        with _probe(plane) as probe:
            said = say("tidewaiter gatekeeper takeover K8sAllowedRepos/prod-repos --undo")
        assert "Gatekeeper enforces it again, as before (deny)" in said
        assert not probe.let_through
        assert _get(plane)["spec"] == before
        assert not [name for name in _notes(plane) if name.startswith("tidewaiter.dev/")]
        eventually(lambda: _ends(plane, "tidewaiter"), "the end of our enforcement")


def test_each_goes_on_without_the_other(
    gatekeeper: Gatekeeper,
    gatekeeper_manager: Path,
    plane: ControlPlane,
    say: Say,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with Cluster(plane, "--gatekeeper", "beside"):
        say("tidewaiter gatekeeper takeover K8sAllowedRepos/prod-repos")
        gatekeeper.__exit__()
        assert _probe(plane).once() == {"tidewaiter"}
        words = ["gatekeeper", "takeover", "K8sAllowedRepos/prod-repos", "--undo", "--wait", "1"]
        assert cli.run([*words, "--kubeconfig", str(plane.kubeconfig)]) == 2
        assert "Gatekeeper does not say within 1 s that it enforces it" in capsys.readouterr().err
        assert _probe(plane).once() == {"tidewaiter"}, "it is kept as long as nobody else has it"
        with Gatekeeper(gatekeeper_manager, plane):
            say("tidewaiter gatekeeper takeover K8sAllowedRepos/prod-repos --undo")
            assert "gatekeeper" in _probe(plane).once()
    # Ours is gone, and its configuration with it.
    with Gatekeeper(gatekeeper_manager, plane):
        eventually(lambda: _probe(plane).once() == {"gatekeeper"}, "Gatekeeper's denial")


def test_what_tidewaiter_does_not_take_stays_as_it_was(
    gatekeeper: Gatekeeper, plane: ControlPlane, capsys: pytest.CaptureFixture[str]
) -> None:
    before, notes = _get(plane)["spec"], _notes(plane)
    words = ["gatekeeper", "takeover", "--wait", "1", "--kubeconfig", str(plane.kubeconfig)]
    with Cluster(plane, "--gatekeeper", "beside") as cluster:
        for more, why in (
            (["K8sAllowedRepos/prod-repos", "-n", "elsewhere"], "or it is not in the namespace elsewhere"),
            (["K8sAllowedRepos/prod-repos", "--webhook-name", "none"], "nobody would enforce it"),
            (["K8sAllowedRepos/none"], "there is no K8sAllowedRepos none"),
        ):
            assert cli.run([*words, *more]) == 2
            assert why in capsys.readouterr().err
        cluster.process.send_signal(signal.SIGSTOP)
        try:
            assert cli.run([*words, "K8sAllowedRepos/prod-repos"]) == 2
        finally:
            cluster.process.send_signal(signal.SIGCONT)
        assert "Tidewaiter does not enforce it within 1 s" in capsys.readouterr().err
        assert (_get(plane)["spec"], _notes(plane)) == (before, notes)
        assert _probe(plane).once() == {"gatekeeper"}


def test_statuses_and_kinds_are_left_to_gatekeeper(
    gatekeeper: Gatekeeper, plane: ControlPlane, say: Say
) -> None:
    with Cluster(plane, "--gatekeeper", "beside"):
        say("tidewaiter gatekeeper takeover K8sAllowedRepos/prod-repos")
        _is_quiet(plane)
        assert {each["id"] for each in _get(plane)["status"]["byPod"]} == {"gatekeeper-0"}


def test_in_its_place_nothing_is_fought_over_while_it_still_runs(
    gatekeeper: Gatekeeper, plane: ControlPlane
) -> None:
    eventually(lambda: _get(plane).get("status", {}).get("totalViolations"), "Gatekeeper's audit", 60)
    theirs = _get(plane)["status"]
    kind = _definition(plane)
    with Cluster(plane, "--gatekeeper", "replace"):
        eventually(lambda: _ours_too(plane), "our enforcement")
        _is_quiet(plane)
        gatekeeper.__exit__()
        assert _probe(plane).once() == {"tidewaiter"}

        def ours() -> Any:
            found = _get(plane)["status"]
            return found if [each["id"] for each in found["byPod"]] == ["tidewaiter"] else None

        # Its Pod's words go with its Pod; then our audit's are there, and they are the same.
        found = eventually(ours, "our status", 120)
        assert {name: found[name] for name in _AUDITED} == {name: theirs[name] for name in _AUDITED}
        (pod,) = found["byPod"]
        assert set(pod) <= set(theirs["byPod"][0])
        assert pod["enforced"] is True
        assert pod["constraintUID"] == _get(plane)["metadata"]["uid"]
        eventually(lambda: _definition(plane)["manager"] != kind["manager"], "our kind", 120)
        assert _definition(plane)["uid"] == kind["uid"], "it was not made anew"


_AUDITED = ("totalViolations", "violations")


def _ours_too(plane: ControlPlane) -> bool:
    """Tell whether one of some tries is denied by us, whichever webhook the API server hears first."""
    return any(_probe(plane).once() == {"tidewaiter"} for _ in range(10))


def _definition(plane: ControlPlane) -> dict[str, str]:
    """Return the uid of the constraints' kind, and who wrote its spec last."""
    words = ("get", "crd", KIND, "-o", "json", "--show-managed-fields")
    metadata = json.loads(plane.kubectl(*words, check=True).stdout)["metadata"]
    writers = [each for each in metadata["managedFields"] if "f:spec" in each["fieldsV1"]]
    return {"uid": metadata["uid"], "manager": max(writers, key=lambda each: each["time"])["manager"]}


def _is_quiet(plane: ControlPlane) -> None:
    """Check that nobody but Gatekeeper's audit writes constraint, template and kind for a while."""
    time.sleep(2)  # for what the last change brought
    known = len(plane.audit_events())
    time.sleep(10)
    writes = Counter(
        (event["objectRef"]["resource"], event["userAgent"].partition("/")[0])
        for event in plane.audit_events()[known:]
        if event["verb"] in ("create", "update", "patch")
        and event["objectRef"].get("resource")
        in ("k8sallowedrepos", "constrainttemplates", "customresourcedefinitions")
    )
    assert set(writes) <= {("k8sallowedrepos", "gatekeeper")}, writes
    assert writes.total() <= 8, "an audit every three seconds, and no more"


def _commands(text: str) -> set[str]:
    return {line for line in text.splitlines() if line.startswith("tidewaiter gatekeeper ")}


def _probe(plane: ControlPlane) -> Probe:
    return Probe(plane, "/api/v1/namespaces/shop/pods", BAD)


def _ends(plane: ControlPlane, who: str) -> bool:
    """Tell whether none of some tries in a row is denied by one of both."""
    return all(who not in _probe(plane).once() for _ in range(5))


def _apply(plane: ControlPlane, *objects: dict[str, Any]) -> None:
    plane.kubectl("apply", "-f", "-", input="\n---\n".join(map(json.dumps, objects)), check=True)


def _get(plane: ControlPlane) -> Any:
    return json.loads(plane.kubectl("get", KIND, "prod-repos", "-o", "json", check=True).stdout)


def _notes(plane: ControlPlane) -> dict[str, str]:
    found: dict[str, str] = _get(plane)["metadata"].get("annotations") or {}
    return found

"""The emergency steps of the documentation, rehearsed: the page is where the commands come from."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests import emergency
from tests.controlplane import ControlPlane
from tests.e2e.cluster import (
    API_VERSION,
    APPETITE,
    acceptance,
    configmap,
    eventually,
    namespace,
    pod,
)
from tests.faults.conftest import QUICK
from tests.faults.containers import ROOT
from tests.faults.happenings import shown_by
from tests.faults.load import SPACE, load_policy
from tests.faults.world import OWN_NAMESPACE, World
from webhook.core.acceptance import digest_of

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("emergency")]


RESTRICTED = {
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "runAsNonRoot": True,
    "seccompProfile": {"type": "RuntimeDefault"},
}
BAD = configmap(SPACE, "bad", password="x")
GOOD = configmap(SPACE, "good", colour="blue")


@pytest.fixture(scope="module")
def guarded(assets: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with ControlPlane(assets, tmp_path_factory.mktemp("emergency")) as plane:
        plane.kubectl("apply", "--server-side", "-k", str(ROOT / "deploy"), check=True)
        with World(plane, operator=QUICK) as world:
            yield world


def rehearse(world: World, name: str) -> str:
    """Run a block of the page as an administrator would; return what it prints."""
    return emergency.run(world.plane, name)


def as_user(who: str, *groups: str) -> tuple[str, ...]:
    """Return kubectl's flags to be somebody else."""
    return ("--as", who, *(f"--as-group={group}" for group in groups))


def said(world: World, obj: dict[str, Any]) -> str:
    """Try to create an object; return what the API server objects, or an empty text."""
    flags = ("--server-side", "--force-conflicts", "--dry-run=server")
    done = world.plane.kubectl("apply", "-f", "-", *flags, input=json.dumps(obj))
    return done.stderr if done.returncode else ""


def passes(world: World, obj: dict[str, Any]) -> bool:
    return not said(world, obj)


def denied(world: World, obj: dict[str, Any]) -> bool:
    return "denied the request" in said(world, obj)


def test_writes_are_refused_because_nobody_answers(guarded: World) -> None:
    for replica in guarded.replicas:
        replica.webhook.stop()
    assert "failed calling webhook" in said(guarded, GOOD)
    rehearse(guarded, "look")
    rehearse(guarded, "take out of the way")
    eventually(lambda: passes(guarded, GOOD), "what was refused passes", 10)
    time.sleep(12)  # longer than the operator's resync
    assert guarded.configuration() is None
    assert passes(guarded, BAD)
    rehearse(guarded, "stop everything")
    assert _deployed(guarded)["replicas"] == 0
    guarded.plane.kubectl(
        "scale", "deployment", "tidewaiter", "-n", OWN_NAMESPACE, "--replicas=2", check=True
    )
    for replica in guarded.replicas:
        replica.webhook.start()
    eventually(guarded.settled, "the data planes are back", 60)
    rehearse(guarded, "put back")
    eventually(lambda: denied(guarded, BAD), "policies judge again", 60)
    assert passes(guarded, GOOD)


@pytest.mark.parametrize("block", ["delete the policy", "only audit the policy"])
@pytest.mark.parametrize("answering", [True, False], ids=["answering", "nobody answers"])
def test_a_policy_locks_everybody_out(guarded: World, block: str, answering: bool) -> None:
    policy = load_policy("deny-everything", "false")
    policy["spec"]["matchConstraints"] = {
        "resourceRules": [
            {"apiGroups": ["*"], "apiVersions": ["*"], "operations": ["*"], "resources": ["*/*"]}
        ]
    }
    guarded.apply(policy)
    eventually(lambda: "deny-everything" in said(guarded, GOOD), "everything is denied", 30)
    eventually(lambda: denied(guarded, namespace("one-more")), "everything is denied", 30)
    if not answering:
        for replica in guarded.replicas:
            replica.webhook.stop()
    rehearse(guarded, block)
    if not answering:
        for replica in guarded.replicas:
            replica.webhook.start()
    eventually(lambda: passes(guarded, namespace("one-more")), "everybody works again", 60)
    eventually(lambda: passes(guarded, GOOD), "everybody works again", 30)
    assert denied(guarded, BAD)
    guarded.plane.kubectl("delete", "clusterpolicy", "deny-everything", "--ignore-not-found", check=True)
    eventually(guarded.settled, "the policy is gone", 30)


def test_let_nothing_be_denied_any_more(guarded: World) -> None:
    assert denied(guarded, BAD)
    rehearse(guarded, "only warn")
    changed = _deployed_options(guarded)
    assert "--max-action=Warn" in changed
    _roll_out(guarded, ["--max-action=Warn"])
    eventually(lambda: passes(guarded, BAD), "nothing is denied", 30)
    done = guarded.plane.kubectl("apply", "-f", "-", "--dry-run=server", input=json.dumps(BAD))
    assert "Warning: " in done.stderr
    rehearse(guarded, "deny again")
    changed = _deployed_options(guarded)
    assert "--max-action=Deny" in changed
    _roll_out(guarded, [word for word in changed if word.startswith("--max-action")])
    eventually(lambda: denied(guarded, BAD), "policies deny again", 30)


def _deployed(world: World) -> dict[str, Any]:
    found = world.plane.kubectl(
        "get", "deployment", "tidewaiter", "-n", OWN_NAMESPACE, "-o", "json", check=True
    )
    spec: dict[str, Any] = json.loads(found.stdout)["spec"]
    return spec


def _deployed_options(world: World) -> list[str]:
    containers = _deployed(world)["template"]["spec"]["containers"]
    options: list[str] = next(each["args"] for each in containers if each["name"] == "operator")
    return options


def _roll_out(world: World, options: list[str]) -> None:
    """Do what the Deployment's controller does: each Pod again, with other options."""
    for replica in world.replicas:
        words = [word for word in replica.operator.words if not word.startswith("--max-action")]
        replica.operator.words = (*words, *options)
        replica.operator.restart()
    eventually(world.settled, "the replicas are back", 60)


def test_the_certificate_is_broken(guarded: World) -> None:
    before = shown_by(guarded.replicas[0].endpoint.port)
    rehearse(guarded, "another certificate")
    _another_authority_serves(guarded, before)


def test_the_authoritys_key_leaked(guarded: World) -> None:
    before = shown_by(guarded.replicas[0].endpoint.port)
    rehearse(guarded, "another authority")
    _another_authority_serves(guarded, before)
    eventually(lambda: rehearse(guarded, "count authorities").strip() == "1", "one authority is left", 60)
    assert before.issuer not in [authority.subject for authority in guarded.trusted()]


def _another_authority_serves(world: World, before: Any) -> None:
    def everywhere() -> bool:
        assert passes(world, GOOD)
        return all(shown_by(replica.endpoint.port).issuer != before.issuer for replica in world.replicas)

    eventually(everywhere, "another authority's certificate serves", 60)
    assert denied(world, BAD)


def test_a_risk_acceptance_must_end_now(guarded: World) -> None:
    guarded.apply(namespace("billing"), APPETITE)
    policy = load_policy("no-passwords-in-billing", "!has(object.data) || !('password' in object.data)")
    policy["spec"]["matchConstraints"]["namespaceSelector"] = {
        "matchLabels": {"kubernetes.io/metadata.name": "billing"}
    }
    guarded.apply(policy)
    kept = configmap("billing", "legacy", password="x")
    eventually(lambda: denied(guarded, kept), "the policy", 30)
    asked, given = acceptance(policy, "billing", ("", "ConfigMap"), ["legacy"])
    asked["metadata"]["name"] = given["spec"]["riskAcceptance"] = "legacy"
    given["spec"]["digest"] = digest_of(asked)
    _apply_as(guarded, asked, "john.roe@example.com")
    _apply_as(guarded, given, "jane.doe@example.com", "risk-owners")
    eventually(lambda: passes(guarded, kept), "the risk is accepted", 30)
    eventually(lambda: _digest_in_status(guarded) == digest_of(asked), "the status", 30)
    rehearse(guarded, "end the acceptance")
    eventually(lambda: denied(guarded, kept), "it no longer holds", 10)
    _apply_as(guarded, asked, "john.roe@example.com")
    time.sleep(2)
    assert denied(guarded, kept), "not even when somebody applies it again"


def _apply_as(world: World, obj: dict[str, Any], who: str, *groups: str) -> None:
    flags = as_user(who, "system:masters", *groups)
    world.plane.kubectl("apply", "-f", "-", *flags, input=json.dumps(obj), check=True)


def _digest_in_status(world: World) -> str:
    _, found = world.plane.request("GET", f"/apis/{API_VERSION}/namespaces/billing/riskacceptances/legacy")
    return str((found.get("status") or {}).get("digest", ""))


def test_the_cluster_comes_up_from_nothing(guarded: World) -> None:
    """P12: with a policy for everything and nobody who answers, what brings the cluster up is not refused."""
    policy = load_policy("everything", "!object.metadata.name.startsWith('never')")
    policy["spec"]["matchConstraints"] = {
        "resourceRules": [
            {"apiGroups": ["*"], "apiVersions": ["*"], "operations": ["CREATE"], "resources": ["*"]}
        ]
    }
    guarded.apply(policy)
    eventually(lambda: denied(guarded, configmap("default", "never")), "the policy", 30)
    for replica in guarded.replicas:
        replica.stop()
    guarded.plane.restart("kube-apiserver", 9)
    assert "failed calling webhook" in said(guarded, configmap("default", "any"))
    lease = {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {"namespace": "default", "name": "a"},
    }
    event = {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"namespace": "default", "name": "any"},
        "involvedObject": {"namespace": "default"},
    }
    own_pod = pod(OWN_NAMESPACE, "tidewaiter-0")
    own_pod["spec"]["containers"][0]["securityContext"] = RESTRICTED  # as the namespace demands of all
    for needed in (
        lease,
        event,
        pod("kube-system", "dns"),
        own_pod,
        configmap("kube-system", "proxy"),
        configmap(OWN_NAMESPACE, "any"),
    ):
        assert passes(guarded, needed), said(guarded, needed)
    node = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "one"}}
    as_node = as_user("system:node:one", "system:nodes", "system:masters")
    guarded.plane.kubectl("create", "-f", "-", *as_node, input=json.dumps(node), check=True)
    for replica in guarded.replicas:
        replica.start()
    eventually(guarded.settled, "it has come up", 90)
    rehearse(guarded, "watch it come up")
    eventually(lambda: passes(guarded, configmap("default", "any")), "writes pass again", 30)
    assert denied(guarded, configmap("default", "never"))
    guarded.plane.kubectl("delete", "clusterpolicy", "everything", check=True)


def test_uninstall_by_hand(guarded: World) -> None:
    rehearse(guarded, "uninstall")
    time.sleep(5)
    assert guarded.configuration() is None
    assert passes(guarded, BAD)
    kinds = "crd,clusterrole,clusterrolebinding,validatingadmissionpolicy,validatingadmissionpolicybinding"
    left = guarded.plane.kubectl("get", kinds, "-o", "name", check=True).stdout
    assert "tidewaiter" not in left


def test_every_step_of_the_page_is_rehearsed() -> None:
    places = (__file__, ROOT / "tests/chart/test_lifecycle.py")
    source = "".join(Path(place).read_text(encoding="utf-8") for place in places)
    assert len(emergency.BLOCKS) == emergency.PAGE.read_text(encoding="utf-8").count("```sh")
    assert [name for name in emergency.BLOCKS if f'"{name}"' not in source] == []

"""Attacks on accepted risks, on a real API server: none is honoured, and each is told why.

The floor of the guard is there, and a replica behind it. tests/core has the same as a fast table.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import ssl
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tests.conftest import _programs
from tests.controlplane import ControlPlane
from tests.e2e.cluster import API_VERSION, configmap, eventually, namespace, stamp
from tests.e2e.test_guard import (
    EVE,
    JANE,
    JOHN,
    NO_SECRETS,
    applier,
    as_user,
    changed,
    floor_of,
    named,
    write,
)
from tests.faults.conftest import QUICK
from tests.faults.containers import ROOT, Replica
from tests.faults.world import OWN_NAMESPACE, World
from tests.server.builders import make_review
from webhook.adapters.signatures import public_key, sign, statement
from webhook.core.acceptance import digest_of

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("attacks")]

MAX = "max.mustermann@example.com"
OWNERS = ("risk-owners",)
SECURITY = as_user("admin", "security")
KEYS = {
    name: Ed25519PrivateKey.from_private_bytes(bytes([number]) * 32)
    for number, name in enumerate(("jane", "max", "expired", "revoked", "unlisted"), 1)
}
HOUR = timedelta(hours=1)
_numbers = itertools.count(1)


def signer(approver: str, key: str, **more: Any) -> dict[str, Any]:
    return {"approver": approver, "groups": [*OWNERS], "publicKey": public_key(KEYS[key]), **more}


RULE = {"maxDuration": "90d", "approvals": 1, "approvers": {"groups": [*OWNERS]}}
APPETITE = {
    "apiVersion": API_VERSION,
    "kind": "RiskAppetite",
    "metadata": {"name": "default"},
    "spec": {
        "rules": [
            {**RULE, "severities": ["low", "medium"]},
            {**RULE, "severities": ["high"], "approvals": 2, "routes": ["Signature"]},
        ],
        "signers": [
            signer(JANE, "jane"),
            signer(MAX, "max"),
            signer(JANE, "expired", validUntil=stamp(-24 * HOUR)),
            signer(JANE, "revoked", revokedAt=stamp(-24 * HOUR)),
        ],
        "people": [{"name": "Jane Doe", "users": [JANE, "oidc:jane"]}],
    },
}


def policy(name: str, **spec: Any) -> dict[str, Any]:
    """Return a ClusterPolicy on the ConfigMaps of the namespaces whose label names it."""
    rule = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["configmaps"]}
    return {
        "apiVersion": API_VERSION,
        "kind": "ClusterPolicy",
        "metadata": {"name": name},
        "spec": {
            "severity": "medium",
            "matchConstraints": {
                "resourceRules": [rule],
                "namespaceSelector": {"matchLabels": {"attacked": name}},
            },
            "validations": [{"name": "check", "expression": NO_SECRETS, "message": "holds a password"}],
            **spec,
        },
    }


POLICIES = {
    "ordinary": {},
    "twice": {"riskAcceptance": {"approvals": 2}},
    "never": {"riskAcceptance": {"allowed": False}},
    "short": {"riskAcceptance": {"maxDuration": "1h"}},
    "weak": {"severity": "high"},
    "weaker": {"severity": "high"},
    "weakened": {"severity": "high"},
}


class Stage:
    """A namespace of its own under one policy, in which an attack is played.

    Args:
        world: the cluster and the replica behind it.
        rule: the policy's name.
    """

    def __init__(self, world: World, rule: str = "ordinary") -> None:
        self.world = world
        self.plane = world.plane
        self.rule = rule
        self.space = f"attack-{next(_numbers)}"
        world.apply(namespace(self.space, {"attacked": rule}))

    def asked(self, **spec: Any) -> dict[str, Any]:
        """Return what John asks for."""
        return {
            "apiVersion": API_VERSION,
            "kind": "RiskAcceptance",
            "metadata": {"name": "legacy", "namespace": self.space},
            "spec": {
                "policies": [{"kind": "ClusterPolicy", "name": self.rule}],
                "scope": {"kinds": [{"kind": "ConfigMap"}], "names": ["one"]},
                "justification": "The rewrite has begun; until then nothing else can be run.",
                "riskOwner": JANE,
                "requester": JOHN,
                "validFrom": stamp(-2 * HOUR),
                "validUntil": stamp(24 * HOUR),
                **spec,
            },
        }

    def ask(self, **spec: Any) -> dict[str, Any]:
        """Let John ask for it."""
        asked = self.asked(**spec)
        self.done(write(self.plane, asked, *as_user(JOHN)))
        return asked

    def given(self, asked: Mapping[str, Any], approver: str = JANE, **spec: Any) -> dict[str, Any]:
        """Return an approval of what is asked for; None leaves a field out."""
        return changed(
            {
                "apiVersion": API_VERSION,
                "kind": "RiskApproval",
                "metadata": {"name": f"legacy-{next(_numbers)}", "namespace": self.space},
                "spec": {
                    "riskAcceptance": "legacy",
                    "digest": digest_of(asked),
                    "approver": approver,
                    "groups": [*OWNERS],
                    "approvedAt": stamp(),
                },
            },
            **spec,
        )

    def signed(
        self, asked: Mapping[str, Any], key: str = "jane", approver: str = JANE, **spec: Any
    ) -> dict[str, Any]:
        given = self.given(asked, approver, groups=None, **spec)
        return changed(given, signature=sign(KEYS[key], statement(given["spec"])))

    def approve(self, asked: Mapping[str, Any], approver: str = JANE, **spec: Any) -> dict[str, Any]:
        """Let somebody of the approvers approve it in the cluster."""
        given = self.given(asked, approver, **spec)
        self.done(write(self.plane, given, *as_user(approver, *OWNERS)))
        return given

    def bring(self, given: Mapping[str, Any]) -> str:
        """Let somebody bring what is signed; return the warnings."""
        return self.done(write(self.plane, given, *as_user(EVE)))

    def done(self, done: subprocess.CompletedProcess[str]) -> str:
        assert done.returncode == 0, done.stderr
        return done.stderr

    def use(self) -> subprocess.CompletedProcess[str]:
        return write(self.plane, configmap(self.space, password="x"), "--dry-run=server")

    def honoured(self) -> None:
        """Wait until what is rightly approved counts."""
        eventually(lambda: self.use().returncode == 0, "the acceptance counts")

    def refused(self, said: str) -> None:
        """Wait until the denial says why, and see that nothing passed before where nothing ever counted."""
        eventually(lambda: said in " ".join(self.use().stderr.split()), f"the denial that says {said!r}")
        assert self.use().returncode

    def later(self) -> None:
        """Wait for another second: the API server writes no finer times."""
        now = int(time.time())
        eventually(lambda: int(time.time()) > now, "the next second")

    def delete(self, kind: str, name: str, *flags: str) -> subprocess.CompletedProcess[str]:
        return self.plane.kubectl("delete", kind, name, "-n", self.space, *flags)


def not_written(done: subprocess.CompletedProcess[str], said: str) -> None:
    assert done.returncode, done.stdout
    assert said in done.stderr


@pytest.fixture(scope="module")
def world(assets: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    helms = _programs("KUBEBUILDER_ASSETS", ("helm",), "helm")
    folder = tmp_path_factory.mktemp("attacks")
    guarded = (*QUICK, "--guard-policy", "tidewaiter-guard", "--risk-admin-group", "security")
    with ControlPlane(assets, folder / "plane", kcm=True) as plane:
        plane.kubectl("apply", "-k", str(ROOT / "charts/tidewaiter/crds"), check=True)
        plane.kubectl("wait", "--for=condition=Established", "crd", "--all", "--timeout=60s", check=True)
        floor_of(plane, helms, folder)
        rules = [policy(name, **spec) for name, spec in POLICIES.items()]
        with World(plane, count=1, operator=guarded, policies=rules) as started:
            # The floor counts from the second in which it was made.
            eventually(lambda: write(plane, APPETITE, *SECURITY).returncode == 0, "the appetite")
            yield started


@contextlib.contextmanager
def as_cluster_admin(plane: ControlPlane, who: str) -> Iterator[None]:
    """Give somebody every right that RBAC has."""
    made = ("clusterrolebinding", "attacker")
    plane.kubectl("create", *made, "--clusterrole=cluster-admin", f"--user={who}", check=True)
    yield
    plane.kubectl("delete", *made, check=True)


# The attacks. Each function plays one, and sees that it isn't honoured and is told why.


def self_approval(world: World) -> None:
    stage = Stage(world)
    asked = stage.ask()
    own = stage.given(asked, JOHN)
    not_written(write(stage.plane, own, *as_user(JOHN, *OWNERS)), "another person must approve it")
    stage.refused("it has 0 of 1 approvals that count")


def wrong_group(world: World) -> None:
    stage = Stage(world)
    given = stage.given(stage.ask(), EVE, groups=["developers"])
    said = stage.done(write(stage.plane, given, *as_user(EVE, "developers")))
    assert "none of the approvers that the RiskAppetite names" in said
    stage.refused(f"{EVE} is none of the approvers that the RiskAppetite names")


def forged_approver(world: World) -> None:
    stage = Stage(world)
    given = stage.given(stage.ask())
    not_written(
        write(stage.plane, given, *as_user(EVE, *OWNERS)), f"must be {EVE}, who writes this, not {JANE}"
    )
    not_written(write(stage.plane, given, *as_user(JANE)), "is not in risk-owners")
    stage.refused("it has 0 of 1 approvals that count")


def replay_after_a_change(world: World) -> None:
    stage = Stage(world)
    asked = stage.ask()
    given = stage.approve(asked)
    stage.honoured()
    said = stage.done(write(stage.plane, changed(asked, title="Changed"), *as_user(JOHN), verb="apply"))
    assert f"this change voids what was approved: {given['metadata']['name']}" in said
    stage.refused("it was given for another version of the acceptance")
    again = named(given, "replayed")
    not_written(write(stage.plane, again, *as_user(JANE, *OWNERS)), "read it again, approve what it says now")


def widened_scope(world: World) -> None:
    stage = Stage(world)
    asked = stage.ask()
    stage.bring(stage.signed(asked))
    stage.honoured()
    wider = changed(asked, scope={"kinds": [{"kind": "ConfigMap"}], "names": ["*"]})
    assert "this change voids what was approved" in stage.done(
        write(stage.plane, wider, *as_user(JOHN), verb="apply")
    )
    stage.refused("it was given for another version of the acceptance")


def copy_to_another_namespace(world: World) -> None:
    there, here = Stage(world), Stage(world)
    signed = there.signed(there.ask())
    there.bring(signed)
    there.honoured()
    here.ask()
    copied = {**signed, "metadata": {"name": "copied", "namespace": here.space}}
    assert "counts once the acceptance says it" in here.bring(copied)
    here.refused("it was given for another version of the acceptance")


def acceptance_in_another_namespace(world: World) -> None:
    there, here = Stage(world), Stage(world)
    there.approve(there.ask())
    there.honoured()
    assert here.use().returncode
    reaching = there.asked(
        scope={"kinds": [{"kind": "ConfigMap"}], "names": ["one"], "namespaces": [here.space]}
    )
    done = write(there.plane, named(reaching, "reaching"), *as_user(JOHN))
    not_written(done, 'unknown field "spec.scope.namespaces"')
    assert "holds a password" in here.use().stderr


def back_dated_window(world: World) -> None:
    """John has something made, and asks later for a window around it that is over when it is approved."""
    stage = Stage(world)
    labels = {"app": "old"}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "app", "image": "old:1"}]}}
    replica_set = {
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "metadata": {"name": "old", "namespace": stage.space},
        "spec": {"replicas": 0, "selector": {"matchLabels": labels}, "template": template},
    }
    made = json.loads(write(stage.plane, replica_set, "-o", "json").stdout)
    time.sleep(2)  # what was made lies inside the window, which has whole seconds
    rule = policy(f"no-old-{stage.space}")
    rule["spec"]["matchConstraints"] = {
        "resourceRules": [
            {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}
        ],
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": stage.space}},
    }
    rule["spec"] |= {
        "podTemplates": True,
        "validations": [{"name": "old", "expression": "false", "message": "is old", "forEach": "containers"}],
    }
    world.apply(rule)
    stage.rule = rule["metadata"]["name"]
    asked = stage.ask(
        scope={"kinds": [{"group": "apps", "kind": "ReplicaSet"}], "names": ["old"]},
        validUntil=stamp(timedelta(seconds=-1)),
    )
    stage.approve(asked)
    owner = {key: made[key] for key in ("apiVersion", "kind")} | {
        "name": "old",
        "uid": made["metadata"]["uid"],
        "controller": True,
    }
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "old-1", "namespace": stage.space, "labels": labels, "ownerReferences": [owner]},
        "spec": template["spec"],
    }
    controller = as_user("system:serviceaccount:kube-system:replicaset-controller")

    def said() -> str:
        return write(stage.plane, pod, *controller, "--dry-run=server").stderr

    eventually(lambda: "before it was approved: it was never in force" in said(), "the denial of its Pod")


def back_dated_approval(world: World) -> None:
    stage = Stage(world)
    given = stage.given(stage.ask(), approvedAt=stamp(-HOUR))
    not_written(write(stage.plane, given, *as_user(JANE, *OWNERS)), "given when it is written")
    stage.refused("it has 0 of 1 approvals that count")


def duration_above_the_maximum(world: World) -> None:
    stage = Stage(world, "short")
    asked = stage.asked()
    said = stage.done(write(stage.plane, asked, *as_user(JOHN)))
    assert "before spec.validUntil: no longer is allowed" in said
    stage.approve(asked)
    stage.refused(f"capped from {asked['spec']['validUntil']}")


def edited_appetite(world: World) -> None:
    laxer = changed(APPETITE, rules=[{**RULE, "severities": ["high"], "approvers": {"users": [EVE]}}])
    with as_cluster_admin(world.plane, EVE):
        done = write(world.plane, laxer, "--as", EVE, verb="apply")
    not_written(done, f"{EVE} is in none of the groups that may change")


def deleted_appetite(world: World) -> None:
    with as_cluster_admin(world.plane, EVE):
        done = world.plane.kubectl("delete", "riskappetite", "default", "--as", EVE)
    not_written(done, f"{EVE} is in none of the groups that may change")


def recreated_appetite(world: World) -> None:
    """Without the one that was there, no acceptance is in force; and only administrators bring another."""
    stage = Stage(world)
    stage.approve(stage.ask())
    stage.honoured()
    world.plane.kubectl("delete", "riskappetite", "default", *SECURITY, check=True)
    try:
        stage.refused("no RiskAppetite named default is applied")
        with as_cluster_admin(world.plane, EVE):
            done = write(world.plane, APPETITE, "--as", EVE)
        not_written(done, f"{EVE} is in none of the groups that may change")
    finally:
        stage.done(write(world.plane, APPETITE, *SECURITY))
    stage.honoured()


def recreated_after_its_digest_was_revoked(world: World) -> None:
    stage = Stage(world)
    asked = stage.ask()
    signed = stage.signed(asked)
    stage.bring(signed)
    stage.honoured()
    revoking = changed(APPETITE, revoked=[{"digest": digest_of(asked), "at": stamp(), "reason": "misused"}])
    stage.done(write(stage.plane, revoking, *SECURITY, verb="replace"))
    stage.refused("the RiskAppetite revokes its digest")
    stage.delete("riskacceptance", "legacy").check_returncode()
    said = stage.done(write(stage.plane, asked, *as_user(JOHN)))
    assert "the RiskAppetite revokes its digest" in said
    stage.bring(named(signed, "again"))
    stage.refused("the RiskAppetite revokes its digest")
    forgets = write(stage.plane, APPETITE, *SECURITY, verb="replace")
    not_written(forgets, "what is revoked stays revoked")
    gone = world.plane.kubectl("delete", "riskappetite", "default", *SECURITY)
    not_written(gone, "what is revoked stays revoked")


def recreated_after_it_was_revoked(world: World) -> None:
    stage = Stage(world)
    asked = stage.ask()
    stage.approve(asked)
    stage.honoured()
    revoked = changed(asked, revoked={"at": stamp(), "by": JANE, "reason": "misused"})
    stage.done(write(stage.plane, revoked, *as_user(JANE), verb="apply"))
    stage.refused("it was revoked")
    stage.later()
    stage.delete("riskacceptance", "legacy").check_returncode()
    stage.done(write(stage.plane, asked, *as_user(JOHN)))
    stage.refused("what it approves was revoked at")


def recreated_after_it_was_deleted(world: World) -> None:
    stage = Stage(world)
    asked = stage.ask()
    stage.approve(asked)
    stage.honoured()
    stage.later()
    stage.delete("riskacceptance", "legacy").check_returncode()
    stage.done(write(stage.plane, asked, *as_user(JOHN)))
    stage.refused("the acceptance was deleted and made again")


def recreated_with_its_signature_after_it_was_revoked(world: World) -> None:
    """Bring what is signed, which holds whoever brings it: the cluster remembers the revocation."""
    stage = Stage(world)
    asked = stage.ask()
    signed = stage.signed(asked)
    stage.bring(signed)
    stage.honoured()
    # Whoever revokes says when; that may be a lie.
    revoked = changed(asked, revoked={"at": stamp(-24 * HOUR), "by": JANE, "reason": "misused"})
    stage.done(write(stage.plane, revoked, *as_user(JANE), verb="apply"))
    stage.delete("riskacceptance", "legacy").check_returncode()
    stage.done(write(stage.plane, asked, *as_user(JOHN)))
    stage.refused("what it approves was revoked at")
    assert "what it approves was revoked at" in stage.bring(named(signed, "again"))
    stage.delete("riskapproval", signed["metadata"]["name"]).check_returncode()
    stage.bring(signed)
    stage.refused("what it approves was revoked at")
    # Another replica knows it by the record alone, and nobody takes it out of that for long.
    record = ("configmap", "tidewaiter-revocations", "-n", OWN_NAMESPACE)

    def recorded() -> str:
        found = world.plane.kubectl("get", *record, "-o", "json")
        key = digest_of(asked).removeprefix("sha256:")
        return json.loads(found.stdout)["data"].get(key, "") if found.returncode == 0 else ""

    eventually(recorded, "the record")
    world.plane.kubectl("delete", *record, check=True)
    eventually(recorded, "the record, put back")
    assert "what it approves was revoked at" in stage.use().stderr
    stage.later()
    stage.bring(stage.signed(asked))
    stage.honoured()


def recreated_weaker_policy(world: World) -> None:
    """One approval isn't enough for the policy as it was, but would be for the one that takes its place."""
    stage = Stage(world, "weak")
    asked = stage.ask()
    stage.approve(asked)
    stage.refused("a high risk needs an approval by Signature")
    stage.later()
    world.plane.kubectl("delete", "clusterpolicy", "weak", check=True)
    world.apply(policy("weak", severity="low"))
    stage.refused("it was given before the policy was made, or made again")


def recreated_weaker_policy_and_a_signature_brought_again(world: World) -> None:
    """Apply a signature of no named severity again: it was given before the policy that is there now."""
    stage = Stage(world, "weakened")
    asked = stage.ask()
    signed = stage.signed(asked, approvedAt=stamp(timedelta(seconds=-1)))
    stage.bring(signed)
    world.plane.kubectl("delete", "clusterpolicy", "weakened", check=True)
    world.apply(policy("weakened", severity="low"))
    eventually(world.enforced, "the weaker policy")
    stage.bring(named(signed, "again"))
    stage.refused("it was given before the policy was made, or made again")


def recreated_weaker_policy_of_a_named_severity(world: World) -> None:
    """Apply a signature again: what was signed says for how bad it was taken."""
    stage = Stage(world, "weaker")
    asked = stage.ask(policies=[{"kind": "ClusterPolicy", "name": "weaker", "severity": "high"}])
    signed = stage.signed(asked)
    stage.bring(signed)
    stage.refused("it has 1 of 2 approvals that count")
    world.plane.kubectl("delete", "clusterpolicy", "weaker", check=True)
    world.apply(policy("weaker", severity="low"))
    eventually(world.enforced, "the weaker policy")
    stage.bring(named(signed, "again"))
    stage.refused("it has 1 of 2 approvals that count")


def service_account(world: World) -> None:
    stage = Stage(world)
    account = f"system:serviceaccount:{stage.space}:default"
    asked = stage.ask()
    itself = stage.given(asked, account)
    not_written(write(stage.plane, itself, *as_user(account, *OWNERS)), "must not start with system:")
    not_written(write(stage.plane, stage.given(asked), *as_user(account, *OWNERS)), f"must be {account}")
    says_so = stage.given(asked, appliedBy=account)
    not_written(write(stage.plane, says_so, *as_user(account)), f"lists no {account}")
    stage.refused("it has 0 of 1 approvals that count")


def two_names_of_one_person(world: World) -> None:
    stage = Stage(world, "twice")
    asked = stage.ask()
    stage.approve(asked)
    stage.approve(asked, "oidc:jane")
    stage.refused("it has 1 of 2 approvals that count")
    stage.approve(asked, MAX)
    stage.honoured()


def two_routes_of_one_person(world: World) -> None:
    stage = Stage(world, "twice")
    asked = stage.ask()
    stage.approve(asked)
    stage.bring(stage.signed(asked))
    stage.refused("it has 1 of 2 approvals that count")
    stage.bring(stage.signed(asked, "max", MAX))
    stage.honoured()


def approval_from_before_the_guard(world: World) -> None:
    stage = Stage(world)
    asked = stage.ask()
    stage.approve(asked)
    stage.honoured()
    signed = Stage(world)
    signed.bring(signed.signed(signed.ask()))
    signed.honoured()
    binding = ("validatingadmissionpolicybinding", "tidewaiter-guard-approvals")
    found = json.loads(world.plane.kubectl("get", *binding, "-o", "json", check=True).stdout)
    world.plane.kubectl("delete", *binding, check=True)
    stage.refused("it came before the guard that is in place now")
    found["metadata"] = {"name": binding[1]}
    world.apply(found)
    stage.refused("it came before the guard that is in place now")
    signed.honoured()


def unlisted_key(world: World) -> None:
    stage = Stage(world)
    assert "lists no key SHA256:" in stage.bring(stage.signed(stage.ask(), "unlisted"))
    stage.refused("the RiskAppetite lists no key SHA256:")


def expired_key(world: World) -> None:
    stage = Stage(world)
    assert "was valid until" in stage.bring(stage.signed(stage.ask(), "expired"))
    stage.refused("was valid until")


def revoked_key(world: World) -> None:
    stage = Stage(world)
    long_ago = stage.signed(stage.ask(), "revoked", approvedAt=stamp(-48 * HOUR))
    assert "was revoked at" in stage.bring(long_ago)
    stage.refused("was revoked at")


def another_persons_key(world: World) -> None:
    stage = Stage(world)
    assert f"is {MAX}'s, not {JANE}'s" in stage.bring(stage.signed(stage.ask(), "max"))
    stage.refused(f"is {MAX}'s, not {JANE}'s")


def damaged_signature(world: World) -> None:
    stage = Stage(world)
    signed = stage.signed(stage.ask())
    done = write(stage.plane, changed(signed, approver=MAX), *as_user(EVE))
    not_written(done, "it is not of this approver, time and digest")
    stage.refused("it has 0 of 1 approvals that count")


def policy_that_allows_none(world: World) -> None:
    stage = Stage(world, "never")
    asked = stage.asked()
    assert "the policy allows no risk acceptance" in stage.done(write(stage.plane, asked, *as_user(JOHN)))
    stage.approve(asked)
    stage.refused("the policy allows no risk acceptance")


def unlisted_applier(world: World) -> None:
    stage = Stage(world)
    given = stage.given(stage.ask(), appliedBy=applier(stage.space))
    not_written(write(stage.plane, given, *as_user(applier(stage.space))), "lists no")
    stage.refused("it has 0 of 1 approvals that count")


ATTACKS: dict[str, Callable[[World], None]] = {
    attack.__name__: attack
    for attack in (
        self_approval,
        wrong_group,
        forged_approver,
        replay_after_a_change,
        widened_scope,
        copy_to_another_namespace,
        acceptance_in_another_namespace,
        back_dated_window,
        back_dated_approval,
        duration_above_the_maximum,
        edited_appetite,
        deleted_appetite,
        recreated_appetite,
        recreated_after_it_was_revoked,
        recreated_after_it_was_deleted,
        recreated_with_its_signature_after_it_was_revoked,
        recreated_weaker_policy,
        recreated_weaker_policy_and_a_signature_brought_again,
        recreated_weaker_policy_of_a_named_severity,
        service_account,
        two_names_of_one_person,
        two_routes_of_one_person,
        unlisted_key,
        expired_key,
        revoked_key,
        another_persons_key,
        damaged_signature,
        policy_that_allows_none,
        unlisted_applier,
        approval_from_before_the_guard,
        recreated_after_its_digest_was_revoked,  # the last but the clock: the appetite can't go any more
    )
}


@pytest.mark.parametrize("attack", ATTACKS)
def test_no_attack_is_honoured_and_each_is_told_why(world: World, attack: str) -> None:
    ATTACKS[attack](world)


_MOVED = """
import datetime, time

class Moved(datetime.datetime):
    @classmethod
    def now(cls, tz=None):
        return super().now(tz) + datetime.timedelta(seconds={seconds})

real = time.time
time.time = lambda: real() + {seconds}
datetime.datetime = Moved
"""


def with_moved_clock(world: World, folder: Path, by: timedelta) -> Replica:
    """Return a replica beside the others whose Python has another time."""
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(_MOVED.format(seconds=by.total_seconds()))
    entries = (world.configuration() or {})["webhooks"]
    url = str(entries[0]["clientConfig"]["url"]).partition("/guard")[0].partition("/admit")[0]
    return Replica(
        folder / "replica",
        world.plane.kubeconfig,
        url,
        QUICK,
        environment={"PYTHONPATH": f"{folder}{os.pathsep}{ROOT}"},
    )


def judged_by(replica: Replica, obj: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return what a replica answers when somebody creates an object; None while it doesn't."""
    resource = {"group": "", "version": "v1", "resource": "configmaps"}
    kind = {"group": "", "version": "v1", "kind": "ConfigMap"}
    metadata = obj["metadata"]
    review = make_review(
        metadata["name"],
        metadata["namespace"],
        kind=kind,
        resource=resource,
        requestKind=kind,
        requestResource=resource,
        userInfo={"username": JOHN},
        object=obj,
    )
    asked = urllib.request.Request(
        f"https://127.0.0.1:{replica.endpoint.port}/admit?timeout=10s",
        json.dumps(review).encode(),
        {"Content-Type": "application/json"},
    )
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    try:
        with urllib.request.urlopen(asked, context=context, timeout=30) as answer:
            response: dict[str, Any] = json.loads(answer.read())["response"]
            return response
    except OSError:
        return None


@pytest.mark.parametrize(
    ("moved_by", "window", "said"),
    [
        # Further behind, the certificate would not be valid yet, and it would not serve at all.
        (timedelta(minutes=-4), (-2 * HOUR, timedelta(seconds=10)), "it ended at"),
        (3 * HOUR, (HOUR, 24 * HOUR), "it starts at"),
    ],
    ids=["behind", "ahead"],
)
def test_no_replica_honours_by_its_own_clock_alone(
    world: World, tmp_path: Path, moved_by: timedelta, window: tuple[timedelta, timedelta], said: str
) -> None:
    stage = Stage(world)
    # With a named severity an approval may be older than the policy, which is not an hour old here.
    policies = [{"kind": "ClusterPolicy", "name": stage.rule, "severity": "medium"}]
    asked = stage.ask(policies=policies, validFrom=stamp(window[0]), validUntil=stamp(window[1]))
    stage.bring(stage.signed(asked, approvedAt=stamp(-HOUR)))
    stage.refused(said)
    moved = with_moved_clock(world, tmp_path / "moved", moved_by)
    moved.start()
    try:
        bad = configmap(stage.space, password="x")
        answer = eventually(lambda: judged_by(moved, bad), "its first answer", 90)
        assert said in answer["status"]["message"]
    finally:
        moved.stop()

"""The guard of the risk kinds with workers: what it denies beyond the floor, warns of, and records."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.e2e.cluster import APPETITE, Cluster, acceptance, configmap, eventually, policy, stamp
from tests.e2e.test_guard import EVE, JANE, JOHN, NO_SECRETS, applier, as_user, changed, named, write
from webhook.core.acceptance import digest_of

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("e2e")]

CONFIGMAP = ("", "ConfigMap")
OWNERS = ("risk-owners",)


def enforced(cluster: Cluster, **spec: Any) -> tuple[str, dict[str, Any], dict[str, Any]]:
    """Return a namespace with an enforced policy, an acceptance of it that is there, and an approval."""
    space = cluster.namespace()
    rule = policy(space, NO_SECRETS, **spec)
    cluster.enforce(rule)
    asked, given = acceptance(rule, space, CONFIGMAP, ["one"])
    cluster.apply(asked, check=True)
    return space, asked, given


def denied(cluster: Cluster, obj: dict[str, Any], flags: tuple[str, ...], said: str) -> None:
    done = write(cluster.plane, obj, *flags)
    assert done.returncode, done.stdout
    assert 'admission webhook "guard.tidewaiter.dev" denied the request: guard/' in done.stderr
    assert said in done.stderr


def test_identities_are_judged_without_the_floor_too(cluster: Cluster) -> None:
    _, asked, given = enforced(cluster)
    other = named(asked, "other")
    denied(cluster, other, as_user(EVE), f"must be {EVE}, who writes this, not {JOHN}")
    denied(cluster, other, as_user(applier("x")), f"must say spec.appliedBy: {applier('x')}")
    denied(cluster, given, as_user(EVE, *OWNERS), f"must be {EVE}")
    denied(cluster, given, as_user(JANE), "is not in risk-owners")
    denied(cluster, changed(given, appliedBy=applier("x")), as_user(applier("x")), "lists no")


def test_what_needs_the_acceptance_is_judged(cluster: Cluster) -> None:
    space, asked, given = enforced(cluster)
    own = changed(given, approver=JOHN, approvedAt=stamp())
    denied(cluster, own, as_user(JOHN, *OWNERS), "another person must approve it")
    stale = changed(given, digest="sha256:" + "0" * 64, approvedAt=stamp())
    denied(cluster, stale, as_user(JANE, *OWNERS), f"now has {digest_of(asked)}")
    unknown = changed(given, riskAcceptance="none", approvedAt=stamp())
    done = write(cluster.plane, named(unknown, "unknown"), *as_user(JANE, *OWNERS))
    assert done.returncode == 0, done.stderr
    assert "there is no RiskAcceptance none yet" in done.stderr
    assert space


def test_an_acceptance_and_its_approval_may_come_right_after_each_other(cluster: Cluster) -> None:
    """The second waits for the snapshot that has the first."""
    space = cluster.namespace()
    rule = policy(space, NO_SECRETS)
    cluster.enforce(rule)
    asked, given = acceptance(rule, space, CONFIGMAP, ["one"])
    assert not cluster.apply(asked, given, check=True).stderr
    asked["spec"]["title"] = "Changed"
    again = named(
        changed(given, digest=digest_of(asked), approvedAt=stamp()), f"{given['metadata']['name']}-2"
    )
    cluster.apply(asked, check=True)
    assert not cluster.apply(again, check=True).stderr
    eventually(lambda: cluster.apply(configmap(space, password="x")).returncode == 0, "the acceptance")


def test_a_change_says_which_approvals_it_voids(cluster: Cluster) -> None:
    space, asked, given = enforced(cluster)
    cluster.apply(given, check=True)
    bad = configmap(space, password="x")
    dry = ["--dry-run=server"]
    eventually(lambda: cluster.apply(bad, flags=dry).returncode == 0, "the acceptance")
    done = cluster.apply(changed(asked, title="Wider"), check=True)
    assert f"voids what was approved: {given['metadata']['name']}" in done.stderr
    eventually(lambda: "given for another version" in cluster.apply(bad, flags=dry).stderr, "the denial")


def test_who_asks_in_vain_is_told_so(cluster: Cluster) -> None:
    space = cluster.namespace()
    rule = policy(space, NO_SECRETS, riskAcceptance={"allowed": False})
    cluster.enforce(rule)
    asked, _ = acceptance(rule, space, CONFIGMAP, ["one"])
    assert "the policy allows no risk acceptance" in cluster.apply(asked, check=True).stderr


def test_the_appetite_is_its_administrators(cluster: Cluster) -> None:
    other = named(APPETITE, "other")
    rights = cluster.kubectl(
        "create", "clusterrolebinding", "guard-eve", "--clusterrole=cluster-admin", f"--user={EVE}"
    )
    assert rights.returncode == 0, rights.stderr
    try:
        denied(cluster, other, ("--as", EVE), "none of the groups that may change it")
        assert "only the RiskAppetite named default holds" in cluster.apply(other, check=True).stderr
        gone = cluster.kubectl("delete", "riskappetite", "other", "--as", EVE)
        assert "none of the groups" in gone.stderr
        cluster.kubectl("delete", "riskappetite", "other", check=True)
    finally:
        cluster.kubectl("delete", "clusterrolebinding", "guard-eve", check=True)


def test_a_listed_applier_brings_what_no_user_can_approve_and_vouches_for_it_once(cluster: Cluster) -> None:
    space = cluster.namespace()
    rule = policy(space, NO_SECRETS)
    cluster.enforce(rule)
    asked, given = acceptance(rule, space, CONFIGMAP, ["one"])
    vouched = {**APPETITE["spec"]["rules"][0], "severities": ["medium"]}
    vouched["routes"] = ["ClusterUser", "TrustedApplier"]
    listing = changed(
        APPETITE, rules=[vouched], trustedAppliers=[{"user": applier(space), "namespaces": [space]}]
    )
    cluster.apply(listing, check=True)
    try:
        asked = changed(asked, appliedBy=applier(space))
        flags = as_user(applier(space))
        eventually(lambda: write(cluster.plane, asked, *flags).returncode == 0, "the listed applier")
        given = changed(given, digest=digest_of(asked), approvedAt=stamp())
        done = write(cluster.plane, given, *as_user(JANE, *OWNERS))
        assert done.returncode == 0
        assert "it needs a signature" in done.stderr
        bad = configmap(space, password="x")
        cluster.denied(bad)
        brought = named(changed(given, appliedBy=applier(space)), "brought")
        assert not write(cluster.plane, brought, *flags).stderr
        eventually(
            lambda: write(cluster.plane, bad, "--dry-run=server").returncode == 0, "what is vouched for"
        )
        other = named(changed(brought, approver=EVE), "other")
        denied(cluster, other, flags, "appliers vouch for one approval of an acceptance, here brought")
    finally:
        cluster.apply(APPETITE, check=True)


def test_who_deletes_is_recorded(cluster: Cluster) -> None:
    space, asked, given = enforced(cluster)
    cluster.apply(given, check=True)
    for obj, who in ((given, JANE), (asked, EVE)):
        kind, name = obj["kind"].lower(), obj["metadata"]["name"]
        cluster.kubectl("delete", kind, name, "-n", space, "--dry-run=server", *as_user(who), check=True)
        cluster.kubectl("delete", kind, name, "-n", space, *as_user(who), check=True)

    def lines() -> list[str]:
        return [
            line for line in cluster.log.read_text().splitlines() if "risk_deleted" in line and space in line
        ]

    found = eventually(lambda: len(lines()) >= 2 and lines(), "the records")
    assert len(found) == 2, "a dry run deletes nothing"
    assert f"user={json.dumps(JANE)}" in found[0] or f"user={JANE}" in found[0]
    assert f"kind=RiskAcceptance namespace={space} name={asked['metadata']['name']}" in found[1]
    assert digest_of(asked) in found[1]

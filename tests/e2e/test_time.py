"""Time on a real cluster: notices as Events, a revocation that is kept, and renewals that are counted."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest

from tests.e2e.cluster import Cluster, acceptance, configmap, eventually, policy, stamp
from webhook.core.acceptance import digest_of

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("e2e")]

NO_SECRETS = "!has(object.data) || !('password' in object.data)"
CONFIGMAP = ("", "ConfigMap")


def events(cluster: Cluster, name: str, space: str) -> list[tuple[str, str]]:
    """Return reason and message of each Event on an acceptance."""
    about = f"involvedObject.kind=RiskAcceptance,involvedObject.name={name}"
    found = cluster.kubectl("get", "events", "-n", space, "--field-selector", about, "-o", "json", check=True)
    return [(each["reason"], each["message"]) for each in json.loads(found.stdout)["items"]]


def accepted(cluster: Cluster, *objects: dict[str, Any]) -> str:
    def passes() -> Any:
        done = cluster.apply(*objects)
        return None if done.returncode else done

    return str(eventually(passes, "the acceptance").stderr)


def renewal(of: dict[str, Any], name: str, number: int) -> list[dict[str, Any]]:
    """Return a renewal of an acceptance, and its approval."""
    spec = {**of["spec"], "renews": of["metadata"]["name"], "renewal": number}
    asked = {**of, "metadata": {**of["metadata"], "name": name}, "spec": spec}
    given = {
        "apiVersion": of["apiVersion"],
        "kind": "RiskApproval",
        "metadata": {**of["metadata"], "name": f"{name}-jane"},
        "spec": {
            "riskAcceptance": name,
            "digest": digest_of(asked),
            "approver": "jane.doe@example.com",
            "groups": ["risk-owners"],
            "approvedAt": stamp(),
        },
    }
    return [asked, given]


def test_the_end_is_announced_on_the_acceptance_and_a_revocation_told_once(cluster: Cluster) -> None:
    space = cluster.namespace()
    rule = policy(space, NO_SECRETS)
    cluster.enforce(rule)
    asked, given = acceptance(rule, space, CONFIGMAP, ["one"], end=timedelta(days=5))
    cluster.apply(asked, given, check=True)
    name = asked["metadata"]["name"]
    assert "ends within 7 days: risk accepted" in accepted(cluster, configmap(space, password="x"))
    (event,) = eventually(lambda: events(cluster, name, space), "an Event")
    assert event[0] == "Expiring"
    assert event[1].startswith(f"ends within 7 days, at {asked['spec']['validUntil']}")

    asked["spec"]["revoked"] = {"at": stamp(), "reason": "misused"}
    cluster.apply(asked, check=True)
    # Dry run: a change that went through before the revocation took effect would not be sent again.
    changed = configmap(space, "one", {"a": "b"}, password="x")
    assert "it was revoked" in cluster.denied(changed, flags=("--dry-run=server",))
    told = eventually(
        lambda: len(found := events(cluster, name, space)) > 1 and found, "the Event of the revocation"
    )
    assert sorted(reason for reason, _ in told) == ["Expiring", "Revoked"]
    assert cluster.status_of("riskacceptance", name, space)["phase"] == "Revoked"


def test_renewals_are_counted_and_the_policys_limit_holds(cluster: Cluster) -> None:
    space = cluster.namespace()
    rule = policy(space, NO_SECRETS, riskAcceptance={"maxRenewals": 1})
    cluster.enforce(rule)
    asked, given = acceptance(rule, space, CONFIGMAP, ["one"])
    cluster.apply(asked, given, check=True)
    accepted(cluster, configmap(space, password="x"))

    wrong = cluster.denied(*renewal(asked, "again", 2))
    assert "must be 1" in wrong
    first, approved = renewal(asked, "again", 1)
    cluster.apply(first, approved, check=True)
    eventually(
        lambda: cluster.status_of("riskacceptance", "again", space).get("phase") == "Active", "the renewal"
    )
    changed = {**first, "spec": {**first["spec"], "renewal": 2}}
    done = cluster.apply(changed)
    assert "what it renews never changes" in done.stderr

    cluster.apply(*renewal(first, "third", 2), check=True)
    found = eventually(
        lambda: (status := cluster.status_of("riskacceptance", "third", space)).get("phase") and status,
        "the status of the second renewal",
    )
    assert found["phase"] == "Refused"
    messages = [each["message"] for each in found["conditions"] if each["type"] == "Active"]
    assert "it is renewal 2, and the policy allows 1" in messages[0]

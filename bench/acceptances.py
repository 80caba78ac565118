"""What 2,000 accepted risks cost a request: python -m bench.acceptances."""

from __future__ import annotations

import copy
import sys
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from bench.evaluate import cost_of_round, policy, review
from bench.fixtures import POLICIES, namespace
from bench.report import Figure, show
from webhook.adapters.signatures import public_key, sign, statement
from webhook.adapters.snapshots import build
from webhook.core.acceptance import digest_of
from webhook.core.snapshot import Snapshot
from webhook.core.times import format_time

COUNT = 2_000
ROUNDS = 300
REPEATS = 25
NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
KEY = Ed25519PrivateKey.from_private_bytes(bytes(32))
JANE, JOHN = "jane.doe@example.com", "john.roe@example.com"
VIOLATED = "violated"

APPETITE = {
    "apiVersion": "tidewaiter.dev/v1alpha1",
    "kind": "RiskAppetite",
    "metadata": {"name": "default"},
    "spec": {
        "rules": [
            {"severities": ["high"], "maxDuration": "90d", "approvers": {"groups": ["risk-owners"]}},
        ],
        "signers": [{"approver": JANE, "groups": ["risk-owners"], "publicKey": public_key(KEY)}],
    },
}


def accepted(number: int, space: str, policies: Sequence[str], name: str) -> list[dict[str, Any]]:
    """Return an acceptance of Deployments in a namespace, and its signed approval."""
    named = f"accepted-{number:04}"
    asked = {
        "apiVersion": "tidewaiter.dev/v1alpha1",
        "kind": "RiskAcceptance",
        "metadata": {"name": named, "namespace": space},
        "spec": {
            "policies": [{"kind": "ClusterPolicy", "name": each} for each in policies],
            "scope": {"kinds": [{"group": "apps", "kind": "Deployment"}], "names": [name]},
            "justification": "until the rewrite",
            "riskOwner": JANE,
            "requester": JOHN,
            "validFrom": format_time(NOW - timedelta(days=10)),
            "validUntil": format_time(NOW + timedelta(days=10)),
        },
    }
    given = {
        "riskAcceptance": named,
        "digest": digest_of(asked),
        "approver": JANE,
        "approvedAt": format_time(NOW - timedelta(days=9)),
    }
    return [
        asked,
        {
            "apiVersion": "tidewaiter.dev/v1alpha1",
            "kind": "RiskApproval",
            "metadata": {"name": named, "namespace": space},
            "spec": {**given, "signature": sign(KEY, statement(given))},
        },
    ]


def cost(snapshot: Snapshot, data: bytes, allowed: bool) -> float:
    """Return the CPU seconds of one evaluation."""
    return cost_of_round(snapshot, data, NOW, ROUNDS, allowed=allowed)


def ratio(one: Snapshot, other: Snapshot, asked: dict[str, Any], *allowed: bool) -> float:
    """Return how many times as much CPU the other snapshot takes: both in turn, each least of all rounds."""
    data = orjson.dumps(asked)
    pairs = [(cost(one, data, allowed[0]), cost(other, data, allowed[-1])) for _ in range(REPEATS)]
    return min(pair[1] for pair in pairs) / min(pair[0] for pair in pairs)


def run() -> list[Figure]:
    """Measure ten policies with and without acceptances: over 100 namespaces, and all in the object's own."""
    named = [f"match-{number}" for number in range(len(POLICIES))]
    rules = [policy(name, expression) for name, expression in zip(named, POLICIES, strict=True)]
    shop = namespace()
    met = review()
    own, target = met["request"]["namespace"], met["request"]["name"]
    refused = [*rules, policy(VIOLATED, "object.spec.replicas > 100")]
    violating = copy.deepcopy(met) | {"request": {**met["request"], "operation": "CREATE", "oldObject": None}}
    every = [*named, VIOLATED]
    risks: dict[str, list[dict[str, Any]]] = {"spread": [], "own": [], "covered": []}
    for number in range(COUNT):
        space = own if number % 100 == 0 else f"space-{number % 100}"
        risks["spread"] += accepted(number, space, every, f"workload-{number}")
        star = "-*" if number % 2 else ""
        risks["own"] += accepted(number, own, every, f"workload-{number}{star}")
    risks["covered"] = [*risks["spread"][2:], *accepted(0, own, every, target)]

    none, bare = build([*rules, shop, APPETITE]), build([*refused, shop, APPETITE])
    one = build([*refused, shop, APPETITE, *accepted(0, own, every, target)])
    spread, crowded, covered = (build([*refused, shop, APPETITE, *each]) for each in risks.values())
    with_none = build([*rules, shop, APPETITE, *risks["own"]])
    assert not spread.problems
    return [
        Figure(
            "violates nothing, 2,000 acceptances in its namespace",
            ratio(none, with_none, met, True),
            "x",
            bar=1.05,
        ),
        Figure(
            "denied, 2,000 acceptances over 100 namespaces",
            ratio(bare, spread, violating, False),
            "x",
            bar=2.0,
        ),
        Figure(
            "denied, 2,000 acceptances in its namespace", ratio(bare, crowded, violating, False), "x", bar=2.0
        ),
        Figure(
            "accepted by one of 2,000, beside one alone", ratio(one, covered, violating, True), "x", bar=2.0
        ),
        Figure(
            "accepted by one of 2,000, beside none",
            ratio(bare, covered, violating, False, True),
            "x",
            bar=2.0,
        ),
        Figure("what is denied, no acceptances", cost(bare, orjson.dumps(violating), False) * 1e6, "us"),
    ]


if __name__ == "__main__":
    sys.exit(not show(run()))

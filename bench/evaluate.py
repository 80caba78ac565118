"""What `evaluate` costs, and that it grows only with the policies that match: python -m bench.evaluate."""

from __future__ import annotations

import copy
import gc
import sys
import time
from datetime import UTC, datetime
from typing import Any

import orjson

from bench.fixtures import POLICIES, deployment, namespace
from bench.report import Figure, show
from webhook.adapters.snapshots import build
from webhook.core.evaluate import evaluate
from webhook.core.review import AdmissionRequest
from webhook.core.snapshot import Snapshot

ROUNDS = 400
REPEATS = 7


def policy(name: str, expression: str, **match: Any) -> dict[str, Any]:
    """Return a ClusterPolicy on Deployments with one validation."""
    rule = {"apiGroups": ["apps"], "apiVersions": ["v1"], "resources": ["deployments"], "operations": ["*"]}
    return {
        "apiVersion": "tidewaiter.dev/v1alpha1",
        "kind": "ClusterPolicy",
        "metadata": {"name": name},
        "spec": {
            "matchConstraints": {"resourceRules": [{**rule, **match.pop("rule", {})}], **match},
            "validations": [{"name": "rule", "expression": expression, "message": "no"}],
        },
    }


def bystander(number: int) -> dict[str, Any]:
    """Return a policy that doesn't match the Deployment, by one of the ways in which policies don't."""
    expression = POLICIES[number % len(POLICIES)]
    name = f"other-{number:04}"
    match number % 4:
        case 0:
            return policy(name, expression, rule={"resources": ["statefulsets"]})
        case 1:
            return policy(name, expression, namespaceSelector={"matchLabels": {"team": f"team-{number}"}})
        case 2:
            return policy(name, expression, objectSelector={"matchLabels": {"app": f"app-{number}"}})
        case _:
            return policy(name, expression, rule={"operations": ["DELETE"]})


def review() -> dict[str, Any]:
    """Return an AdmissionReview that updates the Deployment."""
    kind = {"group": "apps", "version": "v1", "kind": "Deployment"}
    resource = {"group": "apps", "version": "v1", "resource": "deployments"}
    new = deployment()
    old = copy.deepcopy(new)
    old["spec"]["replicas"] = 2
    return {
        "apiVersion": "admission.k8s.io/v1",
        "kind": "AdmissionReview",
        "request": {
            "uid": "705ab4f5-6393-11e8-b7cc-42010a800002",
            "kind": kind,
            "resource": resource,
            "requestKind": kind,
            "requestResource": resource,
            "name": new["metadata"]["name"],
            "namespace": new["metadata"]["namespace"],
            "operation": "UPDATE",
            "userInfo": {"username": "alice", "groups": ["dev", "system:authenticated"]},
            "object": new,
            "oldObject": old,
            "dryRun": False,
            "options": {},
        },
    }


def cost_of_round(snapshot: Snapshot, data: bytes, now: datetime, rounds: int, *, allowed: bool) -> float:
    """Return the CPU seconds of one evaluation of a freshly decoded request, of so many."""
    requests = [AdmissionRequest.parse(orjson.loads(data)) for _ in range(rounds)]
    gc.disable()
    start = time.process_time_ns()
    verdicts = [evaluate(request, snapshot, now) for request in requests]
    spent = time.process_time_ns() - start
    gc.enable()
    assert all(verdict.allowed is allowed and not verdict.errors for verdict in verdicts)
    return spent / rounds / 1e9


def cost(snapshot: Snapshot) -> float:
    """Return the CPU seconds of one evaluation: the least of several rounds."""
    data, now = orjson.dumps(review()), datetime.now(UTC)
    return min(cost_of_round(snapshot, data, now, ROUNDS, allowed=True) for _ in range(REPEATS))


def run() -> list[Figure]:
    """Measure ten policies alone and among 990 that don't match."""
    matching = [policy(f"match-{number}", expression) for number, expression in enumerate(POLICIES)]
    shop = namespace()
    few = build([*matching, shop])
    many = build([*matching, *map(bystander, range(990)), shop])
    assert not few.failures
    assert not many.failures
    pairs = [(cost(few), cost(many)) for _ in range(3)]
    ten, thousand = (min(pair[position] for pair in pairs) for position in (0, 1))
    return [
        Figure("evaluate, ten policies that match", ten * 1e6, "us"),
        Figure("evaluate, the same ten among 1,000", thousand * 1e6, "us"),
        Figure("growth", thousand / ten, "x", bar=1.2),
    ]


if __name__ == "__main__":
    sys.exit(not show(run()))

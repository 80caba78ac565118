"""What the decision log costs a request that it tells of: python -m bench.evidence.

A request that it doesn't tell of never gets here. What is measured is on the request's way (the note) and
beside it (the line: canonical JSON, a hash, for a checkpoint a signature), in CPU time of one thread.
"""

from __future__ import annotations

import copy
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime

from bench.evaluate import policy, review
from bench.report import Figure, median_of, show
from webhook.adapters import evidence_facts
from webhook.adapters.evidence import Author, Chain, Type
from webhook.adapters.evidence_keys import new_key
from webhook.adapters.snapshots import build
from webhook.core.evaluate import evaluate
from webhook.core.review import AdmissionRequest

ROUNDS = 500


def run() -> list[Figure]:
    """Measure a denial by one policy of 200, of a user with ten groups."""
    now = datetime.now(UTC)
    policies = [policy(f"policy-{number:03}", "false" if number == 199 else "true") for number in range(200)]
    snapshot = build(policies, revision="one")
    body = copy.deepcopy(review())
    body["request"]["userInfo"] = {"username": "jane", "groups": [f"group-{number}" for number in range(10)]}
    request = AdmissionRequest.parse(body)
    verdict = evaluate(request, snapshot, now)
    if verdict.allowed:
        raise RuntimeError("nothing was denied, so that nothing is measured")
    told = evidence_facts.decision(request, verdict, snapshot).content
    chain = Chain(Author("replica", "run", 1, 0, now), new_key())
    chain.add(Type.START, {}, now)
    return [
        _figure("the note of a denial", lambda: evidence_facts.decision(request, verdict, snapshot)),
        _figure("its line, beside the request", lambda: chain.add(Type.DECISION, told, now)),
        _figure("a checkpoint, each minute", lambda: chain.add(Type.CHECKPOINT, {}, now)),
    ]


def _figure(name: str, job: Callable[[], object]) -> Figure:
    def measure() -> float:
        began = time.thread_time()
        for _ in range(ROUNDS):
            job()
        return (time.thread_time() - began) / ROUNDS * 1e6

    return Figure(f"{name}, CPU", median_of(measure), " µs")


if __name__ == "__main__":
    sys.exit(not show(run()))

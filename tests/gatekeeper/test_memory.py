"""Constraints of one template share its program, so that memory does not grow as it does in Gatekeeper."""

from __future__ import annotations

import gc
import tracemalloc

from tests.core.builders import namespace, pod, request
from tests.gatekeeper.gk import NOW, constraint, rego_template, snapshot
from webhook.core.evaluate import evaluate

REGO = """package refused
violation[{"msg": msg}] {
  input.review.object.spec[input.parameters.key]
  msg := sprintf("%v is set", [input.parameters.key])
}
"""
KILOBYTES_EACH = 8  # of a constraint of a few lines; a program of its own takes several times as much


def held(constraints: int) -> int:
    """Return the bytes that a snapshot with so many constraints holds after it has judged."""
    objects = [
        constraint(name=f"no-{n}", parameters={"key": "containers" if n == 1 else f"key-{n}"})
        for n in range(constraints)
    ]
    gc.collect()
    tracemalloc.start()
    try:
        found = snapshot(namespace(), rego_template(REGO), *objects)
        assert not found.failures
        verdict = evaluate(request(pod()), found, NOW)
        assert [each.policy.name for each in verdict.violations] == ["no-1"]
        del verdict
        gc.collect()
        return tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()


def test_a_further_constraint_costs_little() -> None:
    held(2)  # what is kept for all
    few, many = held(10), held(210)
    assert (many - few) / 200 < KILOBYTES_EACH * 1024

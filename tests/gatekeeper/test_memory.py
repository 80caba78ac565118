"""Constraints of one template share its program, so that memory does not grow as it does in Gatekeeper."""

from __future__ import annotations

import gc
import traceback
import tracemalloc
from typing import Any

import pytest

from tests.core.builders import namespace, pod, request
from tests.gatekeeper.gk import NOW, constraint, rego_template, snapshot
from webhook.adapters.gatekeeper import GatekeeperCache, template
from webhook.adapters.reading import Cache
from webhook.adapters.snapshots import build
from webhook.core.errors import CompileError
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


def test_earlier_versions_of_a_template_are_forgotten() -> None:
    def version(number: int) -> dict[str, Any]:
        return rego_template(REGO.replace("is set", f"is set, says version {number}"))

    cache = Cache()
    for number in range(5):
        judged = constraint(parameters={"key": "containers"})
        found = build([namespace(), version(number), judged], cache=cache)
        assert not found.failures
        (violation,) = evaluate(request(pod()), found, NOW).violations
        assert violation.message.endswith(f"says version {number}")
    assert len(cache.gatekeeper.templates) == 1


def test_what_was_wrong_with_a_template_holds_little_of_it() -> None:
    cache, broken = GatekeeperCache(), rego_template('package refused\nviolation[{"msg": x}] { true }')
    for _ in range(3):
        with pytest.raises(CompileError) as refused:
            template(broken, cache)
    assert refused.value.__context__ is None
    names = [frame.name for frame in traceback.extract_tb(refused.value.__traceback__)]
    assert names == ["test_what_was_wrong_with_a_template_holds_little_of_it", "template"], "of the last time"

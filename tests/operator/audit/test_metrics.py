"""The audit's metrics: what is counted under which labels, and that there is an end of series."""

from __future__ import annotations

import time
from typing import Any

from prometheus_client.core import Metric

from webhook.adapters.findings import Result
from webhook.core.model import Action, PolicyRef, Severity
from webhook.operator.audit import accounts
from webhook.operator.audit.facts import MOST_SERIES, OTHERS, AuditFacts
from webhook.operator.audit.ledger import Kind, Ledger
from webhook.operator.audit.metrics import collect

ONE = PolicyRef("ClusterPolicy", "", "one")


def facts(**given: Any) -> AuditFacts:
    return AuditFacts.decode(AuditFacts(**given).encode())


def samples(metric: str, *metrics: Metric) -> dict[tuple[str, ...], float]:
    return {
        tuple(sample.labels.values()): sample.value
        for each in metrics
        for sample in each.samples
        if sample.name == f"tidewaiter_audit_{metric}"
    }


def test_violations_accepted_and_errors_are_told_apart_by_policy_namespace_severity_and_action() -> None:
    labels = ("ClusterPolicy", "one", "shop", "high", "deny")
    series = [
        (*labels, "fail", 3),
        (*labels[:4], "warn", "warn", 2),
        (*labels, "skip", 5),
        ("ClusterPolicy", "one", "shop", "", "", "error", 7),
    ]
    found = list(collect(facts(series=series, at=time.time() - 30, seconds=4.0, complete=True), 2))
    assert samples("violations", *found) == {labels: 3, (*labels[:4], "warn"): 2}
    assert samples("accepted_violations", *found) == {labels: 5}
    assert samples("errors", *found) == {labels[:3]: 7}
    assert samples("starts_total", *found) == {(): 2}
    assert samples("duration_seconds", *found) == {(): 4}
    assert 25 < samples("age_seconds", *found)[()] < 300


def test_before_the_audit_has_told_anything_there_is_no_count_that_looks_clean() -> None:
    assert [metric.name for metric in collect(None, 1)] == ["tidewaiter_audit_starts"]
    assert not samples("age_seconds", *collect(facts(), 1))


def test_beyond_the_bound_the_largest_stay_and_the_others_count_together() -> None:
    ledger = Ledger()
    kind = Kind(ONE, Severity.HIGH, Action.DENY, Result.FAIL)
    for number in range(MOST_SERIES + 500):
        ledger.counts[kind, f"space-{number}"] = 2 if number < 100 else 1
    made = accounts.series(ledger)
    assert len(made) == MOST_SERIES + 1
    assert sum(number for *_, number in made) == MOST_SERIES + 600
    by_space = {space: number for _, _, space, *_, number in made}
    assert by_space[OTHERS] == 500
    assert all(by_space[f"space-{number}"] == 2 for number in range(100))

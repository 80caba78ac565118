"""What the audit found and how far it is, for Prometheus: with labels that are bounded."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from webhook.operator.audit.facts import AuditFacts

_PREFIX = "tidewaiter_audit_"
_LABELS = ("kind", "policy", "namespace", "severity", "action")
_COUNTED = (
    ("violations", ("fail", "warn"), "Violations of what is there that no acceptance covers; on the leader."),
    ("accepted_violations", ("skip",), "Violations of what is there that are accepted; on the leader."),
    ("errors", ("error",), "Objects for which a policy could not be evaluated; on the leader."),
)


def collect(facts: AuditFacts | None, starts: int) -> Iterator[Metric]:
    """Give the metrics.

    Args:
        facts: what the audit told last; None where it has told nothing yet.
        starts: how often it was started.
    """
    yield _counter("starts", "How often this replica has started the audit since it leads.", starts)
    if facts is None:
        return
    for name, results, text in _COUNTED:
        counts: Counter[tuple[str, ...]] = Counter()
        labels = _LABELS if name != "errors" else _LABELS[:3]
        for *values, result, number in facts.series:
            if result in results:
                counts[tuple(map(str, values[: len(labels)]))] += number
        family = GaugeMetricFamily(_PREFIX + name, text, labels=labels)
        for key, number in counts.items():
            family.add_metric(list(key), number)
        yield family
    yield _gauge("complete", "1 once all that policies match has been judged; on the leader.", facts.complete)
    if facts.at:
        age = max(0.0, time.time() - facts.at)
        yield _gauge("age_seconds", "How long ago the API server was heard of all of it.", age)
    yield _gauge("duration_seconds", "How long judging everything took, at the start.", facts.seconds)
    yield _gauge("objects", "Objects that are audited.", facts.objects)
    yield _gauge("resources", "Resources that are followed.", facts.following)
    unreadable = len(facts.unreadable)
    yield _gauge("unreadable_resources", "Resources that policies match and can't be read.", unreadable)
    yield _gauge("reports_ok", "1 while reports can be written, or none are to be.", not facts.problem)
    yield _gauge("reports_waiting", "Reports that are still to be written or removed.", facts.waiting)
    for name, counted, text in (
        ("reports", facts.written, "Reports by what became of them."),
        ("events", facts.events, "Objects that came to violate something, by what became of the Event."),
    ):
        results_of = CounterMetricFamily(_PREFIX + name, text, labels=["result"])
        for result, number in sorted(counted.items()):
            results_of.add_metric([result], number)
        yield results_of
    yield _gauge("memory_bytes", "Resident memory of the audit's process.", facts.memory)
    yield _counter("cpu_seconds", "CPU time that the audit's process has used.", facts.cpu)


def _gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(_PREFIX + name, text, value=value)


def _counter(name: str, text: str, value: float) -> Metric:
    return CounterMetricFamily(_PREFIX + name, text, value=value)

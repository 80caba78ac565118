"""Prometheus metrics of one replica of the control plane: what is true when somebody asks."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.registry import Collector

from webhook.operator.audit import metrics as audit_metrics
from webhook.operator.audit.facts import AuditFacts

CONTENT_TYPE = CONTENT_TYPE_LATEST
_PREFIX = "tidewaiter_operator_"
_WITHIN = {"30d": timedelta(days=30), "7d": timedelta(days=7), "1d": timedelta(days=1)}
_MOST_RESOURCES = 100
_MOST_ENDS = 100
_DAY = 86400.0


@dataclass(frozen=True, slots=True)
class Facts:
    """What one replica knows.

    Attributes:
        leader: it does the leader's work.
        revision: of the snapshot that it has published last; empty before the first.
        published_at: when, in seconds since the epoch; 0.0 for never.
        publish_failing: the last attempt to publish failed.
        contacts: for each watched resource, when the API server was last heard of, and why it isn't now.
        clock_skew: the API server's clock minus ours, in seconds.
        certificates: when which certificate ends, in seconds since the epoch.
        webhook_in_place: the webhook configuration is what it should be; None where another replica knows.
        webhook_writes: how often this replica has written it.
        workers: the revisions that the workers beside it judge by.
        kopf_starts: how often Kopf was started.
        denials: how many denials of controllers came to which end.
        policies: how many of which kind are in which state; only on the leader.
        acceptances: how many of which kind are in which phase; only on the leader.
        ends: when each acceptance in force ends, by kind, namespace and name, in seconds since the epoch;
            only on the leader.
        audit: what the audit told last; None for nothing.
        audit_starts: how often it was started; None where there is none.
    """

    leader: bool = False
    revision: str = ""
    published_at: float = 0.0
    publish_failing: bool = False
    contacts: Mapping[str, tuple[float, str]] = field(default_factory=dict)
    clock_skew: float = 0.0
    certificates: Mapping[str, float] = field(default_factory=dict)
    webhook_in_place: bool | None = None
    webhook_writes: int = 0
    workers: Sequence[str] = ()
    kopf_starts: int = 0
    denials: Mapping[str, int] = field(default_factory=dict)
    policies: Mapping[tuple[str, ...], int] = field(default_factory=dict)
    acceptances: Mapping[tuple[str, ...], int] = field(default_factory=dict)
    ends: Mapping[tuple[str, str, str], float] = field(default_factory=dict)
    audit: AuditFacts | None = None
    audit_starts: int | None = None


def render(facts: Facts) -> bytes:
    """Return the facts in Prometheus' text format."""
    registry = CollectorRegistry()
    registry.register(_Collector(facts))
    return generate_latest(registry)


class _Collector(Collector):
    """The metrics of some facts."""

    def __init__(self, facts: Facts) -> None:
        self._facts = facts

    def collect(self) -> Iterator[Metric]:
        """Yield one metric after the other."""
        facts = self._facts
        yield _gauge("leader", "1 on the replica that does the leader's work.", facts.leader)
        yield from self._snapshot()
        yield from self._watches()
        yield _gauge("clock_skew_seconds", "The API server's clock minus this machine's.", facts.clock_skew)
        yield _labelled(
            "certificate_expiry_timestamp_seconds",
            "When a certificate ends: the authority's, and the one that is served.",
            ("certificate",),
            {(name,): moment for name, moment in facts.certificates.items()},
        )
        if facts.webhook_in_place is not None:
            yield _gauge(
                "webhook_configuration_in_place",
                "1 when the webhook configuration is what it should be; on the leader.",
                facts.webhook_in_place,
            )
        yield _counter(
            "webhook_configuration_writes",
            "How often this replica has written the webhook configuration.",
            facts.webhook_writes,
        )
        yield _counter(
            "kopf_starts", "How often this replica has started Kopf, as the leader.", facts.kopf_starts
        )
        denials = CounterMetricFamily(
            f"{_PREFIX}denial_events",
            "Denials of controllers by what became of them; sent is an Event.",
            labels=["result"],
        )
        for result, count in facts.denials.items():
            denials.add_metric([result], count)
        yield denials
        if facts.leader:
            yield from self._objects()
        if facts.audit_starts is not None:
            yield from audit_metrics.collect(facts.audit, facts.audit_starts)

    def _snapshot(self) -> Iterator[Metric]:
        facts = self._facts
        if facts.revision:
            info = GaugeMetricFamily(
                f"{_PREFIX}snapshot_info", "The snapshot that was published last.", labels=["revision"]
            )
            info.add_metric([facts.revision], 1)
            yield info
            yield _gauge("snapshot_published_timestamp_seconds", "When it was published.", facts.published_at)
        yield _gauge(
            "publish_failing", "1 while the newest snapshot can't be published.", facts.publish_failing
        )
        behind = sum(revision != facts.revision for revision in facts.workers)
        yield _labelled(
            "workers",
            "Workers beside this replica that judge by the snapshot published last, or by another.",
            ("snapshot",),
            {("current",): len(facts.workers) - behind, ("other",): behind},
        )

    def _watches(self) -> Iterator[Metric]:
        contacts = dict(sorted(self._facts.contacts.items())[:_MOST_RESOURCES])
        yield _labelled(
            "last_contact_timestamp_seconds",
            "When the API server was last heard of a resource; 0 for never.",
            ("resource",),
            {(name,): moment for name, (moment, _) in contacts.items()},
        )
        yield _labelled(
            "watch_ok",
            "1 while the API server is heard of a resource.",
            ("resource",),
            {(name,): bool(moment) and not error for name, (moment, error) in contacts.items()},
        )

    def _objects(self) -> Iterator[Metric]:
        facts, now = self._facts, time.time()
        yield _labelled(
            "policies",
            "Policies by kind and state, Enforced or why not; on the leader.",
            ("kind", "state"),
            facts.policies,
        )
        yield _labelled(
            "acceptances",
            "Risk acceptances by kind and phase; on the leader.",
            ("kind", "phase"),
            facts.acceptances,
        )
        yield _labelled(
            "acceptances_expiring",
            "Risk acceptances in force that end within a time; on the leader.",
            ("within",),
            {
                (label,): sum(end - now <= span.total_seconds() for end in facts.ends.values())
                for label, span in _WITHIN.items()
            },
        )
        if facts.ends:
            yield _gauge(
                "acceptance_next_expiry_timestamp_seconds",
                "When the next risk acceptance ends; on the leader.",
                min(facts.ends.values()),
            )
        first = sorted(facts.ends.items(), key=lambda each: (each[1], each[0]))[:_MOST_ENDS]
        days = GaugeMetricFamily(
            "tidewaiter_acceptance_days_to_expiry",
            f"Days until a risk acceptance ends, of the {_MOST_ENDS} that end first; on the leader.",
            labels=["kind", "namespace", "name"],
        )
        for name, end in first:
            days.add_metric(list(name), (end - now) / _DAY)
        yield days


def _gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(_PREFIX + name, text, value=value)


def _counter(name: str, text: str, value: float) -> Metric:
    return CounterMetricFamily(_PREFIX + name, text, value=value)


def _labelled(
    name: str, text: str, labels: tuple[str, ...], values: Mapping[tuple[str, ...], float]
) -> Metric:
    family = GaugeMetricFamily(_PREFIX + name, text, labels=labels)
    for each, value in values.items():
        family.add_metric(list(each), value)
    return family

"""Prometheus metrics, summed over the workers; cheap where a request passes.

Counters lie in files that every worker maps into its memory (prometheus_client's multiprocess mode), so that
whichever worker is asked answers for all. Each request only adds to plain numbers, which are written there
twice a second: a worker that is killed loses no more than that. What is a state and not a count
comes from the worker that is asked: all hold the same snapshot and certificate within a second.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead
from prometheus_client.registry import Collector

from webhook.core.verdict import Verdict
from webhook.server.current import Current

if TYPE_CHECKING:
    from webhook.server.tls import LiveContext

CONTENT_TYPE = CONTENT_TYPE_LATEST
_BUCKETS = (0.0002, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
_MOST_SERIES = 5000
_OTHER = ("other", "other", "other")

_Labels = tuple[str, ...]


class _Family:
    """The children of one counter by their labels; bounded, since policies come and go for months."""

    def __init__(self, counter: Counter, names: int) -> None:
        self._counter = counter
        self._rest = _OTHER[:names]
        self._children: dict[_Labels, Counter] = {}
        self._pending: dict[_Labels, int] = {}

    def inc(self, labels: _Labels) -> None:
        pending = self._pending
        pending[labels] = pending.get(labels, 0) + 1

    def flush(self) -> None:
        pending, self._pending = self._pending, {}
        for labels, count in pending.items():
            child = self._children.get(labels)
            if child is None:
                named = labels if len(self._children) < _MOST_SERIES else self._rest
                child = self._children[named] = self._counter.labels(*named)
            child.inc(count)


class Metrics:
    """The metrics of one worker.

    Args:
        folder: where the workers' counters lie; None counts in this process alone.
    """

    def __init__(self, folder: str | None = None) -> None:
        self._folder = folder
        self._registry = registry = CollectorRegistry()
        self._requests = _Family(
            Counter(
                "tidewaiter_requests",
                "Admission requests by operation, outcome and HTTP status.",
                ("operation", "outcome", "code"),
                registry=registry,
            ),
            3,
        )
        self._violations = _Family(
            Counter(
                "tidewaiter_violations",
                "Violations that no acceptance covers and the old object didn't have.",
                ("policy", "validation", "action"),
                registry=registry,
            ),
            3,
        )
        self._accepted = _Family(
            Counter(
                "tidewaiter_accepted_violations",
                "Violations that a risk acceptance covers.",
                ("policy", "validation"),
                registry=registry,
            ),
            2,
        )
        self._errors = _Family(
            Counter(
                "tidewaiter_policy_errors",
                "Requests for which a policy could not be evaluated.",
                ("policy",),
                registry=registry,
            ),
            1,
        )
        self._seconds = Histogram(
            "tidewaiter_request_duration_seconds",
            "Time from a request's head to its answer.",
            buckets=_BUCKETS,
            registry=registry,
        )
        self._durations: list[float] = []
        self._in_flight = Gauge(
            "tidewaiter_requests_in_flight",
            "Requests that are being worked on.",
            registry=registry,
            multiprocess_mode="livesum",
        )
        self._loads = _Family(
            Counter(
                "tidewaiter_snapshot_loads",
                "Snapshots that were loaded, by result; each worker loads each.",
                ("result",),
                registry=registry,
            ),
            1,
        )

    def request(self, operation: str, outcome: str, code: str, seconds: float) -> None:
        """Count one answered request."""
        self._requests.inc((operation, outcome, code))
        self._durations.append(seconds)

    def verdict(self, verdict: Verdict) -> None:
        """Count what a verdict holds."""
        for violation in verdict.violations:
            self._violations.inc((str(violation.policy), violation.validation, str(violation.action)))
        for accepted in verdict.accepted:
            self._accepted.inc((str(accepted.violation.policy), accepted.violation.validation))
        for error in verdict.errors:
            self._errors.inc((str(error.policy),))

    def flush(self, in_flight: int = 0) -> None:
        """Write what was counted to where all workers' counters lie; called now and then.

        Args:
            in_flight: how many requests are being worked on.
        """
        for family in (self._requests, self._violations, self._accepted, self._errors, self._loads):
            family.flush()
        durations, self._durations = self._durations, []
        for seconds in durations:
            self._seconds.observe(seconds)
        self._in_flight.set(in_flight)

    def loaded(self, *, ok: bool) -> None:
        """Count a snapshot that was loaded, or could not be."""
        self._loads.inc(("ok" if ok else "failed",))

    def render(self, current: Current, certificate: LiveContext | None = None) -> bytes:
        """Return the metrics of all workers in Prometheus' text format."""
        registry = CollectorRegistry()
        if self._folder:
            MultiProcessCollector(registry, self._folder)  # type: ignore[no-untyped-call]
        else:
            registry.register(_Copy(self._registry))
        registry.register(_States(current, certificate))
        return generate_latest(registry)


class _Copy(Collector):
    """Another registry's metrics."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry

    def collect(self) -> Iterator[Metric]:
        """Return its metrics."""
        return iter(self._registry.collect())


class _States(Collector):
    """What is true now: the snapshot, what of it didn't compile, the certificate."""

    def __init__(self, current: Current, certificate: LiveContext | None) -> None:
        self._current = current
        self._certificate = certificate

    def collect(self) -> Iterator[Metric]:
        """Yield one metric after the other."""
        current, snapshot = self._current, self._current.snapshot
        yield GaugeMetricFamily(
            "tidewaiter_snapshot_load_ok",
            "1 when the latest snapshot could be loaded; 0 when an older one still serves.",
            value=0 if current.error or snapshot is None else 1,
        )
        if snapshot is not None:
            info = GaugeMetricFamily(
                "tidewaiter_snapshot_info", "The snapshot that judges.", labels=["revision"]
            )
            info.add_metric([snapshot.revision], 1)
            yield info
            yield GaugeMetricFamily(
                "tidewaiter_snapshot_loaded_timestamp_seconds", "When it was loaded.", value=current.loaded_at
            )
            yield GaugeMetricFamily(
                "tidewaiter_snapshot_age_seconds",
                "How long it has judged.",
                value=max(0.0, time.time() - current.loaded_at),
            )
            yield GaugeMetricFamily(
                "tidewaiter_policies", "Policies that are enforced.", value=len(snapshot.policies)
            )
            failing = GaugeMetricFamily(
                "tidewaiter_policy_compile_error",
                "1 for each policy that doesn't compile, and so alone is not enforced.",
                labels=["kind", "namespace", "name"],
            )
            for failure in snapshot.failures:
                failing.add_metric(list(failure.ref), 1)
            yield failing
        if self._certificate is not None:
            yield GaugeMetricFamily(
                "tidewaiter_certificate_expiry_timestamp_seconds",
                "When the certificate that is served ends.",
                value=self._certificate.expires_at,
            )
            yield GaugeMetricFamily(
                "tidewaiter_certificate_load_ok",
                "1 when the certificate files could be loaded as they are now.",
                value=0 if self._certificate.error else 1,
            )


def forget_worker(pid: int, folder: str) -> None:
    """Drop the states, not the counts, of a worker that has ended."""
    mark_process_dead(pid, folder)  # type: ignore[no-untyped-call]

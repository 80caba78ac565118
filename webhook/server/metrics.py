"""Prometheus metrics of all workers, whichever is asked; cheap where a request passes.

Counters lie in files that every worker maps into its memory (prometheus_client's multiprocess mode). Each
request only adds to plain numbers, which are written there twice a second: a worker that is killed loses no
more than that, and the one that replaces it goes on with its files, so that these stay few.
What is a state and not a count each worker says in a file of its own: see `states`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import prometheus_client.values
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from webhook.core.meter import Meter
from webhook.core.verdict import Verdict
from webhook.server import states
from webhook.server.current import Current
from webhook.server.gauges import Workers
from webhook.server.series import Durations, Family, Stopwatch
from webhook.server.states import Place, State

if TYPE_CHECKING:
    from webhook.server.tls import LiveContext

CONTENT_TYPE = CONTENT_TYPE_LATEST
METERED = 16
"""One request in so many measures each policy."""

_BUCKETS = (0.0002, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)


class Metrics:
    """The metrics of one worker; made before the fork, so that the workers' differ only in what they count.

    Args:
        folder: where the workers' files lie; None counts in this process alone.
    """

    def __init__(self, folder: str | None = None) -> None:
        self._folder = Path(folder) if folder else None
        self._place: Place | None = None
        self._made_by = os.getpid()
        self._current = Current()
        self._certificate: LiveContext | None = None
        self._in_flight = 0
        self._checkpoint_at = 0.0
        self._turn = 0
        if folder:
            # By the worker's number instead of its pid: what a dead worker counted, its successor counts on.
            prometheus_client.values.ValueClass = prometheus_client.values.MultiProcessValue(self._owner)  # type: ignore[no-untyped-call]
        self._registry = registry = CollectorRegistry()
        self._requests = Family(
            "tidewaiter_requests",
            "Admission requests by operation, outcome and HTTP status.",
            ("operation", "outcome", "code"),
            registry,
        )
        self._denials = Family(
            "tidewaiter_denials", "Requests that a policy denied; each policy counts.", ("policy",), registry
        )
        self._violations = Family(
            "tidewaiter_violations",
            "Violations that no acceptance covers and the old object didn't have.",
            ("policy", "validation", "action"),
            registry,
        )
        self._accepted = Family(
            "tidewaiter_accepted_violations",
            "Violations that a risk acceptance covers.",
            ("policy", "validation"),
            registry,
        )
        self._errors = Family(
            "tidewaiter_policy_errors",
            "Requests for which a policy could not be evaluated.",
            ("policy",),
            registry,
        )
        self._loads = Family(
            "tidewaiter_snapshot_loads",
            "Snapshots that were loaded, by result; each worker loads each.",
            ("result",),
            registry,
        )
        self._reports = Family(
            "tidewaiter_denial_reports",
            "Denials of controllers that were sent to the operator for an Event, or dropped.",
            ("result",),
            registry,
        )
        self._records = Family(
            "tidewaiter_evidence_records", "Records of the decision log, by type.", ("type",), registry
        )
        self._records_lost = Family(
            "tidewaiter_evidence_lost_records",
            "Records that the decision log, or its export, lacks; the log itself says so too.",
            ("reason",),
            registry,
        )
        self._evaluations = Stopwatch(
            "tidewaiter_policy_evaluation_seconds",
            f"Time to evaluate a policy, measured in one request of {METERED}.",
            registry,
        )
        self._seconds = Durations(
            "tidewaiter_request_duration_seconds",
            "Time from a request's first byte to its answer.",
            buckets=_BUCKETS,
            registry=registry,
        )
        self._durations: list[float] = []

    def _owner(self) -> str:
        return str(self._place.number) if self._place is not None else "supervisor"

    def follow(self, current: Current, certificate: LiveContext | None) -> None:
        """Show the state of this worker: its snapshot and its certificate."""
        self._current, self._certificate = current, certificate

    def meter(self) -> Meter | None:
        """Return what measures the policies of the next request: nothing, for most."""
        self._turn = (self._turn + 1) % METERED
        return None if self._turn else self._evaluations

    def request(self, operation: str, outcome: str, code: str, seconds: float) -> None:
        """Count one answered request."""
        self._requests.inc(operation, outcome, code)
        self._durations.append(seconds)

    def verdict(self, verdict: Verdict) -> None:
        """Count what a verdict holds."""
        for violation in verdict.violations:
            self._violations.inc(str(violation.policy), violation.validation, str(violation.action))
        for accepted in verdict.accepted:
            self._accepted.inc(str(accepted.violation.policy), accepted.violation.validation)
        for error in verdict.errors:
            self._errors.inc(str(error.policy))
        for policy in verdict.denied_by:
            self._denials.inc(str(policy))

    def loaded(self, *, ok: bool) -> None:
        """Count a snapshot that was loaded, or could not be."""
        self._loads.inc("ok" if ok else "failed")

    def reported(self, *, sent: bool) -> None:
        """Count a denial that the operator was told of, or could not be."""
        self._reports.inc("sent" if sent else "dropped")

    def evidence(self, kind: str) -> None:
        """Count a record of the decision log."""
        self._records.inc(kind)

    def evidence_lost(self, reason: str) -> None:
        """Count a record that the decision log, or its export, lacks."""
        self._records_lost.inc(reason)

    def checkpointed(self, at: float) -> None:
        """Say when the decision log was last signed."""
        self._checkpoint_at = at

    def flush(self, in_flight: int = 0) -> None:
        """Write what was counted to where all workers' counters lie; called now and then.

        Args:
            in_flight: how many requests are being worked on.
        """
        self._in_flight = in_flight
        if self._folder is not None and self._place is None and os.getpid() != self._made_by:
            self._place = Place(self._folder)
        for family in (
            self._requests,
            self._denials,
            self._violations,
            self._accepted,
            self._errors,
            self._loads,
            self._reports,
            self._records,
            self._records_lost,
            self._evaluations,
        ):
            family.flush()
        durations, self._durations = self._durations, []
        if durations:
            self._seconds.observe_all(durations)
        if self._place is not None:
            self._place.write(self._state())

    def _state(self) -> State:
        current, snapshot, certificate = self._current, self._current.snapshot, self._certificate
        return State(
            pid=os.getpid(),
            revision=current.revision,
            loaded_at=current.loaded_at,
            load_ok=snapshot is not None and not current.error,
            policies=len(snapshot.policies) if snapshot is not None else 0,
            failures=len(snapshot.failures) if snapshot is not None else 0,
            certificate_expires=certificate.expires_at if certificate is not None else 0.0,
            certificate_ok=certificate is not None and not certificate.error,
            in_flight=self._in_flight,
            checkpoint_at=self._checkpoint_at,
        )

    def render(self) -> bytes:
        """Return the metrics of all workers in Prometheus' text format."""
        registry = CollectorRegistry()
        if self._folder is not None:
            MultiProcessCollector(registry, str(self._folder))  # type: ignore[no-untyped-call]
            workers = states.states(self._folder)
        else:
            registry.register(_Copy(self._registry))
            workers = {0: self._state()}
        registry.register(Workers(workers, self._current))
        return generate_latest(registry)


class _Copy(Collector):
    """Another registry's metrics."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry

    def collect(self) -> Iterator[Metric]:
        """Return its metrics."""
        return iter(self._registry.collect())


def forget_worker(pid: int, folder: str) -> None:
    """Drop the states, not the counts, of a worker that has ended."""
    states.forget(Path(folder), pid)

"""The gauges of all workers, from what each says of itself: what is true now, not what was counted."""

from __future__ import annotations

import time
from collections.abc import Iterator

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from webhook.server.current import Current
from webhook.server.states import State

_MOST_FAILURES = 500


class Workers(Collector):
    """What is true now of each worker, and which policies don't compile.

    Args:
        workers: what each living one says, by its number.
        current: the snapshot of the worker that is asked.
    """

    def __init__(self, workers: dict[int, State], current: Current) -> None:
        self._workers = workers
        self._current = current

    def collect(self) -> Iterator[Metric]:
        """Yield one metric after the other."""
        workers, now = self._workers, time.time()
        loaded = {number: state for number, state in workers.items() if state.loaded_at}
        served = {number: state for number, state in workers.items() if state.certificate_expires}
        yield GaugeMetricFamily("tidewaiter_workers", "Workers that live.", value=len(workers))
        yield _gauge(
            "tidewaiter_requests_in_flight",
            "Requests that a worker works on.",
            {number: state.in_flight for number, state in workers.items()},
        )
        yield _gauge(
            "tidewaiter_snapshot_load_ok",
            "1 when the latest snapshot could be loaded; 0 when an older one still serves.",
            {number: state.load_ok for number, state in workers.items()},
        )
        info = GaugeMetricFamily(
            "tidewaiter_snapshot_info", "The snapshot that a worker judges by.", labels=["worker", "revision"]
        )
        for number, state in loaded.items():
            info.add_metric([str(number), state.revision], 1)
        yield info
        yield _gauge(
            "tidewaiter_snapshot_loaded_timestamp_seconds",
            "When a worker loaded its snapshot.",
            {number: state.loaded_at for number, state in loaded.items()},
        )
        yield _gauge(
            "tidewaiter_snapshot_age_seconds",
            "How long a worker has judged by its snapshot.",
            {number: max(0.0, now - state.loaded_at) for number, state in loaded.items()},
        )
        yield _gauge(
            "tidewaiter_policies",
            "Policies that a worker enforces.",
            {number: state.policies for number, state in loaded.items()},
        )
        yield _gauge(
            "tidewaiter_policy_compile_errors",
            "Policies that don't compile, and so alone are not enforced.",
            {number: state.failures for number, state in loaded.items()},
        )
        yield self._failures()
        yield _gauge(
            "tidewaiter_certificate_expiry_timestamp_seconds",
            "When the certificate that a worker serves ends.",
            {number: state.certificate_expires for number, state in served.items()},
        )
        yield _gauge(
            "tidewaiter_certificate_load_ok",
            "1 when the certificate files could be loaded as they are now.",
            {number: state.certificate_ok for number, state in served.items()},
        )
        yield _gauge(
            "tidewaiter_evidence_checkpoint_age_seconds",
            "How long ago a worker last signed its decision log.",
            {
                number: max(0.0, now - state.checkpoint_at)
                for number, state in workers.items()
                if state.checkpoint_at
            },
        )

    def _failures(self) -> Metric:
        found = GaugeMetricFamily(
            "tidewaiter_policy_compile_error",
            f"1 for each policy that doesn't compile; the first {_MOST_FAILURES}.",
            labels=["kind", "namespace", "name"],
        )
        snapshot = self._current.snapshot
        for failure in snapshot.failures[:_MOST_FAILURES] if snapshot is not None else ():
            found.add_metric(list(failure.ref), 1)
        return found


def _gauge(name: str, text: str, values: dict[int, float] | dict[int, int] | dict[int, bool]) -> Metric:
    family = GaugeMetricFamily(name, text, labels=["worker"])
    for number, value in values.items():
        family.add_metric([str(number)], value)
    return family

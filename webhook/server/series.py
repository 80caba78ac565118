"""Counters that cost a request next to nothing: plain numbers, written to where all can read them by `flush`.

Each keeps a bounded number of label combinations, since policies come and go for months.
"""

from __future__ import annotations

import time
from bisect import bisect_left
from collections.abc import Sequence
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Histogram, Summary
from prometheus_client.metrics import MetricWrapperBase

from webhook.core.model import PolicyRef

MOST_SERIES = 2000
OTHER = "other"

Labels = tuple[str, ...]


class _Children:
    """The children of a metric by their labels; past the bound all further ones are one, named `OTHER`."""

    def __init__(self, metric: MetricWrapperBase, names: int) -> None:
        self._metric = metric
        self._rest = (OTHER,) * names
        self._known: dict[Labels, Any] = {}

    def of(self, labels: Labels) -> Any:
        child = self._known.get(labels)
        if child is None:
            if len(self._known) >= MOST_SERIES:
                return self._metric.labels(*self._rest)
            child = self._known[labels] = self._metric.labels(*labels)
        return child


class Family:
    """A counter with labels.

    Args:
        name: of the metric, without ``_total``.
        text: its help.
        labels: their names.
        registry: where it belongs.
    """

    def __init__(self, name: str, text: str, labels: Labels, registry: CollectorRegistry) -> None:
        self._children = _Children(Counter(name, text, labels, registry=registry), len(labels))
        self._pending: dict[Labels, int] = {}

    def inc(self, *labels: str) -> None:
        """Count one."""
        pending = self._pending
        pending[labels] = pending.get(labels, 0) + 1

    def flush(self) -> None:
        """Write what was counted."""
        pending, self._pending = self._pending, {}
        for labels, count in pending.items():
            self._children.of(labels).inc(count)


class Durations(Histogram):
    """A histogram without labels that takes many observations at once."""

    def observe_all(self, observations: Sequence[float]) -> None:
        """Observe each; what `observe` would do, without a lock and two writes to a file for every one."""
        counts = [0] * len(self._buckets)
        bounds = self._upper_bounds
        for seconds in observations:
            counts[bisect_left(bounds, seconds)] += 1
        for bucket, count in zip(self._buckets, counts, strict=True):
            if count:
                bucket.inc(count)
        self._sum.inc(sum(observations))


class _Seconds(Summary):
    """A summary that takes many observations at once."""

    def observe_all(self, count: int, seconds: float) -> None:
        self._count.inc(count)
        self._sum.inc(seconds)


class Stopwatch:
    """Measures each policy of an evaluation: the engine's `Meter`.

    Args:
        name: of the metric.
        text: its help.
        registry: where it belongs.
    """

    def __init__(self, name: str, text: str, registry: CollectorRegistry) -> None:
        self._children = _Children(_Seconds(name, text, ("policy",), registry=registry), 1)
        self._pending: dict[PolicyRef, tuple[int, float]] = {}
        self._started = 0.0

    def start(self) -> None:
        """Begin to measure a policy."""
        self._started = time.perf_counter()

    def stop(self, policy: PolicyRef) -> None:
        """End the measurement that began last; it was of `policy`."""
        seconds = time.perf_counter() - self._started
        count, total = self._pending.get(policy, (0, 0.0))
        self._pending[policy] = count + 1, total + seconds

    def flush(self) -> None:
        """Write what was measured."""
        pending, self._pending = self._pending, {}
        for policy, (count, seconds) in pending.items():
            self._children.of((str(policy),)).observe_all(count, seconds)

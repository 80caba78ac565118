"""Loads on several webhooks in turn, so that whatever disturbs the machine disturbs them all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bench.client import Load, load
from bench.pods import samples
from bench.sides import Side

WARM_UP_SECONDS = 0.5


@dataclass(frozen=True)
class Run:
    """One load on one webhook.

    Attributes:
        load: what the client saw.
        cpu: CPU seconds of the webhook's processes for one request.
    """

    load: Load
    cpu: float


def measure(side: Side, connections: int, seconds: float) -> Run:
    """Send the compliant Pod and count the CPU time that the webhook's processes take for it."""
    before = side.process.cpu()
    done = load(side.target, samples()[:1], connections, seconds)
    return Run(done, (side.process.cpu() - before) / done.requests)


def in_turn(sides: Sequence[Side], connections: int, seconds: float, runs: int) -> list[list[Run]]:
    """Measure A, B, A, B and so on.

    Returns:
        for each side its runs, in their order.
    """
    for side in sides:
        measure(side, connections, WARM_UP_SECONDS)
    rounds = [[measure(side, connections, seconds) for side in sides] for _ in range(runs)]
    return [[one[position] for one in rounds] for position in range(len(sides))]

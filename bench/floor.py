"""What our worker costs without a policy, beside a bare aiohttp handler: python -m bench.floor."""

from __future__ import annotations

import statistics
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

from bench.measure import in_turn
from bench.report import Figure, show
from bench.sides import bare, tidewaiter

CONNECTIONS = 8
SECONDS = 3.0
RUNS = 5


def run() -> list[Figure]:
    """Measure both in turn, one process each."""
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        ours = tidewaiter(stack, Path(name) / "ours", (), workers=1)
        least = bare(stack, Path(name) / "bare")
        mine, theirs = in_turn([ours, least], CONNECTIONS, SECONDS, RUNS)
    ratios = sorted(one.cpu / other.cpu for one, other in zip(mine, theirs, strict=True))
    costs = [statistics.median(one.cpu for one in runs) * 1e6 for runs in (mine, theirs)]
    note = (
        f"{costs[0]:.0f} µs and {costs[1]:.0f} µs, median of {RUNS} runs in turn; "
        f"ratio {ratios[0]:.2f} to {ratios[-1]:.2f}"
    )
    return [
        Figure(
            "no policy, CPU a request beside a bare aiohttp handler",
            statistics.median(ratios),
            "x",
            2,
            note=note,
        )
    ]


if __name__ == "__main__":
    sys.exit(not show(run()))

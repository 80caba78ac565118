"""What 200,000 requests with distinct uids leave in memory: python -m bench.memory."""

from __future__ import annotations

import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

from bench.client import LONGEST_SECONDS, load
from bench.pods import samples
from bench.report import Figure, show
from bench.rules import policies
from bench.sides import tidewaiter
from bench.tree import own_memory_of_tree

REQUESTS = 200_000
STEP = 20_000


def run() -> list[Figure]:
    """Measure all processes of the data plane together, after each tenth of the requests."""
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        side = tidewaiter(stack, Path(name) / "ours", policies(10))
        sizes = []
        answered = 0
        while answered < REQUESTS:
            done = load(side.target, samples()[:1], 8, LONGEST_SECONDS, most=STEP)
            answered += done.requests
            sizes.append(own_memory_of_tree(side.process.pid) / 2**20)
    note = "MiB, without mapped files: " + ", ".join(f"{size:.1f}" for size in sizes)
    growth = sizes[-1] / sizes[0]
    return [Figure(f"memory after {answered} requests, beside after {STEP}", growth, "x", 1.05, note=note)]


if __name__ == "__main__":
    sys.exit(not show(run()))

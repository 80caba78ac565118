"""Run every benchmark that needs no other webhook and say which bars hold: make bench."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from bench import acceptances, cel, evaluate, floor, memory, offline, start
from bench.report import show


def main() -> int:
    """Run them all; exit status 1 when a bar doesn't hold."""
    oracles = os.environ.get("TIDEWAITER_ORACLES")
    held = True
    if oracles:
        held &= show(cel.run(Path(oracles)))
    else:
        print("     CEL beside Kubernetes' own: skipped, set TIDEWAITER_ORACLES to a folder with cel-oracle")
    for benchmark in (evaluate, acceptances, start, offline, floor, memory):
        held &= show(benchmark.run())
    return not held


if __name__ == "__main__":
    sys.exit(main())

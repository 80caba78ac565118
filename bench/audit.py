"""The background audit: its CPU beside Gatekeeper's, and its memory with many objects: make bench-audit.

CPU needs TIDEWAITER_ORACLES and KUBEBUILDER_ASSETS as `bench.gatekeeper` does; without them only memory is
measured. Gatekeeper's audit of 10,000 Pods takes minutes on two quiet cores, and half an hour on busy ones;
where it doesn't end within ``--limit`` the figure is a lower bound, and says so.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from bench import audit_cpu, audit_memory
from bench.report import show


def options(words: Sequence[str]) -> argparse.Namespace:
    """Return what the words of the command line mean."""
    parser = argparse.ArgumentParser(prog="python -m bench.audit", description=__doc__)
    parser.add_argument("--only", choices=("cpu", "memory"), help="measure this alone")
    parser.add_argument(
        "--objects", type=int, default=audit_cpu.OBJECTS, help="Pods, of which CPU is measured"
    )
    parser.add_argument("--runs", type=int, default=1, help="audits of Gatekeeper's")
    parser.add_argument("--limit", type=float, default=30.0, help="minutes for each of them")
    given = parser.parse_args(words)
    if given.objects < audit_cpu.LEAST_OBJECTS or given.runs < 1 or given.limit <= 0:
        parser.error(f"--objects is at least {audit_cpu.LEAST_OBJECTS}, --runs 1, and --limit above 0")
    return given


def main(words: Sequence[str]) -> int:
    """Measure all that can be; exit status 1 when a bar doesn't hold."""
    given = options(words)
    oracles, assets = (os.environ.get(name) for name in ("TIDEWAITER_ORACLES", "KUBEBUILDER_ASSETS"))
    held = True
    started = time.monotonic()

    def say(text: str) -> None:
        print(f"     {time.monotonic() - started:4.0f} s  {text}", flush=True)

    if given.only != "memory":
        if oracles and assets:
            limit = given.limit * 60
            held &= show(audit_cpu.cpu(Path(oracles), Path(assets), given.objects, given.runs, limit, say))
        else:
            print("     CPU beside Gatekeeper: skipped, set TIDEWAITER_ORACLES and KUBEBUILDER_ASSETS")
            held &= given.only is None
    if given.only != "cpu":
        held &= show(audit_memory.memory(say))
    return not held


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(130)

"""Gatekeeper and Tidewaiter in turn, the same rules and the same reviews: python -m bench.gatekeeper.

It needs TIDEWAITER_ORACLES, a folder with gatekeeper-manager, and KUBEBUILDER_ASSETS, a folder with
kube-apiserver, etcd and kubectl: Gatekeeper reads its templates and constraints from an API server. Every
answer of both is compared with what it must be; a wrong one ends the run.
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from bench.measure import Run, in_turn
from bench.report import Figure, show
from bench.rules import policies
from bench.sides import Gatekeeper, tidewaiter
from tests.controlplane import ControlPlane

CONNECTIONS = (8, 1, 32)
SECONDS = 3.0
RUNS = 5
LEAST_RATIO = {10: 25.0, 100: 75.0}
"""Times less CPU a request that Tidewaiter must take, by the number of policies."""


class Comparison:
    """The folder and the control plane that all comparisons share.

    Args:
        gatekeeper: what installs and starts Gatekeeper.
        folder: an own one.
    """

    def __init__(self, gatekeeper: Gatekeeper, folder: Path) -> None:
        self._gatekeeper = gatekeeper
        self._folder = folder

    def rules(self, number: int) -> list[Figure]:
        """Compare with so many rules, each a ClusterPolicy here and a template with its constraint there."""
        found = []
        with ExitStack() as stack:
            chosen = policies(number)
            ours = tidewaiter(stack, self._folder / f"{number}-rules", chosen)
            self._gatekeeper.install(chosen)
            theirs = self._gatekeeper.start(stack, chosen)
            for connections in CONNECTIONS:
                mine, other = in_turn([ours, theirs], connections, SECONDS, RUNS)
                if connections == CONNECTIONS[0]:
                    found.append(
                        cpu_figure(f"{number} rules: CPU a request", mine, other, LEAST_RATIO[number])
                    )
                found += _latencies(f"{number} rules, {connections} connections", mine, other)
            used = ours.memory(), theirs.memory()
            note = f"{used[0] / 2**20:.0f} MiB PSS of all processes, Gatekeeper {used[1] / 2**20:.0f} MiB RSS"
            found.append(Figure(f"{number} rules: memory", used[0] / used[1], "x", 1.0, note=note))
        return found

    def matching(self) -> list[Figure]:
        """Compare ten policies that match with the same ten among ninety that don't."""
        with ExitStack() as stack:
            chosen = policies(100)
            few = tidewaiter(stack, self._folder / "few", chosen[:10])
            many = tidewaiter(stack, self._folder / "many", chosen[:10], chosen[10:])
            base, more = in_turn([few, many], CONNECTIONS[0], SECONDS, RUNS)
        return [_growth("100 policies of which 10 match, beside those 10 alone: CPU a request", more, base)]

    def other_forms(self) -> list[Figure]:
        """Compare with Gatekeeper's other forms of the rules; no bar is set for these."""
        found = []
        for name, chosen, engine in (
            (
                "100 policies, in Gatekeeper 10 templates with 10 constraints each",
                policies(100, True),
                "Rego",
            ),
            ("10 rules, in Gatekeeper in CEL", policies(10), "K8sNativeValidation"),
            ("100 rules, in Gatekeeper in CEL", policies(100), "K8sNativeValidation"),
        ):
            with ExitStack() as stack:
                ours = tidewaiter(stack, self._folder / name.replace(" ", "-"), chosen)
                self._gatekeeper.install(chosen, engine)
                theirs = self._gatekeeper.start(stack, chosen)
                mine, other = in_turn([ours, theirs], CONNECTIONS[0], SECONDS, RUNS)
                memory = f"memory {ours.memory() / 2**20:.0f} and {theirs.memory() / 2**20:.0f} MiB"
            found.append(cpu_figure(f"{name}: CPU a request", mine, other, None, memory))
        return found


def cpu_figure(
    name: str, mine: Sequence[Run], other: Sequence[Run], bar: float | None, more: str = ""
) -> Figure:
    """Return how many times less CPU we take for a request than the other side."""
    ratios = sorted(theirs.cpu / ours.cpu for ours, theirs in zip(mine, other, strict=True))
    note = f"{_costs(mine, other)}; ratio {ratios[0]:.1f} to {ratios[-1]:.1f}"
    note = f"{note}; {more}" if more else note
    return Figure(name, statistics.median(ratios), "x less", bar, at_least=True, note=note)


def _growth(name: str, more: Sequence[Run], base: Sequence[Run]) -> Figure:
    ratios = sorted(one.cpu / least.cpu for one, least in zip(more, base, strict=True))
    note = f"{_costs(more, base)}; ratio {ratios[0]:.2f} to {ratios[-1]:.2f}"
    return Figure(name, statistics.median(ratios), "x", 1.3, note=note)


def _latencies(name: str, mine: Sequence[Run], other: Sequence[Run]) -> list[Figure]:
    found = []
    for share in (0.5, 0.99):
        ours, theirs = ([run.load.percentile(share) * 1000 for run in runs] for runs in (mine, other))
        note = (
            f"{statistics.median(ours):.2f} ms ({min(ours):.2f} to {max(ours):.2f}), "
            f"Gatekeeper {statistics.median(theirs):.1f} ms ({min(theirs):.1f} to {max(theirs):.1f})"
        )
        ratio = statistics.median(ours) / statistics.median(theirs)
        found.append(Figure(f"{name}: p{share * 100:.0f}", ratio, "x", 1.0, note=note))
    return found


def _costs(*sides: Sequence[Run]) -> str:
    return " and ".join(f"{statistics.median(run.cpu for run in runs) * 1e6:.0f} µs" for runs in sides)


def main() -> int:
    """Compare, and print each figure as soon as it is there; exit status 1 when a bar doesn't hold."""
    oracles, assets = (os.environ.get(name) for name in ("TIDEWAITER_ORACLES", "KUBEBUILDER_ASSETS"))
    if not oracles or not assets:
        print("set TIDEWAITER_ORACLES and KUBEBUILDER_ASSETS: see the first lines of bench/gatekeeper.py")
        return 2
    with tempfile.TemporaryDirectory() as name, ControlPlane(assets, Path(name) / "plane") as plane:
        folder = Path(name)
        gatekeeper = Gatekeeper(Path(oracles) / "gatekeeper-manager", plane, folder / "gatekeeper")
        comparison = Comparison(gatekeeper, folder)
        held = show(comparison.rules(10))
        held &= show(comparison.rules(100))
        held &= show(comparison.matching())
        held &= show(comparison.other_forms())
    return not held


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)

"""What CEL costs beside Kubernetes' own, and what compiling it costs: python -m bench.cel [ORACLES]."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import orjson

from bench.report import Figure, show
from webhook.cel import compile_expression
from webhook.core.activation import Activation, Budget, Program

OBJECTS = 4_000
ORACLE_ROUNDS = 20_000
NAMES = ("object", "oldObject", "request", "params", "namespaceObject")


def load() -> dict[str, Any]:
    """Return the Deployment with what goes with it, and ten policies on it."""
    data: dict[str, Any] = json.loads(Path(__file__).with_suffix(".json").read_text(encoding="utf-8"))
    return data


def ours(data: dict[str, Any]) -> float:
    """Return the time in µs of all policies on one object that none saw before, budget on.

    Each object is decoded just before, outside the figure. One stretch is too short for the CPU clock, so it
    is the wall clock's; the median is free of the stretches in which another process had the core.
    """
    programs: list[Program] = [compile_expression(source).run for source in data["policies"].values()]
    encoded = [orjson.dumps(data["binding"][name]) for name in NAMES]
    samples = []
    for _ in range(OBJECTS):
        activation = Activation(*[orjson.loads(one) for one in encoded], budget=Budget())
        held = 0
        start = time.perf_counter_ns()
        for program in programs:
            held += program(activation)
        samples.append((time.perf_counter_ns() - start) / 1000)
        if held != len(programs):
            raise AssertionError("a policy didn't hold")
    return statistics.median(samples)


def in_batches(data: dict[str, Any], size: int) -> float:
    """Return the CPU time in µs for one object, of `size` objects that were decoded one after another before.

    The more there are, the less of each is still in the processor's caches when its turn comes.
    """
    programs: list[Program] = [compile_expression(source).run for source in data["policies"].values()]
    encoded = [orjson.dumps(data["binding"][name]) for name in NAMES]
    samples = []
    for _ in range(OBJECTS // size):
        activations = [
            Activation(*[orjson.loads(one) for one in encoded], budget=Budget()) for _ in range(size)
        ]
        held = 0
        start = time.process_time_ns()
        for activation in activations:
            for program in programs:
                held += program(activation)
        samples.append((time.process_time_ns() - start) / 1000 / size)
        if held != len(programs) * size:
            raise AssertionError("a policy didn't hold")
    return statistics.median(samples)


def kubernetes(oracles: Path, data: dict[str, Any]) -> float:
    """Return the CPU time in µs of the same in Kubernetes' own libraries, without converting the object."""
    cases = [{"id": name, "expr": source, "b": "b"} for name, source in data["policies"].items()]
    document = {"bindings": {"b": data["binding"]}, "cases": cases, "bench": ORACLE_ROUNDS}
    done = subprocess.run(
        [oracles / "cel-oracle"], input=json.dumps(document).encode(), capture_output=True, check=True
    )
    answers = json.loads(done.stdout)
    if any(answer["stage"] != "ok" or answer["value"] is not True for answer in answers):
        raise AssertionError("a policy didn't hold in Kubernetes' own CEL")
    return float(sum(answer["ns"] for answer in answers)) / 1000


def compiling(data: dict[str, Any]) -> float:
    """Return the CPU time in seconds of compiling 300 policies of four expressions, all different."""
    sources = list(data["policies"].values())
    expressions = [
        f"{sources[number % len(sources)]} || request.name == 'n{number}'" for number in range(1200)
    ]
    start = time.process_time()
    for source in expressions:
        compile_expression(source)
    return time.process_time() - start


def run(oracles: Path) -> list[Figure]:
    """Measure, both sides in one run."""
    data = load()
    compile_expression("true")  # the imports are the start's cost, not compiling's
    seconds = min(compiling(data) for _ in range(3))
    rounds = [(ours(data), kubernetes(oracles, data)) for _ in range(3)]
    mine, theirs = sorted(rounds, key=lambda pair: pair[1] / pair[0])[1]
    batches = [(size, in_batches(data, size)) for size in (16, 1000)]
    note = f"{mine:.1f} µs, Kubernetes' own libraries {theirs:.0f} µs"
    return [
        Figure("ten CEL policies on a 5 KB Deployment, times less CPU", theirs / mine, "x", 8, True, note),
        *(
            Figure(f"the same, {size} objects decoded before", theirs / cost, "x", note=f"{cost:.1f} µs")
            for size, cost in batches
        ),
        Figure("compiling 1,200 expressions of 300 policies", seconds, "s", 0.5),
    ]


if __name__ == "__main__":
    folder = sys.argv[1] if len(sys.argv) > 1 else os.environ.get("TIDEWAITER_ORACLES")
    if not folder:
        sys.exit("name the folder with cel-oracle, or set TIDEWAITER_ORACLES")
    sys.exit(not show(run(Path(folder))))

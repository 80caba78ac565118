"""The audit's memory with many objects, against `bench.list_server`, a stand-in for an API server.

It holds more objects than an etcd on one machine would.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import yaml

from bench.audit_run import Audit, Usage
from bench.list_server import VIOLATING
from bench.process import Process
from bench.report import Figure
from bench.rules import policies
from bench.tree import free_port

POLICIES = 100
MANY = (100_000, 200_000)
MOST_MEMORY = 300.0

_LONGEST = 1800.0


def memory(say: Callable[[str], None]) -> list[Figure]:
    """Audit 100,000 objects, then 200,000, and tell the most memory of each.

    Args:
        say: takes how far it is.
    """
    peaks = []
    figures = []
    for count in MANY:
        usage, seconds, written = _audit_many(count)
        peaks.append(usage.peak / 2**20)
        each = usage.cpu / count * 1e6
        note = (
            f"{usage.memory / 2**20:.0f} MiB at the end; {seconds:.0f} s, {each:.0f} µs of CPU an object; "
            f"one in {VIOLATING} violates, {written} reports written meanwhile"
        )
        name = f"audit of {count} objects, {POLICIES} policies: peak"
        figures.append(Figure(name, peaks[-1], " MiB", MOST_MEMORY, note=note))
        say(f"{count} objects: {peaks[-1]:.0f} MiB after {seconds:.0f} s")
    figures.append(Figure(f"the same of {MANY[1]} objects, beside {MANY[0]}", peaks[1] / peaks[0], "x", 1.1))
    return figures


def _audit_many(count: int) -> tuple[Usage, float, int]:
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder, port = Path(name), free_port()
        command = (sys.executable, "-m", "bench.list_server", str(port), str(count))
        process = stack.enter_context(Process(command, folder / "server.log", dict(os.environ)))
        process.wait_for(lambda: _answers(port), "the list server")
        config = folder / "kubeconfig"
        config.write_text(yaml.safe_dump(_kubeconfig(f"http://127.0.0.1:{port}")))
        started = time.monotonic()
        audit = stack.enter_context(Audit(folder / "audit", config, policies(POLICIES), "openreports"))
        usage = audit.wait_until_complete(_LONGEST)
        return usage, time.monotonic() - started, audit.facts.written.get("written", 0)


def _answers(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/apis", timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def _kubeconfig(server: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "bench",
        "contexts": [{"name": "bench", "context": {"cluster": "bench", "user": "bench"}}],
        "users": [{"name": "bench", "user": {"token": "none"}}],
        "clusters": [{"name": "bench", "cluster": {"server": server}}],
    }

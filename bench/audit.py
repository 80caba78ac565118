"""The background audit: its memory with many objects, and its CPU beside Gatekeeper's: make bench-audit.

Memory is measured against `bench.list_server`, a stand-in for an API server that holds more objects than an
etcd on one machine would; CPU against a real API server with 10,000 Pods, where Gatekeeper's manager audits
the same Pods by the same rules (``--operation=audit``). That needs TIDEWAITER_ORACLES and KUBEBUILDER_ASSETS
as `bench.gatekeeper` does; without them only memory is measured.
"""

from __future__ import annotations

import copy
import http.client
import json
import os
import re
import ssl
import statistics
import sys
import tempfile
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml

from bench.audit_run import Audit, Usage
from bench.list_server import VIOLATING
from bench.pods import NAMESPACE, compliant
from bench.process import Process
from bench.report import Figure, show
from bench.rules import policies
from bench.sides import Gatekeeper
from bench.tree import cpu_of_tree, free_port
from tests.controlplane import ControlPlane

POLICIES = 100
MANY = (100_000, 200_000)
MOST_MEMORY = 300.0
OBJECTS = 10_000
LEAST_RATIO = 10.0
RUNS = 3

_INTERVAL = 20
_LONGEST = 1800.0


def memory() -> list[Figure]:
    """Audit 100,000 objects, then 200,000, and tell the most memory of each."""
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
        figures.append(
            Figure(
                f"audit of {count} objects, {POLICIES} policies: peak",
                peaks[-1],
                " MiB",
                MOST_MEMORY,
                note=note,
            )
        )
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


def cpu(oracles: Path, assets: Path) -> list[Figure]:
    """Let both audit the same Pods in turn; tell how many times less CPU an object ours takes."""
    chosen = policies(POLICIES)
    with tempfile.TemporaryDirectory() as name, ControlPlane(assets, Path(name) / "plane") as plane:
        folder = Path(name)
        gatekeeper = Gatekeeper(oracles / "gatekeeper-manager", plane, folder / "gatekeeper")
        gatekeeper.install(chosen)
        _make_pods(plane)
        ours, theirs = [], []
        for number in range(RUNS):
            with Audit(folder / f"audit-{number}", plane.kubeconfig, chosen) as audit:
                ours.append(audit.wait_until_complete(_LONGEST).cpu / OBJECTS)
                found = audit.facts.findings["fail"]
            with ExitStack() as stack:
                manager, metrics = gatekeeper.start_audit(stack, _INTERVAL)
                theirs.append(_first(manager, metrics) / OBJECTS)
                kept = _metric(metrics, r"gatekeeper_violations\{[^}]*deny[^}]*\}")
                if float(kept or 0) != found:
                    raise RuntimeError(f"Gatekeeper's audit finds {kept or 'no'} violations, ours {found}")
    ratios = sorted(other / own for own, other in zip(ours, theirs, strict=True))
    note = (
        f"{statistics.median(ours) * 1e6:.0f} µs and {statistics.median(theirs) * 1e6:.0f} µs, each with its "
        f"start; ratio {ratios[0]:.1f} to {ratios[-1]:.1f}; "
        f"{found} violations found, of which Gatekeeper keeps 20 a constraint"
    )
    return [
        Figure(
            f"audit of {OBJECTS} Pods by {POLICIES} policies: CPU an object beside Gatekeeper",
            statistics.median(ratios),
            "x less",
            LEAST_RATIO,
            at_least=True,
            note=note,
        )
    ]


def _make_pods(plane: ControlPlane) -> None:
    """Create the Pods, one in ten of which violates."""
    pod = copy.deepcopy(compliant())
    for field in ("ownerReferences", "generateName"):
        pod["metadata"].pop(field)
    bad = copy.deepcopy(pod)
    bad["spec"]["containers"][0]["image"] = "docker.io/library/busybox:latest"
    context = ssl.create_default_context(cafile=str(plane.ca_file))
    context.load_cert_chain(plane.cert_file, plane.key_file)
    where = urlsplit(plane.url)

    def make(start: int) -> None:
        connection = http.client.HTTPSConnection(
            where.hostname or "", where.port, context=context, timeout=60
        )
        for number in range(start, OBJECTS, 8):
            made = bad if number % VIOLATING == 0 else pod
            made = {**made, "metadata": {**made["metadata"], "name": f"pod-{number:05}"}}
            headers = {"Content-Type": "application/json"}
            connection.request("POST", f"/api/v1/namespaces/{NAMESPACE}/pods", json.dumps(made), headers)
            answer = connection.getresponse()
            text = answer.read()
            if answer.status != 201:
                raise RuntimeError(f"a Pod was not made: {text.decode()[:500]}")
        connection.close()

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(make, range(8)))


def _first(manager: Process, metrics: int) -> float:
    """Return the CPU seconds of Gatekeeper's first audit, its start included.

    Raises:
        RuntimeError: it did not end.
    """
    give_up = time.monotonic() + _LONGEST
    while float(_metric(metrics, r"gatekeeper_audit_last_run_end_time(?:{.*?})?") or 0) <= 0:
        if time.monotonic() > give_up:
            raise RuntimeError(f"Gatekeeper's audit does not end:\n{manager.log.read_text()[-3000:]}")
        time.sleep(0.1)
    return cpu_of_tree(manager.pid)


def _metric(metrics: int, pattern: str) -> str:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{metrics}/metrics", timeout=10) as answer:
            found = re.search(rf"^{pattern} (\S+)", answer.read().decode(), re.MULTILINE)
    except OSError:
        return ""
    return found[1] if found else ""


def main() -> int:
    """Measure all that can be; exit status 1 when a bar doesn't hold."""
    oracles, assets = (os.environ.get(name) for name in ("TIDEWAITER_ORACLES", "KUBEBUILDER_ASSETS"))
    held = True
    if oracles and assets:
        held &= show(cpu(Path(oracles), Path(assets)))
    else:
        print("     CPU beside Gatekeeper: skipped, set TIDEWAITER_ORACLES and KUBEBUILDER_ASSETS")
    held &= show(memory())
    return not held


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)

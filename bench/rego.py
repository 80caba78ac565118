"""What Rego costs beside OPA itself, prepared: python -m bench.rego [ORACLES]."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson

from bench.pods import compliant
from bench.report import Figure, show
from webhook.core.activation import Budget
from webhook.rego import Context, RegoProgram, compile_modules
from webhook.rego.plain_json import to_json
from webhook.rego.runtime.remembered import forget

POLICIES = Path(__file__).with_name("rego_policies")
SHARED = "exempt"
INGRESSES = 1_000
REVIEWS = 1_500

_RANGES = {"rule": "MustRunAs", "ranges": [{"min": 1, "max": 65535}]}
PARAMETERS: Mapping[str, Any] = {
    "privileged": {"exemptImages": ["registry.example.com/tools/*", "docker.io/library/debug:1"]},
    "host_namespaces": {"hostNetwork": False, "min": 8000, "max": 9000},
    "allowed_repos": {"repos": ["docker.io/team/", "ghcr.io/team/", "registry.example.com/"]},
    "required_labels": {"labels": [{"key": "team", "allowedRegex": "^[a-z-]+$"}, {"key": "app"}]},
    "container_limits": {"cpu": "4", "memory": "4Gi"},
    "capabilities": {"allowedCapabilities": ["NET_BIND_SERVICE"], "requiredDropCapabilities": ["ALL"]},
    "volumes": {"volumes": ["configMap", "emptyDir", "projected", "secret", "downwardAPI"]},
    "users": {
        "runAsUser": {"rule": "MustRunAsNonRoot"},
        "runAsGroup": _RANGES,
        "supplementalGroups": _RANGES,
        "fsGroup": _RANGES,
    },
}
"""The pod policies, with the parameters of a constraint for each."""


def pod_review() -> dict[str, Any]:
    """Return what the policies see of a Pod of 6 KB, as Gatekeeper gives it."""
    pod = compliant()
    return {
        "uid": "1",
        "kind": {"group": "", "version": "v1", "kind": "Pod"},
        "operation": "CREATE",
        "namespace": pod["metadata"]["namespace"],
        "name": pod["metadata"]["name"],
        "userInfo": {"username": "system:serviceaccount:kube-system:replicaset-controller"},
        "object": pod,
        "oldObject": None,
    }


def ingress(number: int, host: str) -> dict[str, Any]:
    """Return an Ingress with one rule."""
    service = {"name": f"web-{number}", "port": {"number": 80}}
    path = {"path": "/", "pathType": "Prefix", "backend": {"service": service}}
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "Ingress",
        "metadata": {
            "name": f"web-{number}",
            "namespace": f"team-{number % 20}",
            "labels": {"app": f"web-{number}", "team": f"team-{number % 20}"},
        },
        "spec": {
            "ingressClassName": "nginx",
            "rules": [{"host": host, "http": {"paths": [path]}}],
            "tls": [{"hosts": [host], "secretName": f"web-{number}-tls"}],
        },
    }


def inventory() -> dict[str, Any]:
    """Return 1,000 Ingresses in 20 namespaces, as the inventory has them."""
    namespaces: dict[str, Any] = {}
    for number in range(INGRESSES):
        one = ingress(number, f"web-{number}.example.com")
        kinds = namespaces.setdefault(one["metadata"]["namespace"], {})
        kinds.setdefault("networking.k8s.io/v1", {}).setdefault("Ingress", {})[one["metadata"]["name"]] = one
    return {"inventory": {"namespace": namespaces, "cluster": {}}}


def ingress_input(host: str) -> dict[str, Any]:
    """Return the review of one more Ingress."""
    kind = {"group": "networking.k8s.io", "version": "v1", "kind": "Ingress"}
    return {"review": {"kind": kind, "operation": "CREATE", "object": ingress(5_000, host)}, "parameters": {}}


def compiled(name: str) -> RegoProgram:
    """Return a policy compiled, with what it imports."""
    names = (name, SHARED)
    texts = {one: (POLICIES / f"{one}.rego").read_text(encoding="utf-8") for one in names}
    return compile_modules(texts, version="v0", entry=(name, "violation"))


def ours(inputs: Mapping[str, Any], data: Any, reviews: int, *, fresh: bool = False) -> float:
    """Return the CPU time in µs of all policies on one review that none saw before, budget on; the median.

    Args:
        inputs: the policies' inputs, with the same review.
        data: the base documents.
        reviews: how many reviews.
        fresh: whether what functions gave for the texts of earlier reviews is forgotten before each.
    """
    programs = [(compiled(name), value["parameters"]) for name, value in inputs.items()]
    (encoded,) = {orjson.dumps(value["review"]) for value in inputs.values()}
    samples = []
    for _ in range(reviews):
        review = orjson.loads(encoded)
        if fresh:
            forget()
        budget = Budget()
        start = time.process_time_ns()
        for program, parameters in programs:
            program.evaluate({"review": review, "parameters": parameters}, data, Context(budget=budget))
            budget.refill()
        samples.append((time.process_time_ns() - start) / 1000)
    return statistics.median(samples)


def opa(opa_program: Path, inputs: Mapping[str, Any], data: Any) -> float:
    """Return the CPU time in µs of the same in OPA with one processor, prepared, the input parsed before.

    OPA tells the wall clock's time of a turn: the program's share of a processor makes it CPU time.
    """
    total = 0.0
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "data.json").write_bytes(orjson.dumps(data))
        for name, value in inputs.items():
            (Path(folder) / "input.json").write_bytes(orjson.dumps(value))
            files = [POLICIES / f"{name}.rego", POLICIES / f"{SHARED}.rego", f"{folder}/data.json"]
            command = [opa_program, "bench", "--v0-compatible", "--format", "json", "--metrics=false"]
            command += [part for file in files for part in ("--data", file)]
            command += ["--input", f"{folder}/input.json", f"data.{name}.violation"]
            environment = {**os.environ, "GOMAXPROCS": "1"}
            before, start = os.times(), time.perf_counter()
            done = subprocess.run(command, capture_output=True, check=True, env=environment)
            after, wall = os.times(), time.perf_counter() - start
            used = after.children_user - before.children_user + after.children_system - before.children_system
            answer = json.loads(done.stdout)
            total += answer["T"] / answer["N"] / 1000 * min(1.0, used / wall)
    return total


def agree(opa_program: Path, inputs: Mapping[str, Any], data: Any) -> None:
    """Refuse to compare the cost of different answers."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "data.json").write_bytes(orjson.dumps(data))
        for name, value in inputs.items():
            files = [POLICIES / f"{name}.rego", POLICIES / f"{SHARED}.rego", f"{folder}/data.json"]
            command = [opa_program, "eval", "--v0-compatible", "--format", "json", "--stdin-input"]
            command += [part for file in files for part in ("--data", file)]
            done = subprocess.run(
                [*command, f"data.{name}.violation"],
                input=orjson.dumps(value),
                capture_output=True,
                check=True,
            )
            theirs = json.loads(done.stdout)["result"][0]["expressions"][0]["value"]
            mine = to_json(compiled(name).evaluate(value, data, Context()))
            if mine != theirs:
                raise AssertionError(f"{name}: {mine} here, {theirs} in OPA")


def run(oracles: Path) -> list[Figure]:
    """Measure, both sides in one run."""
    program = oracles / "opa"
    review = pod_review()
    pods = {name: {"review": review, "parameters": value} for name, value in PARAMETERS.items()}
    stored = inventory()
    unique = {"unique_host": ingress_input("new.example.com")}
    taken = {"unique_host": ingress_input("web-77.example.com")}
    for inputs, data in ((pods, {}), (unique, stored), (taken, stored)):
        agree(program, inputs, data)
    figures = []
    size = len(orjson.dumps(review)) / 1000
    for what, inputs, data, reviews, fresh, bar in (
        (f"eight pod templates on a {size:.1f} KB review", pods, {}, REVIEWS, False, 7),
        ("the same, no text being known from earlier reviews", pods, {}, REVIEWS, True, None),
        (f"a uniqueness rule over {INGRESSES:,} Ingresses", unique, stored, 200, False, 25),
        ("the same, the host being taken", taken, stored, 200, False, None),
    ):
        rounds = [(ours(inputs, data, reviews, fresh=fresh), opa(program, inputs, data)) for _ in range(3)]
        mine, theirs = sorted(rounds, key=lambda pair: pair[1] / pair[0])[1]
        note = f"{mine:.0f} µs, OPA {theirs:.0f} µs"
        figures.append(Figure(f"{what}, times less CPU", theirs / mine, "x", bar, True, note))
    return figures


if __name__ == "__main__":
    folder = sys.argv[1] if len(sys.argv) > 1 else os.environ.get("TIDEWAITER_ORACLES")
    if not folder:
        sys.exit("name the folder with opa, or set TIDEWAITER_ORACLES")
    sys.exit(not show(run(Path(folder))))

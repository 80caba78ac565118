"""Judges mutated policies and inputs here and in OPA; as a program it prints every difference."""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from bench.pods import compliant
from tests.rego.front.checks import VERSIONS, problems, problems_of_opa, unplaced
from tests.rego.mutation import changed, rewritten
from tests.rego.opa_server import Opa
from webhook.core.activation import Budget
from webhook.core.errors import BudgetExceeded, EvaluationError
from webhook.rego import Context, RegoProgram, compile_modules
from webhook.rego.ast import Version
from webhook.rego.order import equal
from webhook.rego.plain_json import to_json
from webhook.rego.values import UNDEFINED

POLICIES = Path(__file__).with_name("policies")
BENCH = Path(__file__).parents[2] / "bench" / "rego_policies"
INPUTS = 6


@dataclass
class Report:
    """What a run has seen.

    Attributes:
        counted: rounds by what became of them.
        differences: everything that isn't equal.
        told: what is called with each difference, as soon as it is found.
    """

    counted: Counter[str] = field(default_factory=Counter)
    differences: list[str] = field(default_factory=list)
    told: Callable[[str], None] = str


def corpus() -> dict[str, tuple[Version, str]]:
    """Return the policies that are mutated: ours of tests and of the benchmark, each one module ``t``."""
    texts = {file.stem: file.read_text() for file in sorted(POLICIES.glob("*.rego"))}
    shared = (BENCH / "exempt.rego").read_text().split("\n", 2)[2]
    for file in sorted(BENCH.glob("*.rego")):
        if file.stem != "exempt":
            text = file.read_text().replace("import data.libs.exempt.is_exempt\n", "")
            first, rest = text.split("\n", 1)
            assert first.startswith("package ")
            texts[f"bench_{file.stem}"] = f"package t\n{rest}\n{shared if 'is_exempt' in rest else ''}"
    found: dict[str, tuple[Version, str]] = {name: ("v0", text) for name, text in texts.items()}
    for file in sorted((POLICIES / "v1").glob("*.rego")):
        found[f"v1_{file.stem}"] = ("v1", file.read_text())
    return found


def base_input() -> dict[str, Any]:
    """Return an input that the policies have something to say about."""
    pod = compliant()
    parameters = {
        "repos": ["docker.io/", "registry.example.com/"],
        "names": ["app", "web"],
        "labels": [{"key": "team", "allowedRegex": "^[a-z]+$"}, {"key": "owner"}],
        "exemptImages": ["registry.example.com/tools/*"],
        "volumes": ["configMap", "projected"],
        "cpu": "1",
        "memory": "512Mi",
        "wanted": True,
        "runAsUser": {"rule": "MustRunAs", "ranges": [{"min": 1, "max": 10}]},
        "fsGroup": {"rule": "MustRunAs", "ranges": [{"min": 1, "max": 10}]},
        "allowedCapabilities": [],
        "requiredDropCapabilities": ["NET_ADMIN"],
    }
    review = {"object": pod, "operation": "CREATE", "kind": {"group": "", "version": "v1", "kind": "Pod"}}
    return {**review, "review": review, "parameters": parameters}


def base_data() -> dict[str, Any]:
    """Return an inventory."""
    pods = {}
    for number in range(3):
        pod = compliant()
        pod["metadata"]["name"] = f"pod-{number}"
        pod["metadata"]["labels"]["team"] = ["sales", "billing", "ops"][number]
        pods[f"pod-{number}"] = pod
    namespace = {"shop": {"v1": {"Pod": pods}}, "other": {"v1": {"Pod": {"pod-1": pods["pod-1"]}}}}
    cluster = {"v1": {"Namespace": {"shop": {}, "other": {}}}}
    return {"inventory": {"namespace": namespace, "cluster": cluster}}


def rule_names(policy: str) -> list[str]:
    """Return the names at the beginnings of lines: most of them are rules."""
    heads = {line.split("[")[0].split("(")[0].split(" ")[0].split(".")[0] for line in policy.split("\n")}
    return sorted(name for name in heads if name.isidentifier())


def run(servers: Mapping[Version, Opa], seed: int, rounds: int, report: Report) -> None:
    """Judge `rounds` mutated policies, each with several mutated inputs."""
    generator = random.Random(seed)
    policies = list(corpus().values())
    data = base_data()
    for _ in range(rounds):
        version, text = generator.choice(policies)
        policy = rewritten(generator, text, generator.choice([0, 1, 1, 2, 3]))
        inputs = [changed(generator, base_input(), generator.choice([0, 1, 2, 4, 8])) for _ in range(INPUTS)]
        if generator.randrange(4) == 0:
            data = changed(generator, base_data(), generator.choice([0, 1, 3]))
            if not isinstance(data.get("inventory"), dict):
                data = base_data()
            for server in servers.values():
                server.data("inventory", data["inventory"])
            data = {"inventory": data["inventory"]}
        for difference in compare(servers[version], version, policy, inputs, data, report.counted):
            report.differences.append(f"seed {seed}, {version}: {difference}")
            report.told(report.differences[-1])


def compare(
    opa: Opa, version: Version, policy: str, inputs: list[Any], data: Any, counted: Counter[str]
) -> Iterator[str]:
    """Give what differs for a policy: what is wrong with it, and where, else what its rules are."""
    theirs = problems_of_opa(opa, policy, keep=True)
    mine = problems(policy, version)
    if any(one.startswith("0:0: ") for one in theirs):  # OPA sometimes doesn't say where
        mine, theirs = sorted(unplaced(mine)), sorted(unplaced(theirs))
    if codes(mine) != codes(theirs):
        yield f"refused: {mine} here, {theirs} in OPA\n{policy}"
    elif mine != theirs:  # that it is refused is what counts: OPA's own order decides what it says first
        counted["refused in other words"] += 1
    if theirs:
        counted["refused"] += 1
    if mine or theirs:
        return
    program = compile_modules({"t": policy}, version=version)
    for value in inputs:
        for name in ["", *rule_names(policy)]:
            entry = ("t", name) if name else ("t",)
            if name:
                node = program.root.children["t"].children.get(name)
                if node is None or node.function:
                    continue
            found = answer(replace(program, entry=entry), value, data)
            if found == {"error": "budget"}:
                counted["over the budget"] += 1
                continue
            counted["compared"] += 1
            counted["undefined" if not found else next(iter(found))] += 1
            other = opa.value("/".join(entry), value)
            if is_conflict(found) and is_conflict(other) and found != other:
                counted["another conflict told"] += 1  # of several; see docs/reference/rego.md
            elif not equal(found, other):
                yield f"{name}: {short(found)} here, {short(other)} in OPA\n{policy}\n{json.dumps(value)}"


def is_conflict(found: Mapping[str, Any]) -> bool:
    """Tell whether an answer is that rules, or keys, contradict each other."""
    return str(found.get("error", "")).startswith("conflict_error: ")


def codes(found: list[str]) -> set[str]:
    """Return the codes of problems."""
    return {code for one in found for code in re.findall(r"\b(rego_\w+): ", one)[:1]}


def answer(program: RegoProgram, value: Any, data: Any) -> dict[str, Any]:
    """Return what a program's entry is here, in the form of OPA's answers."""
    try:
        found = program.evaluate(value, data, Context(budget=Budget()))
    except BudgetExceeded:
        return {"error": "budget"}
    except EvaluationError as error:
        return {"error": str(error).rpartition("eval_")[2]}
    return {} if found is UNDEFINED else {"result": to_json(found)}


def short(value: Any) -> str:
    """Return a value as text that fits."""
    text = repr(value)
    return text if len(text) < 1500 else text[:1500] + "…"


@contextmanager
def servers(program: Path, folder: Path) -> Iterator[dict[Version, Opa]]:
    """Run OPA once for each version."""
    with ExitStack() as stack:
        running: dict[Version, Opa] = {}
        for version in VERSIONS:
            (folder / version).mkdir()
            running[version] = stack.enter_context(Opa(program, folder / version, v0=version == "v0"))
        yield running


def main() -> int:
    """Run as many rounds as asked; print each difference as soon as it is found."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--seeds", default="1,2,3,4,5")
    arguments.add_argument("--rounds", type=int, default=200)
    arguments.add_argument("--width", type=int, default=4000)
    options = arguments.parse_args()
    report = Report(told=lambda text: print(text[: options.width], "\n----", flush=True))
    began = time.monotonic()
    program = Path(os.environ["TIDEWAITER_ORACLES"]) / "opa"
    with tempfile.TemporaryDirectory() as folder, servers(program, Path(folder)) as running:
        for seed in map(int, options.seeds.split(",")):
            for server in running.values():
                server.data("inventory", base_data()["inventory"])
            run(running, seed, options.rounds, report)
    seconds = time.monotonic() - began
    print(dict(report.counted), f"{len(report.differences)} differences, {seconds:.0f} s")
    return 1 if report.differences else 0


if __name__ == "__main__":
    sys.exit(main())

"""Judges mutated policies and inputs here and in OPA; as a program it prints every difference."""

from __future__ import annotations

import argparse
import json
import os
import random
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from bench.pods import compliant
from tests.rego.mutation import changed, rewritten
from tests.rego.opa_server import Opa
from webhook.core.activation import Budget
from webhook.core.errors import BudgetExceeded, CompileError, EvaluationError
from webhook.rego import Context, compile_modules
from webhook.rego.values import UNDEFINED, equal, to_json

POLICIES = Path(__file__).with_name("policies")
BENCH = Path(__file__).parents[2] / "bench" / "rego_policies"
INPUTS = 6


@dataclass
class Report:
    """What a run has seen.

    Attributes:
        counted: rounds by what became of them.
        differences: everything that isn't equal.
    """

    counted: Counter[str] = field(default_factory=Counter)
    differences: list[str] = field(default_factory=list)


def corpus() -> dict[str, str]:
    """Return the policies that are mutated: ours of tests and of the benchmark, each one module ``t``."""
    texts = {file.stem: file.read_text() for file in sorted(POLICIES.glob("*.rego"))}
    shared = (BENCH / "exempt.rego").read_text().split("\n", 2)[2]
    for file in sorted(BENCH.glob("*.rego")):
        if file.stem != "exempt":
            text = file.read_text().replace("import data.libs.exempt.is_exempt\n", "")
            first, rest = text.split("\n", 1)
            assert first.startswith("package ")
            texts[f"bench_{file.stem}"] = f"package t\n{rest}\n{shared if 'is_exempt' in rest else ''}"
    return texts


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


def run(opa: Opa, seed: int, rounds: int, report: Report) -> None:
    """Judge `rounds` mutated policies, each with several mutated inputs."""
    generator = random.Random(seed)
    texts = list(corpus().values())
    data = base_data()
    for _ in range(rounds):
        text = generator.choice(texts)
        policy = rewritten(generator, text, generator.choice([0, 1, 1, 2, 3]))
        inputs = [changed(generator, base_input(), generator.choice([0, 1, 2, 4, 8])) for _ in range(INPUTS)]
        if generator.randrange(4) == 0:
            data = changed(generator, base_data(), generator.choice([0, 1, 3]))
            if not isinstance(data.get("inventory"), dict):
                data = base_data()
            opa.data("inventory", data["inventory"])
            data = {"inventory": data["inventory"]}
        for difference in compare(opa, policy, inputs, data, report.counted):
            report.differences.append(f"seed {seed}: {difference}")


def compare(opa: Opa, policy: str, inputs: list[Any], data: Any, counted: Counter[str]) -> Iterator[str]:
    """Give what differs for a policy."""
    theirs = opa.policy("t", policy)
    try:
        program = compile_modules({"t": policy}, version="v0")
    except CompileError as error:
        counted["refused"] += 1
        code = getattr(error, "code", "")
        if theirs is None:
            yield f"refused here, not in OPA: {error}\n{policy}"
        elif code and code != theirs:
            counted["refused with another code"] += 1
        return
    if theirs is not None:
        yield f"refused in OPA with {theirs}, not here\n{policy}"
        return
    for value in inputs:
        for name in rule_names(policy):
            node = program.root.children["t"].children.get(name)
            if node is None or node.number < 0 or node.function:
                continue
            mine = answer(program, name, value, data)
            if mine == {"error": "budget"}:
                counted["over the budget"] += 1
                continue
            counted["compared"] += 1
            counted["undefined" if not mine else next(iter(mine))] += 1
            other = opa.value(f"t/{name}", value)
            if not equal(mine, other):
                yield f"{name}: {short(mine)} here, {short(other)} in OPA\n{policy}\n{json.dumps(value)}"


def answer(program: Any, name: str, value: Any, data: Any) -> dict[str, Any]:
    """Return what a rule is here, in the form of OPA's answers."""
    try:
        found = replace(program, entry=("t", name)).evaluate(value, data, Context(budget=Budget()))
    except BudgetExceeded:
        return {"error": "budget"}
    except EvaluationError as error:
        return {"error": getattr(error, "code", type(error).__name__)}
    return {} if found is UNDEFINED else {"result": to_json(found)}


def short(value: Any) -> str:
    """Return a value as text that fits."""
    text = repr(value)
    return text if len(text) < 1500 else text[:1500] + "…"


def main() -> int:
    """Run as many rounds as asked; print the differences."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--seeds", default="1,2,3,4,5")
    arguments.add_argument("--rounds", type=int, default=200)
    arguments.add_argument("--show", type=int, default=10)
    arguments.add_argument("--width", type=int, default=4000)
    options = arguments.parse_args()
    report = Report()
    with tempfile.TemporaryDirectory() as folder:
        for seed in map(int, options.seeds.split(",")):
            with Opa(Path(os.environ["TIDEWAITER_ORACLES"]) / "opa", Path(folder)) as opa:
                opa.data("inventory", base_data()["inventory"])
                run(opa, seed, options.rounds, report)
    for difference in report.differences[: options.show]:
        print(difference[: options.width], "\n----")
    print(dict(report.counted), f"{len(report.differences)} differences")
    return 1 if report.differences else 0


if __name__ == "__main__":
    sys.exit(main())

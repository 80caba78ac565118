"""The packs' expressions mean here what they mean in Kubernetes' own CEL, also on manifests full of nulls."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.policies import ours, pods
from webhook.core.evaluate import evaluate
from webhook.core.model import CONTAINER_KINDS

Found = dict[tuple[str, str, str], str]

NULLS: list[dict[str, Any]] = [
    {"containers": [{"name": "web", "securityContext": None, "ports": None, "lifecycle": None}]}
    | dict.fromkeys(("hostPID", "hostNetwork", "hostUsers", "os", "volumes", "securityContext")),
    {
        "os": {"name": None},
        "volumes": [{"name": "scratch", "hostPath": None, "nfs": None}],
        "securityContext": dict.fromkeys(
            ("seLinuxOptions", "seccompProfile", "appArmorProfile", "runAsNonRoot", "runAsUser", "sysctls")
        ),
        "containers": [
            {
                "name": "web",
                "ports": [{"containerPort": 80, "hostPort": None}],
                "livenessProbe": {"httpGet": {"host": None}},
                "lifecycle": {"preStop": None},
                "securityContext": {
                    "seLinuxOptions": {"type": None, "user": None, "role": None},
                    "capabilities": {"add": None, "drop": None},
                    "windowsOptions": {"hostProcess": None},
                    **dict.fromkeys(("privileged", "allowPrivilegeEscalation", "runAsNonRoot", "procMount")),
                },
            }
        ],
    },
]
"""Pod specs as templates of manifests leave them when a value is missing; the API server drops the nulls."""


def test_no_expression_fails_on_nulls() -> None:
    snapshot = ours.snapshot("latest")
    for pod in _with_nulls():
        baseline, restricted = ours.judge(snapshot, ours.request(pod))
        assert not baseline
        assert set(restricted) == {
            "Privilege Escalation",
            "Running as Non-root",
            "Seccomp",
            "Capabilities (restricted)",
        }


@pytest.mark.oracle
@pytest.mark.parametrize("version", ["v1.25", "latest"])
def test_verdicts_and_messages_are_those_of_kubernetes_cel(oracles: Path, version: str) -> None:
    policies = ours.policies()
    judged = [*_with_nulls(), *(each.pod for each in pods.generate(20, seed=3))]
    snapshot = ours.snapshot(version)
    kubernetes = _ask(oracles, policies, judged, version)
    for number, pod in enumerate(judged):
        verdict = evaluate(ours.request(pod), snapshot, ours.NOW)
        assert not verdict.errors
        mine: Found = {
            (violation.policy.name, violation.validation, violation.container): violation.message
            for violation in verdict.violations
        }
        assert mine == kubernetes[number], pod


def _with_nulls() -> Iterator[dict[str, Any]]:
    for spec in NULLS:
        for metadata in ({"annotations": None}, {"annotations": {pods.APPARMOR_ANNOTATION + "web": None}}):
            yield {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "nulls", **metadata}, "spec": spec}


def _ask(
    oracles: Path, policies: list[dict[str, Any]], judged: list[dict[str, Any]], version: str
) -> list[Found]:
    """Return what each pod violates according to Kubernetes' CEL."""
    bindings: dict[str, Any] = {}
    cases: list[dict[str, Any]] = []
    places: list[tuple[int, tuple[str, str, str], str, str]] = []
    for number, pod in enumerate(judged):
        bindings[str(number)] = {"object": pod, "params": {"version": version}}
        for policy in policies:
            for validation in policy["spec"]["validations"]:
                for kind, position, name in _places(pod, bool(validation.get("forEach"))):
                    for field in ("expression", "messageExpression"):
                        if field not in validation:
                            continue
                        source = validation[field]
                        if kind:
                            source = f"[object.spec.{kind}[{position}]].map(container, {source})[0]"
                        cases.append(
                            {
                                "id": str(len(cases)),
                                "expr": source,
                                "b": str(number),
                                "variables": policy["spec"].get("variables", []),
                            }
                        )
                        key = (policy["metadata"]["name"], validation["name"], name)
                        places.append((number, key, field, validation["message"]))
    done = subprocess.run(
        [oracles / "cel-oracle"],
        input=json.dumps({"bindings": bindings, "cases": cases}).encode(),
        capture_output=True,
        check=True,
    )
    found: list[Found] = [{} for _ in judged]
    for (number, key, field, message), answer in zip(places, json.loads(done.stdout), strict=True):
        if field == "expression":
            assert answer["stage"] == "ok", (key, answer)
            if answer["value"] is not True:
                found[number][key] = message
        else:
            assert answer["stage"] != "compile", (key, answer)
            if key in found[number]:
                assert answer["stage"] == "ok", (key, answer)
                found[number][key] = answer["value"]
    return found


def _places(pod: dict[str, Any], each_container: bool) -> list[tuple[str, int, str]]:
    """Return list, position and name of each container, or one place for the whole pod."""
    if not each_container:
        return [("", 0, "")]
    return [
        (kind, position, container["name"])
        for kind in CONTAINER_KINDS
        for position, container in enumerate(pod["spec"].get(kind) or ())
    ]

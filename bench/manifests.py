"""The rules of `bench.rules` as manifests: ClusterPolicies, ConstraintTemplates and constraints."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from bench.pods import NAMESPACE
from bench.rules import Policy, Rule

CONSTRAINTS = "constraints.gatekeeper.sh"
_TARGET = "admission.k8s.gatekeeper.sh"
_WORD = re.compile(r"\b(object|params)\.")

Manifest = dict[str, Any]


def namespace() -> Manifest:
    """Return the Pods' Namespace."""
    labels = {"kubernetes.io/metadata.name": NAMESPACE, "stage": "prod"}
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE, "labels": labels}}


def cluster_policy(policy: Policy, bystander: bool = False) -> Manifest:
    """Return a policy as a ClusterPolicy; a bystander judges something else than the Pods here."""
    rule = policy.rule
    match: Manifest = {
        "resourceRules": [
            {
                "apiGroups": [""],
                "apiVersions": ["v1"],
                "resources": ["pods"],
                "operations": ["CREATE", "UPDATE"],
            }
        ]
    }
    if bystander:
        match = _bystander(match, policy)
    validation = {"name": rule.name, "expression": rule.cel, "message": f"{rule.name} is not met"}
    if rule.each:
        validation["forEach"] = "containers"
    return {
        "apiVersion": "tidewaiter.dev/v1alpha1",
        "kind": "ClusterPolicy",
        "metadata": {"name": policy.name},
        "spec": {"matchConstraints": match, "params": dict(policy.params), "validations": [validation]},
    }


def _bystander(match: Manifest, policy: Policy) -> Manifest:
    """Return constraints that leave the Pods out, by one of the ways in which policies do."""
    rule = match["resourceRules"][0]
    match int(policy.name[-2:]) % 3:
        case 0:
            return {"resourceRules": [{**rule, "resources": ["services"]}]}
        case 1:
            return {**match, "namespaceSelector": {"matchLabels": {"team": policy.name}}}
        case _:
            return {**match, "objectSelector": {"matchLabels": {"app": policy.name}}}


def constraint_template(rule: Rule, kind: str, engine: str = "Rego") -> Manifest:
    """Return a rule as a ConstraintTemplate, in Rego or in CEL (``K8sNativeValidation``)."""
    if engine == "Rego":
        source: Manifest = {"rego": f"package {kind.lower()}\n{rule.rego}"}
    else:
        source = {
            "validations": [{"expression": _constraint_cel(rule), "message": f"{rule.name} is not met"}]
        }
    return {
        "apiVersion": "templates.gatekeeper.sh/v1",
        "kind": "ConstraintTemplate",
        "metadata": {"name": kind.lower()},
        "spec": {
            "crd": {
                "spec": {
                    "names": {"kind": kind},
                    "validation": {
                        "openAPIV3Schema": {
                            "type": "object",
                            "properties": {name: _schema(value) for name, value in rule.params(0).items()},
                        }
                    },
                }
            },
            "targets": [{"target": _TARGET, "code": [{"engine": engine, "source": source}]}],
        },
    }


def constraint(policy: Policy) -> Manifest:
    """Return a policy as a constraint of its rule's kind."""
    return {
        "apiVersion": f"{CONSTRAINTS}/v1beta1",
        "kind": policy.kind,
        "metadata": {"name": policy.name},
        "spec": {
            "match": {"kinds": [{"apiGroups": [""], "kinds": ["Pod"]}]},
            "parameters": dict(policy.params),
        },
    }


def templates(policies: Sequence[Policy], engine: str = "Rego") -> list[Manifest]:
    """Return the ConstraintTemplates of the policies' constraints."""
    rules = {policy.kind: policy.rule for policy in policies}
    return [constraint_template(rule, kind, engine) for kind, rule in rules.items()]


def _schema(value: object) -> Manifest:
    if isinstance(value, list):
        return {"type": "array", "items": {"type": "string"}}
    return {"type": "integer" if isinstance(value, int) else "string"}


def _constraint_cel(rule: Rule) -> str:
    renamed = _WORD.sub(
        lambda word: "variables.anyObject." if word[1] == "object" else "variables.params.", rule.cel
    )
    if not rule.each:
        return renamed
    spec = "variables.anyObject.spec"
    return " && ".join(
        f"(!has({spec}.{field}) || {spec}.{field}.all(container, {renamed}))"
        for field in ("containers", "initContainers", "ephemeralContainers")
    )

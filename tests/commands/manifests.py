"""Manifests as text, for tests of the offline commands."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

API = "tidewaiter.dev/v1alpha1"
PODS = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}
DEPLOYMENTS = {**PODS, "apiGroups": ["apps"], "resources": ["deployments"]}
NON_ROOT = {
    "name": "run-as-non-root",
    "forEach": "containers",
    "fieldPath": "securityContext.runAsNonRoot",
    "expression": "container.?securityContext.?runAsNonRoot.orValue(false)",
    "message": "must run as non-root",
}


def write(file: str, *objects: dict[str, Any]) -> str:
    """Write objects as a YAML stream (JSON is YAML), and return the file's name."""
    path = Path(file)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"---\n{json.dumps(obj)}\n" for obj in objects))
    return file


def policy(name: str = "non-root", *validations: dict[str, Any], **spec: Any) -> dict[str, Any]:
    namespace = spec.pop("namespace", "")
    return {
        "apiVersion": API,
        "kind": "Policy" if namespace else "ClusterPolicy",
        "metadata": {"name": name, **({"namespace": namespace} if namespace else {})},
        "spec": {
            "severity": "medium",
            "remediation": f"Do as {name} says.",
            "matchConstraints": {"resourceRules": spec.pop("rules", [PODS])},
            "podTemplates": True,
            "validations": list(validations) or [NON_ROOT],
            **spec,
        },
    }


def always(name: str = "never", **spec: Any) -> dict[str, Any]:
    """Return a policy that every Pod violates."""
    return policy(name, {"name": "never", "expression": "false", "message": "not like this"}, **spec)


def pod(name: str = "web", *, root: bool = True, **metadata: Any) -> dict[str, Any]:
    container: dict[str, Any] = {"name": "app", "image": "registry.example.com/app:1"}
    if not root:
        container["securityContext"] = {"runAsNonRoot": True}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": "shop", **metadata},
        "spec": {"containers": [container]},
    }


def deployment(name: str = "web", *, root: bool = True, **metadata: Any) -> dict[str, Any]:
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": "shop", **metadata},
        "spec": {"template": {"spec": pod(root=root)["spec"]}},
    }


def namespace(name: str = "shop", **labels: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}


def appetite(**rule: Any) -> dict[str, Any]:
    rules = [
        {
            "severities": ["low", "medium", "high"],
            "maxDuration": "90d",
            "approvers": {"groups": ["risk-owners"]},
            **rule,
        }
    ]
    return {
        "apiVersion": API,
        "kind": "RiskAppetite",
        "metadata": {"name": "default"},
        "spec": {"rules": rules},
    }


def acceptance(name: str = "legacy", **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": API,
        "kind": "RiskAcceptance",
        "metadata": {"name": name, "namespace": "shop"},
        "spec": {
            "policies": [{"kind": "ClusterPolicy", "name": "non-root"}],
            "scope": {"kinds": [{"kind": "Pod"}, {"group": "apps", "kind": "Deployment"}], "names": ["web"]},
            "justification": "It is old.",
            "riskOwner": "jane.doe@example.com",
            "requester": "john.roe@example.com",
            "validFrom": "2026-11-01T00:00:00Z",
            "validUntil": "2027-01-25T00:00:00Z",
            **spec,
        },
    }


def approval(of: dict[str, Any], **spec: Any) -> dict[str, Any]:
    from webhook.core.acceptance import digest_of

    return {
        "apiVersion": API,
        "kind": "RiskApproval",
        "metadata": {"name": f"{of['metadata']['name']}-jane", "namespace": "shop"},
        "spec": {
            "riskAcceptance": of["metadata"]["name"],
            "digest": digest_of(of),
            "approver": "jane.doe@example.com",
            "groups": ["risk-owners"],
            "approvedAt": "2026-11-02T09:00:00Z",
            **spec,
        },
    }

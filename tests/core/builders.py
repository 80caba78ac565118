"""Builders for tests of the core: policies whose programs are plain Python functions, and requests."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from webhook.core.acceptance import digest_of, parse_acceptance
from webhook.core.activation import Activation
from webhook.core.appetite import parse_appetite
from webhook.core.approvals import Approval, parse_approval
from webhook.core.coverage import Register
from webhook.core.match import PolicyIndex
from webhook.core.model import PolicyRef
from webhook.core.owners import parse_owner
from webhook.core.policy import CompiledPolicy, Rule, Validation
from webhook.core.review import AdmissionRequest
from webhook.core.snapshot import Params, Snapshot
from webhook.core.standing import Surroundings

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
PODS = Rule(
    frozenset({""}), frozenset({"v1"}), frozenset({"pods"}), frozenset({"CREATE", "UPDATE", "DELETE"})
)
REPLICASET_CONTROLLER = "system:serviceaccount:kube-system:replicaset-controller"
PLURALS = {"Pod": "pods", "Deployment": "deployments", "ReplicaSet": "replicasets", "Namespace": "namespaces"}


def validation(program: Callable[[Activation], Any], name: str = "rule", **options: Any) -> Validation:
    return Validation(name=name, program=program, message=f"{name} is not met", **options)


def non_root(activation: Activation) -> Any:
    return (activation.container.get("securityContext") or {}).get("runAsNonRoot") is True


NON_ROOT = validation(
    non_root, "run-as-non-root", for_each_container=True, field_path="securityContext.runAsNonRoot"
)


def policy(
    *validations: Validation, name: str = "policy", namespace: str = "", **options: Any
) -> CompiledPolicy:
    kind = "Policy" if namespace else "ClusterPolicy"
    options.setdefault("rules", (PODS,))
    return CompiledPolicy(
        ref=PolicyRef(kind, namespace, name), generation=1, validations=tuple(validations), **options
    )


def container(name: str = "app", image: str = "registry.example.com/app:1", **fields: Any) -> dict[str, Any]:
    return {"name": name, "image": image, **fields}


def pod(*containers: Mapping[str, Any], name: str = "web", **metadata: Any) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": "shop", **metadata},
        "spec": {"containers": list(containers) or [container()]},
    }


def workload(
    kind: str = "Deployment",
    *containers: Mapping[str, Any],
    name: str = "web",
    uid: str = "",
    **metadata: Any,
) -> dict[str, Any]:
    return {
        "apiVersion": "apps/v1",
        "kind": kind,
        "metadata": {"name": name, "namespace": "shop", "uid": uid or f"uid-{kind}-{name}", **metadata},
        "spec": {
            "replicas": 1,
            "template": {
                "metadata": {"labels": {"app": name}},
                "spec": {"containers": list(containers) or [container()]},
            },
        },
    }


def owned(obj: Mapping[str, Any], owner: Mapping[str, Any], **changes: Any) -> dict[str, Any]:
    result = copy.deepcopy(dict(obj))
    result["metadata"]["ownerReferences"] = [
        {
            "apiVersion": owner["apiVersion"],
            "kind": owner["kind"],
            "name": owner["metadata"]["name"],
            "uid": owner["metadata"]["uid"],
            "controller": True,
            **changes,
        }
    ]
    return result


def namespace(name: str = "shop", **labels: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {"name": name, "labels": {"kubernetes.io/metadata.name": name, **labels}},
    }


def review(
    obj: Mapping[str, Any] | None = None,
    old: Mapping[str, Any] | None = None,
    *,
    operation: str = "",
    user: str = "alice",
    groups: tuple[str, ...] = (),
    **changes: Any,
) -> dict[str, Any]:
    some = obj or old or {}
    group, _, version = some.get("apiVersion", "v1").rpartition("/")
    kind = some.get("kind", "Pod")
    metadata = some.get("metadata", {})
    resource = {"group": group, "version": version, "resource": PLURALS.get(kind, kind.lower() + "s")}
    request: dict[str, Any] = {
        "uid": "0b8e9f2a",
        "kind": {"group": group, "version": version, "kind": kind},
        "resource": resource,
        "requestKind": {"group": group, "version": version, "kind": kind},
        "requestResource": resource,
        "name": metadata.get("name", ""),
        "namespace": metadata.get("name") if kind == "Namespace" else metadata.get("namespace", ""),
        "operation": operation or ("UPDATE" if obj and old else "CREATE" if obj else "DELETE"),
        "userInfo": {"username": user, "groups": list(groups)},
        "object": obj,
        "oldObject": old,
        "dryRun": False,
        **changes,
    }
    return {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": request}


def request(*args: Any, **kwargs: Any) -> AdmissionRequest:
    return AdmissionRequest.parse(review(*args, **kwargs))


APPETITE = {
    "apiVersion": "tidewaiter.dev/v1alpha1",
    "kind": "RiskAppetite",
    "metadata": {"name": "default"},
    "spec": {
        "rules": [
            {
                "severities": ["low", "medium", "high"],
                "maxDuration": "90d",
                "approvals": 1,
                "approvers": {"groups": ["risk-owners"]},
            },
            {"severities": ["critical"], "acceptable": False},
        ]
    },
}


def acceptance(name: str = "legacy", kind: str = "RiskAcceptance", **spec: Any) -> dict[str, Any]:
    metadata = {"name": name, **({"namespace": "shop"} if kind == "RiskAcceptance" else {})}
    return {
        "apiVersion": "tidewaiter.dev/v1alpha1",
        "kind": kind,
        "metadata": metadata,
        "spec": {
            "title": "Legacy",
            "reason": "Waiver",
            "policies": [{"kind": "ClusterPolicy", "name": "policy"}],
            "scope": {"kinds": [{"group": "", "kind": "Pod"}], "names": ["web*"]},
            "justification": "until the rewrite",
            "riskOwner": "jane@example.com",
            "requester": "john@example.com",
            "validFrom": "2026-11-01T00:00:00Z",
            "validUntil": "2026-12-01T00:00:00Z",
            **spec,
        },
    }


def approval(of: Mapping[str, Any], approver: str = "jane@example.com", **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "tidewaiter.dev/v1alpha1",
        "kind": of["kind"].replace("Acceptance", "Approval"),
        "metadata": {**of["metadata"], "name": f"{of['metadata']['name']}-{approver.partition('@')[0]}"},
        "spec": {
            "riskAcceptance": of["metadata"]["name"],
            "digest": digest_of(of),
            "approver": approver,
            "groups": ["risk-owners"],
            "approvedAt": "2026-11-02T00:00:00Z",
            **spec,
        },
    }


def read_approval(obj: Mapping[str, Any]) -> Approval:
    """Read an approval as if its signature were verified: a public key in its place made it."""
    read = parse_approval(obj)
    signature = str(obj["spec"].get("signature") or "")
    if signature.startswith("ssh-"):
        return replace(read, signed_by=signature)
    return replace(read, signature_problem=signature)


def snapshot(
    *policies: CompiledPolicy,
    namespaces: tuple[Mapping[str, Any], ...] = (namespace(),),
    risks: tuple[Mapping[str, Any], ...] = (),
    approvals: tuple[Mapping[str, Any], ...] = (),
    appetite: Mapping[str, Any] | None = APPETITE,
    owners: tuple[Mapping[str, Any], ...] = (),
    params: tuple[Mapping[str, Any], ...] = (),
    **surroundings: Any,
) -> Snapshot:
    around = Surroundings(
        appetite=parse_appetite(appetite) if appetite else None, **{"trust_approvals": True, **surroundings}
    )
    known = [owner for owner in map(parse_owner, owners) if owner]
    return Snapshot(
        revision="r1",
        policies=policies,
        index=PolicyIndex(policies),
        namespaces={item["metadata"]["name"]: item for item in namespaces},
        params=Params(params),
        register=Register(map(parse_acceptance, risks), map(read_approval, approvals), around),
        owners={owner.uid: owner for owner in known},
        cluster=around.cluster,
    )

"""The Pods that both webhooks judge, as AdmissionReviews: one of 5 KB that complies, and some that don't."""

from __future__ import annotations

import copy
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import orjson

from bench.fixtures import deployment

REGISTRY = "registry.example.com"
NAMESPACE = "shop"
LABELS = (
    "app",
    "stage",
    "pod-template-hash",
    "app.kubernetes.io/name",
    "app.kubernetes.io/part-of",
    "app.kubernetes.io/component",
    "app.kubernetes.io/instance",
    "app.kubernetes.io/version",
    "app.kubernetes.io/managed-by",
    "topology.example.com/zone",
)
"""Labels of the compliant Pod, beside ``team``."""

_UID = "00000000-0000-0000-0000-000000000000"


def compliant() -> dict[str, Any]:
    """Return a Pod with three containers, as a ReplicaSet's controller makes it."""
    template = copy.deepcopy(deployment()["spec"]["template"])
    labels = {label: f"value-{number}" for number, label in enumerate(LABELS)}
    token = {"name": "kube-api-access-x7k2p", "mountPath": "/var/run/secrets/kubernetes.io/serviceaccount"}
    for container in template["spec"]["containers"]:
        container["volumeMounts"].append({**token, "readOnly": True})
    sources = [{"serviceAccountToken": {"expirationSeconds": 3607, "path": "token"}}]
    del template["spec"]["topologySpreadConstraints"]
    template["spec"]["volumes"].append(
        {"name": token["name"], "projected": {"sources": sources, "defaultMode": 420}}
    )
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": "checkout-7c5ddbdf54-2xkqv",
            "generateName": "checkout-7c5ddbdf54-",
            "namespace": NAMESPACE,
            "labels": {"team": "sales", **labels},
            "annotations": {"contact": "sales@example.com"},
            "ownerReferences": [
                {
                    "apiVersion": "apps/v1",
                    "kind": "ReplicaSet",
                    "name": "checkout-7c5ddbdf54",
                    "uid": "c2f6fb29-6fc5-4b1e-9b0a-0a7d1f0c9d11",
                    "controller": True,
                    "blockOwnerDeletion": True,
                }
            ],
        },
        "spec": {
            **template["spec"],
            "preemptionPolicy": "PreemptLowerPriority",
            "priority": 0,
            "enableServiceLinks": True,
        },
        "status": {},
    }


def _mutable_tag(pod: dict[str, Any]) -> None:
    pod["spec"]["containers"][0]["image"] = f"{REGISTRY}/shop/checkout:latest"


def _privileged(pod: dict[str, Any]) -> None:
    pod["spec"]["containers"][1]["securityContext"]["privileged"] = True


def _careless(pod: dict[str, Any]) -> None:
    del pod["metadata"]["labels"]["team"]
    pod["spec"]["hostNetwork"] = True
    pod["spec"]["containers"][2] = {"name": "debug", "image": "docker.io/library/busybox"}


def _init_container(pod: dict[str, Any]) -> None:
    container = copy.deepcopy(pod["spec"]["containers"][0])
    container["name"] = "init"
    container["resources"]["limits"]["memory"] = "64Gi"
    container["securityContext"]["runAsUser"] = 0
    pod["spec"]["initContainers"] = [container]


@dataclass(frozen=True)
class Sample:
    """An AdmissionReview and what must be answered.

    Attributes:
        name: what it is.
        head: the review up to its uid.
        tail: the rest.
        denied_by: the names of the rules that deny it.
    """

    name: str
    head: bytes
    tail: bytes
    denied_by: frozenset[str]

    def body(self, uid: bytes) -> bytes:
        """Return the review with that uid, of 36 bytes."""
        return self.head + uid + self.tail


_CASES: tuple[tuple[str, Callable[[dict[str, Any]], None] | None, frozenset[str]], ...] = (
    ("compliant", None, frozenset()),
    ("mutable tag", _mutable_tag, frozenset({"disallowed-tags"})),
    ("privileged", _privileged, frozenset({"privileged-container"})),
    ("init container", _init_container, frozenset({"max-memory", "non-root-user"})),
    (
        "careless",
        _careless,
        frozenset(
            {
                "required-labels",
                "allowed-repos",
                "disallowed-tags",
                "required-limits",
                "max-memory",
                "host-network-ports",
                "drop-capabilities",
                "required-probes",
            }
        ),
    ),
)


def samples() -> list[Sample]:
    """Return the compliant Pod, then those that must be denied."""
    found = []
    for name, change, denied_by in _CASES:
        pod = compliant()
        if change is not None:
            change(pod)
        head, tail = orjson.dumps(_review(pod)).split(_UID.encode())
        found.append(Sample(name, head, tail, denied_by))
    return found


def uids() -> Callable[[], bytes]:
    """Return what gives a new uid with each call."""
    prefix = str(uuid.uuid4())[:24]
    number = 0

    def new() -> bytes:
        nonlocal number
        number += 1
        return f"{prefix}{number:012x}".encode()

    return new


def _review(pod: dict[str, Any]) -> dict[str, Any]:
    kind = {"group": "", "version": "v1", "kind": "Pod"}
    resource = {"group": "", "version": "v1", "resource": "pods"}
    return {
        "kind": "AdmissionReview",
        "apiVersion": "admission.k8s.io/v1",
        "request": {
            "uid": _UID,
            "kind": kind,
            "resource": resource,
            "requestKind": kind,
            "requestResource": resource,
            "name": pod["metadata"]["name"],
            "namespace": NAMESPACE,
            "operation": "CREATE",
            "userInfo": {
                "username": "system:serviceaccount:kube-system:replicaset-controller",
                "uid": "3a9f1f0e-8a50-4a8e-a3e8-1d2b7c1f9f60",
                "groups": [
                    "system:serviceaccounts",
                    "system:serviceaccounts:kube-system",
                    "system:authenticated",
                ],
            },
            "object": pod,
            "oldObject": None,
            "dryRun": False,
            "options": {"kind": "CreateOptions", "apiVersion": "meta.k8s.io/v1"},
        },
    }

"""Which workloads the snapshot needs for owner chains, and what of each: only where a risk is accepted."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from webhook.operator.client import Resource

RESOURCES = (
    Resource("apps", "v1", "replicasets", "ReplicaSet", namespaced=True),
    Resource("apps", "v1", "deployments", "Deployment", namespaced=True),
    Resource("apps", "v1", "statefulsets", "StatefulSet", namespaced=True),
    Resource("apps", "v1", "daemonsets", "DaemonSet", namespaced=True),
    Resource("apps", "v1", "controllerrevisions", "ControllerRevision", namespaced=True),
    Resource("batch", "v1", "jobs", "Job", namespaced=True),
    Resource("batch", "v1", "cronjobs", "CronJob", namespaced=True),
    Resource("", "v1", "replicationcontrollers", "ReplicationController", namespaced=True),
)

_METADATA = ("name", "namespace", "uid", "creationTimestamp", "ownerReferences", "labels")
_SPEC = ("template", "jobTemplate")

Object = dict[str, Any]


def covered_namespaces(acceptances: Iterable[Mapping[str, Any]]) -> frozenset[str]:
    """Return the namespaces that acceptances are for, by name or with ``*`` for any text."""
    found: set[str] = set()
    for acceptance in acceptances:
        if acceptance.get("kind") == "RiskAcceptance":
            found.add((acceptance.get("metadata") or {}).get("namespace") or "default")
        else:
            scope = (acceptance.get("spec") or {}).get("scope") or {}
            found.update(str(name) for name in scope.get("namespaces") or ())
    return frozenset(found)


def keep_in(namespaces: frozenset[str]) -> Callable[[Object], Object | None]:
    """Return what an informer keeps of a workload: its record, where its namespace is one of `namespaces`."""
    names = frozenset(name for name in namespaces if "*" not in name)
    patterns = [name.split("*") for name in namespaces - names]

    def keep(item: Object) -> Object | None:
        namespace = item["metadata"].get("namespace", "")
        if namespace in names or any(_matches(parts, namespace) for parts in patterns):
            return reduce(item)
        return None

    return keep


def _matches(parts: list[str], text: str) -> bool:
    """Tell whether `text` is made of `parts` with any text between them."""
    first, *middle, last = parts
    if not text.startswith(first) or not text.endswith(last) or len(text) < len(first) + len(last):
        return False
    place, end = len(first), len(text) - len(last)
    for part in middle:
        found = text.find(part, place, end)
        if found < 0:
            return False
        place = found + len(part)
    return True


def reduce(item: Mapping[str, Any]) -> Object:
    """Return of a workload only what says where it comes from and which Pods it makes."""
    metadata, spec = item["metadata"], item.get("spec") or {}
    reduced: Object = {
        "apiVersion": item["apiVersion"],
        "kind": item["kind"],
        "metadata": {name: metadata[name] for name in _METADATA if name in metadata},
    }
    if item["kind"] == "ControllerRevision":
        reduced["data"] = item.get("data")
    else:
        reduced["spec"] = {name: spec[name] for name in _SPEC if name in spec}
    return reduced

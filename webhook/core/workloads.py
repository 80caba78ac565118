"""Workload kinds and where their pod templates are."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from webhook.core.canonical import canonical_json
from webhook.core.fields import metadata_of
from webhook.core.model import GroupKind
from webhook.core.selectors import labels_of

_TEMPLATE = ("spec", "template")

TEMPLATE_PATHS: Mapping[GroupKind, tuple[str, ...]] = {
    GroupKind("apps", "Deployment"): _TEMPLATE,
    GroupKind("apps", "ReplicaSet"): _TEMPLATE,
    GroupKind("apps", "StatefulSet"): _TEMPLATE,
    GroupKind("apps", "DaemonSet"): _TEMPLATE,
    GroupKind("batch", "Job"): _TEMPLATE,
    GroupKind("batch", "CronJob"): ("spec", "jobTemplate", "spec", "template"),
    GroupKind("", "ReplicationController"): _TEMPLATE,
    GroupKind("", "PodTemplate"): ("template",),
}
"""Kinds that hold a pod template, and the path to it."""

RESOURCES: Mapping[tuple[str, str], GroupKind] = {
    ("apps", "deployments"): GroupKind("apps", "Deployment"),
    ("apps", "replicasets"): GroupKind("apps", "ReplicaSet"),
    ("apps", "statefulsets"): GroupKind("apps", "StatefulSet"),
    ("apps", "daemonsets"): GroupKind("apps", "DaemonSet"),
    ("batch", "jobs"): GroupKind("batch", "Job"),
    ("batch", "cronjobs"): GroupKind("batch", "CronJob"),
    ("", "replicationcontrollers"): GroupKind("", "ReplicationController"),
    ("", "podtemplates"): GroupKind("", "PodTemplate"),
}
"""The same kinds by API group and resource."""

# What the controllers add to the template of the objects they make.
_CONTROLLER_LABELS = frozenset(
    {
        "pod-template-hash",
        "controller-uid",
        "job-name",
        "batch.kubernetes.io/controller-uid",
        "batch.kubernetes.io/job-name",
    }
)


def template_of(workload: Mapping[str, Any], path: tuple[str, ...]) -> Mapping[str, Any] | None:
    """Return the pod template at `path` of `workload`, or None where there is no map."""
    value: Any = workload
    for part in path:
        if not isinstance(value, Mapping):
            return None
        value = value.get(part)
    return value if isinstance(value, Mapping) else None


def pod_of(template: Mapping[str, Any], namespace: str) -> dict[str, Any]:
    """Return the Pod that `template` makes in `namespace`, as expressions see it."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {**metadata_of(template), "namespace": namespace},
        "spec": template.get("spec"),
    }


def template_digest(template: Mapping[str, Any]) -> str:
    """Return a digest that is equal for a workload's template and for what its controller copies from it.

    The labels that Kubernetes' own controllers add and the empty creationTimestamp are left out.
    """
    labels = labels_of(template)
    reduced = {
        "labels": {key: value for key, value in labels.items() if key not in _CONTROLLER_LABELS},
        "annotations": metadata_of(template).get("annotations") or {},
        "spec": template.get("spec"),
    }
    return hashlib.sha256(canonical_json(_without_floats(reduced))).hexdigest()


def _without_floats(value: Any) -> Any:
    """Return `value` with floats and big integers as text, since canonical JSON refuses them."""
    if isinstance(value, float) or (isinstance(value, int) and abs(value) >= 2**53):
        return repr(value)
    if isinstance(value, Mapping):
        return {key: _without_floats(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_without_floats(item) for item in value]
    return value

"""The fields of ``request`` and ``namespaceObject``, which Kubernetes declares with types.

As k8s.io/apiserver, pkg/admission/plugin/cel (BuildRequestType, BuildNamespaceType) declares
them: naming another field is a compile error there and here.
"""

from __future__ import annotations

from collections.abc import Mapping

_GVK = dict.fromkeys(("group", "version", "kind"), "json")
_GVR = dict.fromkeys(("group", "version", "resource"), "json")

SCHEMAS: Mapping[str, Mapping[str, str]] = {
    "@request": {
        "kind": "@kind",
        "resource": "@resource",
        "subResource": "json",
        "requestKind": "@kind",
        "requestResource": "@resource",
        "requestSubResource": "json",
        "name": "json",
        "namespace": "json",
        "operation": "json",
        "userInfo": "@userInfo",
        "dryRun": "json",
        "options": "json",
    },
    "@kind": _GVK,
    "@resource": _GVR,
    "@userInfo": dict.fromkeys(("username", "uid", "groups", "extra"), "json"),
    "@namespace": {"metadata": "@metadata", "spec": "@spec", "status": "@status"},
    "@metadata": dict.fromkeys(
        (
            "name",
            "generateName",
            "namespace",
            "labels",
            "annotations",
            "UID",
            "creationTimestamp",
            "deletionGracePeriodSeconds",
            "deletionTimestamp",
            "generation",
            "resourceVersion",
            "finalizers",
        ),
        "json",
    ),
    "@spec": {"finalizers": "json"},
    "@status": {"phase": "json", "conditions": "json"},
}
"""The fields of each declared type; a leaf is only known to be plain JSON, since nobody
checked the data against the declaration."""

ROOTS: Mapping[str, str] = {
    "object": "json",
    "oldObject": "json",
    "request": "@request",
    "params": "json",
    "namespaceObject": "@namespace",
    "authorizer": "dyn",
    "variables": "@variables",
}
"""The variables of Kubernetes' ValidatingAdmissionPolicy, with their types."""

CONTAINER_ROOTS: Mapping[str, str] = {**ROOTS, "container": "json", "containerKind": "json"}
"""With those that ``forEach: containers`` adds."""

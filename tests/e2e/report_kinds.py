"""The kinds of reports, for a cluster that is to have them: fields and types as their projects document them.

OpenReports: https://github.com/openreports/reports-api; the older ones:
https://github.com/kubernetes-sigs/wg-policy-prototypes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_TEXT = {"type": "string"}
_NUMBER = {"type": "integer"}
_WORDS = {"type": "object", "additionalProperties": _TEXT}
_RESULTS = ["pass", "fail", "warn", "error", "skip"]


def _record(fields: Mapping[str, Any], *required: str) -> dict[str, Any]:
    made: dict[str, Any] = {"type": "object", "properties": dict(fields)}
    return {**made, "required": list(required)} if required else made


_REFERENCE = _record(dict.fromkeys(("apiVersion", "kind", "namespace", "name", "uid"), _TEXT))
_RESULT = _record(
    {
        **dict.fromkeys(("source", "policy", "rule", "category", "message"), _TEXT),
        "severity": {"type": "string", "enum": ["critical", "high", "low", "medium", "info"]},
        "timestamp": _record(
            {"seconds": {**_NUMBER, "format": "int64"}, "nanos": _NUMBER}, "seconds", "nanos"
        ),
        "result": {"type": "string", "enum": _RESULTS},
        "scored": {"type": "boolean"},
        "resources": {"type": "array", "items": _REFERENCE},
        "properties": _WORDS,
    },
    "policy",
)


def _definition(group: str, version: str, kind: str, scope: str, *more: str) -> dict[str, Any]:
    plural = kind.lower() + "s"
    schema = _record(
        {
            **dict.fromkeys(("apiVersion", "kind", *more), _TEXT),
            "metadata": {"type": "object"},
            "scope": _REFERENCE,
            "summary": _record(dict.fromkeys(_RESULTS, _NUMBER)),
            "results": {"type": "array", "items": _RESULT},
        }
    )
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{group}"},
        "spec": {
            "group": group,
            "scope": scope,
            "names": {"kind": kind, "plural": plural, "singular": kind.lower(), "listKind": f"{kind}List"},
            "versions": [
                {"name": version, "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
            ],
        },
    }


OPENREPORTS = [
    _definition("openreports.io", "v1alpha1", "Report", "Namespaced", "source"),
    _definition("openreports.io", "v1alpha1", "ClusterReport", "Cluster", "source"),
]
WGPOLICY = [
    _definition("wgpolicyk8s.io", "v1alpha2", "PolicyReport", "Namespaced"),
    _definition("wgpolicyk8s.io", "v1alpha2", "ClusterPolicyReport", "Cluster"),
]

"""What Gatekeeper asks the API server for: its kinds, with schemas that take anything, and its own Pod."""

from __future__ import annotations

from typing import Any

_NAMES = (
    (
        "templates.gatekeeper.sh",
        "ConstraintTemplate",
        "constrainttemplates",
        "Cluster",
        ("v1", "v1beta1", "v1alpha1"),
    ),
    ("config.gatekeeper.sh", "Config", "configs", "Namespaced", ("v1alpha1",)),
    ("syncset.gatekeeper.sh", "SyncSet", "syncsets", "Cluster", ("v1alpha1",)),
    ("externaldata.gatekeeper.sh", "Provider", "providers", "Cluster", ("v1beta1", "v1alpha1")),
    ("expansion.gatekeeper.sh", "ExpansionTemplate", "expansiontemplate", "Cluster", ("v1beta1", "v1alpha1")),
    ("connection.gatekeeper.sh", "Connection", "connections", "Namespaced", ("v1alpha1",)),
    (
        "status.gatekeeper.sh",
        "ConnectionPodStatus",
        "connectionpodstatuses",
        "Namespaced",
        ("v1beta1", "v1alpha1"),
    ),
    ("status.gatekeeper.sh", "ConstraintPodStatus", "constraintpodstatuses", "Namespaced", ("v1beta1",)),
    (
        "status.gatekeeper.sh",
        "ConstraintTemplatePodStatus",
        "constrainttemplatepodstatuses",
        "Namespaced",
        ("v1beta1",),
    ),
    ("status.gatekeeper.sh", "ConfigPodStatus", "configpodstatuses", "Namespaced", ("v1beta1",)),
    (
        "status.gatekeeper.sh",
        "ExpansionTemplatePodStatus",
        "expansiontemplatepodstatuses",
        "Namespaced",
        ("v1beta1",),
    ),
    ("status.gatekeeper.sh", "ProviderPodStatus", "providerpodstatuses", "Namespaced", ("v1beta1",)),
)


def _definition(group: str, kind: str, plural: str, scope: str, versions: tuple[str, ...]) -> dict[str, Any]:
    schema = {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{group}"},
        "spec": {
            "group": group,
            "scope": scope,
            "names": {"kind": kind, "plural": plural, "singular": kind.lower(), "listKind": f"{kind}List"},
            "versions": [
                {
                    "name": version,
                    "served": True,
                    "storage": version == versions[0],
                    "schema": schema,
                    # What a Pod says of an object is written as a whole, status and all.
                    **({} if group == "status.gatekeeper.sh" else {"subresources": {"status": {}}}),
                }
                for version in versions
            ],
        },
    }


KINDS = [_definition(*names) for names in _NAMES]
"""Their CustomResourceDefinitions."""

NAMESPACE = "gatekeeper-system"
POD = "gatekeeper-0"
OWN: list[dict[str, Any]] = [
    {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}},
    {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": POD, "namespace": NAMESPACE},
        "spec": {"containers": [{"name": "manager", "image": "gatekeeper"}]},
    },
]
"""Its namespace, and the Pod that it takes itself for: its status objects belong to that."""

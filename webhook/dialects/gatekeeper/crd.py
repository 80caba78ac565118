"""The CustomResourceDefinition of a template's constraints, as Gatekeeper makes it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from webhook.dialects.gatekeeper.names import CONSTRAINTS

if TYPE_CHECKING:
    from webhook.dialects.gatekeeper.template import Template

LABEL = "gatekeeper.sh/constraint"

_GLOB = r"^\*?[-:a-z0-9]*\*?$"
_TEXT = {"type": "string"}
_TEXTS = {"type": "array", "items": _TEXT}
_GLOBS = {"type": "array", "items": {"type": "string", "pattern": _GLOB}}


def _described(schema: Mapping[str, Any], description: str) -> dict[str, Any]:
    return {**schema, "description": description}


_SELECTOR = {
    "type": "object",
    "x-kubernetes-map-type": "atomic",
    "properties": {
        "matchExpressions": {
            "type": "array",
            "x-kubernetes-list-type": "atomic",
            "items": {
                "type": "object",
                "required": ["key", "operator"],
                "properties": {
                    "key": _TEXT,
                    "operator": _TEXT,
                    "values": {**_TEXTS, "x-kubernetes-list-type": "atomic"},
                },
            },
        },
        "matchLabels": {"type": "object", "additionalProperties": _TEXT},
    },
}

_MATCH = {
    "type": "object",
    "description": "Which objects the constraint is for. Every field that is given must match.",
    "properties": {
        "excludedNamespaces": _described(
            _GLOBS, "Namespaces that are left out; a * may begin or end a name."
        ),
        "kinds": {
            "type": "array",
            "description": "Groups and kinds of the objects; one entry must match.",
            "items": {"type": "object", "properties": {"apiGroups": _TEXTS, "kinds": _TEXTS}},
        },
        "labelSelector": _described(_SELECTOR, "On the object's labels."),
        "name": {
            "type": "string",
            "pattern": _GLOB,
            "description": "The object's name; a * may begin or end it.",
        },
        "namespaceSelector": _described(_SELECTOR, "On the labels of the object's Namespace."),
        "namespaces": _described(_GLOBS, "Namespaces of the objects; a * may begin or end a name."),
        "scope": _described(_TEXT, "Cluster, Namespaced, or * for both."),
        "source": {
            "type": "string",
            "enum": ["All", "Generated", "Original"],
            "description": "Objects as they are sent, those that an ExpansionTemplate makes of them, or all.",
        },
    },
}


def constraint_schema(template: Template) -> dict[str, Any]:
    """Return the schema of a template's constraints."""
    properties: dict[str, Any] = {
        "match": _MATCH,
        "enforcementAction": {"type": "string", "default": "deny"},
        "scopedEnforcementActions": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {
                    "action": _TEXT,
                    "enforcementPoints": {
                        "type": "array",
                        "items": {"type": "object", "properties": {"name": _TEXT}},
                    },
                },
            },
        },
    }
    if template.parameters is not None:
        properties["parameters"] = template.parameters
    return {
        "type": "object",
        "properties": {
            "apiVersion": _TEXT,
            "kind": _TEXT,
            "metadata": {"type": "object", "properties": {"name": {"type": "string", "maxLength": 63}}},
            "spec": {"type": "object", "properties": properties},
            "status": {"x-kubernetes-preserve-unknown-fields": True},
        },
    }


def definition(template: Template) -> dict[str, Any]:
    """Return the CustomResourceDefinition of a template's constraints."""
    plural = template.kind.lower()
    columns = [
        {
            "name": "enforcement-action",
            "description": "Type of enforcement action",
            "jsonPath": ".spec.enforcementAction",
            "type": "string",
        },
        {
            "name": "total-violations",
            "description": "Total number of violations",
            "jsonPath": ".status.totalViolations",
            "type": "integer",
        },
    ]
    schema = constraint_schema(template)
    names = {
        "kind": template.kind,
        "listKind": f"{template.kind}List",
        "plural": plural,
        "singular": plural,
        "categories": ["constraint", "constraints"],
    }
    if template.short_names:
        names["shortNames"] = list(template.short_names)
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{CONSTRAINTS}", "labels": {**template.labels, LABEL: "yes"}},
        "spec": {
            "group": CONSTRAINTS,
            "names": names,
            "scope": "Cluster",
            "versions": [
                {
                    "name": version,
                    "served": True,
                    "storage": version == "v1beta1",
                    "subresources": {"status": {}},
                    "additionalPrinterColumns": columns,
                    "schema": {"openAPIV3Schema": schema},
                }
                for version in ("v1beta1", "v1alpha1")
            ],
        },
    }

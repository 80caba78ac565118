"""The CustomResourceDefinitions of Gatekeeper's own kinds, for a cluster that has none of them.

Fields, versions and defaults are Gatekeeper's: manifests mean the same, and it can be put back.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from webhook.dialects.gatekeeper import names

_TEXT = {"type": "string"}
_TEXTS = {"type": "array", "items": _TEXT}
_FLAG = {"type": "boolean"}
_ANY = {"x-kubernetes-preserve-unknown-fields": True}
_GLOBS = {"type": "array", "items": {"type": "string", "pattern": r"^\*?[-:a-z0-9]*\*?$"}}
_STATUS = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
_GVK = {"type": "object", "properties": {"group": _TEXT, "version": _TEXT, "kind": _TEXT}}
_GVKS = {"type": "array", "items": _GVK}


def _map(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties}


def _template(*, legacy: bool) -> dict[str, Any]:
    code = _map(engine=_TEXT, source=_ANY)
    code["required"] = ["engine", "source"]
    validation = _map(
        legacySchema={"type": "boolean", "default": legacy},
        openAPIV3Schema={"type": "object", **_ANY},
    )
    validation["default"] = {"legacySchema": legacy}
    target = _map(
        target=_TEXT,
        rego=_TEXT,
        libs=_TEXTS,
        operations={
            "type": "array",
            "items": {"type": "string", "enum": ["*", "CREATE", "DELETE", "UPDATE", "CONNECT"]},
        },
        code={
            "type": "array",
            "items": code,
            "x-kubernetes-list-type": "map",
            "x-kubernetes-list-map-keys": ["engine"],
        },
    )
    crd = _map(spec=_map(names=_map(kind=_TEXT, shortNames=_TEXTS), validation=validation))
    return _map(spec=_map(crd=crd, targets={"type": "array", "items": target}), status=_STATUS)


def definitions() -> list[dict[str, Any]]:
    """Return the definitions of ConstraintTemplate, Config, SyncSet, ExpansionTemplate and Provider."""
    apply_to = {"type": "array", "items": _map(groups=_TEXTS, versions=_TEXTS, kinds=_TEXTS)}
    expansion = _map(
        spec=_map(applyTo=apply_to, templateSource=_TEXT, generatedGVK=_GVK, enforcementAction=_TEXT),
        status=_STATUS,
    )
    provider = _map(spec=_map(url=_TEXT, timeout={"type": "integer"}, caBundle=_TEXT), status=_STATUS)
    trace = _map(dump=_TEXT, kind=_GVK, user=_TEXT)
    config = _map(
        spec=_map(
            match={"type": "array", "items": _map(excludedNamespaces=_GLOBS, processes=_TEXTS)},
            readiness=_map(statsEnabled=_FLAG),
            sync=_map(syncOnly=_GVKS),
            validation=_map(traces={"type": "array", "items": trace}),
        ),
        status=_STATUS,
    )
    return [
        _definition(
            names.TEMPLATE,
            "constrainttemplates",
            {"v1": _template(legacy=False), **dict.fromkeys(("v1beta1", "v1alpha1"), _template(legacy=True))},
        ),
        _definition(names.CONFIG, "configs", {"v1alpha1": config}, namespaced=True),
        _definition(names.SYNC_SET, "syncsets", {"v1alpha1": _map(spec=_map(gvks=_GVKS), status=_STATUS)}),
        _definition(
            names.EXPANSION,
            "expansiontemplate",
            {"v1alpha1": expansion, "v1beta1": expansion},
            singular="expansiontemplate",
        ),
        _definition(names.PROVIDER, "providers", {"v1beta1": provider, "v1alpha1": provider}),
    ]


def _definition(
    kind: tuple[str, str],
    plural: str,
    versions: Mapping[str, Mapping[str, Any]],
    *,
    namespaced: bool = False,
    singular: str = "",
) -> dict[str, Any]:
    group, name = kind
    stored = next(iter(versions))
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{group}", "labels": {"gatekeeper.sh/system": "yes"}},
        "spec": {
            "group": group,
            "names": {
                "kind": name,
                "listKind": f"{name}List",
                "plural": plural,
                "singular": singular or name.lower(),
            },
            "scope": "Namespaced" if namespaced else "Cluster",
            "versions": [
                {
                    "name": version,
                    "served": True,
                    "storage": version == stored,
                    "subresources": {"status": {}},
                    "schema": {"openAPIV3Schema": schema},
                }
                for version, schema in versions.items()
            ],
        },
    }

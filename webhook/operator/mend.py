"""What a live webhook configuration must become: ours put right, what others added kept; pure functions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from webhook.operator.owners import owned
from webhook.operator.webhooks import NAMESPACE_NAME, SUFFIX


def merged(wanted: Mapping[str, Any], live: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return what the live configuration must become, or None where it already is what we want.

    Only what we set is compared: fields, labels, owners, entries and expressions of a namespaceSelector that
    others added are kept (some clouds add one to every webhook), except about the namespace's name, which is
    ours.

    Args:
        wanted: what `desired` returned.
        live: the object as the API server has it.
    """
    ours = {entry["name"]: entry for entry in wanted["webhooks"]}
    entries: list[dict[str, Any]] = []
    present: dict[str, Mapping[str, Any]] = {}
    for entry in live.get("webhooks") or ():
        name = entry.get("name", "")
        if name in ours:
            present[name] = entry
        elif not name.endswith(SUFFIX):
            entries.append(dict(entry))
    entries = [_overlay(entry, present.get(name, {})) for name, entry in ours.items()] + entries
    metadata: dict[str, Any] = {}
    labels = {**(live["metadata"].get("labels") or {}), **wanted["metadata"]["labels"]}
    if labels != (live["metadata"].get("labels") or {}):
        metadata["labels"] = labels
    owners = owned(live["metadata"], wanted["metadata"].get("ownerReferences") or ())
    if owners != list(live["metadata"].get("ownerReferences") or ()):
        metadata["ownerReferences"] = owners
    if not metadata and _by_name(entries) == _by_name(live.get("webhooks") or ()):
        return None
    return {"metadata": metadata, "webhooks": entries}


def _by_name(entries: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    return sorted(entries, key=lambda entry: str(entry.get("name")))


def _overlay(ours: Mapping[str, Any], live: Mapping[str, Any]) -> dict[str, Any]:
    result = {**live, **ours}
    config = dict(ours["clientConfig"])
    result["clientConfig"] = config
    theirs = live.get("namespaceSelector") or {}
    expressions = list((ours.get("namespaceSelector") or {}).get("matchExpressions") or ())
    expressions += [
        expression
        for expression in theirs.get("matchExpressions") or ()
        if expression.get("key") != NAMESPACE_NAME
    ]
    selector = {**theirs}
    selector.pop("matchExpressions", None)
    if expressions:
        selector["matchExpressions"] = expressions
    result["namespaceSelector"] = selector
    return result

"""What moves a constraint's enforcement at admission from Gatekeeper to us, and back; pure functions.

Each way has two steps, and between them both enforce it: who takes it begins before who had it ends.

Our enforcement point is named by an annotation, not in ``spec``: Gatekeeper 3.23 refuses a constraint that
names a point that it doesn't know, and where its webhook isn't asked it keeps to what it had before.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from webhook.core.constraint import AUDIT_POINT, EVERY_POINT, GATOR_POINT, OWN_POINT, WEBHOOK_POINT
from webhook.core.errors import InputError
from webhook.dialects.gatekeeper.constraint import ACTION_ANNOTATION
from webhook.dialects.gatekeeper.names import CONSTRAINTS
from webhook.operator.client import Resource

TAKEN_ANNOTATION = "tidewaiter.dev/taken-over"
"""How the constraint was before, so that it can be put back."""

_ACTION_FIELDS = ("enforcementAction", "scopedEnforcementActions")
_LEFT_TO_GATEKEEPER = (AUDIT_POINT, GATOR_POINT)
_STRENGTH = ("deny", "warn", "dryrun")

Object = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Change:
    """What becomes of a constraint.

    Attributes:
        annotations: those that change; None for one that goes.
        spec: its fields that change; None for one that goes.
        said: what it does, for people.
    """

    annotations: Mapping[str, str | None]
    spec: Mapping[str, Any]
    said: str


def taking_over(constraint: Mapping[str, Any]) -> Change | None:
    """Return the change that moves a constraint to our enforcement point; None where it is there already.

    Its annotations alone let both enforce it. Where only they are there, the rest is still to be done.

    Args:
        constraint: as the API server has it.

    Raises:
        InputError: its actions or what was noted can't be read.
    """
    metadata, spec = constraint["metadata"], constraint.get("spec") or {}
    annotations = metadata.get("annotations") or {}
    before = {name: spec.get(name) for name in _ACTION_FIELDS}
    given = annotations.get(ACTION_ANNOTATION)
    if TAKEN_ANNOTATION in annotations:
        noted = _noted(annotations[TAKEN_ANNOTATION])
        if {name: noted.get(name) for name in _ACTION_FIELDS} != before:
            return None
        given = noted.get("annotation")
    moved, own = [], []
    for each in _scoped(spec.get("enforcementAction") or "deny", spec.get("scopedEnforcementActions")):
        points = [point for point in each["points"] if point != WEBHOOK_POINT]
        if EVERY_POINT in points:
            points = [*_LEFT_TO_GATEKEEPER]
        if {EVERY_POINT, WEBHOOK_POINT} & set(each["points"]):
            own.append(each["action"])
        if points:
            moved.append(
                {"action": each["action"], "enforcementPoints": [{"name": point} for point in points]}
            )
    if not own:
        raise InputError("Gatekeeper does not enforce it at admission: there is nothing to take over")
    action = min(own, key=_STRENGTH.index)
    if given in _STRENGTH:
        action = min(action, given, key=_STRENGTH.index)
    note = {**before, **({"annotation": given} if given is not None else {})}
    return Change(
        {TAKEN_ANNOTATION: json.dumps(note, sort_keys=True), ACTION_ANNOTATION: action},
        {"enforcementAction": "scoped", "scopedEnforcementActions": moved},
        f"{action} is enforced by Tidewaiter, at {OWN_POINT}; Gatekeeper keeps its audit",
    )


def giving_back(constraint: Mapping[str, Any]) -> Change | None:
    """Return the change that undoes `taking_over`; None where nothing was taken over.

    Its spec alone lets both enforce it.

    Raises:
        InputError: what was noted can't be read.
    """
    text = (constraint["metadata"].get("annotations") or {}).get(TAKEN_ANNOTATION)
    if text is None:
        return None
    noted = _noted(text)
    spec = {name: noted.get(name) for name in _ACTION_FIELDS}
    action = spec["enforcementAction"] or "deny"
    return Change(
        {TAKEN_ANNOTATION: None, ACTION_ANNOTATION: noted.get("annotation")},
        spec,
        f"Gatekeeper enforces it again, as before ({action})",
    )


def _noted(text: str) -> Mapping[str, Any]:
    try:
        noted = json.loads(text)
    except ValueError:
        noted = None
    if not isinstance(noted, dict):
        raise InputError(
            f"the annotation {TAKEN_ANNOTATION} can't be read: {text!r}. How the constraint was before isn't "
            f"known: write its spec as it is to be, and remove {TAKEN_ANNOTATION} and {ACTION_ANNOTATION}"
        )
    return noted


def _scoped(action: Any, given: Any) -> list[dict[str, Any]]:
    if action != "scoped":
        if action not in _STRENGTH:
            raise InputError(f"{action!r} is no enforcementAction")
        return [{"action": action, "points": [EVERY_POINT]}]
    try:
        found = [
            {"action": str(each["action"]), "points": [str(p["name"]) for p in each["enforcementPoints"]]}
            for each in given or ()
        ]
    except (TypeError, KeyError):
        raise InputError("spec.scopedEnforcementActions can't be read") from None
    if any(each["action"] not in _STRENGTH for each in found):
        raise InputError("spec.scopedEnforcementActions has an action that is none")
    return found


def with_annotations(constraint: Mapping[str, Any], change: Change) -> Object:
    """Return the constraint with the annotations of a change alone."""
    after: Object = copy.deepcopy(dict(constraint))
    annotations = {**(after["metadata"].get("annotations") or {}), **change.annotations}
    after["metadata"]["annotations"] = {
        name: value for name, value in annotations.items() if value is not None
    }
    return after


def merged(constraint: Mapping[str, Any], change: Change) -> Object:
    """Return the constraint as it is after a change, as somebody would commit it."""
    after = with_annotations(constraint, change)
    after.pop("status", None)
    metadata = after["metadata"]
    kept = {name: metadata[name] for name in ("name", "labels") if name in metadata}
    annotations = metadata["annotations"]
    annotations.pop("kubectl.kubernetes.io/last-applied-configuration", None)
    after["metadata"] = {**kept, **({"annotations": annotations} if annotations else {})}
    spec = {**after.get("spec", {}), **change.spec}
    after["spec"] = {name: value for name, value in spec.items() if value is not None}
    return after


def resource_of(kind: str) -> Resource:
    """Return the resource of a kind of constraints."""
    return Resource(CONSTRAINTS, "v1beta1", kind.lower(), kind)

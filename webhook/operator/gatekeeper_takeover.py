"""Moves a constraint's enforcement at admission from Gatekeeper to us, and back.

Gatekeeper's own validation refuses enforcement points that it doesn't know, unless that is disabled. Where it
refuses ours, an annotation says what holds at our point, and Gatekeeper keeps its audit and gator.
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
from webhook.operator.client import ApiError, Client, Resource, get_or_none, merge
from webhook.operator.webhooks import CONFIGURATIONS

TAKEN_ANNOTATION = "tidewaiter.dev/taken-over"
"""How the constraint was before, so that it can be put back."""

_LEFT_TO_GATEKEEPER = (AUDIT_POINT, GATOR_POINT)
_STRENGTH = ("deny", "warn", "dryrun")

Object = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Change:
    """A merge patch of a constraint.

    Attributes:
        body: the patch.
        said: what it does, for people.
    """

    body: Object
    said: str


def taking_over(constraint: Mapping[str, Any], *, annotated: bool = False) -> Change | None:
    """Return the change that moves a constraint to our enforcement point; None where it is there already.

    Args:
        constraint: as the API server has it.
        annotated: say it by an annotation instead of a point that Gatekeeper doesn't know.

    Raises:
        InputError: its actions can't be read.
    """
    metadata, spec = constraint["metadata"], constraint.get("spec") or {}
    annotations = metadata.get("annotations") or {}
    if TAKEN_ANNOTATION in annotations:
        return None
    action = spec.get("enforcementAction") or "deny"
    scoped = _scoped(action, spec.get("scopedEnforcementActions"))
    moved, own = [], []
    for each in scoped:
        points = [point for point in each["points"] if point not in (WEBHOOK_POINT, OWN_POINT)]
        if EVERY_POINT in each["points"]:
            points = [*_LEFT_TO_GATEKEEPER]
        if {EVERY_POINT, WEBHOOK_POINT, OWN_POINT} & set(each["points"]):
            own.append(each["action"])
            if not annotated:
                points = [OWN_POINT, *points]
        if points:
            moved.append(
                {"action": each["action"], "enforcementPoints": [{"name": point} for point in points]}
            )
    if not own:
        raise InputError("it is not enforced at admission: there is nothing to take over")
    before = {name: spec.get(name) for name in ("enforcementAction", "scopedEnforcementActions")}
    notes = {TAKEN_ANNOTATION: json.dumps(before, sort_keys=True)}
    strongest = min(own, key=_STRENGTH.index)
    if annotated:
        notes[ACTION_ANNOTATION] = strongest
    body = {
        "metadata": {"resourceVersion": metadata.get("resourceVersion"), "annotations": notes},
        "spec": {"enforcementAction": "scoped", "scopedEnforcementActions": moved},
    }
    how = f"by the annotation {ACTION_ANNOTATION}" if annotated else f"at {OWN_POINT}"
    return Change(body, f"{strongest} is enforced by Tidewaiter, {how}; Gatekeeper keeps its audit")


def giving_back(constraint: Mapping[str, Any]) -> Change | None:
    """Return the change that undoes `taking_over`; None where nothing was taken over.

    Raises:
        InputError: what was noted can't be read.
    """
    metadata = constraint["metadata"]
    noted = (metadata.get("annotations") or {}).get(TAKEN_ANNOTATION)
    if noted is None:
        return None
    try:
        before = json.loads(noted)
        spec = {name: before.get(name) for name in ("enforcementAction", "scopedEnforcementActions")}
    except (ValueError, AttributeError):
        raise InputError(f"the annotation {TAKEN_ANNOTATION} can't be read: {noted!r}") from None
    body = {
        "metadata": {
            "resourceVersion": metadata.get("resourceVersion"),
            "annotations": {TAKEN_ANNOTATION: None, ACTION_ANNOTATION: None},
        },
        "spec": spec,
    }
    action = spec["enforcementAction"] or "deny"
    return Change(body, f"Gatekeeper enforces it again, as before ({action})")


def _scoped(action: str, given: Any) -> list[dict[str, Any]]:
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


def merged(constraint: Mapping[str, Any], change: Change) -> Object:
    """Return the constraint as it is after a change, as somebody would commit it."""
    after: Object = copy.deepcopy(dict(constraint))
    after.pop("status", None)
    metadata = after["metadata"]
    kept = {name: metadata[name] for name in ("name", "labels") if name in metadata}
    annotations = {**(metadata.get("annotations") or {}), **change.body["metadata"]["annotations"]}
    annotations.pop("kubectl.kubernetes.io/last-applied-configuration", None)
    annotations = {name: value for name, value in annotations.items() if value is not None}
    after["metadata"] = {**kept, **({"annotations": annotations} if annotations else {})}
    spec = {**after.get("spec", {}), **change.body["spec"]}
    after["spec"] = {name: value for name, value in spec.items() if value is not None}
    return after


def resource_of(kind: str) -> Resource:
    """Return the resource of a kind of constraints."""
    return Resource(CONSTRAINTS, "v1beta1", kind.lower(), kind)


async def run(
    client: Client, kind: str, name: str, webhook_name: str, *, undo: bool, dry: bool
) -> tuple[str, Object]:
    """Move one constraint, or put it back.

    Args:
        client: the API server.
        kind: of the constraint.
        name: its name.
        webhook_name: of our webhook configuration, which must be there.
        undo: put it back.
        dry: change nothing.

    Returns:
        what was done, for people, and the constraint as it is then.

    Raises:
        InputError: there is no such constraint, or nobody would enforce it.
        ApiError: the API server refuses, or does not answer.
    """
    resource = resource_of(kind)
    path = resource.path_of("", name)
    constraint = await get_or_none(client, path)
    if constraint is None:
        raise InputError(f"there is no {kind} {name}")
    change = giving_back(constraint) if undo else taking_over(constraint)
    if change is None:
        said = "nothing was taken over" if undo else "it was taken over already"
        return said, constraint
    if not undo and await get_or_none(client, CONFIGURATIONS.path_of("", webhook_name)) is None:
        raise InputError(f"no webhook configuration {webhook_name} is there: nobody would enforce it")
    if dry:
        return f"would be: {change.said}", merged(constraint, change)
    try:
        return change.said, await merge(client, path, change.body)
    except ApiError as error:
        if undo or "enforcement point" not in error.message:
            raise
    noted = taking_over(constraint, annotated=True)
    assert noted is not None  # noqa: S101 - the first try was one
    return noted.said, await merge(client, path, noted.body)

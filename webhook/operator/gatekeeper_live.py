"""A cluster's constraints judged here, beside what Gatekeeper's audit left in their statuses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from webhook.adapters import gator_compare
from webhook.adapters.gator_compare import Comparison, Row
from webhook.adapters.snapshots import Context, build
from webhook.core.constraint import for_audit
from webhook.core.snapshot import Snapshot
from webhook.dialects.gatekeeper import names
from webhook.operator import listing, params
from webhook.operator.client import ApiError, Client, Resource
from webhook.operator.gatekeeper_informers import FIXED, TEMPLATES
from webhook.operator.inventory import NAMESPACES

Object = dict[str, Any]


@dataclass(frozen=True, slots=True)
class _Read:
    snapshot: Snapshot
    constraints: Sequence[Object]
    notes: Sequence[str]


async def compare(client: Client) -> Comparison:
    """Judge every object that a constraint is for, and compare with the constraints' statuses.

    Gatekeeper keeps some of what its audit found, cut off, and as of then: what it kept must be found here,
    and all that is found here must be there where it kept all.

    Raises:
        ApiError: the API server does not answer.
    """
    read = await _read(client)
    snapshot = read.snapshot
    notes = [*read.notes, *(f"{each.ref}: {each.message}" for each in snapshot.failures)]
    policies = [policy for policy in snapshot.policies if policy.constraint is not None]
    context = for_audit(snapshot.constraints)
    matched = await listing.matched(client, policies)
    notes += matched.problems
    ours: list[Row] = []
    objects = 0
    now = datetime.now(UTC)
    for resource in matched.resources:
        if names.is_gatekeepers(resource.group):
            continue
        try:
            async for page in listing.pages(client, resource):
                for obj in page:
                    objects += 1
                    place = str(obj["metadata"].get("namespace") or "")
                    own = place or (obj["metadata"]["name"] if resource.kind == "Namespace" else "")
                    if own and context.excludes is not None and context.excludes(context.process, own):
                        continue
                    known = snapshot.namespaces.get(place)
                    ours += gator_compare.judged(obj, policies, context, known, now)
        except ApiError as error:
            if error.status in (0, 401):
                raise
            notes.append(f"{resource.plural}: {error.message}")
    theirs: list[Row] = []
    partly: set[str] = set()
    for constraint in read.constraints:
        rows, total, when = gator_compare.in_status(constraint)
        named = f"{constraint['kind']}/{constraint['metadata']['name']}"
        theirs += rows
        if not when:
            notes.append(f"{named}: Gatekeeper's audit has not judged it yet")
            partly.add(named)
        elif total > len(rows):
            notes.append(f"{named}: Gatekeeper keeps {len(rows)} of {total} violations, as of {when}")
            partly.add(named)
    shown = [row._replace(message=gator_compare.cut(row.message)) for row in ours]
    kept = set(theirs)
    # Where it kept a part, the rest says nothing.
    whole = [row for row in shown if row.constraint not in partly or row in kept]
    return gator_compare.compared(whole, theirs, objects, len(policies), notes)


async def _read(client: Client) -> _Read:
    namespaces = await _all(client, NAMESPACES)
    notes: list[str] = []
    objects, constraints = await read_objects(client, notes)
    return _Read(build([*namespaces, *objects], Context()), constraints, notes)


async def read_objects(client: Client, notes: list[str]) -> tuple[list[Object], list[Object]]:
    """Return Gatekeeper's objects with what they have synced, but for Namespaces; and their constraints.

    Args:
        client: the API server.
        notes: takes what could not be read.

    Raises:
        ApiError: something can't be listed.
    """
    objects: list[Object] = []
    for resource in FIXED:
        try:
            objects += await _all(client, resource)
        except ApiError as error:
            if error.status != 404:
                raise
            if resource is TEMPLATES:
                notes.append("the cluster has no ConstraintTemplates")
    constraints: list[Object] = []
    for template in [obj for obj in objects if obj["kind"] == TEMPLATES.kind]:
        plural = template["metadata"]["name"]
        kind = _text(template, "spec", "crd", "spec", "names", "kind")
        try:
            constraints += await _all(client, Resource(names.CONSTRAINTS, "v1beta1", plural, kind))
        except ApiError as error:
            if error.status != 404:
                raise
            notes.append(f"{kind}: the API server has no such kind")
    synced = build([*objects, *constraints], Context()).constraints.synced
    for group, version, kind in sorted(synced):
        api_version = f"{group}/{version}" if group else version
        try:
            found = await params.discover(client, params.ParamKind(api_version, kind))
            if found is not None and found.plural != NAMESPACES.plural:
                objects += await _all(client, found)
        except ApiError as error:
            notes.append(f"synced kind {kind}: {error.message}")
    return [*objects, *constraints], constraints


def _text(obj: Mapping[str, Any], *path: str) -> str:
    value: Any = obj
    for part in path:
        value = value.get(part) if isinstance(value, Mapping) else None
    return value if isinstance(value, str) else ""


async def _all(client: Client, resource: Resource) -> list[Object]:
    return [obj async for page in listing.pages(client, resource) for obj in page]

"""Compares what constraints say here with what Gatekeeper says: its gator, or a cluster's audit."""

from __future__ import annotations

import json
import subprocess
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

from webhook.adapters.gator_requests import plain_request
from webhook.core.activation import Budget
from webhook.core.constraint import ConstraintContext, Review
from webhook.core.errors import EvaluationError, InputError
from webhook.core.expanding import expand
from webhook.core.fields import metadata_of
from webhook.core.model import Action, strongest
from webhook.core.policy import CompiledPolicy
from webhook.core.times import nanoseconds
from webhook.dialects.gatekeeper.names import is_gatekeepers

GATOR_SECONDS = 600

Object = Mapping[str, Any]
_ACTIONS = {Action.DENY: "deny", Action.WARN: "warn", Action.AUDIT: "dryrun"}


class Row(NamedTuple):
    """One result on one object."""

    kind: str
    namespace: str
    name: str
    constraint: str
    message: str

    @property
    def target(self) -> str:
        """The object, for people."""
        return f"{self.kind} {self.namespace}/{self.name}" if self.namespace else f"{self.kind} {self.name}"


@dataclass(frozen=True, slots=True)
class Comparison:
    """What both found.

    Attributes:
        objects: how many were judged.
        constraints: by how many.
        same: results that both have.
        only_ours: those that Gatekeeper doesn't have.
        only_theirs: those that we don't have.
        notes: what keeps the comparison from being whole, for people.
    """

    objects: int
    constraints: int
    same: int
    only_ours: tuple[Row, ...]
    only_theirs: tuple[Row, ...]
    notes: tuple[str, ...] = ()

    @property
    def differs(self) -> bool:
        """Whether one has a result that the other hasn't."""
        return bool(self.only_ours or self.only_theirs)


def judged(
    obj: Object,
    policies: Iterable[CompiledPolicy],
    context: ConstraintContext,
    namespace: Object | None,
    at: datetime,
) -> list[Row]:
    """Return what constraints say of one object, as Gatekeeper's audit and gator ask them.

    Args:
        obj: the object.
        policies: the constraints.
        context: the enforcement point, the inventory and the expansions.
        namespace: the object's Namespace, as Gatekeeper would be given it.
        at: the time.
    """
    request = plain_request(obj)
    known = list(policies)
    found = _asked(obj, request.raw, request.kind, known, context, namespace, at, "Original", "")
    if context.expansions:
        place = str(metadata_of(namespace).get("name") or "") if namespace is not None else ""
        for made in expand(obj, request.kind, place, context.expansions):
            raw = plain_request(made.object).raw
            prefix = f"[Implied by {made.expansion.name}] "
            kind = made.expansion.generated
            for row in _asked(made.object, raw, kind, known, context, namespace, at, "Generated", prefix):
                found.append(
                    row._replace(kind=request.kind[2], name=request.name, namespace=request.namespace)
                )
    return found


def _asked(
    obj: Object,
    raw: Object,
    kind: tuple[str, str, str],
    policies: Sequence[CompiledPolicy],
    context: ConstraintContext,
    namespace: Object | None,
    at: datetime,
    source: str,
    prefix: str,
) -> list[Row]:
    rows = []
    metadata = metadata_of(obj)
    place, name = str(metadata.get("namespace") or ""), str(metadata.get("name") or "")
    review = Review(
        raw,
        obj,
        None,
        namespace,
        source,
        context.inventory,
        context.external,
        shows_namespace=context.shows_namespaces,
        now_ns=nanoseconds(at),
    )
    for policy in policies:
        constraint = policy.constraint
        if constraint is None or not constraint.concerns(kind[0], kind[2]):
            continue
        if constraint.actions_at(context.points, unscoped=context.unscoped) is None:
            continue
        review.budget = Budget()
        try:
            messages = (
                [each.message for each in constraint.judge(review)] if constraint.matches(review) else []
            )
        except EvaluationError as error:
            messages = [str(error)]
        named = f"{policy.ref.kind}/{policy.ref.name}"
        rows += [Row(kind[2], place, name, named, prefix + message) for message in messages]
    return rows


def compared(
    ours: Iterable[Row], theirs: Iterable[Row], objects: int, constraints: int, notes: Sequence[str] = ()
) -> Comparison:
    """Return what both found, and what only one did; a result that comes twice counts once."""
    mine, other = set(ours), set(theirs)
    return Comparison(
        objects,
        constraints,
        len(mine & other),
        tuple(sorted(mine - other)),
        tuple(sorted(other - mine)),
        tuple(notes),
    )


def gators(program: str, objects: Sequence[Object]) -> list[Row]:
    """Return what ``gator test`` says of objects, its own kinds left out.

    Args:
        program: gator.
        objects: templates, constraints and what they judge.

    Raises:
        InputError: it can't be run, or refuses the input; its own words say why.
    """
    with tempfile.TemporaryDirectory(prefix="tidewaiter-") as folder:
        file = Path(folder, "objects.yaml")
        file.write_text("\n---\n".join(json.dumps(obj) for obj in objects))
        try:
            done = subprocess.run(  # noqa: S603 - the program that the user named
                [program, "test", "--output", "json", "--filename", str(file)],
                capture_output=True,
                text=True,
                timeout=GATOR_SECONDS,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise InputError(f"gator can't be run: {error}", program) from None
    try:
        found = json.loads(done.stdout) or []
    except ValueError:
        why = (done.stderr or done.stdout).strip() or f"it ended with status {done.returncode}"
        raise InputError(f"gator refuses the input: {why}", program) from None
    rows = []
    for each in found:
        violating, constraint = each["violatingObject"], each["constraint"]
        if is_gatekeepers(str(violating.get("apiVersion", "")).partition("/")[0]):
            continue
        metadata = metadata_of(violating)
        named = f"{constraint['kind']}/{constraint['metadata']['name']}"
        place, name = str(metadata.get("namespace") or ""), str(metadata.get("name") or "")
        rows.append(Row(violating["kind"], place, name, named, each.get("msg", "")))
    return rows


def as_gator_is_given(obj: Object, namespaces: Mapping[str, Object]) -> Object | None:
    """Return the Namespace that ``gator test`` gives with an object.

    One without a namespace gets an empty one, one in ``default`` a bare one.
    """
    place = str(metadata_of(obj).get("namespace") or "")
    if not place:
        return {}
    known = namespaces.get(place)
    if known is None and place == "default":
        return {"metadata": {"name": "default"}}
    return known


def in_status(constraint: Object) -> tuple[list[Row], int, str]:
    """Return what Gatekeeper's audit left in a constraint's status, how much it found, and when."""
    status = constraint.get("status")
    known: Object = status if isinstance(status, Mapping) else {}
    named = f"{constraint.get('kind')}/{metadata_of(constraint).get('name')}"
    rows = [
        Row(
            str(each.get("kind", "")),
            str(each.get("namespace") or ""),
            str(each.get("name", "")),
            named,
            str(each.get("message", "")),
        )
        for each in known.get("violations") or ()
        if isinstance(each, Mapping)
    ]
    total = known.get("totalViolations")
    return rows, total if isinstance(total, int) else len(rows), str(known.get("auditTimestamp") or "")


def cut(message: str, longest: int = 256) -> str:
    """Return a message as Gatekeeper's audit cuts it off for a status."""
    data = message.encode("utf-8", "replace")
    if len(data) <= longest:
        return message
    return data[: longest - 3].decode("utf-8", "ignore") + "..."


def actions_of(policy: CompiledPolicy) -> str:
    """Return what a violation of a constraint does, in Gatekeeper's word."""
    return _ACTIONS[strongest(policy.actions)]


def lines(found: Comparison, who: str, style: Callable[[str, str], str]) -> list[str]:
    """Return a comparison for people.

    Args:
        found: the comparison.
        who: the other side.
        style: colours, or none.
    """
    written = []
    for title, rows in ((f"only {who}", found.only_theirs), ("only tidewaiter", found.only_ours)):
        for row in rows:
            written.append(f"{style('denied', title)} {row.target} {style('strong', row.constraint)}")
            written.append(f"    {row.message}")
    different = len(found.only_ours) + len(found.only_theirs)
    written.append(
        f"{_counted(found.objects, 'object')}, {_counted(found.constraints, 'constraint')}: "
        f"{_counted(found.same, 'result')} the same, {different} different"
    )
    return written


def _counted(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def as_data(found: Comparison, who: str) -> dict[str, Any]:
    """Return a comparison as data."""
    return {
        "other": who,
        "objects": found.objects,
        "constraints": found.constraints,
        "same": found.same,
        "onlyTidewaiter": [row._asdict() for row in found.only_ours],
        "onlyOther": [row._asdict() for row in found.only_theirs],
        "notes": list(found.notes),
    }

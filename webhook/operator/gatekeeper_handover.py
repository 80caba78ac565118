"""Carries out `gatekeeper_takeover`: first both enforce a constraint, then only who takes it."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from webhook.core.errors import InputError
from webhook.operator import gatekeeper_takeover
from webhook.operator.client import ApiError, get_or_none, merge
from webhook.operator.gatekeeper_enforcers import Ours, Where, until_theirs
from webhook.operator.gatekeeper_takeover import Change, Object

_TRIES = 5
_FORBIDDEN = 403


@dataclass
class Moving:
    """A constraint on its way.

    Attributes:
        kind: of the constraint.
        name: its name.
        object: as it is now.
        spec: as it was when it was read.
        change: what is to become of it; None where nothing is.
        said: what was done, for people.
        problem: why it could not be.
    """

    kind: str
    name: str
    object: Object = field(default_factory=dict)
    spec: Any = None
    change: Change | None = None
    said: str = ""
    problem: str = ""

    @property
    def path(self) -> str:
        """Where the API server has it."""
        return gatekeeper_takeover.resource_of(self.kind).path_of("", self.name)

    @property
    def generation(self) -> int:
        """Which spec it has."""
        generation: int = self.object["metadata"].get("generation", 0)
        return generation

    @property
    def due(self) -> Change | None:
        """What is still to be done."""
        return None if self.problem else self.change


async def take_over(where: Where, named: Sequence[tuple[str, str]], *, dry: bool) -> list[Moving]:
    """Let us enforce constraints, and Gatekeeper no more once we do.

    Args:
        where: the installation.
        named: kinds and names.
        dry: change nothing.

    Raises:
        ApiError: the API server does not answer.
        InputError: nobody here would enforce them, or what is needed can't be read.
    """
    moving = await _read(where, named, gatekeeper_takeover.taking_over, "it was taken over already")
    originals = {each.path: each.object for each in moving}
    wanted = {each.path: _begun(each.object, each.due) for each in moving if each.due}
    ours = await Ours.read(where, list(wanted.values()))
    for each in moving:
        if each.due:
            each.problem = ours.refusal(each.kind, each.name)
    if dry:
        return _shown(moving)
    begun = [each for each in moving if each.due and each.object != wanted[each.path]]
    before = await ours.revisions() if where.seconds else frozenset()
    await _each(begun, lambda each, change: _annotate(where, each, change.annotations))
    waiting = [each for each in moving if each.due]
    if waiting and where.seconds:
        # Those that were begun before change no revision.
        why = await ours.wait(before if any(each.due for each in begun) else frozenset())
        if why:
            for each in waiting:
                each.problem = f"Tidewaiter does not enforce it within {where.seconds:.0f} s: {why}"
                if each in begun and each.change:
                    old = each.change.annotations
                    await _annotate(where, each, dict.fromkeys(old) | _known(originals[each.path], old))
    await _each(moving, lambda each, change: _respecify(where, each, change.spec))
    return moving


async def give_back(where: Where, named: Sequence[tuple[str, str]], *, dry: bool) -> list[Moving]:
    """Let Gatekeeper enforce constraints as it did, and us no more once it does.

    Args:
        where: the installation.
        named: kinds and names.
        dry: change nothing.

    Raises:
        ApiError: the API server does not answer.
    """
    moving = await _read(where, named, gatekeeper_takeover.giving_back, "nothing was taken over")
    if dry:
        return _shown(moving)
    await _each(moving, lambda each, change: _respecify(where, each, change.spec))
    if where.seconds:
        until = time.monotonic() + where.seconds
        await _each(moving, lambda each, _: until_theirs(where, each.path, each.generation, until))
    await _each(moving, lambda each, change: _annotate(where, each, change.annotations))
    return moving


async def _read(
    where: Where,
    named: Sequence[tuple[str, str]],
    changing: Callable[[Object], Change | None],
    nothing: str,
) -> list[Moving]:
    moving = [Moving(kind, name) for kind, name in named]
    for each in moving:
        try:
            found = await get_or_none(where.client, each.path)
            if found is None:
                raise InputError(
                    f"there is no {each.kind} {each.name}: kubectl get constraints lists those that there are"
                )
            each.object, each.spec = found, found.get("spec")
            each.change = changing(found)
            each.said = each.change.said if each.change else nothing
        except (InputError, ApiError) as error:
            each.problem = _why(error)
    return moving


def _why(error: InputError | ApiError) -> str:
    if isinstance(error, ApiError) and error.status == _FORBIDDEN:
        return f"{error}. Who moves a constraint must be allowed to get and patch it"
    return str(error)


def _begun(constraint: Object, change: Change) -> Object:
    """Return a constraint as both enforce it."""
    return gatekeeper_takeover.with_annotations(constraint, change)


def _shown(moving: Sequence[Moving]) -> list[Moving]:
    for each in moving:
        if each.due is not None:
            each.said = f"would be: {each.due.said}"
            each.object = gatekeeper_takeover.merged(each.object, each.due)
    return list(moving)


async def _each(moving: Sequence[Moving], step: Callable[[Moving, Change], Awaitable[None]]) -> None:
    for each in moving:
        if each.due is not None:
            try:
                await step(each, each.due)
            except (InputError, ApiError) as error:
                each.problem = _why(error)


async def _annotate(where: Where, each: Moving, annotations: Mapping[str, str | None]) -> None:
    each.object = await merge(where.client, each.path, {"metadata": {"annotations": dict(annotations)}})


def _known(obj: Object, names: Mapping[str, Any]) -> dict[str, str]:
    annotations = obj["metadata"].get("annotations") or {}
    return {name: annotations[name] for name in names if name in annotations}


async def _respecify(where: Where, each: Moving, spec: Mapping[str, Any]) -> None:
    """Change the spec of a constraint that nobody else has changed meanwhile."""
    for left in reversed(range(_TRIES)):
        live = await get_or_none(where.client, each.path)
        if live is None or live["metadata"]["uid"] != each.object["metadata"]["uid"]:
            raise InputError("it was deleted meanwhile")
        if live.get("spec") != each.spec:
            raise InputError("it was changed meanwhile: look at it, and try again")
        body = {"metadata": {"resourceVersion": live["metadata"]["resourceVersion"]}, "spec": dict(spec)}
        try:
            each.object = await merge(where.client, each.path, body)
        except ApiError as error:
            if error.status != 409 or not left:  # the audits write its status all the time
                raise
        else:
            return

"""Carries out `gatekeeper_takeover`: first both enforce a constraint, then only who takes it.

Whether we enforce it is told by what the replicas say in their Leases and by the webhook configuration;
whether Gatekeeper does, by what its Pods say in the constraint's status.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from webhook.adapters.snapshots import build
from webhook.core.errors import InputError
from webhook.core.model import PolicyRef
from webhook.core.snapshot import Snapshot
from webhook.operator import gatekeeper_takeover, live_snapshot, replicas, status_registered, status_replicas
from webhook.operator.client import ApiError, Client, get_or_none, merge
from webhook.operator.gatekeeper_keeper import ID
from webhook.operator.gatekeeper_takeover import Change, Object
from webhook.operator.leader import LEASES
from webhook.operator.status_lines import Overview
from webhook.operator.status_reading import Found
from webhook.operator.webhooks import CONFIGURATIONS

SETTLE = 2.0
"""So long all must have said that they enforce: the API server takes in a configuration a moment later."""
_POLL = 0.25
_TRIES = 5


@dataclass(frozen=True, slots=True)
class Where:
    """Which installation, and how long to wait.

    Attributes:
        client: the API server.
        namespace: of the installation.
        webhook_name: of its webhook configuration.
        seconds: for who takes a constraint to say that it enforces it; 0 for not at all.
    """

    client: Client
    namespace: str
    webhook_name: str
    seconds: float


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
    ours = await _Ours.read(where, moving)
    for each in moving:
        if each.due:
            each.problem = ours.refusal(each)
    if dry:
        return _shown(moving)
    begun = [each for each in moving if each.due and each.object != ours.wanted(each)]
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
                    await _annotate(where, each, dict.fromkeys(old) | _known(ours.objects[each.path], old))
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
        await _each(moving, lambda each, _: _until_theirs(where, each, until))
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
                raise InputError(f"there is no {each.kind} {each.name}")
            each.object, each.spec = found, found.get("spec")
            each.change = changing(found)
            each.said = each.change.said if each.change else nothing
        except (InputError, ApiError) as error:
            each.problem = str(error)
    return moving


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
                each.problem = str(error)


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


async def _until_theirs(where: Where, each: Moving, until: float) -> None:
    """Wait until every Pod of Gatekeeper's webhook says that it enforces the constraint as it is now."""
    wanted = each.object["metadata"].get("generation", 0)
    while True:
        live = await get_or_none(where.client, each.path)
        if live is None:
            raise InputError("it was deleted meanwhile")
        why = _lacking(live, wanted)
        if not why:
            return
        if time.monotonic() > until:
            raise InputError(
                f"Gatekeeper does not say within {where.seconds:.0f} s that it enforces it: {why}; both may "
                "until this is done again"
            )
        await asyncio.sleep(_POLL)


def _lacking(constraint: Object, generation: int) -> str:
    status = constraint.get("status")
    pods = [
        pod
        for pod in (status.get("byPod") if isinstance(status, Mapping) else None) or ()
        if isinstance(pod, Mapping) and pod.get("id") != ID and "webhook" in (pod.get("operations") or ())
    ]
    if not pods:
        return "no Pod of its webhook is in status.byPod"
    for pod in pods:
        errors = [str(each.get("message", "")) for each in pod.get("errors") or () if isinstance(each, dict)]
        if pod.get("observedGeneration", 0) < generation:
            return f"{pod.get('id')} has not seen the change"
        if errors or not pod.get("enforced"):
            return f"{pod.get('id')}: {'; '.join(errors) or 'it is not enforced'}"
    return ""


class _Ours:
    """Tells whether our installation enforces constraints that are to be taken over.

    Args:
        where: the installation.
        snapshot: as it is once they are.
        settings: what the replicas were told.
        objects: the constraints as they were, by path.
    """

    def __init__(
        self, where: Where, snapshot: Snapshot, settings: Mapping[str, Any], objects: Mapping[str, Object]
    ) -> None:
        self.objects = objects
        self._where = where
        self._snapshot = snapshot
        self._settings = settings

    @classmethod
    async def read(cls, where: Where, moving: Sequence[Moving]) -> _Ours:
        """Read what is there, and compile it as it will be.

        Raises:
            ApiError: the API server does not answer.
            InputError: nobody here would enforce constraints.
        """
        if await get_or_none(where.client, CONFIGURATIONS.path_of("", where.webhook_name)) is None:
            raise InputError(
                f"no webhook configuration {where.webhook_name} is there: nobody would enforce it"
            )
        overview, _ = await _looked(where)
        settings = overview.settings
        if settings.get("gatekeeper") not in ("beside", "replace"):
            raise InputError(
                "the installation leaves Gatekeeper's constraints alone (gatekeeper.enabled), or it is not "
                f"in the namespace {where.namespace}"
            )
        live = await live_snapshot.read(where.client, where.namespace, where.webhook_name)
        wanted = {
            (each.kind, each.name): gatekeeper_takeover.with_annotations(each.object, each.change)
            for each in moving
            if each.due and each.change
        }
        objects = [wanted.get((obj["kind"], obj["metadata"]["name"]), obj) for obj in live.objects]
        snapshot = build(objects, live.context)
        return cls(where, snapshot, settings, {each.path: each.object for each in moving})

    def wanted(self, each: Moving) -> Object:
        """Return a constraint as both enforce it."""
        assert each.change is not None  # noqa: S101 - asked only of what changes
        return gatekeeper_takeover.with_annotations(each.object, each.change)

    def refusal(self, each: Moving) -> str:
        """Return why we could not enforce a constraint; empty where we can."""
        ref = PolicyRef(each.kind, "", each.name)
        failures = [found.message for found in self._snapshot.failures if found.ref == ref]
        if failures:
            return f"Tidewaiter can't enforce it: {failures[0]}"
        if not any(policy.ref == ref for policy in self._snapshot.enforced):
            return "Tidewaiter would not enforce it"
        return ""

    async def revisions(self) -> frozenset[str]:
        """Return the revisions that are judged by now."""
        overview, _ = await _looked(self._where)
        return frozenset(replica.revision for replica in overview.replicas if replica.alive)

    async def wait(self, before: frozenset[str]) -> str:
        """Wait until all workers judge by a new revision and are asked; return what is missing in the end."""
        start = time.monotonic()
        since: float | None = None
        while True:
            why = await self._missing(before)
            now = time.monotonic()
            since = None if why else (since or now)
            if since is not None and now - since >= SETTLE:
                return ""
            if now - start > self._where.seconds + SETTLE:
                return why or "not for long enough"
            await asyncio.sleep(_POLL)

    async def _missing(self, before: frozenset[str]) -> str:
        overview, configuration = await _looked(self._where)
        alive = [replica for replica in overview.replicas if replica.alive]
        if not alive:
            return "no replica has spoken lately"
        for replica in alive:
            if replica.revision in before:
                return f"replica {replica.name} has published nothing new"
            if not replica.workers or any(each["revision"] != replica.revision for each in replica.workers):
                return f"the workers of replica {replica.name} don't judge by what it has published"
        if configuration is None:
            return "its webhook configuration is not there"
        return status_registered.difference(
            configuration, self._snapshot.enforced, self._settings, self._where.namespace
        )


async def _looked(where: Where) -> tuple[Overview, Mapping[str, Any] | None]:
    """Return what the replicas say, and the webhook configuration."""
    selector = ",".join(f"{key}={value}" for key, value in replicas.labels(where.webhook_name).items())
    path = LEASES.path_of(where.namespace, "").rstrip("/")
    answer = await where.client.request("GET", path, params={"labelSelector": selector})
    overview = Overview()
    at = time.time() + (answer.skew or 0.0)
    status_replicas.add_replicas(overview, Found(at, {"Lease": answer.body.get("items") or []}))
    return overview, await get_or_none(where.client, CONFIGURATIONS.path_of("", where.webhook_name))

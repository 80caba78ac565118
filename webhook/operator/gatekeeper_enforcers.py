"""Tells who enforces a constraint that `gatekeeper_handover` moves: we, or Gatekeeper.

Whether we do is told by what the replicas say in their Leases and by the webhook configuration; whether
Gatekeeper does, by what its Pods say in the constraint's status.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from webhook.adapters.snapshots import build
from webhook.core.errors import InputError
from webhook.core.model import PolicyRef
from webhook.core.snapshot import Snapshot
from webhook.dialects.gatekeeper.names import TEMPLATE
from webhook.operator import live_snapshot, replicas, status_registered, status_replicas
from webhook.operator.client import Client, get_or_none
from webhook.operator.gatekeeper_keeper import ID
from webhook.operator.gatekeeper_takeover import Object
from webhook.operator.leader import LEASES
from webhook.operator.status_lines import Overview
from webhook.operator.status_reading import Found
from webhook.operator.webhooks import CONFIGURATIONS

SETTLE = 2.0
"""So long all must have said that they enforce: the API server takes in a configuration a moment later."""
_POLL = 0.25


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


async def until_theirs(where: Where, path: str, generation: int, until: float) -> None:
    """Wait until every Pod of Gatekeeper's webhook says that it enforces a constraint.

    Args:
        where: the installation.
        path: of the constraint.
        generation: of it, as it is to be enforced.
        until: when to give up.

    Raises:
        ApiError: the API server does not answer.
        InputError: they don't say so in time, or it was deleted.
    """
    while True:
        live = await get_or_none(where.client, path)
        if live is None:
            raise InputError("it was deleted meanwhile")
        why = _lacking(live, generation)
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


class Ours:
    """Tells whether our installation enforces constraints that are to be taken over.

    Args:
        where: the installation.
        snapshot: as it is once they are.
        settings: what the replicas were told.
    """

    def __init__(self, where: Where, snapshot: Snapshot, settings: Mapping[str, Any]) -> None:
        self._where = where
        self._snapshot = snapshot
        self._settings = settings

    @classmethod
    async def read(cls, where: Where, wanted: Sequence[Object]) -> Ours:
        """Read what is there, and compile it as it will be.

        Args:
            where: the installation.
            wanted: the constraints as both enforce them.

        Raises:
            ApiError: the API server does not answer.
            InputError: nobody here would enforce constraints.
        """
        if await get_or_none(where.client, CONFIGURATIONS.path_of("", where.webhook_name)) is None:
            raise InputError(
                f"no webhook configuration {where.webhook_name} is there: nobody would enforce it. Install "
                "Tidewaiter, or name its webhook configuration by --webhook-name"
            )
        overview, _ = await looked(where)
        settings = overview.settings
        if settings.get("gatekeeper") not in ("beside", "replace"):
            raise InputError(
                "the installation leaves Gatekeeper's constraints alone, or it is not in the namespace "
                f"{where.namespace}: upgrade it with gatekeeper.enabled=true and gatekeeper.mode=beside, or "
                "name its namespace by --namespace"
            )
        live = await live_snapshot.read(where.client, where.namespace, where.webhook_name)
        changed = {(each["kind"], each["metadata"]["name"]): each for each in wanted}
        objects = [changed.get((obj["kind"], obj["metadata"]["name"]), obj) for obj in live.objects]
        return cls(where, build(objects, live.context), settings)

    def refusal(self, kind: str, name: str) -> str:
        """Return why we could not enforce a constraint; empty where we can."""
        ref = PolicyRef(kind, "", name)
        template = PolicyRef(TEMPLATE.kind, "", kind.lower())
        failures = {found.ref: found.message for found in self._snapshot.failures}
        if template in failures:
            return f"Tidewaiter can't use its {template.kind}, so Gatekeeper keeps it: {failures[template]}"
        if ref in failures:
            return f"Tidewaiter can't enforce it, so Gatekeeper keeps it: {failures[ref]}"
        if not any(policy.ref == ref for policy in self._snapshot.enforced):
            return "Tidewaiter would not enforce it, so Gatekeeper keeps it"
        return ""

    async def revisions(self) -> frozenset[str]:
        """Return the revisions that are judged by now."""
        overview, _ = await looked(self._where)
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
        overview, configuration = await looked(self._where)
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


async def looked(where: Where) -> tuple[Overview, Mapping[str, Any] | None]:
    """Return what the replicas say, and the webhook configuration."""
    selector = ",".join(f"{key}={value}" for key, value in replicas.labels(where.webhook_name).items())
    path = LEASES.path_of(where.namespace, "").rstrip("/")
    answer = await where.client.request("GET", path, params={"labelSelector": selector})
    overview = Overview()
    at = time.time() + (answer.skew or 0.0)
    status_replicas.add_replicas(overview, Found(at, {"Lease": answer.body.get("items") or []}))
    return overview, await get_or_none(where.client, CONFIGURATIONS.path_of("", where.webhook_name))

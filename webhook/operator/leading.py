"""The leader's work: certificates, webhook configuration and statuses, in rounds that each may fail."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from webhook.adapters import snapshots
from webhook.adapters.reading import Cache
from webhook.core.snapshot import Snapshot
from webhook.operator import handlers
from webhook.operator.audit.keeper import Keeper
from webhook.operator.client import ApiError, KubernetesClient, Resource
from webhook.operator.gatekeeper_keeper import GatekeeperKeeper
from webhook.operator.inventory import OWN_RESOURCES
from webhook.operator.pair_files import Given
from webhook.operator.reconcile import WebhookReconciler
from webhook.operator.replicas import Replicas
from webhook.operator.status_writer import KINDS_WITH_STATUS, StatusReconciler

RESYNC = 10.0
_DEBOUNCE = 0.05
_AGAIN = 1.0
_LONGEST_PAUSE = 2.0
_LONGEST_DEBOUNCE = 0.5
_REST = 3.0

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Parts:
    """What the leader keeps in order.

    Attributes:
        certificate: makes or renews what is due; returns what should be shown, None while that isn't known.
        replicas: what all replicas say.
        webhooks: keeps the webhook configuration.
        statuses: keeps the statuses.
        audit: judges what is there already; None where nobody is to.
        gatekeeper: keeps the kinds of Gatekeeper's constraints; None where somebody else does.
        revocations: writes down what was revoked; tells whether it is done.
    """

    certificate: Callable[[], Awaitable[Given | None]]
    replicas: Replicas
    webhooks: WebhookReconciler
    statuses: StatusReconciler
    audit: Keeper | None = None
    gatekeeper: GatekeeperKeeper | None = None
    revocations: Callable[[], Awaitable[bool]] | None = None


class Leading:
    """Reconciles while this replica leads.

    Args:
        client: the API server; Kopf gets its credentials.
        parts: what is kept in order.
        trigger: set when something changed.
        snapshot: returns the present policies and acceptances, compiled; None while some are missing.

    Attributes:
        parts: what is kept in order.
        kopf: started again when it ends.
    """

    def __init__(
        self,
        client: KubernetesClient,
        parts: Parts,
        trigger: asyncio.Event,
        snapshot: Callable[[], Awaitable[Snapshot | None]],
    ) -> None:
        self.parts = parts
        watched = [resource for resource in OWN_RESOURCES if resource.kind in KINDS_WITH_STATUS]
        self.kopf = handlers.Supervised(
            lambda: handlers.registry(watched, self._seen, client.configuration), parts.statuses.unheard
        )
        self._trigger = trigger
        self._snapshot = snapshot
        self._loop = asyncio.get_running_loop()
        self._told = ""
        self._latest: Snapshot | None = None
        self._statuses_due = asyncio.Event()

    async def run(self) -> None:
        """Work until cancelled."""
        tasks = [
            asyncio.create_task(supervised("kopf", self.kopf.run)),
            asyncio.create_task(supervised("statuses", self._keep_statuses)),
        ]
        if self.parts.audit is not None:
            tasks.append(asyncio.create_task(supervised("audit", self.parts.audit.run)))
        try:
            while True:
                started = time.monotonic()
                done = await self.reconcile()
                pause = _pause(started, _DEBOUNCE, _LONGEST_DEBOUNCE)
                with contextlib.suppress(TimeoutError):
                    # Not wait_for: Python 3.11's loses a cancellation that comes just as we are triggered.
                    async with asyncio.timeout(RESYNC if done else _AGAIN):
                        await self._trigger.wait()
                    await asyncio.sleep(pause)
                self._trigger.clear()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def reconcile(self) -> bool:
        """Take every step that is due; tell whether all went well and nothing is waited for."""
        snapshot = await self._snapshot()
        if snapshot is None:
            return True
        done = True
        if self.parts.gatekeeper is not None:  # first: constraints wait for their kinds
            done = await self.parts.gatekeeper.reconcile(snapshot)
        if self.parts.revocations is not None:
            done = await self.parts.revocations() and done
        done = await self._keep_webhooks(snapshot) and done
        self._latest = snapshot
        self._statuses_due.set()
        return done

    async def _keep_statuses(self) -> None:
        """Write statuses beside everything else: thousands of them must not hold up a new policy's rules."""
        while True:
            await self._statuses_due.wait()
            self._statuses_due.clear()
            if self._latest is None:
                continue
            started = time.monotonic()
            try:
                await self.parts.statuses.reconcile(self._latest, registered=self.parts.webhooks.in_place)
            except ApiError as error:
                logger.warning("statuses: %s", error)
                self._statuses_due.set()
                await asyncio.sleep(_AGAIN)
            await asyncio.sleep(_pause(started, 0, _LONGEST_PAUSE))

    async def _keep_webhooks(self, snapshot: Snapshot) -> bool:
        keeper = self.parts.webhooks
        try:
            given = await self.parts.certificate()
            if given is None:
                return False
            acknowledged = await self._acknowledged(given)
            await keeper.reconcile(snapshot.enforced, given.trusted, acknowledged=acknowledged)
        except (ApiError, ValueError) as error:
            text = f"webhook configuration: {error}"
            if text != self._told:
                logger.warning("%s; trying again", text)
            self._told = text
            return False
        self._told = ""
        return keeper.in_place and not keeper.rotating

    async def _acknowledged(self, given: Given) -> bool:
        replicas = self.parts.replicas
        try:
            await replicas.look()
        except ApiError as error:
            # Without an answer the old authority stays trusted: that alone must not stop all else.
            logger.warning("leases of the replicas: %s", error)
            return False
        return replicas.acknowledged(given.server.fingerprint)

    def _seen(self, resource: Resource, kind: str, obj: Mapping[str, Any]) -> None:
        """Take in what Kopf saw, from its thread."""

        def take_in() -> None:
            if self.parts.statuses.saw(resource, kind, obj):
                self._trigger.set()

        with contextlib.suppress(RuntimeError):  # the loop is closed: we are stopping
            self._loop.call_soon_threadsafe(take_in)


def _pause(started: float, least: float, most: float) -> float:
    """Return how long to rest after some work: where there is much of it, others get most of the time."""
    return min(max(least, _REST * (time.monotonic() - started)), most)


class Compiled:
    """Compiles the present objects off the loop, from what was compiled before.

    Args:
        ready: there is something to compile.
        objects: returns the objects.
        context: returns what they are judged in.
    """

    def __init__(
        self,
        ready: Callable[[], bool],
        objects: Callable[[], list[dict[str, Any]]],
        context: Callable[[], snapshots.Context],
    ) -> None:
        self._ready = ready
        self._objects = objects
        self._context = context
        self._cache = Cache()

    async def __call__(self) -> Snapshot | None:
        """Return the present snapshot; None while some objects are missing."""
        if not self._ready():
            return None
        return await asyncio.to_thread(snapshots.build, self._objects(), self._context(), self._cache)


async def supervised(name: str, part: Callable[[], Awaitable[None]]) -> None:
    """Run a part of the control plane for ever: one that fails starts again."""
    while True:
        try:
            await part()
            logger.warning("%s ended: starting it again", name)
        except Exception:
            logger.exception("%s failed: starting it again", name)
        await asyncio.sleep(_AGAIN)

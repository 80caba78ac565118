"""Leader election by a Lease: one replica works, and stops by itself when it can't renew.

Times are counted from this process's own monotonic clock, never compared between machines, as in client-go's
election. The leader's work ends at the renew deadline at the latest, before another may take the Lease.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from webhook.operator.client import ApiError, Client, Resource

LEASES = Resource("coordination.k8s.io", "v1", "leases", "Lease", namespaced=True)

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Timing:
    """The three durations of an election, in seconds.

    Attributes:
        lease: after so long without a renewal another replica may take the Lease.
        renew: after so long without one the leader stops working; less than `lease`.
        retry: between two attempts.
    """

    lease: float = 15.0
    renew: float = 10.0
    retry: float = 2.0


class Elector:
    """Holds the Lease whenever it can, and runs `work` while it does.

    Args:
        client: where the Lease is.
        namespace: of the Lease.
        name: of the Lease.
        identity: who we are; unique among the replicas.
        work: runs while we lead; it is cancelled when we no longer do, and started again when it ends by
            itself.
        timing: the durations.
    """

    def __init__(
        self,
        client: Client,
        namespace: str,
        name: str,
        identity: str,
        work: Callable[[], Awaitable[None]],
        timing: Timing = Timing(),
    ) -> None:
        self._client = client
        self._namespace = namespace
        self._name = name
        self._identity = identity
        self._work = work
        self._timing = timing
        self._seen: tuple[Any, Any] | None = None
        self._seen_at = 0.0
        self._renewed = 0.0
        self._task: asyncio.Task[None] | None = None

    @property
    def leading(self) -> bool:
        """Whether the work runs here."""
        return self._task is not None

    async def run(self, stop: asyncio.Event) -> None:
        """Take part until `stop` is set, then end the work and hand the Lease over."""
        try:
            while not stop.is_set():
                await self._round()
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(stop.wait(), self._pause())
        finally:
            if self._task is not None:
                await self._end_work()
                await self._release()

    def _pause(self) -> float:
        if self._task is None:
            return self._timing.retry
        # Wake up in time for the deadline even when it falls between two attempts.
        left = self._renewed + self._timing.renew - time.monotonic()
        return max(0.01, min(self._timing.retry, left))

    async def _round(self) -> None:
        started = time.monotonic()
        limit = self._timing.renew / 2
        if self._task is not None:
            limit = max(0.05, min(limit, self._renewed + self._timing.renew - started))
        try:
            held = await asyncio.wait_for(self._take(), limit)
        except (ApiError, TimeoutError) as error:
            logger.warning("lease %s: %s", self._name, error or "timed out")
            held = None  # not known
        if held:
            self._renewed = started
            if self._task is None or self._task.done():
                logger.info("leading")
                self._task = asyncio.create_task(self._supervised())
        elif self._task is not None:
            expired = time.monotonic() - self._renewed >= self._timing.renew
            if held is False or expired:
                logger.warning("no longer leading")
                await self._end_work()

    async def _take(self) -> bool:
        """Take or renew the Lease; False when another holds it."""
        path = LEASES.path_of(self._namespace, self._name)
        try:
            lease = (await self._client.request("GET", path)).body
        except ApiError as error:
            if error.status != 404:
                raise
            return await self._write(
                "POST", LEASES.path_of(self._namespace, "").rstrip("/"), {}, transitions=0
            )
        spec = lease.setdefault("spec", {})
        holder = spec.get("holderIdentity")
        state = (holder, spec.get("renewTime"))
        if state != self._seen:
            self._seen, self._seen_at = state, time.monotonic()
        if holder == self._identity:
            return await self._write("PUT", path, lease, transitions=None)
        duration = spec.get("leaseDurationSeconds") or self._timing.lease
        if holder and time.monotonic() - self._seen_at <= duration:
            return False
        return await self._write("PUT", path, lease, transitions=int(spec.get("leaseTransitions") or 0) + 1)

    async def _write(self, method: str, path: str, lease: dict[str, Any], transitions: int | None) -> bool:
        now = _now()
        spec = dict(lease.get("spec") or {})
        spec |= {
            "holderIdentity": self._identity,
            "renewTime": now,
            "leaseDurationSeconds": max(1, round(self._timing.lease)),
        }
        if transitions is not None:
            spec |= {"acquireTime": now, "leaseTransitions": transitions}
        metadata = lease.get("metadata") or {"name": self._name, "namespace": self._namespace}
        body = {"apiVersion": LEASES.api_version, "kind": LEASES.kind, "metadata": metadata, "spec": spec}
        try:
            # The resourceVersion that was read makes the API server refuse the slower of two.
            await self._client.request(method, path, body=body)
        except ApiError as error:
            if error.status != 409:
                raise
            # After a write whose answer was lost the Lease may be ours: not known, so the deadline decides.
            self._seen = None
            if self._task is not None:
                raise
            return False
        return True

    async def _supervised(self) -> None:
        while True:
            try:
                await self._work()
                logger.warning("the leader's work ended by itself: starting it again")
            except Exception:
                logger.exception("the leader's work failed: starting it again")
            await asyncio.sleep(1)

    async def _end_work(self) -> None:
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait({task})

    async def _release(self) -> None:
        path = LEASES.path_of(self._namespace, self._name)
        try:
            lease = (await self._client.request("GET", path, timeout=2)).body
            spec = lease.get("spec") or {}
            if spec.get("holderIdentity") == self._identity:
                spec |= {"holderIdentity": "", "leaseDurationSeconds": 1, "renewTime": _now()}
                await self._client.request("PUT", path, body=lease, timeout=2)
        except ApiError as error:
            logger.warning("lease %s is not handed over: %s", self._name, error)


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")

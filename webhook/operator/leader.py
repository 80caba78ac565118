"""Leader election by a Lease: one replica works, and stops by itself when it can't renew.

Times are counted from this process's own clock, never compared between machines, as in client-go's election.
The leader's work ends at the renew deadline at the latest, before another may take the Lease; and whatever it
still does then writes nothing, since its client refuses.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from webhook.operator.client import Answer, ApiError, Client, Resource
from webhook.operator.owners import Reference, owned

LEASES = Resource("coordination.k8s.io", "v1", "leases", "Lease", namespaced=True)

_LONGEST_FACTOR = 4  # of what others may claim for themselves
_PATIENCE = 10.0
_EXIT_STUCK = 70  # EX_SOFTWARE of sysexits.h
# Where there is such a clock it also runs while the machine is suspended, as others' do.
_CLOCK: int = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)

logger = logging.getLogger(__name__)


def seconds() -> float:
    """Return the time of the clock that counts: the same for all processes of the machine."""
    return time.clock_gettime(_CLOCK)


@dataclass(frozen=True, slots=True)
class Timing:
    """The durations of an election, in seconds.

    Attributes:
        lease: after so long without a renewal another replica may take the Lease.
        renew: after so long without one the leader stops working; less than `lease`.
        retry: between two renewals.
        watch: between two looks of who does not lead, so that a Lease that was handed over is taken at once.
    """

    lease: float = 15.0
    renew: float = 10.0
    retry: float = 2.0
    watch: float = 0.5


class LeaderClient:
    """A client for the leader's work: it reads, but writes nothing once we may no longer lead.

    A process that was stopped for a while, or work that ignores that it was cancelled, would else write
    beside the next leader.

    Args:
        client: where to.
        left: returns for how many seconds we surely lead yet.
    """

    def __init__(self, client: Client, left: Callable[[], float]) -> None:
        self._client = client
        self._left = left

    async def request(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
        content_type: str = "application/json",
        timeout: float = 30.0,  # noqa: ASYNC109
        most: int = 0,
    ) -> Answer:
        """See `Client.request`."""
        if method != "GET":
            left = self._left()
            if left <= 0:
                raise ApiError(0, "", "no longer the leader: nothing is written")
            timeout = min(timeout, left)
        return await self._client.request(
            method, path, params=params, body=body, content_type=content_type, timeout=timeout, most=most
        )

    def watch(
        self, path: str, *, params: Mapping[str, str], idle: float
    ) -> contextlib.AbstractAsyncContextManager[AsyncIterator[dict[str, Any]]]:
        """See `Client.watch`."""
        return self._client.watch(path, params=params, idle=idle)


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
        owners: returns the ownerReferences of the Lease.
        abandon: called when the work does not end although another may lead soon; ends the process.
    """

    def __init__(
        self,
        client: Client,
        namespace: str,
        name: str,
        identity: str,
        work: Callable[[], Awaitable[None]],
        timing: Timing = Timing(),
        owners: Callable[[], Sequence[Reference]] = tuple,
        abandon: Callable[[], None] = lambda: os._exit(_EXIT_STUCK),
    ) -> None:
        self._client = client
        self._namespace = namespace
        self._name = name
        self._identity = identity
        self._work = work
        self._timing = timing
        self._owners = owners
        self._abandon = abandon
        self._seen: tuple[Any, Any] | None = None
        self._seen_at = 0.0
        self._seen_for = 0.0
        self._renewed = 0.0
        self._task: asyncio.Task[None] | None = None

    @property
    def leading(self) -> bool:
        """Whether the work runs here."""
        return self._task is not None

    def left(self) -> float:
        """Return for how many seconds we surely lead yet; 0.0 when we don't."""
        return max(0.0, self._renewed + self._timing.renew - seconds()) if self.leading else 0.0

    async def run(self, stop: asyncio.Event) -> None:
        """Take part until `stop` is set, then end the work and hand the Lease over."""
        try:
            while not stop.is_set():
                await self._round()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(self._pause()):
                        await stop.wait()
        finally:
            if self._task is not None:
                await self._end_work()
                await self._release()

    def _pause(self) -> float:
        if self._task is None:
            return self._timing.watch
        # Wake up in time for the deadline even when it falls between two attempts.
        left = self._renewed + self._timing.renew - seconds()
        return max(0.01, min(self._timing.retry, left))

    async def _round(self) -> None:
        started = seconds()
        limit = self._timing.renew / 2
        if self._task is not None:
            limit = max(0.05, min(limit, self._renewed + self._timing.renew - started))
        try:
            async with asyncio.timeout(limit):
                held = await self._take()
        except (ApiError, TimeoutError) as error:
            logger.warning("lease %s: %s", self._name, str(error) or "timed out")
            held = None  # not known
        if held:
            self._renewed = started
            if self._task is None or self._task.done():
                logger.info("leading")
                self._task = asyncio.create_task(self._supervised())
        elif self._task is not None:
            expired = seconds() - self._renewed >= self._timing.renew
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
            if self._task is None and self._held_by_another():
                return False  # somebody deleted it: its holder makes it anew, or stops
            return await self._write(
                "POST", LEASES.path_of(self._namespace, "").rstrip("/"), {}, transitions=0
            )
        spec = lease.setdefault("spec", {})
        holder = spec.get("holderIdentity")
        state = (holder, spec.get("renewTime"))
        if state != self._seen:
            self._seen, self._seen_at = state, seconds()
            # Who claims to need far longer than we do may not keep all others out for ever.
            claimed = spec.get("leaseDurationSeconds") or self._timing.lease
            self._seen_for = min(claimed, _LONGEST_FACTOR * self._timing.lease)
        if holder == self._identity:
            return await self._write("PUT", path, lease, transitions=None)
        if self._held_by_another():
            return False
        return await self._write("PUT", path, lease, transitions=int(spec.get("leaseTransitions") or 0) + 1)

    def _held_by_another(self) -> bool:
        holder = self._seen[0] if self._seen else None
        if not holder or holder == self._identity:
            return False
        return seconds() - self._seen_at <= self._seen_for

    async def _write(self, method: str, path: str, lease: dict[str, Any], transitions: int | None) -> bool:
        now = micro_time()
        spec = dict(lease.get("spec") or {})
        spec |= {
            "holderIdentity": self._identity,
            "renewTime": now,
            "leaseDurationSeconds": max(1, round(self._timing.lease)),
        }
        if transitions is not None:
            spec |= {"acquireTime": now, "leaseTransitions": transitions}
        metadata = dict(lease.get("metadata") or {"name": self._name, "namespace": self._namespace})
        owners = list(self._owners())
        if owners:
            metadata["ownerReferences"] = owned(metadata, owners)
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
            _, stuck = await asyncio.wait({task}, timeout=_PATIENCE)
            if stuck:
                logger.critical("the leader's work does not end: ending the process")
                self._abandon()

    async def _release(self) -> None:
        path = LEASES.path_of(self._namespace, self._name)
        try:
            lease = (await self._client.request("GET", path, timeout=2)).body
            spec = lease.get("spec") or {}
            if spec.get("holderIdentity") == self._identity:
                spec |= {"holderIdentity": "", "leaseDurationSeconds": 1, "renewTime": micro_time()}
                await self._client.request("PUT", path, body=lease, timeout=2)
        except ApiError as error:
            logger.warning("lease %s is not handed over: %s", self._name, error)


def micro_time() -> str:
    """Return the time as a Lease has it: Kubernetes' MicroTime."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")

"""Makes Events of what the workers in this Pod deny to controllers, on the topmost workload above.

So a Deployment tells of Pods that its ReplicaSet can't make. However many denials come, few Events go out:
the same workload and policies tell once in ten minutes, over all replicas; each namespace, and all together,
have a limit. Whatever is not told comes again, since controllers try again.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import time
from collections import Counter, OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from webhook.adapters.denials import LARGEST, SOCKET, Denial
from webhook.operator import events
from webhook.operator.client import ApiError, Client
from webhook.operator.topmost import Topmost

REASON = "PolicyDenied"
PERIOD = 600.0
RESULTS = ("sent", "repeated", "limited", "unknown", "invalid", "failed")

_MOST_WAITING = 256
_MOST_REMEMBERED = 2048
_AT_A_TIME = 64

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class Allowance:
    """A token bucket.

    Attributes:
        most: how many at once.
        each: seconds after which one more is allowed.
        left: how many are left.
        at: when that was counted.
    """

    most: float
    each: float
    left: float = field(init=False)
    at: float = 0.0

    def __post_init__(self) -> None:
        self.left = self.most

    def take(self, now: float) -> bool:
        """Take one; tell whether there was one."""
        self.left = min(self.most, self.left + (now - self.at) / self.each)
        self.at = now
        if self.left < 1:
            return False
        self.left -= 1
        return True


@dataclass(slots=True)
class _Told:
    """A workload and policies of which an Event told, and what came since."""

    at: float
    first: datetime
    count: int


class Denials:
    """Receives the workers' datagrams and makes Events of them.

    Args:
        client: the API server.
        folder: the snapshot's folder, where the workers look for the socket.
        clock: monotonic seconds.

    Attributes:
        results: how many denials had which of `RESULTS`.
    """

    def __init__(self, client: Client, folder: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self.results: Counter[str] = Counter(dict.fromkeys(RESULTS, 0))
        self._client = client
        self._path = folder / SOCKET
        self._clock = clock
        self._topmost = Topmost(client)
        self._told: OrderedDict[tuple[str, ...], _Told] = OrderedDict()
        self._namespaces: OrderedDict[str, Allowance] = OrderedDict()
        self._all = Allowance(50, 0.2)
        self._waiting: asyncio.Queue[tuple[tuple[str, ...], Denial, _Told]] = asyncio.Queue(_MOST_WAITING)

    async def run(self) -> None:
        """Receive and tell until cancelled."""
        self._path.unlink(missing_ok=True)
        receiver = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        loop = asyncio.get_running_loop()
        try:
            receiver.bind(str(self._path))
            self._path.chmod(0o660)
            loop.add_reader(receiver, self._receive, receiver)
            while True:
                key, denial, told = await self._waiting.get()
                await self._tell(key, denial, told)
        finally:
            loop.remove_reader(receiver)
            receiver.close()
            self._path.unlink(missing_ok=True)

    def _receive(self, receiver: socket.socket) -> None:
        for _ in range(_AT_A_TIME):  # then others have their turn
            try:
                data = receiver.recv(LARGEST + 1)
            except OSError:
                return
            try:
                self.take(Denial.decode(data))
            except ValueError:
                self.results["invalid"] += 1

    def take(self, denial: Denial) -> None:
        """Take in a denial; it is told of later, or not at all."""
        now = self._clock()
        key = (denial.namespace, denial.owner.uid, *sorted(denial.policies))
        told = self._told.get(key)
        if told is not None and now - told.at < PERIOD:
            told.count += 1
            self.results["repeated"] += 1
            return
        if self._waiting.full() or not self._allowed(denial.namespace, now):
            self.results["limited"] += 1
            return
        if told is None:
            told = self._told[key] = _Told(now, datetime.now(UTC), 0)
            while len(self._told) > _MOST_REMEMBERED:
                self._told.popitem(last=False)
        told.at = now
        told.count += 1
        self._told.move_to_end(key)
        self._waiting.put_nowait((key, denial, told))

    def _allowed(self, namespace: str, now: float) -> bool:
        own = self._namespaces.get(namespace)
        if own is None:
            own = self._namespaces[namespace] = Allowance(10, 6.0, at=now)
            while len(self._namespaces) > _MOST_REMEMBERED:
                self._namespaces.popitem(last=False)
        self._namespaces.move_to_end(namespace)
        return own.take(now) and self._all.take(now)

    async def _tell(self, key: tuple[str, ...], denial: Denial, told: _Told) -> None:
        try:
            workload = await self._topmost.above(denial.namespace, denial.owner)
            if workload is None:
                self.results["unknown"] += 1
                return
            now = datetime.now(UTC)
            # The same name in the same ten minutes: of several replicas, and of a Deployment's several
            # ReplicaSets, the API server takes the first.
            period = f"{int(now.timestamp() // PERIOD)}\n{denial.policies}"
            count = told.count
            event = events.warning(workload, REASON, text(denial), period, told.first, now, count)
            await events.send(self._client, event)
        except ApiError as error:
            if error.status == 409:
                self.results["repeated"] += 1
                return
            self.results["failed"] += 1
            self._told.pop(key, None)  # the next one is told of
            if error.status not in (403, 404):  # a namespace that is gone, or is being deleted
                logger.warning("no event on %s %s: %s", denial.owner.kind, denial.owner.name, error)
            return
        except Exception as error:
            self.results["failed"] += 1
            logger.error("no event on %s %s: %s", denial.owner.kind, denial.owner.name, type(error).__name__)
            return
        self.results["sent"] += 1
        told.first = now
        told.count -= count  # more may have come meanwhile


def text(denial: Denial) -> str:
    """Return what an Event says: what was denied, by which policies, and why."""
    why = "; ".join(line.strip() for line in denial.message.splitlines() if line.strip())
    made = f"{denial.operation} of {denial.kind} {denial.name}".rstrip()
    policies = ", ".join(denial.policies)
    return f"{made} by {denial.owner.kind} {denial.owner.name} is denied by {policies}: {why}"

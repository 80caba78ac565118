"""One leader at a time, however the connection behaves."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import time
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from webhook.operator.client import ApiError, Client, KubernetesClient
from webhook.operator.leader import Elector, Timing

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("operator")]

Until = Callable[..., Awaitable[None]]
FAST = Timing(lease=6.0, renew=4.0, retry=0.2)  # a busy machine must not change the leader
_names = itertools.count()


class Breakable:
    """A client whose connection can be cut."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.broken = False

    async def request(self, *args: Any, **named: Any) -> Any:
        if self.broken:
            raise ApiError(0, "", "cut")
        return await self.client.request(*args, **named)

    def watch(self, *args: Any, **named: Any) -> Any:
        raise NotImplementedError


class Replica:
    def __init__(self, client: Client, name: str, lease: str, log: list[tuple[float, str, str]]) -> None:
        self.client = Breakable(client)
        self.stop = asyncio.Event()
        self.name = name
        self.log = log
        self.elector = Elector(self.client, "default", lease, name, self.work, FAST)
        self.task = asyncio.create_task(self.elector.run(self.stop))

    async def work(self) -> None:
        self.log.append((time.monotonic(), self.name, "starts"))
        try:
            await asyncio.Event().wait()
        finally:
            self.log.append((time.monotonic(), self.name, "ends"))

    async def end(self) -> None:
        self.stop.set()
        with contextlib.suppress(asyncio.CancelledError):
            await self.task


async def test_a_stopped_leader_hands_over_at_once(client: KubernetesClient, until: Until) -> None:
    log: list[tuple[float, str, str]] = []
    lease = f"lease-{next(_names)}"
    first = Replica(client, "first", lease, log)
    await until(lambda: first.elector.leading, 60)
    second = Replica(client, "second", lease, log)
    await asyncio.sleep(0.5)
    assert not second.elector.leading
    stopped = time.monotonic()
    await first.end()
    await until(lambda: len(log) == 3, 60)
    assert log[2][0] - stopped < FAST.lease
    await second.end()
    assert [(who, what) for _, who, what in log] == [
        ("first", "starts"),
        ("first", "ends"),
        ("second", "starts"),
        ("second", "ends"),
    ]


async def test_a_leader_that_is_cut_off_stops_before_another_starts(
    client: KubernetesClient, until: Until
) -> None:
    log: list[tuple[float, str, str]] = []
    lease = f"lease-{next(_names)}"
    first = Replica(client, "first", lease, log)
    await until(lambda: first.elector.leading, 60)
    second = Replica(client, "second", lease, log)
    await asyncio.sleep(0.5)
    first.client.broken = True
    await until(lambda: len(log) == 3, 60)
    assert [(who, what) for _, who, what in log] == [
        ("first", "starts"),
        ("first", "ends"),
        ("second", "starts"),
    ]
    first.client.broken = False
    await asyncio.sleep(0.5)
    assert second.elector.leading
    assert not first.elector.leading
    await first.end()
    await second.end()


async def test_work_that_fails_starts_again(client: KubernetesClient, until: Until) -> None:
    starts = []

    async def work() -> None:
        starts.append(1)
        raise RuntimeError("once more")

    stop = asyncio.Event()
    elector = Elector(client, "default", f"lease-{next(_names)}", "only", work, FAST)
    task = asyncio.create_task(elector.run(stop))
    await until(lambda: len(starts) == 2)
    stop.set()
    await task

"""The leader's work: it ends when it is cancelled, and statuses hold nothing else up."""

from __future__ import annotations

import asyncio
import time
from types import SimpleNamespace
from typing import Any

import pytest

from webhook.core.snapshot import Snapshot
from webhook.operator import leading
from webhook.operator.leading import Leading


class Keeper:
    """A webhook reconciler that counts."""

    in_place, rotating, rounds = True, False, 0

    async def reconcile(self, *_: Any, **__: Any) -> None:
        self.rounds += 1


class Statuses:
    """A status reconciler that takes as long as it is told."""

    def __init__(self) -> None:
        self.rounds = 0
        self.go_on = asyncio.Event()

    def unheard(self, _: float) -> str:
        return ""

    async def reconcile(self, *_: Any, **__: Any) -> None:
        self.rounds += 1
        await self.go_on.wait()


class Silent:
    """What stands in Kopf's place."""

    def __init__(self, *_: Any) -> None:
        pass

    async def run(self) -> None:
        await asyncio.Event().wait()


@pytest.fixture
async def made(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(leading.handlers, "Supervised", Silent)

    async def certificate() -> Any:
        return SimpleNamespace(trusted=b"", server=SimpleNamespace(fingerprint=""))

    async def look() -> None:
        pass

    async def snapshot() -> Snapshot:
        return Snapshot()

    replicas = SimpleNamespace(look=look, acknowledged=lambda _: True)
    parts = SimpleNamespace(
        certificate=certificate,
        replicas=replicas,
        webhooks=Keeper(),
        statuses=Statuses(),
        gatekeeper=None,
        audit=None,
        revocations=None,
    )
    trigger = asyncio.Event()
    return SimpleNamespace(parts=parts, trigger=trigger, work=Leading(None, parts, trigger, snapshot))  # type: ignore[arg-type]


async def until(condition: Any) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.01)


@pytest.mark.parametrize("turns", range(6))
async def test_it_ends_when_it_is_cancelled_just_as_something_changes(made: Any, turns: int) -> None:
    task = asyncio.create_task(made.work.run())
    await until(lambda: made.parts.webhooks.rounds == 1)
    await asyncio.sleep(0.1)  # it waits for the next change
    made.trigger.set()
    for _ in range(turns):
        await asyncio.sleep(0)
    task.cancel()
    _, stuck = await asyncio.wait({task}, timeout=5)
    assert not stuck


async def test_statuses_that_take_long_hold_up_no_webhook_configuration(made: Any) -> None:
    task = asyncio.create_task(made.work.run())
    for rounds in range(1, 4):
        await until(lambda rounds=rounds: made.parts.webhooks.rounds >= rounds)
        made.trigger.set()
    assert made.parts.statuses.rounds == 1
    made.parts.statuses.go_on.set()
    await until(lambda: made.parts.statuses.rounds == 2)
    task.cancel()
    await asyncio.wait({task})

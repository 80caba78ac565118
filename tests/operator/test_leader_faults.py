"""However connections break, no two replicas lead at once, and one leads again soon."""

from __future__ import annotations

import asyncio
import itertools
import random
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.controlplane import ControlPlane
from tests.operator.proxy import Proxy
from webhook.operator.client import Answer, ApiError, KubernetesClient, connect
from webhook.operator.leader import LEASES, Elector, LeaderClient, Timing

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("operator")]

Until = Callable[..., Awaitable[None]]
TIMING = Timing(lease=3.0, renew=2.0, retry=0.3, watch=0.1)
_names = itertools.count()


class Terms:
    """Counts who leads: the sum of all leaders at any moment, and every term."""

    def __init__(self) -> None:
        self.leading: set[str] = set()
        self.most = 0
        self.terms: list[str] = []

    async def lead(self, name: str) -> None:
        self.leading.add(name)
        self.terms.append(name)
        self.most = max(self.most, len(self.leading))
        try:
            await asyncio.Event().wait()
        finally:
            self.leading.discard(name)


class Contender:
    """A replica behind a proxy of its own."""

    def __init__(self, client: KubernetesClient, proxy: Proxy, elector: Elector) -> None:
        self.client = client
        self.proxy = proxy
        self.stop = asyncio.Event()
        self.task = asyncio.create_task(elector.run(self.stop))
        self.elector = elector

    @classmethod
    async def start(cls, plane: ControlPlane, folder: Path, name: str, lease: str, terms: Terms) -> Contender:
        proxy = Proxy(urlsplit(plane.url).port or 0)
        await proxy.start()
        config = folder / f"{name}.kubeconfig"
        config.write_text(plane.kubeconfig.read_text().replace(plane.url, f"https://127.0.0.1:{proxy.port}"))
        client = await connect(str(config))
        return cls(client, proxy, Elector(client, "default", lease, name, lambda: terms.lead(name), TIMING))

    async def end(self) -> None:
        self.stop.set()
        await self.task
        await self.client.close()
        await self.proxy.cut()


async def test_connections_that_break_at_any_moment_give_no_two_leaders(
    plane: ControlPlane, tmp_path: Path, until: Until
) -> None:
    terms, lease = Terms(), f"contended-{next(_names)}"
    contenders = [
        await Contender.start(plane, tmp_path, name, lease, terms) for name in ("first", "second", "third")
    ]
    chance = random.Random(4)
    until_time = time.monotonic() + 25
    while time.monotonic() < until_time:
        # The leader is cut off most often: for a moment, or for longer than its term.
        leaders = [each for each in contenders if each.elector.leading]
        victim = chance.choice(leaders or contenders)
        await victim.proxy.cut()
        await asyncio.sleep(chance.choice((0.05, 0.5, 2.5, 5.0)))
        await victim.proxy.mend()
        await asyncio.sleep(chance.uniform(0.0, 1.0))
    await until(lambda: terms.leading, 20)
    for each in contenders:
        await each.end()
    assert terms.most == 1
    assert len(set(terms.terms)) > 1, "somebody else took over"


async def test_a_deleted_lease_makes_no_second_leader(
    plane: ControlPlane, tmp_path: Path, until: Until
) -> None:
    terms, lease = Terms(), f"deleted-{next(_names)}"
    first = await Contender.start(plane, tmp_path, "holder", lease, terms)
    await until(lambda: terms.leading)
    second = await Contender.start(plane, tmp_path, "heir", lease, terms)
    await asyncio.sleep(0.5)  # it has seen whose the Lease is
    path = LEASES.path_of("default", lease)
    for _ in range(5):
        await asyncio.to_thread(plane.request, "DELETE", path)
        await asyncio.sleep(0.5)
    assert (terms.terms, terms.most) == (["holder"], 1)
    await first.end()
    await until(lambda: terms.leading == {"heir"})
    await second.end()


async def test_a_term_that_somebody_made_endless_ends(client: KubernetesClient, until: Until) -> None:
    terms, lease = Terms(), f"endless-{next(_names)}"
    body = {
        "apiVersion": LEASES.api_version,
        "kind": LEASES.kind,
        "metadata": {"name": lease, "namespace": "default"},
        "spec": {"holderIdentity": "nobody", "leaseDurationSeconds": 1_000_000},
    }
    await client.request("POST", LEASES.path_of("default", "").rstrip("/"), body=body)
    stop = asyncio.Event()
    elector = Elector(client, "default", lease, "one", lambda: terms.lead("one"), TIMING)
    task = asyncio.create_task(elector.run(stop))
    await until(lambda: terms.leading, 30)
    stop.set()
    await task


class _Recording:
    """A client that answers everything."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, float]] = []

    async def request(self, method: str, path: str, **named: Any) -> Answer:
        self.sent.append((method, named["timeout"]))
        return Answer()

    def watch(self, path: str, **named: Any) -> Any:
        raise NotImplementedError


async def test_who_may_no_longer_lead_reads_but_writes_nothing() -> None:
    recording, left = _Recording(), 3.0
    client = LeaderClient(recording, lambda: left)
    await client.request("PATCH", "/x", body={})
    assert recording.sent == [("PATCH", 3.0)], "an answer that comes later could be another's term"
    left = 0.0
    with pytest.raises(ApiError, match="no longer the leader"):
        await client.request("PATCH", "/x", body={})
    await client.request("GET", "/x")
    assert [method for method, _ in recording.sent] == ["PATCH", "GET"]


async def test_work_that_does_not_end_writes_nothing_and_ends_the_process(
    client: KubernetesClient, until: Until, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("webhook.operator.leader._PATIENCE", 0.5)
    ended: list[str] = []
    refused: list[str] = []
    release = asyncio.Event()

    async def stubborn() -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            try:
                await LeaderClient(client, elector.left).request("DELETE", "/api/v1/nodes/none")
            except ApiError as error:
                refused.append(str(error))
            await release.wait()

    stop = asyncio.Event()
    elector = Elector(
        client,
        "default",
        f"stubborn-{next(_names)}",
        "one",
        stubborn,
        TIMING,
        abandon=lambda: ended.append("ended"),
    )
    task = asyncio.create_task(elector.run(stop))
    await until(lambda: elector.leading)
    await asyncio.sleep(0.1)
    stop.set()
    await task
    assert ended == ["ended"]
    assert "no longer the leader" in refused[0]
    release.set()


async def test_a_process_that_was_stopped_for_a_while_does_not_write(
    client: KubernetesClient, until: Until, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its clock says so, before anything else of it runs."""
    terms = Terms()
    stop = asyncio.Event()
    elector = Elector(client, "default", f"stopped-{next(_names)}", "one", lambda: terms.lead("one"), TIMING)
    task = asyncio.create_task(elector.run(stop))
    await until(lambda: elector.leading)
    assert elector.left() > 0
    time.sleep(TIMING.renew + 0.1)  # noqa: ASYNC251 - nothing of this process runs
    assert elector.left() == 0
    stop.set()
    await task


async def test_an_api_server_that_does_not_answer_is_told_of(
    until: Until, caplog: pytest.LogCaptureFixture
) -> None:
    class Silent:
        async def request(self, *_: Any, **__: Any) -> Answer:
            await asyncio.Event().wait()
            raise AssertionError

        def watch(self, *_: Any, **__: Any) -> Any:
            raise NotImplementedError

    stop = asyncio.Event()
    elector = Elector(Silent(), "default", "silent", "one", asyncio.Event().wait, Timing(1.0, 0.4, 0.1, 0.1))
    task = asyncio.create_task(elector.run(stop))
    await until(lambda: "lease silent: timed out" in caplog.text)
    assert not elector.leading
    stop.set()
    await task

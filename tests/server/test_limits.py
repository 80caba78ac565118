"""Slow and hostile clients, full rooms: what they get, and that others don't notice."""

from __future__ import annotations

import asyncio
import json
import math
import socket
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.server.builders import Plane, Start, make_policy, make_review, make_snapshot
from webhook.core.verdict import Verdict
from webhook.server.selfsigned import write_pair
from webhook.server.settings import Limits
from webhook.server.tls import LiveContext

PATIENT: Any = {"move_every": math.inf}
HEAD = b"POST /admit?timeout=5s HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"


async def dial(plane: Plane, data: bytes = b"") -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Connect, and send the beginning of something."""
    reader, writer = await asyncio.open_connection("127.0.0.1", plane.port)
    writer.write(data)
    await writer.drain()
    return reader, writer


async def ends(reader: asyncio.StreamReader) -> bytes:
    """Return what still comes on a connection until the server ends it."""
    try:
        return await asyncio.wait_for(reader.read(), 30)
    except ConnectionError:
        return b""


async def once(true: Callable[[], Any]) -> None:
    """Wait until something is so."""
    async with asyncio.timeout(30):
        while not true():  # noqa: ASYNC110 - nothing tells when
            await asyncio.sleep(0.01)


def close(*connections: tuple[asyncio.StreamReader, asyncio.StreamWriter]) -> None:
    for _, writer in connections:
        writer.transport.abort()


@pytest.mark.parametrize("sent", [b"", b"POST /admit HTTP/1.1\r\nHost: x\r\nX-Slow: ", HEAD])
async def test_a_head_that_never_ends_ends_the_connection(start: Start, sent: bytes) -> None:
    plane = await start(make_snapshot(make_policy()), Limits(head_seconds=0.2, **PATIENT))
    reader, writer = await dial(plane, sent)
    assert await ends(reader) == b""
    close((reader, writer))


async def test_a_half_sent_head_after_a_request_ends_the_connection(start: Start) -> None:
    plane = await start(make_snapshot(make_policy()), Limits(head_seconds=0.2, **PATIENT))
    body = json.dumps(make_review()).encode()
    reader, writer = await dial(plane, HEAD + b"Content-Length: %d\r\n\r\n" % len(body) + body)
    assert b"200 OK" in await reader.readuntil(b"\r\n\r\n")
    await asyncio.sleep(0.6)  # idle is no half of a head
    writer.write(b"POST /adm")
    assert b"400" not in await ends(reader)
    close((reader, writer))


async def test_a_body_that_never_ends_is_refused_and_frees_what_it_held(start: Start) -> None:
    plane = await start(make_snapshot(make_policy()), Limits(body_seconds=0.2, **PATIENT))
    reader, writer = await dial(plane, HEAD + b"Content-Length: 100000\r\n\r\n{" + b" " * 5000)
    said = await ends(reader)
    assert b"408" in said.split(b"\r\n")[0]
    assert b"Connection: close" in said
    assert plane.data_plane.bodies.bytes == 0
    close((reader, writer))


async def test_bodies_on_their_way_are_bounded_and_the_oldest_pays(start: Start) -> None:
    limits = Limits(max_body=100_000, max_bytes=150_000, body_seconds=30, **PATIENT)
    plane = await start(make_snapshot(make_policy()), limits)
    slow = [await dial(plane, HEAD + b"Content-Length: 100000\r\n\r\n" + b" " * 60_000)]
    await once(lambda: plane.data_plane.bodies.bytes >= 60_000)
    slow += [await dial(plane, HEAD + b"Content-Length: 100000\r\n\r\n" + b" " * 60_000) for _ in range(2)]
    assert b"408" in await ends(slow[0][0])
    assert plane.data_plane.bodies.bytes <= 150_000
    assert (await plane.verdict())["allowed"] is True
    close(*slow)


@pytest.mark.parametrize(
    "sent", [b"", HEAD, HEAD + b"Content-Length: 5000\r\n\r\n{"], ids=["nothing", "a head", "a body"]
)
async def test_hundreds_of_slow_clients_keep_nobody_waiting(start: Start, sent: bytes) -> None:
    plane = await start(make_snapshot(make_policy()), Limits(max_connections=100, max_in_flight=2, **PATIENT))
    slow = [await dial(plane, sent) for _ in range(300)]
    assert (await plane.verdict())["allowed"] is True
    assert plane.connections.count <= 100
    assert (await plane.verdict(make_review("bad")))["allowed"] is False
    close(*slow)


async def test_handshakes_that_never_end_keep_nobody_waiting(start: Start, tmp_path: Path) -> None:
    pair = write_pair(tmp_path)
    limits = Limits(max_connections=100, **PATIENT)
    plane = await start(make_snapshot(make_policy()), limits, certificate=LiveContext(pair))
    slow = [await dial(plane, sent) for sent in (b"", b"\x16\x03\x01") for _ in range(150)]
    context = ssl.create_default_context(cafile=pair.certificate)
    good = await asyncio.open_connection("127.0.0.1", plane.port, ssl=context, server_hostname="localhost")
    good[1].write(b"GET /readyz HTTP/1.1\r\nHost: x\r\n\r\n")
    assert b"200 OK" in await asyncio.wait_for(good[0].readuntil(b"\r\n\r\n"), 30)
    assert plane.connections.count <= 100
    close(good, *slow)
    await once(lambda: plane.connections.count == 0)


async def test_a_handshake_has_a_time_limit(start: Start, tmp_path: Path) -> None:
    limits = Limits(head_seconds=0.2, **PATIENT)
    plane = await start(make_snapshot(), limits, certificate=LiveContext(write_pair(tmp_path)))
    reader, writer = await dial(plane)
    assert await ends(reader) == b""
    close((reader, writer))


async def test_whoever_is_served_outlives_those_who_keep_us_waiting(start: Start) -> None:
    plane = await start(make_snapshot(make_policy()), Limits(max_connections=20, **PATIENT))
    body = json.dumps(make_review()).encode()
    whole = HEAD + b"Content-Length: %d\r\n\r\n" % len(body) + body
    good = await dial(plane, whole)
    answer = await good[0].readuntil(b'"allowed":true}}')
    slow = [await dial(plane, HEAD) for _ in range(60)]
    assert (await plane.verdict())["allowed"] is True
    good[1].write(whole)
    assert await good[0].readuntil(b'"allowed":true}}')
    assert b"200 OK" in answer
    close(good, *slow)


async def test_whoever_does_not_read_answers_is_cut_off(start: Start) -> None:
    plane = await start(make_snapshot(make_policy()), Limits(**PATIENT))
    body = json.dumps(make_review(uid="u" * 200_000)).encode()
    whole = HEAD + b"Content-Length: %d\r\n\r\n" % len(body) + body
    raw = socket.socket()
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    raw.setblocking(False)
    loop = asyncio.get_running_loop()
    await loop.sock_connect(raw, ("127.0.0.1", plane.port))
    with pytest.raises(ConnectionError):
        await asyncio.wait_for(loop.sock_sendall(raw, whole * 500), 60)
    raw.close()


class Waits:
    """A judge whose requests wait for something, but in the namespace `quick`."""

    def __init__(self) -> None:
        self.release = asyncio.Event()

    async def __call__(self, request: Any, *_: Any) -> Verdict:
        if request.namespace != "quick":
            await self.release.wait()
        return Verdict(True)


class TestRoom:
    async def test_one_namespace_never_takes_all_of_it(self, start: Start) -> None:
        judge = Waits()
        plane = await start(make_snapshot(), Limits(max_in_flight=8, **PATIENT), judge=lambda _: judge)
        waiting = [asyncio.create_task(plane.send(make_review(namespace="slow"))) for _ in range(20)]
        await once(lambda: sum(task.done() for task in waiting) >= 16)
        refused = [await task for task in waiting if task.done()]
        assert {answer.status for answer in refused} == {429}
        assert {answer.headers["Retry-After"] for answer in refused} == {"1"}
        assert (await plane.verdict(make_review(namespace="quick")))["allowed"] is True
        judge.release.set()
        assert sorted([(await task).status for task in waiting]) == [200] * 4 + [429] * 16
        assert plane.data_plane.room.taken == plane.data_plane.room.bytes == 0

    async def test_many_namespaces_leave_a_place_for_one_more(self, start: Start) -> None:
        judge = Waits()
        plane = await start(make_snapshot(), Limits(max_in_flight=16, **PATIENT), judge=lambda _: judge)
        reviews = [make_review(namespace=f"n{number % 5}") for number in range(40)]
        reviews += [make_review(namespace="", kind={"group": "", "version": "v1", "kind": "Node"})] * 10
        waiting = [asyncio.create_task(plane.send(review)) for review in reviews]
        await once(lambda: plane.data_plane.room.taken + sum(task.done() for task in waiting) == 50)
        assert (await plane.verdict(make_review(namespace="quick")))["allowed"] is True
        judge.release.set()
        codes = [(await task).status for task in waiting]
        for number in range(5):
            assert 200 in codes[number:40:5]
        assert 200 in codes[40:]

    async def test_bytes_are_bounded_too(self, start: Start) -> None:
        judge = Waits()
        limits = Limits(max_bytes=20_000, **PATIENT)
        plane = await start(make_snapshot(), limits, judge=lambda _: judge)
        large = json.dumps(make_review(namespace="slow")).encode()
        large += b" " * (9_000 - len(large))
        first = asyncio.create_task(plane.send(large))
        await once(lambda: plane.data_plane.room.taken)
        assert (await plane.send(large)).status == 429
        assert (await plane.verdict(make_review(namespace="quick")))["allowed"] is True
        judge.release.set()
        assert (await first).status == 200


async def test_requests_that_are_judged_at_once_are_never_too_many(start: Start) -> None:
    plane = await start(make_snapshot(make_policy()), Limits(max_in_flight=1, **PATIENT))
    answers = await asyncio.gather(*(plane.send() for _ in range(50)))
    assert {answer.status for answer in answers} == {200}

"""Plain reviews are answered where they are read: the same answers, bytes for bytes, whatever comes how."""

from __future__ import annotations

import asyncio
import contextlib
import json
import math
import re
import socket
import struct
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from tests.server.builders import Plane, Start, make_policy, make_review, make_snapshot
from webhook.core.errors import EvaluationError
from webhook.core.model import Action
from webhook.core.selectors import Requirement, Selector
from webhook.core.verdict import Verdict
from webhook.server import connections
from webhook.server.judging import Judge
from webhook.server.settings import Limits

STILL = Limits(move_every=math.inf)
"""No answer closes its connection to move load."""
HEAD = b"POST /admit?timeout=5s HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
ALLOWED = b'"allowed":true}}'


def whole(review: Any = None, head: bytes = HEAD) -> bytes:
    """Return a request with its body."""
    body = review if isinstance(review, bytes) else json.dumps(review or make_review()).encode()
    return head + b"Content-Length: %d\r\n\r\n" % len(body) + body


class Client:
    """A connection that sends bytes as it is told to."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def send(self, *parts: bytes) -> None:
        """Send parts, each read by the server before the next comes."""
        for part in parts:
            self.writer.write(part)
            await self.writer.drain()
            await asyncio.sleep(0.02)

    async def answer(self) -> tuple[bytes, bytes]:
        """Return the next answer, without its date, as head and body."""
        async with asyncio.timeout(30):
            head = await self.reader.readuntil(b"\r\n\r\n")
            length = re.search(rb"Content-Length: (\d+)", head)
            body = await self.reader.readexactly(int(length[1])) if length else b""
        return re.sub(rb"Date: [^\r]*\r\n", b"", head), body

    async def end(self) -> bytes:
        """Return what still comes until the server closes."""
        async with asyncio.timeout(30):
            with contextlib.suppress(ConnectionError):
                return await self.reader.read()
        return b""


@pytest.fixture
async def dial() -> AsyncIterator[Callable[[Plane], Any]]:
    """Return a function that connects."""
    clients = []

    async def connect(plane: Plane) -> Client:
        clients.append(Client(*await asyncio.open_connection("127.0.0.1", plane.port)))
        return clients[-1]

    yield connect
    for client in clients:
        client.writer.transport.abort()


def count_tasks(plane: Plane) -> list[str]:
    """Return a list that gets the target of each request that goes aiohttp's way."""
    seen: list[str] = []
    answer = plane.connections._handler

    async def counting(http: Any, began: float) -> Any:
        seen.append(http.path_qs)
        return await answer(http, began)

    plane.connections._handler = counting
    return seen


def fails(_: Any) -> Any:
    raise EvaluationError("no such key: colour")


def breaks(_: Any) -> Any:
    raise ZeroDivisionError


ON_STAGE = Selector((Requirement("stage", "In", frozenset({"prod"})),))
POLICIES = {
    "plain": [make_policy()],
    "warns": [make_policy(actions=(Action.WARN,))],
    "audits": [make_policy(actions=(Action.AUDIT,))],
    "errs": [make_policy(program=fails)],
    "breaks": [make_policy(program=breaks)],
    "lacks the namespace": [make_policy(namespace_selector=ON_STAGE)],
    "none": [],
}
REVIEWS = {
    "good": make_review(),
    "bad": make_review("bad"),
    "elsewhere": make_review("bad", namespace="unknown"),
    "cluster-scoped": make_review("n", namespace="", kind={"group": "", "version": "v1", "kind": "Node"}),
    "update": make_review("bad", operation="UPDATE", oldObject=make_review("bad")["request"]["object"]),
    "delete": make_review("bad", operation="DELETE", object=None),
    "odd name": make_review("ünï\u202e"),
    "large": make_review(padding="x" * 100_000),
    "no JSON": b"{",
    "no UTF-8": b'{"a":"\xff"}',
    "empty": b"",
    "no review": b"[]",
    "another version": make_review() | {"apiVersion": "admission.k8s.io/v1beta1"},
    "no uid": make_review(uid=""),
    "a key twice": json.dumps(make_review()).replace('"name": "web"', '"name": "web", "name": "b"').encode(),
    "a long number": json.dumps(make_review(number=2**63)).encode(),
}
TARGETS = ("/admit?timeout=5s", "/admit", "/admit/cluster/v1", "/admit/namespaced/any?timeout=1s", "/guard")
ODD_TARGETS = (
    "/admit?timeout=soon",
    "/admit/nothing/any",
    "/nothing",
    "/admit#part",
    "//admit",
    "http://x/admit",
)


class TestTheSameAnswers:
    """What one data plane says at once, the other says by aiohttp's way: the same bytes, the same counts."""

    @staticmethod
    async def ask(start: Start, dial: Any, policies: Any, requests: list[bytes], shortcut: bool) -> Any:
        snapshot = make_snapshot(*policies) if policies is not None else None
        limits = Limits(move_every=math.inf, namespace_wait=0.01)
        plane = await start(snapshot, limits, shortcut=shortcut)
        tasks = count_tasks(plane)
        answers = []
        for request in requests:
            client = await dial(plane)
            await client.send(request)
            answers.append(await client.answer())
            client.writer.close()
        text = await (await plane.client.get("/metrics")).text()
        counts = [line for line in text.splitlines() if "_total{" in line]
        return answers, counts, len(tasks)

    @pytest.mark.parametrize("name", [*POLICIES, "no snapshot"])
    async def test_for_every_review(self, start: Start, dial: Any, name: str) -> None:
        policies = POLICIES.get(name)
        requests = [whole(review) for review in REVIEWS.values()]
        quick, quick_counts, quick_tasks = await self.ask(start, dial, policies, requests, shortcut=True)
        usual, usual_counts, usual_tasks = await self.ask(start, dial, policies, requests, shortcut=False)
        assert dict(zip(REVIEWS, quick, strict=True)) == dict(zip(REVIEWS, usual, strict=True))
        assert quick_counts == usual_counts
        # One is too large to come at once, one has no body.
        assert (quick_tasks, usual_tasks) == (2 + 1, len(REVIEWS) + 1)

    async def test_for_every_target(self, start: Start, dial: Any) -> None:
        lines = [b"POST %b HTTP/1.1\r\n" % target.encode() for target in TARGETS + ODD_TARGETS]
        requests = [
            whole(make_review("bad"), HEAD.replace(HEAD.split(b"\r\n")[0] + b"\r\n", line)) for line in lines
        ]
        quick, counts, tasks = await self.ask(start, dial, [make_policy()], requests, shortcut=True)
        usual, usual_counts, _ = await self.ask(start, dial, [make_policy()], requests, shortcut=False)
        assert quick == usual
        assert counts == usual_counts
        assert tasks == len(ODD_TARGETS) + 1

    @pytest.mark.parametrize(
        "head",
        [
            HEAD.replace(b"HTTP/1.1", b"HTTP/1.0"),
            HEAD + b"Connection: close\r\n",
            HEAD + b"Content-Encoding: gzip\r\n",
            HEAD.replace(b"application/json", b"application/json; charset=utf-8"),
            HEAD.replace(b"application/json", b"text/plain"),
            HEAD.replace(b"Content-Type: application/json\r\n", b""),
            HEAD.replace(b"POST", b"PUT"),
            HEAD.replace(b"POST", b"GET"),
            HEAD.replace(b"Host: x\r\n", b""),
            HEAD + b"Content-Length: 3\r\n",
            HEAD + b"Transfer-Encoding: chunked\r\n",
            HEAD + b"Upgrade: websocket\r\nConnection: upgrade\r\n",
            HEAD + b"Expect: 100-continue\r\n",
            HEAD + b"X-Long: " + b"x" * 9000 + b"\r\n",
            HEAD + b"".join(b"X-%d: y\r\n" % number for number in range(200)),
            HEAD + b"Bad header\r\n",
            b"\x16\x03\x01" + HEAD,
        ],
    )
    async def test_for_unusual_heads(self, start: Start, dial: Any, head: bytes) -> None:
        quick = await self.ask(start, dial, [make_policy()], [whole(head=head)], shortcut=True)
        usual = await self.ask(start, dial, [make_policy()], [whole(head=head)], shortcut=False)
        assert quick[:2] == usual[:2]

    async def test_when_the_room_is_full(self, start: Start, dial: Any) -> None:
        answers = []
        for shortcut in (True, False):
            plane = await start(
                make_snapshot(), Limits(max_in_flight=1, move_every=math.inf), shortcut=shortcut
            )
            with plane.data_plane.room.enter("", 1):  # type: ignore[union-attr]
                client = await dial(plane)
                await client.send(whole())
                answers.append(await client.answer())
        assert answers[0] == answers[1]
        assert b"429" in answers[0][0]


class TestHowItComes:
    """However the bytes come, each request gets its answer, in order."""

    @pytest.mark.parametrize("place", ["1", "line", "head", "end", "1 of body", "all but one"])
    async def test_in_two_parts(self, start: Start, dial: Any, place: str) -> None:
        plane = await start(make_snapshot(make_policy()), STILL)
        tasks = count_tasks(plane)
        request = whole()
        at = {
            "1": 1,
            "line": len(HEAD.split(b"\r\n")[0]),
            "head": len(HEAD) + 7,
            "end": request.index(b"\r\n\r\n") + 4,
            "1 of body": request.index(b"\r\n\r\n") + 5,
            "all but one": len(request) - 1,
        }[place]
        client = await dial(plane)
        for _ in range(3):
            await client.send(request[:at], request[at:])
            head, body = await client.answer()
            assert head.startswith(b"HTTP/1.1 200 OK")
            assert body.endswith(ALLOWED)
        assert tasks == []

    async def test_byte_by_byte(self, start: Start, dial: Any) -> None:
        plane = await start(make_snapshot(make_policy()), STILL)
        client = await dial(plane)
        for byte in whole(make_review("bad")):
            client.writer.write(bytes([byte]))
            await asyncio.sleep(0)
        assert b'"allowed":false' in (await client.answer())[1]

    @pytest.mark.parametrize("cut", [None, 50, 700])
    async def test_several_at_once(self, start: Start, dial: Any, cut: int | None) -> None:
        plane = await start(make_snapshot(make_policy()), STILL)
        client = await dial(plane)
        names = ["web", "bad", "web", "bad", "bad"]
        sent = b"".join(whole(make_review(name)) for name in names)
        await client.send(*([sent] if cut is None else [sent[:cut], sent[cut:]]))
        for name in names:
            body = json.loads((await client.answer())[1])
            assert body["response"]["uid"] == f"uid-of-{name}"
            assert body["response"]["allowed"] is (name == "web")
        await client.send(whole())
        assert (await client.answer())[1].endswith(ALLOWED)

    @pytest.mark.parametrize("first", [0, 50, 700])
    async def test_more_than_aiohttp_queues(self, start: Start, dial: Any, first: int) -> None:
        plane = await start(make_snapshot(make_policy()), STILL)
        client = await dial(plane)
        sent = b"".join(whole(make_review(f"n{number}")) for number in range(300))
        await client.send(sent[:first])
        client.writer.write(sent[first:])
        for number in range(300):
            assert json.loads((await client.answer())[1])["response"]["uid"] == f"uid-of-n{number}"

    async def test_behind_one_that_waits(self, start: Start, dial: Any) -> None:
        policy = make_policy(namespace_selector=ON_STAGE)
        plane = await start(make_snapshot(policy, namespaces={}), STILL)
        client = await dial(plane)
        await client.send(whole(make_review("bad")), whole(make_review("node", namespace="")))
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await client.reader.readexactly(1)
        plane.current.swap(make_snapshot(policy, revision="two"))
        assert b'"uid":"uid-of-bad","allowed":false' in (await client.answer())[1]
        assert b'"uid":"uid-of-node","allowed":true' in (await client.answer())[1]

    async def test_one_that_waits_is_judged_no_more_often_than_it_must(self, start: Start, dial: Any) -> None:
        policy = make_policy(namespace_selector=ON_STAGE)
        judged = []

        def judge(current: Any) -> Judge:
            real = Judge(current, namespace_wait=5)
            evaluate = real._evaluate

            def counting(*words: Any, **named: Any) -> Verdict:
                judged.append(words)
                return evaluate(*words, **named)

            real._evaluate = counting  # type: ignore[method-assign]
            return real

        plane = await start(make_snapshot(policy, namespaces={}), STILL, judge=judge)
        client = await dial(plane)
        await client.send(whole())
        plane.current.swap(make_snapshot(policy, revision="two"))
        assert (await client.answer())[1].endswith(ALLOWED)
        assert len(judged) == 2

    async def test_expecting_to_be_told_to_go_on(self, start: Start, dial: Any) -> None:
        plane = await start(make_snapshot(make_policy()), STILL)
        client = await dial(plane)
        head, body = whole(head=HEAD + b"Expect: 100-continue\r\n").split(b"\r\n\r\n")
        await client.send(head + b"\r\n\r\n")
        assert await client.answer() == (b"HTTP/1.1 100 Continue\r\n\r\n", b"")
        await client.send(body)
        assert (await client.answer())[1].endswith(ALLOWED)

    async def test_too_large(self, start: Start, dial: Any) -> None:
        plane = await start(make_snapshot(make_policy()), Limits(max_body=1000, move_every=math.inf))
        client = await dial(plane)
        await client.send(HEAD + b"Content-Length: 1001\r\n\r\n{")
        head, _ = await client.answer()
        assert head.startswith(b"HTTP/1.1 413 ")
        assert b"Connection: close" in head
        assert await client.end() == b""

    async def test_with_rubbish_behind(self, start: Start, dial: Any) -> None:
        plane = await start(make_snapshot(make_policy()), STILL)
        client = await dial(plane)
        await client.send(whole())
        assert (await client.answer())[1].endswith(ALLOWED)
        await client.send(b"\x00 rubbish\r\n\r\n")
        assert (await client.answer())[0].startswith(b"HTTP/1.0 400 ")
        assert await client.end() == b""
        assert (await plane.verdict())["allowed"] is True


class TestSlowBodies:
    async def test_one_that_comes_late_is_judged(self, start: Start, dial: Any) -> None:
        plane = await start(make_snapshot(make_policy()), STILL)
        tasks = count_tasks(plane)
        client = await dial(plane)
        request = whole(make_review("bad"))
        await client.send(request[:-10])
        async with asyncio.timeout(30):
            while not tasks:  # noqa: ASYNC110 - aiohttp waits for it from now on
                await asyncio.sleep(0.02)
        await client.send(request[-10:-5], request[-5:] + whole())
        assert b'"allowed":false' in (await client.answer())[1]
        assert (await client.answer())[1].endswith(ALLOWED)
        await client.send(whole())
        assert (await client.answer())[1].endswith(ALLOWED)
        assert plane.data_plane.bodies.bytes == 0

    async def test_one_that_never_ends_is_refused(self, start: Start, dial: Any) -> None:
        plane = await start(make_snapshot(make_policy()), Limits(body_seconds=0.2, move_every=math.inf))
        client = await dial(plane)
        await client.send(HEAD + b"Content-Length: 1000\r\n\r\n{")
        head, _ = await client.answer()
        assert head.startswith(b"HTTP/1.1 408 ")
        assert b"Connection: close" in head
        assert await client.end() == b""

    async def test_the_deadline_counts_from_the_first_byte(self, start: Start, dial: Any) -> None:
        left = []

        def judge(_request: Any, _selection: Any, deadline: Any) -> Verdict:
            left.append(deadline.left)
            return Verdict(True)

        for shortcut in (True, False):
            plane = await start(make_snapshot(), STILL, judge=lambda _: judge, shortcut=shortcut)
            client = await dial(plane)
            request = whole()
            await client.send(request[:5])
            await asyncio.sleep(0.75)
            await client.send(request[5:200])
            await asyncio.sleep(0.75)
            await client.send(request[200:])
            await client.answer()
            await client.send(whole())  # and the next one has its own
            await client.answer()
        assert len(left) == 4
        for late, prompt in zip(left[::2], left[1::2], strict=True):
            assert late <= 4.5 - 1.5
            assert prompt > late, "unless the machine stands still for as long as we waited"

    @pytest.mark.parametrize("share", [0.3, 0.9])
    async def test_one_whose_client_goes_leaves_nothing(self, start: Start, dial: Any, share: float) -> None:
        plane = await start(make_snapshot(make_policy()), STILL)
        for _ in range(5):
            client = await dial(plane)
            request = whole()
            await client.send(request[: int(len(request) * share)])
            client.writer.transport.abort()
        async with asyncio.timeout(30):
            while plane.connections.made:  # noqa: ASYNC110 - nothing tells when
                await asyncio.sleep(0.02)
        assert plane.data_plane.answered == 0
        assert plane.data_plane.room.taken == plane.data_plane.bodies.bytes == 0
        assert (await plane.verdict())["allowed"] is True


async def test_a_client_that_resets_before_its_answer_harms_nobody(start: Start) -> None:
    plane = await start(make_snapshot(make_policy()), STILL)
    for _ in range(20):
        raw = socket.create_connection(("127.0.0.1", plane.port))
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        raw.sendall(whole() + whole(make_review("bad"))[:100])
        raw.close()
    assert (await plane.verdict(make_review("bad")))["allowed"] is False
    async with asyncio.timeout(30):
        while len(plane.connections.made) > 1:  # noqa: ASYNC110 - nothing tells when
            await asyncio.sleep(0.02)


async def test_an_answer_that_closes_is_the_last(start: Start, dial: Any) -> None:
    plane = await start(make_snapshot(make_policy()), Limits(move_every=1e-9))
    plane.data_plane._random = lambda: 0.0
    client = await dial(plane)
    request = whole()
    await client.send(request[:-1], request[-1:] + whole(make_review("bad")))
    head, body = await client.answer()
    assert b"Connection: close" in head
    assert body.endswith(ALLOWED)
    assert await client.end() == b""


async def test_a_draining_worker_answers_at_once_too_and_closes(start: Start, dial: Any) -> None:
    plane = await start(make_snapshot(make_policy()), STILL)
    tasks = count_tasks(plane)
    client = await dial(plane)
    plane.data_plane.draining = True
    await client.send(whole())
    assert b"Connection: close" in (await client.answer())[0]
    assert await client.end() == b""
    assert tasks == []


async def test_only_an_idle_connection_ends_by_itself(
    start: Start, dial: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "KEEP_ALIVE_SECONDS", 4.0)
    plane = await start(make_snapshot(make_policy()), STILL)
    idle, busy = await dial(plane), await dial(plane)
    await idle.send(whole())
    await idle.answer()
    ending = asyncio.create_task(idle.end())
    while not ending.done():
        await busy.send(whole())
        assert (await busy.answer())[1].endswith(ALLOWED)
        await asyncio.sleep(0.1)
    assert await ending == b""


async def test_stopping_ends_connections_that_were_answered_at_once(start: Start, dial: Any) -> None:
    plane = await start(make_snapshot(make_policy()), STILL)
    client = await dial(plane)
    await client.send(whole())
    await client.answer()
    async with asyncio.timeout(30):
        await plane.connections.finish(20)
    assert await client.end() == b""
    assert not plane.connections.made

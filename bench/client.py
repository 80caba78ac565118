"""The load: some keep-alive TLS connections, each with one request in flight, as an API server has them."""

from __future__ import annotations

import asyncio
import ssl
import statistics
import time
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from pathlib import Path
from typing import cast

import uvloop

from bench.answers import Deniers, WrongAnswerError, check
from bench.pods import Sample, uids

LONGEST_SECONDS = 120.0
"""No load lasts longer, whatever is asked for."""


@dataclass(frozen=True)
class Target:
    """Where a webhook listens, and how its answers are read.

    Attributes:
        port: on loopback.
        path: of the reviews, with the timeout.
        authority: its certificate.
        deniers: reads from an answer which policies denied.
        denying: for a sample's name, the policies that must deny it.
    """

    port: int
    path: str
    authority: Path
    deniers: Deniers
    denying: dict[str, frozenset[str]]


@dataclass(frozen=True)
class Load:
    """What a load came to; every answer was right.

    Attributes:
        latencies: seconds of each request, sorted.
        seconds: how long it lasted.
        connections: how many were opened, those that replaced closed ones included.
        cpu: CPU seconds of the client itself.
    """

    latencies: list[float]
    seconds: float
    connections: int
    cpu: float

    @property
    def requests(self) -> int:
        return len(self.latencies)

    def percentile(self, share: float) -> float:
        """Return the latency, in seconds, that this share of the requests did not exceed."""
        return self.latencies[min(len(self.latencies) - 1, int(share * len(self.latencies)))]

    @property
    def median(self) -> float:
        return statistics.median(self.latencies)


def load(
    target: Target, samples: list[Sample], connections: int, seconds: float, most: int = 1_000_000
) -> Load:
    """Send reviews, each with a uid of its own, until the time is over or there were `most`.

    Args:
        target: whom to ask.
        samples: which reviews, in turn.
        connections: how many at once.
        seconds: how long.
        most: how many requests at most.

    Raises:
        WrongAnswerError: an answer was wrong, or a connection broke off within a request.
    """
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_Run(target, samples, most).go(connections, min(seconds, LONGEST_SECONDS)))


class _Run:
    """What the connections of one load share."""

    def __init__(self, target: Target, samples: list[Sample], most: int) -> None:
        self.target = target
        self.left = most
        self.until = 0.0
        self.latencies: list[float] = []
        self.opened = 0
        self._new_uid = uids()
        self._turn = 0
        self._prepared = [
            (
                _head(target, len(sample.body(b"0" * 36))) + sample.head,
                sample.tail,
                target.denying[sample.name],
            )
            for sample in samples
        ]
        self._context = ssl.create_default_context(cafile=str(target.authority))
        self._context.minimum_version = ssl.TLSVersion.TLSv1_3

    async def go(self, connections: int, seconds: float) -> Load:
        cpu, started = time.process_time(), time.perf_counter()
        self.until = started + seconds
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(connections):
                    group.create_task(self._keep_asking())
        except ExceptionGroup as failures:
            raise failures.exceptions[0] from None
        lasted = time.perf_counter() - started
        return Load(sorted(self.latencies), lasted, self.opened, time.process_time() - cpu)

    def next(self) -> tuple[bytes, bytes, frozenset[str]] | None:
        """Return the next request with its uid and who must deny it; None when it is enough."""
        if self.left <= 0 or time.perf_counter() >= self.until:
            return None
        self.left -= 1
        head, tail, denying = self._prepared[self._turn]
        self._turn = (self._turn + 1) % len(self._prepared)
        uid = self._new_uid()
        return head + uid + tail, uid, denying

    async def _keep_asking(self) -> None:
        loop = asyncio.get_running_loop()
        again = True
        while again:
            self.opened += 1
            transport, connection = await loop.create_connection(
                partial(_Connection, self, loop),
                "127.0.0.1",
                self.target.port,
                ssl=self._context,
                server_hostname="localhost",
            )
            try:
                again = await connection.ended
            finally:
                transport.abort()
                await connection.closed


class _Connection(asyncio.Protocol):
    """One connection: sends a request, checks its answer, sends the next.

    Attributes:
        ended: whether another connection shall go on, once this one is of no more use.
        closed: done when nothing of it is left.
    """

    def __init__(self, run: _Run, loop: asyncio.AbstractEventLoop) -> None:
        self._run = run
        self.ended: asyncio.Future[bool] = loop.create_future()
        self.closed: asyncio.Future[None] = loop.create_future()
        self._received = b""
        self._waiting: tuple[bytes, frozenset[str]] | None = None
        self._sent_at = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is one by its methods alone
        self._send()

    def _send(self) -> None:
        following = None if self.ended.done() else self._run.next()
        if following is None:
            self._end(again=False)
            return
        request, uid, denying = following
        self._waiting = (uid, denying)
        self._sent_at = time.perf_counter()
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        self._received += data
        try:
            answer = parse(self._received)
            if answer is None:
                return
            self._run.latencies.append(time.perf_counter() - self._sent_at)
            self._received = b""
            assert self._waiting is not None
            status, closes, body = answer
            if status != HTTPStatus.OK:
                raise WrongAnswerError(f"HTTP status {status}: {body[:300]!r}")
            check(body, *self._waiting, self._run.target.deniers)
        except Exception as error:
            self._end(error=error)
            return
        self._waiting = None
        if closes:
            self._end(again=True)
        else:
            self._send()

    def connection_lost(self, _error: Exception | None) -> None:
        self._end(error=WrongAnswerError("the connection was closed within a request"))
        if not self.closed.done():
            self.closed.set_result(None)

    def _end(self, again: bool = False, error: Exception | None = None) -> None:
        if self.ended.done():
            return
        if error is None:
            self.ended.set_result(again)
        else:
            self.ended.set_exception(error)


def parse(received: bytes) -> tuple[int, bool, bytes] | None:
    """Return status, whether the server closes, and body of a whole HTTP/1.1 answer; None until it is whole.

    Raises:
        WrongAnswerError: it doesn't say where it ends.
    """
    head, blank, rest = received.partition(b"\r\n\r\n")
    if not blank:
        return None
    lines = head.split(b"\r\n")
    body: bytes | None = None
    closes, has_end = False, False
    for line in lines[1:]:
        name, _, value = line.partition(b":")
        match name.lower():
            case b"content-length":
                has_end = True
                body = rest if len(rest) >= int(value) else None
            case b"transfer-encoding":
                has_end = True
                body = _chunks(rest)
            case b"connection":
                closes = value.strip().lower() == b"close"
    if not has_end:
        raise WrongAnswerError(f"an answer without an end: {head[:300]!r}")
    return None if body is None else (int(lines[0].split(b" ")[1]), closes, body)


def _chunks(rest: bytes) -> bytes | None:
    """Return a chunked body; None until its last, empty chunk is there."""
    body = b""
    while True:
        size, line_end, rest = rest.partition(b"\r\n")
        length = int(size, 16) if line_end else 0
        if not line_end or len(rest) < length + 2:
            return None
        if not length:
            return body
        body += rest[:length]
        rest = rest[length + 2 :]


def _head(target: Target, length: int) -> bytes:
    return (
        f"POST {target.path} HTTP/1.1\r\nHost: localhost:{target.port}\r\n"
        "User-Agent: kube-apiserver-admission\r\n"
        f"Content-Length: {length}\r\nAccept: application/json, */*\r\nContent-Type: application/json\r\n"
        "Accept-Encoding: gzip\r\n\r\n"
    ).encode()

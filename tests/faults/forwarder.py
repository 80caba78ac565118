"""A TCP forwarder that does what kube-proxy does: new connections go to endpoints that are ready."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

PROBE_EVERY = 0.1
"""A kubelet probes less often; a Pod's own drain lasts longer than either."""
_PROBE_TIMEOUT = 2.0
_FAILURES = 2
"""Unanswered probes until an endpoint counts as not ready; one that answers 503 isn't ready at once."""


@dataclass(eq=False)
class Endpoint:
    """One Pod behind the Service.

    Attributes:
        port: where its data plane listens, on loopback.
        probe_port: where it answers `/readyz` over plain HTTP.
        ready: whether new connections may go there.
        connections: how many it was given.
    """

    port: int
    probe_port: int
    ready: bool = False
    connections: int = 0


class Forwarder:
    """Listens on one port and forwards to the endpoints that are ready, in turn; a context manager.

    Connections that an endpoint has go on when it stops being ready. Without a ready endpoint, and where the
    chosen one refuses, the client's connection is reset, as kube-proxy rejects it: nothing is tried again.

    Args:
        port: where to listen, on loopback.
        endpoints: what is behind it.

    Attributes:
        ended_by_endpoint: how many an endpoint was the first to end.
    """

    def __init__(self, port: int, endpoints: Sequence[Endpoint]) -> None:
        self.port = port
        self.endpoints = tuple(endpoints)
        self.ended_by_endpoint = 0
        self._turn = itertools.count()
        self._tasks: set[asyncio.Task[None]] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._start(), self._loop).result(10)
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._stop(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _start(self) -> None:
        self._server = await asyncio.start_server(self._forward, "127.0.0.1", self.port, backlog=512)
        self._probes = [asyncio.create_task(self._follow(endpoint)) for endpoint in self.endpoints]

    async def _stop(self) -> None:
        self._server.close()
        for task in (*self._probes, *self._tasks):
            task.cancel()
        await asyncio.gather(*self._probes, *self._tasks, return_exceptions=True)

    async def _follow(self, endpoint: Endpoint) -> None:
        unanswered = 0
        while True:
            try:
                async with asyncio.timeout(_PROBE_TIMEOUT):
                    endpoint.ready = await _is_ready(endpoint.probe_port)
                unanswered = 0
            except (OSError, TimeoutError, asyncio.IncompleteReadError):
                unanswered += 1
                if unanswered >= _FAILURES:
                    endpoint.ready = False
            await asyncio.sleep(PROBE_EVERY)

    @property
    def open(self) -> int:
        """How many connections are forwarded now."""
        return len(self._tasks)

    def _next(self) -> Endpoint | None:
        ready = [endpoint for endpoint in self.endpoints if endpoint.ready]
        return ready[next(self._turn) % len(ready)] if ready else None

    def _note_end(self, client: asyncio.Task[None]) -> None:
        if not client.done():
            self.ended_by_endpoint += 1

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        endpoint = self._next()
        writers = [writer]
        try:
            if endpoint is None:
                return
            endpoint.connections += 1
            with contextlib.suppress(OSError):
                back_reader, back_writer = await asyncio.open_connection("127.0.0.1", endpoint.port)
                writers.append(back_writer)
                there = asyncio.create_task(_pump(reader, back_writer))
                back = asyncio.create_task(_pump(back_reader, writer))
                back.add_done_callback(lambda _: self._note_end(there))
                await asyncio.gather(there, back)
        except asyncio.CancelledError:
            pass
        finally:
            for one in writers:
                one.transport.abort()
            self._tasks.discard(task)


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    except OSError:
        writer.transport.abort()  # a reset is passed on as one
    finally:
        writer.close()


async def _is_ready(port: int) -> bool:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(b"GET /readyz HTTP/1.1\r\nHost: probe\r\nConnection: close\r\n\r\n")
        status = await reader.readline()
        return status.split(b" ")[1:2] == [b"200"]
    finally:
        writer.transport.abort()

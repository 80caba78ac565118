"""The connections of one worker: accepted by ourselves, so that they are bounded from their first byte on.

A client that is slow at its handshake or at a request's head costs a connection, and nobody else anything:
it is given up after some seconds, or sooner when the bound on connections is reached.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import socket
import ssl
from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import Any

from aiohttp import web

from webhook.adapters import logs
from webhook.server.answers import Answer, failure
from webhook.server.settings import KEEP_ALIVE_SECONDS, Limits

logger = logging.getLogger(__name__)

_LOOK_SECONDS = 0.5
_DEFER_SECONDS = 0.02
_EXHAUSTED_SECONDS = 0.2
_EXHAUSTED = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)

_silent = logging.getLogger("webhook.server.http")
_silent.propagate = False
_silent.addHandler(logging.NullHandler())
"""aiohttp logs each malformed request with a traceback; whoever sends them could fill a disk."""


class Connection(web.RequestHandler):
    """One connection, which knows since when it has owed us the head of a request.

    Attributes:
        owing_since: when it was made, or when bytes came that no request has been read from; None while it is
            idle or a request is worked on.
        busy: a request is worked on.
        served: requests that were read on it.
        is_stranger: the client's certificate has a name that isn't among those that are answered.
    """

    __slots__ = ("_connections", "busy", "is_stranger", "owing_since", "served")

    def __init__(self, connections: Connections, server: web.Server, **options: Any) -> None:
        super().__init__(server, **options)
        self._connections = connections
        self.owing_since: float | None = None
        self.busy = False
        self.served = 0
        self.is_stranger = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Start to wait for the first head."""
        self.owing_since = self._loop.time()
        self.is_stranger = not self._connections.knows(transport.get_extra_info("peercert"))
        self._connections.made[self] = None
        super().connection_made(transport)

    def connection_lost(self, error: BaseException | None) -> None:
        """Forget it."""
        self._connections.made.pop(self, None)
        super().connection_lost(error)

    def data_received(self, data: bytes) -> None:
        """Note since when there has been a part of a head."""
        if self.owing_since is None and not self.busy:
            self.owing_since = self._loop.time()
        super().data_received(data)

    def begin(self) -> None:
        """Say that a head has been read."""
        self.owing_since = None
        self.busy = True
        self.served += 1

    def end(self) -> None:
        """Say that the request is answered."""
        self.busy = False

    def give_up(self) -> None:
        """Cut it off."""
        if self.transport is not None:
            self.transport.abort()


class Connections:
    """All connections of one listener in one worker.

    Args:
        listener: the socket, shared with the other workers.
        handler: answers a request.
        tls: the context; None for plain HTTP.
        limits: how many there may be, and how long heads may take.
        client_names: common names of the clients that are answered; none: all.
        defers: tells whether others should be first to accept.

    Attributes:
        made: those whose handshake is done, the oldest first.
    """

    def __init__(
        self,
        listener: socket.socket,
        handler: Callable[[web.BaseRequest], Awaitable[Answer]],
        tls: ssl.SSLContext | None,
        limits: Limits,
        client_names: Collection[str] = (),
        defers: Callable[[], bool] = lambda: False,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._listener = listener
        self._handler = handler
        self._server = web.Server(self._answer)
        self._tls = tls
        self._limits = limits
        self._client_names = frozenset(client_names)
        self._defers = defers
        self._deferred = False
        self._handshakes: dict[asyncio.Task[None], None] = {}
        self._accepting = False
        self.made: dict[Connection, None] = {}
        self._active: set[Connection] = set()

    def open(self) -> None:
        """Begin to accept."""
        self._accepting = True
        self._resume()
        self._look()

    def close(self) -> None:
        """Accept no more; what is there goes on."""
        self._accepting = False
        self._loop.remove_reader(self._listener.fileno())
        self._listener.close()

    @property
    def count(self) -> int:
        """How many there are, with those that are still shaking hands."""
        return len(self.made) + len(self._handshakes)

    def take_active(self) -> int:
        """Return on how many connections requests came since the last call."""
        count = len(self._active)
        self._active.clear()
        return count

    async def finish(self, seconds: float) -> None:
        """Close what is idle, wait for what is in flight, and cut off the rest."""
        for task in list(self._handshakes):
            task.cancel()
        self._server.pre_shutdown()
        await self._server.shutdown(seconds)

    def knows(self, certificate: Mapping[str, Any] | None) -> bool:
        """Tell whether a client with this certificate is answered."""
        if not self._client_names:
            return True
        subject = (certificate or {}).get("subject", ())
        return any(
            name == "commonName" and value in self._client_names for part in subject for name, value in part
        )

    async def _answer(self, http: web.BaseRequest) -> Answer:
        connection = http.protocol
        assert isinstance(connection, Connection)  # noqa: S101 - made by us
        connection.begin()
        self._active.add(connection)
        try:
            if connection.is_stranger:
                answer = failure(403, "the client's certificate has another name than is answered")
                answer.force_close()
                return answer
            return await self._handler(http)
        finally:
            connection.end()

    def _resume(self) -> None:
        if self._accepting:
            self._loop.add_reader(self._listener.fileno(), self._accept)

    def _pause(self, seconds: float) -> None:
        self._loop.remove_reader(self._listener.fileno())
        self._loop.call_later(seconds, self._resume)

    def _accept(self) -> None:
        if self._defers() and not self._deferred:
            self._deferred = True
            self._pause(_DEFER_SECONDS)
            return
        self._deferred = False
        try:
            accepted, _ = self._listener.accept()
        except (BlockingIOError, InterruptedError, ConnectionAbortedError):
            return  # a sibling took it, or it went away
        except OSError as error:
            if error.errno not in _EXHAUSTED:
                raise
            logger.error("can't_accept", extra=logs.fields(error=error.strerror or str(error)))
            self._make_place()
            self._pause(_EXHAUSTED_SECONDS)
            return
        accepted.setblocking(False)
        if self.count >= self._limits.max_connections:
            self._make_place()
        task = self._loop.create_task(self._connect(accepted))
        self._handshakes[task] = None
        task.add_done_callback(self._handshaken)

    async def _connect(self, accepted: socket.socket) -> None:
        # What goes wrong in a handshake is the client's affair; it is closed then.
        with contextlib.suppress(OSError, ssl.SSLError, TimeoutError):
            await self._loop.connect_accepted_socket(
                self._connection,
                accepted,
                ssl=self._tls,
                ssl_handshake_timeout=self._limits.head_seconds if self._tls is not None else None,
            )

    def _handshaken(self, task: asyncio.Task[None]) -> None:
        self._handshakes.pop(task, None)
        if not task.cancelled() and (error := task.exception()) is not None:
            logger.error("connection_failed", extra=logs.fields(exception=logs.describe(error)))

    def _connection(self) -> Connection:
        return Connection(
            self,
            self._server,
            loop=self._loop,
            access_log=None,
            logger=_silent,
            keepalive_timeout=KEEP_ALIVE_SECONDS,
            auto_decompress=False,
            lingering_time=0.0,
        )

    def _make_place(self) -> None:
        """Give up the oldest that has sent no request yet, else the one that has been idle."""
        for task in self._handshakes:
            task.cancel()
            self._handshakes.pop(task)
            return
        waiting = [each for each in self.made if each.owing_since is not None]
        fresh = [each for each in waiting if not each.served]
        idle = [each for each in self.made if not each.busy]
        for each in fresh or waiting or idle or list(self.made):
            each.give_up()
            return

    def _look(self) -> None:
        """Give up connections whose head is overdue."""
        due = self._loop.time() - self._limits.head_seconds
        for each in list(self.made):
            if each.owing_since is not None and each.owing_since < due:
                each.give_up()
        if self._accepting or self.made:
            self._loop.call_later(_LOOK_SECONDS, self._look)

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
import time
from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import Any

from aiohttp import web

from webhook.adapters import logs
from webhook.server.answers import Answer, AnswerForAiohttp, failure
from webhook.server.connection import Connection
from webhook.server.settings import KEEP_ALIVE_SECONDS, Limits
from webhook.server.shortcut import Reviews, Shortcut

logger = logging.getLogger(__name__)

_LOOK_SECONDS = 0.5
_DEFER_SECONDS = 0.02
_EXHAUSTED_SECONDS = 0.2
_EXHAUSTED = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)


class Connections:
    """All connections of one listener in one worker.

    Args:
        listener: the socket, shared with the other workers.
        handler: answers a request, given when its first byte came by the monotonic clock.
        tls: the context; None for plain HTTP.
        limits: how many there may be, and how long heads may take.
        client_names: common names of the clients that are answered; none: all.
        defers: tells whether others should be first to accept.
        reviews: answers plain reviews at once; None: the handler answers all.

    Attributes:
        made: those whose handshake is done, the oldest first.
        active: those on which requests came since `take_active` was called.
    """

    def __init__(
        self,
        listener: socket.socket,
        handler: Callable[[web.BaseRequest, float], Awaitable[Answer]],
        tls: ssl.SSLContext | None,
        limits: Limits,
        client_names: Collection[str] = (),
        defers: Callable[[], bool] = lambda: False,
        reviews: Reviews | None = None,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._listener = listener
        self._handler = handler
        self._server = web.Server(self._answer)
        self._tls = tls
        self._limits = limits
        self._client_names = frozenset(client_names)
        self._defers = defers
        self._reviews = reviews
        self._longest = min(limits.max_body, limits.max_bytes // limits.max_connections)
        self._deferred = False
        self._handshakes: dict[asyncio.Task[None], None] = {}
        self._accepting = False
        self.made: dict[Connection, None] = {}
        self.active: set[Connection] = set()

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
        count = len(self.active)
        self.active.clear()
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

    def shortcut(self, connection: Connection, parser: Any) -> Shortcut:
        """Return what stands before a new connection's parser."""
        reviews = self._reviews if not connection.is_stranger else None
        return Shortcut(parser, connection, reviews, self._longest)

    async def _answer(self, http: web.BaseRequest) -> AnswerForAiohttp:
        connection = http.protocol
        assert isinstance(connection, Connection)  # noqa: S101 - made by us
        rest, connection.rest = connection.rest, None
        try:
            if rest is not None:
                answer = await rest()
            elif connection.is_stranger:
                answer = failure(403, "the client's certificate has another name than is answered")
                answer.force_close()
            else:
                answer = await self._handler(http, connection.began or time.monotonic())
            return AnswerForAiohttp(answer)
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
        return Connection(self, self._server, loop=self._loop)

    def _make_place(self) -> None:
        """Give up the oldest that has sent no request yet, else the one that has been idle."""
        for task in self._handshakes:
            task.cancel()
            self._handshakes.pop(task)
            return
        waiting = [each for each in self.made if each.owing_since is not None]
        fresh = [each for each in waiting if not each.served]
        idle = [each for each in self.made if not each.unanswered]
        for each in fresh or waiting or idle or list(self.made):
            each.give_up()
            return

    def _look(self) -> None:
        """End connections whose head is overdue, or that have been idle for long; see to slow bodies."""
        now = time.monotonic()
        for each in list(self.made):
            if each.owing_since is not None:
                if each.owing_since < now - self._limits.head_seconds:
                    each.give_up()
            elif each.unanswered:
                each.hand_over()
            elif each.idle_since < now - KEEP_ALIVE_SECONDS:
                each.force_close()
        if self._accepting or self.made:
            self._loop.call_later(_LOOK_SECONDS, self._look)

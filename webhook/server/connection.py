"""One connection of a worker: what came on it, since when, and what is owed."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING, Any

from aiohttp import web

from webhook.server.answers import Answer, Rest
from webhook.server.shortcut import Shortcut

if TYPE_CHECKING:
    from webhook.server.connections import Connections

_FOREVER = 1e9

_silent = logging.getLogger("webhook.server.http")
_silent.propagate = False
_silent.addHandler(logging.NullHandler())
"""aiohttp logs each malformed request with a traceback; whoever sends them could fill a disk."""


class Connection(web.RequestHandler):
    """One connection, which knows what is owed on it, and since when.

    Attributes:
        owing_since: when it was made, or when bytes came that no request has been read from; None while it is
            idle or a request is worked on.
        began: when the first byte of the request came that is worked on or whose head is on its way; 0 for
            none.
        idle_since: when it was last answered.
        unanswered: requests whose heads were read and that have no answer yet.
        reads_on: what the parser has left of what came is read after a body; not while one is taken that is
            known to be the last thing that came.
        served: requests whose heads were read.
        is_stranger: the client's certificate has a name that isn't among those that are answered.
        rest: brings the answer of the next request that aiohttp works on, which was begun already.
    """

    __slots__ = (
        "_connections",
        "_holds",
        "_shortcut",
        "began",
        "idle_since",
        "is_stranger",
        "owing_since",
        "reads_on",
        "rest",
        "served",
        "unanswered",
    )

    def __init__(self, connections: Connections, server: web.Server, **options: Any) -> None:
        super().__init__(
            server,
            access_log=None,  # type: ignore[arg-type] # aiohttp takes it for: no log
            logger=_silent,
            keepalive_timeout=_FOREVER,  # aiohttp doesn't see all requests: `Connections` looks after it
            auto_decompress=False,
            lingering_time=0.0,
            **options,
        )
        self._connections = connections
        self._shortcut: Shortcut | None = None
        self._holds = False
        self.owing_since: float | None = None
        self.began = 0.0
        self.idle_since = 0.0
        self.unanswered = 0
        self.reads_on = True
        self.served = 0
        self.is_stranger = False
        self.rest: Rest | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Start to wait for the first head."""
        self.owing_since = time.monotonic()
        self.is_stranger = not self._connections.knows(transport.get_extra_info("peercert"))
        self._connections.made[self] = None
        super().connection_made(transport)
        self._shortcut = self._connections.shortcut(self, self._parser)
        self._parser = self._shortcut  # type: ignore[assignment] # it gives aiohttp all that a parser does

    def connection_lost(self, error: BaseException | None) -> None:
        """Forget it."""
        self._connections.made.pop(self, None)
        super().connection_lost(error)
        self._shortcut = self.rest = None

    def data_received(self, data: bytes) -> None:
        """Note since when a request comes, and since when there has been a part of a head."""
        if not self.unanswered:
            if not self.began:
                self.began = time.monotonic()
            if self.owing_since is None:
                self.owing_since = self.began
        super().data_received(data)

    def pause_reading(self) -> None:
        """Note that a body holds reading up."""
        self._holds = True
        super().pause_reading()

    def resume_reading(self, resume_parser: bool = True) -> None:
        """Read on where reading was held up; aiohttp asks for it at the end of each body too."""
        if self._holds or (resume_parser and self.reads_on):
            self._holds = False
            super().resume_reading(resume_parser)

    def begin(self, requests: int) -> None:
        """Say that heads of requests have been read."""
        self.owing_since = None
        self.unanswered += requests
        self.served += requests
        self._connections.active.add(self)

    def end(self) -> None:
        """Say that the first request without an answer is answered."""
        self.unanswered -= 1
        self.began = 0.0
        self.idle_since = time.monotonic()

    def send(self, answer: Answer) -> None:
        """Answer the request that aiohttp was not told of."""
        self.end()
        try:
            answer.write(self.transport)
        except ConnectionResetError:
            return
        if not answer.keeps:
            self.force_close()

    def hand_over(self) -> None:
        """Leave what has not come whole at once to aiohttp, which can wait for it."""
        shortcut = self._shortcut
        if shortcut is not None and shortcut.waits:
            shortcut.gives_up = True
            super().data_received(b"")

    def give_up(self) -> None:
        """Cut it off."""
        if self.transport is not None:
            self.transport.abort()

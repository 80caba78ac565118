"""Answers plain reviews right where they are read, without what aiohttp does for every request.

aiohttp makes a task, a request object and a writer for each request; that costs more than judging by ten
policies. Nearly every review needs none of it: it comes whole within a moment, and nothing has to be waited
for. Here aiohttp's own parser reads it, and what isn't so plain goes aiohttp's way as if nothing was here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from webhook.core.errors import ReviewError
from webhook.server.answers import JSON, Answer, Rest
from webhook.server.targets import Target

if TYPE_CHECKING:
    from aiohttp import StreamReader
    from aiohttp.http_parser import HttpRequestParser, RawRequestMessage

    from webhook.server.connection import Connection

    Message = tuple[RawRequestMessage, StreamReader]


class Reviews(Protocol):
    """What answers reviews: `DataPlane`."""

    def target(self, text: str) -> Target | None:
        """Return what a request's target asks for, None when it is no path of reviews."""

    def review(self, target: Target, body: bytes, began: float) -> Answer | Rest:
        """Answer a review, or return what will bring the answer."""


class _Coming(NamedTuple):
    """A request whose head was read."""

    message: RawRequestMessage
    payload: StreamReader
    target: Target
    review: Callable[[Target, bytes, float], Answer | Rest]


class Shortcut:
    """Stands before the parser of one connection: aiohttp gets from it only what isn't answered here.

    Args:
        parser: aiohttp's.
        connection: whose it is.
        reviews: answers them; None: all requests are aiohttp's.
        longest: bytes of a body at most; so much may be held that `Bodies` doesn't count.

    Attributes:
        gives_up: what hasn't come whole by the next call is left to aiohttp.
    """

    def __init__(
        self, parser: HttpRequestParser, connection: Connection, reviews: Reviews | None, longest: int
    ) -> None:
        self._parser = parser
        self._connection = connection
        self._reviews = reviews
        self._longest = longest
        self._coming: _Coming | None = None
        self.gives_up = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._parser, name)

    def feed_data(self, data: bytes) -> tuple[list[Message], bool, bytes]:
        """Return the requests that `data` completes the heads of, and what belongs to no HTTP any more."""
        messages, upgraded, rest = found = self._parser.feed_data(data)
        connection, coming = self._connection, self._coming
        if messages:
            alone = len(messages) == 1 and not upgraded and not connection.unanswered
            connection.begin(len(messages))
            if alone and (coming := self._plain(*messages[0])) is not None:
                messages = []
        if coming is None:
            return found
        whole = coming.payload.is_eof()
        if not whole and not self.gives_up:
            self._coming = coming
            return messages, upgraded, rest
        self._coming = None
        self.gives_up = False
        if whole and not messages:
            connection.reads_on = False
            body = coming.payload.read_nowait()
            connection.reads_on = True
            answer = coming.review(coming.target, body, connection.began)
            if isinstance(answer, Answer):
                self._parser.message_consumed()
                connection.send(answer)
                return messages, upgraded, rest
            connection.rest = answer  # for the task that aiohttp makes
        return [(coming.message, coming.payload), *messages], upgraded, rest

    @property
    def waits(self) -> bool:
        """Whether a part of a body is missing."""
        return self._coming is not None

    def _plain(self, message: RawRequestMessage, payload: StreamReader) -> _Coming | None:
        """Return a request that may be answered here; None for all others."""
        path, headers, reviews = message.path, message.headers, self._reviews
        if (
            reviews is None
            or message.method != "POST"
            or message.should_close
            or message.chunked
            or headers.get("Content-Type") != JSON
            or not 0 < int(headers.get("Content-Length", 0)) <= self._longest
            or not path.startswith("/")
            or "#" in path
            or ("Expect" in headers and not payload.is_eof())
        ):
            return None
        try:
            target = reviews.target(path)
        except ReviewError:
            return None
        return _Coming(message, payload, target, reviews.review) if target is not None else None

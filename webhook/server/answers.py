"""HTTP answers: a head and a body that are written at once, and those that are no verdict."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from email.utils import formatdate
from http import HTTPStatus
from typing import Any

import orjson
from aiohttp import web
from aiohttp.abc import AbstractStreamWriter

JSON = "application/json"
RETRY_AFTER_SECONDS = 1
"""The API server's client tries again after 429 and 5xx with this header, within its own timeout."""

_MOST_UNREAD = 1024 * 1024
"""Bytes of answers that a client may leave unread before it is cut off."""

_REASONS = {
    400: "BadRequest",
    403: "Forbidden",
    404: "NotFound",
    405: "MethodNotAllowed",
    408: "Timeout",
    413: "RequestEntityTooLarge",
    415: "UnsupportedMediaType",
    429: "TooManyRequests",
    500: "InternalError",
    503: "ServiceUnavailable",
}


class Answer:
    """An answer whose every byte is known.

    Args:
        body: the content.
        code: the HTTP status.
        content_type: of the body.
        headers: further lines, each with its end.

    Attributes:
        status: the HTTP status.
        keeps: the connection serves a further request, if the client wants that.
    """

    __slots__ = ("_body", "_lines", "_type", "keeps", "status")

    def __init__(self, body: bytes, code: int = 200, content_type: str = JSON, headers: str = "") -> None:
        self.status = code
        self.keeps = True
        self._body = body
        self._type = content_type
        self._lines = headers

    def force_close(self) -> None:
        """Let this answer be the connection's last."""
        self.keeps = False

    def write(self, transport: asyncio.WriteTransport | None) -> None:
        """Write head and body at once.

        Raises:
            ConnectionResetError: nobody reads it.
        """
        if transport is None:
            raise ConnectionResetError
        if transport.get_write_buffer_size() > _MOST_UNREAD:
            transport.abort()
            raise ConnectionResetError
        head = (
            f"HTTP/1.1 {self.status} {_PHRASES[self.status]}\r\n"
            f"Content-Type: {self._type}\r\nContent-Length: {len(self._body)}\r\nDate: {_date()}\r\n"
            f"{self._lines}{'' if self.keeps else _CLOSE}\r\n"
        )
        transport.write(head.encode() + self._body)


Rest = Callable[[], Awaitable[Answer]]
"""What brings an answer that something has to be waited for; it may be dropped instead of called."""


class AnswerForAiohttp(web.StreamResponse):
    """An answer in the shape that aiohttp asks of a handler.

    aiohttp's own Response keeps headers in a map, and writes head and body through a stream. That costs more
    than everything else of a request that no policy judges.

    Args:
        answer: what is written.
    """

    def __init__(self, answer: Answer) -> None:
        super().__init__(status=answer.status)
        self._answer = answer

    @property
    def keep_alive(self) -> bool:
        """Whether the connection serves a further request."""
        return self._answer.keeps

    async def prepare(self, request: web.BaseRequest) -> AbstractStreamWriter | None:
        """Write the answer; called by aiohttp.

        Raises:
            ConnectionResetError: nobody reads it.
        """
        if not request.keep_alive:
            self._answer.force_close()
        self._answer.write(request.transport)
        return None

    async def write_eof(self, data: bytes = b"") -> None:
        """Do nothing: all is written."""


_CLOSE = "Connection: close\r\n"
_PHRASES = {status.value: status.phrase for status in HTTPStatus}
_dates: dict[int, str] = {}


def _date() -> str:
    """Return the time for the Date header, which an origin server must send: RFC 9110, section 6.6.1."""
    now = int(time.time())
    date = _dates.get(now)
    if date is None:
        _dates.clear()
        date = _dates[now] = formatdate(now, usegmt=True)
    return date


def failure(code: int, message: str) -> Answer:
    """Return an answer with an HTTP error, so that the webhook's failurePolicy decides.

    The API server reads it as a ``v1`` Status that says what is wrong.
    """
    status: dict[str, Any] = {
        "apiVersion": "v1",
        "kind": "Status",
        "status": "Failure",
        "message": message,
        "reason": _REASONS[code],
        "code": code,
    }
    again = f"Retry-After: {RETRY_AFTER_SECONDS}\r\n" if code in (429, 503) else ""
    return Answer(orjson.dumps(status, default=str), code, headers=again)

"""Reads a request's body, within limits that hold for one and for all that are on their way."""

from __future__ import annotations

import asyncio

from aiohttp import StreamReader, web

from webhook.server.deadline import Deadline
from webhook.server.refused import RefusedError

_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
"""For a client that waits for it before it sends the body: RFC 9110, section 10.1.1."""


class Bodies:
    """The bodies that are on their way to one worker.

    Past the bound on all together the one that has been coming for the longest time is given up: whoever
    sends slowly pays, not whoever comes next.

    Args:
        largest: bytes of one body.
        together: bytes of all that aren't complete.
        seconds: how long one may take.

    Attributes:
        bytes: that have come of those that aren't complete.
    """

    def __init__(self, largest: int, together: int, seconds: float) -> None:
        self._largest = largest
        self._together = together
        self._seconds = seconds
        self._coming: dict[asyncio.Timeout, int] = {}
        self.bytes = 0

    async def read(self, http: web.BaseRequest, deadline: Deadline) -> bytes:
        """Return the whole body.

        Raises:
            RefusedError: it is too large, or didn't come in time.
        """
        content = http.content
        if content.is_eof():  # the usual case: it came with the head
            body = content.read_nowait()
            if len(body) > self._largest:
                raise self._too_large()
            return body
        if (http.content_length or 0) > self._largest:
            raise self._too_large()
        if http.headers.get("Expect", "").lower() == "100-continue" and http.transport is not None:
            http.transport.write(_CONTINUE)
        timeout = asyncio.timeout(min(self._seconds, deadline.left))
        try:
            async with timeout:
                return await self._collect(content, timeout)
        except TimeoutError:
            raise RefusedError(408, "the body did not arrive in time", unread=True) from None
        except web.RequestPayloadError:
            raise RefusedError(400, "the body ended too early", unread=True) from None
        finally:
            self.bytes -= self._coming.pop(timeout, 0)

    async def _collect(self, content: StreamReader, limit: asyncio.Timeout) -> bytes:
        chunks = []
        size = 0
        self._coming[limit] = 0
        while chunk := await content.readany():
            chunks.append(chunk)
            size += len(chunk)
            if size > self._largest:
                raise self._too_large()
            self._coming[limit] += len(chunk)
            self.bytes += len(chunk)
            if self.bytes > self._together:
                self._give_up_oldest()
        return b"".join(chunks)

    def _give_up_oldest(self) -> None:
        oldest = next(iter(self._coming))
        self.bytes -= self._coming.pop(oldest)
        self._coming[oldest] = 0  # the last in turn from now on: its end is due
        oldest.reschedule(asyncio.get_running_loop().time())

    def _too_large(self) -> RefusedError:
        return RefusedError(413, f"the body is larger than {self._largest} bytes", unread=True)

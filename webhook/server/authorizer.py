"""Asks the control plane beside us what a user may do, over a unix socket.

Each line is a JSON object: a question ``{"user": ..., "check": ...}``, an answer ``{"allowed", "reason",
"error"}``; answers come in the order of the questions. The data plane itself has no API token.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, Protocol

import orjson

from webhook.core.authorization import AuthorizerCheck, AuthorizerDecision
from webhook.core.review import UserInfo

SOCKET = "authorizer.sock"
_LONGEST_LINE = 256 * 1024


class Authorizer(Protocol):
    """Whoever answers the checks of policies."""

    async def ask(self, user: UserInfo, check: AuthorizerCheck, seconds: float) -> AuthorizerDecision:
        """Return the answer; where there is none within `seconds`, one that says so."""


class SocketAuthorizer:
    """Asks over a unix socket, on one connection that is kept and made again after a failure.

    Args:
        path: of the socket.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._connection: _Connection | None = None
        self._connecting = asyncio.Lock()

    async def ask(self, user: UserInfo, check: AuthorizerCheck, seconds: float) -> AuthorizerDecision:
        """Return the answer; where there is none within `seconds`, a decision with an error."""
        question = orjson.dumps({"user": _user(user), "check": asdict(check)}, default=list) + b"\n"
        try:
            async with asyncio.timeout(max(seconds, 0)):
                connection = await self._connected()
                return _decision(await connection.ask(question))
        except TimeoutError:
            return _none("the authorizer did not answer in time")
        except (OSError, ValueError) as error:
            return _none(f"the authorizer can't be asked: {error}")

    async def _connected(self) -> _Connection:
        async with self._connecting:
            if self._connection is None or self._connection.closed:
                reader, writer = await asyncio.open_unix_connection(self._path, limit=_LONGEST_LINE)
                self._connection = _Connection(reader, writer)
            return self._connection

    async def close(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            await self._connection.close()


class _Connection:
    """One connection: questions out, answers in the same order."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._waiting: deque[asyncio.Future[bytes]] = deque()
        self._task = asyncio.create_task(self._read())
        self.closed = False

    async def ask(self, question: bytes) -> bytes:
        answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._waiting.append(answer)  # stays in its place even when its asker gives up
        self._writer.write(question)
        return await answer

    async def _read(self) -> None:
        problem = "it closed the connection"
        try:
            while line := await self._reader.readline():
                if not self._waiting:
                    problem = "it answered what nobody asked"
                    break
                answer = self._waiting.popleft()
                if not answer.done():
                    answer.set_result(line)
        except (OSError, ValueError) as error:
            problem = str(error)
        finally:
            self.closed = True
            self._writer.close()
            for answer in self._waiting:
                if not answer.done():
                    answer.set_exception(ConnectionError(problem))

    async def close(self) -> None:
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task


def _user(user: UserInfo) -> dict[str, Any]:
    return {
        "username": user.username,
        "uid": user.uid,
        "groups": list(user.groups),
        "extra": dict(user.extra),
    }


def _none(why: str) -> AuthorizerDecision:
    return AuthorizerDecision(False, error=why, answered=False)


def _decision(line: bytes) -> AuthorizerDecision:
    answer = orjson.loads(line)
    if not isinstance(answer, Mapping) or not isinstance(answer.get("allowed"), bool):
        raise ValueError("its answer has no allowed")
    error = str(answer.get("error") or "")
    return AuthorizerDecision(answer["allowed"] and not error, str(answer.get("reason") or ""), error)

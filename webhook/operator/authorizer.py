"""Answers what policies ask of ``authorizer``, for the workers that have no API token: over a unix socket.

One JSON object a line each way. A question holds ``user`` (username, uid, groups, extra) and ``check`` (the
fields of `AuthorizerCheck`); an answer ``allowed``, ``reason`` and ``error``. The API server is asked by a
SubjectAccessReview: https://kubernetes.io/docs/reference/access-authn-authz/authorization/.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson

from webhook.operator.client import ApiError, Client

SOCKET = "authorizer.sock"
CACHE_SECONDS = 10.0
_MOST_ANSWERS = 4096
_LONGEST_LINE = 1 << 20
_MOST_OPEN = 64
_TIMEOUT = 3.0
_REVIEWS = "/apis/authorization.k8s.io/v1/subjectaccessreviews"

logger = logging.getLogger(__name__)

Answer = dict[str, Any]


class Authorizer:
    """Asks the API server what a user may do, and remembers the answers for a while.

    Args:
        client: the API server.
    """

    def __init__(self, client: Client) -> None:
        self._client = client
        self._answers: dict[bytes, tuple[float, Answer]] = {}
        self._asking: dict[bytes, asyncio.Task[Answer]] = {}

    async def serve(self, folder: Path) -> None:
        """Listen in `folder` until cancelled."""
        path = folder / SOCKET
        path.unlink(missing_ok=True)
        server = await asyncio.start_unix_server(self._converse, path, limit=_LONGEST_LINE)
        path.chmod(0o660)
        try:
            await asyncio.Event().wait()
        finally:
            server.close()
            path.unlink(missing_ok=True)

    async def answer(self, question: Mapping[str, Any]) -> Answer:
        """Return the answer to one question; an error is an answer too, and not remembered."""
        try:
            body = review(question)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            return {"allowed": False, "reason": "", "error": f"not a question: {error!r}"}
        key = orjson.dumps(body, option=orjson.OPT_SORT_KEYS)
        known = self._answers.get(key)
        if known is not None and time.monotonic() - known[0] < CACHE_SECONDS:
            return known[1]
        task = self._asking.get(key)
        if task is None:
            task = self._asking[key] = asyncio.create_task(self._ask(key, body))
            task.add_done_callback(lambda _: self._asking.pop(key, None))
        return await asyncio.shield(task)

    async def _ask(self, key: bytes, body: dict[str, Any]) -> Answer:
        try:
            reply = await self._client.request("POST", _REVIEWS, body=body, timeout=_TIMEOUT)
        except ApiError as error:
            return {"allowed": False, "reason": "", "error": f"the API server did not say: {error}"}
        status = reply.body.get("status") or {}
        answer = {
            "allowed": status.get("allowed") is True,
            "reason": str(status.get("reason") or ""),
            "error": "" if status.get("allowed") is True else str(status.get("evaluationError") or ""),
        }
        if len(self._answers) >= _MOST_ANSWERS:
            self._answers.clear()
        self._answers[key] = (time.monotonic(), answer)
        return answer

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # Questions are worked on together and answered in their order.
        answers: asyncio.Queue[asyncio.Task[Answer] | None] = asyncio.Queue(_MOST_OPEN)
        sending = asyncio.create_task(self._send(answers, writer))
        try:
            with contextlib.suppress(
                ConnectionError, ValueError
            ):  # also what is no JSON, and too long a line
                while line := await reader.readline():
                    await answers.put(asyncio.create_task(self.answer(orjson.loads(line))))
            await answers.put(None)
            await sending
        finally:
            sending.cancel()
            writer.close()

    async def _send(
        self, answers: asyncio.Queue[asyncio.Task[Answer] | None], writer: asyncio.StreamWriter
    ) -> None:
        while (task := await answers.get()) is not None:
            answer = await task
            with contextlib.suppress(ConnectionError):
                writer.write(orjson.dumps(answer) + b"\n")
                await writer.drain()


def review(question: Mapping[str, Any]) -> dict[str, Any]:
    """Return the SubjectAccessReview that asks a question."""
    user, check = question["user"], question["check"]
    spec: dict[str, Any] = {
        "user": user.get("username") or "",
        "uid": user.get("uid") or "",
        "groups": [str(group) for group in user.get("groups") or ()],
        "extra": {str(key): [str(v) for v in values] for key, values in (user.get("extra") or {}).items()},
    }
    account = check.get("service_account")
    if account:
        namespace, name = account
        spec = {
            "user": f"system:serviceaccount:{namespace}:{name}",
            "groups": [
                "system:serviceaccounts",
                f"system:serviceaccounts:{namespace}",
                "system:authenticated",
            ],
        }
    verb = str(check["verb"])
    if check.get("path"):
        spec["nonResourceAttributes"] = {"path": str(check["path"]), "verb": verb}
    else:
        attributes: dict[str, Any] = {"verb": verb, "version": "*"}
        for field in ("group", "resource", "subresource", "namespace", "name"):
            if check.get(field):
                attributes[field] = str(check[field])
        for field, name in (("field_selector", "fieldSelector"), ("label_selector", "labelSelector")):
            if check.get(field):
                attributes[name] = {"rawSelector": str(check[field])}
        spec["resourceAttributes"] = attributes
    return {"apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview", "spec": spec}

"""A client at a steady rate that keeps every answer: how long it took, and which revision gave it."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path

import orjson

from bench.client import parse

LONGEST_SECONDS = 120.0
_FIRST_ANSWERS = 100
_PATH = "/admit?timeout=5s"


@dataclass(frozen=True)
class Plan:
    """What is sent.

    Attributes:
        port: of the webhook, on loopback.
        authority: its certificate.
        bodies: reviews, in turn.
        rate: requests a second, over all connections.
        seconds: how long.
        connections: how many.
        begun: a file that is made after the first answers.
    """

    port: int
    authority: Path
    bodies: Sequence[bytes]
    rate: float
    seconds: float
    connections: int = 8
    begun: Path | None = None


@dataclass(frozen=True)
class Answer:
    """One answer.

    Attributes:
        body: which of the plan's bodies was sent.
        sent: when, by the monotonic clock.
        took: seconds.
        allowed: the verdict.
        revision: what it was judged by.
        notes: the audit annotations.
        failed: what was wrong instead of an answer; empty for nothing.
    """

    body: int
    sent: float
    took: float
    allowed: bool = False
    revision: str = ""
    notes: Mapping[str, str] = field(default_factory=dict)
    failed: str = ""


def run(plan: Plan) -> list[Answer]:
    """Send what is planned and return the answers in the order in which they were sent."""
    return asyncio.run(_run(plan))


async def _run(plan: Plan) -> list[Answer]:
    context = ssl.create_default_context(cafile=str(plan.authority))
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    answers: list[Answer] = []
    start = time.monotonic()
    async with asyncio.TaskGroup() as group:
        for number in range(plan.connections):
            group.create_task(_connection(plan, number, start, context, answers))
    return sorted(answers, key=lambda answer: answer.sent)


async def _connection(
    plan: Plan, number: int, start: float, context: ssl.SSLContext, answers: list[Answer]
) -> None:
    """Send one connection's requests, each at its time or as soon as the last one is answered."""
    streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
    turn = number
    until = start + min(plan.seconds, LONGEST_SECONDS)
    try:
        while (due := start + turn / plan.rate) < until:
            await asyncio.sleep(due - time.monotonic())
            if streams is None:
                streams = await asyncio.open_connection(
                    "127.0.0.1", plan.port, ssl=context, server_hostname="127.0.0.1"
                )
            body = turn % len(plan.bodies)
            sent = time.monotonic()
            try:
                status, closes, data = await _ask(*streams, plan.port, plan.bodies[body])
                answers.append(_answer(body, sent, status, data))
                if plan.begun is not None and len(answers) == _FIRST_ANSWERS:
                    plan.begun.touch()
            except OSError as error:
                closes = True
                answers.append(Answer(body, sent, time.monotonic() - sent, failed=repr(error)))
            if closes:
                streams[1].close()
                streams = None
            turn += plan.connections
    finally:
        if streams is not None:
            streams[1].close()


async def _ask(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, port: int, body: bytes
) -> tuple[int, bool, bytes]:
    head = (
        f"POST {_PATH} HTTP/1.1\r\nHost: localhost:{port}\r\nContent-Length: {len(body)}\r\n"
        "Content-Type: application/json\r\n\r\n"
    )
    writer.write(head.encode() + body)
    received = b""
    while (answer := parse(received)) is None:
        data = await reader.read(65536)
        if not data:
            raise ConnectionResetError("closed within a request")
        received += data
    return answer


def _answer(body: int, sent: float, status: int, data: bytes) -> Answer:
    took = time.monotonic() - sent
    if status != HTTPStatus.OK:
        return Answer(body, sent, took, failed=f"HTTP status {status}: {data[:200]!r}")
    response = orjson.loads(data)["response"]
    notes = response.get("auditAnnotations") or {}
    return Answer(body, sent, took, response["allowed"], notes.get("revision", ""), notes)

"""Sends a worker's decision log to an OpenTelemetry collector: OTLP over HTTP, as JSON.

https://opentelemetry.io/docs/specs/otlp/#otlphttp. Nothing waits for it: what finds no room, and what the
collector refuses, is counted and told of in the chain itself once there is room again.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import ssl
import time
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Self
from urllib.parse import unquote, urlsplit

import orjson
from aiohttp import ClientError, ClientSession, ClientTimeout, TCPConnector

from webhook import __version__
from webhook.adapters import logs
from webhook.adapters.evidence import Author, Line, Type, merged
from webhook.core.errors import InputError
from webhook.server.metrics import Metrics

logger = logging.getLogger(__name__)

MOST_LINES = 10_000
MOST_BYTES = 32 * 1024 * 1024
_BATCH_LINES = 512
_BATCH_BYTES = 2 * 1024 * 1024
_ATTEMPT_SECONDS = 10.0
_FIRST_DELAY, _LONGEST_DELAY = 1.0, 30.0
_AGAIN = frozenset({429, 502, 503, 504})
_PATH = "/v1/logs"

Range = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Collector:
    """Where an OpenTelemetry collector is, and how it is spoken to.

    Attributes:
        url: for logs.
        headers: of each request.
        context: for https; None for http.
    """

    url: str
    headers: Mapping[str, str]
    context: ssl.SSLContext | None

    @classmethod
    def of(cls, endpoint: str, environment: Mapping[str, str]) -> Self:
        """Return the collector at an endpoint; headers and authority are OpenTelemetry's own variables.

        Raises:
            InputError: one of these can't be used.
        """
        url = logs_url(endpoint)
        authority = environment.get("OTEL_EXPORTER_OTLP_CERTIFICATE") or None
        try:
            context = ssl.create_default_context(cafile=authority) if url.startswith("https:") else None
        except OSError as error:
            reason = error.strerror or error
            raise InputError(f"OTEL_EXPORTER_OTLP_CERTIFICATE: {authority} can't be used: {reason}") from None
        return cls(url, headers(environment.get("OTEL_EXPORTER_OTLP_HEADERS", "")), context)


def logs_url(endpoint: str) -> str:
    """Return where logs go for an OTLP endpoint, as ``OTEL_EXPORTER_OTLP_ENDPOINT`` means it.

    Raises:
        InputError: it is no http or https URL.
    """
    parts = urlsplit(endpoint)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        raise InputError(f"{endpoint!r} is no OTLP endpoint: write an URL such as http://collector:4318")
    return endpoint.rstrip("/") + ("" if parts.path.endswith(_PATH) else _PATH)


def headers(text: str) -> dict[str, str]:
    """Return the headers in a text such as ``OTEL_EXPORTER_OTLP_HEADERS`` has: ``name=value,name=value``.

    Raises:
        InputError: a part has no name. The text isn't quoted: it may hold a token.
    """
    found = {}
    for part in filter(str.strip, text.split(",")):
        name, equals, value = part.partition("=")
        if not equals or not name.strip():
            raise InputError("OTEL_EXPORTER_OTLP_HEADERS: each part must be name=value")
        found[unquote(name.strip())] = unquote(value.strip())
    return found


class Exporter:
    """Sends lines in batches, and remembers which never arrived.

    Args:
        collector: where they go.
        author: who writes the lines.
        metrics: counts what is lost.
    """

    def __init__(self, collector: Collector, author: Author, metrics: Metrics) -> None:
        self._collector = collector
        self._metrics = metrics
        self._resource = {
            "attributes": [
                _attribute("service.name", "tidewaiter"),
                _attribute("service.instance.id", author.chain),
                _attribute("host.name", author.replica),
            ]
        }
        self._queue: deque[Line] = deque()
        self._size = 0
        self._lost: list[Range] = []
        self._told: dict[int, Range] = {}
        self._came = asyncio.Event()
        self._emptied = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._problem = ""

    def offer(self, lines: Iterable[Line], told: Sequence[Range] = ()) -> None:
        """Take lines to send.

        Args:
            lines: in the order of the chain.
            told: the ranges that the export losses among them tell of, in their order.
        """
        ranges = iter(told)
        for line in lines:
            if line.type is Type.LOSS:
                with contextlib.suppress(StopIteration):
                    self._told[line.sequence] = next(ranges)
            if len(self._queue) >= MOST_LINES or self._size + len(line.data) > MOST_BYTES:
                self._lose(line)
            else:
                self._emptied.clear()
                self._queue.append(line)
                self._size += len(line.data)
        self._came.set()
        task = self._task
        if task is not None and task.done() and (error := task.exception()) is not None:
            logger.error("evidence_export_failed", extra=logs.fields(exception=logs.describe(error)))
        if task is None or task.done():
            self._task = asyncio.create_task(self._send_all())

    def take_lost(self) -> tuple[Range, ...]:
        """Return the sequence numbers that were lost, to be told of; none while there is no room to tell."""
        if not self._lost or len(self._queue) > MOST_LINES // 2 or self._size > MOST_BYTES // 2:
            return ()
        lost, self._lost = merged(self._lost), []
        return tuple(lost)

    async def close(self) -> None:
        """Send what is left, for as long as the caller waits."""
        try:
            if self._queue:
                await self._emptied.wait()
        finally:
            if self._task is not None:
                self._task.cancel()
                await asyncio.wait({self._task})

    def _lose(self, line: Line) -> None:
        self._lost.append((line.sequence, line.sequence))
        told = self._told.pop(line.sequence, None)
        if told is not None:
            self._lost.append(told)  # whoever reads what arrives must still learn of it
        if len(self._lost) > _BATCH_LINES:
            self._lost = merged(self._lost)
        self._metrics.evidence_lost("export")

    async def _send_all(self) -> None:
        timeout = ClientTimeout(total=_ATTEMPT_SECONDS)
        headers = {"Content-Type": "application/json", **self._collector.headers}
        connector = TCPConnector(ssl=self._collector.context or True, limit=1)
        async with ClientSession(connector=connector, headers=headers, timeout=timeout) as session:
            while True:
                self._came.clear()
                while self._queue:
                    await self._send(session, self._batch())
                self._emptied.set()
                await self._came.wait()

    def _batch(self) -> list[Line]:
        batch: list[Line] = []
        size = 0
        for line in self._queue:
            if batch and (len(batch) >= _BATCH_LINES or size + len(line.data) > _BATCH_BYTES):
                break
            batch.append(line)
            size += len(line.data)
        return batch

    async def _send(self, session: ClientSession, batch: Sequence[Line]) -> None:
        """Send a batch until it arrived or was refused; it stays in the queue until then."""
        body = self._body(batch)
        delay = _FIRST_DELAY
        while True:
            refused, problem, wait = await _post(session, self._collector.url, body)
            self._tell(problem)
            if not problem or refused:
                break
            # Apart, so that the workers of a cluster don't all come at once.
            await asyncio.sleep(max(wait, delay * random.uniform(0.5, 1.0)))  # noqa: S311
            delay = min(2 * delay, _LONGEST_DELAY)
        for line in batch:
            self._queue.popleft()
            self._size -= len(line.data)
            if refused:
                self._lose(line)
            else:
                self._told.pop(line.sequence, None)

    def _tell(self, problem: str) -> None:
        if problem and problem != self._problem:
            logger.error("evidence_not_exported", extra=logs.fields(error=problem))
        self._problem = problem

    def _body(self, batch: Sequence[Line]) -> bytes:
        scope = {
            "scope": {"name": "tidewaiter.dev/evidence", "version": __version__},
            "logRecords": [_log_record(line) for line in batch],
        }
        return orjson.dumps({"resourceLogs": [{"resource": self._resource, "scopeLogs": [scope]}]})


async def _post(session: ClientSession, url: str, body: bytes) -> tuple[bool, str, float]:
    """Return whether the collector refuses a batch for good, what is wrong, and how long to wait."""
    try:
        async with session.post(url, data=body, allow_redirects=False) as answer:
            if answer.status == 200:
                return _rejected(await answer.content.read(65536))
            wait = answer.headers.get("Retry-After", "")
            seconds = min(float(wait), _LONGEST_DELAY) if wait.isdecimal() else 0.0
            return answer.status not in _AGAIN, f"the collector answers {answer.status}", seconds
    except (ClientError, OSError, TimeoutError) as error:
        return False, f"the collector can't be reached: {type(error).__name__}", 0.0


def _rejected(body: bytes) -> tuple[bool, str, float]:
    """Read a collector's answer: it may have taken a part, and doesn't say which."""
    try:
        rejected = int(orjson.loads(body)["partialSuccess"]["rejectedLogRecords"])
    except (ValueError, TypeError, KeyError):
        rejected = 0
    return rejected > 0, f"the collector refused {rejected} records" if rejected else "", 0.0


def _log_record(line: Line) -> dict[str, object]:
    return {
        "timeUnixNano": str(int(line.time.timestamp() * 1_000_000) * 1000),
        "observedTimeUnixNano": str(time.time_ns()),
        "severityNumber": 9,
        "severityText": "INFO",
        "eventName": f"tidewaiter.evidence.{line.type}",
        "body": {"stringValue": line.data.decode()},
        "attributes": [{"key": "tidewaiter.evidence.sequence", "value": {"intValue": str(line.sequence)}}],
    }


def _attribute(name: str, value: str) -> dict[str, object]:
    return {"key": name, "value": {"stringValue": value}}

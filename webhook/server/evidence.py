"""Keeps a worker's decision log: requests only leave a note, and the lines are written beside them."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
import os
import re
import secrets
import socket
import sys
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from webhook import __version__
from webhook.adapters import evidence_facts, evidence_keys, logs
from webhook.adapters.evidence import MARKS, Author, Chain, Line, Type
from webhook.adapters.evidence_facts import Facts
from webhook.adapters.evidence_keys import KeyId
from webhook.core.review import AdmissionRequest
from webhook.core.verdict import Verdict
from webhook.server.current import Current
from webhook.server.evidence_export import Collector, Exporter
from webhook.server.evidence_sinks import Files, Nowhere, Sink, Stream
from webhook.server.judging import utc_now
from webhook.server.metrics import Metrics
from webhook.server.settings import EvidenceSettings

logger = logging.getLogger(__name__)

CHECKPOINT_SECONDS = 60.0
MOST_NOTES = 10_000
MOST_BYTES = 32 * 1024 * 1024
_CLOSE_SECONDS = 5.0
_LOCK = "evidence.lock"


class _Note(NamedTuple):
    """What will be a record."""

    kind: Type
    content: Mapping[str, Any]
    size: int
    at: datetime


@dataclass(frozen=True, slots=True)
class _Written:
    """What a turn made: its lines, and why not all of them are where they go; empty when they are."""

    lines: tuple[Line, ...] = ()
    problem: str = ""


MakeRecorder = Callable[[Current, Metrics], "Recorder"]


class Origin:
    """What the supervisor knows of the decision log: the key, and which workers it has started.

    Args:
        settings: where the log goes.
        folder: of this run of the supervisor alone.

    Raises:
        InputError: the key, or the collector's address, can't be used.
    """

    def __init__(self, settings: EvidenceSettings, folder: Path) -> None:
        self._settings = settings
        self._lock = folder / _LOCK
        self._key = evidence_keys.private_key(settings.key) if settings.key else evidence_keys.new_key()
        self._collector = Collector.of(settings.otlp, os.environ) if settings.otlp else None
        self._replica = socket.gethostname()
        self._run = secrets.token_hex(8)
        self._starts = itertools.count(1)
        public = self._key.public_key()
        logger.info(
            "evidence_key",
            extra=logs.fields(
                key=str(KeyId.of(public)),
                public_key=evidence_keys.public_text(public),
                kept=bool(settings.key),
            ),
        )

    def worker(self, row: int) -> MakeRecorder:
        """Return what makes the recorder of a worker that starts now; the worker itself calls it."""
        return partial(self._recorder, Author(self._replica, self._run, next(self._starts), row, utc_now()))

    def _recorder(self, author: Author, current: Current, metrics: Metrics) -> Recorder:
        exporter = Exporter(self._collector, author, metrics) if self._collector is not None else None
        return Recorder(Chain(author, self._key), self._sink(author), current, metrics, exporter)

    def _sink(self, author: Author) -> Sink:
        settings = self._settings
        if settings.folder:
            stem = re.sub(r"[^\w.-]", "_", author.chain, flags=re.ASCII)
            return Files(Path(settings.folder), stem)
        return Stream(sys.stdout.fileno(), self._lock) if settings.stdout else Nowhere()


class Recorder:
    """Notes what is to be told, and writes it a moment later; what finds no room is counted and told of.

    Args:
        chain: makes the records.
        sink: where they go.
        current: the snapshot, for the digests of what decided.
        metrics: counts.
        exporter: sends them elsewhere too; None: nobody does.
        clock: gives the time.
        every: seconds between checkpoints.
    """

    def __init__(
        self,
        chain: Chain,
        sink: Sink,
        current: Current,
        metrics: Metrics,
        exporter: Exporter | None = None,
        clock: Callable[[], datetime] = utc_now,
        every: float = CHECKPOINT_SECONDS,
    ) -> None:
        self._chain = chain
        self._sink = sink
        self._current = current
        self._metrics = metrics
        self._exporter = exporter
        self._clock = clock
        self._every = every
        self._notes: deque[_Note] = deque()
        self._size = 0
        self._lost = 0
        self._marked: datetime | None = None
        self._problem = ""
        self._closed = False
        # One thread of its own: a disk or a reader that hangs must hold up nobody else.
        self._thread = ThreadPoolExecutor(1, "evidence")
        self._turn = asyncio.Lock()

    def decision(self, request: AdmissionRequest, verdict: Verdict) -> None:
        """Note a denial, or a request that a risk acceptance lets pass."""
        self._note(Type.DECISION, lambda: evidence_facts.decision(request, verdict, self._current.snapshot))

    def write(self, request: AdmissionRequest) -> None:
        """Note a write to one of our kinds that we let pass."""
        if not request.dry_run:
            self._note(Type.WRITE, lambda: evidence_facts.write(request, self._current.revision))

    def _note(self, kind: Type, tell: Callable[[], Facts]) -> None:
        try:
            told = tell()
        except Exception as error:  # a request is never refused because it can't be told of
            logger.error("evidence_failed", extra=logs.fields(exception=logs.describe(error)))
            self._lose("unreadable")
            return
        if len(self._notes) >= MOST_NOTES or self._size + told.size > MOST_BYTES:
            self._lose("overflow")
            return
        self._size += told.size
        self._notes.append(_Note(kind, told.content, told.size, self._clock()))

    def _lose(self, reason: str) -> None:
        self._lost += 1
        self._metrics.evidence_lost(reason)

    async def turn(self) -> None:
        """Write what was noted, with a checkpoint where one is due."""
        if not self._closed and not self._turn.locked():
            async with self._turn:
                await self._write(Type.CHECKPOINT if self._is_due() else None)

    def _is_due(self) -> bool:
        if self._marked is None:
            return True
        passed = (self._clock() - self._marked).total_seconds()
        return not 0 <= passed < self._every  # nor may a clock that is put back stop the checkpoints

    async def close(self) -> None:
        """Write the rest and the chain's end, as far as that takes no longer than a few seconds."""
        if self._closed:
            return
        self._closed = True
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_CLOSE_SECONDS), self._turn:
                await self._write(Type.END)
                if self._exporter is not None:
                    await self._exporter.close()
        self._sink.close()
        self._thread.shutdown(wait=False)

    async def _write(self, mark: Type | None) -> None:
        loop = asyncio.get_running_loop()
        if self._problem:
            # Nothing more is tied to the chain before what is in it already is written.
            self._tell(await loop.run_in_executor(self._thread, self._put, ()))
            if self._problem:
                return
        now, first = self._clock(), self._marked is None
        ranges = self._exporter.take_lost() if self._exporter is not None else ()
        notes = [_mark(Type.START, self._current, now)] if first else []
        notes += self._take()
        notes += [_loss(now, reason="export", first=a, last=b, records=b - a + 1) for a, b in ranges]
        if self._lost:
            notes.append(_loss(now, reason="not written", records=self._lost))
            self._lost = 0
        if mark is Type.END or (mark is not None and not first):
            notes.append(_mark(mark, self._current, now))
        if notes:
            self._tell(await loop.run_in_executor(self._thread, self._put, notes), ranges)
        if mark is not None:
            self._marked = now
            if not self._problem:
                self._metrics.checkpointed(now.timestamp())

    def _take(self) -> list[_Note]:
        notes = list(self._notes)
        self._notes.clear()
        self._size = 0
        return notes

    def _put(self, notes: Sequence[_Note]) -> _Written:
        """Chain and write; runs in the thread."""
        lines = []
        for note in notes:
            try:
                lines.append(self._chain.add(note.kind, note.content, note.at))
            except ValueError as error:
                logger.error("evidence_failed", extra=logs.fields(exception=logs.describe(error)))
        try:
            self._sink.write(b"".join(line.data + b"\n" for line in lines))
            if any(line.type in MARKS for line in lines):
                self._sink.sync()
        except OSError as error:
            return _Written(tuple(lines), error.strerror or str(error))
        return _Written(tuple(lines))

    def _tell(self, written: _Written, ranges: Sequence[tuple[int, int]] = ()) -> None:
        if written.problem and written.problem != self._problem:
            logger.error("evidence_not_written", extra=logs.fields(error=written.problem))
        self._problem = written.problem
        for line in written.lines:
            self._metrics.evidence(line.type)
        if self._exporter is not None:
            self._exporter.offer(written.lines, ranges)


def _mark(kind: Type, current: Current, at: datetime) -> _Note:
    content = {"revision": current.revision}
    if current.snapshot is not None and current.snapshot.cluster:
        content["cluster"] = current.snapshot.cluster
    if kind is Type.START:
        content["version"] = __version__
    return _Note(kind, content, 0, at)


def _loss(at: datetime, **content: Any) -> _Note:
    return _Note(Type.LOSS, content, 0, at)

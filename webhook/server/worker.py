"""One worker process: an event loop that answers on inherited sockets and follows the snapshot."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import os
import signal
import socket
import time
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import uvloop

from webhook.adapters import logs
from webhook.core.errors import InputError
from webhook.core.snapshot import Snapshot
from webhook.server import authorizer, debug, swap
from webhook.server.acknowledge import EVERY_SECONDS, Acknowledger
from webhook.server.app import DataPlane
from webhook.server.balance import EVERY_SECONDS as BALANCE_SECONDS
from webhook.server.balance import Balance
from webhook.server.board import Board
from webhook.server.connections import Connections
from webhook.server.current import Current
from webhook.server.denials import Reporter
from webhook.server.judging import Judge
from webhook.server.loaded import log_snapshot
from webhook.server.metrics import Metrics
from webhook.server.pages import Pages
from webhook.server.providers import ProviderClient
from webhook.server.settings import Settings
from webhook.server.source import SnapshotSource
from webhook.server.ticker import Ticker
from webhook.server.tls import LiveContext

if TYPE_CHECKING:
    from webhook.server.evidence import MakeRecorder

logger = logging.getLogger(__name__)

_FINISH_SECONDS = 10.0
_RETRY_SECONDS = 2.0
_EVIDENCE_SECONDS = 0.5
"""How often the decision log is written: what a worker that is killed can lose of it."""
_HOUSEKEEPING_SECONDS = 0.5
_YOUNG_OBJECTS = 20_000
"""How many new containers start a collection. Decoded reviews hold no cycles; the default of 700 would look
at each several times for nothing."""


@dataclass(frozen=True, slots=True)
class Inherited:
    """What a worker gets from its supervisor through the fork.

    Attributes:
        listener: the bound TLS socket, shared with the other workers.
        plain_listener: the one for metrics and probes, or None.
        certificate: the TLS context.
        source: where snapshots come from, with what it has compiled.
        snapshot: the first snapshot, or None.
        seen: what `source.look` gave for it.
        error: why the latest could not be loaded; empty when it could.
        metrics: with its counters' files.
        board: where workers say that they live.
        row: this worker's row on it.
        recorder: makes what keeps this worker's decision log; None: none is kept.
        supervisor: its pid, from before the fork: it may be dead when the worker begins.
    """

    listener: socket.socket
    plain_listener: socket.socket | None
    certificate: LiveContext
    source: SnapshotSource
    snapshot: Snapshot | None
    seen: Hashable
    error: str
    metrics: Metrics
    board: Board
    row: int
    recorder: MakeRecorder | None
    supervisor: int


def run(settings: Settings, inherited: Inherited) -> None:
    """Serve until a signal: SIGTERM drains, SIGINT only finishes what is in flight.

    Signals must be blocked when it is called, as the supervisor forks; they are let in once they are handled.
    """
    gc.set_threshold(_YOUNG_OBJECTS, 20, 50)
    swap.share_evenly()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_Worker(settings, inherited).serve())


class _Worker:
    """A worker's tasks."""

    def __init__(self, settings: Settings, inherited: Inherited) -> None:
        self.settings = settings
        self.inherited = inherited
        self.seen = inherited.seen
        self.current = Current(inherited.snapshot, inherited.error)
        self.acknowledger = Acknowledger(Path(settings.snapshot)) if settings.snapshot else None
        self.authorizer = (
            authorizer.SocketAuthorizer(str(Path(settings.snapshot) / authorizer.SOCKET))
            if settings.snapshot
            else None
        )
        self.balance = Balance(inherited.board, inherited.row)
        self.answered = 0
        make_recorder = inherited.recorder
        self.recorder = make_recorder(self.current, inherited.metrics) if make_recorder is not None else None
        self.plane = DataPlane(
            self.current,
            inherited.metrics,
            settings.limits,
            Judge(
                self.current,
                self.authorizer,
                settings.limits.namespace_wait,
                meter=inherited.metrics.meter,
                providers=ProviderClient(*inherited.certificate.files),
                watching=Ticker().watching,
            ),
            inherited.certificate,
            Reporter(Path(settings.snapshot), inherited.metrics) if settings.snapshot else None,
            self.balance.closes,
            self.recorder,
        )
        self.stopping = asyncio.Event()
        self.at_once = asyncio.Event()

    async def serve(self) -> None:
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, self.stopping.set)
        loop.add_signal_handler(signal.SIGINT, self._stop_at_once)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM, signal.SIGINT, signal.SIGCHLD})
        self.inherited.certificate.refresh()  # the supervisor looked for a newer one a while ago
        connections = self._connections()
        for each in connections:
            each.open()
        tasks = [
            asyncio.create_task(_repeat(self._follow, self.inherited.source.every)),
            asyncio.create_task(_repeat(self._keep_house, _HOUSEKEEPING_SECONDS)),
            asyncio.create_task(_repeat(partial(self._balance, connections), BALANCE_SECONDS)),
        ]
        if self.recorder is not None:
            tasks.append(asyncio.create_task(_repeat(self.recorder.turn, _EVIDENCE_SECONDS)))
        await self.stopping.wait()
        await self._drain(connections)
        for each in connections:
            await each.finish(_FINISH_SECONDS)
        if self.recorder is not None:
            await self.recorder.close()
        self.plane.metrics.flush()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self.authorizer is not None:
            await self.authorizer.close()
        if self.acknowledger is not None:
            self.acknowledger.remove()

    def _stop_at_once(self) -> None:
        self.at_once.set()
        self.stopping.set()

    def _connections(self) -> list[Connections]:
        inherited, settings, plane = self.inherited, self.settings, self.plane
        found = [
            Connections(
                inherited.listener,
                plane.answer,
                inherited.certificate.listener,
                settings.limits,
                settings.tls.client_names if settings.tls is not None else (),
                lambda: self.balance.heavy,
                plane,
            )
        ]
        if inherited.plain_listener is not None:
            pages = Pages(plane.pages | (debug.pages(self.current) if settings.debug else {}))
            found.append(Connections(inherited.plain_listener, pages.answer, None, settings.limits))
        return found

    async def _balance(self, connections: list[Connections]) -> None:
        answered, self.answered = self.plane.answered - self.answered, self.plane.answered
        active = [each.take_active() for each in connections]
        self.balance.turn(time.monotonic(), answered, active[0])

    async def _drain(self, connections: list[Connections]) -> None:
        """Lose no request while clients learn that we go.

        For the first half of the grace time the listener stays open: other nodes send new connections to a
        Pod for a moment after it is told to stop, and a closed listener would refuse them where it is the
        only one. For the second half those that came last finish their handshake and send their request. All
        along, every answer closes its connection.
        """
        self.plane.draining = True
        logger.debug("draining", extra=logs.fields(in_flight=self.plane.room.taken))
        half = self.settings.drain_seconds / 2
        await self._grace(half)
        for each in connections:
            each.close()
        await self._grace(half)

    async def _grace(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self.at_once.wait()

    async def _follow(self) -> None:
        """Load the snapshot if it is another one, off the loop, and swap it in."""
        source = self.inherited.source
        try:
            seen = source.look()
        except OSError as error:
            # The operator's first snapshot isn't there yet, or its volume is away: what we have stays.
            self._failed(f"no snapshot can be found: {error.strerror or error}")
            return
        if seen == self.seen:
            if self.current.error and self.current.snapshot is not None:
                self.current.error = ""  # it was away, or broken, and is back as it was
                self._acknowledge()
            return
        started = time.perf_counter()
        try:
            snapshot = await swap.load(source)
        except (InputError, OSError) as error:
            self._failed(str(error))
            await asyncio.sleep(_RETRY_SECONDS)
            return
        self.seen = seen
        before = self.current.snapshot
        if before is not None and before.judges_as(snapshot) and not self.current.error:
            return
        self.current.swap(snapshot)
        self._acknowledge()
        self.plane.metrics.loaded(ok=True)
        log_snapshot(logger, snapshot, time.perf_counter() - started, before)

    def _failed(self, problem: str) -> None:
        if problem == self.current.error:
            return
        self.current.error = problem
        self._acknowledge()
        self.plane.metrics.loaded(ok=False)
        logger.error(
            "snapshot_failed", extra=logs.fields(error=problem, keeps=self.current.revision or "none")
        )

    async def _keep_house(self) -> None:
        supervisor = self.inherited.supervisor
        if os.getppid() != supervisor:
            logger.error("supervisor_died", extra=logs.fields(pid=supervisor))
            self.stopping.set()
        acknowledger = self.acknowledger
        if acknowledger is not None and time.monotonic() - acknowledger.written_at >= EVERY_SECONDS:
            self._acknowledge()
        self.plane.metrics.flush(self.plane.room.taken)
        certificate = self.inherited.certificate
        problem = certificate.error
        if certificate.refresh():
            self._acknowledge()
            logger.info("certificate_loaded", extra=logs.fields(expires=int(certificate.expires_at)))
        elif certificate.error and certificate.error != problem:
            logger.error("certificate_failed", extra=logs.fields(error=certificate.error))

    def _acknowledge(self) -> None:
        if self.acknowledger is None or self.current.snapshot is None:
            return  # whoever has no snapshot must not look like a worker that can judge
        try:
            self.acknowledger.write(self.current, self.inherited.certificate.fingerprint)
        except OSError as error:
            logger.error("acknowledgement_failed", extra=logs.fields(error=str(error)))


async def _repeat(job: Callable[[], Awaitable[None]], every: float) -> None:
    """Run `job` again and again; whatever goes wrong in it, the next turn comes."""
    while True:
        try:
            await job()
        except Exception as error:
            logger.error("task_failed", extra=logs.fields(exception=logs.describe(error)))
        await asyncio.sleep(every)

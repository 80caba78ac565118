"""The supervisor: binds the sockets, compiles once, forks the workers and replaces those that die.

It has no threads and no event loop, so that a fork copies nothing half done. What it imported and compiled
the workers share with it.
"""

from __future__ import annotations

import contextlib
import gc
import logging
import os
import signal
import sys
import time
from collections.abc import Hashable
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from webhook.adapters import logs
from webhook.adapters.addresses import Address
from webhook.core.errors import InputError
from webhook.core.snapshot import Snapshot
from webhook.server.board import Board
from webhook.server.loaded import log_snapshot
from webhook.server.metrics import Metrics, forget_worker
from webhook.server.selfsigned import write_pair
from webhook.server.settings import Settings
from webhook.server.signals import SIGNALS, Signals
from webhook.server.sockets import bind, refuse, take
from webhook.server.source import SnapshotSource
from webhook.server.tls import LiveContext
from webhook.server.worker import Inherited, run

if TYPE_CHECKING:
    from webhook.server.evidence import MakeRecorder, Origin

logger = logging.getLogger(__name__)

_TURN_SECONDS = 1.0
_SETTLED_SECONDS = 5.0
_YOUNG_SECONDS = 5.0
_FIRST_DELAY, _LONGEST_DELAY = 0.1, 5.0
_MOST_EARLY_DEATHS = 10
_KILL_AFTER_SECONDS = 15.0
_HANGS_AFTER_SECONDS = 3.0
"""A worker writes four times a second that it lives, and no request holds it for longer than a fraction of a
second; the API server waits 5 s for an answer."""


class _Living(NamedTuple):
    """A worker that runs: since when, and its row on the board."""

    since: float
    row: int


class Supervisor:
    """Keeps the workers running.

    Args:
        settings: how to serve.
        source: where snapshots come from.
        folder: of this run alone; a self-signed certificate lies there.
        counters: the folder of the workers' counters.
        origin: of the decision log; None: none is kept.
    """

    def __init__(
        self, settings: Settings, source: SnapshotSource, folder: Path, counters: Path, origin: Origin | None
    ) -> None:
        self.settings = settings
        self.source = source
        self.folder = folder
        self.counters = str(counters)
        self.origin = origin
        self.snapshot: Snapshot | None = None
        self.seen: Hashable = None
        self.newest: Hashable = None
        self.newest_since = 0.0
        self.error = ""
        self.workers: dict[int, _Living] = {}
        self.board = Board(settings.workers)
        self.refusing = False
        self.turned_at = 0.0
        self.early_deaths = 0
        self.retry_at = 0.0

    def run(self) -> int:
        """Serve until a signal.

        Returns:
            the exit status: 0 after SIGTERM, 130 after SIGINT, 1 when workers die as soon as they start.

        Raises:
            InputError: an address, a certificate or, standalone, the policies can't be used.
        """
        settings = self.settings
        self.listener = bind(settings.listen)
        self.plain_listener = bind(settings.metrics_listen) if settings.metrics_listen else None
        tls = settings.tls or write_pair(self.folder)
        if settings.tls is None:
            logger.warning(
                "self_signed_certificate",
                extra=logs.fields(certificate=tls.certificate, holds_for="localhost,127.0.0.1,::1"),
            )
        self.certificate = LiveContext(tls, wait=bool(settings.snapshot))
        if self.certificate.error:
            logger.warning("waiting_for_certificate", extra=logs.fields(error=self.certificate.error))
        self.metrics = Metrics(self.counters)
        self._load_first()
        with Signals() as signals:
            for _ in range(settings.workers):
                self._start_worker()
            self._log_listening()
            return self._watch(signals)

    def _load_first(self) -> None:
        started = time.perf_counter()
        try:
            seen = self.source.look()
            self.snapshot = self.source.load()
        except (InputError, OSError) as error:
            if not self.settings.snapshot:
                raise InputError(str(error)) from None
            self.error = str(error)
            logger.warning("waiting_for_snapshot", extra=logs.fields(folder=self.settings.snapshot))
            return
        self.seen = seen  # only now: what can't be loaded yet is looked at again, though its name stays
        log_snapshot(logger, self.snapshot, time.perf_counter() - started)

    def _refresh(self, *, starting: bool = False) -> None:
        """Hold the newest snapshot and certificate, so that a worker that is replaced starts with them.

        While snapshots follow each other, one is loaded only where a worker is `starting`.
        """
        self.certificate.refresh()
        now = time.monotonic()
        if now < self.retry_at:
            return
        try:
            seen = self.source.look()
            if seen != self.newest:
                self.newest, self.newest_since = seen, now
            if seen != self.seen and (starting or now - self.newest_since >= _SETTLED_SECONDS):
                self.snapshot = self.source.load()
                self.seen, self.error = seen, ""
        except (InputError, OSError) as error:
            self.error = str(error)
            self.retry_at = now + 2.0  # the workers log it

    def _start_worker(self) -> None:
        self._refuse(False)
        row = min(set(range(self.settings.workers)) - {living.row for living in self.workers.values()})
        now = time.monotonic()
        self.board.write(row, now, 0.0)
        gc.collect()
        gc.freeze()  # the pages that the collector would write to stay shared
        # A signal between the fork and the worker's own handlers must wait, not get lost.
        signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
        recorder = self.origin.worker(row) if self.origin is not None else None
        mine = os.getpid()
        pid = os.fork()
        if pid == 0:
            self._become_worker(row, recorder, mine)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
        self.workers[pid] = _Living(now, row)

    def _become_worker(self, row: int, recorder: MakeRecorder | None, supervisor: int) -> None:
        status = 1
        try:
            signal.set_wakeup_fd(-1)
            for number in SIGNALS:
                signal.signal(number, signal.SIG_DFL)
            inherited = Inherited(
                self.listener,
                self.plain_listener,
                self.certificate,
                self.source,
                self.snapshot,
                self.seen,
                self.error,
                self.metrics,
                self.board,
                row,
                recorder,
                supervisor,
            )
            run(self.settings, inherited)
            status = 0
        except BaseException as error:
            logger.error("worker_failed", extra=logs.fields(exception=logs.describe(error)))
        finally:
            with contextlib.suppress(OSError, ValueError):
                sys.stderr.flush()
            os._exit(status)  # nothing of the supervisor's may run here

    def _watch(self, signals: Signals) -> int:
        start_at: list[float] = []
        while not signals.stop():
            # Whoever connects now would wait for a worker that doesn't exist for some time, or never will.
            self._refuse(not self.workers and not any(moment <= time.monotonic() for moment in start_at))
            if self.early_deaths >= _MOST_EARLY_DEATHS:
                logger.error("giving_up", extra=logs.fields(reason="workers die as soon as they start"))
                self._stop(signals, signal.SIGTERM)
                return 1
            due = [moment for moment in start_at if moment <= time.monotonic()]
            start_at = [moment for moment in start_at if moment not in due]
            if due:
                self._refresh(starting=True)
            for _ in due:
                self._start_worker()
            signals.wait(min([_TURN_SECONDS, *(max(0.0, at - time.monotonic()) for at in start_at)]))
            if signals.stop():
                break
            self._kill_hanging()
            for pid, lived, status in self._reap():
                start_at.append(time.monotonic() + self._delay(lived))
                logger.error("worker_died", extra=logs.fields(worker=pid, status=status))
            self._refresh()
        number = signals.stop()
        logger.info("stopping", extra=logs.fields(signal=signal.Signals(number).name))
        self._stop(signals, number)
        return 130 if number == signal.SIGINT else 0

    def _refuse(self, refusing: bool) -> None:
        """Let connections be refused, or taken again."""
        if refusing is self.refusing:
            return
        self.refusing = refusing
        for listener in (self.listener, self.plain_listener):
            if listener is not None:
                (refuse if refusing else take)(listener)

    def _kill_hanging(self) -> None:
        """Kill the workers whose event loop no longer turns; they are replaced like others that die."""
        before, now = self.turned_at, time.monotonic()
        self.turned_at = now
        if now - before > 2 * _TURN_SECONDS:
            return  # we were held up ourselves, and so perhaps were they
        for pid, living in self.workers.items():
            silent = now - self.board.read(living.row)[0]
            if silent > _HANGS_AFTER_SECONDS:
                logger.error("worker_hangs", extra=logs.fields(worker=pid, seconds=round(silent, 1)))
                os.kill(pid, signal.SIGKILL)

    def _delay(self, lived: float) -> float:
        """Return how long to wait before a dead worker is replaced: not at all, unless it died young."""
        if lived >= _YOUNG_SECONDS:
            self.early_deaths = 0
            return 0.0
        self.early_deaths += 1
        if self.early_deaths <= self.settings.workers:
            return 0.0
        return float(min(_LONGEST_DELAY, _FIRST_DELAY * 2**self.early_deaths))

    def _reap(self) -> list[tuple[int, float, str]]:
        """Return the workers that have ended: pid, seconds they lived, how they ended."""
        ended: list[tuple[int, float, str]] = []
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return ended
            if pid == 0:
                return ended
            living = self.workers.pop(pid, None)
            if living is None:
                continue  # as PID 1 of a container, we inherit others' children
            forget_worker(pid, self.counters)
            how = f"signal {os.WTERMSIG(status)}" if os.WIFSIGNALED(status) else f"{os.WEXITSTATUS(status)}"
            ended.append((pid, time.monotonic() - living.since, how))

    def _stop(self, signals: Signals, number: int) -> None:
        """Send `number` to every worker and wait for their end; what hangs is killed."""
        for listener in (self.listener, self.plain_listener):
            if listener is not None:
                listener.close()  # ours alone: while we held it, the kernel would queue what nobody accepts
        for pid in self.workers:
            os.kill(pid, number)
        give_up = time.monotonic() + self.settings.drain_seconds + _KILL_AFTER_SECONDS
        while self.workers:
            signals.wait(0.5)
            if signals.stop() == signal.SIGINT and number != signal.SIGINT:
                number = signals.stop()
                for pid in self.workers:
                    os.kill(pid, number)
            self._reap()
            if time.monotonic() > give_up:
                for pid in self.workers:
                    logger.error("worker_killed", extra=logs.fields(worker=pid))
                    os.kill(pid, signal.SIGKILL)
                give_up += _KILL_AFTER_SECONDS

    def _log_listening(self) -> None:
        host, port = self.listener.getsockname()[:2]
        fields = {"address": str(Address(host, port)), "workers": self.settings.workers}
        if self.plain_listener is not None:
            fields["metrics"] = str(Address(*self.plain_listener.getsockname()[:2]))
        logger.info("listening", extra=logs.fields(**fields))

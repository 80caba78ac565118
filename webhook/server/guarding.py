"""The guard of the risk kinds in a worker: from a request to its verdict, and who deleted what."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING

from webhook.adapters import logs
from webhook.adapters.reading import read_approval
from webhook.core.acceptance import digest_of
from webhook.core.guard import guard
from webhook.core.match import Selection
from webhook.core.model import GROUP
from webhook.core.review import AdmissionRequest
from webhook.core.snapshot import Snapshot
from webhook.core.verdict import Verdict
from webhook.server.current import Current
from webhook.server.deadline import Deadline
from webhook.server.judging import Later, utc_now

if TYPE_CHECKING:
    from webhook.server.evidence import Recorder

logger = logging.getLogger(__name__)


class Guard:
    """Judges writes to the risk kinds by the current snapshot.

    Args:
        current: the snapshot.
        wait: seconds that a request waits at most for a snapshot with the acceptance that it is about.
        clock: gives the time to judge at.
        recorder: keeps the decision log; None: none is kept.
    """

    def __init__(
        self,
        current: Current,
        wait: float = 1.0,
        clock: Callable[[], datetime] = utc_now,
        recorder: Recorder | None = None,
    ) -> None:
        self._current = current
        self._wait = wait
        self._clock = clock
        self._recorder = recorder

    def __call__(
        self, request: AdmissionRequest, selection: Selection, deadline: Deadline
    ) -> Verdict | Later:
        """Return the verdict, or what will bring it where it lacks something.

        Args:
            request: a write to one of the risk kinds.
            selection: of policies; the guard has none.
            deadline: when the answer must be out.
        """
        snapshot, verdict = self._once(request)
        if verdict.lacking:
            return partial(self._go_on, request, snapshot, verdict, deadline)
        return self._noted(request, verdict)

    def _once(self, request: AdmissionRequest) -> tuple[Snapshot, Verdict]:
        snapshot = self._current.snapshot
        assert snapshot is not None  # noqa: S101 - the handler looked; a snapshot is never taken back
        return snapshot, guard(request, snapshot, self._clock(), read_approval)

    async def _go_on(
        self, request: AdmissionRequest, snapshot: Snapshot, verdict: Verdict, deadline: Deadline
    ) -> Verdict:
        """Return the verdict with what it lacks: the last one when that doesn't come in time."""
        wait = Deadline(min(self._wait, deadline.left * 0.9))
        while verdict.lacking and await self._current.newer_than(snapshot, wait.left):
            snapshot, verdict = self._once(request)
        return self._noted(request, verdict)

    def _noted(self, request: AdmissionRequest, verdict: Verdict) -> Verdict:
        if verdict.allowed and request.operation == "DELETE":
            _log_deletion(request)
        if verdict.allowed and self._recorder is not None:
            self._recorder.write(request)
        return verdict


class Record:
    """Lets writes pass that are only to be known of: to policies, and the deletion of risk kinds.

    Args:
        recorder: keeps the decision log; None: none is kept.
        logs_deletions: the log tells of them too.
    """

    def __init__(self, recorder: Recorder | None, *, logs_deletions: bool = False) -> None:
        self._recorder = recorder
        self._logs_deletions = logs_deletions

    def __call__(self, request: AdmissionRequest, selection: Selection, deadline: Deadline) -> Verdict:
        """Return that it passes, whatever it is."""
        if self._logs_deletions:
            _log_deletion(request)
        if self._recorder is not None and request.kind[0] == GROUP:
            self._recorder.write(request)
        return Verdict(allowed=True)


def _log_deletion(request: AdmissionRequest) -> None:
    if request.dry_run:
        return
    try:
        digest = digest_of(request.old_object or {})
    except (ValueError, TypeError):
        digest = ""
    logger.info(
        "risk_deleted",
        extra=logs.fields(
            uid=request.uid,
            user=request.user.username,
            kind=request.kind[2],
            namespace=request.namespace,
            name=request.name,
            digest=digest,
        ),
    )

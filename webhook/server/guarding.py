"""The guard of the risk kinds in a worker: from a request to its verdict, and who deleted what."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime

from webhook.adapters import logs
from webhook.adapters.reading import read_approval
from webhook.core.acceptance import digest_of
from webhook.core.guard import guard
from webhook.core.match import Selection
from webhook.core.review import AdmissionRequest
from webhook.core.verdict import Verdict
from webhook.server.current import Current
from webhook.server.deadline import Deadline
from webhook.server.judging import utc_now

logger = logging.getLogger(__name__)


class Guard:
    """Judges writes to the risk kinds by the current snapshot.

    Args:
        current: the snapshot.
        wait: seconds that a request waits at most for a snapshot with the acceptance that it is about.
        clock: gives the time to judge at.
    """

    def __init__(self, current: Current, wait: float = 1.0, clock: Callable[[], datetime] = utc_now) -> None:
        self._current = current
        self._wait = wait
        self._clock = clock

    async def __call__(self, request: AdmissionRequest, selection: Selection, deadline: Deadline) -> Verdict:
        """Return the verdict: the last one when what it lacks doesn't come in time.

        Args:
            request: a write to one of the risk kinds.
            selection: of policies; the guard has none.
            deadline: when the answer must be out.
        """
        wait = Deadline(min(self._wait, deadline.left * 0.9))
        while True:
            snapshot = self._current.snapshot
            assert snapshot is not None  # noqa: S101 - the handler looked; a snapshot is never taken back
            verdict = guard(request, snapshot, self._clock(), read_approval)
            if not verdict.lacking or not await self._current.newer_than(snapshot, wait.left):
                if verdict.allowed and request.operation == "DELETE":
                    _record(request)
                return verdict


async def record(request: AdmissionRequest, selection: Selection, deadline: Deadline) -> Verdict:
    """Record who deletes one of the risk kinds; it always passes."""
    _record(request)
    return Verdict(allowed=True)


def _record(request: AdmissionRequest) -> None:
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

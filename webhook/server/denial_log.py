"""A line in the log for each denial, bounded: a controller that tries again for ever can't fill a disk."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from webhook.adapters import logs
from webhook.core.review import AdmissionRequest
from webhook.core.verdict import Verdict

_A_SECOND = 10.0
_AT_ONCE = 100.0


class DenialLog:
    """Logs denials: a hundred at once, ten a second on the long run, and how many were left out.

    The metrics count every one.

    Args:
        logger: where to write.
        clock: in seconds.
    """

    def __init__(self, logger: logging.Logger, clock: Callable[[], float] = time.monotonic) -> None:
        self._logger = logger
        self._clock = clock
        self._allowed = _AT_ONCE
        self._at = clock()
        self._left_out = 0

    def note(self, request: AdmissionRequest, verdict: Verdict) -> None:
        """Log a denial, without any of the object's content."""
        if not self._logger.isEnabledFor(logging.INFO):
            return
        now = self._clock()
        self._allowed = min(_AT_ONCE, self._allowed + (now - self._at) * _A_SECOND)
        self._at = now
        if self._allowed < 1:
            self._left_out += 1
            return
        self._allowed -= 1
        if self._left_out:
            self._logger.info("denials_not_logged", extra=logs.fields(count=self._left_out))
            self._left_out = 0
        self._logger.info(
            "denied",
            extra=logs.fields(
                uid=request.uid,
                operation=request.operation,
                kind=request.kind[2],
                namespace=request.namespace,
                name=request.name,
                user=request.user.username,
                policies=list(map(str, verdict.denied_by)),
                dry_run=request.dry_run,
            ),
        )

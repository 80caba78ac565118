"""Has a budget's deadline looked at by the clock, where a policy's steps take longer than steps should."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from webhook.core.activation import Budget

SECONDS = 0.05


class Ticker:
    """A timer that runs while a request is judged. There is one for a process, made in its first thread.

    A budget looks at the time every so many steps. Where a hostile policy makes each of them slow, the timer
    has it look earlier: between two steps, never within one.
    """

    def __init__(self) -> None:
        self._budget: Budget | None = None
        signal.signal(signal.SIGPROF, self._tick)

    def _tick(self, _number: int, _frame: FrameType | None) -> None:
        if self._budget is not None:
            self._budget.look()

    @contextmanager
    def watching(self, budget: Budget) -> Iterator[None]:
        """Have `budget` look at the time every `SECONDS` of the processor's time meanwhile."""
        self._budget = budget
        signal.setitimer(signal.ITIMER_PROF, SECONDS, SECONDS)
        try:
            yield
        finally:
            signal.setitimer(signal.ITIMER_PROF, 0)
            self._budget = None

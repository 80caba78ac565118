"""How much the audit takes at a time: of a list, so that memory is bounded, and of the CPU."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable
from dataclasses import dataclass

PAGE_BYTES = 4 * 2**20
"""About so much of a list is in memory at once: pages of large objects hold fewer of them."""
MOST_PAGE = 500
MOST_BYTES = 16 * 2**20
"""A page that is larger is asked for again with fewer objects: the first may be small, and the others not."""
FIRST_PAGE = 50


@dataclass(slots=True)
class Pace:
    """Rests as long as it worked, so that the audit takes half a CPU at most.

    Attributes:
        share: of the time in which it may work.
        longest: pause, in seconds.
    """

    share: float = 0.5
    longest: float = 2.0
    _used: float = 0.0

    def start(self) -> float:
        """Return when some work begins."""
        return time.thread_time()

    def rest(self, started: float) -> Awaitable[None]:
        """Rest after some work."""
        worked = time.thread_time() - started
        return asyncio.sleep(min(worked * (1 - self.share) / self.share, self.longest))


def next_limit(limit: int, count: int, size: int) -> int:
    """Return how many objects to ask for next, when so many were so many bytes.

    Args:
        limit: how many were asked for.
        count: how many came.
        size: the bytes of the answer.
    """
    if not count:
        return limit
    fitting = max(1, PAGE_BYTES * count // max(size, 1))
    return min(fitting, 2 * limit, MOST_PAGE)

"""How far the API server's clock is from ours: expiry is judged by the later of both."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from webhook.operator.client import ApiError, Client

_EVERY = 60.0
_AGAIN = 0.5
_TRIES = 5
_SKEW_STEP = 5.0

logger = logging.getLogger(__name__)


class Clock:
    """Asks the API server for its time now and then.

    Args:
        client: the API server.
        on_change: called when the skew changes, or is known at last.

    Attributes:
        skew: the API server's clock minus ours, in seconds; see `settled_skew`.
        known: it was measured, or can't be: a first snapshot must not go by our clock alone.
    """

    def __init__(self, client: Client, on_change: Callable[[], None]) -> None:
        self.skew = 0.0
        self.known = False
        self._client = client
        self._on_change = on_change

    def now(self) -> datetime:
        """Return the API server's time, as far as it is known."""
        return datetime.now(UTC) + timedelta(seconds=self.skew)

    async def run(self) -> None:
        """Follow the API server's clock until cancelled."""
        for _ in range(_TRIES):
            if await self._measured():
                break
            await asyncio.sleep(_AGAIN)
        self.known = True
        self._on_change()
        while True:
            await asyncio.sleep(_EVERY)
            await self._measured()

    async def _measured(self) -> bool:
        with contextlib.suppress(ApiError):
            return await self._look()
        return False

    async def _look(self) -> bool:
        """Measure the skew; return whether the answer says anything of it."""
        started = time.monotonic()
        answer = await self._client.request("GET", "/version", timeout=5)
        # An answer that was long under way says little of the time.
        if answer.skew is None or time.monotonic() - started > 1:
            return False
        skew = settled_skew(self.skew, answer.skew)
        if skew != self.skew:
            logger.warning("the API server's clock differs from ours by %+.0f s", skew)
            self.skew = skew
            self._on_change()
        return True


def settled_skew(known: float, measured: float) -> float:
    """Return a clock skew in steps of five seconds that small differences don't change.

    Each change is a new revision of the snapshot, so that it must not follow the noise of a measurement.
    """
    if abs(measured - known) < _SKEW_STEP:
        return known
    return round(measured / _SKEW_STEP) * _SKEW_STEP

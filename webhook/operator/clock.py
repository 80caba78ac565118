"""How far the API server's clock is from ours: expiry is judged by the later of both."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable

from webhook.operator.client import ApiError, Client

_EVERY = 60.0
_SKEW_STEP = 5.0

logger = logging.getLogger(__name__)


class Clock:
    """Asks the API server for its time now and then.

    Args:
        client: the API server.
        on_change: called when the skew changes.

    Attributes:
        skew: the API server's clock minus ours, in seconds; see `settled_skew`.
    """

    def __init__(self, client: Client, on_change: Callable[[], None]) -> None:
        self.skew = 0.0
        self._client = client
        self._on_change = on_change

    async def run(self) -> None:
        """Follow the API server's clock until cancelled."""
        while True:
            with contextlib.suppress(ApiError):
                await self._look()
            await asyncio.sleep(_EVERY)

    async def _look(self) -> None:
        started = time.monotonic()
        answer = await self._client.request("GET", "/version", timeout=5)
        # An answer that was long under way says little of the time.
        if answer.skew is None or time.monotonic() - started > 1:
            return
        skew = settled_skew(self.skew, answer.skew)
        if skew != self.skew:
            logger.warning("the API server's clock differs from ours by %+.0f s", skew)
            self.skew = skew
            self._on_change()


def settled_skew(known: float, measured: float) -> float:
    """Return a clock skew in steps of five seconds that small differences don't change.

    Each change is a new revision of the snapshot, so that it must not follow the noise of a measurement.
    """
    if abs(measured - known) < _SKEW_STEP:
        return known
    return round(measured / _SKEW_STEP) * _SKEW_STEP

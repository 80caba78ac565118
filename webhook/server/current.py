"""The snapshot that requests are judged by now, and the requests that wait for a newer one."""

from __future__ import annotations

import asyncio
import time

from webhook.core.snapshot import Snapshot


class Current:
    """One reference that is swapped as a whole, so that a request never sees two halves.

    Attributes:
        snapshot: what requests are judged by; None before the first.
        loaded_at: when it came, in seconds since the epoch.
        error: why the latest one could not be loaded; empty when it could.
    """

    def __init__(self, snapshot: Snapshot | None = None, error: str = "") -> None:
        self.snapshot = snapshot
        self.loaded_at = time.time() if snapshot is not None else 0.0
        self.error = error
        self._swapped = asyncio.Event()

    @property
    def revision(self) -> str:
        """The snapshot's revision; empty before the first."""
        return self.snapshot.revision if self.snapshot is not None else ""

    def swap(self, snapshot: Snapshot) -> None:
        """Judge by `snapshot` from now on, and wake those who wait for one."""
        self.snapshot = snapshot
        self.loaded_at = time.time()
        self.error = ""
        swapped, self._swapped = self._swapped, asyncio.Event()
        swapped.set()

    async def newer_than(self, snapshot: Snapshot | None, seconds: float) -> bool:
        """Wait for another snapshot than `snapshot`, at most `seconds`; tell whether one came."""
        if self.snapshot is not snapshot:
            return True
        if seconds <= 0:
            return False
        try:
            async with asyncio.timeout(seconds):
                await self._swapped.wait()
        except TimeoutError:
            return False
        return True

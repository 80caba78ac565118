"""Processes that we start: how they end, also when we are killed."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import signal


def end_with_parent() -> None:
    """Let Linux end this process when its parent is killed: nobody would feed it any more."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(1, signal.SIGTERM)  # PR_SET_PDEATHSIG


async def end(process: asyncio.subprocess.Process, patience: float) -> None:
    """End a process: by a signal, and when that does not help in time, by force.

    Args:
        process: it may have ended already.
        patience: how long to wait, in seconds.
    """
    if process.returncode is not None:
        return
    with contextlib.suppress(ProcessLookupError):
        process.terminate()
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(patience):
            await process.wait()
        return
    with contextlib.suppress(ProcessLookupError):
        process.kill()
    await process.wait()

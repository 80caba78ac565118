"""Loads a snapshot beside the requests, so that none of them waits for it longer than a moment."""

from __future__ import annotations

import asyncio
import gc
import sys

from webhook.core.snapshot import Snapshot
from webhook.server.source import SnapshotSource

TURN_SECONDS = 0.0005
"""How long a request may wait until a thread that loads gives way; by default it would be ten times that."""


def share_evenly() -> None:
    """Let threads of this process take turns that are short beside a request."""
    sys.setswitchinterval(TURN_SECONDS)


async def load(source: SnapshotSource) -> Snapshot:
    """Return the present snapshot, loaded in a thread.

    Raises:
        InputError: it can't be used.
        OSError: it can't be read.
    """
    return await asyncio.to_thread(_load, source)


def _load(source: SnapshotSource) -> Snapshot:
    """Load, and let the garbage collector never look at what was loaded.

    A collection holds every thread up, for the longer the more there is. Snapshots hold no cycles: what goes
    out of use is freed without it. What others have left behind is collected before it would be frozen too.
    """
    gc.collect()
    gc.disable()
    try:
        return source.load()
    finally:
        gc.freeze()
        gc.enable()

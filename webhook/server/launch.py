"""Starts the supervisor in a folder of its own; imports what serves only once that folder is known."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from types import FrameType
from typing import NoReturn

from webhook.adapters import scratch
from webhook.server.settings import Settings

_COUNTERS_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
_PREFIX = "tidewaiter-serve-"


def serve(settings: Settings) -> int:
    """Serve until a signal and return the exit status; see `webhook.server.supervisor.Supervisor.run`.

    prometheus_client reads the folder of its counters from the environment when it is imported.

    Raises:
        InputError: an address, a certificate, the log's key or, standalone, the policies can't be used.
    """
    # Until the supervisor listens for it: the first process of a container would not hear it at all.
    signal.signal(signal.SIGTERM, _terminate)
    # A worker never comes to the end of this block: it ends by os._exit.
    with scratch.folder(_PREFIX, _memory()) as folder:
        counters = folder / "counters"
        counters.mkdir()
        os.environ[_COUNTERS_VARIABLE] = str(counters)

        from webhook.adapters.snapshots import Context
        from webhook.server.source import FilesSource, FolderSource, SnapshotSource
        from webhook.server.supervisor import Supervisor

        source: SnapshotSource
        if settings.snapshot:
            source = FolderSource(Path(settings.snapshot))
        else:
            context = Context(cluster=settings.cluster, trust_approvals=settings.trust_approvals)
            source = FilesSource(settings.policies, context)
        origin = None
        if settings.evidence is not None:
            from webhook.server.evidence import Origin  # takes memory, for what not everybody keeps

            origin = Origin(settings.evidence, folder)
        return Supervisor(settings, source, folder, counters, origin).run()


def _terminate(number: int, _frame: FrameType | None) -> NoReturn:
    sys.exit(128 + number)


def _memory() -> str | None:
    """Return a folder in memory, where writing a counter never waits for a disk; None if there is none."""
    shared = "/dev/shm"  # noqa: S108 - only the place: the folder in it has a random name and is ours alone
    return shared if os.path.isdir(shared) and os.access(shared, os.W_OK) else None  # noqa: PTH112

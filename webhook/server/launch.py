"""Starts the supervisor in a folder of its own; imports what serves only once that folder is known."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

from webhook.server.settings import Settings

_COUNTERS_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"


def serve(settings: Settings) -> int:
    """Serve until a signal and return the exit status; see `webhook.server.supervisor.Supervisor.run`.

    prometheus_client reads the folder of its counters from the environment when it is imported.

    Raises:
        InputError: an address, a certificate or, standalone, the policies can't be used.
    """
    folder = Path(tempfile.mkdtemp(prefix="tidewaiter-"))
    try:
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
        return Supervisor(settings, source, folder, counters).run()
    finally:
        shutil.rmtree(folder, ignore_errors=True)  # a worker never comes here: it ends by os._exit

"""The snapshot that the operator published last, compiled: what the audit judges by."""

from __future__ import annotations

from pathlib import Path

from webhook.adapters import snapshots
from webhook.adapters.reading import Cache
from webhook.core.snapshot import Snapshot
from webhook.operator.publisher import CURRENT


class Current:
    """Reads the operator's folder; only what changed is compiled.

    Args:
        folder: where the operator publishes.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._cache = Cache()
        self._name = ""

    def newer(self) -> Snapshot | None:
        """Return the present snapshot; None where it is the one that was returned last, or there is none.

        Raises:
            InputError: it can't be read.
            OSError: the file has just gone.
        """
        try:
            name = str((self._folder / CURRENT).readlink())
        except OSError:
            return None
        if name == self._name:
            return None
        snapshot = snapshots.load((self._folder / name).read_bytes(), self._cache)
        self._name = name
        return snapshot

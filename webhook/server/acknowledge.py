"""Tells the operator which snapshot this worker judges by, and which certificate it shows.

A small file says so; it is renewed while the worker lives.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import orjson

from webhook.server.current import Current

FOLDER = "acks"
EVERY_SECONDS = 5.0


class Acknowledger:
    """Writes and removes the file of one worker.

    Args:
        folder: the operator's snapshot folder.
    """

    def __init__(self, folder: Path) -> None:
        started = time.time()
        self._started = started
        self._file = folder / FOLDER / f"{os.getpid()}-{int(started * 1000)}.json"
        self.written_at = float("-inf")

    def write(self, current: Current, certificate: str) -> None:
        """Say what serves; whoever reads sees the old file or the new one, nothing between.

        Args:
            current: the snapshot, or why there is no newer one.
            certificate: the fingerprint of the one that new handshakes get; empty for none.

        Raises:
            OSError: the folder can't be written.
        """
        self._file.parent.mkdir(exist_ok=True)
        aside = self._file.with_name(f".{self._file.name}")
        aside.write_bytes(orjson.dumps(self.content(current, certificate)))
        aside.rename(self._file)
        self.written_at = time.monotonic()

    def content(self, current: Current, certificate: str) -> dict[str, Any]:
        """Return what the file says."""
        failures = current.snapshot.failures if current.snapshot is not None else ()
        return {
            "pid": os.getpid(),
            "started": self._started,
            "revision": current.revision,
            "loadedAt": current.loaded_at,
            "failures": [
                {
                    "policy": {
                        "kind": failure.ref.kind,
                        "namespace": failure.ref.namespace,
                        "name": failure.ref.name,
                    },
                    "generation": failure.generation,
                    "error": failure.message,
                }
                for failure in failures
            ],
            "error": current.error,
            "certificate": certificate,
            "time": time.time(),
        }

    def remove(self) -> None:
        """Say no more: the worker stops."""
        self._file.unlink(missing_ok=True)

"""What the workers say that they have loaded: one small file for each."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import orjson

from webhook.operator.publisher import ACKNOWLEDGEMENTS

POLL = 0.25
WRITTEN = "[0-9]*.json"
"""Files that are whole: what a worker still writes starts with a dot."""
LIVE_SECONDS = 15.0
_FORGOTTEN_SECONDS = 3600.0
_LARGEST = 1 << 20


@dataclass(frozen=True, slots=True)
class Acknowledgement:
    """One worker's word.

    Attributes:
        pid: the worker's process, in its own container.
        revision: the snapshot that it judges by.
        time: when it last said so, in seconds since the epoch.
        certificate: the SHA-256 of the certificate that it shows, in hex; empty for none.
        error: why it can't load the newest snapshot; empty when it can.
    """

    pid: int
    revision: str
    time: float
    certificate: str = ""
    error: str = ""


class Acknowledgements:
    """Looks at the workers' files.

    Args:
        folder: the snapshot's folder.
        on_change: called when what the workers use changes.

    Attributes:
        live: the workers that spoke lately.
        ever: some worker has acknowledged some revision.
    """

    def __init__(self, folder: Path, on_change: Callable[[], None]) -> None:
        self.live: tuple[Acknowledgement, ...] = ()
        self.ever = False
        self._folder = folder / ACKNOWLEDGEMENTS
        self._on_change = on_change

    @property
    def revisions(self) -> frozenset[str]:
        """The revisions that the live workers judge by."""
        return frozenset(each.revision for each in self.live)

    async def run(self) -> None:
        """Look every quarter of a second until cancelled."""
        while True:
            self.look()
            await asyncio.sleep(POLL)

    def look(self) -> None:
        """Look once."""
        now = time.time()
        before = self._used
        found = []
        for path in sorted(self._folder.glob(WRITTEN)):
            acknowledgement = read(path)
            if acknowledgement is None:
                continue
            age = now - acknowledgement.time
            if age < LIVE_SECONDS:
                found.append(acknowledgement)
            elif age > _FORGOTTEN_SECONDS:
                path.unlink(missing_ok=True)
        self.live = tuple(found)
        self.ever = self.ever or bool(found)
        if self._used != before:
            self._on_change()

    @property
    def _used(self) -> list[tuple[str, str]]:
        return [(each.revision, each.certificate) for each in self.live]


def read(path: Path) -> Acknowledgement | None:
    """Return what a file says; None where it is gone, cut short, or says nothing."""
    try:
        with path.open("rb") as file:
            said = orjson.loads(file.read(_LARGEST))
        moment = max(float(said["time"]), path.stat().st_mtime)
        revision = said["revision"]
        certificate, error = str(said.get("certificate") or ""), str(said.get("error") or "")
        if not isinstance(revision, str):
            return None
        return Acknowledgement(int(said["pid"]), revision, moment, certificate, error)
    except (OSError, ValueError, KeyError, TypeError):
        return None

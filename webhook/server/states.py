"""What each worker is at now, in a small file that every worker can read, so that one scrape shows all.

A worker has a place of its own, the lowest number that no living one holds: metrics that name a worker stay
few for however long workers die and are replaced. The number is held by a file lock, which ends with the
process.
"""

from __future__ import annotations

import fcntl
import itertools
import os
from dataclasses import asdict, dataclass
from pathlib import Path

import orjson


@dataclass(frozen=True, slots=True)
class State:
    """What one worker is at.

    Attributes:
        pid: its process.
        revision: of the snapshot that it judges by; empty before the first.
        loaded_at: when it was loaded, in seconds since the epoch.
        load_ok: the latest snapshot could be loaded.
        policies: how many are enforced.
        failures: how many don't compile.
        certificate_expires: when the certificate that it serves ends; 0.0 for none.
        certificate_ok: the certificate's files could be loaded as they are now.
        in_flight: requests that it works on.
        checkpoint_at: when it last signed its decision log; 0.0 where it keeps none.
    """

    pid: int
    revision: str = ""
    loaded_at: float = 0.0
    load_ok: bool = False
    policies: int = 0
    failures: int = 0
    certificate_expires: float = 0.0
    certificate_ok: bool = False
    in_flight: int = 0
    checkpoint_at: float = 0.0


class Place:
    """The number of this worker, and its file.

    Args:
        folder: where all workers' files lie.

    Attributes:
        number: the lowest that no other living worker holds.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._written: State | None = None
        for number in itertools.count():
            lock = os.open(folder / f"worker-{number}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(lock)
                continue
            self._lock = lock
            self.number = number
            return

    def write(self, state: State) -> None:
        """Say what this worker is at, if it has changed.

        Raises:
            OSError: the folder can't be written.
        """
        if state == self._written:
            return
        aside = self._folder / f".worker-{self.number}"
        aside.write_bytes(orjson.dumps(asdict(state)))
        aside.rename(self._folder / f"worker-{self.number}.json")
        self._written = state

    def close(self) -> None:
        """Give the number back."""
        os.close(self._lock)


def states(folder: Path) -> dict[int, State]:
    """Return what each living worker says, by its number."""
    found = {}
    for path in folder.glob("worker-*.json"):
        try:
            state = State(**orjson.loads(path.read_bytes()))
            os.kill(state.pid, 0)
            found[int(path.stem.removeprefix("worker-"))] = state
        except (OSError, ValueError, TypeError):
            continue  # it has ended
    return dict(sorted(found.items()))


def forget(folder: Path, pid: int) -> None:
    """Drop what a worker that has ended said."""
    for path in folder.glob("worker-*.json"):
        try:
            if orjson.loads(path.read_bytes()).get("pid") == pid:
                path.unlink()
        except (OSError, ValueError):
            continue  # another one is writing it

"""Where a worker's decision log goes: files of its own, or the standard output that all workers share.

What a write leaves unwritten is kept, and comes first in the next: a line is never torn by a full disk.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from typing import Protocol

LARGEST_FILE = 64 * 1024 * 1024


class Sink(Protocol):
    """Takes bytes that end with a line's end; called in a thread."""

    def write(self, data: bytes) -> None:
        """Write `data` after what is still unwritten.

        Raises:
            OSError: not all could be written; what is left comes first in the next call.
        """

    def sync(self) -> None:
        """Wait until what was written is where a crash of the machine leaves it.

        Raises:
            OSError: that failed.
        """

    def close(self) -> None:
        """Write no more."""


class Files:
    """Files of one writer, one after the other; a chain goes on in the next.

    Args:
        folder: where they lie; made where it is missing.
        stem: what their names begin with.
        largest: bytes after which the next one begins.
    """

    def __init__(self, folder: Path, stem: str, largest: int = LARGEST_FILE) -> None:
        self._folder = folder
        self._stem = stem
        self._largest = largest
        self._number = 0
        self._file = -1
        self._size = 0
        self._rest = b""

    def write(self, data: bytes) -> None:
        """Append to the present file, or to the next where that is full."""
        full = self._size and not self._rest and self._size + len(data) > self._largest
        self._rest += data
        if self._file < 0 or full:
            self._next()
        while self._rest:
            written = os.write(self._file, self._rest)
            self._rest = self._rest[written:]
            self._size += written

    def _next(self) -> None:
        self._folder.mkdir(mode=0o750, parents=True, exist_ok=True)
        path = self._folder / f"{self._stem}.{self._number + 1:04}.jsonl"
        # Never one that is there: nobody's evidence is written over.
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC
        file = os.open(path, flags, 0o640)
        self.sync()
        self.close()
        self._number, self._file, self._size = self._number + 1, file, 0

    def sync(self) -> None:
        """Bring the present file to its disk."""
        if self._file >= 0:
            os.fdatasync(self._file)

    def close(self) -> None:
        """Close the present file."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1


class Stream:
    """A pipe that several workers write to: a lock keeps their lines whole.

    Args:
        file: its descriptor.
        lock: a file in memory. Its first byte says that a write has begun: where the writer was killed in it,
            the next one ends the torn line before its own.
    """

    def __init__(self, file: int, lock: Path) -> None:
        self._file = file
        # Opened by each worker: one that were inherited would lock nobody out.
        self._lock = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._rest = b""

    def write(self, data: bytes) -> None:
        """Write when no other worker does; a line that was torn is written again as a whole."""
        data, self._rest = self._rest + data, b""
        done = 0
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        try:
            if os.pread(self._lock, 1, 0) == b"1":
                os.write(self._file, b"\n")
            os.pwrite(self._lock, b"1", 0)
            while done < len(data):
                done += os.write(self._file, data[done:])
            os.pwrite(self._lock, b"0", 0)
        except OSError:
            self._rest = data[data.rfind(b"\n", 0, done) + 1 :]
            raise
        finally:
            fcntl.flock(self._lock, fcntl.LOCK_UN)

    def sync(self) -> None:
        """Do nothing: whoever reads it keeps it."""

    def close(self) -> None:
        """Give the lock's file back; the stream is not ours to close."""
        os.close(self._lock)


class Nowhere:
    """For a log that is only exported."""

    def write(self, data: bytes) -> None:
        """Write nothing."""

    def sync(self) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Do nothing."""

"""What the workers tell their supervisor and each other: that they live, and how busy they are.

It lies in memory that all of them share: that costs no system call, and a worker that hangs can't keep it.
"""

from __future__ import annotations

import mmap
import struct

_ROW = struct.Struct("dd")


class Board:
    """A row for each worker.

    Args:
        rows: how many workers there are.
    """

    def __init__(self, rows: int) -> None:
        self.rows = rows
        self._memory = mmap.mmap(-1, rows * _ROW.size)

    def write(self, row: int, now: float, rate: float) -> None:
        """Say that a worker lives.

        Args:
            row: the worker's.
            now: by the system's monotonic clock, which is the same in all processes.
            rate: requests a second that it answers.
        """
        _ROW.pack_into(self._memory, row * _ROW.size, now, rate)

    def read(self, row: int) -> tuple[float, float]:
        """Return when a worker last wrote, and its rate then."""
        beaten, rate = _ROW.unpack_from(self._memory, row * _ROW.size)
        return beaten, rate

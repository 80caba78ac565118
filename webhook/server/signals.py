"""Signals and ended children, waited for without a race and without a thread."""

from __future__ import annotations

import contextlib
import os
import select
import signal
from types import FrameType
from typing import Self

SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD)


class Signals:
    """Waits for signals and children without a race, and without a thread."""

    def __init__(self) -> None:
        self._stop = 0

    def __enter__(self) -> Self:
        self._read, self._write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(self._write, warn_on_full_buffer=False)
        self._before = {number: signal.signal(number, self._note) for number in SIGNALS}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(-1)
        os.close(self._read)
        os.close(self._write)

    def _note(self, number: int, _frame: FrameType | None) -> None:
        if number != signal.SIGCHLD:
            self._stop = number

    def stop(self) -> int:
        """Return the signal that asks us to stop; 0 for none."""
        return self._stop

    def wait(self, seconds: float) -> None:
        """Return after a signal, or after `seconds`."""
        select.select([self._read], [], [], max(0.0, seconds))
        with contextlib.suppress(BlockingIOError):
            while os.read(self._read, 512):
                pass

"""A program that a benchmark starts, waits for, measures and ends."""

from __future__ import annotations

import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from bench.tree import cpu_of_tree

ROOT = Path(__file__).parents[1]
START_SECONDS = 40.0


class Process:
    """A running program; a context manager that ends it.

    Args:
        arguments: the command.
        log: where its output goes.
        environment: all of it.
    """

    def __init__(self, arguments: Sequence[str | Path], log: Path, environment: dict[str, str]) -> None:
        self.log = log
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                list(map(str, arguments)), stdout=output, stderr=output, cwd=ROOT, env=environment
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.terminate()
        try:
            self._process.wait(30)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    @property
    def pid(self) -> int:
        return self._process.pid

    def cpu(self) -> float:
        """Return the CPU seconds that it and its children have used."""
        return cpu_of_tree(self.pid)

    def wait_for(self, condition: Callable[[], bool], what: str) -> None:
        """Wait until it is so.

        Raises:
            RuntimeError: the program has ended, or it took too long.
        """
        give_up = time.monotonic() + START_SECONDS
        while not condition():
            if self._process.poll() is not None or time.monotonic() > give_up:
                raise RuntimeError(f"{what} did not come:\n{self.log.read_text()[-3000:]}")
            time.sleep(0.1)


def ready(port: int) -> bool:
    """Tell whether ``/readyz`` on that port of loopback says so, over plain HTTP."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=5) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False

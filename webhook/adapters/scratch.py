"""A folder of one process for as long as it lives; what processes left that were killed is cleaned up.

A lock says that somebody uses a folder. The kernel frees it when the last process that has it ends, however
it ends, and processes that are forked have it too: so a killed supervisor's folder stays while its workers
drain.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

_LOCK = "in-use"
_MAKING = ".in-use"


@contextlib.contextmanager
def folder(prefix: str, parent: str | None = None) -> Iterator[Path]:
    """Give a new folder that only this user can read, and remove it at the end.

    First removes what processes of this user, with the same prefix, left here and no longer use.

    Args:
        prefix: what its name begins with; the rest is random.
        parent: where it lies; None for the place of temporary files.
    """
    place = parent or tempfile.gettempdir()
    _clean(place, prefix)
    made = Path(tempfile.mkdtemp(prefix=prefix, dir=place))
    try:
        with _lock(made / _MAKING, os.O_CREAT | os.O_EXCL):
            # Only now can others see it: one that they could see unlocked they would take for left behind.
            (made / _MAKING).rename(made / _LOCK)
            yield made
    finally:
        shutil.rmtree(made, ignore_errors=True)


@contextlib.contextmanager
def _lock(file: Path, flags: int = 0) -> Iterator[None]:
    """Hold the lock of a file; raises OSError where it can't be had at once."""
    descriptor = os.open(file, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | flags, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(descriptor)


def _clean(place: str, prefix: str) -> None:
    """Remove folders of ours that nobody uses.

    Everybody may write there, so nothing is followed that could be a link, and nothing is touched that is
    another user's or has no lock.
    """
    with contextlib.suppress(OSError), os.scandir(place) as found:
        for entry in found:
            if not entry.name.startswith(prefix):
                continue
            with contextlib.suppress(OSError):
                about = entry.stat(follow_symlinks=False)
                if not stat.S_ISDIR(about.st_mode) or about.st_uid != os.geteuid():
                    continue
                with _lock(Path(entry.path) / _LOCK):
                    shutil.rmtree(entry.path, ignore_errors=True)

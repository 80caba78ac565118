"""Folders of one process: gone with it, and cleaned up by the next where it was killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.cluster import eventually
from webhook.adapters import scratch

PREFIX = "tidewaiter-test-"
HOLDS = """
import os, sys, time
from webhook.adapters import scratch
with scratch.folder(sys.argv[1], sys.argv[2]) as made:
    child = os.fork()
    if child:
        print(made, child, flush=True)
    time.sleep(600)
"""


def left(place: Path) -> list[Path]:
    return sorted(place.glob(f"{PREFIX}*"))


@pytest.fixture
def holder(tmp_path: Path) -> Iterator[tuple[Path, int, int]]:
    """Give the folder of a process with a child that it has forked, and both pids."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDS, PREFIX, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    with process, process.stdout:
        name, child = process.stdout.readline().split()
        yield Path(name), process.pid, int(child)
        for pid in (process.pid, int(child)):
            _end(pid)


def _end(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def test_it_goes_with_its_process(tmp_path: Path) -> None:
    with scratch.folder(PREFIX, str(tmp_path)) as made:
        assert left(tmp_path) == [made]
        assert made.stat().st_mode & 0o777 == 0o700
        (made / "counters").mkdir()
    assert left(tmp_path) == []


def test_what_is_in_use_stays(tmp_path: Path, holder: tuple[Path, int, int]) -> None:
    with scratch.folder(PREFIX, str(tmp_path)) as made:
        assert left(tmp_path) == sorted([made, holder[0]])


def test_what_a_killed_process_left_goes_once_its_children_are_gone(
    tmp_path: Path, holder: tuple[Path, int, int]
) -> None:
    folder, parent, child = holder
    (folder / "counters").mkdir()
    (folder / "counters/one.db").write_bytes(b"1")
    os.kill(parent, signal.SIGKILL)
    with scratch.folder(PREFIX, str(tmp_path)):
        assert folder.exists(), "its worker still drains"
    os.kill(child, signal.SIGKILL)

    def cleaned() -> bool:
        with scratch.folder(PREFIX, str(tmp_path)):
            return not folder.exists()

    eventually(cleaned, "the folder is removed")


def test_what_is_not_ours_stays(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "in-use").touch()
    link, file, bare, odd, fifo = (
        tmp_path / f"{PREFIX}{name}" for name in ("link", "file", "bare", "odd", "fifo")
    )
    link.symlink_to(elsewhere)
    file.touch()
    bare.mkdir()
    odd.mkdir()
    (odd / "in-use").symlink_to(elsewhere / "in-use")
    fifo.mkdir()
    os.mkfifo(fifo / "other")
    other = tmp_path / "other-prefix"
    other.mkdir()
    (other / "in-use").touch()
    with scratch.folder(PREFIX, str(tmp_path)):
        pass
    assert all(each.exists() for each in (link, file, bare, odd, fifo, other, elsewhere / "in-use"))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder to another user")
def test_what_another_user_left_stays(tmp_path: Path) -> None:
    theirs = tmp_path / f"{PREFIX}theirs"
    theirs.mkdir()
    (theirs / "in-use").touch()
    os.chown(theirs, 12345, 12345)
    with scratch.folder(PREFIX, str(tmp_path)):
        pass
    assert theirs.exists()

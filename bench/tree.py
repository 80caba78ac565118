"""What a process and its children have used, from /proc."""

from __future__ import annotations

import os
import re
import socket
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")


def cpu_of_tree(pid: int) -> float:
    """Return the CPU seconds of a process, its living descendants, and those it has waited for."""
    return sum(_stats(one)[1] for one in tree(pid))


def tree(pid: int) -> list[int]:
    """Return a process and its living descendants."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            children.setdefault(_stats(int(entry.name))[0], []).append(int(entry.name))
    found, waiting = [], [pid]
    while waiting:
        one = waiting.pop()
        found.append(one)
        waiting += children.get(one, [])
    return found


def _stats(pid: int) -> tuple[int, float]:
    """Return a process's parent and its CPU seconds; zeros when it has ended."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0, 0.0
    return int(fields[1]), sum(map(int, fields[11:15])) / _TICKS


def pss_of_tree(pid: int) -> int:
    """Return the bytes of memory of a process and its descendants; what they share counts once."""
    return sum(_kilobytes(one, "smaps_rollup", "Pss") for one in tree(pid)) * 1024


def own_memory_of_tree(pid: int) -> int:
    """Return the bytes of memory that a process and its descendants have filled; shared ones count once.

    What they map from files is left out: how much of that is theirs depends on who else maps it.
    """
    parts = ("Pss_Anon", "Pss_Shmem")
    return sum(_kilobytes(one, "smaps_rollup", part) for one in tree(pid) for part in parts) * 1024


def rss(pid: int) -> int:
    """Return the bytes of memory that one process has resident."""
    return _kilobytes(pid, "status", "VmRSS") * 1024


def _kilobytes(pid: int, file: str, field: str) -> int:
    try:
        found = re.search(rf"^{field}:\s+(\d+) kB", Path(f"/proc/{pid}/{file}").read_text(), re.MULTILINE)
    except OSError:
        return 0
    return int(found[1]) if found else 0


def free_port() -> int:
    """Return a TCP port on loopback that nobody listens on."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port

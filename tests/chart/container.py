"""One container as a process: its own view of the file system, which only its mounts make writable."""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from tests.controlplane import _die_with_parent

ROOT = Path(__file__).parents[2]
_UNSHARE = ("unshare", "--mount", "--propagation", "private")


@dataclass(frozen=True)
class Mount:
    """A folder of this machine, and where a container sees it."""

    source: Path
    target: str
    read_only: bool = False


@cache
def unshare() -> tuple[str, ...] | None:
    """Return the command that gives a process mounts of its own; None where this machine allows none."""
    for command in (_UNSHARE, (*_UNSHARE, "--map-root-user")):
        with contextlib.suppress(OSError):
            tried = [*command, "mount", "-t", "tmpfs", "tmpfs", "/run"]
            if subprocess.run(tried, capture_output=True, check=False, timeout=30).returncode == 0:
                return command
    return None


class Container:
    """One container of a Pod.

    Its root is read-only, as the chart asks; ``/run`` has its mounts and nothing else. Ports can't be its
    own: each `HOST:PORT` in its arguments becomes a port of loopback.

    Args:
        spec: of the container.
        mounts: what it sees.
        ports: for each port that it names, one of this machine.
        environment: its variables.
        log: where it writes.
    """

    def __init__(
        self,
        spec: Mapping[str, Any],
        mounts: Sequence[Mount],
        ports: Mapping[int, int],
        environment: Mapping[str, str],
        log: Path,
    ) -> None:
        self.spec = spec
        self.ports = ports
        self.log = log
        self.restarts = 0
        self._mounts = tuple(mounts)
        self._environment = dict(environment)
        assert spec["securityContext"]["readOnlyRootFilesystem"], "the root is read-only here"
        self.process = self._start()

    @property
    def name(self) -> str:
        return str(self.spec["name"])

    def _start(self) -> subprocess.Popen[bytes]:
        arguments = [self._argument(each) for each in self.spec.get("args", ())]
        command = unshare()
        assert command is not None
        with self.log.open("ab") as log:
            return subprocess.Popen(
                [
                    *(*command, "sh", "-euc", self._script(), "sh"),
                    *(sys.executable, "-m", "webhook", *arguments),  # the image's entrypoint
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=ROOT,
                env={"PATH": os.defpath, "PYTHONDONTWRITEBYTECODE": "1", **self._environment},
                start_new_session=True,
                preexec_fn=_die_with_parent,
            )

    def _script(self) -> str:
        lines = ["mount -t tmpfs tmpfs /run"]
        for mount in self._mounts:
            source, target = shlex.quote(str(mount.source)), shlex.quote(mount.target)
            if mount.target == "/tmp":  # the tests' own folders are below it: TMPDIR points elsewhere instead
                lines.append(f"mount --bind {source} {source}; export TMPDIR={source}")
                continue
            lines.append(f"mkdir -p {target}; mount --bind {source} {target}")
            if mount.read_only:
                lines.append(f"mount -o remount,bind,ro {target}")
        lines += ["mount -o remount,ro /run", "mount -o remount,bind,ro /", 'exec "$@"']
        return "\n".join(lines)

    def _argument(self, text: str) -> str:
        def variable(match: re.Match[str]) -> str:
            return self._environment[match[1]]

        def address(match: re.Match[str]) -> str:
            return f"127.0.0.1:{self.ports[int(match[1])]}"

        text = re.sub(r"\$\((\w+)\)", variable, text)
        return re.sub(r"(?<==)0\.0\.0\.0:(\d+)$", address, text)

    @property
    def status(self) -> int | None:
        """The exit status; None while it runs."""
        return self.process.poll()

    def restart(self) -> None:
        self.restarts += 1
        self.kill()
        self.process = self._start()

    def terminate(self) -> None:
        if self.process.poll() is None:
            self.process.terminate()

    def wait(self, seconds: float) -> None:
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

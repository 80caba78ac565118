"""Starts the audit as the operator does, and measures its process from outside."""

from __future__ import annotations

import re
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from bench import manifests
from bench.process import ROOT
from bench.rules import Policy
from bench.tree import cpu_of_tree
from webhook.adapters import snapshots
from webhook.operator.audit.facts import AuditFacts
from webhook.operator.leader import seconds


@dataclass(frozen=True)
class Usage:
    """What a process has used.

    Attributes:
        cpu: seconds, children included.
        memory: bytes resident now.
        peak: bytes resident at most.
    """

    cpu: float
    memory: int
    peak: int


class Audit:
    """The audit's process; a context manager that ends it.

    Args:
        folder: an own one.
        kubeconfig: the cluster.
        policies: what it judges by.
        reports: which reports it writes.
    """

    def __init__(
        self, folder: Path, kubeconfig: Path, policies: Sequence[Policy], reports: str = "none"
    ) -> None:
        folder.mkdir(parents=True)
        objects: list[Any] = [manifests.namespace(), *map(manifests.cluster_policy, policies)]
        data = snapshots.dump(objects, snapshots.Context())
        name = f"snapshot-{snapshots.digest(data)}.json"
        (folder / name).write_bytes(data)
        (folder / "current").symlink_to(name)
        words = [sys.executable, "-m", "webhook", "audit", "--snapshot", str(folder)]
        words += ["--kubeconfig", str(kubeconfig), "--reports", reports]
        self.log = folder / "log"
        self.facts = AuditFacts()
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, cwd=ROOT
            )
        threading.Thread(target=self._beat, daemon=True).start()
        threading.Thread(target=self._listen, daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.terminate()
        self._process.wait(30)

    def usage(self) -> Usage:
        """Return what it has used so far."""
        pid = self._process.pid
        text = Path(f"/proc/{pid}/status").read_text()
        sizes = {name: int(kilobytes) * 1024 for name, kilobytes in re.findall(r"(Vm\w+):\s+(\d+) kB", text)}
        return Usage(cpu_of_tree(pid), sizes["VmRSS"], sizes["VmHWM"])

    def wait_until_complete(self, most: float) -> Usage:
        """Wait until everything has been judged; return what was used by then.

        Raises:
            RuntimeError: it ended, or took longer.
        """
        give_up = time.monotonic() + most
        while not self.facts.complete:
            if self._process.poll() is not None or time.monotonic() > give_up:
                raise RuntimeError(f"the audit is not complete:\n{self.log.read_text()[-3000:]}")
            time.sleep(0.05)
        return self.usage()

    def _beat(self) -> None:
        assert self._process.stdin is not None
        while self._process.poll() is None:
            try:
                self._process.stdin.write(b"%f\n" % (seconds() + 10))
                self._process.stdin.flush()
            except OSError:
                return
            time.sleep(1)

    def _listen(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self.facts = AuditFacts.decode(line)

"""Two containers of a Pod as processes: started, and started again when they end, as a kubelet does."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from prometheus_client.mmap_dict import MmapedDict

from tests.e2e.cluster import eventually
from tests.faults.forwarder import Endpoint
from webhook.operator.acknowledgements import WRITTEN

ROOT = Path(__file__).parents[2]
STOP_TIMEOUT = 40.0
_AGAIN = 0.3


def free_port() -> int:
    """Return a port that nobody listens on and no outgoing connection takes by itself."""
    while True:
        port = random.randint(20_000, 32_000)  # below Linux's range of ephemeral ports
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", port))
            return port


class Container:
    """One program that is started again whenever it ends, until it is stopped.

    Args:
        log: where its standard error goes.
        words: the command line after `tidewaiter`.
        environment: variables beside our own.
    """

    def __init__(self, log: Path, words: Sequence[str], environment: Mapping[str, str] | None = None) -> None:
        self.log = log
        self.words = tuple(words)
        self.process: subprocess.Popen[bytes] | None = None
        self.starts = 0
        self._from = 0
        self._environment = {**os.environ, **(environment or {})}
        self._wanted = False
        self._lock = threading.Lock()
        self._keeper: threading.Thread | None = None

    def start(self) -> None:
        self._wanted = True
        self._start_process()
        self._keeper = threading.Thread(target=self._keep, daemon=True)
        self._keeper.start()

    def _start_process(self) -> None:
        with self.log.open("ab") as log:
            self._from = log.tell()
            self.process = subprocess.Popen(
                [sys.executable, "-m", "webhook", *self.words],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=ROOT,
                env=self._environment,
                start_new_session=True,
            )
        self.starts += 1

    def _keep(self) -> None:
        while self._wanted:
            process = self.process
            assert process is not None
            process.wait()
            time.sleep(_AGAIN)
            with self._lock:
                if self._wanted and self.process is process:
                    self._start_process()

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    def children(self) -> set[int]:
        """Return the processes that it has started, such as a supervisor's workers."""
        with contextlib.suppress(OSError):
            return {
                int(pid) for pid in Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()
            }
        return set()

    def kill(self, number: int = signal.SIGKILL) -> None:
        """Send a signal to it, and let it be started again."""
        os.kill(self.pid, number)

    def restart(self) -> None:
        """Stop it as a kubelet does, by SIGTERM, and wait until it is started again."""
        before = self.starts
        self.kill(signal.SIGTERM)
        eventually(lambda: self.starts > before, "the container starts again", STOP_TIMEOUT)

    def stop(self, number: int = signal.SIGTERM) -> None:
        """Stop it for good."""
        with self._lock:
            self._wanted = False
        process = self.process
        if process is None:
            return
        left = self.children()
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(number)
        try:
            process.wait(STOP_TIMEOUT)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        for pid in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        if self._keeper is not None:
            self._keeper.join()

    def lines(self) -> list[str]:
        """Return what it logged since it was last started."""
        return self.log.read_bytes()[self._from :].decode(errors="replace").splitlines()


class Replica:
    """One Pod: the data plane and the control plane beside it, with a folder that both share.

    Args:
        folder: its own; snapshot, certificates and logs lie in it.
        kubeconfig: of the control plane.
        url: what the control plane registers.
        operator: more options of the control plane.
        serve: more options of the data plane.
        environment: variables of both, beside our own.
    """

    def __init__(
        self,
        folder: Path,
        kubeconfig: Path,
        url: str,
        operator: Sequence[str] = (),
        serve: Sequence[str] = (),
        environment: Mapping[str, str] | None = None,
    ) -> None:
        folder.mkdir(parents=True)
        self.folder = folder
        self.snapshot = folder / "snapshot"
        self.certificates = folder / "certificates"
        self.endpoint = Endpoint(free_port(), free_port())
        self.snapshot.mkdir()
        self.webhook = Container(
            folder / "webhook.log",
            [
                *("serve", "--snapshot", str(self.snapshot), "--workers", "2", "--log-format", "json"),
                *("--drain-seconds", "4"),
                *("--listen", f"127.0.0.1:{self.endpoint.port}"),
                *("--metrics-listen", f"127.0.0.1:{self.endpoint.probe_port}"),
                *("--tls-cert", str(self.certificates / "tls.crt")),
                *("--tls-key", str(self.certificates / "tls.key")),
                *serve,
            ],
            environment,
        )
        self.operator = Container(
            folder / "operator.log",
            [
                *("operator", "--kubeconfig", str(kubeconfig), "--webhook-url", url),
                *("--snapshot", str(self.snapshot), "--cert-dir", str(self.certificates)),
                *operator,
            ],
            {"POD_NAME": folder.name, **(environment or {})},
        )

    def start(self) -> None:
        self.operator.start()
        self.webhook.start()

    def stop(self, number: int = signal.SIGTERM) -> None:
        self.webhook.stop(number)
        self.operator.stop(number)

    @property
    def workers(self) -> set[int]:
        return self.webhook.children()

    @property
    def published(self) -> str:
        """The revision that the folder's link names; empty for none."""
        with contextlib.suppress(OSError):
            name = (self.snapshot / "current").readlink().name
            return name.removeprefix("snapshot-").removesuffix(".json").partition("@")[0]
        return ""

    def acknowledged(self) -> list[dict[str, Any]]:
        """Return what each worker that lives says of itself."""
        found = []
        for file in (self.snapshot / "acks").glob(WRITTEN):
            with contextlib.suppress(OSError, ValueError):
                said = json.loads(file.read_text())
                if said["pid"] in self.workers:
                    found.append(said)
        return found

    def settled(self) -> bool:
        """Tell whether every worker judges by what is published, and the Pod is ready."""
        said = self.acknowledged()
        return (
            self.endpoint.ready
            and len(said) == len(self.workers) == 2
            and all(each["revision"] == self.published for each in said)
        )

    def leads(self) -> bool:
        """Tell whether this replica's control plane is the leader, by its log."""
        lines = [line for line in self.operator.lines() if "leading" in line]
        return bool(lines) and "no longer" not in lines[-1]


def answered(worker: int) -> int:
    """Return how many reviews a worker and those before it answered, by the file of its counters."""
    try:
        maps = Path(f"/proc/{worker}/maps").read_text()
    except OSError:
        return 0
    files = {line.split()[-1] for line in maps.splitlines() if "/counter_" in line}
    total = 0.0
    for file in files:
        for key, value, *_ in MmapedDict.read_all_values_from_file(file):  # type: ignore[no-untyped-call]
            if json.loads(key)[1] == "tidewaiter_requests_total":
                total += value
    return int(total)

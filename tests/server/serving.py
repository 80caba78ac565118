"""A `tidewaiter serve` of its own, and clients that speak to it over TLS."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http.client import HTTPSConnection
from pathlib import Path
from typing import Any, Self

from tests.server.builders import make_review
from webhook.adapters.snapshots import Context, digest, dump, file_name
from webhook.operator.acknowledgements import WRITTEN
from webhook.server.selfsigned import write_pair

PATIENCE = 30.0


def policy_manifest(name: str = "no-bad-names", expression: str | None = None) -> dict[str, Any]:
    """Return a ClusterPolicy on Pods; by default it refuses those named `bad`."""
    rule = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}
    return {
        "apiVersion": "tidewaiter.dev/v1alpha1",
        "kind": "ClusterPolicy",
        "metadata": {"name": name},
        "spec": {
            "title": "Names must not be bad",
            "severity": "low",
            "matchConstraints": {"resourceRules": [rule]},
            "validations": [
                {
                    "name": "name",
                    "expression": expression or "object.metadata.name != 'bad'",
                    "message": "the name is bad",
                }
            ],
        },
    }


def until(true: Callable[[], Any], what: str) -> Any:
    """Wait until `true` returns something, and return it."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        with contextlib.suppress(OSError):
            if found := true():
                return found
        time.sleep(0.02)
    raise AssertionError(f"{what}: not within {PATIENCE} s")


class Server:
    """A running server."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        self.tls = write_pair(folder)
        self.events: list[dict[str, Any]] = []
        words = ["serve", "--listen", "127.0.0.1:0", "--log-format", "json"]
        words += ["--tls-cert", self.tls.certificate, "--tls-key", self.tls.key, *arguments]
        self.process = subprocess.Popen(
            [sys.executable, "-m", "webhook", *words], stderr=subprocess.PIPE, text=True
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        address = until(lambda: self.event("listening") or self.process.poll() is not None, "it listens")
        assert isinstance(address, dict), self.events
        self.target = (int(address["address"].rpartition(":")[2]), self.tls.certificate)

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.events.append(json.loads(line) if line.startswith("{") else {"event": line})

    def event(self, name: str) -> dict[str, Any] | None:
        """Return the last event of that name in the log."""
        return next((event for event in reversed(self.events) if event["event"] == name), None)

    def connect(self) -> HTTPSConnection:
        """Return a connection to the target: a port, and the file that is trusted, as it is now."""
        port, trusted = self.target
        context = ssl.create_default_context(cafile=trusted)
        return HTTPSConnection("127.0.0.1", port, context=context, timeout=PATIENCE)

    def get(self, path: str) -> tuple[int, str]:
        """Return status and text of a GET."""
        with contextlib.closing(self.connect()) as connection:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()

    def ready(self) -> dict[str, Any]:
        """Return what /readyz says."""
        detail: dict[str, Any] = json.loads(self.get("/readyz")[1])
        return detail

    def verdict(self, name: str = "web") -> dict[str, Any]:
        """Return the response to a review of a Pod of that name."""
        with contextlib.closing(self.connect()) as connection:
            return review(connection, name)[1]

    def workers(self) -> set[int]:
        """Return the pids of the workers."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        return {int(pid) for pid in children.read_text().split()}

    def kill(self, *pids: int) -> None:
        """Kill workers and wait for others: a killed one stays in the list until it is reaped."""
        count = len(self.workers())
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
        until(lambda: len(self.workers() - set(pids)) == count, "they are replaced")

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Send a signal and return the exit status."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        try:
            return self.process.wait(PATIENCE)
        finally:
            if self.process.poll() is None:
                self.process.kill()
                self.process.wait()
            self._reader.join(PATIENCE)
            assert not self._reader.is_alive(), "a process that it left behind still writes"
            assert self.process.stderr is not None
            self.process.stderr.close()


def review(connection: HTTPSConnection, name: str = "web") -> tuple[bool, dict[str, Any]]:
    """Send a review; return whether the server closes the connection, and its response."""
    body = json.dumps(make_review(name))
    connection.request("POST", "/admit?timeout=10s", body, {"Content-Type": "application/json"})
    answer = connection.getresponse()
    text = answer.read()
    assert answer.status == 200, text
    response: dict[str, Any] = json.loads(text)["response"]
    return answer.headers.get("Connection") == "close", response


@contextlib.contextmanager
def serving(folder: Path, *arguments: str) -> Iterator[Server]:
    """Run a server until the end of the block."""
    server = Server(folder, *arguments)
    try:
        yield server
    finally:
        server.stop(signal.SIGINT)


class Load:
    """Clients that send reviews all the time, as the API server does: they reconnect when told to."""

    def __init__(self, server: Server, clients: int = 4) -> None:
        self.sent = 0
        self.failed: list[str] = []
        self._server = server
        self._going = True
        self._ended = [0] * clients
        self._threads = [threading.Thread(target=self._send, args=(each,)) for each in range(clients)]

    def _send(self, number: int) -> None:
        connection = self._server.connect()
        while self._going:
            try:
                closes, response = review(connection)
                assert response["allowed"] is True
                self.sent += 1
            except Exception as error:
                self.failed.append(repr(error))
                closes = True
            self._ended[number] += 1
            if closes:
                connection.close()
                connection = self._server.connect()  # perhaps to another port by now
        connection.close()

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def more(self, count: int = 100) -> None:
        """Wait until so many more were answered."""
        goal = self.sent + count
        until(lambda: self.sent >= goal or self.failed, "the load goes on")

    def take_failed(self) -> list[str]:
        """Wait until what is in flight has ended, and return and forget what failed until then."""
        before = list(self._ended)
        until(lambda: all(map(int.__gt__, self._ended, before)), "every client has its answer")
        failed, self.failed = self.failed, []
        return failed

    def __exit__(self, *_: object) -> None:
        self._going = False
        for thread in self._threads:
            thread.join()


class SnapshotFolder:
    """What the operator writes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()

    def publish(self, *objects: dict[str, Any]) -> str:
        """Publish a snapshot and return its revision."""
        data = dump(objects, Context())
        revision = digest(data)
        self.link(file_name(data), data)
        return revision

    def link(self, name: str, data: bytes) -> None:
        """Write a file and let `current` name it."""
        (self.folder / f".{name}").write_bytes(data)
        (self.folder / f".{name}").rename(self.folder / name)
        (self.folder / ".current").symlink_to(name)
        (self.folder / ".current").rename(self.folder / "current")

    def acknowledged(self) -> list[dict[str, Any]]:
        """Return what the workers say."""
        files = sorted((self.folder / "acks").glob(WRITTEN))
        return [json.loads(file.read_text()) for file in files]

    def all_have(self, revision: str, workers: int = 2) -> bool:
        """Tell whether every worker judges by that revision."""
        said = self.acknowledged()
        return len(said) == workers and all(each["revision"] == revision for each in said)


def run(*words: str) -> subprocess.CompletedProcess[str]:
    """Run a command line to its end."""
    environment = {**os.environ, "COLUMNS": "110"}
    return subprocess.run(
        [sys.executable, "-m", "webhook", *words],
        capture_output=True,
        text=True,
        timeout=60,
        env=environment,
    )

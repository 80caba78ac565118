"""OPA itself as a server on a socket, asked for the value of a rule as often as needed."""

from __future__ import annotations

import http.client
import json
import os
import socket
import subprocess
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from webhook.rego.numbers import number_of


class _Connection(http.client.HTTPConnection):
    def __init__(self, path: str) -> None:
        super().__init__("opa", timeout=60)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(60)
        self.sock.connect(self._path)


class Opa:
    """A running server; a context manager.

    Args:
        program: the folder with ``opa`` in it.
        folder: where its socket goes; paths of sockets must be short.
        v0: the server takes policies of Rego v0.
    """

    def __init__(self, program: Path, folder: Path, *, v0: bool = True) -> None:
        self.socket = os.path.relpath(folder / "opa.sock")
        if len(self.socket) > 100:
            self.socket = str(folder / "opa.sock")
        command = [str(program), "run", "--server", "--addr", f"unix://{self.socket}", "--log-level", "error"]
        command += ["--disable-telemetry", *(["--v0-compatible"] if v0 else [])]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 60
        while not Path(self.socket).exists():
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.close()
                raise RuntimeError("opa run --server doesn't start")
            time.sleep(0.05)
        self.connection = _Connection(self.socket)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.connection.close()
        self.close()

    def close(self) -> None:
        """End the program."""
        self.process.terminate()
        self.process.wait(timeout=30)

    def ask(self, method: str, path: str, body: str) -> tuple[int, Any]:
        """Return the status and the answer of a request."""
        self.connection.request(method, path, body.encode(errors="surrogatepass"))
        answer = self.connection.getresponse()
        text = answer.read()
        return answer.status, json.loads(text, parse_float=number_of) if text else None

    def data(self, path: str, value: Any) -> None:
        """Store a base document."""
        status, answer = self.ask("PUT", f"/v1/data/{path}", json.dumps(value))
        if status not in (200, 204):
            raise RuntimeError(f"OPA doesn't take the data: {answer}")

    def value(self, path: str, value: Any) -> Any:
        """Return what a rule is for an input: ``{"result": …}``, ``{}``, or ``{"error": code and words}``."""
        status, answer = self.ask("POST", f"/v1/data/{path}", json.dumps({"input": value}))
        if status == 200:
            return {"result": answer["result"]} if "result" in answer else {}
        first = (answer.get("errors") or [answer])[0]
        return {"error": f"{first['code']}: {first['message']}".removeprefix("eval_")}

"""Gatekeeper itself beside a test's API server, and who denies what there."""

from __future__ import annotations

import itertools
import threading
import time
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from bench import gatekeeper_kinds
from bench.manager import WEBHOOK, Manager
from bench.process import ready
from tests.controlplane import ControlPlane
from tests.e2e.cluster import eventually
from webhook.dialects.gatekeeper.kinds import definitions

OPERATIONS = ("webhook", "generate", "audit", "status")
_numbers = itertools.count(1)


class Gatekeeper:
    """A running Gatekeeper with its webhook registered, on the kinds that we would define; a context manager.

    It can be entered again after it was left.
    """

    def __init__(self, program: Path, plane: ControlPlane) -> None:
        self._plane = plane
        self._manager = Manager(program, plane, plane.workdir / f"gatekeeper-{next(_numbers)}")
        self._stack = ExitStack()
        self.log = self._manager.log

    def __enter__(self) -> Self:
        known = {each["metadata"]["name"]: each for each in (*gatekeeper_kinds.KINDS, *definitions())}
        self._manager.apply([*gatekeeper_kinds.OWN, *known.values()])
        wait = ("wait", "--for=condition=Established", "--timeout=60s", "crd", "--all")
        self._plane.kubectl(*wait, check=True)  # it starts only its watches of kinds that it finds
        process, port, health = self._manager.start(self._stack, *OPERATIONS, more=("--audit-interval=3",))
        process.wait_for(lambda: ready(health), "readiness of Gatekeeper")
        # A webhook that is late on a busy machine must not look like one that lets everything through.
        configuration = self._manager.configuration(port, failure_policy="Fail")
        configuration["webhooks"][0]["timeoutSeconds"] = 20
        self._manager.apply([configuration])
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None = None,
        error: BaseException | None = None,
        trace: TracebackType | None = None,
    ) -> None:
        """Uninstall it as `helm uninstall` does: its kinds and their objects stay."""
        self._plane.kubectl("delete", "validatingwebhookconfiguration", WEBHOOK, "--ignore-not-found")
        self._stack.close()
        name = ("-n", gatekeeper_kinds.NAMESPACE, "pod", gatekeeper_kinds.POD)
        self._plane.kubectl("delete", *name, "--ignore-not-found", "--force", "--grace-period=0")


class Probe:
    """Tries all the time, by dry runs, to create an object that must be denied; a context manager.

    Args:
        plane: the API server.
        path: where it is to be created.
        body: the object.

    Attributes:
        let_through: answers that were no denial.
        said: every message of a denial, with how often it came.
    """

    def __init__(self, plane: ControlPlane, path: str, body: dict[str, Any]) -> None:
        self.let_through: list[Any] = []
        self.said: dict[str, int] = {}
        self._ask = lambda: plane.request("POST", f"{path}?dryRun=All", body)
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def once(self) -> set[str]:
        """Return by whose webhooks it is denied now: ``gatekeeper``, ``tidewaiter``."""
        status, answer = self._ask()
        message = str(answer.get("message", ""))
        if status < 400:
            return set()
        assert "denied the request" in message, answer
        # The API server asks all of them, and gives the first denial that comes.
        return {"gatekeeper" if '"validation.gatekeeper.sh" denied' in message else "tidewaiter"}

    def __enter__(self) -> Self:
        self._thread.start()
        eventually(lambda: self.said, "a first denial")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        time.sleep(1)  # what ends at last ends a moment later
        self._stopped.set()
        self._thread.join(60)

    def _run(self) -> None:
        while not self._stopped.is_set():
            status, answer = self._ask()
            message = str(answer.get("message", answer))
            if status < 400:
                self.let_through.append((time.time(), answer))
            else:
                self.said[message] = self.said.get(message, 0) + 1

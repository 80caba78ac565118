"""Started while clients already ask: from the first answer on, every policy judges."""

from __future__ import annotations

import contextlib
import http.client
import itertools
import json
import random
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

import pytest

from tests.controlplane import ControlPlane
from tests.e2e.cluster import API_VERSION, eventually, namespace
from tests.faults.asking import configmap_review, trusting
from tests.faults.containers import ROOT, Container, Replica, free_port
from tests.faults.world import OWN_NAMESPACE

pytestmark = pytest.mark.xdist_group("starts")

POLICIES = 100
CLIENTS = 4
ANSWERS = 300
STARTS = [pytest.param(start, marks=[pytest.mark.long] if start >= 3 else []) for start in range(20)]


def policies() -> list[dict[str, Any]]:
    """Return policies that each forbid one key of a ConfigMap."""
    rule = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["configmaps"]}
    return [
        {
            "apiVersion": API_VERSION,
            "kind": "ClusterPolicy",
            "metadata": {"name": f"start-{number}"},
            "spec": {
                "severity": "low",
                "matchConstraints": {"resourceRules": [rule]},
                "validations": [
                    {
                        "name": "check",
                        "expression": f"!has(object.data) || !('key-{number}' in object.data)",
                        "message": "must not be",
                    }
                ],
            },
        }
        for number in range(POLICIES)
    ]


def review(violates: set[int]) -> dict[str, Any]:
    """Return the review of a ConfigMap that violates these of the policies."""
    return configmap_review("default", "one", {f"key-{number}": "x" for number in violates})


class Hammer:
    """Clients that ask without a pause, from before anybody listens; a context manager.

    Attributes:
        answered: how many answers with a verdict came.
        wrong: those that are not what every policy together says.
    """

    def __init__(self, port: int) -> None:
        self.answered = 0
        self.wrong: list[str] = []
        self._port = port
        self._going = True
        self._turns = itertools.count()
        self._context = trusting()
        self._threads = [threading.Thread(target=self._ask) for _ in range(CLIENTS)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._going = False
        for thread in self._threads:
            thread.join()

    def _ask(self) -> None:
        connection = self._connect()
        while self._going:
            # Nothing, all, or a few: each as often.
            count = (0, POLICIES, random.randint(1, 9))[next(self._turns) % 3]
            violates = set(random.sample(range(POLICIES), count))
            body = json.dumps(review(violates))
            try:
                connection.request("POST", "/admit?timeout=5s", body, {"Content-Type": "application/json"})
                answer = connection.getresponse()
                text = answer.read()
            except (OSError, http.client.HTTPException):
                connection.close()
                connection = self._connect()
                continue
            if answer.status == 200:
                self._check(violates, json.loads(text)["response"])
        connection.close()

    def _connect(self) -> http.client.HTTPSConnection:
        return http.client.HTTPSConnection("127.0.0.1", self._port, context=self._context, timeout=30)

    def _check(self, violates: set[int], response: dict[str, Any]) -> None:
        self.answered += 1
        status = response.get("status") or {}
        causes = (status.get("details") or {}).get("causes") or ()
        found = sorted(cause["message"] for cause in causes)
        wanted = sorted(f"start-{number}/check: must not be" for number in violates)
        told = all(line in status.get("message", "") for line in wanted)
        if response["allowed"] is bool(violates) or found != wanted or not told:
            self.wrong.append(f"violates {sorted(violates)}: {json.dumps(response)[:500]}")


@pytest.fixture(scope="module")
def plane(assets: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    with ControlPlane(assets, tmp_path_factory.mktemp("starts")) as started:
        started.kubectl("apply", "-k", str(ROOT / "charts/tidewaiter/crds"), check=True)
        objects = [namespace(OWN_NAMESPACE), *policies()]
        started.kubectl("apply", "-f", "-", input="\n---\n".join(map(json.dumps, objects)), check=True)
        yield started


@pytest.mark.e2e
@pytest.mark.parametrize("start", STARTS)
def test_from_the_first_answer_on_every_policy_judges(
    plane: ControlPlane, tmp_path: Path, start: int
) -> None:
    url = f"https://127.0.0.1:{free_port()}"
    replica = Replica(tmp_path / "replica", plane.kubeconfig, url)
    with Hammer(replica.endpoint.port) as hammer, _started(replica):
        eventually(lambda: hammer.answered >= ANSWERS or hammer.wrong, "answers", 90)
    assert not hammer.wrong, hammer.wrong[:3]


@contextlib.contextmanager
def _started(replica: Replica) -> Iterator[None]:
    try:
        replica.start()
        yield
    except AssertionError:
        print(replica.webhook.log.read_text()[-3000:], replica.operator.log.read_text()[-3000:], sep="\n")
        raise
    finally:
        replica.stop(signal.SIGINT)


@pytest.mark.parametrize("start", STARTS)
def test_from_the_first_answer_on_every_policy_in_files_judges(tmp_path: Path, start: int) -> None:
    (tmp_path / "policies.yaml").write_text("\n---\n".join(map(json.dumps, policies())))
    port = free_port()
    words = ["serve", "--policies", str(tmp_path), "--listen", f"127.0.0.1:{port}", "--workers", "2"]
    server = Container(tmp_path / "webhook.log", words)
    with Hammer(port) as hammer:
        server.start()
        try:
            eventually(lambda: hammer.answered >= ANSWERS or hammer.wrong, "answers", 90)
        finally:
            server.stop(signal.SIGINT)
    assert not hammer.wrong, hammer.wrong[:3]

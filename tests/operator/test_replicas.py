"""Two replicas of the control plane on a real API server; the test plays their workers."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.controlplane import ControlPlane
from webhook.core.model import API_VERSION
from webhook.operator.client import connect
from webhook.operator.leader import Timing
from webhook.operator.main import Operator
from webhook.operator.options import Options

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("operator")]

Until = Callable[..., Awaitable[None]]
CRDS = Path(__file__).parents[2] / "charts/tidewaiter/crds"
CONFIGURATION = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations/replicated"
POLICIES = f"/apis/{API_VERSION}/clusterpolicies"


class Replica:
    """One replica, with a worker that acknowledges what is published as long as it is wanted to."""

    def __init__(self, operator: Operator, folder: Path) -> None:
        self.operator = operator
        self.folder = folder
        self.stop = asyncio.Event()
        self.works = False
        self.tasks = [asyncio.create_task(operator.run(self.stop)), asyncio.create_task(self._acknowledge())]

    async def _acknowledge(self) -> None:
        file = self.folder / "snapshot/acks/1.json"
        while True:
            revision = self.operator.publisher.revision
            if self.works and revision:
                said = {
                    "pid": 1,
                    "revision": revision,
                    "time": time.time(),
                    "failures": [],
                    "certificate": self.operator.serving.fingerprint,
                }
                file.write_text(json.dumps(said))
            await asyncio.sleep(0.05)

    async def end(self) -> None:
        self.stop.set()
        await self.tasks[0]
        self.tasks[1].cancel()
        await self.operator.client.close()


@asynccontextmanager
async def replicas(plane: ControlPlane, folder: Path, count: int) -> AsyncIterator[list[Replica]]:
    plane.kubectl("apply", "-k", str(CRDS), check=True)
    started = []
    for number in range(count):
        own = folder / str(number)
        options = Options(
            own / "snapshot",
            own / "certificates",
            str(plane.kubeconfig),
            webhook_url="https://127.0.0.1:9",  # nobody is there
            webhook_name="replicated",
            failure_policy="Ignore",
            create_namespace=True,
            timing=Timing(3.0, 2.0, 0.5),
        )
        started.append(Replica(Operator(options, await connect(str(plane.kubeconfig))), own))
    try:
        yield started
    finally:
        for replica in started:
            if not replica.stop.is_set():
                with contextlib.suppress(Exception):
                    await replica.end()
        plane.request("DELETE", CONFIGURATION)


def policy(name: str, expression: str = "true") -> dict[str, Any]:
    rule = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}
    return {
        "apiVersion": API_VERSION,
        "kind": "ClusterPolicy",
        "metadata": {"name": name},
        "spec": {
            "matchConstraints": {"resourceRules": [rule]},
            "validations": [{"name": "check", "expression": expression}],
        },
    }


async def _call(plane: ControlPlane, method: str, path: str, body: Any = None) -> Any:
    return await asyncio.to_thread(plane.request, method, path, body)


async def _conditions(plane: ControlPlane, name: str) -> dict[str, str]:
    _, found = await _call(plane, "GET", f"{POLICIES}/{name}")
    conditions = (found.get("status") or {}).get("conditions") or ()
    return {each["type"]: each["reason"] for each in conditions}


async def _becomes(ask: Callable[[], Awaitable[Any]], wanted: Any, seconds: float = 15.0) -> None:
    deadline = time.monotonic() + seconds
    while (found := await ask()) != wanted:
        assert time.monotonic() < deadline, f"{found!r} instead of {wanted!r}"
        await asyncio.sleep(0.1)


async def test_it_registers_with_the_first_worker_and_hands_over_to_the_other_replica(
    plane: ControlPlane, tmp_path: Path, until: Until
) -> None:
    async def registered() -> bool:
        return (await _call(plane, "GET", CONFIGURATION))[0] == 200

    async with replicas(plane, tmp_path, 2) as (first, second):
        await until(lambda: first.operator.publisher.revision and second.operator.publisher.revision)
        assert first.operator.publisher.revision == second.operator.publisher.revision
        await until(lambda: (first.folder / "certificates/tls.crt").exists())
        await until(lambda: (second.folder / "certificates/tls.crt").exists())
        certificates = {(each.folder / "certificates/tls.crt").read_bytes() for each in (first, second)}
        assert len(certificates) == 1

        await _call(plane, "POST", POLICIES, policy("replicated"))
        await _becomes(
            lambda: _conditions(plane, "replicated"), {"Ready": "Compiled", "Enforced": "NoWorker"}
        )
        assert not await registered()
        first.works = second.works = True
        await _becomes(
            lambda: _conditions(plane, "replicated"), {"Ready": "Compiled", "Enforced": "Enforced"}
        )
        assert await registered()

        leading, standing_by = (first, second) if first.operator.elector.leading else (second, first)
        assert not standing_by.operator.elector.leading
        await leading.end()
        assert await registered(), "who stops takes nothing down"
        await _call(plane, "POST", POLICIES, policy("after", "1 +"))
        await _becomes(
            lambda: _conditions(plane, "after"), {"Ready": "CompileError", "Enforced": "CompileError"}
        )
        await _call(plane, "DELETE", CONFIGURATION)
        await _becomes(registered, True)

        # Missing workers lower nothing; the statuses say that they are missing.
        standing_by.works = False
        os.utime(standing_by.folder / "snapshot/acks/1.json", (1, 1))
        (standing_by.folder / "snapshot/acks/1.json").unlink()
        await _becomes(
            lambda: _conditions(plane, "replicated"), {"Ready": "Compiled", "Enforced": "NoWorker"}
        )
        assert await registered()

        # A status that somebody else wrote is put right: Kopf shows it.
        body = {"status": {"conditions": []}}
        status, _ = await asyncio.to_thread(
            plane.request,
            "PATCH",
            f"{POLICIES}/replicated/status",
            body,
            "application/merge-patch+json",
        )
        assert status == 200
        await _becomes(
            lambda: _conditions(plane, "replicated"), {"Ready": "Compiled", "Enforced": "NoWorker"}, 5
        )
    for name in ("replicated", "after"):
        await _call(plane, "DELETE", f"{POLICIES}/{name}")

"""Replicas of the control plane in this process, on a real API server; the test plays their workers."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from tests.controlplane import ControlPlane
from webhook.core.model import API_VERSION
from webhook.operator.client import connect
from webhook.operator.leader import Timing
from webhook.operator.main import Operator
from webhook.operator.options import Options

CRDS = Path(__file__).parents[2] / "charts/tidewaiter/crds"
CONFIGURATIONS = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations"
POLICIES = f"/apis/{API_VERSION}/clusterpolicies"
NAMESPACE = "tidewaiter-system"
LEASES = f"/apis/coordination.k8s.io/v1/namespaces/{NAMESPACE}/leases"
SECRETS = f"/api/v1/namespaces/{NAMESPACE}/secrets"


class Replica:
    """One replica, with a worker that acknowledges what is published as long as it is wanted to."""

    def __init__(self, operator: Operator, folder: Path, works: bool) -> None:
        self.operator = operator
        self.folder = folder
        self.stop = asyncio.Event()
        self.works = works
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
        """Stop as on SIGTERM."""
        self.stop.set()
        await self.tasks[0]
        self.tasks[1].cancel()
        await self.operator.client.close()

    async def kill(self) -> None:
        """Stop at once, as a process that is killed: nothing is handed over or removed."""
        for task in self.tasks:
            task.cancel()
        client = self.operator.client

        async def refuse(*_: Any, **__: Any) -> Any:
            raise asyncio.CancelledError

        client.request = refuse  # type: ignore[method-assign]
        await asyncio.gather(*self.tasks, return_exceptions=True)
        self.stop.set()
        await client.close()


@asynccontextmanager
async def replicas(
    plane: ControlPlane,
    folder: Path,
    count: int,
    *,
    name: str,
    works: bool = True,
    kubeconfigs: Sequence[Path] = (),
    cert_sources: Sequence[Path] = (),
    settle: float = 0.5,
    **more: Any,
) -> AsyncIterator[list[Replica]]:
    """Start replicas of one installation, and end them.

    Args:
        plane: the API server.
        folder: for their folders.
        count: how many.
        name: of the webhook configuration; installations of several tests must not meet.
        works: their workers acknowledge from the start.
        kubeconfigs: one for each, where it isn't the plane's.
        cert_sources: one for each, where others keep the certificates.
        settle: how long a step of a rotation settles, in seconds.
        more: other options of the operator.
    """
    plane.kubectl("apply", "-k", str(CRDS), check=True)
    started = []
    for number in range(count):
        own = folder / str(number)
        config = str(kubeconfigs[number] if kubeconfigs else plane.kubeconfig)
        given: dict[str, Any] = {
            "webhook_url": "https://127.0.0.1:9",  # nobody is there
            "failure_policy": "Ignore",
            **more,
        }
        options = Options(
            own / "snapshot",
            own / "certificates",
            config,
            webhook_name=name,
            lease_name=f"{name}-leader",
            create_namespace=True,
            replica=f"{name}-{number}",
            cert_source=cert_sources[number] if cert_sources else None,
            settle_seconds=settle,
            timing=Timing(8.0, 6.0, 0.5, 0.2),  # a busy machine must not change the leader
            **given,
        )
        started.append(Replica(Operator(options, await connect(config)), own, works))
    try:
        yield started
    finally:
        for replica in started:
            if not replica.stop.is_set():
                with contextlib.suppress(Exception):
                    await replica.end()
        await call(plane, "DELETE", f"{CONFIGURATIONS}/{name}")
        await call(plane, "DELETE", f"{SECRETS}/{name}-certificates")


def policy(name: str, expression: str = "true", resources: Sequence[str] = ("pods",)) -> dict[str, Any]:
    """Return a ClusterPolicy on core resources."""
    rule = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": list(resources)}
    return {
        "apiVersion": API_VERSION,
        "kind": "ClusterPolicy",
        "metadata": {"name": name},
        "spec": {
            "matchConstraints": {"resourceRules": [rule]},
            "validations": [{"name": "check", "expression": expression}],
        },
    }


async def call(
    plane: ControlPlane, method: str, path: str, body: Any = None, content_type: str = "application/json"
) -> Any:
    """Send one request as the admin without stopping the loop; return its status and body."""
    return await asyncio.to_thread(plane.request, method, path, body, content_type)


async def becomes(ask: Callable[[], Awaitable[Any]], wanted: Any, seconds: float = 30.0) -> None:
    """Ask until the answer is `wanted`."""
    deadline = time.monotonic() + seconds
    while (found := await ask()) != wanted:
        assert time.monotonic() < deadline, f"{found!r} instead of {wanted!r}"
        await asyncio.sleep(0.1)

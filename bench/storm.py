"""A crowded cluster with one operator and one data plane, and what happens in it while a client asks."""

from __future__ import annotations

import asyncio
import base64
import os
import sys
import time
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from http import HTTPStatus
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import orjson

from bench import crowd, steady
from bench.crowd import Api, Size
from bench.process import ROOT, Process, ready
from bench.report import Figure
from bench.steady import Answer, Plan
from bench.tree import free_port, tree
from tests.controlplane import ControlPlane

RATE = 200.0
"""Requests a second, to two workers."""
_CONFIGURATION = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations/tidewaiter"
_AFTER = 5.0
_IDLE_SHARE = 0.1
_WITHDRAWN = 20
_ASKED_ONCE = 8.0
"""Seconds in which each acceptance has been asked about before it goes, on a busy machine too."""


Versions = dict[str, dict[str, str]]
"""The version of each policy, by revision."""


@dataclass(frozen=True)
class Changed:
    """One change that the API server took: which policy got which version, and when."""

    number: int
    version: int
    at: float


@dataclass
class Published:
    """The snapshot files that were there, read as they came."""

    files: dict[str, bytes] = field(default_factory=dict)

    async def follow(self, folder: Path) -> None:
        """Keep each file that the operator's link names."""
        while True:
            try:
                name = (folder / "current").readlink().name
                revision = name.removeprefix("snapshot-").removesuffix(".json")
                if revision not in self.files:
                    self.files[revision] = (folder / name).read_bytes()
            except OSError:
                pass  # not there yet, or already replaced
            await asyncio.sleep(0.02)

    def versions(self) -> Versions:
        """Return the version of each policy by revision."""
        found = {}
        for revision, data in self.files.items():
            objects = [each for each in orjson.loads(data)["objects"] if each["kind"] == "ClusterPolicy"]
            found[revision] = {
                each["metadata"]["name"]: each["spec"]["auditAnnotations"][0]["valueExpression"].strip("'")
                for each in objects
            }
        return found


@dataclass(frozen=True)
class Phase:
    """What was seen while something happened.

    Attributes:
        answers: of the steady client.
        serving: CPU seconds of the workers' event loops.
        swapping: CPU seconds of the workers' other threads, which load snapshots.
        supervising: CPU seconds of the supervisor.
        operating: CPU seconds of the operator.
        seconds: how long it took.
    """

    answers: list[Answer]
    serving: float
    swapping: float
    supervising: float
    operating: float
    seconds: float

    def percentile(self, share: float) -> float:
        """Return the latency, in milliseconds, that this share of the answers did not exceed."""
        latencies = sorted(answer.took for answer in self.answers)
        return latencies[min(len(latencies) - 1, int(share * len(latencies)))] * 1000


class Cluster:
    """A crowded control plane with one operator and one data plane of two workers."""

    def __init__(self, stack: ExitStack, folder: Path, plane: ControlPlane, size: Size) -> None:
        self._stack = stack
        self._folder = folder
        self._plane = plane
        self.size = size
        self.snapshot = folder / "snapshot"
        self.authority = folder / "authority.pem"
        self.published = Published()
        self.port = free_port()
        self._follower: asyncio.Task[None] | None = None
        self.groups = [f"group-{number:03}" for number in range(-(-size.changes // crowd.GROUP_SIZE))]

    async def start(self) -> list[Figure]:
        """Start operator and data plane; return what the first sync took."""
        certificates, plain = self._folder / "certificates", free_port()
        started = time.monotonic()
        self.operator = self._process(
            "operator",
            *("--kubeconfig", self._plane.kubeconfig, "--namespace", "default"),
            *("--snapshot", self.snapshot, "--cert-dir", certificates),
            *("--webhook-url", f"https://127.0.0.1:{self.port}"),
        )
        self._follower = asyncio.create_task(self.published.follow(self.snapshot))
        await _until(lambda: bool(self.published.files))
        first, cpu = time.monotonic() - started, self.operator.cpu()
        await _until((certificates / "tls.key").exists)
        self.serve = self._process(
            "serve",
            *("--snapshot", self.snapshot, "--listen", f"127.0.0.1:{self.port}", "--workers", "2"),
            *("--tls-cert", certificates / "tls.crt", "--tls-key", certificates / "tls.key"),
            *("--metrics-listen", f"127.0.0.1:{plain}"),
        )
        await asyncio.to_thread(self.serve.wait_for, lambda: ready(plain), "readiness of tidewaiter serve")
        settled = await self.idle()
        await _until(lambda: self._plane.request("GET", _CONFIGURATION)[0] == HTTPStatus.OK)
        configuration = self._plane.request("GET", _CONFIGURATION)[1]
        self.authority.write_bytes(base64.b64decode(configuration["webhooks"][0]["clientConfig"]["caBundle"]))
        return [
            Figure("first snapshot after the operator's start", first, " s", note=f"{cpu:.1f} s of CPU"),
            Figure(
                "until every status is written", settled, " s", note=f"{self.operator.cpu():.1f} s of CPU"
            ),
        ]

    def _process(self, command: str, *arguments: str | Path) -> Process:
        # Nothing here outlives the stack; a proxy of the environment is none of loopback's.
        full = (sys.executable, "-m", "webhook", command, *arguments)
        environment = {**os.environ, "NO_PROXY": "127.0.0.1", "PYTHONPATH": str(ROOT)}
        return self._stack.enter_context(Process(full, self._folder / f"{command}.log", environment))

    async def stop(self) -> None:
        """Stop what runs in this process."""
        if self._follower is not None:
            self._follower.cancel()
            await asyncio.wait({self._follower})

    async def idle(self) -> float:
        """Wait until the operator has nothing left to do; return how many seconds that took."""
        started = time.monotonic()
        before = self.operator.cpu()
        while True:
            await asyncio.sleep(2)
            now = self.operator.cpu()
            if now - before < 2 * _IDLE_SHARE:
                return time.monotonic() - started - 2
            before = now

    async def phase(self, work: Coroutine[Any, Any, Any], bodies: Sequence[bytes], seconds: float) -> Phase:
        """Do something while a client asks at a steady rate."""
        begun = self._folder / f"begun-{time.monotonic_ns()}"
        plan = Plan(self.port, self.authority, bodies, RATE, seconds, begun=begun)
        operating, started = self.operator.cpu(), time.monotonic()
        before = [_threads(pid) for pid in tree(self.serve.pid)]
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
            asking = asyncio.get_running_loop().run_in_executor(pool, steady.run, plan)
            await _until(begun.exists)
            await work
            answers = await asking
        after = [_threads(pid) for pid in tree(self.serve.pid)]
        (supervisor, *workers), (supervisor_before, *workers_before) = after, before
        return Phase(
            answers,
            sum(now[0] - then[0] for now, then in zip(workers, workers_before, strict=True)),
            sum(now[1] - then[1] for now, then in zip(workers, workers_before, strict=True)),
            sum(supervisor) - sum(supervisor_before),
            self.operator.cpu() - operating,
            time.monotonic() - started,
        )

    async def quiet(self) -> Phase:
        return await self.phase(asyncio.sleep(0), self._bodies(), self.size.seconds + _AFTER)

    async def other_writes(self, api: Api) -> Phase:
        """As many writes of what no policy is about."""
        secrets = "/api/v1/namespaces/default/secrets"
        await api.send(
            "POST", secrets, {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "written"}}
        )

        async def write(number: int) -> None:
            await api.send("PATCH", f"{secrets}/written", {"stringData": {"value": str(number)}})

        return await self.phase(self._spread(write), self._bodies(), self.size.seconds + _AFTER)

    async def storm(self, api: Api, version: int) -> tuple[Phase, list[Changed]]:
        changes: list[Changed] = []

        async def change(number: int) -> None:
            changes.append(Changed(number, version, await crowd.change(api, number, version)))

        phase = await self.phase(self._spread(change), self._bodies(), self.size.seconds + _AFTER)
        return phase, changes

    async def withdraw(self, api: Api) -> float:
        """Delete acceptances; return how long after that one still excused a request that was sent."""
        deleted: dict[str, float] = {}

        async def delete() -> None:
            await asyncio.sleep(_ASKED_ONCE)
            for number in range(_WITHDRAWN):
                deleted[crowd.acceptance_name(number)] = await crowd.withdraw(api, number, self.size)
                await asyncio.sleep(0.1)

        bodies = [
            crowd.review(crowd.group_of(number), crowd.space_name(number), "forbidden")
            for number in range(_WITHDRAWN)
        ]
        answers = (await self.phase(delete(), bodies, _ASKED_ONCE + _WITHDRAWN * 0.1 + _AFTER)).answers
        names = list(deleted)
        excused = [answer for answer in answers if names[answer.body] in answer.notes.get("accepted", "")]
        if {answer.body for answer in excused} != set(range(_WITHDRAWN)):
            raise RuntimeError("an acceptance did not count before it was deleted")
        return max(max(0.0, answer.sent - deleted[names[answer.body]]) for answer in excused)

    def _bodies(self) -> list[bytes]:
        count = self.size.namespaces
        return [
            crowd.review(group, crowd.space_name(number * 7 % count), "good")
            for number, group in enumerate(self.groups)
        ]

    async def _spread(self, one: Callable[[int], Coroutine[Any, Any, None]]) -> None:
        """Do as many things as there are changes, evenly over the time for them."""
        start, each = time.monotonic(), self.size.seconds / self.size.changes
        async with asyncio.TaskGroup() as group:
            for number in range(self.size.changes):
                await asyncio.sleep(start + number * each - time.monotonic())
                group.create_task(one(number))


async def _until(condition: Callable[[], bool]) -> None:
    give_up = time.monotonic() + 180
    while not condition():
        if time.monotonic() > give_up:
            raise TimeoutError
        await asyncio.sleep(0.02)


def _threads(pid: int) -> tuple[float, float]:
    """Return the CPU seconds of a process's first thread and of all its others."""
    times = {
        entry.name: int((entry / "schedstat").read_text().split()[0]) / 1e9
        for entry in Path(f"/proc/{pid}/task").iterdir()
    }
    first = times.pop(str(pid))
    return first, sum(times.values())

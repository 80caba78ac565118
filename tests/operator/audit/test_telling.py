"""Events of the audit: on the topmost workload, once for the same, and few, however many fail."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from webhook.adapters.findings import Finding, Result
from webhook.core.model import Action, ObjectRef, PolicyRef, Severity, Violation
from webhook.operator.audit.telling import Telling
from webhook.operator.client import Answer, ApiError

Until = Callable[..., Awaitable[None]]


class Server:
    """An API server with one Deployment and its ReplicaSet."""

    def __init__(self) -> None:
        self.events: dict[str, dict[str, Any]] = {}
        self.fails = 0
        owner = {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "name": "web",
            "uid": "u-web",
            "controller": True,
        }
        self.workloads: dict[str, dict[str, Any]] = {
            "replicasets/web-1": {"name": "web-1", "uid": "u-web-1", "ownerReferences": [owner]},
            "deployments/web": {"name": "web", "uid": "u-web"},
        }

    async def request(self, method: str, path: str, *, body: Any = None, **_: Any) -> Answer:
        if method == "GET":
            name = "/".join(path.split("/")[-2:])
            if name not in self.workloads:
                raise ApiError(404, "NotFound", "not found")
            return Answer({"metadata": {"namespace": "shop", **self.workloads[name]}}, size=1)
        if self.fails:
            raise ApiError(self.fails, "", "refused")
        name = body["metadata"]["name"]
        if name in self.events:
            raise ApiError(409, "AlreadyExists", "it is there")
        self.events[name] = body
        return Answer(body, size=1)


@contextlib.asynccontextmanager
async def telling(server: Server) -> AsyncIterator[Telling]:
    client: Any = server
    made = Telling(client)
    task = asyncio.create_task(made.run())
    try:
        yield made
        assert not task.done()
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def pod(name: str, **metadata: Any) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"namespace": "shop", "name": name, **metadata}}


def finding(name: str, policy: str = "one", result: Result = Result.FAIL, message: str = "wrong") -> Finding:
    target = ObjectRef("", "v1", "Pod", "shop", name)
    ref = PolicyRef("ClusterPolicy", "", policy)
    where = dict.fromkeys(("field_path", "container", "container_kind", "image", "reason", "remediation"), "")
    violation = Violation(
        ref,
        "check",
        message,
        severity=Severity.HIGH,
        actions=(Action.DENY,),
        fingerprint="0" * 32,
        **where,
    )
    return Finding(target, f"u-{name}", result, ref, message, "0" * 32, violation)


MADE = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web-1", "uid": "u-web-1", "controller": True}


async def test_it_is_on_the_topmost_workload_and_once_for_all_its_pods(until: Until) -> None:
    server = Server()
    async with telling(server) as told:
        for name in ("web-1-a", "web-1-b"):
            told.take(pod(name, ownerReferences=[MADE]), [finding(name), finding(name, "two")])
        await until(lambda: told.results["sent"] + told.results["repeated"] == 2)
    (event,) = server.events.values()
    assert (event["involvedObject"]["kind"], event["involvedObject"]["uid"]) == ("Deployment", "u-web")
    assert event["message"] == "its Pod violates one/check: wrong; also two"
    async with telling(server) as told:
        told.take(pod("web-1-c", ownerReferences=[MADE]), [finding("web-1-c"), finding("web-1-c", "two")])
        await until(lambda: told.results["repeated"] == 1)
    assert len(server.events) == 1, "the next leader tells nothing anew"


async def test_an_owner_of_another_uid_is_not_told(until: Until) -> None:
    server = Server()
    async with telling(server) as told:
        told.take(pod("a", ownerReferences=[{**MADE, "uid": "forged"}]), [finding("a")])
        await until(lambda: told.results["sent"] == 1)
    (event,) = server.events.values()
    assert event["involvedObject"]["name"] == "a"


async def test_only_what_fails_is_told(until: Until) -> None:
    server = Server()
    async with telling(server) as told:
        for result in (Result.WARN, Result.SKIP, Result.ERROR):
            told.take(pod("a"), [finding("a", result=result)])
        told.take(pod("b"), [finding("b")])
        await until(lambda: told.results["sent"] == 1)
    assert [event["involvedObject"]["name"] for event in server.events.values()] == ["b"]


async def test_of_very_many_only_some_are_told_and_the_others_are_counted(until: Until) -> None:
    server = Server()
    async with telling(server) as told:
        for number in range(1000):
            told.take(pod(f"p-{number}"), [finding(f"p-{number}")])
        await until(lambda: told.results["sent"] >= 50)
        assert told.results["sent"] < 60
        assert told.results["sent"] + told.results["limited"] == 1000


async def test_what_can_not_be_written_ends_nothing_and_a_long_message_is_cut(until: Until) -> None:
    server = Server()
    server.fails = 403
    async with telling(server) as told:
        told.take(pod("a"), [finding("a")])
        await until(lambda: told.results["failed"] == 1)
        server.fails = 0
        told.take(pod("b"), [finding("b", message="long " * 1000)])
        await until(lambda: told.results["sent"] == 1)
    (event,) = server.events.values()
    assert len(event["message"].encode()) <= 1024

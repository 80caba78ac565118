"""Statuses are written only where they differ, and a policy that does not compile gets one Event."""

from __future__ import annotations

import copy
from typing import Any

from webhook.adapters.snapshots import Context, build
from webhook.core.model import API_VERSION
from webhook.operator.acknowledgements import Acknowledgement
from webhook.operator.client import Answer, ApiError
from webhook.operator.inventory import CLUSTER_POLICIES, OWN_RESOURCES
from webhook.operator.status_writer import StatusReconciler


class FakeClient:
    """An API server that keeps objects' statuses by path."""

    def __init__(self) -> None:
        self.objects: dict[str, dict[str, Any]] = {}
        self.calls: list[tuple[str, str]] = []
        self.drops = False

    async def request(self, method: str, path: str, **named: Any) -> Answer:
        self.calls.append((method, path.rpartition("/")[2]))
        if method == "POST":
            return Answer({})
        obj = self.objects.get(path.removesuffix("/status"))
        if obj is None:
            raise ApiError(404, "NotFound", "not found")
        if method == "PATCH":
            written = copy.deepcopy(named["body"]["status"])
            if self.drops:
                written.pop("conditions")
            obj["status"] = {**obj.get("status", {}), **written}
        return Answer(copy.deepcopy(obj))

    def watch(self, path: str, **named: Any) -> Any:
        raise NotImplementedError

    def take_calls(self) -> list[tuple[str, str]]:
        calls, self.calls = self.calls, []
        return calls


class FakeInformer:
    def __init__(self, resource: Any) -> None:
        self.resource = resource
        self.items: dict[tuple[str, str], dict[str, Any]] = {}


class FakeInventory:
    def __init__(self) -> None:
        self.own = {resource.kind: FakeInformer(resource) for resource in OWN_RESOURCES}
        self.acceptances: list[Any] = []

    @property
    def policies(self) -> list[Any]:
        return list(self.own["ClusterPolicy"].items.values())


class World:
    """One policy and whoever writes its status."""

    def __init__(self, expression: str) -> None:
        rule = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}
        self.policy = {
            "apiVersion": API_VERSION,
            "kind": "ClusterPolicy",
            "metadata": {"name": "one", "uid": "1", "generation": 1},
            "spec": {
                "matchConstraints": {"resourceRules": [rule]},
                "validations": [{"name": "check", "expression": expression}],
            },
        }
        self.client = FakeClient()
        self.path = CLUSTER_POLICIES.path_of("", "one")
        self.client.objects[self.path] = copy.deepcopy(self.policy)
        self.inventory = FakeInventory()
        self.inventory.own["ClusterPolicy"].items["", "one"] = self.policy
        self.generation_loaded = 1
        self.live = (Acknowledgement(1, "revision", 0.0),)
        self.writer = self.fresh_writer()

    def generation(self, revision: str, policy: Any) -> int:
        return self.generation_loaded

    def fresh_writer(self) -> StatusReconciler:
        return StatusReconciler(self.client, self.inventory, self, self)  # type: ignore[arg-type]

    async def round(self, *, registered: bool = True) -> list[tuple[str, str]]:
        snapshot = build([self.policy], Context())
        await self.writer.reconcile(snapshot, registered=registered)
        return self.client.take_calls()

    @property
    def status(self) -> dict[str, Any]:
        found: dict[str, Any] = self.client.objects[self.path]["status"]
        return found


async def test_a_status_is_written_once() -> None:
    world = World("true")
    assert await world.round() == [("GET", "one"), ("PATCH", "status")]
    assert [each["reason"] for each in world.status["conditions"]] == ["Compiled", "Enforced"]
    assert await world.round() == []
    world.live = ()
    assert await world.round() == [("PATCH", "status")]
    assert world.status["conditions"][1]["reason"] == "NoWorker"


async def test_a_new_leader_writes_nothing_that_is_there_already() -> None:
    world = World("1 +")
    assert await world.round() == [("GET", "one"), ("PATCH", "status"), ("POST", "events")]
    world.writer = world.fresh_writer()
    assert await world.round() == [("GET", "one")]


async def test_each_error_is_told_once() -> None:
    world = World("1 +")
    await world.round()
    world.policy["metadata"]["generation"] = 2
    assert await world.round() == [("PATCH", "status")]
    world.policy["spec"]["validations"][0]["expression"] = "unknown"
    world.policy["metadata"]["generation"] = 3
    assert await world.round() == [("PATCH", "status"), ("POST", "events")]


async def test_what_the_schema_drops_is_not_written_for_ever() -> None:
    world = World("true")
    world.client.drops = True
    await world.round()
    assert await world.round() == []


async def test_a_status_that_somebody_changed_is_put_right() -> None:
    world = World("true")
    await world.round()
    live = world.client.objects[world.path]
    live["status"]["conditions"] = []
    assert world.writer.saw(CLUSTER_POLICIES, "MODIFIED", copy.deepcopy(live))
    assert await world.round() == [("PATCH", "status")]
    assert not world.writer.saw(CLUSTER_POLICIES, "MODIFIED", copy.deepcopy(live))


async def test_an_object_that_is_gone_or_another_is_left_alone() -> None:
    world = World("true")
    world.client.objects[world.path]["metadata"]["uid"] = "2"
    assert await world.round() == [("GET", "one")]
    del world.client.objects[world.path]
    assert await world.round() == [("GET", "one")]


def test_an_object_that_no_handler_saw_in_time_is_named() -> None:
    world = World("true")
    assert world.writer.unheard(-1) == "ClusterPolicy one"
    world.writer.saw(CLUSTER_POLICIES, "ADDED", world.policy)
    assert not world.writer.unheard(-1)
    assert not world.fresh_writer().unheard(30)

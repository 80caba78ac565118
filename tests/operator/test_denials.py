"""From a denial in the data plane to an Event on the topmost workload."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from webhook.adapters.denials import SOCKET, Denial, Reference
from webhook.operator.client import Answer, ApiError
from webhook.operator.denials import PERIOD, Allowance, Denials
from webhook.operator.events import Regarded, warning
from webhook.operator.topmost import Topmost

Until = Callable[..., Awaitable[None]]


def reference(kind: str, name: str, uid: str, api_version: str = "apps/v1") -> dict[str, Any]:
    return {"apiVersion": api_version, "kind": kind, "name": name, "uid": uid, "controller": True}


def metadata(name: str, uid: str, owner: Mapping[str, Any] | None = None) -> dict[str, Any]:
    return {"metadata": {"name": name, "uid": uid, "ownerReferences": [owner] if owner else []}}


SHOP = "/apis/apps/v1/namespaces/shop"
WEB = {
    f"{SHOP}/replicasets/web-1": metadata("web-1", "u-1", reference("Deployment", "web", "u-0")),
    f"{SHOP}/replicasets/web-2": metadata("web-2", "u-2", reference("Deployment", "web", "u-0")),
    f"{SHOP}/deployments/web": metadata("web", "u-0"),
}


class Api:
    """An API server with some objects, that takes Events."""

    def __init__(self, objects: Mapping[str, Mapping[str, Any]]) -> None:
        self.objects = dict(objects)
        self.events: dict[str, dict[str, Any]] = {}
        self.asked: list[str] = []
        self.away = False

    def watch(self, path: str, *, params: Mapping[str, str], idle: float) -> Any:
        raise NotImplementedError

    async def request(self, method: str, path: str, *, body: Any = None, **_: Any) -> Answer:
        self.asked.append(path)
        if self.away:
            raise ApiError(0, "", "connection refused")
        if method == "POST":
            name = body["metadata"]["name"]
            if name in self.events:
                raise ApiError(409, "AlreadyExists", name)
            self.events[name] = body
            return Answer(body)
        found = self.objects.get(path)
        if found is None:
            raise ApiError(404, "NotFound", path)
        if found.get("forbidden"):
            raise ApiError(403, "Forbidden", path)
        return Answer(dict(found))


def denial(owner: str = "web-1", uid: str = "u-1", **changes: Any) -> Denial:
    fields: dict[str, Any] = {
        "review": "r",
        "operation": "CREATE",
        "kind": "Pod",
        "namespace": "shop",
        "name": "web-1-",
        "owner": Reference("apps/v1", "ReplicaSet", owner, uid),
        "policies": ("run-as-non-root",),
        "message": "run-as-non-root/check (container app): must not run as root [spec]\n  ask for one",
    }
    return Denial(**fields | changes)


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Running:
    """`Denials` that runs, and a worker's end of its socket."""

    def __init__(self, api: Api, folder: Path) -> None:
        self.api = api
        self.clock = Clock()
        self.denials = Denials(api, folder, self.clock)
        self._path = str(folder / SOCKET)
        self._worker = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)

    def send(self, data: Denial | bytes) -> None:
        self._worker.sendto(data.encode() if isinstance(data, Denial) else data, self._path)

    def close(self) -> None:
        self._worker.close()

    def results(self) -> dict[str, int]:
        return {name: count for name, count in self.denials.results.items() if count}


@pytest.fixture
async def running(tmp_path: Path, until: Until) -> AsyncIterator[Running]:
    made = Running(Api(WEB), tmp_path)
    task = asyncio.create_task(made.denials.run())
    await until(lambda: (tmp_path / SOCKET).exists())
    yield made
    task.cancel()
    await asyncio.wait({task})
    made.close()
    assert not (tmp_path / SOCKET).exists()


async def test_the_event_is_on_the_topmost_workload(running: Running, until: Until) -> None:
    running.send(denial())
    await until(lambda: running.api.events)
    (event,) = running.api.events.values()
    assert event["involvedObject"] == {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "name": "web",
        "namespace": "shop",
        "uid": "u-0",
    }
    assert (event["type"], event["reason"], event["count"]) == ("Warning", "PolicyDenied", 1)
    assert event["message"] == (
        "CREATE of Pod web-1- by ReplicaSet web-1 is denied by run-as-non-root: "
        "run-as-non-root/check (container app): must not run as root [spec]; ask for one"
    )


async def test_the_same_workload_and_policies_tell_once_in_a_while(running: Running, until: Until) -> None:
    running.send(denial())
    await until(lambda: running.results() == {"sent": 1})
    for _ in range(4):
        running.send(denial())
    await until(lambda: running.results() == {"sent": 1, "repeated": 4})
    running.send(denial(policies=("another",)))
    await until(lambda: running.results() == {"sent": 2, "repeated": 4})
    running.api.events.clear()  # Kubernetes keeps them for an hour only
    running.clock.now += PERIOD + 1
    running.send(denial())
    await until(lambda: running.results() == {"sent": 3, "repeated": 4})
    (event,) = running.api.events.values()
    assert event["count"] == 5, "what was not told is counted"


async def test_of_two_replicasets_of_a_deployment_one_event_comes(running: Running, until: Until) -> None:
    running.send(denial())
    running.send(denial("web-2", "u-2"))
    await until(lambda: sum(running.results().values()) == 2)
    # Unless ten minutes ended just between them.
    assert len(running.api.events) == running.results()["sent"] <= 2


async def test_of_two_replicas_one_event_comes(
    running: Running, until: Until, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("webhook.operator.denials.PERIOD", 10.0**12)
    (tmp_path / "b").mkdir()
    other = Running(running.api, tmp_path / "b")
    task = asyncio.create_task(other.denials.run())
    running.send(denial())
    await until(lambda: running.results() == {"sent": 1})
    other.denials.take(denial())
    await until(lambda: other.results() == {"repeated": 1})
    task.cancel()
    await asyncio.wait({task})
    other.close()


@pytest.mark.parametrize(
    "owner",
    [
        pytest.param({"uid": "forged"}, id="another uid"),
        pytest.param({"owner": "gone"}, id="not there"),
        pytest.param({"owner": "../../../../api/v1/namespaces/shop/secrets/x"}, id="a path"),
    ],
)
async def test_an_owner_that_is_not_what_it_claims_gets_no_event(
    owner: dict[str, str], running: Running, until: Until
) -> None:
    running.send(denial(**owner))
    await until(lambda: running.results() == {"unknown": 1})
    assert running.api.events == {}
    assert not any("/secrets/" in path for path in running.api.asked)


async def test_a_flood_makes_few_questions(running: Running, until: Until) -> None:
    for number in range(600):
        running.denials.take(denial(uid=f"forged-{number}", namespace=f"n-{number % 3}"))
        await asyncio.sleep(0)
    await until(lambda: sum(running.results().values()) == 600)
    assert running.results() == {"unknown": 30, "limited": 570}
    assert len(running.api.asked) <= 30


async def test_one_namespace_does_not_use_up_what_is_there_for_all(running: Running, until: Until) -> None:
    for number in range(100):
        running.denials.take(denial(uid=f"forged-{number}", namespace="noisy"))
    running.send(denial())
    await until(lambda: running.api.events)


async def test_while_the_api_server_is_away_nothing_is_lost_for_good(running: Running, until: Until) -> None:
    running.api.away = True
    running.send(denial())
    await until(lambda: running.results() == {"failed": 1})
    running.api.away = False
    running.send(denial())
    await until(lambda: running.results() == {"failed": 1, "sent": 1})


async def test_what_is_no_denial_is_counted(running: Running, until: Until) -> None:
    running.send(b"{")
    running.send(b"[1]")
    running.send(denial())
    await until(lambda: running.results() == {"invalid": 2, "sent": 1})


def test_an_event_takes_what_is_hostile_as_data() -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    regarded = Regarded("apps/v1", "Deployment", "shop", "w" * 199 + ".x" * 20, "u")
    event = warning(regarded, "PolicyDenied", "a\nb\x1b[2J" + "ü" * 5000, "key", now, now)
    assert len(event["message"].encode()) <= 1024
    assert event["message"].startswith("a b [2J")
    assert len(event["metadata"]["name"]) <= 253
    assert ".." not in event["metadata"]["name"]


def test_an_allowance_fills_again() -> None:
    bucket = Allowance(2, 10.0, at=100.0)
    assert [bucket.take(100.0) for _ in range(3)] == [True, True, False]
    assert bucket.take(110.0)
    assert not bucket.take(110.0)
    assert [bucket.take(1000.0) for _ in range(3)] == [True, True, False]


class TestTopmost:
    async def test_it_climbs_as_high_as_it_may_read(self) -> None:
        shop = reference("Shop", "all", "u-9", "example.com/v1")
        api = Api({**WEB, f"{SHOP}/deployments/web": metadata("web", "u-0", shop)})
        kinds = {"resources": [{"name": "shops", "kind": "Shop", "namespaced": False}]}
        place = "/apis/example.com/v1/shops/all"
        for objects, highest in (
            ({}, "Deployment"),
            ({"/apis/example.com/v1": kinds, place: {"forbidden": True}}, "Deployment"),
            ({place: metadata("all", "another")}, "Deployment"),
            ({place: metadata("all", "u-9")}, "Shop"),
        ):
            api.objects |= objects
            found = await Topmost(api).above("shop", Reference("apps/v1", "ReplicaSet", "web-1", "u-1"))
            assert found is not None
            assert found.kind == highest
        assert found.namespace == ""

    async def test_owners_in_a_ring_end(self) -> None:
        ring = metadata("web", "u-0", reference("Deployment", "web", "u-0"))
        api = Api({f"{SHOP}/deployments/web": ring})
        assert await Topmost(api).above("shop", Reference("apps/v1", "Deployment", "web", "u-0"))
        assert len(api.asked) < 10

    @pytest.mark.parametrize(
        ("api_version", "kind"),
        [
            ("v1", "Secret"),
            ("v1", "ServiceAccount"),
            ("../../api/v1", "Secret"),
            ("example.com/v1/../../../v1", "Secret"),
            ("", ""),
        ],
    )
    async def test_what_is_no_workload_is_never_read(self, api_version: str, kind: str) -> None:
        api = Api({})
        assert await Topmost(api).above("shop", Reference(api_version, kind, "x", "u")) is None
        assert api.asked == []

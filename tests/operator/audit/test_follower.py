"""A follower lists in pages, keeps up by watching, and looks again only where it is told to."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any

import pytest

from webhook.operator.audit.follower import MOST_VISITS, Follower
from webhook.operator.audit.pace import FIRST_PAGE, MOST_PAGE, Pace, next_limit
from webhook.operator.client import Answer, ApiError, Resource

MAPS = Resource("", "v1", "configmaps", "ConfigMap", namespaced=True)
Until = Callable[..., Awaitable[None]]


def obj(name: str, version: int = 1) -> dict[str, Any]:
    return {
        "metadata": {"namespace": "shop", "name": name, "uid": f"u-{name}", "resourceVersion": str(version)}
    }


class Server:
    """An API server of one resource."""

    def __init__(self, *names: str) -> None:
        self.objects = {name: obj(name) for name in names}
        self.asked: list[str] = []
        self.answers: list[ApiError] = []
        self.watched: list[str] = []
        self.events: asyncio.Queue[dict[str, Any] | None] = asyncio.Queue()
        self.most = 2
        self.size = 0

    async def request(self, method: str, path: str, *, params: Any = None, most: int = 0, **_: Any) -> Answer:
        if self.answers:
            raise self.answers.pop(0)
        if path == MAPS.path:
            start = int(params.get("continue") or 0)
            self.asked.append(f"list {start}")
            assert "resourceVersion" not in params
            if most and self.size * int(params["limit"]) > most:
                raise ApiError(413, "TooLarge", "too large")
            names = sorted(self.objects)
            items = [dict(self.objects[name]) for name in names[start : start + self.most]]
            more = str(start + self.most) if start + self.most < len(names) else ""
            return Answer({"items": items, "metadata": {"resourceVersion": "7", "continue": more}}, size=100)
        name = path.rpartition("/")[2]
        self.asked.append(f"get {name}")
        if name not in self.objects:
            raise ApiError(404, "NotFound", "not found")
        return Answer(dict(self.objects[name]), size=100)

    @contextlib.asynccontextmanager
    async def watch(self, path: str, *, params: Mapping[str, str], idle: float) -> AsyncIterator[Any]:
        self.watched.append(params["resourceVersion"])

        async def events() -> AsyncIterator[dict[str, Any]]:
            while (event := await self.events.get()) is not None:
                yield event

        yield events()

    def tell(self, kind: str, name: str, version: int) -> None:
        self.events.put_nowait({"type": kind, "object": obj(name, version)})


class Sink:
    def __init__(self) -> None:
        self.seen: list[tuple[str, int]] = []
        self.lost: list[str] = []
        self.sweeps: list[int] = []

    def take(self, resource: Resource, obj: dict[str, Any], sweep: int) -> None:
        assert (obj["apiVersion"], obj["kind"]) == ("v1", "ConfigMap")
        self.seen.append((obj["metadata"]["name"], sweep))

    def gone(self, resource: Resource, obj: Mapping[str, Any]) -> None:
        self.lost.append(obj["metadata"]["name"])

    def listed(self, resource: Resource, sweep: int) -> None:
        self.sweeps.append(sweep)


@contextlib.asynccontextmanager
async def following(server: Server) -> AsyncIterator[tuple[Follower, Sink]]:
    sink = Sink()
    follower = Follower(server, MAPS, sink, asyncio.Semaphore(1), Pace())
    task = asyncio.create_task(follower.run())
    yield follower, sink
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_it_lists_once_in_pages_and_then_watches(until: Until) -> None:
    server = Server("a", "b", "c")
    async with following(server) as (follower, sink):
        await until(lambda: server.watched)
        assert server.asked == ["list 0", "list 2"]
        assert (sink.seen, sink.sweeps, follower.count) == ([("a", 1), ("b", 1), ("c", 1)], [1], 3)
        server.tell("ADDED", "d", 8)
        server.tell("DELETED", "a", 9)
        server.tell("BOOKMARK", "", 12)
        server.events.put_nowait(None)  # the API server ends the watch
        await until(lambda: len(server.watched) == 2)
        assert (server.watched, sink.lost, follower.count) == (["7", "12"], ["a"], 3)
        assert server.asked == ["list 0", "list 2"], "nothing is listed again"


async def test_it_lists_again_when_its_place_is_no_longer_known(until: Until) -> None:
    server = Server("a")
    async with following(server) as (_, sink):
        await until(lambda: server.watched)
        server.events.put_nowait({"type": "ERROR", "object": {"code": 410, "message": "too old"}})
        await until(lambda: sink.sweeps == [1, 2])


async def test_it_looks_at_single_objects_between_two_events(until: Until) -> None:
    server = Server("a", "b")
    async with following(server) as (follower, sink):
        await until(lambda: server.watched)
        follower.visit("shop", "b")
        follower.visit("shop", "b")
        follower.visit("shop", "never")
        await until(lambda: "get never" in server.asked)
        assert server.asked == ["list 0", "get b", "get never"]
        assert sink.seen[-1] == ("b", 1)
        assert len(server.watched) == 1, "the same watch goes on"


async def test_many_objects_are_listed_and_not_asked_for_one_by_one(until: Until) -> None:
    server = Server("a")
    async with following(server) as (follower, sink):
        await until(lambda: server.watched)
        for number in range(MOST_VISITS + 1):
            follower.visit("shop", f"n{number}")
        await until(lambda: sink.sweeps == [1, 2])
        assert not [each for each in server.asked if each.startswith("get")]


@pytest.mark.parametrize("status", [403, 404, 405])
async def test_what_may_not_be_read_is_said_and_not_asked_for_all_the_time(until: Until, status: int) -> None:
    server = Server("a")
    server.answers = [ApiError(status, "", "no")]
    async with following(server) as (follower, sink):
        await until(lambda: follower.error)
        await asyncio.sleep(0.5)
        assert (follower.error, follower.status, sink.seen, server.asked) == ("no", status, [], [])


async def test_an_api_server_that_is_away_is_asked_again(until: Until) -> None:
    server = Server("a")
    server.answers = [ApiError(0, "", "no answer"), ApiError(503, "", "busy")]
    async with following(server) as (follower, sink):
        await until(lambda: sink.sweeps)
        assert follower.error == ""


async def test_pages_of_large_objects_are_asked_for_again_with_fewer(until: Until) -> None:
    server = Server("a", "b", "c")
    server.size = 3 * 2**20
    async with following(server) as (_, sink):
        await until(lambda: sink.sweeps)
        assert [name for name, _ in sink.seen] == ["a", "b", "c"]
        assert server.asked[:3] == ["list 0"] * 3, "by fifty, by six, one by one"


async def test_one_object_that_can_not_be_taken_in_ends_nothing(until: Until) -> None:
    server = Server("a", "b")
    async with following(server) as (_, sink):
        await until(lambda: server.watched)
        server.events.put_nowait({"type": "ADDED", "object": {"metadata": {}}})
        await until(lambda: sink.sweeps == [1, 2])


@pytest.mark.parametrize(
    ("limit", "count", "size", "expected"),
    [
        (FIRST_PAGE, FIRST_PAGE, 100_000, 2 * FIRST_PAGE),
        (MOST_PAGE, MOST_PAGE, 1_000_000, MOST_PAGE),
        (100, 100, 100 * 2**20, 4),
        (100, 1, 900 * 2**20, 1),
        (100, 0, 50, 100),
    ],
    ids=["small: twice as many", "never more", "large: fewer", "huge: one at a time", "none"],
)
def test_a_page_is_as_large_as_its_objects_allow(limit: int, count: int, size: int, expected: int) -> None:
    assert next_limit(limit, count, size) == expected

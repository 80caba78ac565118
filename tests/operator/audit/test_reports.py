"""The cluster's reports are kept as they must be, whatever happens to them meanwhile."""

from __future__ import annotations

import asyncio
import contextlib
import copy
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from typing import Any

import pytest

from webhook.adapters.findings import Finding, Result
from webhook.core.model import ObjectRef, PolicyRef
from webhook.operator.audit.reports import Reports
from webhook.operator.audit.wanted import DIGEST, Key, Source, Wanted, digest_of, wanted
from webhook.operator.client import Answer, ApiError, Resource

MAPS = Resource("", "v1", "configmaps", "ConfigMap", namespaced=True)
SOURCE = Source(MAPS, "shop", "a")
GROUP = "/apis/openreports.io/v1alpha1"
Until = Callable[..., Awaitable[None]]


def made(message: str, form: str = "") -> Wanted:
    target = ObjectRef("", "v1", "ConfigMap", "shop", "a")
    finding = Finding(target, "u-a", Result.ERROR, PolicyRef("ClusterPolicy", "", "one"), message, "0" * 32)
    return wanted([finding], "openreports", {}, form)


KEY = Key("shop", "tidewaiter-u-a")


class Server:
    """An API server that has the kinds of reports, and holds an answer back where it is told to."""

    def __init__(self) -> None:
        self.reports: dict[str, dict[str, Any]] = {}
        self.asked: list[str] = []
        self.held: dict[str, asyncio.Event] = {}
        self.refuses = 0
        self.prunes = ""

    async def request(self, method: str, path: str, *, body: Any = None, **_: Any) -> Answer:
        if path == GROUP:
            names = {"reports": "Report", "clusterreports": "ClusterReport"}
            entries = [
                {"name": name, "kind": kind, "namespaced": kind == "Report"} for name, kind in names.items()
            ]
            return Answer({"resources": entries}, size=1)
        if method == "GET":
            found = list(self.reports.values()) if path.endswith("/reports") else []
            return Answer({"items": copy.deepcopy(found)}, size=1)
        self.asked.append(method)
        if method in self.held:
            await self.held[method].wait()
        if self.refuses:
            raise ApiError(self.refuses, "", "refused")
        name = path.rpartition("/")[2]
        if method == "DELETE":
            if name not in self.reports:
                raise ApiError(404, "NotFound", "not found")
            return Answer(self.reports.pop(name), size=1)
        stored = copy.deepcopy(dict(body))
        stored["metadata"] |= {"uid": "of the report", "resourceVersion": "1"}
        stored.pop(self.prunes, None)
        self.reports[name] = stored
        return Answer(stored, size=1)

    @property
    def said(self) -> list[str]:
        results = [each for report in self.reports.values() for each in report["results"]]
        return [each["message"] for each in results if isinstance(each, dict)]

    def is_right(self) -> bool:
        return KEY.name in self.reports and digest_of(self.reports[KEY.name]) == made("wrong").digest


class Judging:
    """What would find out again what reports must say."""

    def __init__(self) -> None:
        self.looked: list[Key] = []
        self.everything = 0

    def look_again(self, source: Source) -> None:
        raise AssertionError("everything fits")

    def look_again_at(self, keys: Iterable[Key]) -> None:
        self.looked += keys

    def all_again(self) -> None:
        self.everything += 1


@contextlib.asynccontextmanager
async def keeping(server: Server, judging: Judging, check: float = 600.0) -> AsyncIterator[Reports]:
    client: Any = server
    reports = Reports(client, "openreports", judging, check)
    await reports.find()
    task = asyncio.create_task(reports.run())
    try:
        yield reports
        assert not task.done()
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_what_was_mended_while_its_report_is_written_has_none(until: Until) -> None:
    server = Server()
    async with keeping(server, Judging()) as reports:
        server.held["PATCH"] = asyncio.Event()
        reports.want(SOURCE, [KEY], made("wrong"))
        await until(lambda: server.asked == ["PATCH"])
        reports.remove([KEY])
        server.held["PATCH"].set()
        await until(lambda: server.asked == ["PATCH", "DELETE"] and not server.reports)


async def test_what_is_wrong_again_while_its_report_is_removed_has_one(until: Until) -> None:
    server = Server()
    async with keeping(server, Judging()) as reports:
        reports.want(SOURCE, [KEY], made("wrong"))
        await until(lambda: server.said == ["wrong"])
        server.held["DELETE"] = asyncio.Event()
        reports.remove([KEY])
        await until(lambda: "DELETE" in server.asked)
        reports.want(SOURCE, [KEY], made("wrong"))
        server.held["DELETE"].set()
        await until(lambda: server.asked == ["PATCH", "DELETE", "PATCH"] and server.said == ["wrong"])


def edited(report: dict[str, Any]) -> None:
    report["results"][0]["result"] = "pass"


def emptied(report: dict[str, Any]) -> None:
    report["results"] = []


def disowned(report: dict[str, Any]) -> None:
    del report["metadata"]["ownerReferences"]


def nonsense(report: dict[str, Any]) -> None:
    report["results"], report["summary"] = ["none"], None


EDITS = pytest.mark.parametrize("edit", [edited, emptied, disowned, nonsense])


@EDITS
async def test_what_somebody_edits_is_judged_again_and_written_again(
    edit: Callable[[dict[str, Any]], None], until: Until
) -> None:
    server, judging = Server(), Judging()
    async with keeping(server, judging, 0.1) as reports:
        reports.want(SOURCE, [KEY], made("wrong"))
        await until(lambda: server.said == ["wrong"])
        edit(server.reports[KEY.name])
        await until(lambda: KEY in judging.looked)
        reports.want(SOURCE, [KEY], made("wrong"))
        await until(server.is_right)


@EDITS
async def test_the_next_leader_sees_an_edit_whatever_the_annotation_says(
    edit: Callable[[dict[str, Any]], None], until: Until
) -> None:
    server = Server()
    async with keeping(server, Judging()) as reports:
        reports.want(SOURCE, [KEY], made("wrong"))
        await until(lambda: server.said == ["wrong"])
    annotations: Mapping[str, str] = server.reports[KEY.name]["metadata"]["annotations"]
    assert annotations == {DIGEST: made("wrong").digest.hex()}
    async with keeping(server, Judging()) as reports:
        assert reports.says(KEY, made("wrong").digest)
    edit(server.reports[KEY.name])
    async with keeping(server, Judging()) as reports:
        assert not reports.says(KEY, made("wrong").digest)
        reports.want(SOURCE, [KEY], made("wrong"))
        await until(server.is_right)


async def test_a_report_that_somebody_removed_or_made_is_seen(until: Until) -> None:
    server, judging = Server(), Judging()
    async with keeping(server, judging, 0.1) as reports:
        reports.want(SOURCE, [KEY], made("wrong"))
        await until(lambda: server.said == ["wrong"])
        foreign = copy.deepcopy(server.reports.pop(KEY.name))
        await until(lambda: KEY in judging.looked)
        reports.want(SOURCE, [KEY], made("wrong"))
        await until(lambda: server.said == ["wrong"])
        foreign["metadata"]["name"] = "tidewaiter-nobody"
        server.reports["tidewaiter-nobody"] = foreign
        await until(lambda: Key("shop", "tidewaiter-nobody") in judging.looked)
        reports.settle()
        await until(lambda: list(server.reports) == [KEY.name])
    assert not judging.everything, "one report is no reason to judge everything"


async def test_an_api_server_that_leaves_out_a_field_is_not_written_to_again_and_again(until: Until) -> None:
    server, judging = Server(), Judging()
    server.prunes = "source"
    async with keeping(server, judging, 0.02) as reports:
        reports.want(SOURCE, [KEY], made("wrong"))
        await until(lambda: server.said == ["wrong"])
        await asyncio.sleep(0.2)
        assert not judging.looked
        assert reports.says(KEY, made("wrong").digest)


async def test_what_was_refused_is_tried_again_when_it_is_looked_at(until: Until) -> None:
    server, judging = Server(), Judging()
    server.refuses = 422
    async with keeping(server, judging, 0.1) as reports:
        reports.want(SOURCE, [KEY], made("wrong"))
        await until(lambda: reports.results["failed"] == 1 and KEY in judging.looked)
        assert "refused" in reports.problem
        server.refuses = 0
        reports.want(SOURCE, [KEY], made("wrong"))
        await until(lambda: server.said == ["wrong"] and not reports.problem)


def test_reports_of_two_versions_have_names_of_their_own() -> None:
    assert made("wrong").bodies != made("wrong", "v2").bodies
    assert b'"tidewaiter-u-a-v2"' in made("wrong", "v2").bodies[0]

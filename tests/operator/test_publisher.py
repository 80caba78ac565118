"""The snapshot's folder: whole files only, one at a time, and soon."""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from webhook.adapters import snapshots
from webhook.operator.acknowledgements import LIVE_SECONDS, Acknowledgements, read
from webhook.operator.publisher import LOOK, Content, Publisher


class Source:
    """What is to be published."""

    def __init__(self) -> None:
        self.text: str | None = None
        self.error: Exception | None = None
        self.asked = 0

    async def render(self) -> Content | None:
        self.asked += 1
        if self.error:
            raise self.error
        if self.text is None:
            return None
        name = f"snapshot-{self.text}.json"
        return Content(self.text.encode(), self.text, name, {("ClusterPolicy", "", "one"): len(self.text)})


@asynccontextmanager
async def publishing(folder: Path, source: Source) -> AsyncIterator[tuple[Publisher, list[float]]]:
    times: list[float] = []
    publisher = Publisher(folder, source.render, lambda: times.append(time.monotonic()))
    task = asyncio.create_task(publisher.run())
    try:
        yield publisher, times
    finally:
        task.cancel()
        await asyncio.wait({task})


async def _wait(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.01)


async def test_the_link_names_the_newest_and_the_one_before_stays(tmp_path: Path) -> None:
    source = Source()
    async with publishing(tmp_path, source) as (publisher, _):
        for text in ("a", "bb", "ccc"):
            source.text = text
            publisher.change()
            await _wait(lambda text=text: publisher.revision == text)
            assert (tmp_path / "current").readlink() == Path(f"snapshot-{text}.json")
            assert (tmp_path / "current").read_text() == text
        names = sorted(os.listdir(tmp_path))  # noqa: PTH208 - pathlib's blocks as well
        assert names == ["acks", "current", "snapshot-bb.json", "snapshot-ccc.json"]
        assert publisher.generation("bb", ("ClusterPolicy", "", "one")) == 2
        assert publisher.generation("ccc", ("ClusterPolicy", "", "other")) == 0
        assert publisher.generation("unknown", ("ClusterPolicy", "", "one")) == 0


async def test_many_changes_make_few_revisions_and_none_waits_long(tmp_path: Path) -> None:
    source = Source()
    async with publishing(tmp_path, source) as (publisher, times):
        started = time.monotonic()
        for number in range(40):
            source.text = f"text-{number}"
            publisher.change()
            await asyncio.sleep(0.02)
        await _wait(lambda: publisher.revision == "text-39")
        assert len(times) <= 4
        assert times[0] - started < 2


async def test_what_must_not_wait_does_not(tmp_path: Path) -> None:
    source = Source()
    async with publishing(tmp_path, source) as (publisher, _):
        source.text = "a"
        publisher.change(at_once=True)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert publisher.revision == "a"


async def test_nothing_is_published_before_everything_is_known(tmp_path: Path) -> None:
    source = Source()
    async with publishing(tmp_path, source) as (publisher, times):
        publisher.change()
        await _wait(lambda: source.asked)
        assert not times
        assert not (tmp_path / "current").exists()


async def test_the_same_content_is_no_new_revision(tmp_path: Path) -> None:
    source = Source()
    async with publishing(tmp_path, source) as (publisher, times):
        source.text = "a"
        publisher.change()
        await _wait(lambda: publisher.revision)
        publisher.change()
        await _wait(lambda: source.asked == 2)
        assert len(times) == 1


async def test_a_clock_that_moves_is_another_file_of_the_same_revision(tmp_path: Path) -> None:
    skews = [0.0, 10.0, -5.0]

    async def render() -> Content:
        data = snapshots.dump([], snapshots.Context(clock_skew=skews[0]))
        return Content(data, snapshots.digest(data), snapshots.file_name(data))

    publisher = Publisher(tmp_path, render, lambda: None)
    task = asyncio.create_task(publisher.run())
    try:
        revisions = set()
        for end in ("", "@+10s", "@-5s"):
            publisher.change()
            await _wait(lambda: publisher.revision)
            await _wait(
                lambda end=end: (
                    (tmp_path / "current").readlink().stem == f"snapshot-{publisher.revision}{end}"
                )
            )
            revisions.add(publisher.revision)
            skews[:-1] = skews[1:]
        assert len(revisions) == 1
    finally:
        task.cancel()
        await asyncio.wait({task})


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("damage", ["garbage", "cut short", "deleted", "no link", "an older one"])
async def test_what_is_damaged_on_disk_is_published_again(tmp_path: Path, damage: str) -> None:
    folder = tmp_path / "snapshot"
    source = Source()
    async with publishing(folder, source) as (publisher, times):
        for text in ("older", "newest"):
            source.text = text
            publisher.change()
            await _wait(lambda text=text: publisher.revision == text)
        link, file = folder / "current", folder / "snapshot-newest.json"
        match damage:
            case "garbage":
                file.write_bytes(b"\x00garbage")
            case "cut short":
                os.truncate(file, 3)
            case "deleted":
                file.unlink()
            case "no link":
                link.unlink()
            case "an older one":
                link.unlink()
                link.symlink_to("snapshot-older.json")
        await _wait(lambda: len(times) == 3)
        assert link.read_text() == "newest"
        assert publisher.revision == "newest"
        await asyncio.sleep(2 * LOOK)
        assert len(times) == 3, "what is whole is left alone"


async def test_an_error_keeps_the_last_good_one_and_is_tried_again(tmp_path: Path) -> None:
    source = Source()
    async with publishing(tmp_path, source) as (publisher, _):
        source.text = "a"
        publisher.change()
        await _wait(lambda: publisher.revision)
        source.error = OSError("no space left")
        publisher.change()
        await _wait(lambda: publisher.failing)
        assert publisher.failing == "no space left"
        assert (tmp_path / "current").read_text() == "a"
        source.error, source.text = None, "bb"
        await _wait(lambda: publisher.revision == "bb")
        assert not publisher.failing


def _acknowledge(folder: Path, pid: int, revision: str, age: float = 0.0) -> Path:
    path = folder / "acks" / f"{pid}.json"
    path.parent.mkdir(exist_ok=True)
    moment = time.time() - age
    path.write_text(json.dumps({"pid": pid, "revision": revision, "time": moment, "failures": []}))
    os.utime(path, (moment, moment))
    return path


def test_only_workers_that_spoke_lately_count(tmp_path: Path) -> None:
    changes: list[int] = []
    known = Acknowledgements(tmp_path, lambda: changes.append(1))
    known.look()
    assert (known.live, known.ever, changes) == ((), False, [])
    _acknowledge(tmp_path, 1, "a")
    _acknowledge(tmp_path, 2, "b")
    old = _acknowledge(tmp_path, 3, "c", LIVE_SECONDS + 1)
    ancient = _acknowledge(tmp_path, 4, "d", 7200)
    known.look()
    assert known.revisions == {"a", "b"}
    assert old.exists()
    assert not ancient.exists()
    known.look()
    assert changes == [1]
    (tmp_path / "acks/1.json").unlink()
    known.look()
    assert known.revisions == {"b"}
    assert known.ever


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"pid": 1}', '{"pid": 1, "revision": 7, "time": 1}', "null"]
)
def test_what_is_no_acknowledgement_says_nothing(tmp_path: Path, text: str) -> None:
    path = tmp_path / "1.json"
    path.write_text(text)
    assert read(path) is None
    assert read(tmp_path / "none.json") is None

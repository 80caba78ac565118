"""A worker's decision log: what gets in, what a full disk or a flood does to it, and how it ends."""

from __future__ import annotations

import asyncio
import json
import os
import threading
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.core.builders import acceptance, pod, request, review, snapshot
from tests.server.builders import Start, make_policy, make_review, make_snapshot
from webhook.adapters.evidence import Author, Chain
from webhook.adapters.evidence_keys import new_key
from webhook.adapters.evidence_lines import records
from webhook.adapters.evidence_verify import Report, verify
from webhook.core.model import Action
from webhook.core.review import AdmissionRequest
from webhook.core.verdict import Verdict
from webhook.server import evidence
from webhook.server.current import Current
from webhook.server.evidence import Recorder
from webhook.server.evidence_sinks import Files, Nowhere, Sink, Stream
from webhook.server.metrics import Metrics

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
KEY = new_key()
AUTHOR = Author("web-1", "00ff", 1, 0, NOW)
POD = AdmissionRequest.parse(make_review("bad"))
DENIED = Verdict(allowed=False)


class Paper:
    """A sink in memory that can be full."""

    def __init__(self) -> None:
        self.data = b""
        self.synced = 0
        self.full = False
        self.rest = b""

    def write(self, data: bytes) -> None:
        self.rest += data
        if self.full:
            half = len(self.rest) // 2
            self.data, self.rest = self.data + self.rest[:half], self.rest[half:]
            raise OSError(28, "No space left on device")
        self.data, self.rest = self.data + self.rest, b""

    def sync(self) -> None:
        self.synced = len(self.data)

    def close(self) -> None:
        pass

    @property
    def records(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.data.splitlines()]

    @property
    def types(self) -> list[str]:
        return [record["type"] for record in self.records]


class Clock:
    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now


def look(data: bytes, **options: Any) -> Report:
    return verify(records("log", data.splitlines(keepends=True)), [KEY.public_key()], **options)


Make = Callable[..., Recorder]


@pytest.fixture
async def make() -> AsyncIterator[Make]:
    """Return a function that makes a recorder."""
    made = []

    def recorder(sink: Sink, current: Current | None = None, **parts: Any) -> Recorder:
        made.append(
            Recorder(Chain(AUTHOR, KEY), sink, current or Current(make_snapshot()), Metrics(), **parts)
        )
        return made[-1]

    yield recorder
    for each in made:
        await each.close()


async def test_a_chain_begins_goes_on_and_ends(make: Make) -> None:
    paper, clock = Paper(), Clock()
    recorder = make(paper, clock=clock)
    await recorder.turn()
    assert paper.types == ["start"]
    recorder.decision(POD, DENIED)
    assert paper.types == ["start"], "a request writes nothing itself"
    await recorder.turn()
    clock.now += timedelta(seconds=59)
    await recorder.turn()
    assert paper.types == ["start", "decision"]
    clock.now += timedelta(seconds=1)
    await recorder.turn()
    assert paper.types == ["start", "decision", "checkpoint"]
    assert paper.synced == len(paper.data)
    recorder.decision(POD, DENIED)
    await recorder.close()
    assert paper.types == ["start", "decision", "checkpoint", "decision", "end"]
    report = look(paper.data, complete=True)
    assert not report.findings
    assert report.chains[0].unsigned == 0


async def test_a_clock_that_is_put_back_stops_no_checkpoint(make: Make) -> None:
    paper, clock = Paper(), Clock()
    recorder = make(paper, clock=clock)
    for minutes in (0, -60, -60, -59):
        clock.now = NOW + timedelta(minutes=minutes)
        await recorder.turn()
    assert paper.types == ["start", "checkpoint", "checkpoint"]


async def test_marks_say_which_policies_judge(make: Make) -> None:
    paper, clock, current = Paper(), Clock(), Current()
    recorder = make(paper, current, clock=clock)
    await recorder.turn()
    current.swap(make_snapshot(revision="two", cluster="prod"))
    clock.now += timedelta(minutes=1)
    await recorder.turn()
    assert [(mark["revision"], mark.get("cluster")) for mark in paper.records] == [
        ("", None),
        ("two", "prod"),
    ]


async def test_a_dry_run_writes_nothing_to_be_told_of(make: Make) -> None:
    paper = Paper()
    recorder = make(paper)
    recorder.write(request(acceptance(), dryRun=True))
    recorder.write(request(acceptance()))
    await recorder.turn()
    assert paper.types == ["start", "write"]


async def test_what_finds_no_room_is_counted_in_the_chain(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(evidence, "MOST_NOTES", 3)
    paper = Paper()
    recorder = make(paper)
    for _ in range(8):
        recorder.decision(POD, DENIED)
    await recorder.turn()
    assert paper.types == ["start", "decision", "decision", "decision", "loss"]
    assert paper.records[-1]["records"] == 5
    recorder.decision(POD, DENIED)
    await recorder.turn()
    assert paper.types[-1] == "decision"
    (finding,) = look(paper.data).findings
    assert finding.message == "the writer recorded that it lost 5 records: not written"


async def test_notes_are_bounded_by_bytes_too(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evidence, "MOST_BYTES", 300_000)
    paper = Paper()
    recorder = make(paper)
    for _ in range(5):
        recorder.write(request(acceptance(justification="x" * 100_000)))
    await recorder.turn()
    assert paper.types == ["start", "write", "write", "loss"]


async def test_a_full_disk_tears_no_line_and_loses_only_what_finds_no_room(
    make: Make, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(evidence, "MOST_NOTES", 3)
    paper = Paper()
    recorder = make(paper)
    await recorder.turn()
    paper.full = True
    recorder.decision(POD, DENIED)
    await recorder.turn()
    for _ in range(5):
        recorder.decision(POD, DENIED)
        await recorder.turn()
    assert [record.message for record in caplog.records] == ["evidence_not_written"], "said once"
    paper.full = False
    await recorder.turn()
    assert paper.types == ["start", *["decision"] * 4, "loss"]
    assert paper.records[-1]["records"] == 2
    await recorder.close()
    assert [finding.message[:27] for finding in look(paper.data, complete=True).findings] == [
        "the writer recorded that it"
    ]


async def test_a_request_that_cannot_be_told_of_is_still_answered(
    make: Make, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fails(*_: Any) -> Any:
        raise RuntimeError("secret")

    monkeypatch.setattr(evidence.evidence_facts, "decision", fails)
    paper = Paper()
    recorder = make(paper)
    recorder.decision(POD, DENIED)
    await recorder.turn()
    assert paper.types == ["start", "loss"]
    assert "secret" not in caplog.text


async def test_a_reader_that_hangs_holds_up_nobody(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evidence, "_CLOSE_SECONDS", 0.1)
    goes_on = threading.Event()

    class Hangs(Paper):
        def write(self, data: bytes) -> None:
            goes_on.wait(30)
            super().write(data)

    paper = Hangs()
    recorder = make(paper)
    first = asyncio.create_task(recorder.turn())
    await asyncio.sleep(0)
    for _ in range(3):
        recorder.decision(POD, DENIED)
        await asyncio.wait_for(recorder.turn(), 10)
    await asyncio.wait_for(recorder.close(), 10)
    assert not first.done()
    goes_on.set()
    await first


class Told:
    """A recorder that only remembers."""

    def __init__(self) -> None:
        self.decisions: list[str] = []
        self.writes: list[str] = []

    def decision(self, asked: AdmissionRequest, verdict: Verdict) -> None:
        self.decisions.append(asked.name)

    def write(self, asked: AdmissionRequest) -> None:
        self.writes.append(f"{asked.operation} {asked.kind[2]} {asked.name}")


async def test_only_denials_and_used_acceptances_are_decisions(start: Start) -> None:
    told = Told()
    warns = make_policy("warns", lambda activation: False, actions=(Action.WARN,))
    plane = await start(make_snapshot(make_policy(), warns), recorder=told)
    for name in ("good", "bad", "also-good"):
        await plane.verdict(make_review(name))
    assert told.decisions == ["bad"]
    assert told.writes == []


@pytest.mark.parametrize(
    ("path", "kind", "operation", "told"),
    [
        ("/guard", "RiskAcceptance", "CREATE", True),
        ("/guard", "RiskAcceptance", "UPDATE", True),
        ("/guard/deleted", "RiskAcceptance", "DELETE", True),
        ("/guard/recorded", "ClusterPolicy", "CREATE", True),
        ("/guard/recorded", "Policy", "UPDATE", True),
        ("/guard/recorded", "Policy", "DELETE", True),
        ("/guard/recorded", "Pod", "CREATE", False),
    ],
)
async def test_writes_that_pass_are_told(
    start: Start, path: str, kind: str, operation: str, told: bool
) -> None:
    recorder = Told()
    plane = await start(snapshot(), recorder=recorder)
    obj = acceptance() | {"kind": kind} if kind != "Pod" else pod()
    other = obj | {"spec": obj["spec"] | {"title": "Other"}}
    new = None if operation == "DELETE" else obj
    old = None if operation == "CREATE" else other
    answer = await plane.verdict(review(new, old, user="john@example.com"), path)
    assert answer["allowed"] is True
    name = obj["metadata"]["name"]
    assert recorder.writes == ([f"{operation} {kind} {name}"] if told else [])
    assert recorder.decisions == []


async def test_a_denied_write_is_a_decision_and_no_write(start: Start) -> None:
    recorder = Told()
    plane = await start(snapshot(), recorder=recorder)
    answer = await plane.verdict(review(acceptance(), user="eve@example.com"), "/guard")
    assert answer["allowed"] is False
    assert (recorder.decisions, recorder.writes) == (["legacy"], [])


def test_files_follow_each_other_and_none_is_written_over(tmp_path: Path) -> None:
    folder = tmp_path / "evidence"
    sink = Files(folder, "web-1_00ff_1", largest=100)
    lines = [f"{number:02}".encode() * 20 + b"\n" for number in range(6)]
    for line in lines:
        sink.write(line)
    sink.sync()
    sink.close()
    files = sorted(folder.iterdir())
    assert [file.name for file in files] == [f"web-1_00ff_1.{number:04}.jsonl" for number in (1, 2, 3)]
    assert b"".join(file.read_bytes() for file in files) == b"".join(lines)
    assert files[0].stat().st_mode & 0o777 & ~0o640 == 0
    with pytest.raises(FileExistsError):
        Files(folder, "web-1_00ff_1").write(b"x\n")
    assert files[0].read_bytes() == lines[0] + lines[1]


def test_a_folder_that_is_away_loses_nothing_once_it_is_back(tmp_path: Path) -> None:
    blocked = tmp_path / "evidence"
    blocked.write_text("")
    sink = Files(blocked, "log")
    for line in (b"one\n", b"two\n"):
        with pytest.raises(OSError):
            sink.write(line)
    blocked.unlink()
    sink.write(b"three\n")
    sink.close()
    assert (blocked / "log.0001.jsonl").read_bytes() == b"one\ntwo\nthree\n"


def test_workers_lines_stay_whole_on_one_stream(tmp_path: Path) -> None:
    read, write = os.pipe()
    data = bytearray()
    reader = threading.Thread(
        target=lambda: [data.extend(part) for part in iter(lambda: os.read(read, 4096), b"")]
    )
    reader.start()
    # More than a pipe takes at once, so that a write comes in parts.
    streams = [Stream(write, tmp_path / "lock") for _ in range(3)]
    writers = [
        threading.Thread(
            target=lambda stream=stream, mark=mark: [stream.write(mark * 100_000 + b"\n") for _ in range(5)]
        )
        for stream, mark in zip(streams, (b"a", b"b", b"c"), strict=True)
    ]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    os.close(write)
    reader.join()
    os.close(read)
    for stream in streams:
        stream.close()
    lines = bytes(data).splitlines()
    assert sorted({len(line) for line in lines}) == [100_000]
    assert len(lines) == 15
    assert all(len(set(line)) == 1 for line in lines)


def test_a_line_that_a_killed_worker_tore_spoils_no_other(tmp_path: Path) -> None:
    read, write = os.pipe()
    lock = tmp_path / "lock"
    killed = Stream(write, lock)
    killed.write(b"whole\n")
    os.pwrite(os.open(lock, os.O_RDWR), b"1", 0)  # as a worker leaves it that was killed in a write
    os.write(write, b"tor")
    Stream(write, lock).write(b"next\n")
    killed.write(b"another\n")
    os.close(write)
    assert os.read(read, 4096).splitlines() == [b"whole", b"tor", b"next", b"another"]
    os.close(read)


def test_a_stream_that_fails_in_a_line_writes_the_whole_line_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = bytearray()
    left = [5, 4, 0, 100, 100, 100]

    def write(file: int, data: bytes) -> int:
        count = left.pop(0)
        if not count:
            raise OSError(11, "Resource temporarily unavailable")
        written.extend(data[:count])
        return min(count, len(data))

    monkeypatch.setattr("webhook.server.evidence_sinks.os.write", write)
    stream = Stream(1, tmp_path / "lock")
    with pytest.raises(OSError):
        stream.write(b"one\ntwo\nthree\n")
    stream.write(b"four\n")
    stream.close()
    assert bytes(written) == b"one\ntwo\nt\nthree\nfour\n"


def test_a_log_that_is_only_exported_is_written_nowhere() -> None:
    sink = Nowhere()
    sink.write(b"x\n")
    sink.sync()
    sink.close()

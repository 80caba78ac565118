"""The export to an OpenTelemetry collector: what arrives, what is sent again, and how a loss is told of."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest
from aiohttp import web

from tests.server.builders import make_review, make_snapshot
from webhook.adapters.evidence import Author, Chain
from webhook.adapters.evidence_keys import new_key
from webhook.adapters.evidence_lines import records
from webhook.adapters.evidence_verify import Report, verify
from webhook.core.errors import InputError
from webhook.core.review import AdmissionRequest
from webhook.core.verdict import Verdict
from webhook.server import evidence_export
from webhook.server.current import Current
from webhook.server.evidence import Recorder
from webhook.server.evidence_export import Collector, Exporter, headers, logs_url
from webhook.server.evidence_sinks import Nowhere
from webhook.server.metrics import Metrics

KEY = new_key()
AUTHOR = Author("web-1", "00ff", 1, 0, datetime(2026, 11, 24, tzinfo=UTC))
POD = AdmissionRequest.parse(make_review("bad"))
PATIENCE = 30.0


class Receiver:
    """An OpenTelemetry collector that answers what it is told to."""

    def __init__(self) -> None:
        self.answers: list[Any] = []
        self.requests: list[dict[str, Any]] = []
        self.headers: list[Any] = []
        self.lines: list[bytes] = []
        self.open = asyncio.Event()
        self.open.set()

    async def receive(self, http: web.Request) -> web.Response:
        await self.open.wait()
        self.headers.append(http.headers)
        body = await http.json()
        self.requests.append(body)
        answer = self.answers.pop(0) if self.answers else {}
        if isinstance(answer, int):
            return web.Response(status=answer, headers={"Retry-After": "0"})
        for log in self.logs(body):
            self.lines.append(log["body"]["stringValue"].encode())
        return web.json_response(answer)

    @staticmethod
    def logs(body: dict[str, Any]) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = body["resourceLogs"][0]["scopeLogs"][0]["logRecords"]
        return found

    def look(self, **options: bool) -> Report:
        return verify(records("otlp", self.lines), [KEY.public_key()], **options)

    async def has(self, count: int) -> None:
        end = time.monotonic() + PATIENCE
        while len(self.lines) < count:
            assert time.monotonic() < end, f"{len(self.lines)} of {count} lines arrived"
            await asyncio.sleep(0.01)


@pytest.fixture
async def receiver(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Receiver]:
    monkeypatch.setattr(evidence_export, "_FIRST_DELAY", 0.01)
    receiver = Receiver()
    app = web.Application(client_max_size=8 * 1024 * 1024)
    app.router.add_post("/v1/logs", receiver.receive)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    receiver.url = f"http://127.0.0.1:{runner.addresses[0][1]}"  # type: ignore[attr-defined]
    yield receiver
    receiver.open.set()
    await runner.cleanup()


@pytest.fixture
async def recorder(receiver: Receiver) -> AsyncIterator[Recorder]:
    metrics = Metrics()
    variables = {"OTEL_EXPORTER_OTLP_HEADERS": "authorization=Bearer%20abc, x-team = security"}
    collector = Collector.of(receiver.url, variables)  # type: ignore[attr-defined]
    made = Recorder(
        Chain(AUTHOR, KEY), Nowhere(), Current(make_snapshot()), metrics, Exporter(collector, AUTHOR, metrics)
    )
    yield made
    await made.close()


async def denied(recorder: Recorder, count: int) -> None:
    for _ in range(count):
        recorder.decision(POD, Verdict(allowed=False))
    await recorder.turn()


async def lost(recorder: Recorder) -> None:
    """Wait until the exporter knows that it lost something."""
    exporter = recorder._exporter
    assert exporter is not None
    end = time.monotonic() + PATIENCE
    while not exporter._lost:
        assert time.monotonic() < end
        await asyncio.sleep(0.01)


async def test_the_lines_arrive_unchanged_in_order(recorder: Recorder, receiver: Receiver) -> None:
    await denied(recorder, 1200)
    await recorder.close()
    assert not receiver.look(complete=True).findings
    assert len(receiver.lines) == 1202
    assert [len(Receiver.logs(body)) for body in receiver.requests[:2]] == [512, 512]
    assert receiver.headers[0]["Authorization"] == "Bearer abc"
    assert receiver.headers[0]["X-Team"] == "security"
    assert receiver.headers[0]["Content-Type"] == "application/json"


async def test_a_log_record_is_as_otlp_has_it(recorder: Recorder, receiver: Receiver) -> None:
    await denied(recorder, 1)
    await receiver.has(2)
    (resource,) = receiver.requests[0]["resourceLogs"]
    attributes = {each["key"]: each["value"]["stringValue"] for each in resource["resource"]["attributes"]}
    assert attributes["service.name"] == "tidewaiter"
    assert attributes["service.instance.id"] == AUTHOR.chain
    log = Receiver.logs(receiver.requests[0])[1]
    line = json.loads(log["body"]["stringValue"])
    told = datetime.fromisoformat(line["time"]).timestamp()
    assert abs(int(log["timeUnixNano"]) / 1e9 - told) < 0.001
    assert log["eventName"] == "tidewaiter.evidence.decision"
    assert log["attributes"] == [
        {"key": "tidewaiter.evidence.sequence", "value": {"intValue": str(line["sequence"])}}
    ]


@pytest.mark.parametrize("status", [429, 502, 503, 504])
async def test_what_may_work_later_is_sent_again(recorder: Recorder, receiver: Receiver, status: int) -> None:
    receiver.answers = [status, status]
    await denied(recorder, 3)
    await receiver.has(4)
    assert len(receiver.requests) == 3
    await recorder.close()
    assert not receiver.look(complete=True).findings


async def test_what_the_collector_refuses_is_told_of_in_the_chain(
    recorder: Recorder, receiver: Receiver
) -> None:
    await denied(recorder, 1)
    await receiver.has(2)
    receiver.answers = [400]
    await denied(recorder, 3)
    await lost(recorder)
    await denied(recorder, 1)
    await receiver.has(4)
    await recorder.close()
    (finding,) = receiver.look(complete=True).findings
    assert finding.message == (
        "records 3 to 5 are missing before this: the writer recorded that it could not export them"
    )


async def test_a_refused_record_of_a_loss_is_told_of_again(recorder: Recorder, receiver: Receiver) -> None:
    await denied(recorder, 1)
    await receiver.has(2)
    receiver.answers = [400, 400]
    for _ in range(2):
        await denied(recorder, 1)
        await lost(recorder)
    await denied(recorder, 1)
    await recorder.close()
    (finding,) = receiver.look(complete=True).findings
    assert "the writer recorded that it could not export them" in finding.message


async def test_a_part_that_the_collector_dropped_is_told_of(recorder: Recorder, receiver: Receiver) -> None:
    await denied(recorder, 1)
    await receiver.has(2)
    receiver.answers = [{"partialSuccess": {"rejectedLogRecords": "1"}}]
    await denied(recorder, 2)
    await lost(recorder)
    await recorder.close()
    assert not receiver.look().findings, "they did arrive here"
    del receiver.lines[3]
    (finding,) = receiver.look().findings
    assert "could not export" in finding.message


async def test_what_finds_no_room_is_told_of_once_there_is_room(
    recorder: Recorder, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(evidence_export, "MOST_LINES", 10)
    await recorder.turn()
    await receiver.has(1)
    receiver.open.clear()
    for _ in range(5):
        await denied(recorder, 4)
    receiver.open.set()
    await receiver.has(11)
    await denied(recorder, 1)
    await recorder.close()
    (finding,) = receiver.look(complete=True).findings
    assert finding.message == (
        "records 12 to 21 are missing before this: the writer recorded that it could not export them"
    )


async def test_an_export_that_fails_begins_again(
    recorder: Recorder, receiver: Receiver, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    exporter = recorder._exporter
    assert exporter is not None
    with monkeypatch.context() as patch:
        patch.setattr(exporter, "_batch", lambda: 1 / 0)
        await recorder.turn()
        assert exporter._task is not None
        await asyncio.wait({exporter._task})
    await denied(recorder, 1)
    await receiver.has(2)
    assert "evidence_export_failed" in [record.message for record in caplog.records]
    assert not receiver.look().findings


async def test_a_collector_that_is_away_stops_nothing() -> None:
    metrics = Metrics()
    exporter = Exporter(Collector.of("http://127.0.0.1:9", {}), AUTHOR, metrics)
    recorder = Recorder(Chain(AUTHOR, KEY), Nowhere(), Current(make_snapshot()), metrics, exporter)
    await asyncio.wait_for(denied(recorder, 3), 10)
    await asyncio.wait_for(recorder.close(), 20)


@pytest.mark.parametrize(
    ("endpoint", "url"),
    [
        ("http://collector:4318", "http://collector:4318/v1/logs"),
        ("https://collector:4318/", "https://collector:4318/v1/logs"),
        ("http://collector/otlp", "http://collector/otlp/v1/logs"),
        ("http://collector/v1/logs", "http://collector/v1/logs"),
    ],
)
def test_the_endpoint_is_read_as_opentelemetry_reads_it(endpoint: str, url: str) -> None:
    assert logs_url(endpoint) == url


@pytest.mark.parametrize("endpoint", ["", "collector:4318", "ftp://x", "http://", "http://x?y", "http://x#y"])
def test_an_endpoint_that_is_none_is_refused(endpoint: str) -> None:
    with pytest.raises(InputError, match="no OTLP endpoint"):
        logs_url(endpoint)


def test_headers_that_cannot_be_read_are_refused_without_being_shown() -> None:
    assert headers("") == {}
    with pytest.raises(InputError) as raised:
        headers("authorization=a,secret")
    assert "secret" not in str(raised.value)


def test_an_authority_that_cannot_be_read_is_refused() -> None:
    with pytest.raises(InputError, match="OTEL_EXPORTER_OTLP_CERTIFICATE: /none can't be used"):
        Collector.of("https://collector", {"OTEL_EXPORTER_OTLP_CERTIFICATE": "/none"})

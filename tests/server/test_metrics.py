"""What the data plane's metrics say of several workers, and how they stay bounded and cheap."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from tests.server.builders import Start, make_policy, make_review, make_snapshot
from tests.server.serving import Server, policy_manifest, serving, until
from webhook.core.errors import EvaluationError
from webhook.core.model import PolicyRef
from webhook.server import series
from webhook.server.metrics import METERED, Metrics
from webhook.server.series import Durations, Family, Stopwatch
from webhook.server.states import Place, State, forget, states


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    policies = tmp_path / "policy.json"
    policies.write_text(json.dumps(policy_manifest()))
    with serving(
        tmp_path, "--policies", str(policies), "--workers", "2", "--drain-seconds", "0.5"
    ) as started:
        yield started


def _values(text: str, name: str) -> dict[tuple[tuple[str, str], ...], float]:
    return {
        tuple(sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == name
    }


def _of(registry: CollectorRegistry, name: str) -> dict[tuple[tuple[str, str], ...], float]:
    return _values(generate_latest(registry).decode(), name)


def test_one_scrape_shows_every_worker(server: Server) -> None:
    text = ""

    def both() -> bool:
        nonlocal text
        text = server.get("/metrics")[1]
        return len(_values(text, "tidewaiter_snapshot_info")) == 2

    until(both, "both have written")
    assert set(_values(text, "tidewaiter_snapshot_age_seconds")) == {(("worker", "0"),), (("worker", "1"),)}
    assert _values(text, "tidewaiter_workers") == {(): 2.0}
    expiry = _values(text, "tidewaiter_certificate_expiry_timestamp_seconds")
    assert len(expiry) == 2
    assert len(set(expiry.values())) == 1


def test_a_worker_that_replaces_another_takes_its_number_and_its_files(server: Server) -> None:
    for _ in range(3):
        server.kill(*server.workers())
    until(lambda: _values(server.get("/metrics")[1], "tidewaiter_workers") == {(): 2.0}, "both have written")
    numbers = set(_values(server.get("/metrics")[1], "tidewaiter_snapshot_info"))
    assert {dict(labels)["worker"] for labels in numbers} == {"0", "1"}


def test_a_number_is_free_when_its_worker_has_ended(tmp_path: Path) -> None:
    first, second = Place(tmp_path), Place(tmp_path)
    assert (first.number, second.number) == (0, 1)
    first.close()
    third = Place(tmp_path)
    assert third.number == 0
    second.close()
    third.close()


def test_what_ended_workers_said_is_not_shown(tmp_path: Path) -> None:
    place = Place(tmp_path)
    ended = os.fork()
    if ended == 0:
        os._exit(0)
    os.waitpid(ended, 0)
    place.write(State(pid=ended))
    assert states(tmp_path) == {}
    place.write(State(pid=os.getpid(), revision="one"))
    (tmp_path / "worker-7.json").write_text("cut sho")
    (tmp_path / "worker-8.json").write_text('{"of": "another version"}')
    assert [state.revision for state in states(tmp_path).values()] == ["one"]
    forget(tmp_path, os.getpid())
    assert states(tmp_path) == {}
    place.close()


@pytest.mark.parametrize("make", ["family", "stopwatch"])
def test_policies_that_come_and_go_leave_a_bounded_number_of_series(
    make: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(series, "MOST_SERIES", 3)
    registry = CollectorRegistry()
    family = Family("denials", "Denials.", ("policy",), registry)
    watch = Stopwatch("seconds", "Seconds.", registry)
    for number in range(10):
        if make == "family":
            family.inc(f"policy-{number}")
        else:
            watch.start()
            watch.stop(PolicyRef("ClusterPolicy", "", f"policy-{number}"))
        family.flush()
        watch.flush()
    counts = _of(registry, "denials_total" if make == "family" else "seconds_count")
    assert len(counts) == 4
    assert counts[(("policy", "other"),)] == 7.0


def test_many_observations_at_once_count_as_one_by_one() -> None:
    observations = [0.0, 0.001, 0.0010001, 0.25, 3.0, 99.0]
    registry = CollectorRegistry()
    buckets = (0.001, 0.01, 1.0)
    at_once = Durations("at_once", "At once.", buckets=buckets, registry=registry)
    single = Durations("single", "Single.", buckets=buckets, registry=registry)
    at_once.observe_all(observations)
    for seconds in observations:
        single.observe(seconds)
    assert _of(registry, "at_once_bucket") == _of(registry, "single_bucket")
    assert _of(registry, "at_once_sum") == _of(registry, "single_sum")


async def test_one_request_in_sixteen_measures_its_policies(start: Start) -> None:
    plane = await start(make_snapshot(make_policy(), make_policy("other-one")))
    for _ in range(2 * METERED):
        await plane.verdict()
    text = await (await plane.client.get("/metrics")).text()
    counts = _values(text, "tidewaiter_policy_evaluation_seconds_count")
    assert counts == {(("policy", "no-bad-names"),): 2.0, (("policy", "other-one"),): 2.0}
    assert all(value > 0 for value in _values(text, "tidewaiter_policy_evaluation_seconds_sum").values())


async def test_a_request_that_two_policies_deny_is_one_denial_of_each(start: Start) -> None:
    def fail(_: Any) -> bool:
        raise EvaluationError("can't be evaluated")

    broken = make_policy("broken", fail)
    plane = await start(make_snapshot(make_policy(), make_policy("other-one"), broken))
    await plane.verdict(make_review("bad"))
    text = await (await plane.client.get("/metrics")).text()
    denials = _values(text, "tidewaiter_denials_total")
    assert denials == {(("policy", name),): 1.0 for name in ("no-bad-names", "other-one", "broken")}


def test_metrics_of_one_process_name_it_worker_0() -> None:
    assert 'tidewaiter_snapshot_load_ok{worker="0"} 0.0' in Metrics().render().decode()

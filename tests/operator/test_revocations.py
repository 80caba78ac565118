"""What was revoked is remembered, by whoever saw it and in the record that the leader writes."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.controlplane import ControlPlane
from tests.core.builders import acceptance
from webhook.adapters.snapshots import Context, dump, load
from webhook.core.acceptance import digest_of
from webhook.operator.client import ApiError, KubernetesClient
from webhook.operator.revocations import KEPT, Revocations, as_context, recorded

START = datetime(2026, 11, 28, 12, 0, 0, 600_000, tzinfo=UTC)
SEEN = "2026-11-28T12:00:00Z"
Until = Callable[..., Awaitable[None]]


def revoked(uid: str = "u1", at: str = "1970-01-01T00:00:00Z", **spec: Any) -> dict[str, Any]:
    found = acceptance(revoked={"at": at, "by": "jane@example.com"}, **spec)
    found["metadata"] |= {"uid": uid, "managedFields": []}
    return found


class Clock:
    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> datetime:
        return self.now


@asynccontextmanager
async def running(
    client: KubernetesClient, until: Until, clock: Clock, name: str
) -> AsyncIterator[tuple[Revocations, list[None]]]:
    changes: list[None] = []
    made = Revocations(client, "default", name, clock, lambda: changes.append(None))
    task = asyncio.create_task(made.run())
    try:
        await until(lambda: made.known)
        yield made, changes
    finally:
        task.cancel()
        await asyncio.wait({task})


@pytest.fixture
def name() -> str:
    return f"test-{uuid.uuid4().hex[:8]}"


def data(plane: ControlPlane, name: str) -> dict[str, str]:
    status, found = plane.request("GET", f"/api/v1/namespaces/default/configmaps/{name}-revocations")
    return dict(found.get("data") or {}) if status == 200 else {}


async def test_a_replica_remembers_what_it_saw_by_its_own_clock(client: KubernetesClient, name: str) -> None:
    clock = Clock()
    known = Revocations(client, "default", name, clock, lambda: None)
    kept = known.keep(revoked())
    assert kept is not None
    assert kept["spec"]["revoked"]
    assert "managedFields" not in kept["metadata"]
    assert known.keep(acceptance("other")) is not None
    clock.now += timedelta(hours=1)
    known.keep(revoked())  # as after every change of its status
    assert as_context(known.all) == ((digest_of(acceptance()), SEEN),)
    clock.now += timedelta(hours=1)
    known.keep(revoked("u2"))  # it was brought again, approved anew, and revoked again
    assert as_context(known.all) == ((digest_of(acceptance()), "2026-11-28T14:00:00Z"),)


@pytest.mark.parametrize("spec", [None, "odd", {"revoked": {}, "f": 1.5}, {"revoked": 1}])
async def test_odd_acceptances_hold_nothing_up(client: KubernetesClient, name: str, spec: Any) -> None:
    known = Revocations(client, "default", name, Clock(), lambda: None)
    odd = {"kind": "RiskAcceptance", "metadata": {"name": "a", "namespace": "b"}, "spec": spec}
    assert known.keep(odd) == odd


async def test_the_leader_records_and_others_know(
    plane: ControlPlane, client: KubernetesClient, name: str, until: Until
) -> None:
    clock, digest = Clock(), digest_of(acceptance())
    async with running(client, until, clock, name) as (leader, _):
        await until(lambda: leader.known and not leader.problem)
        assert await leader.record(client)
        assert data(plane, name) == {}  # nothing to say, nothing written
        leader.keep(revoked())
        assert await leader.record(client)
        key = digest.removeprefix("sha256:")
        assert data(plane, name) == {key: f"{SEEN} 2026-12-01T00:00:00Z u1"}
        other = acceptance("other")
        leader.keep({**revoked(), "metadata": {**other["metadata"], "uid": "u9"}})
        assert await leader.record(client)
        assert set(data(plane, name)) == {key, digest_of(other).removeprefix("sha256:")}
    # Another one starts later; what is still there and recorded has been revoked since then.
    clock.now += timedelta(days=1)
    async with running(client, until, clock, name) as (late, changes):
        late.keep(revoked())
        await until(lambda: changes)
        assert dict(as_context(late.all)) == {digest: SEEN, digest_of(other): SEEN}
        # Whoever takes a line out finds it put back.
        plane.kubectl("delete", "configmap", f"{name}-revocations", "-n", "default", check=True)
        await until(lambda: len(changes) > 1)
        assert await late.record(client)
        assert set(data(plane, name)) == {key, digest_of(other).removeprefix("sha256:")}


async def test_what_is_long_over_is_left_out(
    plane: ControlPlane, client: KubernetesClient, name: str, until: Until
) -> None:
    clock = Clock()
    async with running(client, until, clock, name) as (leader, changes):
        leader.keep(revoked())
        assert await leader.record(client)
        await until(lambda: len(changes) > 1)
        clock.now += KEPT + timedelta(days=30)
        lasting = revoked("u2", validUntil="2030-01-01T00:00:00Z")
        leader.keep(lasting)
        assert await leader.record(client)
        del lasting["spec"]["revoked"]
        assert list(data(plane, name)) == [digest_of(lasting).removeprefix("sha256:")]


async def test_what_can_not_be_written_is_told_and_tried_again(
    client: KubernetesClient, name: str, until: Until
) -> None:
    class Refused:
        async def request(self, *_: Any, **__: Any) -> Any:
            raise ApiError(422, "Invalid", "too long")

    async with running(client, until, Clock(), name) as (leader, _):
        leader.keep(revoked())
        await until(lambda: not leader.problem)
        assert not await leader.record(Refused())  # type: ignore[arg-type]
        assert leader.problem.endswith("can't be written: 422: too long")
        assert as_context(leader.all)
        assert await leader.record(client)
        assert leader.problem == ""


@pytest.mark.parametrize("line", ["", "yesterday", f"{SEEN}", "a b c", f"{SEEN} never u1"])
def test_a_line_that_was_tampered_with_refuses_for_ever(line: str) -> None:
    (found,) = as_context(recorded({"data": {"00": line}}))
    assert found == ("sha256:00", "9999-12-31T23:59:59Z")


@pytest.mark.parametrize("found", [None, {}, {"data": None}])
def test_no_record_says_nothing(found: Any) -> None:
    assert recorded(found) == {}


def test_a_snapshot_carries_it() -> None:
    context = Context(revocations=(("sha256:00", SEEN),))
    read = load(dump([], context))
    assert read.register.surroundings.revocations == {"sha256:00": datetime(2026, 11, 28, 12, tzinfo=UTC)}
    assert json.loads(dump([], context))["context"]["revocations"] == [["sha256:00", SEEN]]

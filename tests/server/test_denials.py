"""Which denials the operator is told of, and that telling it never holds a request up."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.server.builders import Start, make_policy, make_review, make_snapshot
from webhook.adapters.denials import SOCKET, Denial, Reference
from webhook.server.denials import Reporter
from webhook.server.metrics import Metrics

CONTROLLER = {"username": "system:serviceaccount:kube-system:replicaset-controller"}
OWNER = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web-1", "uid": "u-1", "controller": True}


class Counted(Metrics):
    def __init__(self) -> None:
        super().__init__()
        self.reports: list[bool] = []

    def reported(self, *, sent: bool) -> None:
        self.reports.append(sent)


@pytest.fixture
def metrics() -> Counted:
    return Counted()


@pytest.fixture
def reporter(tmp_path: Path, metrics: Counted) -> Iterator[Reporter]:
    made = Reporter(tmp_path, metrics)
    yield made
    made.close()


@pytest.fixture
def operator(tmp_path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as bound:
        bound.bind(str(tmp_path / SOCKET))
        yield bound


def made_by_controller(name: str = "bad", **changes: Any) -> dict[str, Any]:
    review = make_review(name, userInfo=CONTROLLER)
    review["request"]["object"]["metadata"]["ownerReferences"] = [OWNER]
    review["request"] |= changes
    return review


async def test_a_denial_of_a_controller_is_told(
    start: Start, reporter: Reporter, operator: socket.socket, metrics: Counted
) -> None:
    plane = await start(make_snapshot(make_policy()), reporter=reporter)
    assert (await plane.verdict(made_by_controller()))["allowed"] is False
    assert Denial.decode(operator.recv(65536)) == Denial(
        review="uid-of-bad",
        operation="CREATE",
        kind="Pod",
        namespace="shop",
        name="bad",
        owner=Reference("apps/v1", "ReplicaSet", "web-1", "u-1"),
        policies=("no-bad-names",),
        message="no-bad-names/name: the name is bad",
    )
    assert metrics.reports == [True]


def _without_controller() -> dict[str, Any]:
    review = made_by_controller()
    review["request"]["object"]["metadata"]["ownerReferences"] = [{**OWNER, "controller": False}]
    return review


@pytest.mark.parametrize(
    "review",
    [
        pytest.param(make_review("bad"), id="a person reads it on the terminal"),
        pytest.param(made_by_controller(userInfo={"username": "jane"}), id="anyone can write an owner"),
        pytest.param(_without_controller(), id="no controller"),
        pytest.param(made_by_controller(dryRun=True), id="dry run"),
        pytest.param(made_by_controller("web"), id="allowed"),
    ],
)
async def test_what_is_not_told(
    review: dict[str, Any], start: Start, reporter: Reporter, operator: socket.socket, metrics: Counted
) -> None:
    plane = await start(make_snapshot(make_policy()), reporter=reporter)
    await plane.verdict(review)
    with pytest.raises(BlockingIOError):
        operator.recv(65536)
    assert metrics.reports == []


async def test_without_an_operator_it_is_dropped_and_counted(
    start: Start, reporter: Reporter, metrics: Counted
) -> None:
    plane = await start(make_snapshot(make_policy()), reporter=reporter)
    assert (await plane.verdict(made_by_controller()))["allowed"] is False
    assert metrics.reports == [False]


async def test_an_operator_that_does_not_read_holds_nothing_up(
    start: Start, reporter: Reporter, operator: socket.socket, metrics: Counted
) -> None:
    plane = await start(make_snapshot(make_policy()), reporter=reporter)
    for _ in range(1000):
        assert (await plane.verdict(made_by_controller()))["allowed"] is False
        if not metrics.reports[-1]:
            break
    assert metrics.reports[-1] is False, "its queue never filled"
    assert all(metrics.reports[:-1])


@pytest.mark.parametrize(
    "owner",
    [
        {**OWNER, "name": "x" * 100_000},
        {**OWNER, "name": "a\x00\nb"},
        {**OWNER, "name": {"not": "text"}},
        {"controller": True},
    ],
)
async def test_a_hostile_owner_fails_no_request(
    owner: dict[str, Any], start: Start, reporter: Reporter, operator: socket.socket
) -> None:
    plane = await start(make_snapshot(make_policy()), reporter=reporter)
    review = made_by_controller()
    review["request"]["object"]["metadata"]["ownerReferences"] = [owner]
    assert (await plane.verdict(review))["allowed"] is False


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b"{}",
        b'{"owner": {}}',
        b'{"owner": {}, "policies": 1}',
        bytes(range(192, 256)),
        Denial("u", "CREATE", "Pod", "n", "x" * 1000, Reference("", "", "", ""), (), "").encode(),
    ],
)
def test_what_is_no_denial_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError):
        Denial.decode(data)


def test_a_long_message_is_cut() -> None:
    denial = Denial("u", "CREATE", "Pod", "n", "p", Reference("v1", "X", "x", "u"), ("p",) * 99, "m" * 99_999)
    read = Denial.decode(denial.encode())
    assert len(read.message) == 2048
    assert len(read.policies) == 16

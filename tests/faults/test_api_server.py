"""What the real API server makes of our answers: too many requests, deadlines, idle connections."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPSConnection
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest

from tests.controlplane import ControlPlane
from tests.e2e.cluster import configmap, eventually, namespace
from tests.faults.asking import trusting
from tests.faults.containers import Replica
from tests.faults.happenings import LOOPS
from tests.faults.load import SPACE, load_policy
from tests.faults.world import World

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("api-server")]

IN_FLIGHT = 4
"""Of each of two workers; one namespace gets half of it."""
REQUESTS = 16
ASKS = "authorizer.group('').resource('pods').name(object.metadata.name).check('delete').allowed()"
"""Another question for each object: no answer is known from before."""
OTHER = "elsewhere"
LONG = 3.0
"""Well below the five seconds of the webhook configuration, in which what waits must be answered."""
IDLE_SECONDS = 90.0
"""After so long the API server drops a connection that it doesn't use: Go's ``IdleConnTimeout``, as
k8s.io/apimachinery sets it in ``pkg/util/net``."""


def only(prefix: str, expression: str) -> str:
    """Return an expression that judges what has such a name and lets everything else pass."""
    return f"!object.metadata.name.startsWith('{prefix}') || {expression}"


def burning(count: int, failure_policy: str) -> list[dict[str, Any]]:
    """Return policies that spend all their steps; together more than a request may take.

    Policies are judged in the order of their names: those that all requests meet come before these.
    """
    prefix = f"zz-{failure_policy.lower()}"
    found = [load_policy(f"{prefix}-{number}", only(prefix, LOOPS)) for number in range(count)]
    for policy in found:
        policy["spec"]["failurePolicy"] = failure_policy
    return found


def asking(failure_policy: str) -> dict[str, Any]:
    """Return a policy that asks what the user may do."""
    name = f"ask-{failure_policy.lower()}"
    policy = load_policy(name, only(name, ASKS))
    policy["spec"]["failurePolicy"] = failure_policy
    return policy


@pytest.fixture(scope="module")
def world(assets: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    policies = [asking("Fail"), asking("Ignore"), *burning(30, "Ignore"), *burning(30, "Fail")]
    with (
        ControlPlane(assets, tmp_path_factory.mktemp("api-server")) as plane,
        World(plane, count=1, serve=("--max-in-flight", str(IN_FLIGHT)), policies=policies) as started,
    ):
        started.apply(namespace(OTHER))
        yield started


@pytest.fixture
def replica(world: World) -> Replica:
    return world.replicas[0]


@contextlib.contextmanager
def silent_operator(replica: Replica) -> Iterator[None]:
    """Let nobody answer the workers' questions."""
    os.kill(replica.operator.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(replica.operator.pid, signal.SIGCONT)


def create(world: World, name: str, space: str = SPACE) -> tuple[int, str, float]:
    """Try to create a ConfigMap; return the status, what is said, and how long it took."""
    started = time.monotonic()
    path = f"/api/v1/namespaces/{space}/configmaps?dryRun=All"
    status, answer = world.plane.request("POST", path, configmap(space, name))
    return status, str(answer.get("message", "")), time.monotonic() - started


def refusals(replica: Replica) -> int:
    """Return how often the data plane has answered 429."""
    with urlopen(f"http://127.0.0.1:{replica.endpoint.probe_port}/metrics", timeout=30) as answer:
        text = answer.read().decode()
    found = re.findall(r'^tidewaiter_requests_total\{.*code="429".*\} ([0-9.e+]+)$', text, re.MULTILINE)
    return int(sum(map(float, found)))


def test_what_is_refused_past_the_bound_is_tried_again_in_time(world: World, replica: Replica) -> None:
    """The API server honours ``Retry-After`` of a 429 within the webhook's timeout."""
    for attempt in range(5):
        before, started = refusals(replica), time.monotonic()
        with ThreadPoolExecutor(REQUESTS) as pool:
            with silent_operator(replica):
                names = [f"ask-fail-a{attempt}-{number}" for number in range(REQUESTS)]
                waiting = [pool.submit(create, world, name) for name in names]
                eventually(lambda before=before: refusals(replica) > before, "some are refused", 30)
                status, said, _ = create(world, "quick", OTHER)
                silent = time.monotonic() - started
            answers = [each.result() for each in waiting]
        if silent < LONG:
            break  # else the machine was too busy to ask in time: again
    assert silent < LONG
    assert status == 201, said
    assert [status for status, _, _ in answers] == [201] * REQUESTS, answers
    print(f"{refusals(replica) - before} answers of 429, all {REQUESTS} requests let in within", end=" ")
    print(f"{max(took for _, _, took in answers):.1f} s")


def test_what_is_refused_until_the_timeout_is_not_let_in(world: World, replica: Replica) -> None:
    with ThreadPoolExecutor(REQUESTS) as pool, silent_operator(replica):
        waiting = [pool.submit(create, world, f"ask-fail-b{number}") for number in range(REQUESTS)]
        answers = [each.result() for each in waiting]
    assert 201 not in [status for status, _, _ in answers]
    judged = [said for _, said, _ in answers if "could not be evaluated" in said]
    refused = [said for _, said, _ in answers if "failed calling webhook" in said]
    assert judged
    assert refused
    assert len(judged) + len(refused) == REQUESTS, answers


@pytest.mark.parametrize("failure_policy", ["Fail", "Ignore"])
def test_a_passed_deadline_is_what_the_policys_failure_policy_says(
    world: World, replica: Replica, failure_policy: str
) -> None:
    for number in range(3):
        with silent_operator(replica):
            status, said, _ = create(world, f"ask-{failure_policy.lower()}-c{number}")
        # Had the API server given up before the answer, it would say that it failed to call.
        if failure_policy == "Fail":
            assert (status, "ask-fail: could not be evaluated" in said) == (403, True), said
        else:
            assert status == 201, said


@pytest.mark.parametrize("failure_policy", ["Fail", "Ignore"])
def test_policies_that_burn_all_time_are_what_their_failure_policy_says(
    world: World, failure_policy: str
) -> None:
    for number in range(3):
        status, said, took = create(world, f"zz-{failure_policy.lower()}-{number}")
        print(f"{failure_policy}: {took:.2f} s")
        if failure_policy == "Fail":
            assert (status, "zz-fail-0: could not be evaluated" in said) == (403, True), said
        else:
            assert status == 201, said


def test_what_others_deny_stays_denied_while_policies_burn(world: World) -> None:
    body = configmap(SPACE, "zz-ignore-bad", password="secret")
    path = f"/api/v1/namespaces/{SPACE}/configmaps?dryRun=All"
    for _ in range(3):
        status, answer = world.plane.request("POST", path, body)
        assert status == 403
        assert "denied the request" in answer["message"]
        assert "load-no-password/check" in answer["message"]


@pytest.mark.long
@pytest.mark.timeout(400)
def test_an_idle_connection_outlives_the_api_servers_patience(world: World, replica: Replica) -> None:
    """Whoever closes first while the other sends loses a request: it must be the API server, after 90 s."""
    connection = HTTPSConnection("127.0.0.1", replica.endpoint.port, context=trusting(), timeout=30)
    with contextlib.closing(connection):
        assert _is_ready(connection)
        kept = connection.sock
        assert create(world, "first")[0] == 201
        forwarder = world.forwarder
        before = forwarder.ended_by_endpoint
        assert forwarder.open
        idle = time.monotonic()
        eventually(lambda: not forwarder.open, "the API server drops what it does not use", IDLE_SECONDS + 60)
        assert time.monotonic() - idle > IDLE_SECONDS - 5
        assert forwarder.ended_by_endpoint == before
        for number in range(20):
            status, said, _ = create(world, f"after-{number}")
            assert status == 201, said
        assert _is_ready(connection)
        assert connection.sock is kept, "ours has lasted longer"


def _is_ready(connection: HTTPSConnection) -> bool:
    connection.request("GET", "/readyz")
    answer = connection.getresponse()
    return bool(answer.read()) and answer.status == 200

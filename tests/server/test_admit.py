"""What a worker answers to a review, good or bad."""

from __future__ import annotations

import asyncio
import json
import logging
import math
from typing import Any

import pytest

from tests.server.builders import Plane, Start, make_policy, make_review, make_snapshot
from webhook.core.authorization import AuthorizerCheck, AuthorizerDecision
from webhook.core.errors import EvaluationError
from webhook.core.match import Selection
from webhook.core.model import Action
from webhook.core.selectors import Requirement, Selector
from webhook.core.verdict import DecisionLack, OwnerLack, Verdict
from webhook.server.judging import Judge
from webhook.server.settings import Limits

PRODUCTION = Selector((Requirement("stage", "In", frozenset({"prod"})),))


async def test_allowed(plane: Plane) -> None:
    assert await plane.verdict() == {"uid": "uid-of-web", "allowed": True}


async def test_denied_with_the_message(plane: Plane) -> None:
    response = await plane.verdict(make_review("bad"))
    assert response["allowed"] is False
    assert response["uid"] == "uid-of-bad"
    assert response["status"]["code"] == 403
    assert response["status"]["message"] == "no-bad-names/name: the name is bad"
    assert response["auditAnnotations"]["denied-by"] == "no-bad-names"
    assert "patch" not in response


async def test_warned(start: Start) -> None:
    plane = await start(make_snapshot(make_policy(actions=(Action.WARN,))))
    response = await plane.verdict(make_review("bad"))
    assert response["allowed"] is True
    assert response["warnings"] == ["no-bad-names/name: the name is bad"]


async def test_an_evaluation_error_denies_and_says_so(start: Start) -> None:
    def fail(_: Any) -> Any:
        raise EvaluationError("no such key: colour")

    plane = await start(make_snapshot(make_policy(program=fail)))
    response = await plane.verdict()
    assert response["allowed"] is False
    assert "no such key: colour" in response["status"]["message"]


@pytest.mark.parametrize(
    ("body", "content_type", "path", "status", "says"),
    [
        (b"{", "application/json", "/admit", 400, "no JSON"),
        (b"", "application/json", "/admit", 400, "no JSON"),
        (b"[]", "application/json", "/admit", 400, "AdmissionReview"),
        (b"null", "application/json", "/admit", 400, "AdmissionReview"),
        (b'{"a":"\xff\xfe"}', "application/json", "/admit", 400, "no JSON"),
        (b'{"a":"\\ud800"}', "application/json", "/admit", 400, "no JSON"),
        (b'{"a":NaN}', "application/json", "/admit", 400, "no JSON"),
        (b"[" * 100_000, "application/json", "/admit", 400, "no JSON"),
        (b'{"a":' * 50_000 + b"1" + b"}" * 50_000, "application/json", "/admit", 400, "no JSON"),
        (
            make_review() | {"apiVersion": "admission.k8s.io/v1beta1"},
            "application/json",
            "/admit",
            400,
            "v1beta1",
        ),
        (make_review() | {"kind": "Pod"}, "application/json", "/admit", 400, "AdmissionReview"),
        (make_review() | {"request": None}, "application/json", "/admit", 400, "no request"),
        (make_review(uid=""), "application/json", "/admit", 400, "uid"),
        (make_review(uid=7), "application/json", "/admit", 400, "uid"),
        (make_review(object=[1]), "application/json", "/admit", 400, "request.object"),
        (make_review(operation="PATCH"), "application/json", "/admit", 400, "operation"),
        (make_review(), "text/plain", "/admit", 415, "application/json"),
        (make_review(), "application/yaml", "/admit", 415, "application/json"),
        (make_review(), "application/json", "/admit?timeout=soon", 400, "duration"),
        (make_review(), "application/json", "/admit?timeout=-5s", 400, "duration"),
        (make_review(), "application/json", "/admit/everything/any", 404, "/admit"),
    ],
)
async def test_a_bad_request_is_the_callers_fault(
    plane: Plane, body: Any, content_type: str, path: str, status: int, says: str
) -> None:
    answer = await plane.send(body, path, content_type)
    assert answer.status == status
    said = await answer.json()
    assert (said["kind"], said["code"], said["status"]) == ("Status", status, "Failure")
    assert says in said["message"]
    assert (await plane.verdict())["allowed"] is True  # and nothing is lost


@pytest.mark.parametrize("name", ["nul\u0000inside", "ünïcode", "a" * 5000, "\u202ereversed"])
async def test_odd_strings_are_judged_like_others(plane: Plane, name: str) -> None:
    assert (await plane.verdict(make_review(name)))["allowed"] is True


async def test_deep_nesting_within_the_decoder_limit_is_judged(plane: Plane) -> None:
    review = make_review()
    deep = json.dumps(review).replace('"containers"', '"deep": ' + "[" * 900 + "]" * 900 + ', "containers"')
    assert (await plane.verdict(deep.encode()))["allowed"] is True


async def test_duplicate_keys_are_refused(plane: Plane) -> None:
    body = json.dumps(make_review()).replace('"name": "web"', '"name": "web", "name": "bad"').encode()
    answer = await plane.send(body)
    assert answer.status == 400
    assert (await answer.json())["message"] == "the key 'name' is given twice in one object"


class TestBodyLimit:
    limits = Limits(max_body=10_000, move_every=math.inf)

    async def test_a_body_at_the_limit_is_judged(self, start: Start) -> None:
        plane = await start(make_snapshot(), self.limits)
        body = json.dumps(make_review()).encode()
        assert (await plane.send(body + b" " * (10_000 - len(body)))).status == 200

    async def test_a_larger_one_is_refused_by_its_length(self, start: Start) -> None:
        plane = await start(make_snapshot(), self.limits)
        answer = await plane.send(b" " * 10_001)
        assert answer.status == 413
        assert (await answer.json())["message"] == "the body is larger than 10000 bytes"
        assert answer.headers["Connection"] == "close"

    async def test_a_larger_one_without_a_length_is_refused_while_it_comes(self, start: Start) -> None:
        plane = await start(make_snapshot(), self.limits)

        async def chunks() -> Any:
            for _ in range(11):
                yield b" " * 1000

        headers = {"Content-Type": "application/json"}
        answer = await plane.client.post("/admit", data=chunks(), headers=headers)
        assert answer.status == 413


async def test_before_the_first_snapshot_nobody_is_let_in(start: Start) -> None:
    plane = await start(None)
    answer = await plane.send()
    assert answer.status == 503
    assert answer.headers["Retry-After"] == "1"
    assert (await plane.client.get("/readyz")).status == 503


async def test_too_many_at_once_are_refused_quickly(start: Start) -> None:
    going = asyncio.Event()
    release = asyncio.Event()

    async def slow(*_: Any) -> Verdict:
        going.set()
        await release.wait()
        return Verdict(True)

    plane = await start(make_snapshot(), Limits(max_in_flight=1), judge=lambda _: slow)
    first = asyncio.create_task(plane.verdict())
    await going.wait()
    refused = await plane.send()
    assert refused.status == 429
    assert refused.headers["Retry-After"] == "1"
    release.set()
    assert (await first)["allowed"] is True


async def test_our_own_fault_is_500_and_the_log_holds_no_object(
    start: Start, caplog: pytest.LogCaptureFixture
) -> None:
    async def broken(request: Any, *_: Any) -> Verdict:
        raise KeyError(request.object["data"]["password"])

    plane = await start(make_snapshot(), judge=lambda _: broken)
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "s"},
        "data": {"password": "hunter2"},
    }
    answer = await plane.send(make_review(object=secret))
    assert answer.status == 500
    logged = "".join(str(record.__dict__) for record in caplog.records)
    assert "uid-of-web" in logged
    assert "KeyError" in logged
    assert "hunter2" not in logged + await answer.text()


async def test_a_denial_is_one_line_without_content(plane: Plane, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "webhook")
    await plane.verdict(make_review("bad"))
    [record] = [record for record in caplog.records if record.getMessage() == "denied"]
    assert record.fields == {  # type: ignore[attr-defined]
        "uid": "uid-of-bad",
        "operation": "CREATE",
        "kind": "Pod",
        "namespace": "shop",
        "name": "bad",
        "user": "jane",
        "policies": ["no-bad-names"],
        "dry_run": False,
    }


@pytest.mark.parametrize(
    ("path", "selection"),
    [
        ("/admit", Selection("all", "*")),
        ("/admit/all/*", Selection("all", "*")),
        ("/admit/cluster/any", Selection("cluster", "*")),
        ("/admit/namespaced/v1", Selection("namespaced", "v1")),
        ("/admit/cluster/v1.v1beta1", Selection("cluster", "v1,v1beta1")),
        ("/admit/cluster/v1beta1,v1", Selection("cluster", "v1,v1beta1")),
    ],
)
async def test_the_path_says_which_policies(start: Start, path: str, selection: Selection) -> None:
    seen = []

    async def judge(_request: Any, asked: Selection, _deadline: Any) -> Verdict:
        seen.append(asked)
        return Verdict(True)

    plane = await start(make_snapshot(), judge=lambda _: judge)
    await plane.verdict(path=path)
    await plane.verdict(path=path)
    assert seen == [selection, selection]


async def test_some_answers_close_the_connection_so_that_load_spreads(start: Start) -> None:
    plane = await start(make_snapshot(), Limits(move_every=0.001))
    plane.data_plane._random = lambda: 0.09
    assert (await plane.send()).headers["Connection"] == "close"


@pytest.mark.parametrize(("pause", "share"), [(0.001, 0.004), (0.01, 0.04), (1.0, 0.1)])
async def test_a_worker_moves_as_much_load_in_a_second_however_busy_it_is(
    start: Start, pause: float, share: float
) -> None:
    plane = (await start(make_snapshot(), Limits())).data_plane
    plane._moves(100.0)
    for chance, moves in ((share * 0.99, True), (share * 1.01, False)):
        plane._random = lambda chance=chance: chance
        plane._answered_at = 100.0
        assert plane._moves(100.0 + pause) is moves


async def test_a_draining_worker_answers_and_closes(plane: Plane) -> None:
    plane.data_plane.draining = True
    ready = await plane.client.get("/readyz")
    answer = await plane.send()
    assert (ready.status, answer.status) == (503, 200)
    assert answer.headers["Connection"] == "close"
    assert (await plane.client.get("/livez")).status == 200


class TestWhatASnapshotLacks:
    async def test_a_namespace_that_comes_in_time(self, start: Start) -> None:
        policy = make_policy(namespace_selector=PRODUCTION)
        plane = await start(make_snapshot(policy, namespaces={}), Limits(namespace_wait=30))
        waiting = asyncio.create_task(plane.verdict(make_review("bad")))
        await asyncio.sleep(0.05)
        plane.current.swap(make_snapshot(policy, revision="two"))
        response = await waiting
        assert response["status"]["message"] == "no-bad-names/name: the name is bad"
        assert response["auditAnnotations"]["revision"] == "two"

    async def test_a_namespace_that_never_comes_is_an_evaluation_error(self, start: Start) -> None:
        policy = make_policy(namespace_selector=PRODUCTION)
        plane = await start(make_snapshot(policy, namespaces={}), Limits(namespace_wait=0.05))
        response = await plane.verdict()
        assert "the namespace shop is not known yet" in response["status"]["message"]

    async def test_a_request_waits_no_longer_than_its_deadline(self, start: Start) -> None:
        policy = make_policy(namespace_selector=PRODUCTION)
        plane = await start(make_snapshot(policy, namespaces={}), Limits(namespace_wait=60))
        response = await plane.verdict(path="/admit?timeout=200ms")
        assert response["allowed"] is False

    async def test_an_owner_that_comes_in_time(self, start: Start) -> None:
        lack = OwnerLack("shop", "ReplicaSet", "web", "uid")

        def evaluate(_request: Any, snapshot: Any, _now: Any, **_: Any) -> Verdict:
            known = snapshot.revision == "two"
            return Verdict(known, lacking=() if known else (lack,))

        def judge(current: Any) -> Judge:
            return Judge(current, namespace_wait=0, evaluate=evaluate)

        plane = await start(make_snapshot(), judge=judge)
        waiting = asyncio.create_task(plane.verdict())
        await asyncio.sleep(0.05)
        plane.current.swap(make_snapshot(revision="two"))
        assert (await waiting)["allowed"] is True

    async def test_what_the_authorizer_says_is_used(self, start: Start) -> None:
        check = AuthorizerCheck("get", resource="secrets")

        class Says:
            def __init__(self) -> None:
                self.asked: list[Any] = []

            async def ask(self, user: Any, check: AuthorizerCheck, seconds: float) -> AuthorizerDecision:
                self.asked.append((user.username, check))
                return AuthorizerDecision(True)

        def evaluate(_request: Any, _snapshot: Any, _now: Any, *, decisions: Any, **_: Any) -> Verdict:
            answer = decisions.get(check)
            return Verdict(answer.allowed) if answer else Verdict(False, lacking=(DecisionLack(check),))

        says = Says()
        plane = await start(make_snapshot(), judge=lambda current: Judge(current, says, evaluate=evaluate))
        assert (await plane.verdict())["allowed"] is True
        assert says.asked == [("jane", check)]

    async def test_endless_questions_come_to_an_end(self, start: Start) -> None:
        class Silent:
            async def ask(self, *_: Any) -> AuthorizerDecision:
                return AuthorizerDecision(False, error="no answer")

        def evaluate(*_: Any, decisions: Any, **__: Any) -> Verdict:
            check = AuthorizerCheck("get", name=str(len(decisions)))
            return Verdict(False, lacking=(DecisionLack(check),))

        plane = await start(
            make_snapshot(), judge=lambda current: Judge(current, Silent(), evaluate=evaluate)
        )
        assert (await plane.verdict())["allowed"] is False


async def test_metrics_count_what_happened(start: Start) -> None:
    plane = await start(make_snapshot(make_policy()))
    await plane.verdict()
    await plane.verdict(make_review("bad"))
    await plane.send(b"{")
    lines = (await (await plane.client.get("/metrics")).text()).splitlines()
    for line in (
        'tidewaiter_requests_total{code="200",operation="CREATE",outcome="allowed"} 1.0',
        'tidewaiter_requests_total{code="200",operation="CREATE",outcome="denied"} 1.0',
        'tidewaiter_requests_total{code="400",operation="none",outcome="refused"} 1.0',
        'tidewaiter_violations_total{action="deny",policy="no-bad-names",validation="name"} 1.0',
        "tidewaiter_request_duration_seconds_count 3.0",
        'tidewaiter_denials_total{policy="no-bad-names"} 1.0',
        'tidewaiter_snapshot_load_ok{worker="0"} 1.0',
        'tidewaiter_snapshot_info{revision="one",worker="0"} 1.0',
        'tidewaiter_policies{worker="0"} 1.0',
    ):
        assert line in lines

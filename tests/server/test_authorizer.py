"""What a worker asks over the unix socket, and what it makes of the answers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import orjson
import pytest

from tests.server.builders import make_review
from tests.server.serving import policy_manifest
from webhook.adapters.snapshots import build
from webhook.core.authorization import AuthorizerCheck, AuthorizerDecision
from webhook.core.evaluate import evaluate
from webhook.core.review import AdmissionRequest, UserInfo
from webhook.core.verdict import DecisionLack
from webhook.server.authorizer import SocketAuthorizer
from webhook.server.judging import utc_now

JANE = UserInfo("jane", "7", ("dev",), {"scopes": ["a"]})
CHECK = AuthorizerCheck("get", group="apps", resource="deployments", namespace="shop")

Answer = Callable[[dict[str, Any]], Awaitable[bytes]]


class ControlPlane:
    """The other end of the socket."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.asked: list[dict[str, Any]] = []
        self.connections = 0

        async def yes(_: dict[str, Any]) -> bytes:
            return b'{"allowed": true, "reason": "RBAC"}'

        self.answer: Answer = yes

    async def converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        while line := await reader.readline():
            question = orjson.loads(line)
            self.asked.append(question)
            answer = await self.answer(question)
            if not answer:
                break
            writer.write(answer + b"\n")
        writer.close()


@pytest.fixture
async def other(tmp_path: Path) -> AsyncIterator[ControlPlane]:
    plane = ControlPlane(tmp_path / "authorizer.sock")
    server = await asyncio.start_unix_server(plane.converse, plane.path)
    yield plane
    server.close()


@pytest.fixture
async def authorizer(other: ControlPlane) -> AsyncIterator[SocketAuthorizer]:
    asking = SocketAuthorizer(str(other.path))
    yield asking
    await asking.close()


async def test_the_question_and_its_answer(other: ControlPlane, authorizer: SocketAuthorizer) -> None:
    assert await authorizer.ask(JANE, CHECK, 5) == AuthorizerDecision(True, "RBAC")
    [question] = other.asked
    assert question["user"] == {"username": "jane", "uid": "7", "groups": ["dev"], "extra": {"scopes": ["a"]}}
    assert question["check"]["verb"] == "get"
    assert question["check"]["service_account"] is None


async def test_many_at_once_share_a_connection_and_keep_their_order(
    other: ControlPlane, authorizer: SocketAuthorizer
) -> None:
    async def only_even(question: dict[str, Any]) -> bytes:
        return orjson.dumps({"allowed": int(question["check"]["name"]) % 2 == 0})

    other.answer = only_even
    checks = [AuthorizerCheck("get", name=str(number)) for number in range(20)]
    answers = await asyncio.gather(*(authorizer.ask(JANE, check, 5) for check in checks))
    assert [answer.allowed for answer in answers] == [number % 2 == 0 for number in range(20)]
    assert other.connections == 1


async def test_a_late_answer_is_nobody_elses(other: ControlPlane, authorizer: SocketAuthorizer) -> None:
    async def slow_yes_then_no(question: dict[str, Any]) -> bytes:
        late = question["check"]["name"] == "late"
        await asyncio.sleep(0.1 if late else 0)
        return orjson.dumps({"allowed": late})

    other.answer = slow_yes_then_no
    late = await authorizer.ask(JANE, AuthorizerCheck("get", name="late"), 0.02)
    assert late == AuthorizerDecision(False, error="the authorizer did not answer in time", answered=False)
    assert await authorizer.ask(JANE, AuthorizerCheck("get", name="next"), 5) == AuthorizerDecision(False)


@pytest.mark.parametrize(
    "answer", [b"", b"nonsense", b"[]", b"{}", b'{"allowed": "yes"}', b'{"allowed": 1}', b"x" * 1_000_000]
)
async def test_what_is_no_answer_is_an_error_and_never_a_yes(
    other: ControlPlane, authorizer: SocketAuthorizer, answer: bytes
) -> None:
    async def say(_: dict[str, Any]) -> bytes:
        return answer

    other.answer = say
    decision = await authorizer.ask(JANE, CHECK, 2)
    assert decision.allowed is False
    assert decision.error


async def test_a_yes_with_an_error_is_no_yes(other: ControlPlane, authorizer: SocketAuthorizer) -> None:
    async def say(_: dict[str, Any]) -> bytes:
        return b'{"allowed": true, "error": "the API server did not say"}'

    other.answer = say
    decision = await authorizer.ask(JANE, CHECK, 5)
    assert decision == AuthorizerDecision(False, error="the API server did not say")


async def test_after_a_lost_connection_it_asks_on_a_new_one(
    other: ControlPlane, authorizer: SocketAuthorizer
) -> None:
    yes = other.answer

    async def hang_up(_: dict[str, Any]) -> bytes:
        return b""

    other.answer = hang_up
    assert (await authorizer.ask(JANE, CHECK, 5)).error
    other.answer = yes
    assert (await authorizer.ask(JANE, CHECK, 5)).allowed is True


async def test_without_a_control_plane_nothing_is_allowed(tmp_path: Path) -> None:
    decision = await SocketAuthorizer(str(tmp_path / "nobody.sock")).ask(JANE, CHECK, 1)
    assert (decision.allowed, decision.answered) == (False, False)
    assert "can't be asked" in decision.error


@pytest.mark.parametrize("expression", ["allowed()", "errored()", "reason() == ''"])
@pytest.mark.parametrize(("failure_policy", "allowed"), [("Fail", False), ("Ignore", True)])
def test_no_answer_is_what_the_failure_policy_says_whatever_the_policy_reads(
    expression: str, failure_policy: str, allowed: bool
) -> None:
    question = "authorizer.group('').resource('secrets').check('get')"
    manifest = policy_manifest("asks", f"{question}.{expression}")
    manifest["spec"]["failurePolicy"] = failure_policy
    snapshot = build([manifest, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}}])
    request = AdmissionRequest.parse(make_review())
    (lack,) = evaluate(request, snapshot, utc_now(), decisions={}).lacking
    assert isinstance(lack, DecisionLack)
    nobody = AuthorizerDecision(False, error="the authorizer did not answer in time", answered=False)
    verdict = evaluate(request, snapshot, utc_now(), decisions={lack.check: nobody})
    assert verdict.allowed is allowed
    assert not verdict.violations
    (error,) = verdict.errors
    assert "the authorizer did not answer in time" in error.message
    undecided = AuthorizerDecision(False, error="the API server did not say")
    decided = evaluate(request, snapshot, utc_now(), decisions={lack.check: undecided})
    assert decided.allowed is (expression != "allowed()")
    assert not decided.errors

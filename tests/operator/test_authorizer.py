"""Workers ask over a socket what users may do; the API server is asked once for each question."""

from __future__ import annotations

import asyncio
import json
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from webhook.core.authorization import AuthorizerCheck
from webhook.operator.authorizer import SOCKET, Authorizer, review
from webhook.operator.client import Answer, ApiError

USER = {"username": "jane", "uid": "1", "groups": ["dev"], "extra": {"scope": ["a"]}}


class FakeClient:
    """Answers every SubjectAccessReview as a test wants."""

    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []
        self.status: dict[str, Any] = {"allowed": True, "reason": "a role says so"}
        self.error: ApiError | None = None

    async def request(self, method: str, path: str, **named: Any) -> Answer:
        self.asked.append(named["body"])
        await asyncio.sleep(0.01)
        if self.error:
            raise self.error
        return Answer({"status": self.status})

    def watch(self, path: str, **named: Any) -> Any:
        raise NotImplementedError


@asynccontextmanager
async def serving(authorizer: Authorizer) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    with tempfile.TemporaryDirectory() as folder:  # a socket's path may not be long
        task = asyncio.create_task(authorizer.serve(Path(folder)))
        path = Path(folder) / SOCKET
        while not path.exists():  # noqa: ASYNC110 - files make no events
            await asyncio.sleep(0.01)
        reader, writer = await asyncio.open_unix_connection(path)
        try:
            yield reader, writer
        finally:
            writer.close()
            await writer.wait_closed()
            task.cancel()
            await asyncio.wait({task})


def question(verb: str = "get", **fields: Any) -> bytes:
    check = asdict(AuthorizerCheck(verb, **fields))
    return json.dumps({"user": USER, "check": check}).encode() + b"\n"


@pytest.mark.parametrize(
    ("fields", "attributes"),
    [
        (
            {"resource": "pods", "subresource": "exec", "namespace": "shop", "name": "one"},
            {
                "resource": "pods",
                "subresource": "exec",
                "namespace": "shop",
                "name": "one",
                "version": "*",
                "verb": "get",
            },
        ),
        (
            {"group": "apps", "resource": "deployments", "label_selector": "a=b", "field_selector": "c=d"},
            {
                "group": "apps",
                "resource": "deployments",
                "version": "*",
                "verb": "get",
                "labelSelector": {"rawSelector": "a=b"},
                "fieldSelector": {"rawSelector": "c=d"},
            },
        ),
    ],
)
def test_a_question_of_a_resource(fields: dict[str, Any], attributes: dict[str, Any]) -> None:
    spec = review(json.loads(question(**fields)))["spec"]
    assert spec["resourceAttributes"] == attributes
    assert (spec["user"], spec["groups"], spec["extra"]) == ("jane", ["dev"], {"scope": ["a"]})


def test_a_question_of_a_path_and_of_a_service_account() -> None:
    spec = review(json.loads(question(path="/healthz", service_account=("shop", "robot"))))["spec"]
    assert spec == {
        "user": "system:serviceaccount:shop:robot",
        "groups": ["system:serviceaccounts", "system:serviceaccounts:shop", "system:authenticated"],
        "nonResourceAttributes": {"path": "/healthz", "verb": "get"},
    }


async def test_answers_come_in_order_and_the_api_server_is_asked_once() -> None:
    client = FakeClient()
    async with serving(Authorizer(client)) as (reader, writer):
        for resource in ("pods", "secrets", "pods", "pods"):
            writer.write(question(resource=resource))
        answers = [json.loads(await reader.readline()) for _ in range(4)]
        assert answers == [{"allowed": True, "reason": "a role says so", "error": ""}] * 4
        assert len(client.asked) == 2
        writer.write(question(resource="pods"))
        await reader.readline()
        assert len(client.asked) == 2


async def test_no_answer_is_an_error_and_is_not_remembered() -> None:
    client = FakeClient()
    client.error = ApiError(0, "", "timed out")
    async with serving(Authorizer(client)) as (reader, writer):
        writer.write(question(resource="pods"))
        answer = json.loads(await reader.readline())
        assert not answer["allowed"]
        assert "timed out" in answer["error"]
        client.error = None
        writer.write(question(resource="pods"))
        assert json.loads(await reader.readline())["allowed"]


async def test_what_is_no_question_is_answered_and_what_is_no_json_ends_the_connection() -> None:
    async with serving(Authorizer(FakeClient())) as (reader, writer):
        writer.write(b'{"user": {}}\n[]\n')
        for _ in range(2):
            assert "not a question" in json.loads(await reader.readline())["error"]
        writer.write(b"garbage\n")
        assert await reader.read() == b""

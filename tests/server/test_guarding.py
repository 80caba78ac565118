"""A worker's routes for the guard: what they answer, what they wait for, what they record."""

from __future__ import annotations

import asyncio
import logging
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.core.builders import acceptance, approval, pod, review, snapshot
from tests.server.builders import Plane, Start
from webhook.core.times import format_time

JANE = {"user": "jane@example.com", "groups": ("risk-owners",)}
ASKED = acceptance()


def given() -> dict[str, Any]:
    return approval(ASKED, approvedAt=format_time(datetime.now(UTC)))


async def asked(plane: Plane, body: dict[str, Any], path: str = "/guard?timeout=5s") -> dict[str, Any]:
    answer = await plane.send(body, path=path)
    assert answer.status == 200
    response: dict[str, Any] = (await answer.json())["response"]
    return response


async def test_the_guard_denies_and_warns_like_a_policy(start: Start) -> None:
    plane = await start(snapshot())
    denied = await asked(plane, review(ASKED, user="eve@example.com"))
    assert denied["status"]["code"] == 403
    assert denied["status"]["message"].startswith("guard/requester: must be eve@example.com")
    assert denied["auditAnnotations"]["denied-by"] == "guard"
    warned = await asked(plane, review(ASKED, user="john@example.com"))
    assert warned["allowed"] is True
    assert "no such policy is enforced" in warned["warnings"][0]


async def test_an_approval_waits_for_the_snapshot_with_its_acceptance(start: Start) -> None:
    plane = await start(snapshot())
    answer = asyncio.create_task(asked(plane, review(given(), **JANE)))
    await asyncio.sleep(0.1)
    assert not answer.done()
    plane.current.swap(snapshot())  # another, that hasn't it either
    await asyncio.sleep(0.1)
    assert not answer.done()
    plane.current.swap(snapshot(risks=(ASKED,)))
    response = await asyncio.wait_for(answer, 10)
    assert response["allowed"] is True
    assert "warnings" not in response


async def test_an_approval_does_not_wait_for_ever(start: Start) -> None:
    plane = await start(snapshot())
    response = await asyncio.wait_for(asked(plane, review(given(), **JANE)), 20)
    assert response["allowed"] is True
    assert "there is no RiskAcceptance legacy yet" in response["warnings"][0]


@pytest.mark.parametrize("path", ["/guard", "/guard/deleted"])
async def test_nothing_is_judged_before_the_first_snapshot(start: Start, path: str) -> None:
    plane = await start(None)
    answer = await plane.send(review(ASKED), path=path)
    assert answer.status == 503


async def test_the_guard_answers_what_is_no_risk_kind_with_a_failure(start: Start) -> None:
    plane = await start(snapshot())
    assert (await plane.send(review(pod()), path="/guard")).status == 500


@pytest.mark.parametrize("path", ["/guard", "/guard/deleted"])
async def test_who_deletes_what_is_recorded(
    start: Start, path: str, caplog: pytest.LogCaptureFixture
) -> None:
    plane = await start(snapshot())
    with caplog.at_level(logging.INFO):
        for dry in (True, False):
            response = await asked(plane, review(None, ASKED, user="eve@example.com", dryRun=dry), path)
            assert response["allowed"] is True
    records = [record for record in caplog.records if record.getMessage() == "risk_deleted"]
    assert len(records) == 1, "a dry run deletes nothing"
    fields = records[0].fields  # type: ignore[attr-defined]
    digest = given()["spec"]["digest"]
    assert fields == {
        "uid": "0b8e9f2a",
        "user": "eve@example.com",
        "kind": "RiskAcceptance",
        "namespace": "shop",
        "name": "legacy",
        "digest": digest,
    }


async def test_a_denied_deletion_is_not_recorded_as_one(
    start: Start, caplog: pytest.LogCaptureFixture
) -> None:
    appetite = {
        "apiVersion": "tidewaiter.dev/v1alpha1",
        "kind": "RiskAppetite",
        "metadata": {"name": "default"},
        "spec": {},
    }
    plane = await start(snapshot())
    with caplog.at_level(logging.INFO):
        response = await asked(plane, review(None, appetite, user="eve@example.com"))
    assert response["allowed"] is False
    assert "risk_deleted" not in [record.getMessage() for record in caplog.records]

"""A data plane on an in-process server."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp.test_utils import TestClient, TestServer

from tests.server.builders import Plane, Start, make_policy, make_snapshot
from webhook.core.snapshot import Snapshot
from webhook.server.app import DataPlane
from webhook.server.current import Current
from webhook.server.metrics import Metrics
from webhook.server.settings import Limits


@pytest.fixture
async def start() -> AsyncIterator[Start]:
    """Return a function that starts a data plane with a snapshot."""
    clients: list[TestClient[Any, Any]] = []

    async def start_plane(snapshot: Snapshot | None, limits: Limits | None = None, **parts: Any) -> Plane:
        current = Current(snapshot)
        make_judge = parts.pop("judge", None)
        judge = make_judge(current) if make_judge else None
        data_plane = DataPlane(current, Metrics(), limits or Limits(close_one_in=10**9), judge=judge, **parts)
        client = TestClient(TestServer(data_plane.application()))
        clients.append(client)
        await client.start_server()
        return Plane(data_plane, client)

    yield start_plane
    for client in clients:
        await client.close()


@pytest.fixture
async def plane(start: Start) -> Plane:
    """Return a data plane that refuses Pods named `bad`."""
    return await start(make_snapshot(make_policy()))

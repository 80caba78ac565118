"""A data plane on an in-process server."""

from __future__ import annotations

import inspect
import json
import math
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.server.builders import Plane, Start, make_policy, make_snapshot
from tests.server.serving import Server, policy_manifest, serving
from webhook.adapters.addresses import Address
from webhook.core.snapshot import Snapshot
from webhook.server.app import DataPlane
from webhook.server.connections import Connections
from webhook.server.current import Current
from webhook.server.metrics import Metrics
from webhook.server.settings import Limits
from webhook.server.sockets import bind


@pytest.fixture
async def start() -> AsyncIterator[Start]:
    """Return a function that starts a data plane with a snapshot."""
    async with AsyncExitStack() as stack:

        async def start_plane(
            snapshot: Snapshot | None, limits: Limits | None = None, *, shortcut: bool = True, **parts: Any
        ) -> Plane:
            limits = limits or Limits(move_every=math.inf)
            current = Current(snapshot)
            make_judge = parts.pop("judge", None)
            judge = make_judge(current) if make_judge else None
            if any(map(inspect.iscoroutinefunction, (judge, type(judge).__call__))):
                judge = partial(partial, judge)  # it waits, so it is only prepared at once
            data_plane = DataPlane(current, Metrics(), limits, judge=judge, **parts)
            listener = bind(Address("127.0.0.1", 0))
            port = listener.getsockname()[1]
            certificate = data_plane.certificate
            tls = certificate.listener if certificate is not None else None
            connections = Connections(
                listener, data_plane.answer, tls, limits, reviews=data_plane if shortcut else None
            )
            connections.open()
            stack.push_async_callback(connections.finish, 1)
            stack.callback(connections.close)
            client = await stack.enter_async_context(aiohttp.ClientSession(f"http://127.0.0.1:{port}"))
            return Plane(data_plane, client, connections, port)

        yield start_plane


@pytest.fixture
async def plane(start: Start) -> Plane:
    """Return a data plane that refuses Pods named `bad`."""
    return await start(make_snapshot(make_policy()))


@pytest.fixture
def policies(tmp_path: Path) -> Path:
    """Return a file with one policy."""
    file = tmp_path / "policy.json"
    file.write_text(json.dumps(policy_manifest()))
    return file


@pytest.fixture
def server(tmp_path: Path, policies: Path) -> Iterator[Server]:
    """Return real processes that serve that policy."""
    words = ("--policies", str(policies), "--workers", "2", "--drain-seconds", "0.5")
    with serving(tmp_path, *words) as started:
        yield started

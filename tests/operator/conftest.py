"""One real API server for all tests of the control plane, and clients for it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path

import pytest

from tests.controlplane import ControlPlane
from webhook.operator.client import KubernetesClient, connect


@pytest.fixture(scope="session")
def plane(assets: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    with ControlPlane(assets, tmp_path_factory.mktemp("plane")) as started:
        yield started


@pytest.fixture
async def client(plane: ControlPlane) -> AsyncIterator[KubernetesClient]:
    connected = await connect(str(plane.kubeconfig))
    yield connected
    await connected.close()


@pytest.fixture
def until() -> Callable[..., Awaitable[None]]:
    async def wait(condition: Callable[[], object], seconds: float = 10.0) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, f"not within {seconds} s"
            await asyncio.sleep(0.02)

    return wait

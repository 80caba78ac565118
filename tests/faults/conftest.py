"""One world for all tests that leave it as they found it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.controlplane import ControlPlane
from tests.faults.world import World


@pytest.fixture(scope="session")
def world(assets: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with ControlPlane(assets, tmp_path_factory.mktemp("faults")) as plane, World(plane) as started:
        yield started

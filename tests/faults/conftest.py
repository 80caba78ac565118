"""One world for all tests that leave it as they found it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.controlplane import ControlPlane
from tests.faults.world import World

QUICK = ("--settle-seconds", "2")
"""How long a step of a rotation waits: there is one API server, and it hears at once."""


@pytest.fixture(scope="session")
def world(assets: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with (
        ControlPlane(assets, tmp_path_factory.mktemp("faults")) as plane,
        World(plane, operator=QUICK) as started,
    ):
        yield started

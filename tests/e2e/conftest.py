"""One guarded cluster for all end-to-end tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.controlplane import ControlPlane
from tests.e2e.cluster import APPETITE, Cluster


@pytest.fixture(scope="session")
def cluster(assets: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    plane = ControlPlane(assets, tmp_path_factory.mktemp("e2e"), kcm=True)
    with plane, Cluster(plane) as started:
        started.apply(APPETITE, check=True)
        yield started

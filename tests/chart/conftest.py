"""Both Helms, and a cluster with one node."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.chart.container import unshare
from tests.chart.helm import Helm
from tests.chart.kubelet import Kubelet
from tests.conftest import _programs
from tests.controlplane import ControlPlane


@dataclass(frozen=True)
class Site:
    """A cluster with a node, and a Helm for it."""

    plane: ControlPlane
    kubelet: Kubelet
    helm: Helm


@pytest.fixture(scope="session")
def helms() -> Path:
    """Return the folder with Helm 3 as ``helm`` and Helm 4 as ``helm4``."""
    return _programs("KUBEBUILDER_ASSETS", ("helm", "helm4"), "helm (3) and helm4")


@pytest.fixture(params=["helm", "helm4"])
def helm(request: pytest.FixtureRequest, helms: Path, tmp_path: Path) -> Helm:
    """Return Helm 3, then Helm 4, without a cluster."""
    return Helm(helms / request.param, tmp_path)


# Each in a group, so that its tests run in their order and in one process.
@pytest.fixture(
    scope="module",
    params=[pytest.param(name, marks=pytest.mark.xdist_group(f"site-{name}")) for name in ("helm", "helm4")],
)
def site(
    request: pytest.FixtureRequest, assets: Path, helms: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Site]:
    """Return a fresh cluster for Helm 3, then one for Helm 4."""
    if unshare() is None:
        pytest.skip("this machine gives no process mounts of its own (unshare --mount)")
    folder = tmp_path_factory.mktemp(f"chart-{request.param}")
    with (
        ControlPlane(assets, folder / "plane", kcm=True) as plane,
        Kubelet(plane, folder / "pods") as kubelet,
    ):
        yield Site(plane, kubelet, Helm(helms / request.param, folder, plane))

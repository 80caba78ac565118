"""The control plane that the other tests stand on."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.controlplane import ControlPlane

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("operator")]


def test_it_serves_logs_and_stops(assets: Path, tmp_path: Path) -> None:
    with ControlPlane(assets, tmp_path / "plane") as plane:
        made = plane.kubectl("create", "configmap", "one", check=True)
        assert made.stdout.strip() == "configmap/one created"
        assert plane.kubectl("get", "configmap", "none").returncode == 1
        status, found = plane.request("GET", "/api/v1/namespaces/default/configmaps/one")
        assert (status, found["metadata"]["name"]) == (200, "one")
        assert any(event.get("objectRef", {}).get("name") == "one" for event in plane.audit_events())
        processes = list(plane._processes.values())
        assert len(processes) == 2
    assert all(process.poll() is not None for process in processes)

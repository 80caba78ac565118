"""The plain manifests are what the chart makes, and the API server takes them as they are."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.chart.helm import NAMESPACE, ROOT
from tests.controlplane import ControlPlane
from tests.e2e.cluster import eventually

DEPLOY = ROOT / "deploy"


@pytest.mark.parametrize("program", ["helm", "helm4"])
def test_the_manifests_are_what_the_chart_makes(helms: Path, tmp_path: Path, program: str) -> None:
    environment = {"HELM": str(helms / program), "HOME": str(tmp_path), "PATH": os.defpath}
    done = subprocess.run(
        [DEPLOY / "render"], capture_output=True, text=True, env=environment, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == (DEPLOY / "tidewaiter.yaml").read_text(), "run `make deploy`"


def test_nothing_in_them_is_helms() -> None:
    for each in yaml.load_all((DEPLOY / "tidewaiter.yaml").read_text(), Loader=yaml.CSafeLoader):
        metadata = each["metadata"]
        assert each["kind"] != "Job"
        assert not [name for name in metadata.get("annotations", {}) if name.startswith("helm.sh/")]
        assert "app.kubernetes.io/managed-by" not in metadata["labels"]
        assert metadata.get("namespace", NAMESPACE) == NAMESPACE


@pytest.fixture(scope="module")
def plane(assets: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    with ControlPlane(assets, tmp_path_factory.mktemp("deploy"), kcm=True) as started:
        yield started


@pytest.mark.e2e
@pytest.mark.xdist_group("chart-deploy")
def test_one_command_applies_them_to_a_fresh_cluster_and_one_removes_them(plane: ControlPlane) -> None:
    # What a fresh cluster takes in one go, and again, as Flux and Argo CD do.
    for _ in range(2):
        done = plane.kubectl("apply", "--server-side", "-k", str(DEPLOY))
        assert done.returncode == 0, done.stderr
        said = [line for line in done.stderr.splitlines() if "Sorting order is set both" not in line]
        assert not [line for line in said if "Warning" in line]
    found = plane.kubectl("get", "deployments", "-n", NAMESPACE, "-o", "name", check=True).stdout
    assert found == "deployment.apps/tidewaiter\n"
    # A kind that is removed while the API server still starts to serve it may stay for good:
    # InstanceDeletionFailed, "storage is (re)initializing".
    plane.kubectl("wait", "crds", "--all", "--for=condition=Established", "--timeout=60s", check=True)
    eventually(lambda: plane.kubectl("get", "tidewaiter", "-A").returncode == 0, "all kinds are served", 60)
    plane.kubectl("delete", "-k", str(DEPLOY), "--wait=false", check=True)

    kinds = "crds,clusterroles,validatingadmissionpolicies"

    def left() -> list[str]:
        # Names only: a controller takes our rules out of the role `view` in its own time.
        names = plane.kubectl("get", kinds, "-o", "name", check=True).stdout.split()
        return [name for name in names if "tidewaiter" in name]

    try:
        eventually(lambda: not left(), "all is gone, the kinds last", 240)
    except AssertionError as error:
        found = plane.kubectl("get", *left(), "-o", "yaml").stdout
        raise AssertionError(f"{error}; left are {left()}:\n{found[-6000:]}") from None

"""`tidewaiter crds apply` brings our kinds up to date and never back."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.controlplane import ControlPlane
from webhook.adapters import crds
from webhook.adapters.schema import KINDS
from webhook.cli import run

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("chart-crds")]

DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
ONE = f"{DEFINITIONS}/policies.tidewaiter.dev"


@pytest.fixture(scope="module")
def plane(assets: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    with ControlPlane(assets, tmp_path_factory.mktemp("crds")) as started:
        yield started


def apply(
    plane: ControlPlane, capsys: pytest.CaptureFixture[str], *words: str
) -> tuple[int, dict[str, str], str]:
    """Run the command; return its status, what it did to each kind, and its errors."""
    status = run(["crds", "apply", "--kubeconfig", str(plane.kubeconfig), *words])
    said = capsys.readouterr()
    lines = [line.partition(".tidewaiter.dev ") for line in said.out.splitlines()]
    return status, {name: done for name, _, done in lines}, said.err


def change(plane: ControlPlane, version: str | None) -> None:
    """Make a field of Policy that no schema of ours has, as if `version` had written it."""
    _, definition = plane.request("GET", ONE)
    versions = definition["spec"]["versions"]
    versions[0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]["other"] = {"type": "string"}
    body = {"metadata": {"annotations": {crds.VERSION_ANNOTATION: version}}, "spec": {"versions": versions}}
    status, answer = plane.request("PATCH", ONE, body, "application/merge-patch+json")
    assert status == 200, answer


def has_other(plane: ControlPlane) -> bool:
    _, definition = plane.request("GET", ONE)
    schema: dict[str, Any] = definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    return "other" in schema["properties"]["spec"]["properties"]


def test_it_makes_what_is_missing_and_then_changes_nothing(
    plane: ControlPlane, capsys: pytest.CaptureFixture[str]
) -> None:
    plurals = {kind.plural for kind in KINDS.values()}
    assert apply(plane, capsys) == (0, dict.fromkeys(plurals, "created"), "")
    # They are served: 429 says that the storage is about to be.
    for plural in plurals:
        assert plane.request("GET", f"/apis/tidewaiter.dev/v1alpha1/{plural}")[0] in (200, 429)
    assert apply(plane, capsys) == (0, dict.fromkeys(plurals, "unchanged"), "")


@pytest.mark.parametrize("version", ["0.0.9", None, "no version", ""])
def test_what_an_older_version_or_somebody_else_wrote_is_replaced(
    plane: ControlPlane, capsys: pytest.CaptureFixture[str], version: str | None
) -> None:
    apply(plane, capsys)
    change(plane, version)
    assert has_other(plane)
    _, done, _ = apply(plane, capsys)
    assert done["policies"] == "changed"
    assert not has_other(plane)


@pytest.mark.parametrize("version", ["0.1.1", "0.10.0", "1", "99.0.0-rc1"])
def test_what_a_newer_version_wrote_is_left(
    plane: ControlPlane, capsys: pytest.CaptureFixture[str], version: str
) -> None:
    apply(plane, capsys)
    change(plane, version)
    status, done, _ = apply(plane, capsys)
    assert status == 0
    assert done["policies"] == f"left alone: it is of version {version}, newer than 0.1.0"
    assert has_other(plane)
    change(plane, None)


def test_what_kubectl_applied_is_taken_over(plane: ControlPlane, capsys: pytest.CaptureFixture[str]) -> None:
    plane.kubectl("apply", "-k", "charts/tidewaiter/crds", check=True)
    change(plane, "0.0.1")
    assert apply(plane, capsys)[1]["policies"] == "changed"
    assert not has_other(plane)


def test_a_right_that_is_missing_is_named(
    plane: ControlPlane, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    config = json.loads(plane.kubeconfig.read_text())
    status, answer = plane.request(
        "POST",
        "/api/v1/namespaces/default/serviceaccounts",
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "nobody"}},
    )
    assert status == 201, answer
    token = plane.kubectl("create", "token", "nobody", check=True).stdout.strip()
    config["users"] = [{"name": "admin", "user": {"token": token}}]
    path = tmp_path / "kubeconfig"
    path.write_text(json.dumps(config))
    assert run(["crds", "apply", "--kubeconfig", str(path)]) == 2
    said = capsys.readouterr().err
    assert said.startswith("error: 403: ")
    assert "cannot get resource" in said
    assert "customresourcedefinitions" in said

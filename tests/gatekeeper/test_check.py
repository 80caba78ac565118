"""`tidewaiter check` on templates and constraints: judged like other policies, with file and line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.gatekeeper.gk import cel_template, constraint, thing
from webhook import cli

POD = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "web", "namespace": "shop"},
    "spec": {"containers": [{"name": "app", "image": "evil"}]},
}
DEPLOYMENT = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "web", "namespace": "shop"},
    "spec": {"template": {"metadata": {}, "spec": POD["spec"]}},
}
PODS = {"kinds": [{"apiGroups": [""], "kinds": ["Pod"]}]}


def write(folder: Path, *objects: Any) -> str:
    path = folder / "all.yaml"
    path.write_text("\n---\n".join(map(json.dumps, objects)))
    return str(path)


def test_a_constraint_denies_with_its_kind_and_name(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write(tmp_path, cel_template(), constraint(match=PODS), POD, thing(namespace="shop"))
    assert cli.run(["check", path]) == 1
    out = capsys.readouterr().out
    assert "Pod shop/web denied\n  deny (high) K8sRefused/refused\n      refused\n" in out
    assert out.endswith("2 objects, 1 denied, 0 warned, 0 with an accepted risk, 0 errors\n")


def test_a_constraint_for_pods_judges_what_a_workload_will_make(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write(tmp_path, cel_template(), constraint(match=PODS), DEPLOYMENT)
    assert cli.run(["check", path]) == 1
    assert "Deployment shop/web denied" in capsys.readouterr().out


BROKEN = """\
apiVersion: templates.gatekeeper.sh/v1
kind: ConstraintTemplate
metadata:
  name: k8sbroken
spec:
  crd: {spec: {names: {kind: K8sBroken}}}
  targets:
    - target: admission.k8s.gatekeeper.sh
      code:
        - engine: K8sNativeValidation
          source:
            validations:
              - message: m
                expression: |
                  true &&
                  ) object
"""


PLACE = "spec.targets[0].code[0].source.validations[0].expression: 2:"


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        (
            BROKEN,
            16,
            "ConstraintTemplate k8sbroken: " + PLACE,
        ),
        (
            json.dumps(constraint(mtach={})),
            1,
            "K8sRefused refused: there is no ConstraintTemplate for",
        ),
        (
            f"{json.dumps(cel_template())}\n---\n{json.dumps(constraint(mtach={}))}",
            3,
            "K8sRefused refused: spec.mtach: unknown fields: spec.mtach",
        ),
        (
            (
                "apiVersion: syncset.gatekeeper.sh/v1alpha1\nkind: SyncSet\n"
                "metadata: {name: s}\nspec:\n  gvks:\n  - {kind: Pod}\n"
            ),
            6,
            "SyncSet s: needs a version and a kind",
        ),
    ],
)
def test_what_can_not_be_used_is_named_with_its_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, line: int, said: str
) -> None:
    path = tmp_path / "all.yaml"
    path.write_text(text)
    assert cli.run(["check", str(path)]) == 2
    assert f"error: {path}:{line}: {said}" in capsys.readouterr().err


def test_a_template_alone_is_told_to_compile(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write(tmp_path, cel_template(), cel_template("K8sOther"))
    assert cli.run(["check", path]) == 0
    told = capsys.readouterr().err
    assert f"note: {path}:1: ConstraintTemplate k8srefused compiles; " in told
    assert f"note: {path}:3: ConstraintTemplate k8sother compiles; " in told
    assert "there is no constraint of kind K8sOther among the paths" in told


@pytest.mark.parametrize("command", ["check", "report"])
def test_objects_with_a_template_that_has_no_constraint_are_not_judged(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    assert cli.run([command, write(tmp_path, cel_template(), POD)]) == 2
    said = "error: the template compiles, but there is no constraint of kind K8sRefused among the paths"
    assert said in capsys.readouterr().err


def test_a_broken_template_alone_fails_with_its_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "all.yaml"
    path.write_text(f"{json.dumps(cel_template('K8sOther'))}\n---\n{BROKEN}")
    assert cli.run(["check", str(path)]) == 2
    told = capsys.readouterr().err
    assert f"error: {path}:18: ConstraintTemplate k8sbroken: {PLACE}" in told
    assert "compiles" not in told

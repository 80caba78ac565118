"""`tidewaiter gatekeeper compare`: no difference where there is none, and every one that there is."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.gatekeeper import oracle
from tests.gatekeeper.gk import cel_template, constraint, thing
from webhook import cli
from webhook.adapters import gator_compare
from webhook.adapters.gator_compare import Row

OBJECTS = [
    cel_template(),
    constraint(),
    constraint(name="cluster", match={"scope": "Cluster"}),
    thing("Namespace", "shop"),
    thing(namespace="shop"),
    thing(namespace="default"),
    thing("ClusterRole", "admin", "rbac.authorization.k8s.io/v1"),
]


def write(folder: Path, objects: Sequence[Any]) -> str:
    path = folder / "all.yaml"
    path.write_text("\n---\n".join(map(json.dumps, objects)))
    return str(path)


def test_both_say_the_same(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["gatekeeper", "compare", write(tmp_path, OBJECTS), "--gator", str(oracle.program())]
    assert cli.run(words) == 0, capsys.readouterr()
    assert capsys.readouterr().out == "4 objects, 2 constraints: 5 results the same, 0 different\n"


def fake(folder: Path, said: str) -> str:
    program = folder / "gator"
    program.write_text(f"#!{sys.executable}\nprint({said!r})\n")
    program.chmod(0o755)
    return str(program)


def test_every_difference_is_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    told = [
        {
            "msg": "something else",
            "violatingObject": thing(namespace="shop"),
            "constraint": constraint(),
            "enforcementAction": "deny",
        }
    ]
    program = fake(tmp_path, json.dumps(told))
    path = write(tmp_path, [cel_template(), constraint(), thing(namespace="shop")])
    assert cli.run(["gatekeeper", "compare", path, "--gator", program]) == 1
    out = capsys.readouterr().out
    assert "only gator ConfigMap shop/thing K8sRefused/refused\n    something else" in out
    assert "only tidewaiter ConfigMap shop/thing K8sRefused/refused\n    refused" in out
    assert cli.run(["gatekeeper", "compare", path, "--gator", program, "-o", "json"]) == 1
    data = json.loads(capsys.readouterr().out)
    assert (data["same"], len(data["onlyOther"]), len(data["onlyTidewaiter"])) == (0, 1, 1)


@pytest.mark.parametrize(
    ("objects", "said", "why"),
    [
        ([cel_template(), constraint()], "Error: broken", "gator refuses the input: Error: broken"),
        ([constraint()], "[]", "there is no ConstraintTemplate for K8sRefused"),
        ([thing()], "[]", "there is no constraint among the paths"),
        (
            [cel_template(), cel_template("K8sOther")],
            "[]",
            "the 2 templates compile, but there is no constraint of kind K8sRefused or K8sOther among",
        ),
    ],
)
def test_what_can_not_be_compared_says_why(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], objects: Any, said: str, why: str
) -> None:
    program = fake(tmp_path, said)
    assert cli.run(["gatekeeper", "compare", write(tmp_path, objects), "--gator", program]) == 2
    assert why in capsys.readouterr().err


def test_all_that_can_not_be_used_is_told_with_file_and_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = cel_template("K8sBroken", validations=[{"expression": "true &&"}])
    path = write(tmp_path, [cel_template(), constraint(mtach={}), broken, constraint("K8sGone")])
    (tmp_path / "other.yaml").write_text("a: [")
    assert cli.run(["gatekeeper", "compare", str(tmp_path), "--gator", fake(tmp_path, "[]")]) == 2
    told = capsys.readouterr().err
    assert f"error: {path}:3: K8sRefused refused: spec.mtach: unknown fields: spec.mtach" in told
    assert (
        f"error: {path}:5: ConstraintTemplate k8sbroken: spec.targets[0].code[0].source.validations[0]"
        in told
    )
    assert f"error: {path}:7: K8sGone refused: there is no ConstraintTemplate for K8sGone" in told
    assert f"error: {tmp_path / 'other.yaml'}:2: no valid YAML" in told


def test_nothing_to_judge_is_noted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write(tmp_path, [cel_template(), constraint()])
    assert cli.run(["gatekeeper", "compare", path, "--gator", fake(tmp_path, "[]")]) == 0
    told = capsys.readouterr()
    assert told.out == "0 objects, 1 constraint: 0 results the same, 0 different\n"
    assert told.err == "note: there was nothing to judge among the paths\n"


def test_a_program_that_is_not_there_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write(tmp_path, OBJECTS)
    assert cli.run(["gatekeeper", "compare", path, "--gator", str(tmp_path / "none")]) == 2
    assert "there is no such program" in capsys.readouterr().err


def test_messages_are_cut_as_gatekeeper_cuts_them() -> None:
    assert gator_compare.cut("a" * 256) == "a" * 256
    assert gator_compare.cut("a" * 257) == "a" * 253 + "..."


def test_a_status_says_what_the_audit_found() -> None:
    status = {
        "totalViolations": 3,
        "auditTimestamp": "2026-11-27T12:00:00Z",
        "violations": [{"kind": "Pod", "namespace": "shop", "name": "web", "message": "m"}],
    }
    rows, total, when = gator_compare.in_status({**constraint(), "status": status})
    assert rows == [Row("Pod", "shop", "web", "K8sRefused/refused", "m")]
    assert (total, when) == (3, "2026-11-27T12:00:00Z")
    assert gator_compare.in_status(constraint()) == ([], 0, "")

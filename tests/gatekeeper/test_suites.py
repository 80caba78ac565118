"""`tidewaiter verify` on suites of gator's: what passes there passes here, and what fails says where."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from webhook import cli

FOLDER = Path(__file__).parent / "suites"
SUITES = sorted(FOLDER.glob("*/suite.yaml"))


@pytest.mark.parametrize("suite", SUITES, ids=lambda path: path.parent.name)
def test_every_case_passes(suite: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["verify", str(suite)]) == 0, capsys.readouterr()
    assert " 0 failed" in capsys.readouterr().out


def _changed(folder: Path, before: str, after: str, file: str = "suite.yaml") -> Path:
    shutil.copytree(FOLDER / "cel", folder / "cel")
    path = folder / "cel" / file
    text = path.read_text()
    assert before in text
    path.write_text(text.replace(before, after, 1))
    return folder / "cel"


@pytest.mark.parametrize(
    ("file", "before", "after", "line", "said"),
    [
        (
            "suite.yaml",
            "violations: 2",
            "violations: 3",
            23,
            ["got 2 violations, and exactly 3 must come", "got: the labels owner are missing"],
        ),
        (
            "suite.yaml",
            "message: the labels",
            "message: no labels",
            24,
            ["containing 'no labels owner are missing'"],
        ),
        ("suite.yaml", "object: good.yaml", "object: gone.yaml", 11, ["gone.yaml: no such file"]),
        (
            "suite.yaml",
            "invalid: true",
            "cases: []",
            37,
            ["spec.parameters.labels[0].key: 'OWNER' should match"],
        ),
        (
            "suite.yaml",
            "constraint: invalid.yaml",
            "constraint: constraint.yaml",
            38,
            ["should have failed schema"],
        ),
        (
            "template.yaml",
            "'the labels '",
            "'the labels ",
            7,
            ["template.yaml:51: ", "validations[0].messageExpression"],
        ),
        (
            "suite.yaml",
            "- violations: no",
            "- violations: perhaps",
            13,
            ['must be a nonnegative integer, "yes", or "no"'],
        ),
        (
            "suite.yaml",
            "message: the labels owner",
            "message: the (labels owner",
            24,
            ["is no regular expression"],
        ),
    ],
)
def test_what_fails_says_where(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    file: str,
    before: str,
    after: str,
    line: int,
    said: Any,
) -> None:
    folder = _changed(tmp_path, before, after, file)
    assert cli.run(["verify", str(folder)]) == 1
    out = capsys.readouterr().out
    assert f"suite.yaml:{line}: owner-label: " in out
    for text in said:
        assert text in out


def test_an_unknown_field_is_read_past_with_a_note_of_the_nearest_name(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = _changed(tmp_path, "invalid: true", "invalid: true\n    skipp: false")
    assert cli.run(["verify", str(folder)]) == 0
    assert "note: " in (said := capsys.readouterr().err)
    assert "did you mean skip?" in said


def test_a_field_of_another_type_is_an_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = _changed(tmp_path, "invalid: true", "invalid: perhaps")
    assert cli.run(["verify", str(folder)]) == 2
    assert "tests[1].invalid: must be true or false" in capsys.readouterr().err

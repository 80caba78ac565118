"""Each builtin gives what the tables say, and the tables say what OPA gives."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.rego.builtins.table import Row, ask, evaluate, read

TABLES = sorted((Path(__file__).parent / "tables").glob("*.txt"))
ROWS = [row for path in TABLES for row in read(path)]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row.file}:{row.line}")
def test_result_is_the_tables(row: Row) -> None:
    assert evaluate(row.expression) == row.expected, row.expression


@pytest.mark.parametrize("path", TABLES, ids=lambda path: path.stem)
def test_table_is_opas(path: Path, opa: Path) -> None:
    rows = read(path)
    answers = ask(opa, [row.expression for row in rows])
    if os.environ.get("TIDEWAITER_UPDATE_GOLDEN"):
        _update(path, iter(answers))
        return
    differing = [
        f"{path.name}:{row.line}: {row.expression}: {row.expected}, but OPA: {answer}"
        for row, answer in zip(rows, answers, strict=True)
        if row.expected != answer
    ]
    assert not differing, "\n".join(differing)


def _update(path: Path, answers: object) -> None:
    lines = []
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.strip() and not line.startswith("#"):
            expression = line.partition(" => ")[0].strip()
            line = f"{expression} => {next(answers)}"  # type: ignore[call-overload]
        lines.append(line)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")

"""What is generated is what the sources say."""

from __future__ import annotations

from pathlib import Path

import click
import pytest

from webhook.adapters import crds, reference
from webhook.adapters.schema import KINDS
from webhook.adapters.yaml_text import decode_yaml
from webhook.cli import run
from webhook.commands.cli_reference import render
from webhook.commands.generate import API, CRDS

ROOT = Path(__file__).parents[2]


def test_the_committed_files_are_up_to_date(capsys: pytest.CaptureFixture[str]) -> None:
    status = run(["generate", "--check", "--root", str(ROOT)])
    assert (status, capsys.readouterr().err) == (0, "")


def test_check_names_what_differs_and_writes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["generate", "--root", str(tmp_path)]) == 0
    assert run(["generate", "--check", "--root", str(tmp_path)]) == 0
    (tmp_path / API).write_text("edited")
    (tmp_path / CRDS / "stale.yaml").write_text("old")
    capsys.readouterr()
    assert run(["generate", "--check", "--root", str(tmp_path)]) == 1
    said = capsys.readouterr().err.splitlines()
    assert said == [
        f"{API} differs from its source: run `tidewaiter generate`",
        f"{CRDS}/stale.yaml differs from its source: run `tidewaiter generate`",
    ]
    assert (tmp_path / API).read_text() == "edited"
    assert run(["generate", "--root", str(tmp_path)]) == 0
    assert run(["generate", "--check", "--root", str(tmp_path)]) == 0


def test_every_definition_is_plain_yaml_of_its_kind() -> None:
    files = crds.render_all()
    for kind in KINDS.values():
        (document,) = decode_yaml(files[crds.file_name(kind)], "crd")
        assert document.value == crds.definition(kind)
        assert document.value["spec"]["names"]["categories"] == ["tidewaiter"]


def test_the_reference_names_every_field_of_every_kind() -> None:
    text = reference.render()
    for kind in KINDS.values():
        section = (
            "ClusterPolicy"
            if kind.kind == "Policy"
            else kind.kind.replace("ClusterRiskApproval", "RiskApproval")
        )
        body = text.partition(f"### Spec of {section}\n")[2].partition("### Status")[0]
        assert all(f"`spec.{name}`" in body for name in kind.spec.fields)


def test_the_command_line_reference_follows_the_commands() -> None:
    @click.group()
    def top() -> None:
        """Do things."""

    @top.command()
    @click.argument("path", nargs=-1)
    @click.option("--at", metavar="TIME", default="now", show_default=True, help="When | then.")
    def check(path: str, at: str) -> None:
        """Judge.

        More words.
        """

    text = render(top)
    assert (
        "### tidewaiter check\n\n```\ntidewaiter check [OPTIONS] [PATH]...\n```\n\nJudge.\n\nMore words.\n"
        in text
    )
    assert "| `--at TIME` | When \\| then. [default: now] |" in text

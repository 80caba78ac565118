"""The command line: lists all, imports little, and says clearly what is wrong."""

from __future__ import annotations

import subprocess
import sys
import types

import click
import pytest

from webhook import cli
from webhook.core.errors import InputError


@click.command()
@click.argument("outcome")
def probe(outcome: str) -> int:
    """Do what the argument names."""
    if outcome == "input":
        raise InputError("no such kind", "shop.yaml", 7)
    if outcome == "interrupt":
        raise KeyboardInterrupt
    return int(outcome)


COMMANDS = tuple(cli.SUBCOMMANDS)


@pytest.fixture(autouse=True)
def _probe(monkeypatch: pytest.MonkeyPatch) -> None:
    module = types.ModuleType("probe_command")
    module.command = probe  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "probe_command", module)
    entry = cli.Subcommand("probe_command", "command", "Probe.")
    monkeypatch.setattr(cli, "SUBCOMMANDS", {**cli.SUBCOMMANDS, "probe": entry})


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        (["probe", "0"], 0),
        (["probe", "1"], 1),
        (["probe", "input"], 2),
        (["probe", "interrupt"], 130),
        (["probe"], 2),
        (["chek"], 2),
        (["probe", "0", "--colour"], 2),
        (["version"], 0),
        (["--version"], 0),
        (["--help"], 0),
    ],
)
def test_exit_status(arguments: list[str], status: int) -> None:
    assert cli.run(arguments) == status


def test_bad_input_is_one_line_with_its_place(capsys: pytest.CaptureFixture[str]) -> None:
    cli.run(["probe", "input"])
    assert capsys.readouterr().err == "error: shop.yaml:7: no such kind\n"


def test_an_unknown_command_names_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    cli.run(["chek"])
    assert "There is no command 'chek'. Did you mean 'check'?" in capsys.readouterr().err


def test_help_lists_every_command_and_imports_none() -> None:
    script = (
        "import sys; from webhook import cli; cli.run(['--help']);"
        "loaded = sorted(m for m in sys.modules if m.startswith('webhook.commands.')"
        " or m.split('.')[0] in ('aiohttp', 'kopf', 'kubernetes_asyncio', 'rich', 'yaml', 'orjson', 're2'));"
        "print('LOADED', loaded)"
    )
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert "LOADED []" in result.stdout
    for name in COMMANDS:
        assert f"\n  {name} " in result.stdout

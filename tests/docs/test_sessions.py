"""Tutorials that are one shell session: every command of a page runs in its order, and prints what is shown.

A block under ``<!-- session -->`` belongs to it. `TIDEWAITER_UPDATE_GOLDEN=1` writes the present outputs into
the page, but for those with an ellipsis.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from docs_pages import ROOT, blocks, pattern, replace, turns

_UPDATE = os.environ.get("TIDEWAITER_UPDATE_GOLDEN") == "1"
_MARK = "\x1e"
# Each command is a process of its own: on a busy machine that takes its time.
pytestmark = pytest.mark.timeout(900)
_PAGES = sorted({block.page for block in blocks() if block.mark == "session"})


@pytest.mark.parametrize("page", _PAGES, ids=lambda page: page.name)
def test_a_session_prints_what_is_shown(page: Path, tmp_path: Path) -> None:
    mine = [block for block in blocks() if block.page == page and block.mark == "session"]
    for program in ("ssh-keygen",):
        if shutil.which(program) is None:
            assert os.environ.get("CI") != "true", f"there is no {program} in PATH"
            pytest.skip(f"there is no {program} in PATH")
    steps = [(block, turn) for block in mine for turn in turns(block.body)]
    printed = session([prompt for _, (prompt, _) in steps], tmp_path)
    fresh: dict[int, str] = {}
    for (block, (prompt, shown)), said in zip(steps, printed, strict=True):
        assert "Traceback" not in said, said
        keep = "…" in shown or not _UPDATE
        fresh[block.line] = fresh.get(block.line, "") + f"$ {prompt}\n{shown if keep else said}"
        if keep:
            assert pattern(shown).fullmatch(said), f"{prompt}\nprinted:\n{said}"
    for block in reversed(mine):
        if _UPDATE and fresh[block.line] != block.body:
            replace(block, fresh[block.line])


def session(commands: list[str], folder: Path) -> list[str]:
    """Run commands in one shell, and return what each printed, to both outputs."""
    command = folder / "bin" / "tidewaiter"
    command.parent.mkdir()
    command.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m webhook "$@"\n')
    command.chmod(0o755)
    (folder / "docs").symlink_to(ROOT / "docs")
    environment = {
        **os.environ,
        "PATH": f"{command.parent}:{os.environ.get('PATH', '')}",
        "PYTHONPATH": str(ROOT),
        "COLUMNS": "100",
    }
    script = "".join(f"echo '{_MARK}'\n{each}\n" for each in commands)
    done = subprocess.run(
        ["sh", "-c", script],
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=850,
        check=False,
    )
    return done.stdout.split(f"{_MARK}\n")[1:]


def test_a_session_is_one_shell(tmp_path: Path) -> None:
    printed = session(["mkdir a", "cd a", "pwd | sed 's|.*/||'", "tidewaiter nothing"], tmp_path)
    assert printed[:3] == ["", "", "a\n"]
    assert "nothing" in printed[3]

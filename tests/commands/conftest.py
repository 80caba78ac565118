"""Runs the command line in this process, and builds the manifests that its tests share."""

from __future__ import annotations

import importlib.util
import io
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from webhook import cli

# Makes the builders importable by name: tests have no packages.
_SPEC = importlib.util.spec_from_file_location("offline_manifests", Path(__file__).with_name("manifests.py"))
assert _SPEC is not None
assert _SPEC.loader is not None
if "offline_manifests" not in sys.modules:
    _MODULE = importlib.util.module_from_spec(_SPEC)
    sys.modules["offline_manifests"] = _MODULE
    _SPEC.loader.exec_module(_MODULE)


class Outcome(NamedTuple):
    """What a command left behind."""

    status: int
    out: str
    err: str

    @property
    def data(self) -> Any:
        return json.loads(self.out)


Run = Callable[..., Outcome]


class _Stdin(io.StringIO):
    def __init__(self, data: bytes) -> None:
        super().__init__()
        self.buffer = io.BytesIO(data)


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Return what runs `tidewaiter` with words, and says how it ended."""

    def call(*words: str, stdin: str | bytes = b"") -> Outcome:
        data = stdin.encode() if isinstance(stdin, str) else stdin
        monkeypatch.setattr("sys.stdin", _Stdin(data))
        capsys.readouterr()
        status = cli.run(list(words))
        captured = capsys.readouterr()
        return Outcome(status, captured.out, captured.err)

    return call


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return an empty folder that is the working directory."""
    monkeypatch.chdir(tmp_path)
    return tmp_path

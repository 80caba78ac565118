"""gator, asked: what it says of objects, given templates and constraints."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest

Object = Mapping[str, Any]


def program() -> Path:
    """Return gator; the test is skipped where there is none, and fails in CI."""
    folder = os.environ.get("TIDEWAITER_ORACLES", "")
    path = Path(folder, "gator")
    if folder and path.exists():
        return path
    why = "TIDEWAITER_ORACLES is not set: set TIDEWAITER_ORACLES to a folder with gator"
    if os.environ.get("CI") == "true":
        pytest.fail(why)
    pytest.skip(why)


def judged(folder: Path, objects: Iterable[Object]) -> list[tuple[str, str, str, str]]:
    """Return what ``gator test`` finds: the object, the constraint, the action and the message of each."""
    file = folder / "objects.json"
    file.write_text("\n---\n".join(json.dumps(obj) for obj in objects))
    done = subprocess.run(
        [str(program()), "test", "--output", "json", "--filename", str(file)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    if done.returncode and not done.stdout.strip():
        raise AssertionError(done.stderr)
    found = json.loads(done.stdout) or []
    return sorted(
        (
            _name(each["violatingObject"]),
            each["constraint"]["metadata"]["name"],
            each.get("enforcementAction", ""),
            each.get("msg", ""),
        )
        for each in found
    )


def verify(path: str, *options: str) -> tuple[int, str]:
    """Return how ``gator verify`` of a path ends, and what it writes."""
    done = subprocess.run(
        [str(program()), "verify", "--verbose", path, *options],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


def _name(obj: Object) -> str:
    metadata = obj["metadata"]
    return f"{obj['kind']} {metadata.get('namespace', '')}/{metadata.get('name', '')}"

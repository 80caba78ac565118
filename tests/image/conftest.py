"""The image's content, installed into an empty folder by the very script that the Dockerfile runs."""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
USER = 65532
"""The Dockerfile's; a test compares."""


@dataclass(frozen=True)
class Image:
    """What the image would have, and how to run it as the image does.

    Attributes:
        root: the folder with `opt`, which stands for the image's /opt/tidewaiter.
    """

    root: Path

    @property
    def opt(self) -> Path:
        return self.root / "opt"

    def run(self, *command: str, **more: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command,
            capture_output=True,
            text=True,
            timeout=120,
            cwd="/",
            env=more,  # nothing else: an image's environment has no HOME and no PATH to rely on
            check=False,
            **identity(),
        )

    def program(self) -> str:
        return str(self.opt / "bin/tidewaiter")


def identity() -> dict[str, int | list[int]]:
    """Return how to start a process as the image's user, where this process may do that."""
    return {"user": USER, "group": USER, "extra_groups": []} if os.getuid() == 0 else {}


def interpreter() -> str:
    """Return a Python that the image's user may run: root's own usually may not be."""
    names = [f"python3.{minor}" for minor in range(sys.version_info.minor, 10, -1)]
    others = [shutil.which(name, path="/usr/local/bin:/usr/bin") for name in names]
    for candidate in (getattr(sys, "_base_executable", sys.executable), *others):
        if candidate and (os.getuid() != 0 or _open_to_others(Path(candidate).resolve())):
            return str(candidate)
    pytest.skip("no Python 3.11 or newer that another user may run")


def _open_to_others(path: Path) -> bool:
    return all(each.stat().st_mode & stat.S_IXOTH for each in (path, *path.parents))


def context() -> list[str]:
    """Return the names that .dockerignore lets into the build."""
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    assert "*" in lines
    patterns = [line[1:] for line in lines if line.startswith("!")]
    return sorted(path.name for pattern in patterns for path in ROOT.glob(pattern))


@pytest.fixture(scope="session")
def image() -> Iterator[Image]:
    python = interpreter()
    root = Path(tempfile.mkdtemp(prefix="tidewaiter-image-"))
    try:
        root.chmod(0o755)
        source = root / "source"
        source.mkdir()
        for name in context():
            here = ROOT / name
            if here.is_dir():
                shutil.copytree(here, source / name, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy2(here, source / name)
        built = Image(root)
        done = subprocess.run(
            [source / "image/install.sh", python, source, built.opt],
            capture_output=True,
            text=True,
            timeout=280,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        shutil.rmtree(source)
        _set_writable(built.opt, writable=False)
        yield built
    finally:
        with contextlib.suppress(FileNotFoundError):
            _set_writable(root / "opt", writable=True)
        shutil.rmtree(root)


def _set_writable(folder: Path, *, writable: bool) -> None:
    for path in (folder, *folder.rglob("*")):
        if not path.is_symlink():
            mode = path.stat().st_mode
            path.chmod(mode | stat.S_IWUSR if writable else mode & ~0o222)

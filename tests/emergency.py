"""The commands of the page for emergencies: tests run them as an administrator would."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from tests.controlplane import ControlPlane

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs/how-to/emergency.md"
_BLOCK = re.compile(r"^<!-- rehearsed: (.+?) -->\n```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)
BLOCKS = dict(_BLOCK.findall(PAGE.read_text(encoding="utf-8")))


def run(plane: ControlPlane, name: str, programs: Path | None = None) -> str:
    """Run a block of the page from the root of the repository; return what it prints.

    Args:
        plane: the cluster, as its administrator.
        name: of the block.
        programs: a folder with further programs, such as Helm.
    """
    folders = [
        *([programs] if programs else []),
        plane.assets,
        Path(sys.executable).parent,
        os.environ["PATH"],
    ]
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", BLOCKS[name]],
        env={
            "PATH": ":".join(map(str, folders)),
            "KUBECONFIG": str(plane.kubeconfig),
            "HOME": str(plane.workdir),
        },
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert done.returncode == 0, f"{BLOCKS[name]}\n{done.stdout}{done.stderr}"
    return done.stdout

"""Helm as a program, with folders of its own."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from tests.controlplane import ControlPlane

ROOT = Path(__file__).parents[2]
CHART = ROOT / "charts/tidewaiter"
NAMESPACE = "tidewaiter-system"


def objects_in(text: str) -> list[dict[str, Any]]:
    """Return the objects of manifests in the order in which they are made: those of a List one by one."""
    found = []
    for each in yaml.load_all(text, Loader=yaml.CSafeLoader):
        if each:
            found += each["items"] if each["kind"] == "List" else [each]
    return found


class Helm:
    """One version of Helm.

    Args:
        program: the binary.
        home: an own folder for what it keeps.
        plane: the cluster; None for what needs none.
    """

    def __init__(self, program: Path, home: Path, plane: ControlPlane | None = None) -> None:
        self.program = program
        self.home = home
        self.plane = plane

    def run(
        self, *words: str, values: Mapping[str, Any] | None = None, check: bool = True
    ) -> subprocess.CompletedProcess[str]:
        """Run it; `values` come from standard input."""
        more = ["--values", "-"] if values is not None else []
        environment = {"HOME": str(self.home), "PATH": "/usr/bin:/bin"}
        if self.plane is not None:
            environment["KUBECONFIG"] = str(self.plane.kubeconfig)
        done = subprocess.run(
            [self.program, *words, *more],
            input=json.dumps(values) if values is not None else None,
            stdin=subprocess.DEVNULL if values is None else None,
            capture_output=True,
            text=True,
            timeout=280,
            env=environment,
            check=False,
        )
        assert not check or done.returncode == 0, f"helm {' '.join(words)}\n{done.stdout}{done.stderr}"
        return done

    def template(self, values: Mapping[str, Any] | None = None, *words: str) -> list[dict[str, Any]]:
        """Return what the chart makes of `values`."""
        command = ["template", "tidewaiter", str(CHART), "--namespace", NAMESPACE, *words]
        text = self.run(*command, values=values or {}).stdout
        return objects_in(text)

    def refusal(self, values: Mapping[str, Any]) -> str:
        """Return why the chart refuses `values`."""
        done = self.run("template", "tidewaiter", str(CHART), values=values, check=False)
        assert done.returncode != 0, "not refused"
        return done.stderr

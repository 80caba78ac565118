"""Checks modules with ours and with OPA's front end, and finds the modules of OPA's own cases."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tests.rego.conformance import Case, cases
from tests.rego.opa_server import Opa
from webhook.rego.ast import Version
from webhook.rego.compile import Compiled, compile_modules
from webhook.rego.errors import RegoError
from webhook.rego.parser import parse_module

VERSIONS: tuple[Version, ...] = ("v0", "v1")


def compiled(modules: Mapping[str, str], version: Version) -> Compiled:
    return compile_modules({name: parse_module(text, name, version) for name, text in modules.items()})


def problems(text: str, version: Version) -> list[str]:
    """Say what we refuse, in order of places."""
    try:
        compiled({"t.rego": text}, version)
    except RegoError as error:
        found = error.problems
        return sorted(f"{p.location.row}:{p.location.column}: {p.code}: {p.message}" for p in found)
    return []


def problems_of_opa(opa: Opa, text: str, *, keep: bool = False) -> list[str]:
    """Say what OPA refuses, in order of places; what it takes may be kept."""
    status, answer = opa.ask("PUT", "/v1/policies/t.rego", text)
    if status == 200:
        if not keep:
            opa.ask("DELETE", "/v1/policies/t.rego", "")
        return []
    found = answer.get("errors") or [answer]
    nowhere = {"row": 0, "col": 0}
    places = [p.get("location") or nowhere for p in found]
    return sorted(
        f"{at['row']}:{at['col']}: {p['code']}: {p['message']}" for p, at in zip(found, places, strict=True)
    )


def unplaced(found: list[str]) -> list[str]:
    """Return problems without their places."""
    return [one.partition(": ")[2] for one in found]


def tree_of_opa(program: Path, file: Path, version: Version) -> dict[str, Any] | None:
    """Parse a file with OPA; None if it refuses it."""
    command = [str(program), "parse", "--format", "json", f"--{version}-compatible", str(file)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    tree: dict[str, Any] | None = json.loads(done.stdout) if done.returncode == 0 else None
    return tree


def own_cases(folder: Path, version: Version) -> Iterator[Case]:
    """Give OPA's own cases that have modules."""
    for case in cases(folder, version):
        if case.fields.get("modules"):
            yield case

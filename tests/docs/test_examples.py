"""What the pages show is real: manifests are valid, files as they are, outputs what the commands print.

`TIDEWAITER_UPDATE_GOLDEN=1` writes the present files and outputs into the pages. An output with an ellipsis
is left alone: a line that is only ``…`` stands for any lines, and ``…`` in a line for any text.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from docs_pages import ROOT, Block, blocks, pattern, replace, turns

from webhook.adapters import manifests, strict
from webhook.adapters.signatures import check, statement
from webhook.adapters.suite_shape import misshapen
from webhook.cli import run
from webhook.core.acceptance import digest_of, parse_acceptance
from webhook.core.appetite import parse_appetite
from webhook.core.approvals import parse_approval
from webhook.core.model import GROUP
from webhook.dialects.native import compile_policy

_UPDATE = os.environ.get("TIDEWAITER_UPDATE_GOLDEN") == "1"
_FILES = sorted((ROOT / "docs").rglob("*.yaml"))


def _judge_own(obj: dict[str, Any]) -> None:
    """Raise unless `obj` is a valid object of our own kinds, or not of our kinds."""
    if not str(obj.get("apiVersion", "")).startswith(f"{GROUP}/"):
        return
    kind = obj["kind"]
    if kind == "Suite":
        assert not list(misshapen(obj))
        return
    problems = strict.validate(obj)
    assert not problems, [str(problem) for problem in problems]
    if kind in ("ClusterPolicy", "Policy"):
        compile_policy(obj)
    elif kind.endswith("RiskAcceptance"):
        parse_acceptance(obj)
    elif kind.endswith("RiskApproval"):
        parse_approval(obj)
    else:
        parse_appetite(obj)


def _blocks(language: str, mark: str = "") -> list[Any]:
    return [
        pytest.param(block, id=str(block))
        for block in blocks()
        if block.language == language and block.mark.startswith(mark)
    ]


@pytest.mark.parametrize("block", _blocks("yaml"))
def test_manifests_in_pages_are_valid(block: Block) -> None:
    for obj in yaml.safe_load_all(block.body):
        if isinstance(obj, dict) and "kind" in obj:
            _judge_own(json.loads(json.dumps(obj, default=str)))


@pytest.mark.parametrize("file", _FILES, ids=lambda file: str(file.relative_to(ROOT)))
def test_manifests_beside_pages_are_valid(file: Path) -> None:
    found = manifests.read([str(file)])
    assert not found.errors
    for document in found:
        _judge_own(document.object)


def test_approvals_beside_pages_carry_the_digest_of_their_acceptance() -> None:
    objects = [document.object for document in manifests.read([str(file) for file in _FILES])]
    digests = {obj["metadata"]["name"]: digest_of(obj) for obj in objects if obj["kind"] == "RiskAcceptance"}
    approvals = [obj for obj in objects if obj["kind"] == "RiskApproval"]
    assert approvals
    for approval in approvals:
        assert approval["spec"]["digest"] == digests[approval["spec"]["riskAcceptance"]]


@pytest.mark.parametrize("block", _blocks("yaml", mark="file: "))
def test_files_are_shown_as_they_are(block: Block) -> None:
    file = ROOT / block.mark.removeprefix("file: ")
    content = file.read_text()
    if _UPDATE and content != block.body:
        replace(block, content)
    assert content == block.body or _UPDATE


@pytest.mark.parametrize("block", _blocks("console", mark="run"))
def test_commands_print_what_is_shown(block: Block, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    # Whatever lies around a process must not decide how it prints.
    monkeypatch.setenv("COLUMNS", "100")
    status = 0
    fresh = ""
    for prompt, shown in turns(block.body):
        words = shlex.split(prompt.replace("\\\n", " "))
        if words == ["echo", "$?"]:
            printed = f"{status}\n"
        else:
            assert words[0] == "tidewaiter", f"only tidewaiter can be run in {block}"
            screen = io.StringIO()
            with contextlib.redirect_stdout(screen), contextlib.redirect_stderr(screen):
                status = run(words[1:])
            printed = screen.getvalue()
        if _UPDATE and "…" not in shown:
            fresh += f"$ {prompt}\n{printed}"
            continue
        fresh += f"$ {prompt}\n{shown}"
        assert pattern(shown).fullmatch(printed), f"tidewaiter printed:\n{printed}"
    if _UPDATE and fresh != block.body:
        replace(block, fresh)


def test_the_canonical_json_can_be_made_with_jq() -> None:
    jq = shutil.which("jq")
    if jq is None:
        pytest.skip("there is no jq in PATH")
    shown = next(block for block in blocks() if block.page.name == "digest.md" and "jq" in block.body)
    found = re.search(r"jq (-\w+) '([^']+)'", shown.body)
    assert found is not None
    acceptance = yaml.load((ROOT / "docs/tutorial/shop/acceptance.yaml").read_text(), yaml.BaseLoader)
    command = f"{jq} {found[1]} {shlex.quote(found[2])} | sha256sum"
    done = subprocess.run(
        command, shell=True, input=json.dumps(acceptance), capture_output=True, text=True, check=True
    )
    assert f"sha256:{done.stdout.split()[0]}" == digest_of(acceptance)


def test_an_approval_can_be_signed_as_the_page_says(tmp_path: Path) -> None:
    for program in ("jq", "ssh-keygen"):
        if shutil.which(program) is None:
            pytest.skip(f"there is no {program} in PATH")
    command = tmp_path / "tidewaiter"
    command.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m webhook "$@"\n')
    command.chmod(0o755)
    keys = tmp_path / ".ssh"
    keys.mkdir(0o700)
    made = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(keys / "id_ed25519")]
    subprocess.run(made, check=True)
    shutil.copy(ROOT / "docs/tutorial/shop/acceptance.yaml", tmp_path)
    environment = {
        **os.environ,
        "HOME": str(tmp_path),
        "PATH": f"{tmp_path}:{os.environ.get('PATH', '')}",
        "PYTHONPATH": str(ROOT),
    }
    sign, verify = [
        block.body.replace("~/", f"{tmp_path}/")
        for block in blocks()
        if block.page.name == "signatures.md" and "ssh-keygen -Y" in block.body
    ]
    for script in (sign, verify):
        subprocess.run(["sh", "-eu", "-c", script], cwd=tmp_path, env=environment, check=True, timeout=60)
    acceptance = yaml.load((ROOT / "docs/tutorial/shop/acceptance.yaml").read_text(), yaml.BaseLoader)
    spec = {
        "approvedAt": "2026-12-01T10:00:00Z",
        "approver": "jane.doe@example.com",
        "digest": digest_of(acceptance),
        "signature": (tmp_path / "statement.sig").read_text(),
    }
    assert (tmp_path / "statement").read_bytes() == statement(spec)
    assert check(spec).signed_by == " ".join((keys / "id_ed25519.pub").read_text().split()[:2])

    (shown,) = [block for block in blocks() if block.page.name == "signatures.md" and "kubectl" in block.body]
    found = re.search(r"jq (-\w+) '([^']+)'", shown.body)
    assert found is not None
    done = subprocess.run(
        ["jq", found[1], found[2]], input=json.dumps({"spec": spec}).encode(), capture_output=True
    )
    assert done.stdout == statement(spec)


def test_the_script_makes_an_acceptance_that_holds_today(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The command may not be in PATH where only the package is.
    command = tmp_path / "tidewaiter"
    command.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m webhook "$@"\n')
    command.chmod(0o755)
    environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ.get('PATH', '')}", "PYTHONPATH": str(ROOT)}
    script = ROOT / "docs" / "how-to" / "accept-exporter.sh"
    folder = tmp_path / "exporter"
    subprocess.run(["sh", script, folder], env=environment, check=True)
    shop = "docs/tutorial/shop"
    monkeypatch.chdir(ROOT)
    arguments = ["check", f"{shop}/deployment.yaml", "--policies", f"{shop}/policy.yaml", "--trust-approvals"]
    accepted = [str(folder / "acceptance.yaml"), str(folder / "approval.yaml"), f"{shop}/appetite.yaml"]
    assert run([*arguments, "--acceptances", *accepted]) == 0

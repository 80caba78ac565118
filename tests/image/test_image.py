"""What the image has runs as another user, without an environment, from files that can't be written."""

from __future__ import annotations

import contextlib
import json
import re
import shutil
import signal
import ssl
import subprocess
import sys
import tomllib
from http.client import HTTPSConnection
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.image.conftest import ROOT, USER, Image, context, identity
from tests.server.serving import policy_manifest, review, until
from webhook import __version__

pytestmark = pytest.mark.xdist_group("image")

DOCKERFILE = (ROOT / "Dockerfile").read_text()


def instructions(name: str) -> list[str]:
    joined = DOCKERFILE.replace("\\\n", " ")
    return [line.partition(" ")[2] for line in joined.splitlines() if line.partition(" ")[0] == name]


def site_packages(image: Image) -> Path:
    (found,) = image.opt.glob("lib/python3.*/site-packages")
    return found


def files(folder: Path) -> set[Path]:
    return {path for path in folder.rglob("*") if path.is_file()}


def test_the_version_is_told_with_an_empty_environment(image: Image) -> None:
    done = image.run(image.program(), "version")
    assert (done.returncode, done.stdout, done.stderr) == (0, f"tidewaiter {__version__}\n", "")


def test_the_webhook_answers_and_writes_nothing_into_the_image(image: Image) -> None:
    policies = image.root / "policies"
    policies.mkdir(mode=0o755, exist_ok=True)
    (policies / "policy.yaml").write_text(json.dumps(policy_manifest()))
    before = files(image.root)
    process = subprocess.Popen(
        [
            *(image.program(), "serve", "--listen", "127.0.0.1:0", "--log-format", "json"),
            *("--workers", "2", "--policies", str(policies)),
        ],
        stderr=subprocess.PIPE,
        text=True,
        cwd="/",
        env={},
        **identity(),  # type: ignore[call-overload]
    )
    try:
        port = _listening_port(process)
        trusting = ssl._create_unverified_context()  # it made its certificate itself

        def answered() -> list[dict[str, Any]]:
            found = []
            for name in ("web", "bad"):
                connection = HTTPSConnection("127.0.0.1", port, context=trusting, timeout=30)
                with contextlib.closing(connection):
                    found.append(review(connection, name)[1])
            return found

        good, bad = until(answered, "both are answered")
        assert (good["allowed"], bad["allowed"]) == (True, False)
        assert "the name is bad" in bad["status"]["message"]
        if identity():
            status = Path(f"/proc/{process.pid}/status").read_text()
            assert re.search(r"^Uid:\s+(\d+)", status, re.MULTILINE)[1] == str(USER)  # type: ignore[index]
    finally:
        process.send_signal(signal.SIGINT)
        _, rest = process.communicate(timeout=60)
    assert process.returncode in (0, 130), rest
    assert files(image.root) == before


def _listening_port(process: subprocess.Popen[str]) -> int:
    assert process.stderr is not None
    said = []
    for line in process.stderr:
        said.append(line)
        if line.startswith("{") and (event := json.loads(line))["event"] == "listening":
            return int(event["address"].rpartition(":")[2])
    raise AssertionError("".join(said))


@pytest.mark.parametrize("command", ["serve", "operator", "crds", "uninstall"])
def test_every_command_that_the_chart_runs_is_there(image: Image, command: str) -> None:
    done = image.run(image.program(), command, "--help")
    assert done.returncode == 0, done.stderr
    assert f"Usage: tidewaiter {command} " in done.stdout


def test_every_module_is_compiled_and_stays_so(image: Image) -> None:
    site = site_packages(image)
    bare = [
        path
        for path in site.rglob("*.py")
        if not list((path.parent / "__pycache__").glob(f"{path.stem}.cpython-*.pyc"))
    ]
    # Packages ship a few that are none, such as templates and tests of syntax errors.
    assert [path for path in bare if (site / "webhook") in path.parents or path.name == "__init__.py"] == []
    compiled = site.glob("webhook/**/__pycache__/*.pyc")
    # Flags 1: by hash, unchecked. https://docs.python.org/3/reference/import.html#pyc-invalidation
    assert {path.read_bytes()[4:8] for path in compiled} == {b"\x01\0\0\0"}


def test_the_bill_of_materials_lists_what_is_installed(image: Image) -> None:
    bill = json.loads((image.opt / "sbom.cdx.json").read_text())
    assert (bill["bomFormat"], bill["specVersion"]) == ("CycloneDX", "1.6")
    installed = {
        f"pkg:pypi/{canonicalize_name(each.metadata['Name'])}@{each.version}"
        for each in distributions(path=[str(site_packages(image))])
    }
    listed = [bill["metadata"]["component"], *bill["components"]]
    assert {each["purl"] for each in listed if each["type"] != "platform"} == installed
    assert [each["purl"].partition("@")[0] for each in listed if each["type"] == "platform"] == [
        "pkg:generic/python"
    ]
    references = {each["bom-ref"] for each in listed}
    assert {each["ref"] for each in bill["dependencies"]} == installed
    assert {other for each in bill["dependencies"] for other in each["dependsOn"]} <= references
    needs = {each["ref"]: each["dependsOn"] for each in bill["dependencies"]}
    ours = needs[f"pkg:pypi/tidewaiter@{__version__}"]
    assert any(each.startswith("pkg:pypi/aiohttp@") for each in ours)


def test_nothing_that_installs_is_left(image: Image) -> None:
    names = {
        canonicalize_name(each.metadata["Name"]) for each in distributions(path=[str(site_packages(image))])
    }
    assert names.isdisjoint({"pip", "setuptools", "wheel", "hatchling", "pytest", "mypy"})


def pinned(name: str) -> dict[str, Requirement]:
    text = (ROOT / name).read_text().replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line and not line.startswith((" ", "#"))]
    assert lines
    assert all("--hash=sha256:" in line for line in lines)
    requirements = [Requirement(line.partition("--hash")[0]) for line in lines]
    return {canonicalize_name(each.name): each for each in requirements}


def test_the_pinned_packages_are_what_the_project_asks_for() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    for name, asked in (
        ("requirements.txt", project["project"]["dependencies"]),
        ("requirements-build.txt", project["build-system"]["requires"]),
    ):
        found = pinned(name)
        for text in asked:
            wanted = Requirement(text)
            (exact,) = found[canonicalize_name(wanted.name)].specifier
            assert exact.operator == "=="
            assert wanted.specifier.contains(exact.version), f"{text}: run `make requirements`"


def test_a_package_whose_hash_differs_is_not_installed(tmp_path: Path) -> None:
    for name in context():
        target = tmp_path / name
        if (ROOT / name).is_file():
            shutil.copy2(ROOT / name, target)
    (tmp_path / "image").mkdir()
    shutil.copy2(ROOT / "image/install.sh", tmp_path / "image")
    text = (tmp_path / "requirements-build.txt").read_text()
    (tmp_path / "requirements-build.txt").write_text(re.sub("sha256:[0-9a-f]{8}", "sha256:00000000", text))
    done = subprocess.run(
        [tmp_path / "image/install.sh", sys.executable, tmp_path, tmp_path / "opt"],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode != 0
    assert "DO NOT MATCH THE HASHES" in done.stderr
    assert not (tmp_path / "opt").exists()


def test_the_dockerfile_runs_the_script_that_is_tested_here() -> None:
    assert instructions("RUN")[0] == '["image/install.sh", "python3", "/source", "/opt/tidewaiter"]'
    assert instructions("FROM") == ["${BASE} AS build", "${BASE}"]
    assert instructions("COPY") == [". .", "--from=build /opt/tidewaiter /opt/tidewaiter"]
    assert instructions("ENTRYPOINT") == ['["/opt/tidewaiter/bin/tidewaiter"]']


def test_the_image_has_a_numeric_user_who_is_not_root() -> None:
    assert instructions("USER") == [f"{USER}:{USER}"]
    # After the last step that may write.
    assert DOCKERFILE.index("\nUSER ") > DOCKERFILE.rindex("\nRUN ")


@pytest.mark.parametrize("base", ["", "python:3.13-slim", "python:3.13-slim@sha256:short"])
def test_an_image_is_made_only_from_a_base_with_a_digest(base: str) -> None:
    done = subprocess.run(
        ["make", "image", f"BASE={base}"], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 2
    assert "BASE=python:3.13-slim@sha256:" in done.stderr

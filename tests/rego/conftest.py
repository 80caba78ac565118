"""Finds OPA and OPA's own cases, which these tests compare with."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.conftest import _programs
from tests.rego.conformance import MISSING, MODULE, VERSION, module_cache


@pytest.fixture(scope="session")
def opa() -> Path:
    """Return OPA itself."""
    return _programs("TIDEWAITER_ORACLES", ("opa",), "opa 1.17") / "opa"


@pytest.fixture(scope="session")
def opa_cases(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of OPA's own cases; in CI they are brought, and a failure without them."""
    found = module_cache()
    in_ci = os.environ.get("CI") == "true"
    if found is None and in_ci and shutil.which("go"):
        where = tmp_path_factory.mktemp("module")
        for command in (["mod", "init", "cases"], ["mod", "download", f"{MODULE}@{VERSION}"]):
            subprocess.run(["go", *command], cwd=where, check=True, capture_output=True)
        found = module_cache()
    if found is not None:
        return found
    if in_ci:
        pytest.fail(f"{MISSING} (CI=true makes this a failure)", pytrace=False)
    pytest.skip(MISSING)

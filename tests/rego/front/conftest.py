"""Finds OPA, which the tables are compared with."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import _programs


@pytest.fixture(scope="session")
def opa() -> Path:
    """Return OPA itself."""
    return _programs("TIDEWAITER_ORACLES", ("opa",), "opa 1.17") / "opa"

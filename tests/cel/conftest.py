"""Brings the modules beside this file to the tests of CEL: the differential harness and the grammar."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest


def _load(name: str) -> ModuleType:
    known = f"tests_cel_{name}"
    if known not in sys.modules:
        spec = importlib.util.spec_from_file_location(known, Path(__file__).with_name(f"{name}.py"))
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[known] = module
        spec.loader.exec_module(module)
    return sys.modules[known]


@pytest.fixture(scope="session")
def differential() -> ModuleType:
    """Return the harness that compares our CEL with Kubernetes' own."""
    return _load("differential")


@pytest.fixture(scope="session")
def grammar() -> ModuleType:
    """Return the grammar that expressions are grown by."""
    return _load("grammar")

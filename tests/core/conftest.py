"""Make the builders importable by name: tests have no packages."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

_SPEC = importlib.util.spec_from_file_location("core_builders", Path(__file__).with_name("builders.py"))
assert _SPEC is not None
assert _SPEC.loader is not None
if "core_builders" not in sys.modules:
    _MODULE = importlib.util.module_from_spec(_SPEC)
    sys.modules["core_builders"] = _MODULE
    _SPEC.loader.exec_module(_MODULE)

"""Make the reader of pages importable by name: tests have no packages."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

_NAME = "docs_pages"

if _NAME not in sys.modules:
    _SPEC = importlib.util.spec_from_file_location(_NAME, Path(__file__).with_name("pages.py"))
    assert _SPEC is not None
    assert _SPEC.loader is not None
    _MODULE = importlib.util.module_from_spec(_SPEC)
    sys.modules[_NAME] = _MODULE
    _SPEC.loader.exec_module(_MODULE)

"""Time zones come with the package: what runs it may have none."""

from __future__ import annotations

import os
import subprocess
import sys

PROGRAM = """
from webhook.rego import Context, compile_modules
program = compile_modules({"t.rego": '''package t
p := [time.clock([1700000000000000000, "Europe/Berlin"]), time.date([1700000000000000000, "Asia/Tokyo"]),
  time.format([1700000000000000000, "America/New_York", "RFC3339"])]'''}, version="v1", entry=("t", "p"))
print(program.evaluate({}, {}, Context(), strict=True))
"""


def test_zones_are_known_without_those_of_the_system() -> None:
    environment = {**os.environ, "PYTHONTZPATH": ""}
    command = [sys.executable, "-c", "import zoneinfo; assert not zoneinfo.TZPATH\n" + PROGRAM]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.stdout == "[[23, 13, 20], [2023, 11, 15], '2023-11-14T17:13:20-05:00']\n", done.stderr

"""What starting costs: `tidewaiter serve` with 300 policies, and `check --help`: python -m bench.start."""

from __future__ import annotations

import resource
import ssl
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

import yaml

from bench.evaluate import policy
from bench.fixtures import POLICIES
from bench.report import Figure, median_of, show
from bench.tree import cpu_of_tree, free_port

COMMAND = (sys.executable, "-m", "webhook")


def serve_start(folder: Path) -> float:
    """Return the CPU seconds of all its processes until the webhook is ready."""
    port = free_port()
    arguments = ["serve", "--listen", f"127.0.0.1:{port}", "--policies", str(folder), "--log-level", "error"]
    process = subprocess.Popen([*COMMAND, *arguments])
    try:
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE  # what is timed makes its own certificate
        for _ in range(3000):
            try:
                with urllib.request.urlopen(f"https://127.0.0.1:{port}/readyz", context=context, timeout=2):
                    return cpu_of_tree(process.pid)
            except (urllib.error.URLError, OSError):
                assert process.poll() is None, "serve has ended"
                time.sleep(0.02)
        raise AssertionError("serve was not ready in a minute")
    finally:
        process.terminate()
        process.wait(30)


def child_cpu(*arguments: str) -> float:
    """Return the CPU seconds of one command."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([*COMMAND, *arguments], check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def run() -> list[Figure]:
    """Measure both, the median of five."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for number in range(300):
            text = yaml.safe_dump(policy(f"policy-{number:03}", POLICIES[number % len(POLICIES)]))
            (folder / f"policy-{number:03}.yaml").write_text(text)
        start = median_of(lambda: serve_start(folder))
    helped = median_of(lambda: child_cpu("check", "--help"))
    return [
        Figure("serve ready with 300 policies, CPU of all processes", start, "s", bar=1.5),
        Figure("check --help", helped, "s", bar=0.3),
    ]


if __name__ == "__main__":
    sys.exit(not show(run()))

"""What every test may ask for: the folders with the real programs that some tests compare with."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

# A shell without job control starts its background jobs with Ctrl-C ignored, and children inherit that: the
# programs that tests stop by Ctrl-C would never end.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def _programs(variable: str, names: tuple[str, ...], what: str) -> Path:
    """Return the folder that `variable` names; skip without it, and fail instead in CI."""
    value = os.environ.get(variable, "")
    if not value:
        problem = f"{variable} is not set"
    else:
        folder = Path(value)
        missing = [name for name in names if not os.access(folder / name, os.X_OK)]
        if not missing:
            return folder.resolve()
        problem = f"{variable}={value} has no executable {', '.join(missing)}"
    advice = f"{problem}: set {variable} to a folder with {what}"
    if os.environ.get("CI") == "true":
        pytest.fail(f"{advice} (CI=true makes this a failure)", pytrace=False)
    pytest.skip(advice)


@pytest.fixture(scope="session")
def oracles() -> Path:
    """Return the folder with ``cel-oracle``, Kubernetes' own CEL as a program."""
    return _programs("TIDEWAITER_ORACLES", ("cel-oracle",), "cel-oracle")


@pytest.fixture(scope="session")
def gatekeeper_manager() -> Path:
    """Return ``gatekeeper-manager``, Gatekeeper itself."""
    name = "gatekeeper-manager"
    return _programs("TIDEWAITER_ORACLES", (name,), name) / name


@pytest.fixture(scope="session")
def assets() -> Path:
    """Return the folder with a real control plane, as controller-runtime's envtest names it."""
    names = ("kube-apiserver", "etcd", "kubectl", "kube-controller-manager")
    return _programs("KUBEBUILDER_ASSETS", names, ", ".join(names))


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let `xdist_group` hold: pytest-xdist 3.8 writes the group where pytest 9.2 no longer reads it."""
    for item in items:
        grouped = item.__dict__.get("_nodeid", "")
        identity = getattr(item, "_id", None)
        if identity is not None and grouped != item.nodeid and grouped.startswith(f"{item.nodeid}@"):
            item._id = type(identity).parse(grouped)  # type: ignore[attr-defined]

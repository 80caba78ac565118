"""Which warning of a test is let pass: one that Python itself causes, and nothing like it."""

from __future__ import annotations

import contextlib
import gc
import re
import socket
import ssl
import struct
import threading
import tomllib
import warnings
from pathlib import Path

TIMES = 3_000
CONTEXT = ssl.create_default_context()
CONTEXT.check_hostname = False
CONTEXT.verify_mode = ssl.CERT_NONE


def let_pass() -> re.Pattern[str]:
    """Return what the project's settings say of warnings that are none."""
    settings = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())
    _, ignored = settings["tool"]["pytest"]["ini_options"]["filterwarnings"]
    action, message, category = ignored.split(":")
    assert (action, category) == ("ignore", "pytest.PytestUnraisableExceptionWarning")
    return re.compile(message, re.IGNORECASE)


def _reset(listener: socket.socket) -> None:
    try:
        while True:
            accepted, _ = listener.accept()
            accepted.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            accepted.close()
    except OSError:
        return


def _dial(port: int) -> None:
    with socket.create_connection(("127.0.0.1", port), 10) as plain:
        CONTEXT.wrap_socket(plain)


def test_a_socket_that_is_reset_before_its_handshake_is_pythons_own() -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=64) as listener:
        thread = threading.Thread(target=_reset, args=(listener,))
        thread.start()
        told: list[str] = []
        for _ in range(TIMES):
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always", ResourceWarning)
                with contextlib.suppress(OSError):
                    _dial(listener.getsockname()[1])
                told += [str(each.message) for each in caught if "SSLSocket" in str(each.message)]
            if told:
                break
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()
    # A Python that closes it needs no exception: then this finds nothing, and the line can go.
    assert all(let_pass().match(f"Exception ignored in\n{each}") for each in told), told


def test_a_socket_that_is_forgotten_is_not_let_pass() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        plain = socket.create_connection(listener.getsockname(), 10)
        forgotten = CONTEXT.wrap_socket(plain, do_handshake_on_connect=False)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", ResourceWarning)
            del forgotten
            gc.collect()
    (message,) = [str(each.message) for each in caught if "unclosed <ssl.SSLSocket" in str(each.message)]
    assert not let_pass().match(f"Exception ignored in\n{message}")

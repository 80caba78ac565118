"""`tidewaiter risk sign` by an ssh-agent: a real one where it is installed, and one that does not behave."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from offline_manifests import acceptance, write

from webhook.adapters import signatures, ssh_agent
from webhook.adapters.ssh_wire import string
from webhook.core.counting import key_fingerprint
from webhook.core.errors import InputError

pytestmark = pytest.mark.usefixtures("folder")

JANE = ("--approver", "jane.doe@example.com", "--at", "2026-11-02T09:00:00Z")
TOOLS = ("ssh-agent", "ssh-add", "ssh-keygen")


@pytest.fixture
def agent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Start a real ssh-agent without keys; give a folder for them."""
    missing = [tool for tool in TOOLS if shutil.which(tool) is None]
    if missing:
        reason = f"{', '.join(missing)} not found: install OpenSSH's client"
        assert os.environ.get("CI") != "true", reason
        pytest.skip(reason)
    path = str(tmp_path / "agent")
    process = subprocess.Popen(["ssh-agent", "-D", "-a", path], stdout=subprocess.DEVNULL)
    monkeypatch.setenv("SSH_AUTH_SOCK", path)
    try:
        for _ in range(600):
            if Path(path).exists():
                break
            threading.Event().wait(0.05)
        yield tmp_path
    finally:
        process.terminate()
        process.wait(20)


def add(folder: Path, name: str, *words: str) -> str:
    """Make a key and add it to the agent; return its public key as an appetite lists it."""
    file = folder / name
    made = ["ssh-keygen", "-q", "-N", "", "-C", name, "-f", str(file), *words]
    subprocess.run(made, check=True, timeout=120)
    subprocess.run(["ssh-add", "-q", str(file)], check=True, timeout=60)
    file.unlink()  # the agent alone has it
    return " ".join((folder / f"{name}.pub").read_text().split()[:2])


@pytest.mark.parametrize(
    "words",
    [("-t", "ed25519"), ("-t", "ecdsa", "-b", "384"), ("-t", "rsa", "-b", "3072")],
    ids=["Ed25519", "ECDSA", "RSA"],
)
def test_the_agents_only_key_signs(run: Any, agent: Path, words: tuple[str, ...]) -> None:
    public = add(agent, "jane", *words)
    done = run("risk", "sign", write("a.yaml", acceptance()), *JANE)
    assert done.status == 0, done.err
    spec = yaml.safe_load(done.out)["spec"]
    assert signatures.check(spec) == signatures.Checked(signed_by=public)
    assert f"signed by {public}" in done.err


def test_of_several_keys_one_is_named_by_its_file_or_fingerprint(run: Any, agent: Path) -> None:
    jane, _ = add(agent, "jane", "-t", "ed25519"), add(agent, "other", "-t", "ed25519")
    file = write("a.yaml", acceptance())
    unsaid = run("risk", "sign", file, *JANE)
    assert (unsaid.status, unsaid.out) == (2, "")
    assert f"holds several keys: say which with --key; it has {key_fingerprint(jane)} (jane)" in unsaid.err
    for name in (str(agent / "jane.pub"), key_fingerprint(jane)):
        done = run("risk", "sign", file, "--key", name, *JANE)
        assert signatures.check(yaml.safe_load(done.out)["spec"]).signed_by == jane
    gone = run("risk", "sign", file, "--key", "SHA256:nothing", *JANE)
    assert "does not hold SHA256:nothing" in gone.err


def test_an_agent_without_usable_keys_is_said(run: Any, agent: Path) -> None:
    done = run("risk", "sign", write("a.yaml", acceptance()), *JANE)
    assert "holds no key that can sign approvals: ssh-add one" in done.err
    add(agent, "short", "-t", "rsa", "-b", "2048")
    done = run("risk", "sign", write("a.yaml", acceptance()), *JANE)
    assert "holds no key that can sign approvals" in done.err


@pytest.mark.parametrize("path", ["", "nothing-here"])
def test_no_agent_is_said(run: Any, monkeypatch: pytest.MonkeyPatch, path: str) -> None:
    monkeypatch.setenv("SSH_AUTH_SOCK", path)
    done = run("risk", "sign", write("a.yaml", acceptance()), *JANE)
    assert (done.status, done.out) == (2, "")
    assert "ssh-agent" in done.err


Answers = Callable[[bytes], Iterator[bytes]]


@pytest.fixture
def impostor(tmp_path: Path) -> Iterator[Callable[[bytes], str]]:
    """Return what listens on a socket, answers one request with fixed bytes, and hangs up."""
    stop: list[socket.socket] = []

    def start(answer: bytes) -> str:
        path = str(tmp_path / "impostor")
        server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        server.bind(path)
        server.listen()
        stop.append(server)

        def serve() -> None:
            try:
                client, _ = server.accept()
            except OSError:
                return
            with client:
                client.recv(1 << 16)
                client.sendall(answer)

        threading.Thread(target=serve, daemon=True).start()
        return path

    yield start
    for server in stop:
        server.close()


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (b"", "closed the connection"),
        (b"\x00\x00\x00\x05\x0c\x00", "closed the connection"),
        (b"\xff\xff\xff\xff", "is no ssh-agent"),
        (b"\x00\x00\x00\x00", "is no ssh-agent"),
        (b"HTTP/1.1 400 Bad Request\r\n", "is no ssh-agent"),
        (string(b"\x05"), "refused to list its keys"),
        (string(b"\x0e"), "is no ssh-agent"),
        (string(b"\x0c\x00\x00\x00\x01"), "is cut short"),
        (string(b"\x0c\x00\x00\x00\x01\xff\xff\xff\xff"), "is cut short"),
    ],
)
def test_whatever_answers_no_key_comes_of_it(
    impostor: Callable[[bytes], str], answer: bytes, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        ssh_agent.keys(impostor(answer))


def test_what_is_no_key_is_left_out(impostor: Callable[[bytes], str]) -> None:
    entries = b"".join(string(each) + string(b"\xff name") for each in (b"", b"x" * 40))
    assert ssh_agent.keys(impostor(string(b"\x0c\x00\x00\x00\x02" + entries))) == []


def test_a_refusal_to_sign_is_said(impostor: Callable[[bytes], str]) -> None:
    key = ssh_agent.AgentKey(b"blob", "ssh-ed25519 AAAA", "jane")
    with pytest.raises(InputError, match="refused to sign"):
        ssh_agent.sign(impostor(string(b"\x05")), key, b"data")

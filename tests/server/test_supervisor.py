"""The supervisor: hung workers, a crash loop, its own death, certificates that come late."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.server.serving import Load, Server, SnapshotFolder, policy_manifest, serving, until
from webhook.adapters.addresses import Address
from webhook.server import sockets
from webhook.server.selfsigned import write_pair

pytestmark = pytest.mark.xdist_group("serve")


def connects(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 10).close()
    except (ConnectionRefusedError, ConnectionResetError):
        return False
    return True


@pytest.mark.parametrize("asked", [0, 1], ids=["any port", "a given port"])
def test_a_listener_refuses_resets_what_waits_and_takes_again(asked: int) -> None:
    found = sockets.bind(Address("127.0.0.1", 0))
    port = found.getsockname()[1]
    if asked:
        found.close()
        found = sockets.bind(Address("127.0.0.1", port))
    with contextlib.closing(found):
        with socket.create_connection(("127.0.0.1", port), 10) as waiting:
            sockets.refuse(found)
            with pytest.raises(ConnectionResetError):
                waiting.recv(1)
        assert not connects(port)
        with socket.socket() as other, pytest.raises(OSError, match="already in use"):
            other.bind(("127.0.0.1", port))
        sockets.take(found)
        assert connects(port)


def test_nobody_waits_for_workers_that_die_as_soon_as_they_start(tmp_path: Path, policies: Path) -> None:
    script = (
        "import os; from webhook import cli; from webhook.server import supervisor;"
        "supervisor.run = lambda *_: os.kill(os.getpid(), 9);"
        f"cli.main(['serve', '--listen', '127.0.0.1:0', '--workers', '2', '--log-format', 'json',"
        f"'--policies', {str(policies)!r}])"
    )
    process = subprocess.Popen([sys.executable, "-c", script], stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    events = (json.loads(line) for line in process.stderr if line.startswith("{"))
    port = int(next(e for e in events if e["event"] == "listening")["address"].rpartition(":")[2])
    refused = 0
    while process.poll() is None:
        refused += not connects(port)
        time.sleep(0.01)
    assert refused > 10
    assert process.wait() == 1
    assert any(event["event"] == "giving_up" for event in events)
    process.stderr.close()


def test_a_worker_that_hangs_is_replaced(server: Server) -> None:
    hanging = min(server.workers())
    os.kill(hanging, signal.SIGSTOP)
    until(lambda: hanging not in server.workers() and len(server.workers()) == 2, "it is replaced")
    event = server.event("worker_hangs")
    assert event is not None
    assert event["worker"] == hanging
    assert server.verdict("bad")["allowed"] is False


def test_workers_that_are_busy_or_idle_are_left_alone(server: Server) -> None:
    before = server.workers()
    with Load(server, clients=8) as load:
        load.more(2000)
    assert load.failed == []
    time.sleep(4)
    assert server.workers() == before
    assert server.event("worker_hangs") is None


def test_workers_drain_and_end_when_their_supervisor_is_killed(server: Server) -> None:
    workers = server.workers()
    server.process.kill()
    server.process.wait()

    def gone() -> bool:
        return not any(Path(f"/proc/{pid}").exists() for pid in workers)

    until(gone, "they end")
    assert not connects(server.target[0])


def test_workers_end_whose_supervisor_is_killed_before_they_begin(tmp_path: Path, policies: Path) -> None:
    script = (
        "import os, time; from webhook import cli; from webhook.server import supervisor;"
        "begin, mine = supervisor.run, os.getpid()\n"
        "def late(*words):\n"
        "    while os.getppid() == mine: time.sleep(0.01)\n"
        "    begin(*words)\n"
        "supervisor.run = late\n"
        "cli.main(['serve', '--listen', '127.0.0.1:0', '--workers', '2', '--log-format', 'json',"
        f"'--drain-seconds', '0', '--policies', {str(policies)!r}])"
    )
    process = subprocess.Popen([sys.executable, "-c", script], stderr=subprocess.PIPE, text=True)
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    until(lambda: len(children.read_text().split()) == 2, "both are there")
    workers = [int(pid) for pid in children.read_text().split()]
    process.kill()
    process.wait()
    try:
        until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in workers), "they end")
    finally:
        for pid in workers:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        assert process.stderr is not None
        process.stderr.close()


def test_what_a_killed_supervisor_left_is_removed_by_the_next(server: Server, tmp_path: Path) -> None:
    descriptors = Path(f"/proc/{server.process.pid}/fd").iterdir()
    (folder,) = {file.parent for each in descriptors if (file := each.readlink()).name == "in-use"}
    assert (folder / "counters").is_dir()
    workers = server.workers()
    for pid in (server.process.pid, *workers):
        os.kill(pid, signal.SIGKILL)
    server.process.wait()
    until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in workers), "they end")
    assert folder.exists()
    (tmp_path / "policies").mkdir()
    (tmp_path / "next").mkdir()
    with serving(tmp_path / "next", "--policies", str(tmp_path / "policies")):
        assert not folder.exists()


def test_a_worker_that_is_replaced_shows_the_newest_certificate(server: Server, tmp_path: Path) -> None:
    (tmp_path / "new").mkdir()
    new = write_pair(tmp_path / "new")
    Path(new.key).replace(server.tls.key)
    Path(new.certificate).replace(server.tls.certificate)
    shown = Path(server.tls.certificate).read_text()
    server.kill(*server.workers())
    for _ in range(8):
        assert ssl.get_server_certificate(("127.0.0.1", server.target[0]), timeout=30) == shown


def test_a_certificate_that_comes_later_is_waited_for(tmp_path: Path) -> None:
    folder = SnapshotFolder(tmp_path / "snapshot")
    revision = folder.publish(policy_manifest())
    words = ["serve", "--listen", "127.0.0.1:0", "--metrics-listen", "127.0.0.1:0", "--log-format", "json"]
    words += ["--snapshot", str(folder.folder), "--workers", "1", "--drain-seconds", "0"]
    words += ["--tls-cert", str(tmp_path / "tls.crt"), "--tls-key", str(tmp_path / "tls.key")]
    process = subprocess.Popen([sys.executable, "-m", "webhook", *words], stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    try:
        events = (json.loads(line) for line in process.stderr)
        seen = []
        for event in events:
            seen.append(event)
            if event["event"] == "listening":
                break
        [waiting] = [each for each in seen if each["event"] == "waiting_for_certificate"]
        assert "No such file" in waiting["error"]
        metrics = seen[-1]["metrics"]
        until(lambda: folder.all_have(revision, 1), "it has the snapshot")
        assert folder.acknowledged()[0]["certificate"] == ""
        assert status(metrics, "/readyz") == 503
        assert status(metrics, "/livez") == 200
        pair = write_pair(tmp_path)
        until(lambda: status(metrics, "/readyz") == 200, "it is ready")
        until(lambda: folder.acknowledged()[0]["certificate"], "it acknowledges the certificate")
        port = int(seen[-1]["address"].rpartition(":")[2])
        shown = ssl.get_server_certificate(("127.0.0.1", port), timeout=30)
        assert shown == Path(pair.certificate).read_text()
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(30)
        process.stderr.close()


def status(address: str, path: str) -> int:
    from http.client import HTTPConnection

    with contextlib.closing(HTTPConnection(address, timeout=30)) as connection:
        connection.request("GET", path)
        return connection.getresponse().status


def test_load_spreads_again_after_a_respawn(server: Server) -> None:
    """Closes by chance are few: what moves the load within seconds is that the busier worker closes more."""

    def share() -> float:
        before = {pid: cpu(pid) for pid in server.workers()}
        load.more(1500)
        used = [cpu(pid) - since for pid, since in before.items()]
        return min(used) / max(*used, 0.01)

    with Load(server, clients=8) as load:
        load.more()
        server.kill(min(server.workers()))
        lost = load.take_failed()
        until(lambda: share() > 0.4, "both have work")
    assert len(lost) <= 8  # what was in flight in the killed worker
    assert load.failed == []


def cpu(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return float(fields[11]) + float(fields[12])


def test_what_a_worker_does_is_shown_only_when_asked_for(tmp_path: Path, policies: Path) -> None:
    for words, code in (((), 404), (("--debug",), 200)):
        folder = tmp_path / str(code)
        folder.mkdir()
        serve = ("--policies", str(policies), "--workers", "1", "--metrics-listen", "127.0.0.1:0", *words)
        with serving(folder, *serve) as server:
            event = server.event("listening")
            assert event is not None
            for path in ("/debug/stacks", "/debug/snapshot"):
                assert status(event["metrics"], path) == code
                assert server.get(path)[0] == 404  # never where the API server comes


def test_clients_of_another_name_are_refused(tmp_path: Path, policies: Path) -> None:
    (tmp_path / "client").mkdir()
    client = write_pair(tmp_path / "client")  # its common name: tidewaiter on loopback
    for name, code in (("kube-apiserver", 403), ("tidewaiter on loopback", 200)):
        (tmp_path / str(code)).mkdir()
        words = ("--policies", str(policies), "--workers", "1", "--client-ca", client.certificate)
        with serving(tmp_path / str(code), *words, "--client-name", name) as server:
            connection = server.connect()
            connection._context.load_cert_chain(client.certificate, client.key)  # type: ignore[attr-defined]
            with contextlib.closing(connection):
                connection.request("GET", "/readyz")
                assert connection.getresponse().status == code

"""Real processes: start, judge, reload, die, drain."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.server.serving import Load, Server, SnapshotFolder, policy_manifest, run, serving, until
from webhook.adapters.snapshots import Context, digest, dump, file_name
from webhook.server.selfsigned import write_pair

pytestmark = pytest.mark.xdist_group("serve")


@pytest.fixture
def folder(tmp_path: Path) -> SnapshotFolder:
    return SnapshotFolder(tmp_path / "snapshot")


@pytest.fixture
def beside_operator(tmp_path: Path, folder: SnapshotFolder) -> Iterator[Server]:
    words = ("--snapshot", str(folder.folder), "--workers", "2", "--drain-seconds", "0")
    with serving(tmp_path, *words) as started:
        yield started


def test_it_judges_by_files_and_reloads_them(server: Server, policies: Path) -> None:
    assert server.verdict("web")["allowed"] is True
    assert server.verdict("bad")["status"][
        "message"
    ] == "no-bad-names/name: the name is bad [metadata.name]" or (
        "no-bad-names/name: the name is bad" in server.verdict("bad")["status"]["message"]
    )
    first = server.ready()["revision"]
    policies.write_text(json.dumps(policy_manifest("no-web", "object.metadata.name != 'web'")))
    until(lambda: all(server.ready()["revision"] != first for _ in range(8)), "both reload")
    assert server.verdict("web")["allowed"] is False
    assert server.verdict("bad")["allowed"] is True


def test_a_broken_file_keeps_the_last_good_policies_and_says_so(server: Server, policies: Path) -> None:
    good = policies.read_text()
    policies.write_text(good[:100])
    until(lambda: all(server.ready()["error"] for _ in range(8)), "both notice")
    assert f"{policies}:" in server.ready()["error"]
    assert server.get("/readyz")[0] == 200
    for worker in (0, 1):
        line = f'tidewaiter_snapshot_load_ok{{worker="{worker}"}} 0.0'
        until(lambda line=line: line in server.get("/metrics")[1], "one scrape says so of both")
    assert server.verdict("bad")["allowed"] is False
    policies.write_text(good)
    until(lambda: all(not server.ready()["error"] for _ in range(8)), "it recovers")


def test_a_policy_that_does_not_compile_is_alone_not_enforced(tmp_path: Path) -> None:
    (tmp_path / "policies").mkdir()
    for name, expression in (("good", None), ("broken", "object.metadata.name ==")):
        file = tmp_path / "policies" / f"{name}.json"
        file.write_text(json.dumps(policy_manifest(name, expression)))
    with serving(tmp_path, "--policies", str(tmp_path / "policies"), "--workers", "1") as server:
        assert server.verdict("bad")["allowed"] is False
        error = server.event("policy_not_enforced")
        assert error is not None
        assert error["policy"] == "broken"
        assert error["file"] == str(tmp_path / "policies" / "broken.json")
        metrics = server.get("/metrics")[1]
        assert (
            'tidewaiter_policy_compile_error{kind="ClusterPolicy",name="broken",namespace=""} 1.0' in metrics
        )
        server.stop(signal.SIGINT)


def test_no_request_fails_while_workers_stop_and_die(server: Server) -> None:
    with Load(server) as load:
        load.more()
        before = server.workers()
        for pid in before:
            os.kill(pid, signal.SIGTERM)
            until(lambda pid=pid: pid not in server.workers() and len(server.workers()) == 2, "replaced")
            load.more()
    assert load.failed == []
    assert not before & server.workers()


def test_the_server_answers_everything_until_it_is_gone(tmp_path: Path, policies: Path) -> None:
    words = ("--policies", str(policies), "--workers", "2")
    (tmp_path / "other").mkdir()
    with (
        serving(tmp_path / "other", *words, "--drain-seconds", "0") as staying,
        serving(tmp_path, *words, "--drain-seconds", "4") as leaving,
        Load(leaving) as load,
    ):
        load.more()
        leaving.process.send_signal(signal.SIGTERM)
        until(lambda: leaving.get("/readyz")[0] == 503, "it says that it goes")
        # As when the endpoint is taken away: who connects anew comes to the other replica.
        leaving.target = staying.target
        assert leaving.stop() == 0
        load.more()
    assert load.failed == []


def test_a_killed_worker_is_replaced_at_once(server: Server) -> None:
    server.kill(*server.workers())
    assert server.verdict("bad")["allowed"] is False
    died = server.event("worker_died")
    assert died is not None
    assert died["status"] == "signal 9"


def test_the_workers_counts_are_one(server: Server) -> None:
    for _ in range(20):
        server.verdict("web")
    line = 'tidewaiter_requests_total{code="200",operation="CREATE",outcome="allowed"} 20.0'
    until(lambda: line in server.get("/metrics")[1].splitlines(), "all are counted")
    server.kill(*server.workers())
    assert line in server.get("/metrics")[1].splitlines()


def test_a_new_certificate_serves_without_a_failed_request(server: Server, tmp_path: Path) -> None:
    with Load(server) as load:
        load.more()
        old = Path(server.tls.certificate).read_text()
        (tmp_path / "new").mkdir()
        new = write_pair(tmp_path / "new")
        both = tmp_path / "both.pem"
        both.write_text(old + Path(new.certificate).read_text())
        server.target = (server.target[0], str(both))
        Path(new.key).replace(server.tls.key)
        Path(new.certificate).replace(server.tls.certificate)
        until(lambda: [e["event"] for e in server.events].count("certificate_loaded") == 2, "both load it")
        server.target = (server.target[0], server.tls.certificate)  # which is now the new one alone
        for _ in range(8):
            server.verdict()
        load.more()
    assert load.failed == []


def test_a_snapshot_is_swapped_and_acknowledged(beside_operator: Server, folder: SnapshotFolder) -> None:
    server = beside_operator
    assert server.get("/readyz")[0] == 503
    assert not (folder.folder / "acks").exists()
    first = folder.publish(policy_manifest())
    until(lambda: folder.all_have(first), "both acknowledge the first")
    assert server.verdict("bad")["auditAnnotations"]["revision"] == first
    second = folder.publish(policy_manifest("broken", "object."), policy_manifest())
    until(lambda: folder.all_have(second), "both acknowledge the second")
    said = folder.acknowledged()[0]
    assert said["failures"][0]["policy"] == {"kind": "ClusterPolicy", "namespace": "", "name": "broken"}
    assert {each["pid"] for each in folder.acknowledged()} == server.workers()
    server.stop()
    assert folder.acknowledged() == []


def test_what_passes_is_not_logged_and_a_denial_once_with_its_uid(server: Server) -> None:
    until(server.ready, "it is ready")
    before = len(server.events)
    for number in range(50):
        assert server.verdict(f"web-{number}")["allowed"]
    assert not server.verdict("bad")["allowed"]
    until(lambda: server.event("denied"), "the denial is logged")
    (line,) = [event for event in server.events[before:] if "uid" in event]
    assert (line["event"], line["level"], line["uid"]) == ("denied", "info", "uid-of-bad")
    assert line.keys() >= {"time", "pid", "operation", "kind", "namespace", "name", "user", "policies"}
    assert "registry.example.com" not in json.dumps(line), "no content of an object"


def test_a_clock_that_moves_alone_is_followed(beside_operator: Server, folder: SnapshotFolder) -> None:
    revision = folder.publish(policy_manifest())
    until(lambda: folder.all_have(revision), "both have it")
    loaded = max(each["loadedAt"] for each in folder.acknowledged())
    data = dump([policy_manifest()], Context(clock_skew=60.0))
    assert digest(data) == revision
    folder.link(file_name(data), data)
    until(lambda: all(each["loadedAt"] > loaded for each in folder.acknowledged()), "both have the clock")
    assert folder.all_have(revision)
    assert not any(each["error"] for each in folder.acknowledged())


@pytest.mark.parametrize("damage", ["cut short", "no JSON", "unknown format"])
def test_a_damaged_snapshot_keeps_the_last_good_one(
    beside_operator: Server, folder: SnapshotFolder, damage: str
) -> None:
    first = folder.publish(policy_manifest())
    until(lambda: folder.all_have(first), "both have the first")
    whole = (folder.folder / "current").read_bytes()
    if damage == "cut short":
        folder.link(f"snapshot-{'0' * 32}.json", whole[: len(whole) // 2])
    else:
        data = whole.rstrip()[:-1] if damage == "no JSON" else whole.replace(b'"format":1', b'"format":99')
        folder.link(f"snapshot-{digest(data)}.json", data)
    until(lambda: all(each["error"] for each in folder.acknowledged()), "both say so")
    assert folder.all_have(first)
    assert beside_operator.verdict("bad")["allowed"] is False
    assert beside_operator.get("/readyz")[0] == 200
    second = folder.publish(policy_manifest("other"))
    until(lambda: folder.all_have(second), "both recover")
    assert not any(each["error"] for each in folder.acknowledged())


def test_a_port_in_use_is_said_clearly(policies: Path) -> None:
    with contextlib.closing(socket.create_server(("127.0.0.1", 0))) as other:
        port = other.getsockname()[1]
        result = run("serve", "--policies", str(policies), "--listen", f"127.0.0.1:{port}")
    assert result.returncode == 2
    assert f"error: can't listen on 127.0.0.1:{port}: Address already in use" in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ([], "either --policies or --snapshot"),
        (["--policies", "missing.yaml"], "missing.yaml: no such file or folder"),
        (["--policies", ".", "--snapshot", "."], "either --policies or --snapshot"),
        (["--policies", ".", "--tls-cert", "a.pem"], "--tls-cert and --tls-key go together"),
        (
            ["--policies", ".", "--tls-cert", "a.pem", "--tls-key", "b.pem"],
            "a.pem and b.pem: the certificate",
        ),
        (["--policies", ".", "--listen", "nowhere"], "'nowhere' is no address"),
        (
            ["--policies", ".", "--listen", "192.0.2.1:0"],
            "can't listen on 192.0.2.1:0: Cannot assign requested address\n",
        ),
        (["--policies", ".", "--max-body", "huge"], "'huge' is no size"),
        (["--snapshot", ".", "--cluster", "east"], "a snapshot says both itself"),
    ],
)
def test_what_cannot_be_used_is_exit_status_2(tmp_path: Path, words: list[str], says: str) -> None:
    listen = [] if "--listen" in words else ["--listen", "127.0.0.1:0"]
    result = subprocess.run(
        [sys.executable, "-m", "webhook", "serve", *words, *listen],
        capture_output=True,
        text=True,
        timeout=60,
        cwd=tmp_path,
    )
    assert result.returncode == 2
    assert says in result.stderr
    assert "Traceback" not in result.stderr


def test_a_stop_while_it_starts_leaves_nothing_behind(tmp_path: Path, policies: Path) -> None:
    (tmp_path / "memory").mkdir()
    script = (
        "import os, signal, sys; import webhook.server.launch as launch; from webhook import cli;"
        "from webhook.server.source import FilesSource;"
        f"launch._memory = lambda: {str(tmp_path / 'memory')!r};"
        "FilesSource.load = lambda self: os.kill(os.getpid(), signal.SIGTERM);"
        f"cli.main(['serve', '--listen', '127.0.0.1:0', '--policies', {str(policies)!r}])"
    )
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)
    assert result.returncode == 128 + signal.SIGTERM
    assert list((tmp_path / "memory").iterdir()) == []


def test_ctrl_c_stops_at_once(server: Server) -> None:
    assert server.stop(signal.SIGINT) == 130


def test_probes_and_metrics_alone_over_plain_http(tmp_path: Path, policies: Path) -> None:
    import http.client

    words = ("--policies", str(policies), "--workers", "1", "--metrics-listen", "127.0.0.1:0")
    with serving(tmp_path, *words, "--drain-seconds", "0") as server:
        event = server.event("listening")
        assert event is not None
        seen = {}
        for method, path in (("GET", "/readyz"), ("GET", "/livez"), ("GET", "/metrics"), ("POST", "/admit")):
            plain = http.client.HTTPConnection(event["metrics"], timeout=30)
            with contextlib.closing(plain) as connection:
                connection.request(method, path)
                answer = connection.getresponse()
                answer.read()
                seen[path] = answer.status
    assert seen == {"/readyz": 200, "/livez": 200, "/metrics": 200, "/admit": 404}


def test_the_data_plane_imports_no_kubernetes_client() -> None:
    script = (
        "import sys, webhook.commands.serve, webhook.server.supervisor;"
        "print([name for name in ('kopf', 'kubernetes_asyncio', 'rich') if name in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"

"""The decision log of real processes: killed workers, standard output, keys, and what the command says."""

from __future__ import annotations

import base64
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.server.serving import PATIENCE, Server, run, serving, until

WORDS = ("--drain-seconds", "0")


def lines(folder: Path) -> list[dict[str, Any]]:
    found = []
    for file in sorted(folder.iterdir()):
        data = file.read_bytes()
        found += [json.loads(line) for line in data[: data.rfind(b"\n") + 1].splitlines()]
    return found


def has(folder: Path, count: int, kind: str) -> bool:
    return len([line for line in lines(folder) if line["type"] == kind]) >= count


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "evidence"


def verify(log: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return run("evidence", "verify", *words, *map(str, sorted(log.iterdir())))


def test_a_killed_worker_leaves_a_chain_without_an_end(tmp_path: Path, policies: Path, log: Path) -> None:
    words = ("--policies", str(policies), "--workers", "2", "--evidence-dir", str(log), *WORDS)
    with serving(tmp_path, *words) as server:
        until(lambda: has(log, 2, "start"), "both chains begin")
        for _ in range(20):
            assert server.verdict("bad")["allowed"] is False
        until(lambda: has(log, 20, "decision"), "the denials are written")
        killed = min(server.workers())
        server.kill(killed)
        until(lambda: has(log, 3, "start"), "the next chain begins")
        assert server.verdict("bad")["allowed"] is False
    begun = [line["writer"] for line in lines(log) if line["type"] == "start"]
    assert sorted(writer["start"] for writer in begun) == [1, 2, 3]
    assert len({writer["run"] for writer in begun}) == 1
    assert sorted(writer["worker"] for writer in begun) in ([0, 0, 1], [0, 1, 1])
    done = verify(log)
    assert done.returncode == 0, done.stdout
    assert done.stdout.count("no end: the writer still runs or was killed") == 1
    done = verify(log, "--complete")
    assert done.returncode == 1
    assert done.stdout.count("error ") == 1
    assert len([line for line in lines(log) if line["type"] == "decision"]) == 21


def test_the_logged_key_is_the_one_that_signs(tmp_path: Path, policies: Path, log: Path) -> None:
    with serving(tmp_path, "--policies", str(policies), "--evidence-dir", str(log), *WORDS) as server:
        until(lambda: log.exists() and has(log, 1, "start"), "a chain begins")
        said = server.event("evidence_key")
    assert said is not None
    assert said["kept"] is False
    public = tmp_path / "public"
    public.write_text(said["public_key"] + "\n")
    done = verify(log, "--public-key", str(public), "--complete")
    assert done.returncode == 0, done.stdout
    assert "the keys that the files bring themselves" not in done.stdout
    assert "the keys that the files bring themselves" in verify(log).stdout
    assert {line["key"] for line in lines(log) if "key" in line} == {said["key"]}


def test_openssl_verifies_a_checkpoint_too(tmp_path: Path, policies: Path, log: Path) -> None:
    """So that nobody has to trust our own command."""
    key, public = tmp_path / "key.pem", tmp_path / "key.pub"
    openssl("genpkey", "-algorithm", "ed25519", "-out", key)
    openssl("pkey", "-in", key, "-pubout", "-out", public)
    words = ("--policies", str(policies), "--evidence-dir", str(log), "--evidence-key", str(key), *WORDS)
    with serving(tmp_path, *words):
        until(lambda: log.exists() and has(log, 1, "start"), "a chain begins")
    mark = lines(log)[-1]
    (tmp_path / "signature").write_bytes(base64.b64decode(mark.pop("signature")))
    # The names are ASCII, so that sorting them is all that RFC 8785 asks for.
    (tmp_path / "body").write_text(
        json.dumps(mark, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    )
    verified = ("-verify", "-pubin", "-inkey", public, "-rawin", "-in", tmp_path / "body")
    openssl("pkeyutl", *verified, "-sigfile", tmp_path / "signature")


def openssl(*words: object) -> None:
    subprocess.run(["openssl", *map(str, words)], check=True, capture_output=True)


def test_all_workers_write_whole_lines_to_standard_output(tmp_path: Path, policies: Path) -> None:
    output = tmp_path / "output"
    words = ("--policies", str(policies), "--workers", "3", "--evidence", "stdout", *WORDS)
    with output.open("wb") as stream, pytest.MonkeyPatch.context() as patch:
        real = subprocess.Popen
        patch.setattr(subprocess, "Popen", lambda *args, **more: real(*args, **more, stdout=stream))
        server = Server(tmp_path, *words)
        try:
            for _ in range(10):
                server.verdict("bad")
            until(lambda: output.read_text().count('"type":"decision"') == 10, "the denials are written")
        finally:
            server.stop()
    done = run("evidence", "verify", "--complete", "-o", "json", str(output))
    report = json.loads(done.stdout)
    assert (done.returncode, report["findings"], report["otherLines"]) == (0, [], 0)
    assert sum(chain["types"].get("decision", 0) for chain in report["chains"]) == 10
    assert len(report["chains"]) == 3


def test_metrics_tell_of_it(tmp_path: Path, policies: Path, log: Path) -> None:
    words = ("--policies", str(policies), "--workers", "1", "--evidence-dir", str(log), *WORDS)
    with serving(tmp_path, *words) as server:
        server.verdict("bad")
        until(lambda: log.exists() and has(log, 1, "decision"), "the denial is written")

        def metrics() -> str:
            text = server.get("/metrics")[1]
            return text if 'tidewaiter_evidence_records_total{type="decision"} 1.0' in text else ""

        text = until(metrics, "it is counted")
    age = re.search(r'tidewaiter_evidence_checkpoint_age_seconds\{worker="0"\} (\S+)', text)
    assert age is not None
    assert 0 <= float(age[1]) < 2 * PATIENCE


def test_a_log_that_cannot_be_written_stops_no_request(tmp_path: Path, policies: Path) -> None:
    blocked = tmp_path / "blocked"
    blocked.write_text("")
    words = ("--policies", str(policies), "--workers", "1", "--evidence-dir", str(blocked), *WORDS)
    with serving(tmp_path, *words) as server:
        until(lambda: server.event("evidence_not_written"), "it is said")
        assert server.verdict("bad")["allowed"] is False
        assert server.verdict("good")["allowed"] is True
        blocked.unlink()
        until(lambda: blocked.exists() and has(blocked, 1, "decision"), "what was noted is written")


def test_without_it_nothing_of_it_is_loaded(tmp_path: Path, policies: Path) -> None:
    code = (
        "import sys, webhook.server.worker, webhook.server.supervisor; "
        "print([name for name in sys.modules if 'webhook.server.evidence' in name])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


KEYS = {
    "a key that is away": ("", "can't be read: No such file or directory"),
    "no key": ("hello", "holds no unencrypted private key in PEM; make one with: openssl genpkey"),
    "a public key": ("public", "holds no unencrypted private key"),
    "another kind": ("ec", "the key must be Ed25519"),
}


@pytest.mark.parametrize(("content", "says"), KEYS.values(), ids=KEYS)
def test_a_key_that_cannot_be_used_is_said(tmp_path: Path, policies: Path, content: str, says: str) -> None:
    key, public = tmp_path / "key", tmp_path / "public"
    if content == "ec":
        openssl("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", key)
    elif content:
        openssl("genpkey", "-algorithm", "ed25519", "-out", key)
        openssl("pkey", "-in", key, "-pubout", "-out", public)
        key.write_text(public.read_text() if content == "public" else content)
    done = run(
        *("serve", "--policies", str(policies), "--listen", "127.0.0.1:0"),
        *("--evidence", "stdout", "--evidence-key", str(key)),
    )
    assert done.returncode == 2, done.stderr
    assert says in done.stderr


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--evidence", "stdout", "--evidence-dir", "x"), "either --evidence or --evidence-dir"),
        (("--evidence-key", "x"), "--evidence-key needs"),
        (("--evidence-otlp", "collector"), "no OTLP endpoint"),
    ],
)
def test_options_that_do_not_go_together_are_said(policies: Path, words: tuple[str, ...], says: str) -> None:
    done = run("serve", "--policies", str(policies), "--listen", "127.0.0.1:0", *words)
    assert done.returncode == 2
    assert says in done.stderr


@pytest.mark.parametrize(
    ("content", "words", "says"),
    [
        (None, (), "can't be read: No such file or directory"),
        ("", (), "there is no record of a decision log"),
        ('{"a":1}\n', (), "there is no record of a decision log"),
        ("", ("--public-key", "FILE"), "holds no Ed25519 public key"),
    ],
)
def test_what_cannot_be_verified_is_exit_status_2(
    tmp_path: Path, content: str | None, words: tuple[str, ...], says: str
) -> None:
    file = tmp_path / "log.jsonl"
    if content is not None:
        file.write_text(content)
    done = run(
        "evidence", "verify", *(str(file) if word == "FILE" else word for word in words), "--", str(file)
    )
    assert done.returncode == 2, done.stdout
    assert says in done.stderr

"""A whole rotation of the authority, with two replicas and a new handshake for every request: none fails."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import ssl
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.controlplane import ControlPlane, _free_ports
from tests.operator.replicas import (
    CONFIGURATIONS,
    LEASES,
    POLICIES,
    SECRETS,
    Replica,
    becomes,
    call,
    policy,
    replicas,
)
from tests.operator.test_certificates import mount
from webhook.operator.authority import authorities_in, issue
from webhook.operator.certificates import Bundle, next_bundle, read_secret
from webhook.operator.trust import bundles_of

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("operator")]

Until = Callable[..., Awaitable[None]]
ROOT = Path(__file__).parents[2]
SETTLE = 2.0
HOST = "127.0.0.1"


class Client:
    """Opens a connection for each request, and trusts what the webhook configuration said a moment ago."""

    def __init__(self, plane: ControlPlane, configuration: str, ports: list[int]) -> None:
        self.sent = 0
        self.failures: list[str] = []
        self.trusted: list[bytes] = []
        self.current = b""
        self._stopping = False
        self._plane = plane
        self._path = f"{CONFIGURATIONS}/{configuration}"
        self._ports = ports

    async def run(self) -> None:
        """Send requests to every data plane until stopped."""
        await asyncio.gather(self._follow(), *(self._load(port) for port in self._ports))

    def stop(self) -> None:
        """Let every request under way end, and send no more."""
        self._stopping = True

    async def _follow(self) -> None:
        while not self._stopping:
            _, found = await call(self._plane, "GET", self._path)
            bundles = set(bundles_of(found if isinstance(found, dict) else None))
            assert len(bundles) <= 1, "all entries trust the same"
            # As an API server that hears late, but within the time that a step settles.
            await asyncio.sleep(SETTLE / 4)
            for bundle in bundles:
                if bundle not in self.trusted:
                    self.trusted.append(bundle)
                self.current = bundle

    async def _load(self, port: int) -> None:
        while not self._stopping:
            if not self.current:
                await asyncio.sleep(0.05)
                continue
            context = ssl.create_default_context(cadata=self.current.decode())
            try:
                reader, writer = await asyncio.open_connection(HOST, port, ssl=context, server_hostname=HOST)
                writer.write(b"GET /readyz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
                answer = await reader.read(65536)
                writer.close()
                with contextlib.suppress(OSError):
                    await writer.wait_closed()
                if not answer.startswith(b"HTTP/1.1 200"):
                    self.failures.append(answer[:200].decode(errors="replace"))
            except OSError as error:
                self.failures.append(repr(error))
            self.sent += 1
            await asyncio.sleep(0.02)


@asynccontextmanager
async def data_planes(started: list[Replica], ports: list[int]) -> AsyncIterator[None]:
    """Run `tidewaiter serve` beside each replica."""
    processes = []
    try:
        for replica, port in zip(started, ports, strict=True):
            folder = replica.folder / "certificates"
            with (replica.folder / "serve.log").open("wb") as log:
                processes.append(
                    await asyncio.create_subprocess_exec(
                        *(sys.executable, "-m", "webhook", "serve", "--listen", f"{HOST}:{port}"),
                        *("--snapshot", str(replica.folder / "snapshot"), "--drain-seconds", "0"),
                        *("--tls-cert", str(folder / "tls.crt"), "--tls-key", str(folder / "tls.key")),
                        stdout=log,
                        stderr=log,
                        cwd=ROOT,
                    )
                )
        yield
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            await process.wait()


async def _trusted(plane: ControlPlane, name: str) -> list[str]:
    """Return the fingerprints of what the webhook configuration trusts; the same in every entry."""
    _, found = await call(plane, "GET", f"{CONFIGURATIONS}/{name}")
    bundles = bundles_of(found if isinstance(found, dict) else None)
    return sorted(authorities_in(bundles[0])) if bundles and len(set(bundles)) == 1 else []


async def _authority(plane: ControlPlane, name: str) -> list[str]:
    _, secret = await call(plane, "GET", f"{SECRETS}/{name}-certificates")
    bundle = read_secret(secret) if isinstance(secret, dict) else None
    return sorted(authorities_in(bundle.trusted)) if bundle else []


@pytest.mark.long
async def test_no_handshake_fails_while_the_authority_rotates(plane: ControlPlane, tmp_path: Path) -> None:
    name = "rotating"
    secret = f"{SECRETS}/{name}-certificates"
    ports = _free_ports(2)
    async with (
        replicas(plane, tmp_path, 2, name=name, works=False, settle=SETTLE) as started,
        data_planes(started, ports),
    ):
        await call(plane, "POST", POLICIES, policy("rotating"))
        client = Client(plane, name, ports)
        load = asyncio.create_task(client.run())
        first = await _wait_for_one(plane, name, [])
        await asyncio.sleep(1)

        # The key leaked, and somebody deletes the Secret.
        await call(plane, "DELETE", secret)
        second = await _wait_for_one(plane, name, first)

        await asyncio.sleep(SETTLE)
        # Somebody asks for a rotation.
        body = {"metadata": {"annotations": {"tidewaiter.dev/rotate": "now"}}}
        await call(plane, "PATCH", secret, body, "application/merge-patch+json")
        third = await _wait_for_one(plane, name, second)
        _, found = await call(plane, "GET", secret)
        assert not (found["metadata"].get("annotations") or {}).get("tidewaiter.dev/rotate")

        await asyncio.sleep(SETTLE)
        # Somebody breaks it by hand.
        garbage = {"data": {"tls.key": base64.b64encode(b"garbage").decode()}}
        await call(plane, "PATCH", secret, garbage, "application/merge-patch+json")
        await _wait_for_one(plane, name, third)

        await asyncio.sleep(1)
        client.stop()
        await load
        assert client.failures == []
        assert client.sent > 200
        # One alone, and between two of them both: no step was skipped.
        assert [len(authorities_in(each)) for each in client.trusted] == [1, 2, 1, 2, 1, 2, 1]
    await call(plane, "DELETE", f"{POLICIES}/rotating")


async def _wait_for_one(plane: ControlPlane, name: str, before: list[str]) -> list[str]:
    """Return the one authority that is trusted, once it is another than before and the Secret's."""
    deadline = time.monotonic() + 120
    while True:
        trusted = await _trusted(plane, name)
        if len(trusted) == 1 and trusted != before and trusted == await _authority(plane, name):
            return trusted
        assert time.monotonic() < deadline, trusted
        await asyncio.sleep(0.2)


async def test_a_replica_that_does_not_follow_keeps_the_old_authority_trusted(
    plane: ControlPlane, tmp_path: Path, until: Until
) -> None:
    name = "following"
    secret = f"{SECRETS}/{name}-certificates"
    async with replicas(plane, tmp_path, 2, name=name, settle=0.2) as (first, second):
        old = await _wait_for_one(plane, name, [])
        shown = first.operator.serving.fingerprint
        await until(lambda: second.operator.serving.fingerprint == shown)
        second.works = False  # its worker goes on showing what it has
        _freeze(second, shown)
        await call(plane, "DELETE", secret)
        await until(lambda: first.operator.serving.fingerprint not in ("", shown), 30)
        await asyncio.sleep(3)
        trusted = await _trusted(plane, name)
        assert len(trusted) == 2
        assert set(old) < set(trusted)
        second.works = True
        await _wait_for_one(plane, name, old)


def _freeze(replica: Replica, certificate: str) -> None:
    """Let a replica's worker be one that does not load what is new."""
    file = replica.folder / "snapshot/acks/1.json"
    said = {
        "pid": 1,
        "revision": "old",
        "time": time.time() + 600,
        "failures": [],
        "certificate": certificate,
    }
    file.write_text(json.dumps(said))


def _made(bundle: Bundle | None = None, rotate: bool = False) -> Bundle:
    return next_bundle(bundle, [HOST], datetime.now(UTC) - timedelta(minutes=1), rotate=rotate)


async def test_given_files_that_arrive_at_different_moments_take_the_same_steps(
    plane: ControlPlane, tmp_path: Path, until: Until, caplog: pytest.LogCaptureFixture
) -> None:
    name = "given"
    mounts = [tmp_path / "mount-0", tmp_path / "mount-1"]
    old, new = _made(), _made()
    for folder in mounts:
        mount(folder, old)
    async with replicas(plane, tmp_path, 2, name=name, settle=0.2, cert_sources=mounts) as started:
        await becomes(lambda: _trusted(plane, name), sorted(authorities_in(old.trusted)))
        leader = next(each for each in started if each.operator.elector.leading)
        other = next(each for each in started if each is not leader)
        at = {each: mounts[started.index(each)] for each in started}

        # What can't be used changes nothing and says so.
        mount(at[other], old, tls_key=b"garbage")
        # Just after its start it may say first that it doesn't know the configuration yet.
        await until(lambda: "the last good ones stay" in "".join(other.operator.reporter.problems()[:1]))
        assert other.operator.serving.fingerprint == old.server.fingerprint
        assert any("can't be used" in record.message for record in caplog.records)

        # One replica's mount is faster than the leader's: nobody trusts it yet, so it waits.
        mount(at[other], new)
        await asyncio.sleep(2)
        assert other.operator.serving.fingerprint == old.server.fingerprint
        assert "does not trust" in other.operator.reporter.problems()[0]
        assert await _trusted(plane, name) == sorted(authorities_in(old.trusted))

        mount(at[leader], new)
        await until(
            lambda: all(each.operator.serving.fingerprint == new.server.fingerprint for each in started)
        )
        await becomes(lambda: _trusted(plane, name), sorted(authorities_in(new.trusted)))

        # A leaf of the same authority: nothing is to be trusted anew.
        renewed = Bundle(new.authority, _renewed(new))
        for folder in mounts:
            mount(folder, renewed)
        await until(lambda: shown(started) == {renewed.server.fingerprint})
        assert await _trusted(plane, name) == sorted(authorities_in(new.trusted))
        status, _ = await call(plane, "GET", f"{SECRETS}/{name}-certificates")
        assert status == 404, "no Secret of our own"


def shown(started: list[Replica]) -> set[str]:
    """Return the fingerprints of what the replicas' workers get."""
    return {each.operator.serving.fingerprint for each in started}


def _renewed(bundle: Bundle) -> Any:
    return issue(bundle.authority, [HOST], datetime.now(UTC))


async def test_a_replica_says_in_its_lease_how_it_is_and_takes_it_with_it(
    plane: ControlPlane, tmp_path: Path, until: Until
) -> None:
    name = "reporting"
    lease = f"{LEASES}/tidewaiter-replica-{name}-0"

    async def said() -> Any:
        status, found = await call(plane, "GET", lease)
        return json.loads(found["metadata"]["annotations"]["tidewaiter.dev/replica"]) if status == 200 else {}

    more: dict[str, Any] = {"max_action": "Warn", "exempt_users": ("ci",), "exempt_namespaces": ("velero",)}
    async with replicas(plane, tmp_path, 1, name=name, cluster="prod", **more) as (replica,):
        await until(lambda: replica.operator.serving.fingerprint)

        async def settled() -> bool:
            report = await said()
            workers = report.get("workers") or [{}]
            return bool(report.get("leader") and workers[0].get("certificate"))

        await becomes(settled, True)
        report = await said()
        certificate = replica.operator.serving.fingerprint
        assert report["workers"] == [
            {"revision": replica.operator.publisher.revision, "certificate": certificate, "error": ""}
        ]
        assert report["settings"] == {
            "cluster": "prod",
            "maxAction": "Warn",
            "exemptNamespaces": ["kube-node-lease", "kube-system", "tidewaiter-system", "velero"],
            "exemptUsers": ["ci"],
            "failurePolicy": "Ignore",
            "gatekeeper": "off",
        }
        assert report["problems"] == []
    assert (await call(plane, "GET", lease))[0] == 404

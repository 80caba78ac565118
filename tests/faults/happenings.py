"""The faults: each is done to a world under load and returns when what it broke works again."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography import x509

from tests.e2e.cluster import configmap, eventually
from tests.faults.asking import trusting
from tests.faults.containers import Replica, answered
from tests.faults.load import SPACE, Load, Step, load_policy
from tests.faults.world import OWN_NAMESPACE, World
from webhook.operator import authority, certificates

SPREAD_SECONDS = 10.0
STOPPED_SECONDS = 2.5
"""Less than the timeout of the webhook configuration: what waits is answered in time."""
SLOW_CLIENTS = 8
MANY_SLOW_CLIENTS = 150
SECRET = "tidewaiter-certificates"

_NUMBERS = "[" + ", ".join(str(number) for number in range(40)) + "]"
LOOPS = f"{_NUMBERS}.all(a, {_NUMBERS}.all(b, {_NUMBERS}.all(c, {_NUMBERS}.all(d, a + b + c + d >= 0))))"
"""An expression that takes more steps than a policy has."""

Killed = float | None
"""When a worker was killed with what it had in flight, on the monotonic clock; None: nothing may be lost."""


def worker_killed(world: World, load: Load) -> Killed:
    replica = world.replicas[0]
    before = replica.workers
    moment = time.monotonic()
    os.kill(min(before), signal.SIGKILL)
    eventually(lambda: len(replica.workers - before) == 1, "another worker", 15)
    load_spreads(world, load)
    return moment


def load_spreads(world: World, load: Load) -> None:
    """Wait until every worker has answered something new."""
    start = {worker: answered(worker) for replica in world.replicas for worker in replica.workers}
    eventually(
        lambda: all(answered(worker) > count for worker, count in start.items()),
        "every worker answers",
        SPREAD_SECONDS,
    )


def worker_stopped(world: World, load: Load) -> Killed:
    worker = min(world.replicas[0].workers)
    os.kill(worker, signal.SIGSTOP)
    try:
        time.sleep(STOPPED_SECONDS)
    finally:
        os.kill(worker, signal.SIGCONT)
    return None


def data_planes_restarted(world: World, load: Load) -> Killed:
    """Restart one after the other, as a rolling update does."""
    for replica in world.replicas:
        replica.webhook.restart()
        eventually(replica.settled, "the replica is back", 60)
    load_spreads(world, load)
    return None


def supervisor_killed(world: World, load: Load) -> Killed:
    """Kill a supervisor; its workers answer through their grace time, then leave their port."""
    replica = world.replicas[0]
    starts = replica.webhook.starts
    replica.webhook.kill()
    eventually(lambda: replica.webhook.starts > starts and replica.settled(), "the replica is back", 60)
    load_spreads(world, load)
    return None


def operator_killed(world: World, load: Load) -> Killed:
    leader = world.leader()
    other = next(replica for replica in world.replicas if replica is not leader)
    _kill_operator(other)
    _a_new_policy_holds(world, load)
    return None


def leader_killed(world: World, load: Load) -> Killed:
    """Kill the leader; a policy holds before anybody leads again: every replica follows by itself."""
    _kill_operator(world.leader())
    _a_new_policy_holds(world, load)
    world.leader()
    return None


def operators_killed(world: World, load: Load) -> Killed:
    for each in world.replicas:
        _kill_operator(each)
    _a_new_policy_holds(world, load)
    return None


def _kill_operator(replica: Replica) -> None:
    starts = replica.operator.starts
    replica.operator.kill()
    eventually(lambda: replica.operator.starts > starts, "the control plane starts again", 15)


def _a_new_policy_holds(world: World, load: Load) -> None:
    """Apply a policy, wait until both replicas judge by it, and delete it."""
    before = world.replicas[0].published
    policy = load_policy("load-new", "!object.metadata.name.startsWith('new')")
    world.apply(policy)
    eventually(lambda: world.settled() and world.replicas[0].published != before, "the new policy", 30)
    path = f"/api/v1/namespaces/{SPACE}/configmaps"
    load.ask(Step("break the new policy", "POST", path, configmap(SPACE, "new"), ("load-new/check",)))
    world.plane.kubectl("delete", "clusterpolicy", "load-new", check=True)
    eventually(lambda: world.settled() and world.replicas[0].published == before, "it is gone", 30)


def certificate_renewed(world: World, load: Load) -> Killed:
    """Let the certificate near its end: the leader issues another one of the same authority."""
    secret = _secret(world)
    bundle = certificates.read_secret(secret)
    assert bundle is not None
    names = bundle.server.x509.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    hosts = [str(name) for name in names.get_values_for_type(x509.IPAddress)]
    age = authority.SERVER_LIFETIME - certificates.SERVER_RENEWAL + timedelta(days=1)
    old = replace(bundle, server=authority.issue(bundle.authority, hosts, datetime.now(UTC) - age))
    world.apply(certificates.write_secret(old, OWN_NAMESPACE, secret["metadata"]["name"]))
    unwanted = {bundle.server.x509.serial_number, old.server.x509.serial_number}
    _new_certificate_serves(world, load, lambda shown: shown.serial_number not in unwanted)
    return None


def authority_rotated(world: World, load: Load) -> Killed:
    """Ask for another authority by an annotation."""
    return _another_authority(world, load, "annotate", "tidewaiter.dev/rotate=now")


def authority_deleted(world: World, load: Load) -> Killed:
    """Delete the Secret, so that nobody knows the old authority's key."""
    return _another_authority(world, load, "delete")


def _another_authority(world: World, load: Load, verb: str, *words: str) -> Killed:
    bundle = certificates.read_secret(_secret(world))
    assert bundle is not None
    issuer = bundle.authority.x509.subject
    world.plane.kubectl(verb, "secret", "-n", OWN_NAMESPACE, SECRET, *words, check=True)
    _new_certificate_serves(world, load, lambda shown: shown.issuer != issuer)

    def dropped() -> bool:
        load.burst()
        return issuer not in [each.subject for each in world.trusted()]

    eventually(dropped, "the old authority is no longer trusted", 60)
    return None


def _secret(world: World) -> dict[str, Any]:
    found = world.plane.kubectl("get", "secret", "-n", OWN_NAMESPACE, "-o", "json", check=True)
    items: list[dict[str, Any]] = json.loads(found.stdout)["items"]
    return next(item for item in items if item["metadata"]["name"] == SECRET)


def _new_certificate_serves(world: World, load: Load, wanted: Callable[[x509.Certificate], bool]) -> None:
    def everywhere() -> bool:
        load.burst()  # connections that are open would hide that a new one fails
        return all(wanted(shown_by(replica.endpoint.port)) for replica in world.replicas for _ in range(4))

    eventually(everywhere, "every replica shows the new certificate", 60)


def shown_by(port: int) -> x509.Certificate:
    """Return the certificate that a new connection is shown."""
    context = trusting()
    with (
        socket.create_connection(("127.0.0.1", port), 30) as plain,
        context.wrap_socket(plain) as connection,
    ):
        shown = connection.getpeercert(binary_form=True)
    assert shown is not None
    return x509.load_der_x509_certificate(shown)


def api_server_restarted(world: World, load: Load) -> Killed:
    """Restart it as asked: it takes up to a minute, since it waits for watches to end."""
    world.plane.restart("kube-apiserver")
    return None


def api_server_killed(world: World, load: Load) -> Killed:
    world.plane.restart("kube-apiserver", signal.SIGKILL)
    return None


def etcd_restarted(world: World, load: Load) -> Killed:
    world.plane.restart("etcd")
    return None


def snapshot_garbage(world: World, load: Load) -> Killed:
    return _damaged(world, load, lambda file: file.write_bytes(b"\x00 no snapshot"))


def snapshot_cut_short(world: World, load: Load) -> Killed:
    return _damaged(world, load, lambda file: os.truncate(file, file.stat().st_size // 2))


def snapshot_deleted(world: World, load: Load) -> Killed:
    return _damaged(world, load, lambda file: file.unlink())


def snapshot_link_deleted(world: World, load: Load) -> Killed:
    return _damaged(world, load, lambda file: (file.parent / "current").unlink())


def snapshot_older(world: World, load: Load) -> Killed:
    """Link the file of the revision before, which can be loaded like any other."""
    before = world.replicas[0].published
    world.apply(load_policy("load-newer", "true"))
    eventually(lambda: world.settled() and world.replicas[0].published != before, "another revision", 30)

    def put_back(file: Path) -> object:
        link = file.parent / ".older"
        link.symlink_to(f"snapshot-{before}.json")
        return link.rename(file.parent / "current")

    try:
        return _damaged(world, load, put_back)
    finally:
        world.plane.kubectl("delete", "clusterpolicy", "load-newer", check=True)


def _damaged(world: World, load: Load, damage: Callable[[Path], object]) -> Killed:
    """Damage one replica's snapshot and restart who reads it; the operator mends it."""
    replica = world.replicas[0]
    wanted = replica.published
    damage(replica.snapshot / f"snapshot-{wanted}.json")
    replica.webhook.restart()

    def mended() -> bool:
        return replica.published == wanted and replica.settled()

    eventually(mended, "the snapshot is mended", 60)
    return None


def slow_clients(world: World, load: Load) -> Killed:
    return _slow(world, load, SLOW_CLIENTS)


def hundreds_of_slow_clients(world: World, load: Load) -> Killed:
    return _slow(world, load, MANY_SLOW_CLIENTS)


def _slow(world: World, load: Load, count: int) -> Killed:
    ports = (world.replicas[0].endpoint.port, world.forwarder.port)
    with half_sent(ports, count):
        load.more(150)
    return None


@contextlib.contextmanager
def half_sent(ports: tuple[int, ...], count: int) -> Iterator[None]:
    """Hold requests open at each port: some lack the end of their head, some that of their body."""
    context = trusting()
    head = b"POST /admit?timeout=30s HTTP/1.1\r\nHost: tidewaiter\r\nContent-Type: application/json\r\n"
    with contextlib.ExitStack() as stack:
        for port in ports:
            for number in range(count):
                plain = stack.enter_context(socket.create_connection(("127.0.0.1", port), 30))
                connection = stack.enter_context(context.wrap_socket(plain))
                connection.sendall(head)
                if number % 2:
                    connection.sendall(b'Content-Length: 5000\r\n\r\n{"apiVersion": "admission')
        yield


def budget_burned(world: World, load: Load) -> Killed:
    """Let a policy spend all its steps on each object that it judges: it alone is not evaluated."""
    burns = load_policy("load-burns", f"!object.metadata.name.startsWith('burns') || {LOOPS}")
    before = world.replicas[0].published
    world.apply(burns)
    eventually(lambda: world.settled() and world.replicas[0].published != before, "the policy", 30)
    path = f"/api/v1/namespaces/{SPACE}/configmaps?dryRun=All"
    step = Step(
        "burn the budget", "POST", path, configmap(SPACE, "burns"), ("load-burns: could not be evaluated",)
    )
    done = threading.Event()

    def burn() -> None:
        while not done.is_set():
            load.ask(step)

    burner = threading.Thread(target=burn)
    burner.start()
    try:
        load.more(100)
    finally:
        done.set()
        burner.join()
        world.plane.kubectl("delete", "clusterpolicy", "load-burns", check=True)
    return None

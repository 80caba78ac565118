"""A risk acceptance that is deleted stops to count in every replica, whatever was cut off or restarted."""

from __future__ import annotations

import contextlib
import itertools
import json
import signal
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.controlplane import ControlPlane
from tests.e2e.cluster import APPETITE, CuttableProxy, acceptance, as_whom, eventually
from tests.faults.asking import ask, configmap_review
from tests.faults.conftest import QUICK
from tests.faults.containers import ROOT, Replica
from tests.faults.load import SPACE, load_policies
from tests.faults.world import World

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("deleted")]

SECONDS = 40.0
"""How long a deleted acceptance may still count in a replica that reaches the API server. It is less than
seven seconds, which `pytest -s` tells; more is for a machine on which a program alone takes ten to start.
"""
ASKED = 8
"""Connections to a replica, so that each of its two workers gets some."""
_numbers = itertools.count(1)


@dataclass(frozen=True)
class Site:
    """Two replicas, and what lies between each and the API server."""

    world: World
    proxies: tuple[CuttableProxy, ...]


@dataclass(frozen=True)
class Accepted:
    """A ConfigMap that violates a policy, and why that is accepted."""

    site: Site
    name: str
    asked: dict[str, Any]
    given: dict[str, Any]

    def delete(self, given: bool = False) -> None:
        """Delete the acceptance, or its approval."""
        kind, obj = ("riskapproval", self.given) if given else ("riskacceptance", self.asked)
        words = ("delete", kind, obj["metadata"]["name"], "-n", SPACE)
        self.site.world.plane.kubectl(*words, check=True)

    def allowed(self, replica: Replica) -> list[bool]:
        """Return what a replica says, several times."""
        review = configmap_review(SPACE, self.name, {"password": "x"})
        return [bool(ask(replica.endpoint.port, review)["allowed"]) for _ in range(ASKED)]


def cut_off(site: Site, accepted: Accepted) -> None:
    """Cut one replica off: the other follows at once, the one when it is back."""
    site.proxies[0].cut()
    accepted.delete()
    nothing_counts(accepted, site.world.replicas[1:])
    site.proxies[0].mend()


@contextlib.contextmanager
def everybody_cut_off(site: Site) -> Iterator[None]:
    """Let no replica reach the API server until the end of the block."""
    for proxy in site.proxies:
        proxy.cut()
    yield
    for proxy in site.proxies:
        proxy.mend()


def all_cut_off(site: Site, accepted: Accepted) -> None:
    with everybody_cut_off(site):
        accepted.delete()


def an_approval_while_cut_off(site: Site, accepted: Accepted) -> None:
    """Without its approval an acceptance counts as little."""
    site.proxies[0].cut()
    accepted.delete(given=True)
    site.proxies[0].mend()


def the_api_server_restarts(site: Site, accepted: Accepted) -> None:
    """Kill the API server right after: who watches may not have heard."""
    accepted.delete()
    site.world.plane.restart("kube-apiserver", signal.SIGKILL)


def cut_off_and_the_api_server_restarts(site: Site, accepted: Accepted) -> None:
    """Let nobody remember what was deleted: the API server's cache of events is gone too."""
    with everybody_cut_off(site):
        accepted.delete()
        site.world.plane.restart("kube-apiserver", signal.SIGKILL)


def etcd_restarts(site: Site, accepted: Accepted) -> None:
    accepted.delete()
    site.world.plane.restart("etcd", signal.SIGKILL)


def cut_off_and_etcd_restarts(site: Site, accepted: Accepted) -> None:
    with everybody_cut_off(site):
        accepted.delete()
        site.world.plane.restart("etcd", signal.SIGKILL)


def while_etcd_comes_back(site: Site, accepted: Accepted) -> None:
    """Delete it while etcd restarts: again and again, until it is taken."""
    path = f"/apis/tidewaiter.dev/v1alpha1/namespaces/{SPACE}/riskacceptances/"
    name = accepted.asked["metadata"]["name"]

    def deleted() -> bool:
        with contextlib.suppress(OSError):
            return site.world.plane.request("DELETE", path + name)[0] in (200, 404)
        return False

    # Not the other way round: what a thread starts ends with it.
    deleting = threading.Thread(target=eventually, args=(deleted, "the deletion is taken", 90))
    deleting.start()
    site.world.plane.restart("etcd", signal.SIGKILL)
    deleting.join()
    assert site.world.plane.request("GET", path + name)[0] == 404


def operators_are_killed(site: Site, accepted: Accepted) -> None:
    for replica in site.world.replicas:
        replica.operator.kill()
    accepted.delete()


def operators_are_killed_while_cut_off(site: Site, accepted: Accepted) -> None:
    """Let them start while nobody tells them anything: until then workers judge by the last snapshot."""
    with everybody_cut_off(site):
        for replica in site.world.replicas:
            starts = replica.operator.starts
            replica.operator.kill()
            eventually(lambda each=replica, n=starts: each.operator.starts > n, "it starts again", 30)
        accepted.delete()


def cut_off_and_the_kind_goes(site: Site, accepted: Accepted) -> None:
    """Delete the kind itself, and every acceptance with it: nobody tells who was cut off what was deleted."""
    kubectl = site.world.plane.kubectl
    site.proxies[0].cut()
    try:
        kubectl("delete", "crd", "riskacceptances.tidewaiter.dev", check=True)
        site.proxies[0].mend()
        nothing_counts(accepted, site.world.replicas)
    finally:
        kubectl("apply", "-k", str(ROOT / "charts/tidewaiter/crds"), check=True)


HAPPENINGS: list[Callable[[Site, Accepted], None]] = [
    cut_off,
    all_cut_off,
    an_approval_while_cut_off,
    the_api_server_restarts,
    cut_off_and_the_api_server_restarts,
    etcd_restarts,
    cut_off_and_etcd_restarts,
    while_etcd_comes_back,
    operators_are_killed,
    operators_are_killed_while_cut_off,
    cut_off_and_the_kind_goes,
]


@pytest.fixture(scope="module")
def site(assets: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with ControlPlane(assets, tmp_path_factory.mktemp("deleted")) as plane:
        proxies, kubeconfigs = [], []
        for number in range(2):
            proxy = CuttableProxy(urlsplit(plane.url).port or 0)
            config = plane.workdir / f"replica-{number}.kubeconfig"
            text = plane.kubeconfig.read_text()
            config.write_text(text.replace(plane.url, f"https://127.0.0.1:{proxy.port}"))
            proxies.append(proxy)
            kubeconfigs.append(config)
        try:
            with World(plane, operator=QUICK, kubeconfigs=kubeconfigs) as world:
                world.apply(APPETITE)
                yield Site(world, tuple(proxies))
        finally:
            for proxy in proxies:
                proxy.close()


@pytest.fixture
def accepted(site: Site) -> Accepted:
    """Return what every worker of both replicas lets through."""
    name = f"deleted-{next(_numbers)}"
    asked, given = acceptance(load_policies()[0], SPACE, ("", "ConfigMap"), [name])
    for each in (asked, given):
        words = ("apply", "-f", "-", *as_whom(each))
        site.world.plane.kubectl(*words, input=json.dumps(each), check=True)
    found = Accepted(site, name, asked, given)
    for replica in site.world.replicas:
        eventually(lambda each=replica: all(found.allowed(each)), "it is accepted", 60)
    return found


def nothing_counts(accepted: Accepted, replicas: list[Replica]) -> float:
    """Wait until no worker of these replicas lets it through, and return how long that took."""
    started = time.monotonic()
    for replica in replicas:
        eventually(lambda each=replica: not any(accepted.allowed(each)), "it counts no more", SECONDS)
    return time.monotonic() - started


@pytest.mark.parametrize("happens", [pytest.param(each, id=each.__name__) for each in HAPPENINGS])
def test_a_deleted_acceptance_counts_nowhere(
    site: Site, accepted: Accepted, happens: Callable[[Site, Accepted], None]
) -> None:
    try:
        happens(site, accepted)
        took = nothing_counts(accepted, site.world.replicas)
        print(f"{happens.__name__}: {took:.1f} s")
        eventually(site.world.settled, "both replicas judge by the same", 60)
        assert not any(verdict for replica in site.world.replicas for verdict in accepted.allowed(replica))
    except AssertionError:
        site.world.show_logs()
        raise

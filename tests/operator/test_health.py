"""Metrics and probes of a replica of the control plane."""

from __future__ import annotations

import asyncio
import re
import socket
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from tests.controlplane import ControlPlane
from webhook.adapters.addresses import Address
from webhook.core.errors import InputError
from webhook.operator import health, metrics
from webhook.operator.client import connect
from webhook.operator.main import Operator
from webhook.operator.metrics import Facts
from webhook.operator.options import Options

DAY = 86400.0


def get(address: Address, path: str, seconds: float = 10.0) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(f"http://{address}{path}", timeout=seconds) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


async def asked(address: Address, path: str) -> tuple[int, str]:
    return await asyncio.to_thread(get, address, path)


async def test_it_is_ready_once_a_snapshot_is_published() -> None:
    known = [Facts()]
    async with health.listening(Address("127.0.0.1", 0), lambda: known[0]) as address:
        assert (await asked(address, "/livez"))[0] == 200
        assert (await asked(address, "/readyz"))[0] == 503
        assert (await asked(address, "/metrics"))[0] == 200
        known[0] = Facts(revision="one", publish_failing=True)
        assert (await asked(address, "/readyz"))[0] == 200, "what was published stays"
        assert (await asked(address, "/admit"))[0] == 404


async def test_a_loop_that_hangs_is_not_alive() -> None:
    async with health.listening(Address("127.0.0.1", 0), Facts) as address:
        seen: list[str] = []

        def ask() -> None:
            try:
                get(address, "/livez", seconds=0.5)
                seen.append("answered")
            except TimeoutError:
                seen.append("no answer")

        thread = threading.Thread(target=ask)
        thread.start()
        time.sleep(1.5)  # noqa: ASYNC251 - this is the hanging
        thread.join()
        assert seen == ["no answer"]
        assert (await asked(address, "/livez"))[0] == 200


async def test_a_taken_port_is_said_at_once() -> None:
    async with health.listening(Address("127.0.0.1", 0), Facts) as address:
        with pytest.raises(InputError, match="can't listen on"):
            async with health.listening(address, Facts):
                pass


def test_what_the_metrics_say() -> None:
    now = time.time()
    text = metrics.render(
        Facts(
            leader=True,
            revision="new",
            workers=("new", "old", "new"),
            contacts={
                "policies": (now, ""),
                "namespaces": (now - 100, "403: no"),
                "riskappetites": (0.0, ""),
            },
            ends={("RiskAcceptance", "shop", f"in-{days}"): now + days * DAY for days in (90, 20, 5, 0.5)},
            webhook_in_place=False,
        )
    ).decode()
    for line in (
        'tidewaiter_operator_snapshot_info{revision="new"} 1.0',
        'tidewaiter_operator_workers{snapshot="current"} 2.0',
        'tidewaiter_operator_workers{snapshot="other"} 1.0',
        'tidewaiter_operator_watch_ok{resource="policies"} 1.0',
        'tidewaiter_operator_watch_ok{resource="namespaces"} 0.0',
        'tidewaiter_operator_watch_ok{resource="riskappetites"} 0.0',
        'tidewaiter_operator_acceptances_expiring{within="30d"} 3.0',
        'tidewaiter_operator_acceptances_expiring{within="7d"} 2.0',
        'tidewaiter_operator_acceptances_expiring{within="1d"} 1.0',
        "tidewaiter_operator_webhook_configuration_in_place 0.0",
    ):
        assert line in text.splitlines()


def days_to_expiry(ends: dict[tuple[str, str, str], float]) -> list[tuple[str, float]]:
    text = metrics.render(Facts(leader=True, ends=ends)).decode()
    found = re.findall(r'^tidewaiter_acceptance_days_to_expiry\{.*name="(.*?)".*\} (.*)$', text, re.MULTILINE)
    return [(name, float(value)) for name, value in found]


def test_the_days_that_acceptances_have_left_are_told_of_those_that_end_first() -> None:
    now = time.time()
    ends = {("RiskAcceptance", "shop", f"n{days}"): now + days * DAY for days in range(150, 0, -1)}
    found = days_to_expiry(ends)
    assert [name for name, _ in found] == [f"n{days}" for days in range(1, 101)]
    assert found[0][1] == pytest.approx(1, abs=0.1)
    assert found[99][1] == pytest.approx(100, abs=0.1)
    assert days_to_expiry({}) == []


def test_only_the_leader_tells_of_what_only_it_judges() -> None:
    text = metrics.render(Facts(leader=False, policies={("Policy", "Enforced"): 1})).decode()
    assert "tidewaiter_operator_policies" not in text
    assert "webhook_configuration_in_place" not in text


@pytest.mark.e2e
@pytest.mark.xdist_group("operator")
async def test_a_replica_on_a_real_api_server(plane: ControlPlane, tmp_path: Path) -> None:
    plane.kubectl("apply", "-k", str(Path(__file__).parents[2] / "charts/tidewaiter/crds"), check=True)
    address = Address("127.0.0.1", _free_port())
    options = Options(
        snapshot=tmp_path / "snapshot",
        cert_dir=tmp_path / "certs",
        kubeconfig=str(plane.kubeconfig),
        namespace="health",
        webhook_name="health",
        webhook_url="https://127.0.0.1:1",
        leader_elect=False,
        create_namespace=True,
        metrics_listen=address,
    )
    client = await connect(options.kubeconfig)
    stop = asyncio.Event()
    task = asyncio.create_task(Operator(options, client).run(stop))
    text = ""

    async def ready() -> bool:
        nonlocal text
        try:
            if (await asked(address, "/readyz"))[0] == 200:
                text = (await asked(address, "/metrics"))[1]
        except OSError:
            return False
        return "tidewaiter_operator_leader 1.0" in text

    try:
        for _ in range(300):
            if await ready():
                break
            await asyncio.sleep(0.1)
        assert 'tidewaiter_operator_watch_ok{resource="clusterpolicies"} 1.0' in text, text
        assert "tidewaiter_operator_snapshot_info{revision=" in text
        assert "tidewaiter_operator_kopf_starts_total 1.0" in text
    finally:
        stop.set()
        await task
        await client.close()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])

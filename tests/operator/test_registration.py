"""The webhook configuration among others that write it too, and its end."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from tests.controlplane import ControlPlane
from tests.operator.replicas import (
    CONFIGURATIONS,
    LEASES,
    NAMESPACE,
    POLICIES,
    SECRETS,
    becomes,
    call,
    policy,
    replicas,
)
from webhook.cli import group
from webhook.core.times import format_time
from webhook.operator import process
from webhook.operator.client import KubernetesClient
from webhook.operator.reconcile import Patience
from webhook.operator.uninstalling import ANNOTATION, uninstalling

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("operator")]

Until = Callable[..., Awaitable[None]]
MERGE = "application/merge-patch+json"


async def _configuration(plane: ControlPlane, name: str) -> dict[str, Any]:
    status, found = await call(plane, "GET", f"{CONFIGURATIONS}/{name}")
    return found if status == 200 else {}


def _writes(plane: ControlPlane, name: str, by: str) -> int:
    """Return how many writes of a configuration the API server has seen of one program."""
    return sum(
        event["verb"] in ("patch", "update", "create")
        and event.get("objectRef", {}).get("name") == name
        and event.get("objectRef", {}).get("resource") == "validatingwebhookconfigurations"
        and event.get("userAgent", "").startswith(by)
        for event in plane.audit_events()
    )


EXPRESSION = {"key": "control-plane", "operator": "DoesNotExist"}
LABEL = {"admissions.enforcer/seen": "true"}
OPT_OUT = "admissions.enforcer/disabled"


class AdmissionsEnforcer:
    """AKS's second writer: it adds an expression to each entry, and a label, wherever they are absent.

    It leaves alone what has its opt-out label.

    https://learn.microsoft.com/azure/aks/faq#can-admission-controller-webhooks-impact-kube-system-and-internal-aks-namespaces-
    """

    def __init__(self, plane: ControlPlane, name: str) -> None:
        self.writes = 0
        self._plane = plane
        self._name = name

    async def run(self) -> None:
        while True:
            found = await _configuration(self._plane, self._name)
            if found and not self.satisfied(found):
                for entry in found["webhooks"]:
                    selector = entry.setdefault("namespaceSelector", {})
                    expressions = selector.setdefault("matchExpressions", [])
                    if EXPRESSION not in expressions:
                        expressions.append(EXPRESSION)
                found["metadata"]["labels"] |= LABEL
                status, _ = await call(self._plane, "PUT", f"{CONFIGURATIONS}/{self._name}", found)
                self.writes += status == 200
            await asyncio.sleep(0.1)

    def satisfied(self, found: dict[str, Any]) -> bool:
        if found["metadata"]["labels"].get(OPT_OUT) == "true":
            return True
        selectors = [entry.get("namespaceSelector") or {} for entry in found["webhooks"]]
        if not all(EXPRESSION in each.get("matchExpressions", ()) for each in selectors):
            return False
        return LABEL.items() <= found["metadata"]["labels"].items()


async def test_a_second_writer_that_adds_its_own_settles(plane: ControlPlane, tmp_path: Path) -> None:
    name = "enforced"
    enforcer = AdmissionsEnforcer(plane, name)
    async with replicas(plane, tmp_path, 1, name=name) as (replica,):
        task = asyncio.create_task(enforcer.run())

        async def satisfied() -> bool:
            found = await _configuration(plane, name)
            return bool(found) and enforcer.satisfied(found)

        await becomes(satisfied, True)
        for number in range(3):  # each changes what we want: they add theirs to the new entries once
            kinds = ["configmaps", "secrets", "services"][: number + 1]
            await call(plane, "POST", POLICIES, policy(f"enforced-{number}", resources=kinds))

            async def named(wanted: frozenset[str] = frozenset(kinds)) -> bool:
                entries = (await _configuration(plane, name))["webhooks"]
                rules = [rule for entry in entries for rule in entry["rules"]]
                return any(wanted <= set(rule["resources"]) for rule in rules)

            await becomes(named, True)
            await becomes(satisfied, True)
        await asyncio.sleep(2)
        before = enforcer.writes, _writes(plane, name, "tidewaiter")
        version = (await _configuration(plane, name))["metadata"]["resourceVersion"]
        replica.operator._trigger.set()
        await asyncio.sleep(12)  # longer than a resync
        assert (enforcer.writes, _writes(plane, name, "tidewaiter")) == before
        found = await _configuration(plane, name)
        assert found["metadata"]["resourceVersion"] == version
        for entry in found["webhooks"]:
            assert entry["failurePolicy"] in ("Ignore", "Fail")
            assert EXPRESSION in entry["namespaceSelector"]["matchExpressions"]
        assert before[0] <= 8
        assert before[1] <= 10
        assert replica.operator.reporter.problems() == []
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    for number in range(3):
        await call(plane, "DELETE", f"{POLICIES}/enforced-{number}")


async def test_a_second_writer_never_writes_where_its_opt_out_label_is_kept(
    plane: ControlPlane, tmp_path: Path
) -> None:
    name = "opted-out"
    enforcer = AdmissionsEnforcer(plane, name)
    async with replicas(plane, tmp_path, 1, name=name, webhook_labels=(f"{OPT_OUT}=true",)):
        task = asyncio.create_task(enforcer.run())

        async def labelled() -> bool:
            found = await _configuration(plane, name)
            return bool(found) and found["metadata"]["labels"].get(OPT_OUT) == "true"

        await becomes(labelled, True)
        await call(plane, "POST", POLICIES, policy("opted-out"))

        async def entries() -> int:
            return len((await _configuration(plane, name))["webhooks"])

        await becomes(entries, 4)
        await asyncio.sleep(1)  # time for it to look several times
        assert enforcer.writes == 0
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

        # Whoever takes the label off, or overwrites it, is put right; what else they set stays.
        for theirs in (None, "false"):
            labels = {OPT_OUT: theirs, "team": "platform"}
            body = {"metadata": {"labels": labels}}
            status, _ = await call(plane, "PATCH", f"{CONFIGURATIONS}/{name}", body, MERGE)
            assert status == 200
            await becomes(labelled, True)
        found = await _configuration(plane, name)
        assert found["metadata"]["labels"]["team"] == "platform"
        assert all(EXPRESSION not in _expressions(entry) for entry in found["webhooks"])
    await call(plane, "DELETE", f"{POLICIES}/opted-out")


def _expressions(entry: dict[str, Any]) -> list[dict[str, Any]]:
    return list((entry.get("namespaceSelector") or {}).get("matchExpressions") or ())


async def test_somebody_who_keeps_changing_ours_is_met_with_patience_and_named(
    plane: ControlPlane, tmp_path: Path, until: Until, caplog: pytest.LogCaptureFixture
) -> None:
    name = "fought"
    edits = 0

    async def edit() -> None:
        nonlocal edits
        while True:
            found = await _configuration(plane, name)
            if found and any(entry["timeoutSeconds"] != 1 for entry in found["webhooks"]):
                for entry in found["webhooks"]:
                    entry["timeoutSeconds"] = 1
                path = f"{CONFIGURATIONS}/{name}?fieldManager=cluster-hardener"
                status, _ = await call(plane, "PUT", path, found)
                edits += status == 200
            await asyncio.sleep(0.02)

    async with replicas(plane, tmp_path, 1, name=name) as (replica,):
        await becomes(lambda: _has_timeout(plane, name, 5), True)
        task = asyncio.create_task(edit())
        await until(lambda: any("changing" in each for each in replica.operator.reporter.problems()), 30)
        started, before = time.monotonic(), edits
        await asyncio.sleep(10)
        waited = time.monotonic() - started
        assert edits - before <= 3 + waited / 4, "each time we wait longer"
        problem = next(each for each in replica.operator.reporter.problems() if "changing" in each)
        assert (
            problem == f"webhook configuration {name}: somebody keeps changing it, last as 'cluster-hardener'"
        )
        assert any(record.message == problem for record in caplog.records if record.levelname == "ERROR")
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await becomes(lambda: _has_timeout(plane, name, 5), True, 70)


async def _has_timeout(plane: ControlPlane, name: str, seconds: int) -> bool:
    found = await _configuration(plane, name)
    return bool(found) and all(entry["timeoutSeconds"] == seconds for entry in found["webhooks"])


def test_patience_wears_and_comes_back() -> None:
    now = 0.0
    patience = Patience(lambda: now)
    waits = []
    for _ in range(14):
        waits.append(patience.wait())
        now += patience.wait()
        patience.spend()
    assert waits[:5] == [0.0] * 5
    assert waits[5:] == [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0, 60.0]
    assert patience.worn
    now += 121
    assert patience.wait() == 0.0
    assert not patience.worn


async def test_an_uninstall_stays_though_operators_run(
    plane: ControlPlane, tmp_path: Path, until: Until, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = "leaving"
    monkeypatch.setattr(process, "configure_logs", lambda *_: None)
    words = ["uninstall", "--kubeconfig", str(plane.kubeconfig), "--namespace", NAMESPACE]
    words += ["--webhook-name", name, "--lease-name", f"{name}-leader"]
    async with replicas(plane, tmp_path, 2, name=name) as started:
        await becomes(lambda: _there(plane, name), True)
        done = await asyncio.to_thread(CliRunner().invoke, group, words)
        assert done.exception is None, done.output
        leader = next(each for each in started if each.operator.elector.leading)
        await until(lambda: any("uninstalls us" in each for each in leader.operator.reporter.problems()))
        await leader.end()  # and the next leader leaves it alone, too
        other = next(each for each in started if each is not leader)
        await until(lambda: any("uninstalls us" in each for each in other.operator.reporter.problems()), 20)
        await asyncio.sleep(2)
        assert not await _there(plane, name)

        # Given up: ten minutes later it is as before.
        old = format_time(datetime.now(UTC) - timedelta(minutes=11))
        body = {"metadata": {"annotations": {ANNOTATION: old}}}
        await call(plane, "PATCH", f"{LEASES}/{name}-leader", body, MERGE)
        await becomes(lambda: _there(plane, name), True)
    again = await asyncio.to_thread(CliRunner().invoke, group, words)
    assert again.exception is None, "there is nothing, and that is no error"
    await call(plane, "DELETE", f"{LEASES}/{name}-leader")


async def _there(plane: ControlPlane, name: str) -> bool:
    return bool(await _configuration(plane, name))


async def test_an_uninstall_of_the_installation_before_does_not_count(
    plane: ControlPlane, client: KubernetesClient
) -> None:
    lease = "left-behind"
    now = datetime.now(UTC).replace(microsecond=0)
    body = {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {"name": lease, "namespace": "default", "annotations": {ANNOTATION: format_time(now)}},
    }
    await call(plane, "POST", "/apis/coordination.k8s.io/v1/namespaces/default/leases", body)
    assert await uninstalling(client, "default", lease)
    assert await uninstalling(client, "default", lease, now - timedelta(hours=1))
    assert not await uninstalling(client, "default", lease, now + timedelta(seconds=30))
    assert not await uninstalling(client, "default", "none")


async def test_what_is_made_has_an_owner_and_follows_one_that_is_made_anew(
    plane: ControlPlane, tmp_path: Path
) -> None:
    name = "owned"
    labels = {"app": name}
    pod = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "a", "image": "a"}]}}
    deployment = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name},
        "spec": {"selector": {"matchLabels": labels}, "template": pod},
    }
    role = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": name}}
    deployments = f"/apis/apps/v1/namespaces/{NAMESPACE}/deployments"
    roles = "/apis/rbac.authorization.k8s.io/v1/clusterroles"
    await call(plane, "POST", "/api/v1/namespaces", {"metadata": {"name": NAMESPACE}})
    made = [
        (await call(plane, "POST", deployments, deployment))[1],
        (await call(plane, "POST", roles, role))[1],
    ]
    paths = {
        f"{SECRETS}/{name}-certificates": 0,
        f"{LEASES}/{name}-leader": 0,
        f"{LEASES}/tidewaiter-replica-{name}-0": 0,
        f"{CONFIGURATIONS}/{name}": 1,
    }

    async def owners() -> dict[str, list[str]]:
        found = {path: (await call(plane, "GET", path))[1] for path in paths}
        return {
            path: [each["uid"] for each in (found[path].get("metadata") or {}).get("ownerReferences") or ()]
            for path in paths
        }

    more: dict[str, Any] = {"owner_deployment": name, "owner_cluster_role": name}
    async with replicas(plane, tmp_path, 1, name=name, **more) as (replica,):
        await becomes(owners, {path: [made[index]["metadata"]["uid"]] for path, index in paths.items()})
        await call(plane, "DELETE", f"{roles}/{name}")
        made[1] = (await call(plane, "POST", roles, role))[1]
        await replica.operator.owners.look()
        await becomes(owners, {path: [made[index]["metadata"]["uid"]] for path, index in paths.items()})
    await call(plane, "DELETE", f"{deployments}/{name}")
    await call(plane, "DELETE", f"{roles}/{name}")


async def test_two_installations_do_not_disturb_each_other(
    plane: ControlPlane, tmp_path: Path, until: Until
) -> None:
    async with (
        replicas(plane, tmp_path / "one", 1, name="one", settle=0.2) as (first,),
        replicas(plane, tmp_path / "two", 1, name="two", settle=0.2) as (second,),
    ):
        for name in ("one", "two"):
            await becomes(lambda name=name: _there(plane, name), True)  # type: ignore[misc]
        assert first.operator.elector.leading
        assert second.operator.elector.leading
        await until(lambda: first.operator.serving.fingerprint and second.operator.serving.fingerprint)
        shown = first.operator.serving.fingerprint, second.operator.serving.fingerprint
        assert shown[0] != shown[1]
        second.works = False  # a worker of the one does not hold up the other's rotation
        await call(plane, "DELETE", f"{SECRETS}/one-certificates")

        async def rotated() -> tuple[bool, bool]:
            entry = (await _configuration(plane, "one"))["webhooks"][0]
            bundle = entry["clientConfig"]["caBundle"]
            return first.operator.serving.fingerprint != shown[0], len(bundle) < 1500

        await becomes(rotated, (True, True))
        assert second.operator.serving.fingerprint == shown[1]
        status, listed = await call(plane, "GET", f"{LEASES}?labelSelector=app.kubernetes.io/instance%3Dtwo")
        assert (status, len(listed["items"])) == (200, 1), json.dumps(listed)

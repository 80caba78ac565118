"""The informer holds what a real API server has, whatever happens to the connection."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.controlplane import ControlPlane
from tests.operator.proxy import Proxy
from webhook.operator import informer as informers
from webhook.operator.client import Answer, ApiError, Client, KubernetesClient, Resource, connect
from webhook.operator.informer import Informer, strip

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("operator")]

Until = Callable[..., Awaitable[None]]
CONFIGMAPS = Resource("", "v1", "configmaps", "ConfigMap", namespaced=True, namespace="default")


@asynccontextmanager
async def running(client: Client, resource: Resource) -> AsyncIterator[tuple[Informer, list[int]]]:
    changes: list[int] = []
    informer = Informer(client, resource, lambda changed: changes.append(len(changed.items)))
    task = asyncio.create_task(informer.run())
    try:
        yield informer, changes
    finally:
        task.cancel()
        await asyncio.wait({task})


async def test_it_follows_creations_changes_and_deletions(
    plane: ControlPlane, client: KubernetesClient, until: Until
) -> None:
    plane.kubectl("create", "configmap", "first", check=True)
    async with running(client, CONFIGMAPS) as (informer, changes):
        await until(lambda: informer.synced and ("default", "first") in informer.items)
        first = informer.items["default", "first"]
        assert first["apiVersion"] == "v1"
        assert first["kind"] == "ConfigMap"
        assert not {"managedFields", "resourceVersion"} & set(first["metadata"])
        plane.kubectl("create", "configmap", "second", "--from-literal=a=b", check=True)
        await until(lambda: ("default", "second") in informer.items)
        plane.kubectl("patch", "configmap", "second", "-p", '{"data":{"a":"c"}}', check=True)
        await until(lambda: informer.items["default", "second"]["data"] == {"a": "c"})
        plane.kubectl("delete", "configmap", "first", "second", check=True)
        await until(lambda: not {("default", "first"), ("default", "second")} & set(informer.items))
        assert informer.last_contact
        assert len(changes) >= 4


async def test_a_change_of_what_is_left_out_is_no_change(
    plane: ControlPlane, client: KubernetesClient, until: Until
) -> None:
    namespaces = Resource("", "v1", "namespaces", "Namespace", name="default")
    async with running(client, namespaces) as (informer, changes):
        await until(lambda: informer.synced)
        assert informer.items["", "default"]["status"] == {"phase": "Active"}
        assert list(informer.items) == [("", "default")]
        version = plane.request("GET", "/api/v1/namespaces/default")[1]["metadata"]["resourceVersion"]
        patch = {"status": {"conditions": [{"type": "X", "status": "True", "reason": "R", "message": ""}]}}
        status, made = plane.request(
            "PATCH", "/api/v1/namespaces/default/status", patch, "application/merge-patch+json"
        )
        assert status == 200
        assert made["metadata"]["resourceVersion"] != version
        plane.kubectl("label", "namespace", "default", "stage=dev", "--overwrite", check=True)
        await until(lambda: informer.items["", "default"]["metadata"]["labels"].get("stage") == "dev")
        assert len(changes) == 2


async def test_a_list_comes_in_pages(
    plane: ControlPlane, client: KubernetesClient, until: Until, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(informers, "PAGE", 3)
    items = [
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": f"page-{number}"}}
        for number in range(10)
    ]
    manifest = json.dumps({"apiVersion": "v1", "kind": "List", "items": items})
    plane.kubectl("apply", "-f", "-", input=manifest, check=True)
    async with running(client, CONFIGMAPS) as (informer, _):
        await until(lambda: informer.synced)
        assert sum(name.startswith("page-") for _, name in informer.items) == 10
    plane.kubectl("delete", "-f", "-", input=manifest, check=True)


async def test_what_was_deleted_while_the_connection_was_cut_is_gone(
    plane: ControlPlane, tmp_path: Path, until: Until
) -> None:
    plane.kubectl("create", "configmap", "cut", check=True)
    proxy = Proxy(urlsplit(plane.url).port or 0)
    await proxy.start()
    config = tmp_path / "kubeconfig"
    config.write_text(plane.kubeconfig.read_text().replace(plane.url, f"https://127.0.0.1:{proxy.port}"))
    client = await connect(str(config))
    async with running(client, CONFIGMAPS) as (informer, _):
        await until(lambda: ("default", "cut") in informer.items)
        await proxy.cut()
        plane.kubectl("delete", "configmap", "cut", check=True)
        await until(lambda: informer.error)
        await asyncio.sleep(0.3)
        assert ("default", "cut") in informer.items, "an error keeps the last good state"
        await proxy.mend()
        await until(lambda: ("default", "cut") not in informer.items)
        assert not informer.error
    await proxy.cut()
    await client.close()


async def test_a_missing_kind_is_waited_for(
    plane: ControlPlane, client: KubernetesClient, until: Until
) -> None:
    resource = Resource("tests.tidewaiter.dev", "v1", "things", "Thing", namespaced=True)
    async with running(client, resource) as (informer, changes):
        await until(lambda: informer.missing)
        assert not informer.synced
        assert not changes
        crd = {
            "apiVersion": "apiextensions.k8s.io/v1",
            "kind": "CustomResourceDefinition",
            "metadata": {"name": "things.tests.tidewaiter.dev"},
            "spec": {
                "group": "tests.tidewaiter.dev",
                "scope": "Namespaced",
                "names": {"plural": "things", "kind": "Thing"},
                "versions": [
                    {
                        "name": "v1",
                        "served": True,
                        "storage": True,
                        "schema": {
                            "openAPIV3Schema": {
                                "type": "object",
                                "x-kubernetes-preserve-unknown-fields": True,
                            }
                        },
                    }
                ],
            },
        }
        plane.kubectl("apply", "-f", "-", input=json.dumps(crd), check=True)
        await until(lambda: informer.synced)
        assert not informer.missing
        plane.kubectl("delete", "crd", "things.tests.tidewaiter.dev", check=True)
        await until(lambda: informer.missing)


@pytest.mark.parametrize("forgets", [True, False])
async def test_what_a_missing_kind_had_is_forgotten_where_that_is_safe(until: Until, forgets: bool) -> None:
    gone = False

    class Flapping:
        async def request(self, *_: Any, **__: Any) -> Answer:
            if gone:
                raise ApiError(404, "NotFound", "the server could not find the requested resource")
            metadata = {"namespace": "shop", "name": "one", "resourceVersion": "1"}
            return Answer({"metadata": {"resourceVersion": "1"}, "items": [{"metadata": metadata}]})

        @asynccontextmanager
        async def watch(self, *_: Any, **__: Any) -> AsyncIterator[AsyncIterator[dict[str, Any]]]:
            raise ApiError(404 if gone else 410, "", "")
            yield aiter(())

    changes: list[int] = []
    resource = Resource("tests.tidewaiter.dev", "v1", "things", "Thing", namespaced=True)
    informer = Informer(
        Flapping(), resource, lambda informer: changes.append(len(informer.items)), forgets=forgets
    )
    task = asyncio.create_task(informer.run())
    try:
        await until(lambda: changes)
        gone = True
        await until(lambda: informer.missing)
        assert changes == ([1, 0] if forgets else [1])
        gone = False
        await until(lambda: not informer.missing)
        assert len(informer.items) == 1
    finally:
        task.cancel()
        await asyncio.wait({task})


class _Scripted:
    """A client whose watches say what a test wants."""

    def __init__(self, watches: list[list[dict[str, Any]]]) -> None:
        self.watches = watches
        self.lists = 0

    async def request(self, method: str, path: str, **_: Any) -> Any:
        from webhook.operator.client import Answer

        self.lists += 1
        item = {"metadata": {"namespace": "default", "name": f"list-{self.lists}"}}
        return Answer({"items": [item], "metadata": {"resourceVersion": "7"}}, 0.0)

    @asynccontextmanager
    async def watch(self, path: str, **_: Any) -> AsyncIterator[AsyncIterator[dict[str, Any]]]:
        events = self.watches.pop(0) if self.watches else None

        async def give() -> AsyncIterator[dict[str, Any]]:
            if events is None:
                await asyncio.Event().wait()
            for event in events or ():
                yield event

        yield give()


@pytest.mark.parametrize(
    ("event", "lists"),
    [
        ({"type": "ERROR", "object": {"code": 410, "reason": "Expired"}}, 2),
        ({"type": "ERROR", "object": {"code": 500}}, 1),
        ({"type": "ERROR", "object": {"code": 403}}, 1),
        ({"type": "ADDED", "object": {"metadata": {}}}, 2),
        ({"type": "BOOKMARK", "object": {"metadata": {"resourceVersion": "8"}}}, 1),
    ],
)
async def test_only_what_expired_or_is_broken_lists_anew(
    event: dict[str, Any], lists: int, until: Until
) -> None:
    client = _Scripted([[event]])
    async with running(client, CONFIGMAPS) as (informer, _):
        await until(lambda: not client.watches)
        await asyncio.sleep(0.25)
        assert client.lists == lists
        assert set(informer.items) == {("default", f"list-{lists}")}


def test_strip_keeps_the_original() -> None:
    item = {
        "metadata": {"name": "a", "managedFields": []},
        "status": {"x": 1},
        "kind": "A",
        "apiVersion": "v1",
    }
    assert strip(item) == {"metadata": {"name": "a"}, "kind": "A", "apiVersion": "v1"}
    assert item["status"] == {"x": 1}

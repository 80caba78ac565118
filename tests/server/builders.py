"""Reviews, policies made by hand, and a data plane on an in-process server."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import ClientResponse, ClientSession

from webhook.core.match import PolicyIndex
from webhook.core.model import Action, PolicyRef
from webhook.core.policy import CompiledPolicy, Rule, Validation
from webhook.core.snapshot import Snapshot
from webhook.server.app import DataPlane
from webhook.server.connections import Connections


def make_review(name: str = "web", namespace: str = "shop", **changes: Any) -> dict[str, Any]:
    """Return an AdmissionReview that creates a Pod."""
    kind = {"group": "", "version": "v1", "kind": "Pod"}
    resource = {"group": "", "version": "v1", "resource": "pods"}
    request = {
        "uid": f"uid-of-{name}",
        "kind": kind,
        "resource": resource,
        "requestKind": kind,
        "requestResource": resource,
        "name": name,
        "namespace": namespace,
        "operation": "CREATE",
        "userInfo": {"username": "jane", "groups": ["dev"]},
        "object": {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": name, "namespace": namespace},
            "spec": {"containers": [{"name": "app", "image": "registry.example.com/app:1"}]},
        },
        "oldObject": None,
        "dryRun": False,
        "options": {"apiVersion": "meta.k8s.io/v1", "kind": "CreateOptions"},
    } | changes
    return {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": request}


def make_policy(
    name: str = "no-bad-names",
    program: Callable[[Any], Any] = lambda activation: activation.object["metadata"]["name"] != "bad",
    actions: tuple[Action, ...] = (Action.DENY,),
    **changes: Any,
) -> CompiledPolicy:
    """Return a policy on Pods whose program is a plain function."""
    rule = Rule(frozenset({""}), frozenset({"v1"}), frozenset({"pods"}), frozenset({"*"}))
    validation = Validation("name", program, "the name is bad")
    return CompiledPolicy(
        PolicyRef("ClusterPolicy", "", name), 1, (rule,), (validation,), actions=actions, **changes
    )


def make_snapshot(*policies: CompiledPolicy, revision: str = "one", **changes: Any) -> Snapshot:
    """Return a snapshot that knows the namespace `shop`."""
    namespaces = {"shop": {"metadata": {"name": "shop", "labels": {"stage": "prod"}}}}
    return Snapshot(
        revision=revision,
        policies=policies,
        index=PolicyIndex(policies),
        **{"namespaces": namespaces} | changes,
    )


class Plane:
    """A data plane on an in-process server."""

    def __init__(
        self, data_plane: DataPlane, client: ClientSession, connections: Connections, port: int
    ) -> None:
        self.data_plane = data_plane
        self.current = data_plane.current
        self.client = client
        self.connections = connections
        self.port = port

    async def send(
        self, body: Any = None, path: str = "/admit?timeout=5s", content_type: str = "application/json"
    ) -> ClientResponse:
        """POST a body; a mapping is sent as JSON."""
        data = body if isinstance(body, bytes) else json.dumps(body or make_review()).encode()
        return await self.client.post(path, data=data, headers={"Content-Type": content_type})

    async def verdict(self, body: Any = None, path: str = "/admit?timeout=5s") -> dict[str, Any]:
        """POST a review and return the response in the answer."""
        answer = await self.send(body, path)
        assert answer.status == 200, await answer.text()
        review = await answer.json()
        assert (review["apiVersion"], review["kind"]) == ("admission.k8s.io/v1", "AdmissionReview")
        response: dict[str, Any] = review["response"]
        return response


Start = Callable[..., Awaitable[Plane]]

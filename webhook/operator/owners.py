"""Whose our objects are, so that Kubernetes removes them with the installation."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from webhook.core.times import parse_time
from webhook.operator.client import ApiError, Client, Resource

DEPLOYMENTS = Resource("apps", "v1", "deployments", "Deployment", namespaced=True)
CLUSTER_ROLES = Resource("rbac.authorization.k8s.io", "v1", "clusterroles", "ClusterRole")
_EVERY = 60.0
_AGAIN = 5.0

Reference = Mapping[str, Any]

logger = logging.getLogger(__name__)


class Owners:
    """Looks up who owns what we make; an owner that was made anew has another uid.

    Args:
        client: the API server.
        namespace: our own.
        deployment: owns what lies in our namespace; empty for nobody.
        cluster_role: owns what lies in no namespace; empty for nobody.

    Attributes:
        namespaced: the references for what lies in our namespace.
        cluster: those for what lies in no namespace.
        installed_at: when the Deployment was made; None while that isn't known.
    """

    def __init__(self, client: Client, namespace: str, deployment: str, cluster_role: str) -> None:
        self.namespaced: Sequence[Reference] = ()
        self.cluster: Sequence[Reference] = ()
        self.installed_at: datetime | None = None
        self._client = client
        self._namespace = namespace
        self._deployment = deployment
        self._cluster_role = cluster_role
        self._told = ""

    async def run(self) -> None:
        """Look every minute until cancelled."""
        while True:
            done = await self.look()
            await asyncio.sleep(_EVERY if done else _AGAIN)

    async def look(self) -> bool:
        """Look once; tell whether all were found. Who is missing leaves what is known as it is."""
        try:
            if self._deployment:
                found = await self._find(DEPLOYMENTS, self._namespace, self._deployment)
                self.namespaced = (_reference(DEPLOYMENTS, found),)
                self.installed_at = parse_time(found["metadata"]["creationTimestamp"])
            if self._cluster_role:
                found = await self._find(CLUSTER_ROLES, "", self._cluster_role)
                self.cluster = (_reference(CLUSTER_ROLES, found),)
        except ApiError as error:
            if str(error) != self._told:
                logger.warning("the owner of our objects is not found: %s; trying again", error)
            self._told = str(error)
            return False
        self._told = ""
        return True

    async def _find(self, resource: Resource, namespace: str, name: str) -> Mapping[str, Any]:
        return (await self._client.request("GET", resource.path_of(namespace, name))).body


def _reference(resource: Resource, found: Mapping[str, Any]) -> Reference:
    metadata = found["metadata"]
    # Without blockOwnerDeletion: that takes rights on the owner's finalizers, and nothing must wait for us.
    return {
        "apiVersion": resource.api_version,
        "kind": resource.kind,
        "name": metadata["name"],
        "uid": metadata["uid"],
    }


def owned(metadata: Mapping[str, Any], ours: Iterable[Reference]) -> list[Reference]:
    """Return an object's ownerReferences with ours among them; an owner of the same name is replaced."""
    wanted = list(ours)
    names = {(each["apiVersion"], each["kind"], each["name"]) for each in wanted}
    others = [
        each
        for each in metadata.get("ownerReferences") or ()
        if (each.get("apiVersion"), each.get("kind"), each.get("name")) not in names
    ]
    return others + wanted

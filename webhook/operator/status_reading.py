"""Reads from the API server what `tidewaiter status` tells, as far as the user may."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from webhook.operator import replicas, revocations
from webhook.operator.client import ApiError, Client, Resource
from webhook.operator.informer import PAGE
from webhook.operator.inventory import OWN_RESOURCES
from webhook.operator.leader import LEASES
from webhook.operator.webhooks import CONFIGURATIONS

ROLES = Resource("rbac.authorization.k8s.io", "v1", "clusterroles", "ClusterRole")
BINDINGS = Resource("rbac.authorization.k8s.io", "v1", "clusterrolebindings", "ClusterRoleBinding")
_AT_ONCE = 4

Object = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Found:
    """What could be read.

    Attributes:
        at: the API server's time, in seconds since the epoch.
        objects: by kind; a kind that could not be read is missing.
        configuration: the webhook configuration; None where there is none, or it could not be read.
        unreadable: why a kind could not be read.
        missing: our own kinds that the API server doesn't know.
        revocations: what the record of revoked acceptances says, as a snapshot's context has it.
    """

    at: float
    objects: Mapping[str, list[Object]] = field(default_factory=dict)
    configuration: Object | None = None
    unreadable: Mapping[str, str] = field(default_factory=dict)
    missing: tuple[str, ...] = ()
    revocations: tuple[tuple[str, str], ...] = ()


async def read(
    client: Client, namespace: str, webhook_name: str, *, only: str = "", roles: bool = True
) -> Found:
    """Return what there is.

    Args:
        client: the API server.
        namespace: the installation's.
        webhook_name: of its webhook configuration.
        only: of our own namespaced kinds only those of this namespace; empty for all.
        roles: also who may do what.

    Raises:
        ApiError: the API server does not answer, or does not know the user.
    """
    skew = (await client.request("GET", "/version")).skew or 0.0
    selector = ",".join(f"{key}={value}" for key, value in replicas.labels(webhook_name).items())
    leases = Resource(LEASES.group, LEASES.version, LEASES.plural, LEASES.kind, True, namespace)
    configurations = Resource(
        CONFIGURATIONS.group,
        CONFIGURATIONS.version,
        CONFIGURATIONS.plural,
        CONFIGURATIONS.kind,
        name=webhook_name,
    )
    wanted = [
        (leases, {"labelSelector": selector}),
        (configurations, {"fieldSelector": f"metadata.name={webhook_name}"}),
        (revocations.resource(namespace, webhook_name), {}),
        *((replace(resource, namespace=only), {}) for resource in OWN_RESOURCES),
        *((resource, {}) for resource in ((ROLES, BINDINGS) if roles else ())),
    ]
    own = {resource.kind for resource in OWN_RESOURCES}
    gate = asyncio.Semaphore(_AT_ONCE)

    async def one(resource: Resource, params: dict[str, str]) -> list[Object] | ApiError:
        async with gate:
            try:
                return await _list(client, resource, params)
            except ApiError as error:
                if error.status in (0, 401):
                    raise
                return error

    answers = await asyncio.gather(*(one(resource, params) for resource, params in wanted))
    objects: dict[str, list[Object]] = {}
    unreadable: dict[str, str] = {}
    missing = []
    for (resource, _), answer in zip(wanted, answers, strict=True):
        if not isinstance(answer, ApiError):
            objects[resource.kind] = answer
        elif answer.status == 404 and resource.kind in own:
            missing.append(resource.kind)
        else:
            unreadable[resource.kind] = answer.message or str(answer)
    configuration = next(iter(objects.pop(CONFIGURATIONS.kind, ())), None)
    record = next(iter(objects.pop(revocations.KIND, ())), None)
    revoked = revocations.as_context(revocations.recorded(record))
    return Found(time.time() + skew, objects, configuration, unreadable, tuple(missing), revoked)


async def _list(client: Client, resource: Resource, params: dict[str, str]) -> list[Object]:
    if resource.name:
        # Whoever may read one object only by its name may not list.
        try:
            return [(await client.request("GET", resource.path_of(resource.namespace, resource.name))).body]
        except ApiError as error:
            if error.status == 404:
                return []
            raise
    found: list[Object] = []
    more = ""
    while True:
        page = {"limit": str(PAGE), **params, **({"continue": more} if more else {})}
        body = (await client.request("GET", resource.path, params=page)).body
        for item in body.get("items") or ():
            found.append({**item, "apiVersion": resource.api_version, "kind": resource.kind})
        more = (body.get("metadata") or {}).get("continue") or ""
        if not more:
            return found

"""Finds the topmost workload above an object: the owner of its owner, each link checked by its uid."""

from __future__ import annotations

import re

from webhook.adapters.denials import Reference
from webhook.core.fields import metadata_of
from webhook.core.owners import controller_reference
from webhook.core.workloads import RESOURCES
from webhook.operator import params
from webhook.operator.client import ApiError, Client, Resource
from webhook.operator.events import Regarded
from webhook.operator.params import ParamKind

_LONGEST_CHAIN = 5
_MOST_KINDS = 64
_GROUP_VERSION = re.compile(r"([a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?)/(v[a-z0-9]{1,62})\Z")

_BUILT_IN = {
    ParamKind(f"{kind.group}/v1" if kind.group else "v1", kind.kind): Resource(
        kind.group, "v1", plural, kind.kind, namespaced=True
    )
    for (_, plural), kind in RESOURCES.items()
}


class Topmost:
    """Reads owners from the API server.

    Args:
        client: the API server.
    """

    def __init__(self, client: Client) -> None:
        self._client = client
        self._kinds: dict[ParamKind, Resource | None] = {}

    async def above(self, namespace: str, owner: Reference) -> Regarded | None:
        """Return the highest owner that may be read; None where not even `owner` is what it claims to be.

        Args:
            namespace: of the object whose owner it is; owners lie there too, or in none.
            owner: the object's controller.

        Raises:
            ApiError: the API server does not say.
        """
        found = None
        reference: Reference | None = owner
        for _ in range(_LONGEST_CHAIN):
            if reference is None:
                break
            resource = await self._resource(ParamKind(reference.api_version, reference.kind))
            if resource is None or not reference.name or not reference.uid:
                break
            place = namespace if resource.namespaced else ""
            try:
                obj = (await self._client.request("GET", resource.path_of(place, reference.name))).body
            except ApiError as error:
                if error.status in (403, 404):
                    break
                raise
            metadata = metadata_of(obj)
            if metadata.get("uid") != reference.uid:
                break
            found = Regarded(resource.api_version, resource.kind, place, reference.name, reference.uid)
            above = controller_reference(metadata)
            reference = Reference.of(above) if above is not None else None
        return found

    async def _resource(self, kind: ParamKind) -> Resource | None:
        """Return the resource of a kind; None for one that can't be a workload, or that nobody serves."""
        known = _BUILT_IN.get(kind)
        # An owner is whatever somebody wrote: of the core group nothing else is read, a Secret least of all.
        if known is not None or not _GROUP_VERSION.match(kind.api_version):
            return known
        if kind not in self._kinds:
            if len(self._kinds) >= _MOST_KINDS:
                self._kinds.clear()
            try:
                self._kinds[kind] = await params.discover(self._client, kind)
            except ApiError as error:
                if error.status not in (403, 404):
                    raise
                self._kinds[kind] = None
        return self._kinds[kind]

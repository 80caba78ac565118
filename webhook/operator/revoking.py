"""Takes acceptances back on the API server: in their spec, by digest in the RiskAppetite, or deleted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from webhook.core.appetite import NAME
from webhook.core.errors import InputError
from webhook.core.model import PolicyRef
from webhook.operator.client import ApiError, Client, get_or_none, merge
from webhook.operator.inventory import OWN_RESOURCES

_RESOURCES = {resource.kind: resource for resource in OWN_RESOURCES}
_ATTEMPTS = 5


def _path(ref: PolicyRef) -> str:
    return _RESOURCES[ref.kind].path_of(ref.namespace, ref.name)


async def in_spec(client: Client, ref: PolicyRef, revoked: Mapping[str, str]) -> None:
    """Write ``spec.revoked`` of an acceptance, and nothing else.

    Raises:
        ApiError: it was refused.
    """
    await merge(client, _path(ref), {"spec": {"revoked": dict(revoked)}})


async def in_appetite(client: Client, digest: str, at: str, reason: str) -> None:
    """Add a digest to the RiskAppetite's ``spec.revoked``, which only grows.

    Raises:
        ApiError: it was refused.
        InputError: there is no RiskAppetite.
    """
    path = _RESOURCES["RiskAppetite"].path_of("", NAME)
    entry = {"digest": digest, "at": at, **({"reason": reason} if reason else {})}
    for attempt in range(_ATTEMPTS):
        found = await get_or_none(client, path)
        if found is None:
            raise InputError(f"there is no RiskAppetite named {NAME}")
        known = list((found.get("spec") or {}).get("revoked") or ())
        if any(each.get("digest") == digest for each in known):
            return
        # With the version that was read: what others add meanwhile is never lost.
        metadata = {"resourceVersion": found["metadata"]["resourceVersion"]}
        try:
            await merge(client, path, {"metadata": metadata, "spec": {"revoked": [*known, entry]}})
            return
        except ApiError as error:
            if error.status != 409 or attempt == _ATTEMPTS - 1:
                raise


async def delete(client: Client, ref: PolicyRef, uid: str) -> None:
    """Delete an acceptance, if it is still the one that was shown.

    Raises:
        ApiError: it was refused.
    """
    options: dict[str, Any] = {"apiVersion": "v1", "kind": "DeleteOptions"}
    await client.request("DELETE", _path(ref), body={**options, "preconditions": {"uid": uid}})


async def create(client: Client, obj: Mapping[str, Any]) -> dict[str, Any]:
    """Create an acceptance, and return it as it was stored.

    Raises:
        ApiError: it was refused.
    """
    resource = _RESOURCES[str(obj["kind"])]
    path = resource.path_of(obj["metadata"].get("namespace", ""), "").removesuffix("/")
    return (await client.request("POST", path, body=obj)).body

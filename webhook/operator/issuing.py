"""The leader's part of our own certificates: keeps the Secret that they lie in."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from webhook.operator import certificates
from webhook.operator.certificates import Bundle
from webhook.operator.client import Client, Resource, apply, get_or_none, merge
from webhook.operator.informer import Informer
from webhook.operator.owners import Reference, owned
from webhook.operator.pair_files import Given

SECRETS = Resource("", "v1", "secrets", "Secret", namespaced=True)

Object = Mapping[str, Any]

logger = logging.getLogger(__name__)


class CertificateReconciler:
    """Keeps the Secret with our authority and certificate as it should be.

    Args:
        client: the API server.
        secret: an informer of that one Secret.
        hosts: what the certificate is for.
        owners: returns the ownerReferences of the Secret.
    """

    def __init__(
        self,
        client: Client,
        secret: Informer,
        hosts: tuple[str, ...],
        owners: Callable[[], Sequence[Reference]],
    ) -> None:
        self._client = client
        self._secret = secret
        self._hosts = hosts
        self._owners = owners

    async def reconcile(self) -> Given | None:
        """Make or renew what is due; return what holds, or None while that isn't known.

        Raises:
            ApiError: the API server refuses it, or does not answer.
        """
        if not self._secret.synced:
            return None
        resource = self._secret.resource
        bundle, due = self._wanted(next(iter(self._secret.items.values()), None))
        if due:
            # What was heard of may be behind what is there.
            path = resource.path_of(resource.namespace, resource.name)
            live = await get_or_none(self._client, path)
            bundle, due = self._wanted(live)
            if due:
                await self._write(path, live, bundle)
        return Given(bundle.server, bundle.trusted)

    def _wanted(self, secret: Object | None) -> tuple[Bundle, bool]:
        """Return what a Secret should hold, and whether it must be written."""
        present = certificates.read_secret(secret) if secret else None
        rotate = secret is not None and certificates.wants_rotation(secret)
        bundle = certificates.next_bundle(present, self._hosts, datetime.now(UTC), rotate=rotate)
        metadata = (secret or {}).get("metadata") or {}
        known = list(metadata.get("ownerReferences") or ())
        return bundle, bundle is not present or owned(metadata, self._owners()) != known

    async def _write(self, path: str, live: Object | None, bundle: Bundle) -> None:
        name = self._secret.resource.name
        secret = certificates.write_secret(bundle, self._secret.resource.namespace, name)
        owners = owned((live or {}).get("metadata") or {}, self._owners())
        if owners:
            secret["metadata"]["ownerReferences"] = owners
        if live is None:
            await apply(self._client, path, secret)
            logger.info("secret %s: an authority and a certificate made", name)
            return
        if certificates.read_secret(live) is None:
            logger.warning("secret %s does not hold what it should: made anew", name)
        # Refused when somebody was faster; the next round looks again.
        secret["metadata"]["resourceVersion"] = live["metadata"]["resourceVersion"]
        secret["metadata"]["annotations"] = {certificates.ROTATE: None}
        secret["data"] = {**dict.fromkeys(live.get("data") or {}), **secret["data"]}
        await merge(self._client, path, secret)
        logger.info("secret %s: written", name)

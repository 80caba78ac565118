"""Keeps certificates and the webhook configuration as they should be; each step idempotent."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from webhook.core.policy import CompiledPolicy
from webhook.operator import certificates, mend, webhooks
from webhook.operator.acknowledgements import Acknowledgements
from webhook.operator.certificates import Bundle
from webhook.operator.client import ApiError, Client, Resource, apply, get_or_none, merge
from webhook.operator.informer import Informer
from webhook.operator.webhooks import Registration

SECRETS = Resource("", "v1", "secrets", "Secret", namespaced=True)

_FIGHT = 5
_FIGHT_SECONDS = 10.0

logger = logging.getLogger(__name__)


class CertificateReconciler:
    """Keeps the Secret with our authority and certificate as it should be.

    Args:
        client: the API server.
        secret: an informer of that one Secret.
        hosts: what the certificate is for.
    """

    def __init__(self, client: Client, secret: Informer, hosts: tuple[str, ...]) -> None:
        self._client = client
        self._secret = secret
        self._hosts = hosts

    @property
    def bundle(self) -> Bundle | None:
        """The present bundle; None while there is none."""
        item = next(iter(self._secret.items.values()), None)
        return certificates.read_secret(item) if item else None

    async def reconcile(self, *, registered: bool) -> Bundle | None:
        """Make or renew what is due; return what holds, or None while that isn't known.

        Args:
            registered: the API server has been told of the present authorities.
        """
        if not self._secret.synced:
            return None
        resource = self._secret.resource
        path = resource.path_of(resource.namespace, resource.name)
        present = self.bundle
        bundle = certificates.next_bundle(present, self._hosts, datetime.now(UTC), registered=registered)
        if bundle is not present:
            if present is None and await get_or_none(self._client, path):
                logger.warning("secret %s does not hold what it should: made anew", resource.name)
            secret = certificates.write_secret(bundle, resource.namespace, resource.name)
            await apply(self._client, path, secret)
            logger.info("secret %s: certificates written", resource.name)
        return bundle


class WebhookReconciler:
    """Keeps the webhook configuration as the policies want it.

    Args:
        client: the API server.
        registration: how to register; its caBundle is filled in here.
        acknowledgements: nothing is registered before a worker has acknowledged a snapshot.

    Attributes:
        in_place: the configuration is what it should be.
    """

    def __init__(
        self, client: Client, registration: Registration, acknowledgements: Acknowledgements
    ) -> None:
        self.in_place = False
        self._client = client
        self._registration = registration
        self._acknowledgements = acknowledgements
        self._path = webhooks.CONFIGURATIONS.path_of("", registration.name)
        self._bundle = b""
        self._writes: list[float] = []

    def carries(self, bundle: Bundle | None) -> bool:
        """Tell whether the API server has been told of a bundle's authorities."""
        return self.in_place and bundle is not None and bundle.trusted == self._bundle

    async def reconcile(self, policies: Iterable[CompiledPolicy], bundle: Bundle) -> None:
        """Create or mend the configuration.

        Once there is one it is never lowered or removed because workers are missing.
        """
        live = await get_or_none(self._client, self._path)
        if live is None and not self.in_place and not self._acknowledgements.ever:
            return
        certificates.check_bundle(bundle.trusted)
        endpoint = replace(self._registration.endpoint, ca_bundle=bundle.trusted)
        wanted = webhooks.desired(policies, replace(self._registration, endpoint=endpoint))
        if live is None:
            if self.in_place:
                logger.warning("webhook configuration %s is gone: put back", self._registration.name)
            await apply(self._client, self._path, wanted)
        else:
            change = mend.merged(wanted, live)
            if change is not None:
                if self._fighting():
                    return
                # Refused when somebody was faster; the next round looks again.
                change["metadata"]["resourceVersion"] = live["metadata"]["resourceVersion"]
                await merge(self._client, self._path, change)
                logger.info("webhook configuration %s: %s", self._registration.name, _summary(wanted))
        self.in_place = True
        self._bundle = bundle.trusted

    async def remove(self) -> None:
        """Remove the configuration."""
        try:
            await self._client.request("DELETE", self._path, timeout=5)
            logger.info("webhook configuration %s removed", self._registration.name)
        except ApiError as error:
            if error.status != 404:
                logger.error(
                    "webhook configuration %s could not be removed (%s): remove it by hand, else the API "
                    "server keeps asking: kubectl delete validatingwebhookconfiguration %s",
                    self._registration.name,
                    error,
                    self._registration.name,
                )
        self.in_place = False

    def _fighting(self) -> bool:
        now = time.monotonic()
        self._writes = [each for each in self._writes if now - each < _FIGHT_SECONDS]
        if len(self._writes) >= _FIGHT:
            logger.error("webhook configuration %s: somebody keeps changing it", self._registration.name)
            return True
        self._writes.append(now)
        return False


def _summary(wanted: Mapping[str, Any]) -> str:
    entries = wanted["webhooks"]
    rules = sum(len(entry["rules"]) for entry in entries)
    return f"{len(entries)} entries, {rules} rules"

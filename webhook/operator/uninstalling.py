"""The end of an installation: the webhook configuration goes, and a running operator does not put it back."""

from __future__ import annotations

import asyncio
import logging
import time
from datetime import UTC, datetime, timedelta

from webhook.core.times import format_time, parse_time
from webhook.operator.client import ApiError, Client, apply, get_or_none
from webhook.operator.leader import LEASES
from webhook.operator.webhooks import CONFIGURATIONS

ANNOTATION = "tidewaiter.dev/uninstalling"
HONOURED = timedelta(minutes=10)
"""An uninstall that was given up is forgotten after this."""

_STAYS_AWAY_SECONDS = 3.0
_LOOK_SECONDS = 0.25

logger = logging.getLogger(__name__)


async def uninstalling(
    client: Client, namespace: str, lease: str, installed_at: datetime | None = None
) -> bool:
    """Tell whether somebody is removing the installation: asked before every write that would undo it.

    Args:
        client: the API server.
        namespace: our own.
        lease: the name of the leader's Lease.
        installed_at: when this installation was made; an uninstall before that was of the one before.

    Raises:
        ApiError: the API server does not say.
    """
    sent = time.time()
    try:
        answer = await client.request("GET", LEASES.path_of(namespace, lease))
    except ApiError as error:
        if error.status == 404:
            return False
        raise
    text = (answer.body["metadata"].get("annotations") or {}).get(ANNOTATION, "")
    try:
        since = parse_time(text)
    except ValueError:
        return False
    now = datetime.fromtimestamp(sent + (answer.skew or 0.0), UTC)
    return abs(now - since) < HONOURED and (installed_at is None or since >= installed_at)


async def uninstall(client: Client, namespace: str, lease: str, configuration: str) -> None:
    """Remove the webhook configuration and let no operator put it back.

    Args:
        client: the API server.
        namespace: where the installation is.
        lease: the name of the leader's Lease.
        configuration: the name of the webhook configuration.

    Raises:
        ApiError: the API server refuses it, or does not answer.
    """
    await _announce(client, namespace, lease)
    path = CONFIGURATIONS.path_of("", configuration)
    there = await _delete(client, path)
    logger.info("webhook configuration %s: %s", configuration, "removed" if there else "there is none")
    # A write that was under way when we announced it may still put it back once.
    until = time.monotonic() + _STAYS_AWAY_SECONDS
    while time.monotonic() < until:
        if await get_or_none(client, path) is not None:
            await _delete(client, path)
            until = time.monotonic() + _STAYS_AWAY_SECONDS
        await asyncio.sleep(_LOOK_SECONDS)


async def _announce(client: Client, namespace: str, lease: str) -> None:
    path = LEASES.path_of(namespace, lease)
    skew = (await client.request("GET", "/version")).skew or 0.0
    moment = format_time(datetime.fromtimestamp(time.time() + skew, UTC))
    body = {
        "apiVersion": LEASES.api_version,
        "kind": LEASES.kind,
        "metadata": {"name": lease, "namespace": namespace, "annotations": {ANNOTATION: moment}},
    }
    try:
        await apply(client, path, body)
    except ApiError as error:
        if error.status != 404:
            raise
        logger.info("there is no namespace %s: no operator to tell", namespace)


async def _delete(client: Client, path: str) -> bool:
    try:
        await client.request("DELETE", path)
    except ApiError as error:
        if error.status != 404:
            raise
        return False
    return True

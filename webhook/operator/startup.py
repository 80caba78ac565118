"""What must be known or there before the control plane works: who we are, our namespace, our kinds."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from typing import Any

from webhook.operator.client import ApiError, Client
from webhook.operator.inventory import Inventory

CRDS_ADVICE = "kubectl apply -k charts/tidewaiter/crds"
_AGAIN = 1.0

logger = logging.getLogger(__name__)


async def until_answered(
    ask: Callable[[], Awaitable[Any]], stop: asyncio.Event, every: float = _AGAIN
) -> Any:
    """Return what `ask` gives, tried until the API server answers; None when stopped before."""
    told = ""
    while not stop.is_set():
        try:
            return await ask()
        except ApiError as error:
            if str(error) != told:
                logger.warning("the API server: %s; trying again", error)
            told = str(error)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(every):
                await stop.wait()
    return None


async def own_users(client: Client, namespace: str) -> tuple[str, ...]:
    """Return the account that we act as, if it is one of our own namespace.

    A person who runs us keeps being judged; only an account of our own is left out.

    Raises:
        ApiError: the API server does not say.
    """
    review = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
    path = "/apis/authentication.k8s.io/v1/selfsubjectreviews"
    answer = await client.request("POST", path, body=review)
    user = ((answer.body.get("status") or {}).get("userInfo") or {}).get("username", "")
    return (user,) if user.startswith(f"system:serviceaccount:{namespace}:") and "'" not in user else ()


async def make_namespace(client: Client, namespace: str) -> None:
    """Make our own namespace where it is missing.

    Raises:
        ApiError: it can't be made.
    """
    body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}}
    try:
        await client.request("POST", "/api/v1/namespaces", body=body)
    except ApiError as error:
        if error.status != 409:
            raise


async def advise_on_missing_kinds(inventory: Inventory) -> None:
    """Say which of our kinds the cluster lacks, and when they are there."""
    told: list[str] = []
    while True:
        await asyncio.sleep(_AGAIN)
        missing = inventory.missing_kinds
        if missing and missing != told:
            logger.warning(
                "the cluster has no %s: apply our kinds with `%s`; waiting for them",
                ", ".join(missing),
                CRDS_ADVICE,
            )
        elif told and not missing:
            logger.info("our kinds are there")
        told = missing

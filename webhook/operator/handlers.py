"""Kopf on the leader: events of our kinds trigger the reconcilers; supervised, in a thread of its own.

Kopf ends every task of its loop that it does not know when it stops, and takes the process's signals where it
can: so it gets a thread and a loop to itself. Its handlers only pass on what they see. There are no timers,
daemons or delete handlers, since those put finalizers on people's objects that would block an uninstall.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
import threading
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any

import kopf
from kubernetes_asyncio.client import Configuration

from webhook.operator.client import CLOSING, Resource

_STOP_SECONDS = 5.0
_RESTART_SECONDS = 1.0
_CHECK_SECONDS = 5.0
_DEAF_SECONDS = 30.0

logger = logging.getLogger(__name__)

Seen = Callable[[Resource, str, Mapping[str, Any]], None]
"""Called with the resource, what happened (``DELETED`` or anything else) and the whole object."""


def registry(
    resources: Iterable[Resource], seen: Seen, configuration: Configuration
) -> kopf.OperatorRegistry:
    """Return the handlers for the events of `resources`.

    Args:
        resources: what is watched.
        seen: called for each event, in Kopf's thread.
        configuration: where the API server is and who we are.
    """
    made = kopf.OperatorRegistry()

    @kopf.on.login(registry=made)
    async def login(**_: Any) -> kopf.ConnectionInfo:
        return await connection(configuration)

    for resource in resources:
        register = kopf.on.event(
            resource.group, resource.version, resource.plural, registry=made, id=resource.plural
        )
        register(_passing_on(resource, seen))
    return made


def _passing_on(watched: Resource, seen: Seen) -> Callable[..., Awaitable[None]]:
    async def handler(*, event: Any, **_: Any) -> None:
        seen(watched, event.get("type") or "", event["object"])

    return handler


async def connection(configuration: Configuration) -> kopf.ConnectionInfo:
    """Return the credentials for Kopf; read anew, since tokens expire."""
    hook: Any = configuration.refresh_api_key_hook
    if hook is not None:
        answer: Any = hook(configuration)
        if inspect.isawaitable(answer):
            await answer
    scheme, _, token = (configuration.api_key.get("BearerToken") or "").rpartition(" ")
    return kopf.ConnectionInfo(
        server=str(configuration.host),
        ca_path=configuration.ssl_ca_cert,
        insecure=not configuration.verify_ssl,
        scheme=scheme or None,
        token=token or None,
        certificate_path=configuration.cert_file,
        private_key_path=configuration.key_file,
        trust_env=True,
    )


def settings() -> kopf.OperatorSettings:
    """Return Kopf's settings: no events of its own, no way to end our process, timeouts on every watch."""
    made = kopf.OperatorSettings()
    made.posting.enabled = False
    made.process.ultimate_exiting_timeout = None
    made.watching.server_timeout = 240
    made.watching.client_timeout = 300
    made.watching.connect_timeout = 5
    made.networking.request_timeout = 30
    return made


class Supervised:
    """Kopf, started again when it ends, and when it no longer hears.

    Args:
        make_registry: makes the handlers; called for each start.
        deaf: tells what exists that no handler has seen although it has been there for some seconds; empty
            for nothing.
    """

    def __init__(
        self, make_registry: Callable[[], kopf.OperatorRegistry], deaf: Callable[[float], str]
    ) -> None:
        self.starts = 0
        self._make_registry = make_registry
        self._deaf = deaf

    async def run(self) -> None:
        """Keep Kopf running until cancelled."""
        while True:
            stop = threading.Event()
            thread = threading.Thread(target=self._thread, args=(stop,), name="kopf", daemon=True)
            thread.start()
            self.starts += 1
            try:
                await self._watch_over(thread)
            finally:
                stop.set()
                await asyncio.shield(asyncio.to_thread(thread.join, _STOP_SECONDS))
                if thread.is_alive():
                    logger.error("kopf did not stop within %d s; it is left behind", _STOP_SECONDS)
            await asyncio.sleep(_RESTART_SECONDS)

    async def _watch_over(self, thread: threading.Thread) -> None:
        started = time.monotonic()
        while thread.is_alive():
            await asyncio.sleep(_CHECK_SECONDS)
            if time.monotonic() - started > _DEAF_SECONDS:
                unheard = self._deaf(_DEAF_SECONDS)
                if unheard:
                    logger.warning("kopf has not heard of %s: starting it again", unheard)
                    return
        logger.warning("kopf has ended: starting it again")

    def _thread(self, stop: threading.Event) -> None:
        try:
            asyncio.run(self._operate(stop))
        except Exception:
            logger.exception("kopf failed")

    async def _operate(self, stop: threading.Event) -> None:
        try:
            await kopf.operator(
                registry=self._make_registry(),
                settings=settings(),
                standalone=True,
                clusterwide=True,
                stop_flag=stop,
            )
        finally:
            await asyncio.sleep(CLOSING)  # its connections end a moment after it

"""Keeps what the API server has of one resource: a list that replaces, then a watch."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Callable, Mapping
from typing import Any

from webhook.operator.client import ApiError, Client, Resource

PAGE = 500
IDLE = 90.0  # bookmarks come about every minute
_FIRST_DELAY = 0.1
_LAST_DELAY = 2.0

Object = dict[str, Any]
Key = tuple[str, str]

logger = logging.getLogger(__name__)


def strip(item: Object) -> Object:
    """Return `item` without what changes by itself: status, managedFields, resourceVersion.

    A Namespace keeps its phase, since a request into one that terminates is judged by it.
    """
    metadata = {
        name: value
        for name, value in item["metadata"].items()
        if name not in ("managedFields", "resourceVersion", "selfLink")
    }
    kept = {name: value for name, value in item.items() if name != "status"} | {"metadata": metadata}
    if item.get("kind") == "Namespace" and item.get("apiVersion") == "v1":
        phase = (item.get("status") or {}).get("phase")
        if phase:
            kept["status"] = {"phase": phase}
    return kept


class Informer:
    """Knows all objects of one resource, as far as `keep` wants them.

    A list replaces everything that was known, so that what was deleted while no connection was there is gone.
    Any error keeps what is known and tries again: 410 and 404 with a new list, all others with the same
    watch.

    Args:
        client: where to ask.
        resource: what.
        on_change: called after a change of what is kept, and after every first list.
        keep: returns what to keep of an object, or None for nothing.
        forgets: keep nothing once the API server doesn't know the resource: its objects went with their
            kind, and what was not heard of while no connection was there must not count.

    Attributes:
        items: what is known, by namespace and name.
        synced: it has been listed at least once.
        missing: the API server doesn't know the resource (now).
        last_contact: when it last heard from the API server, in seconds since the epoch; 0.0 for never.
        error: why it doesn't hear from it now; empty when it does.
    """

    def __init__(
        self,
        client: Client,
        resource: Resource,
        on_change: Callable[[Informer], None],
        keep: Callable[[Object], Object | None] = strip,
        forgets: bool = False,
    ) -> None:
        self.resource = resource
        self.items: dict[Key, Object] = {}
        self.synced = False
        self.missing = False
        self.last_contact = 0.0
        self.error = ""
        self._client = client
        self._keep = keep
        self._on_change = on_change
        self._forgets = forgets
        self._version: str | None = None
        self._selector = {"fieldSelector": f"metadata.name={resource.name}"} if resource.name else {}

    async def run(self) -> None:
        """List and watch until cancelled."""
        delay = _FIRST_DELAY
        while True:
            try:
                if self._version is None:
                    await self._list()
                    delay = _FIRST_DELAY
                await self._watch()  # the API server ends every watch now and then
                delay = _FIRST_DELAY
            except ApiError as error:
                self._note(error)
            except Exception:
                # Nothing that one odd object does may end the watching of all others.
                logger.exception("%s: listing anew", self.resource.plural)
                self.error = "internal error"
                self._version = None
            await asyncio.sleep(delay * random.uniform(0.7, 1.0))  # noqa: S311 - spreads load, no secret
            delay = min(delay * 2, _LAST_DELAY)

    def _note(self, error: ApiError) -> None:
        if error.status in (404, 410):
            self._version = None
        self.missing = error.status == 404
        if self.missing and self._forgets and self.items:
            self.items = {}
            self._on_change(self)
        text = str(error)
        if text != self.error and error.status not in (404, 410):  # whoever wants the kind tells of a 404
            logger.warning("%s: %s", self.resource.plural, text)
        self.error = text

    async def _list(self) -> None:
        found: dict[Key, Object] = {}
        more = ""
        while True:
            params = {"limit": str(PAGE), **self._selector, **({"continue": more} if more else {})}
            answer = await self._client.request("GET", self.resource.path, params=params)
            for item in answer.body.get("items") or ():
                self._store(found, item)
            metadata = answer.body.get("metadata") or {}
            more = metadata.get("continue") or ""
            if not more:
                break
        changed = not self.synced or found != self.items
        self.items = found
        self._version = metadata.get("resourceVersion") or "0"
        self.synced = True
        self._heard()
        if changed:
            self._on_change(self)

    async def _watch(self) -> None:
        params = {
            "watch": "true",
            "allowWatchBookmarks": "true",
            "resourceVersion": self._version or "0",
            "timeoutSeconds": str(random.randint(240, 360)),  # noqa: S311
            **self._selector,
        }
        async with self._client.watch(self.resource.path, params=params, idle=IDLE) as events:
            self._heard()
            async for event in events:
                self._heard()
                self._take(event)

    def _take(self, event: Mapping[str, Any]) -> None:
        kind, item = event["type"], event["object"]
        if kind == "ERROR":
            code = int(item.get("code") or 500)
            raise ApiError(code, str(item.get("reason", "")), str(item.get("message", "")))
        metadata = item["metadata"]
        self._version = metadata["resourceVersion"]
        if kind == "BOOKMARK":
            return
        key = (metadata.get("namespace", ""), metadata["name"])
        before = self.items.get(key)
        if kind == "DELETED":
            self.items.pop(key, None)
        else:
            self._store(self.items, item)
        if self.items.get(key) != before:
            self._on_change(self)

    def _store(self, items: dict[Key, Object], item: Object) -> None:
        # Items of a list carry neither.
        item["apiVersion"] = self.resource.api_version
        item["kind"] = self.resource.kind
        metadata = item["metadata"]
        key = (metadata.get("namespace", ""), metadata["name"])
        kept = self._keep(item)
        if kept is None:
            items.pop(key, None)
        else:
            items[key] = kept

    def _heard(self) -> None:
        self.last_contact = time.time()
        self.missing = False
        self.error = ""

"""Follows one resource: lists it in pages, then watches, and looks again at single objects when told to."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, Protocol

from webhook.operator.audit.pace import FIRST_PAGE, MOST_BYTES, Pace, next_limit
from webhook.operator.client import Answer, ApiError, Client, Resource
from webhook.operator.informer import IDLE

MOST_VISITS = 300
"""When more objects than these are to be looked at again, listing them costs the API server less."""

_STRIDE = 20
_FIRST_DELAY = 0.2
_LAST_DELAY = 30.0
_REFUSED_DELAY = 60.0
_REFUSED = (403, 404, 405)

Object = dict[str, Any]

logger = logging.getLogger(__name__)


class Place(NamedTuple):
    """Where an object is."""

    namespace: str
    name: str


class Sink(Protocol):
    """Takes what a follower sees."""

    def take(self, resource: Resource, obj: Object, sweep: int) -> None:
        """Take in an object as it is now, seen by a listing or after it."""

    def gone(self, resource: Resource, obj: Mapping[str, Any]) -> None:
        """Take in that an object was deleted."""

    def listed(self, resource: Resource, sweep: int) -> None:
        """Take in that a listing has ended."""


class Follower:
    """Follows one resource until cancelled.

    A listing is consistent and in pages, without ``resourceVersion``: with ``0`` older API servers ignore the
    limit. After it one watch with bookmarks tells of every change; only when the API server no longer knows
    where that was (410) it is listed again. Whatever is to be looked at again is looked at between two events
    of that watch, so that nothing older comes after what is newer.

    Args:
        client: the API server.
        resource: what.
        sink: takes what is seen.
        gate: lets one page be judged at a time, so that one is in memory.
        pace: of the work.
        begin: called when a listing begins; numbers what it judges by.

    Attributes:
        synced: it has been listed, and is being watched.
        contact: when the API server was last heard of it, in seconds since the epoch; 0.0 for never.
        error: why it can't be followed now; empty when it can.
        status: the API server's last HTTP status; 0 for no answer.
        count: how many objects there are.
        serial: what `begin` returned for the last listing that has ended; 0 before.
        seconds: how long that took.
    """

    def __init__(
        self,
        client: Client,
        resource: Resource,
        sink: Sink,
        gate: asyncio.Semaphore,
        pace: Pace,
        begin: Callable[[], int] = lambda: 1,
    ) -> None:
        self.resource = resource
        self.synced = False
        self.contact = 0.0
        self.error = ""
        self.status = 200
        self.serial = 0
        self.seconds = 0.0
        self._client = client
        self._sink = sink
        self._gate = gate
        self._pace = pace
        self._begin = begin
        self._version = ""
        self._sweep = 0
        self.count = 0
        self._counting = 0
        self._limit = FIRST_PAGE
        self._again = True
        self._visits: dict[Place, None] = {}
        self._wake = asyncio.Event()

    @property
    def refused(self) -> bool:
        """Whether the API server says that this may not, or can't, be read."""
        return bool(self.error) and self.status in _REFUSED

    def list_again(self) -> None:
        """List anew as soon as that can be: what judges has changed."""
        self._again = True
        self._wake.set()

    def visit(self, namespace: str, name: str) -> None:
        """Look at one object again soon."""
        if self._again:
            return
        self._visits[Place(namespace, name)] = None
        if len(self._visits) > MOST_VISITS:
            self._again = True
        self._wake.set()

    async def run(self) -> None:
        """List and watch until cancelled."""
        delay = _FIRST_DELAY
        while True:
            try:
                if self._again:
                    await self._list()
                    continue
                await self._watch()  # the API server ends every watch now and then
                delay = _FIRST_DELAY
            except ApiError as error:
                self._note(error)
                if error.status in _REFUSED:
                    delay = _REFUSED_DELAY
            except Exception:
                logger.exception("audit of %s: listing anew", self.resource.plural)
                self.error, self.status, self._again = "internal error", 0, True
            if self._again and not self.error and self.synced:
                continue  # what judges has changed
            await asyncio.sleep(delay * random.uniform(0.7, 1.0))  # noqa: S311 - spreads load, no secret
            delay = min(delay * 2, _LAST_DELAY)

    def _note(self, error: ApiError) -> None:
        if error.status in (*_REFUSED, 410):
            self._again = True
        if error.status == 410:
            return  # it is listed anew, which is all there is to say
        self.synced = self.synced and error.status not in _REFUSED
        if error.message != self.error:
            logger.warning("audit of %s: %s", self.resource.plural, error)
        self.error, self.status = error.message or str(error), error.status

    def _heard(self) -> None:
        self.contact = time.time()
        self.error, self.status = "", 200

    async def _list(self) -> None:
        self._again = False
        self._visits.clear()
        self._sweep += 1
        self._counting = 0
        serial, started = self._begin(), time.monotonic()
        more = ""
        try:
            while True:
                more, version = await self._page(more)
                if not more:
                    break
        except BaseException:
            self._again = True
            raise
        self._version, self.count = version, self._counting
        self._sink.listed(self.resource, self._sweep)
        self.serial, self.seconds, self.synced = serial, time.monotonic() - started, True

    async def _page(self, more: str) -> tuple[str, str]:
        """Judge one page; return where the next one begins, and the version of the list."""
        async with self._gate:
            return await self._judge_page(more)

    async def _judge_page(self, more: str) -> tuple[str, str]:
        answer = await self._ask(more)
        self._heard()
        started = self._pace.start()
        items = answer.body.get("items") or ()
        metadata = answer.body.get("metadata") or {}
        for number, item in enumerate(items):
            self._take(item)
            self._counting += 1
            if number % _STRIDE == _STRIDE - 1:
                await asyncio.sleep(0)
        self._limit = next_limit(self._limit, len(items), answer.size)
        del items, answer  # before the next one comes
        await self._pace.rest(started)
        return metadata.get("continue") or "", metadata.get("resourceVersion") or "0"

    async def _ask(self, more: str) -> Answer:
        while True:
            params = {"limit": str(self._limit), **({"continue": more} if more else {})}
            most = MOST_BYTES if self._limit > 1 else 0
            try:
                return await self._client.request("GET", self.resource.path, params=params, most=most)
            except ApiError as error:
                if error.status != 413 or self._limit == 1:
                    raise
                self._limit = max(1, self._limit // 8)

    def _take(self, item: Object) -> None:
        item["apiVersion"], item["kind"] = self.resource.api_version, self.resource.kind
        self._sink.take(self.resource, item, self._sweep)

    async def _watch(self) -> None:
        params = {
            "watch": "true",
            "allowWatchBookmarks": "true",
            "resourceVersion": self._version,
            "timeoutSeconds": str(random.randint(240, 360)),  # noqa: S311
        }
        async with self._client.watch(self.resource.path, params=params, idle=IDLE) as events:
            self._heard()

            async def following() -> Mapping[str, Any] | None:
                return await anext(events, None)

            upcoming: asyncio.Task[Mapping[str, Any] | None] | None = None
            woken = asyncio.create_task(self._wake.wait())
            try:
                while not self._again:
                    if self._visits:
                        await self._look_again()
                    upcoming = upcoming or asyncio.create_task(following())
                    await asyncio.wait({upcoming, woken}, return_when=asyncio.FIRST_COMPLETED)
                    if woken.done():
                        self._wake.clear()
                        woken = asyncio.create_task(self._wake.wait())
                    if upcoming.done():
                        event, upcoming = upcoming.result(), None
                        if event is None:
                            return
                        self._heard()
                        self._event(event)
            finally:
                rest = {woken} | ({upcoming} if upcoming is not None else set())
                for task in rest:
                    task.cancel()
                await asyncio.gather(*rest, return_exceptions=True)

    def _event(self, event: Mapping[str, Any]) -> None:
        kind, item = event["type"], event["object"]
        if kind == "ERROR":
            code = int(item.get("code") or 500)
            raise ApiError(code, str(item.get("reason", "")), str(item.get("message", "")))
        self._version = item["metadata"]["resourceVersion"]
        if kind == "DELETED":
            self.count = max(0, self.count - 1)
            self._sink.gone(self.resource, item)
        elif kind != "BOOKMARK":
            self.count += kind == "ADDED"
            self._take(item)

    async def _look_again(self) -> None:
        """Look at single objects, one after another."""
        while self._visits and not self._again:
            place = next(iter(self._visits))
            del self._visits[place]
            try:
                path = self.resource.path_of(place.namespace, place.name)
                answer = await self._client.request("GET", path)
            except ApiError as error:
                if error.status == 404:
                    continue  # the watch tells of it
                self._visits[place] = None
                raise
            started = self._pace.start()
            self._take(answer.body)
            await self._pace.rest(started)

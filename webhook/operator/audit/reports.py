"""Keeps the cluster's reports as the audit wants them: only what differs is written, what is stale goes."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Protocol

from webhook.adapters.openreports import FAMILIES, LABELS, Family
from webhook.operator import params
from webhook.operator.audit.wanted import SOMETHING, Body, Key, Source, There, Wanted, digest_of, there
from webhook.operator.client import ApiError, Client, Resource, apply
from webhook.operator.informer import PAGE
from webhook.operator.params import ParamKind

MOST_WAITING = 8 * 2**20
"""So many bytes of reports wait in memory to be written; of more, only where their objects are."""

CHECK_SECONDS = 600.0
"""So often it looks whether somebody else changed or removed reports."""

_AT_ONCE = 4
_EACH_SECONDS = 0.02
_LOOK_SECONDS = 60.0
_AGAIN = 2.0

logger = logging.getLogger(__name__)


class Judging(Protocol):
    """Finds out again what reports must say."""

    def look_again(self, source: Source) -> None:
        """Judge an object whose report is to be written and was not kept."""

    def look_again_at(self, keys: Iterable[Key]) -> None:
        """Judge what these reports are on, as somebody else changed or removed them."""

    def all_again(self) -> None:
        """Judge everything: reports can be written that could not be before."""


class Reports:
    """Writes and removes reports.

    Args:
        client: the API server.
        family: which kind.
        judging: what finds out again what they must say.
        check: after so many seconds it looks whether somebody else changed or removed some.

    Attributes:
        problem: why no reports are written; empty when they are.
        results: how often a report was written, removed, or could not be.
    """

    def __init__(
        self, client: Client, family: Family, judging: Judging, check: float = CHECK_SECONDS
    ) -> None:
        self.problem = "not looked at yet"
        self.results: Counter[str] = Counter({"written": 0, "removed": 0, "failed": 0})
        self._client = client
        self._kinds = FAMILIES[family]
        self._judging = judging
        self._check_every = check
        self._resources: dict[bool, Resource] = {}
        self._known: dict[Key, There] = {}
        self._stale: set[Key] = set()
        self._waiting: dict[Key, Body | Source | None] = {}
        self._size = 0
        self._work = asyncio.Event()
        self._told = ""

    @property
    def waiting(self) -> int:
        """How many are still to be written or removed."""
        return len(self._waiting)

    def says(self, key: Key, digest: bytes) -> bool:
        """Tell whether the report is there, and says so."""
        return self._known.get(key, SOMETHING).digest == digest

    def want(self, source: Source, keys: Sequence[Key], made: Wanted) -> None:
        """Have the reports on an object say what was found.

        Args:
            source: the object.
            keys: of the reports, in their order.
            made: what they must say.
        """
        if not self._resources:
            return
        for key, body, digest in zip(keys, made.bodies, made.digests, strict=True):
            self._stale.discard(key)
            self._drop(key)
            if self.says(key, digest):
                continue
            fits = self._size + len(body) <= MOST_WAITING
            self._size += len(body) if fits else 0
            self._waiting[key] = Body(digest, body) if fits else source
        if self._waiting:
            self._work.set()

    def _drop(self, key: Key) -> Body | Source | None:
        """Take out what waits."""
        waiting = self._waiting.pop(key, None)
        if isinstance(waiting, Body):
            self._size -= len(waiting.data)
        return waiting

    def remove(self, keys: Sequence[Key]) -> None:
        """Have no such reports."""
        for key in keys:
            self._stale.discard(key)
            self._drop(key)
            if key in self._known:
                self._waiting[key] = None
                self._work.set()

    def settle(self) -> None:
        """Remove what nobody asked for since the reports were looked at: everything has been judged."""
        self.remove(list(self._stale))

    async def run(self) -> None:
        """Write until cancelled."""
        pause = _AGAIN
        check = time.monotonic() + self._check_every
        while True:
            if not self._resources and not await self._find():
                await asyncio.sleep(pause)
                pause = min(2 * pause, _LOOK_SECONDS)
                continue
            pause = _AGAIN
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(max(0.0, check - time.monotonic())):
                    await self._work.wait()
            if time.monotonic() >= check:
                await self._check()
                check = time.monotonic() + self._check_every
            self._work.clear()
            await self._write_all()

    async def find(self) -> None:
        """Look once whether the cluster has the kinds, and which reports it has."""
        if not self._resources:
            await self._find(first=True)

    async def _find(self, *, first: bool = False) -> bool:
        kinds = self._kinds
        try:
            found = {
                named: await params.discover(self._client, ParamKind(kinds.api_version, kind))
                for named, kind in ((True, kinds.namespaced), (False, kinds.cluster))
            }
            resources = {named: resource for named, resource in found.items() if resource is not None}
            problem = "" if len(resources) == 2 else _missing(kinds.api_version)
            if not problem:
                self._known = await self._list(resources.values())
                self._stale = set(self._known)
        except ApiError as error:
            problem = _missing(kinds.api_version) if error.status == 404 else f"reports: {error.message}"
        self._tell(problem)
        if problem:
            return False
        self._resources = resources
        if not first:
            self._judging.all_again()
        return True

    async def _list(self, resources: Iterable[Resource]) -> dict[Key, There]:
        known: dict[Key, There] = {}
        selector = ",".join(f"{name}={value}" for name, value in LABELS.items())
        for resource in resources:
            more = ""
            while True:
                query = {
                    "limit": str(PAGE),
                    "labelSelector": selector,
                    **({"continue": more} if more else {}),
                }
                body = (await self._client.request("GET", resource.path, params=query)).body
                for item in body.get("items") or ():
                    metadata = item["metadata"]
                    key = Key(metadata.get("namespace", ""), metadata["name"])
                    known[key] = there(item)
                more = (body.get("metadata") or {}).get("continue") or ""
                if not more:
                    break
        return known

    async def _check(self) -> None:
        """Look whether somebody removed or changed reports, or the kinds themselves."""
        try:
            present = await self._list(self._resources.values())
        except ApiError as error:
            if error.status == 404:
                self._resources = {}
            return
        known, self._known = self._known, {}
        changed = set()
        for key in present.keys() | known.keys():
            there, ours = present.get(key), known.get(key)
            if there is not None:
                same = ours is not None and there.stored == ours.stored
                self._known[key] = ours if ours is not None and same else There(b"", there.stored)
                if ours is None:
                    self._stale.add(key)  # nobody asked for it
            if there is None or ours is None or there.stored != ours.stored:
                changed.add(key)
        if changed:
            self._judging.look_again_at(changed)

    async def _write_all(self) -> None:
        while self._waiting:
            keys = list(itertools.islice(self._waiting, _AT_ONCE))
            batch = [(key, self._drop(key)) for key in keys]
            problems = await asyncio.gather(*(self._one(key, body) for key, body in batch))
            if not self._resources:
                self._waiting.clear()
                self._size = 0
                return
            await asyncio.sleep(_AGAIN if any(problems) else _EACH_SECONDS * len(batch))

    async def _one(self, key: Key, body: Body | Source | None) -> bool:
        """Write or remove one; tell whether to be patient."""
        if isinstance(body, Source):
            self._judging.look_again(body)
            return False
        path = self._resources[bool(key.namespace)].path_of(*key)
        # Whatever is asked for meanwhile is done after this, and not left out as done already.
        self._known[key] = SOMETHING
        try:
            if body is None:
                await self._client.request("DELETE", path)
                self._known.pop(key, None)
                self.results["removed"] += 1
            else:
                stored = digest_of(await apply(self._client, path, body.report(datetime.now(UTC))))
                self._known[key] = There(body.digest, stored)
                self.results["written"] += 1
            self._tell("")
        except ApiError as error:
            return await self._failed(key, body, error)
        return False

    async def _failed(self, key: Key, body: Body | None, error: ApiError) -> bool:
        if error.status == 404:
            self._known.pop(key, None)
            if body is None:
                return False
            # Its namespace is gone, or the kind is.
            try:
                if await params.discover(
                    self._client, ParamKind(self._kinds.api_version, self._kinds.namespaced)
                ):
                    return False
            except ApiError as other:
                if other.status != 404:
                    return True
            self._resources, self._known = {}, {}
            self._tell(_missing(self._kinds.api_version))
            return False
        if error.status in (0, 409, 429) or error.status >= 500:
            if key not in self._waiting:
                self._waiting[key] = body
                self._size += len(body.data) if body is not None else 0
            return True
        self.results["failed"] += 1
        if "being terminated" not in error.message:
            self._tell(f"reports: {error.message}")
        return False

    def _tell(self, problem: str) -> None:
        if problem and problem != self._told:
            logger.warning("%s", problem)
        self._told = self.problem = problem


def _missing(api_version: str) -> str:
    return f"the cluster has no reports of {api_version}: none are written"

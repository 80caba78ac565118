"""Remembers which acceptances were revoked, so that none counts again by bringing it anew as it was.

An acceptance says in its own spec that it was revoked, and that goes with the object. What signed or vouched
approvals say holds whenever they are brought, so that the cluster itself must remember. The record is a
ConfigMap of the installation with a line for each digest. It can only refuse: approvals from before.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from webhook.core.acceptance import digest_of
from webhook.core.fields import metadata_of
from webhook.core.times import format_time, parse_time
from webhook.operator.client import ApiError, Client, Resource, apply, merge
from webhook.operator.informer import Informer, Object, strip
from webhook.operator.replicas import NAME_LABEL

KIND = "ConfigMap"
NAME = "{}-revocations"
KEPT = timedelta(days=400)
"""For so long after the acceptance would have ended: what was accepted may be kept running for a while."""

_NEVER = datetime.max.replace(tzinfo=UTC)
_PREFIX = "sha256:"

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Revocation:
    """That one acceptance was revoked.

    Attributes:
        at: when that was seen, at the latest: what the acceptance says of it is whatever its writer wrote.
        until: when the acceptance would have ended.
        uid: of the object.
    """

    at: datetime
    until: datetime
    uid: str

    def __str__(self) -> str:
        return f"{format_time(self.at)} {format_time(self.until)} {self.uid}"


def resource(namespace: str, webhook_name: str) -> Resource:
    """Return where the record is: the ConfigMap of an installation."""
    return Resource("", "v1", "configmaps", KIND, True, namespace, NAME.format(webhook_name))


def recorded(config_map: Mapping[str, Any] | None) -> dict[str, Revocation]:
    """Return what a record says, by digest; a line that can't be read refuses for ever."""
    data = (config_map or {}).get("data")
    return {f"{_PREFIX}{key}": _read(str(line)) for key, line in (data or {}).items()}


def as_context(known: Mapping[str, Revocation]) -> tuple[tuple[str, str], ...]:
    """Return revocations as a snapshot's context has them."""
    return tuple(sorted((digest, format_time(each.at)) for digest, each in known.items()))


def _read(line: str) -> Revocation:
    at, _, rest = line.partition(" ")
    until, _, uid = rest.partition(" ")
    try:
        return Revocation(parse_time(at), parse_time(until), uid)
    except ValueError:
        return Revocation(_NEVER, _NEVER, uid)


class Revocations:
    """Knows what was revoked: what the record says, and what this replica has seen since it started.

    Args:
        client: the API server.
        namespace: our own.
        webhook_name: names the installation.
        now: returns the API server's time.
        on_change: called when the record changes.
    """

    def __init__(
        self,
        client: Client,
        namespace: str,
        webhook_name: str,
        now: Callable[[], datetime],
        on_change: Callable[[], None],
    ) -> None:
        self._resource = resource(namespace, webhook_name)
        self._record = Informer(client, self._resource, self._take)
        self._now = now
        self._on_change = on_change
        self._known: dict[str, Revocation] = {}
        self._told = ""
        self.run = self._record.run

    @property
    def known(self) -> bool:
        """The record has been looked for: found or not, or it can't be seen."""
        return bool(self._record.synced or self._record.missing or self._record.error)

    @property
    def problem(self) -> str:
        """What is wrong with the record, for people; empty where nothing is."""
        name, error = self._resource.name, self._record.error
        if error:
            return f"the record of revoked acceptances, {name}, can't be read: {error}"
        return self._told and f"the record of revoked acceptances, {name}, can't be written: {self._told}"

    @property
    def all(self) -> dict[str, Revocation]:
        """Every acceptance that is known to have been revoked, by its digest before that."""
        return dict(self._known)

    def keep(self, item: Object) -> Object | None:
        """Take in an acceptance as an informer sees it; return what the informer is to keep."""
        spec = item.get("spec")
        if isinstance(spec, dict) and spec.get("revoked") is not None:
            self._note(item, spec)
        return strip(item)

    async def record(self, client: Client) -> bool:
        """Write down what isn't yet: the leader's work; tell whether it is done.

        What can't count any more is left out with the next that comes.
        """
        if not self._record.synced:
            return False
        written, now = self._written(), self._now()
        over = {digest for digest, each in self._known.items() if each.until < now - KEPT}
        for digest in over:
            del self._known[digest]
        new = {digest: each for digest, each in self._known.items() if written.get(digest) != each}
        try:
            if new:
                await self._write(client, new, over & written.keys())
            self._told = ""
        except ApiError as error:
            if str(error) != self._told:
                logger.warning("revocations are not recorded: %s; trying again", error)
            self._told = str(error)
        return not self._told

    async def _write(self, client: Client, new: Mapping[str, Revocation], over: Iterable[str]) -> None:
        place, name = self._resource.namespace, self._resource.name
        path = self._resource.path_of(place, name)
        lines = {_key(digest): str(each) for digest, each in new.items()}
        try:
            await merge(client, path, {"data": {**dict.fromkeys(map(_key, over)), **lines}})
        except ApiError as error:
            if error.status != 404:
                raise
            metadata = {"name": name, "namespace": place, "labels": {NAME_LABEL: "tidewaiter"}}
            await apply(
                client,
                path,
                {"apiVersion": "v1", "kind": self._resource.kind, "metadata": metadata, "data": lines},
            )
        logger.info("recorded in %s/%s as revoked: %s", place, name, ", ".join(sorted(new)))

    def _written(self) -> dict[str, Revocation]:
        return recorded(next(iter(self._record.items.values()), None))

    def _take(self, _: Informer) -> None:
        # What goes from the record is not forgotten: the leader puts it back.
        for digest, each in self._written().items():
            mine = self._known.get(digest)
            if mine is None or mine.uid == each.uid or mine.at < each.at:
                self._known[digest] = each
        self._on_change()

    def _note(self, item: Object, spec: Mapping[str, Any]) -> None:
        before = {name: value for name, value in spec.items() if name != "revoked"}
        uid = str(metadata_of(item).get("uid") or "")
        try:
            digest = digest_of({**item, "spec": before})
        except ValueError:
            return  # nobody can approve it
        known = self._known.get(digest)
        if known is None or known.uid != uid:
            self._known[digest] = Revocation(self._now().replace(microsecond=0), _until(before), uid)


def _until(spec: Mapping[str, Any]) -> datetime:
    try:
        return parse_time(str(spec.get("validUntil")))
    except ValueError:
        return _NEVER


def _key(digest: str) -> str:
    return digest.removeprefix(_PREFIX)

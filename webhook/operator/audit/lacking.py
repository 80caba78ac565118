"""Objects whose namespace or owner the snapshot lacked: which of them are to be judged again, and when."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from webhook.operator.audit.wanted import Source
from webhook.operator.client import Resource

MOST_TRIES = 5
MOST_OBJECTS = 2000

_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class _Lack:
    source: Source
    due: float
    tries: int


class Lacking:
    """Remembers them, for a few tries each: what the snapshot lacks is on its way, or will never come."""

    def __init__(self) -> None:
        self._known: dict[tuple[Resource, str], _Lack] = {}

    def add(self, resource: Resource, key: str, metadata: Mapping[str, Any], now: float) -> None:
        """Take in an object that could not be judged with all that it needs; each time later than before.

        Args:
            resource: its resource.
            key: tells it from all others of the resource.
            metadata: its metadata.
            now: the time, in seconds.
        """
        before = self._known.pop((resource, key), None)
        tries = before.tries + 1 if before is not None else 1
        if tries > MOST_TRIES or len(self._known) >= MOST_OBJECTS:
            return
        source = Source(resource, str(metadata.get("namespace") or ""), str(metadata.get("name")))
        self._known[resource, key] = _Lack(source, now + _SECONDS * tries, tries)

    def remove(self, resource: Resource, key: str) -> None:
        """Forget an object: it was judged with all that it needs, or it is gone."""
        self._known.pop((resource, key), None)

    def drop(self, resource: Resource) -> None:
        """Forget all objects of a resource: nobody follows it any more."""
        for key in [each for each in self._known if each[0] == resource]:
            del self._known[key]

    def due(self, now: float) -> list[Source]:
        """Return what is to be judged again at a time."""
        return [each.source for each in self._known.values() if each.due <= now]

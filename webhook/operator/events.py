"""Events on objects: how one looks, and writing it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from webhook.core.times import format_time
from webhook.operator.client import Client, Resource

EVENTS = Resource("", "v1", "events", "Event", namespaced=True)
_LONGEST_MESSAGE = 1024  # the API server refuses a longer one
_LONGEST_NAME = 200


@dataclass(frozen=True, slots=True)
class Regarded:
    """The object that an Event is on.

    Attributes:
        api_version: of it.
        kind: of it.
        namespace: empty for cluster-scoped objects.
        name: of it.
        uid: of it.
    """

    api_version: str
    kind: str
    namespace: str
    name: str
    uid: str


def warning(
    regarded: Regarded, reason: str, message: str, key: str, first: datetime, last: datetime, count: int = 1
) -> dict[str, Any]:
    """Return a Warning on an object.

    Args:
        regarded: the object.
        reason: one word, such as ``PolicyDenied``.
        message: for people; cut to what the API server takes.
        key: the same key for the same object names the same Event, so that of several who tell one is heard.
        first: when it first happened.
        last: when it last happened.
        count: how often it did.
    """
    digest = hashlib.sha256("\n".join([regarded.uid, reason, key]).encode()).hexdigest()[:16]
    name = regarded.name[:_LONGEST_NAME].lower().rstrip(".-")
    return {
        "apiVersion": EVENTS.api_version,
        "kind": EVENTS.kind,
        # Kubernetes wants it in the object's namespace, and those on cluster-scoped objects in this one.
        "metadata": {"name": f"{name}.{digest}", "namespace": regarded.namespace or "default"},
        "involvedObject": {
            "apiVersion": regarded.api_version,
            "kind": regarded.kind,
            "name": regarded.name,
            "namespace": regarded.namespace,
            "uid": regarded.uid,
        },
        "type": "Warning",
        "reason": reason,
        "message": _cut(message),
        "source": {"component": "tidewaiter"},
        "firstTimestamp": format_time(first),
        "lastTimestamp": format_time(last),
        "count": count,
    }


async def send(client: Client, event: dict[str, Any]) -> None:
    """Write an Event.

    Raises:
        ApiError: it could not be written; 409 where it is there already.
    """
    path = EVENTS.path_of(event["metadata"]["namespace"], "").rstrip("/")
    await client.request("POST", path, body=event, timeout=10)


def _cut(message: str) -> str:
    printable = "".join(character if character.isprintable() else " " for character in message)
    raw = printable.encode("utf-8", "replace")
    if len(raw) <= _LONGEST_MESSAGE:
        return raw.decode()
    return raw[: _LONGEST_MESSAGE - len("…".encode())].decode(errors="ignore") + "…"

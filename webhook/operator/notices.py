"""Which Events a change of a status is worth: each is told once, as long as the status remembers it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from webhook.operator.status import condition

_ENDS = ("Expired", "Revoked")


@dataclass(frozen=True, slots=True)
class Notice:
    """An Event to be written.

    Attributes:
        reason: of the Event.
        message: for people.
        key: the same notice has the same key, also of another leader.
    """

    reason: str
    message: str
    key: str


def notices(wanted: Mapping[str, Any], observed: Mapping[str, Any]) -> list[Notice]:
    """Return what to tell of an object whose status changes.

    A policy that doesn't compile is told of once for each error; an acceptance at each notice before its end,
    and when it has expired or was revoked.

    Args:
        wanted: its new status.
        observed: the one before; it is never evidence, but good enough to tell nothing twice.
    """
    found = []
    ready = condition(wanted, "Ready")
    if ready.get("reason") == "CompileError" and _differs(wanted, observed, "Ready", "message"):
        found.append(Notice("CompileError", ready["message"], ready["message"]))
    digest = str(wanted.get("digest", ""))
    expiring = condition(wanted, "Expiring")
    if expiring.get("status") == "True" and _differs(wanted, observed, "Expiring", "reason", "status"):
        found.append(Notice("Expiring", expiring["message"], f"{expiring['reason']} {digest}"))
    for end in _ENDS:
        ended = condition(wanted, end)
        if ended.get("status") == "True" and _differs(wanted, observed, end, "status"):
            found.append(Notice(end, ended["message"], digest))
    return found


def _differs(wanted: Mapping[str, Any], observed: Mapping[str, Any], kind: str, *fields: str) -> bool:
    now, before = condition(wanted, kind), condition(observed, kind)
    return any(now.get(field) != before.get(field) for field in fields)

"""What a request's target asks for: which judge, which policies, and how long it may take."""

from __future__ import annotations

import enum
from typing import NamedTuple
from urllib.parse import parse_qs, unquote

from webhook.core.match import EVERY_POLICY, Selection
from webhook.server.deadline import allowance

SCOPES = ("all", "cluster", "namespaced")
_MOST_TARGETS = 1024


class Path(enum.StrEnum):
    """Paths of reviews; those of `ADMIT` go on with a scope and versions."""

    ADMIT = "/admit"
    GUARD = "/guard"
    GUARD_DELETED = "/guard/deleted"
    GUARD_RECORDED = "/guard/recorded"


class Target(NamedTuple):
    """A path and query, read.

    Attributes:
        path: what is to be done.
        selection: which policies are asked for.
        seconds: how long the answer may take.
    """

    path: Path
    selection: Selection
    seconds: float


class Targets:
    """Reads targets; an API server sends the same few again and again.

    Args:
        default_timeout: seconds for a request that names no timeout.
    """

    def __init__(self, default_timeout: float) -> None:
        self._default = default_timeout
        self._known: dict[str, Target] = {}

    def read(self, text: str) -> Target | None:
        """Return what `text` asks for; None when it is no path of ours.

        Raises:
            ReviewError: its timeout is no duration.
        """
        known = self._known.get(text)
        if known is not None:
            return known
        path, _, query = text.partition("?")
        found = _parse(unquote(path))
        if found is None:
            return None
        timeout = parse_qs(query, keep_blank_values=True).get("timeout", [""])[0]
        target = Target(*found, allowance(timeout, self._default))
        if len(self._known) < _MOST_TARGETS and len(text) <= 256:
            self._known[text] = target
        return target


def _parse(path: str) -> tuple[Path, Selection] | None:
    """Return what a path asks for, such as ``/admit/cluster/v1.v1beta1``; ``any`` stands for all versions."""
    if path in (Path.GUARD, Path.GUARD_DELETED, Path.GUARD_RECORDED, Path.ADMIT):
        return Path(path), EVERY_POLICY
    parts = path.split("/")
    if len(parts) != 4 or f"/{parts[1]}" != Path.ADMIT or parts[2] not in SCOPES or not parts[3]:
        return None
    versions = parts[3]
    named = "*" if versions in ("*", "any") else ",".join(sorted(versions.replace(".", ",").split(",")))
    return Path.ADMIT, Selection(parts[2], named)

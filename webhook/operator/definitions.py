"""Applies our CustomResourceDefinitions: Helm installs those of a chart's crds folder once and never again.

https://helm.sh/docs/chart_best_practices/custom_resource_definitions/
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncIterator
from typing import Any

from webhook.adapters import crds
from webhook.adapters.schema import KINDS
from webhook.core.errors import TidewaiterError
from webhook.operator.client import Client, Resource, apply, get_or_none

DEFINITIONS = Resource("apiextensions.k8s.io", "v1", "customresourcedefinitions", "CustomResourceDefinition")

_POLL = 0.25


class NotEstablishedError(TidewaiterError):
    """The API server took a definition and does not serve its kind."""


async def apply_all(client: Client, timeout: float) -> AsyncIterator[tuple[str, str]]:  # noqa: ASYNC109
    """Create or change every definition, and wait until the API server serves each.

    One that a newer version of ours has written is left alone: objects may already use what it added.

    Args:
        client: the API server.
        timeout: how many seconds to wait for all of them.

    Yields:
        The name of a definition and what was done: ``created``, ``changed``, ``unchanged``, or why nothing.

    Raises:
        ApiError: the API server refused one, or did not answer.
        NotEstablishedError: one isn't served in time.
    """
    deadline = time.monotonic() + timeout
    for kind in KINDS.values():
        wanted = crds.definition(kind)
        name = wanted["metadata"]["name"]
        path = DEFINITIONS.path_of("", name)
        present = await get_or_none(client, path)
        version, ours = version_of(present or {}), version_of(wanted)
        if _number(version) > _number(ours):
            yield name, f"left alone: it is of version {version}, newer than {ours}"
            continue
        applied = await apply(client, path, wanted)
        await _established(client, path, applied, deadline)
        yield name, _what_was_done(present, applied)


def version_of(definition: dict[str, Any]) -> str:
    """Return the version of Tidewaiter that wrote `definition`; empty where it doesn't say."""
    annotations = (definition.get("metadata") or {}).get("annotations") or {}
    return str(annotations.get(crds.VERSION_ANNOTATION, ""))


def _number(version: str) -> tuple[int, ...]:
    match = re.match(r"\d{1,9}(\.\d{1,9}){0,2}", version)
    return tuple(int(part) for part in match[0].split(".")) if match else ()


def _what_was_done(present: dict[str, Any] | None, applied: dict[str, Any]) -> str:
    if present is None:
        return "created"
    same = present["metadata"].get("generation") == applied["metadata"].get("generation")
    return "unchanged" if same and version_of(present) == version_of(applied) else "changed"


async def _established(client: Client, path: str, definition: dict[str, Any], deadline: float) -> None:
    present: dict[str, Any] | None = definition
    while not _is_established(present or {}):
        if time.monotonic() > deadline:
            raise NotEstablishedError(f"{definition['metadata']['name']}: applied, and not served in time")
        await asyncio.sleep(_POLL)
        present = await get_or_none(client, path)


def _is_established(definition: dict[str, Any]) -> bool:
    conditions = (definition.get("status") or {}).get("conditions") or []
    return any(each["type"] == "Established" and each["status"] == "True" for each in conditions)

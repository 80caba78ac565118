"""What is published: the objects of the inventory, encoded off the loop, and only those that changed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from webhook.adapters import snapshots
from webhook.core.fields import generation_of
from webhook.operator.inventory import Inventory
from webhook.operator.publisher import Content, PolicyKey


class Contents:
    """Gives the content of the next snapshot.

    Args:
        inventory: the objects.
        context: returns what they are judged in.
        known: tells whether that is known yet.
    """

    def __init__(
        self,
        inventory: Inventory,
        context: Callable[[], snapshots.Context],
        known: Callable[[], bool] = lambda: True,
    ) -> None:
        self._inventory = inventory
        self._context = context
        self._known = known
        self._writer = snapshots.Writer()

    async def __call__(self) -> Content | None:
        """Return what there is now; None while something is still missing."""
        if not self._inventory.complete or not self._known():
            return None
        inventory = self._inventory
        return await asyncio.to_thread(self._render, inventory.objects(), inventory.policies, self._context())

    def _render(
        self,
        objects: Sequence[Mapping[str, Any]],
        policies: Sequence[Mapping[str, Any]],
        context: snapshots.Context,
    ) -> Content:
        data = self._writer.dump(objects, context)
        generations: dict[PolicyKey, int] = {}
        for each in policies:
            metadata = each["metadata"]
            generations[each["kind"], metadata.get("namespace", ""), metadata["name"]] = generation_of(each)
        return Content(data, snapshots.digest(data), snapshots.file_name(data), generations)

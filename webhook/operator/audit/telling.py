"""Tells of new violations by Events on the topmost workload: few, however many there are."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from webhook.adapters.denials import Reference
from webhook.adapters.findings import Finding, Result
from webhook.core.fields import metadata_of
from webhook.core.owners import controller_reference
from webhook.operator import events
from webhook.operator.client import ApiError, Client
from webhook.operator.denials import Allowance
from webhook.operator.events import Regarded
from webhook.operator.topmost import Topmost

REASON = "PolicyViolation"
RESULTS = ("sent", "repeated", "limited", "failed")

_MOST_WAITING = 200
_MOST_NAMED = 5

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Waiting:
    regarded: Regarded
    owner: Reference | None
    message: str
    key: str


class Telling:
    """Writes an Event for each object that has come to violate something.

    The same object and policies make the same Event, of which the API server takes the first for as long as
    it keeps it. Fifty are written at once, then one every five seconds; what is beyond that is counted, and
    in the reports all the same.

    Args:
        client: the API server.

    Attributes:
        results: how many came to which of `RESULTS`.
    """

    def __init__(self, client: Client) -> None:
        self.results: Counter[str] = Counter(dict.fromkeys(RESULTS, 0))
        self._client = client
        self._topmost = Topmost(client)
        self._allowance = Allowance(50, 5.0)
        self._waiting: asyncio.Queue[_Waiting] = asyncio.Queue(_MOST_WAITING)

    def take(self, obj: Mapping[str, Any], findings: Sequence[Finding]) -> None:
        """Take in what was newly found on an object; it is told of later, or not at all."""
        failing = [each for each in findings if each.result is Result.FAIL]
        if not failing:
            return
        if self._waiting.full() or not self._allowance.take(time.monotonic()):
            self.results["limited"] += 1
            return
        target, uid = failing[0].target, failing[0].uid
        reference = controller_reference(metadata_of(obj))
        policies = list(dict.fromkeys(str(each.policy) for each in failing))
        self._waiting.put_nowait(
            _Waiting(
                Regarded(target.api_version, target.kind, target.namespace, target.name, uid),
                Reference.of(reference) if reference is not None else None,
                _text(failing, policies),
                "\n".join(policies),
            )
        )

    async def run(self) -> None:
        """Write until cancelled."""
        while True:
            waiting = await self._waiting.get()
            try:
                self.results[await self._tell(waiting)] += 1
            except ApiError as error:
                if error.status == 409:
                    self.results["repeated"] += 1
                    continue
                self.results["failed"] += 1
                if error.status not in (403, 404):  # a namespace that is gone, or is being deleted
                    logger.warning("no event on %s: %s", waiting.regarded.name, error)

    async def _tell(self, waiting: _Waiting) -> str:
        regarded, message = waiting.regarded, waiting.message
        if waiting.owner is not None:
            above = await self._topmost.above(regarded.namespace, waiting.owner)
            if above is not None:
                message = f"its {regarded.kind} {message}"
                regarded = above
        now = datetime.now(UTC)
        event = events.warning(regarded, REASON, message, waiting.key, now, now)
        await events.send(self._client, event)
        return "sent"


def _text(failing: Sequence[Finding], policies: Sequence[str]) -> str:
    first = failing[0]
    rule = f"{first.policy}/{first.rule}"
    others = policies[1 : _MOST_NAMED + 1]
    more = f"; also {', '.join(others)}" if others else ""
    left = len(policies) - 1 - len(others)
    more += f" and {left} more" if left > 0 else ""
    return f"violates {rule}: {first.message}{more}"

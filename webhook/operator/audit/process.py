"""The audit as a process: told by its parent how long it may write, ended with it, nice to others."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import sys
from pathlib import Path

from webhook.adapters.openreports import Family
from webhook.operator.audit.auditor import Auditor
from webhook.operator.audit.facts import AuditFacts
from webhook.operator.client import connect
from webhook.operator.leader import LeaderClient, seconds

_NICE = 10
_OOM_SCORE = "500"

logger = logging.getLogger(__name__)


class Permission:
    """Until when we may write, as the parent said last; by a clock that both have."""

    def __init__(self) -> None:
        self._until = 0.0

    def left(self) -> float:
        """Return for how many seconds we may write yet."""
        return max(0.0, self._until - seconds())

    async def run(self) -> None:
        """Read what the parent says until it has gone."""
        reader = asyncio.StreamReader()
        loop = asyncio.get_running_loop()
        await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
        while line := await reader.readline():
            with contextlib.suppress(ValueError):
                self._until = float(line)


def yield_to_others() -> None:
    """Take the CPU that others leave, and be the first to go when memory is short."""
    os.nice(_NICE)
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text(_OOM_SCORE)


async def run(
    kubeconfig: str, snapshot: Path, family: Family | None, stop: asyncio.Event, limit: int = 20
) -> None:
    """Audit until `stop` is set or the parent has gone.

    Args:
        kubeconfig: the cluster; empty for the one that this Pod runs in.
        snapshot: the folder where the operator publishes.
        family: which reports to write; None for none.
        stop: ends it.
        limit: so many violations of a Gatekeeper constraint are told.
    """
    yield_to_others()
    permission = Permission()

    def tell(facts: AuditFacts) -> None:
        sys.stdout.buffer.write(facts.encode())
        sys.stdout.buffer.flush()

    client = await connect(kubeconfig)
    try:
        auditor = Auditor(LeaderClient(client, permission.left), snapshot, family, tell, limit=limit)
        tasks = [
            asyncio.create_task(auditor.run()),
            asyncio.create_task(permission.run()),
            asyncio.create_task(_until(stop)),
        ]
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for task in done:
            error = task.exception()
            if error is not None and not isinstance(error, BrokenPipeError):
                raise error
    finally:
        await client.close()


async def _until(stop: asyncio.Event) -> None:
    await stop.wait()

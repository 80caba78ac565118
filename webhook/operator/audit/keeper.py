"""Keeps the audit's process while this replica leads, and knows what it told."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from webhook.core.model import PolicyRef
from webhook.operator.audit.facts import LARGEST, AuditFacts, PolicyFacts
from webhook.operator.children import end, end_with_parent
from webhook.operator.leader import seconds

_BEAT = 1.0
_AGAIN = 5.0
_STOP_SECONDS = 3.0

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Told:
    """How to start the audit.

    Attributes:
        snapshot: the folder where snapshots are published.
        kubeconfig: the cluster; empty for the one that this Pod runs in.
        reports: which reports to write: ``openreports``, ``wgpolicy`` or ``none``.
        log_level: of its log.
        log_format: of its log.
        violations_limit: so many violations it tells of a Gatekeeper constraint.
    """

    snapshot: Path
    kubeconfig: str = ""
    reports: str = "openreports"
    log_level: str = "info"
    log_format: str = "text"
    violations_limit: int = 20

    @property
    def words(self) -> Sequence[str]:
        """The command."""
        return (
            *(sys.executable, "-m", "webhook", "audit", "--snapshot", str(self.snapshot)),
            *(("--kubeconfig", self.kubeconfig) if self.kubeconfig else ()),
            *("--reports", self.reports, "--log-level", self.log_level, "--log-format", self.log_format),
            *("--constraint-violations-limit", str(self.violations_limit)),
        )


class Keeper:
    """Runs the audit beside us, and starts it again when it ends.

    It is a process of its own, so that its work never holds up the Lease, the snapshot or the webhook
    configuration. It may write only as long as we say, a second at a time: whoever no longer leads no longer
    says so.

    Args:
        told: how to start it.
        left: returns for how many seconds we surely lead yet.
        changed: called when it told something.

    Attributes:
        facts: what it told last; None before.
        policies: what it told last of each policy.
        starts: how often it was started.
    """

    def __init__(self, told: Told, left: Callable[[], float], changed: Callable[[], None]) -> None:
        self.facts: AuditFacts | None = None
        self.policies: dict[PolicyRef, PolicyFacts] = {}
        self.starts = 0
        self._covered: dict[PolicyRef, int] = {}
        self._told = told
        self._left = left
        self._changed = changed

    async def run(self) -> None:
        """Keep it running until cancelled."""
        while True:
            process = await asyncio.create_subprocess_exec(
                *self._told.words,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                limit=LARGEST,
                start_new_session=True,  # Ctrl-C is for us, who stop it
                preexec_fn=end_with_parent,
            )
            self.starts += 1
            beats = asyncio.create_task(self._beat(process))
            try:
                await self._listen(process)
                logger.error("the audit ended with status %s: starting it again", await process.wait())
            finally:
                beats.cancel()
                await asyncio.wait({beats})
                await end(process, _STOP_SECONDS)
            await asyncio.sleep(_AGAIN)

    async def _beat(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdin is not None  # noqa: S101 - asked for
        while True:
            with contextlib.suppress(ConnectionError):
                process.stdin.write(b"%f\n" % (seconds() + self._left()))
                await process.stdin.drain()
            await asyncio.sleep(_BEAT)

    async def _listen(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdout is not None  # noqa: S101 - asked for
        while True:
            try:
                line = await process.stdout.readline()
                if not line:
                    return
                self.take(AuditFacts.decode(line))
            except ValueError as error:
                logger.error("what the audit says can't be read: %s", error)
                process.send_signal(signal.SIGTERM)
                return

    def covered(self, acceptance: PolicyRef) -> int | None:
        """Return how many violations an acceptance covers; None while that isn't known."""
        if self.facts is None or not self.facts.complete:
            return None
        return self._covered.get(acceptance, 0)

    def take(self, facts: AuditFacts) -> None:
        """Take in what it told."""
        self.facts = facts
        self._covered = {PolicyRef(*ref): number for *ref, number in facts.covered}
        for each in facts.policies:
            self.policies[each.policy] = each
        for ref in facts.gone:
            self.policies.pop(PolicyRef(*ref), None)
        self._changed()

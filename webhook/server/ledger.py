"""What slow policies have taken of a worker's time, so that one that is always slow can't take all of it."""

from __future__ import annotations

import time
from collections.abc import Callable

from webhook.core.model import PolicyRef

CREDIT_SECONDS = 2.0
"""What a policy may take at once: many large objects, applied together, pass."""
SHARE = 0.25
"""What it may take in the long run, as a share of a worker's time."""

_MOST_ACCOUNTS = 1000


class Ledger:
    """An account for each policy that was slow lately; the engine's `Ledger`.

    Credit comes back with time, as tokens come into a bucket. What is charged is the time that others wait,
    whoever has the processor then.

    Args:
        clock: gives seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._accounts: dict[PolicyRef, tuple[float, float]] = {}
        self._looked_at = 0.0

    def goes_on(self, policy: PolicyRef, *, again: bool) -> bool:
        """Note that an evaluation of `policy` isn't quick; tell whether it may go on.

        Args:
            policy: which one.
            again: it is the evaluation that this was called for last.
        """
        now = self._clock()
        before, self._looked_at = self._looked_at, now
        left = self._left(policy, now)
        if again:
            left = max(0.0, left - (now - before))
            if policy not in self._accounts and len(self._accounts) >= _MOST_ACCOUNTS:
                self._close_accounts(now)
            self._accounts[policy] = left, now
        return left > 0

    def _left(self, policy: PolicyRef, now: float) -> float:
        left, at = self._accounts.get(policy, (CREDIT_SECONDS, now))
        return min(CREDIT_SECONDS, left + (now - at) * SHARE)

    def _close_accounts(self, now: float) -> None:
        """Forget whose credit is full."""
        accounts = self._accounts.items()
        self._accounts = {each: kept for each, kept in accounts if self._left(each, now) < CREDIT_SECONDS}

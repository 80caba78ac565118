"""Who pays for going through values: the query that runs in this thread."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from webhook.core.activation import Budget


class _Meter(threading.local):
    budget: Budget | None = None


_meter: Final = _Meter()


def charge(budget: Budget | None) -> Budget | None:
    """Let `budget` pay for whatever goes through values from now on; return the one that paid before."""
    before, _meter.budget = _meter.budget, budget
    return before


@contextmanager
def metered(budget: Budget) -> Iterator[None]:
    """Let `budget` pay meanwhile."""
    before = charge(budget)
    try:
        yield
    finally:
        charge(before)


def pay(steps: int) -> None:
    """Take steps of the budget that pays now; none where no query runs.

    Raises:
        BudgetExceeded: not so many are left.
    """
    budget = _meter.budget
    if budget is not None:
        budget.left -= steps
        if budget.left < 0:
            budget.spend()

"""When people are told that an acceptance ends: one rule for warnings, conditions and Events."""

from __future__ import annotations

from datetime import datetime, timedelta

from webhook.core.standing import Standing, State

NOTICE_DAYS = (30, 7, 1)
"""How many days before its end each notice comes."""


def notice(standing: Standing, at: datetime) -> int | None:
    """Return the nearest notice that an acceptance in force has reached, in days before its end.

    Args:
        standing: of the acceptance.
        at: the moment, by the later of both clocks, as for expiry.

    Returns:
        one of `NOTICE_DAYS`; None where none is reached yet, or the acceptance isn't in force.
    """
    if standing.state is not State.ACTIVE:
        return None
    left = standing.until - at
    return min((days for days in NOTICE_DAYS if left <= timedelta(days=days)), default=None)

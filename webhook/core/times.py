"""Times and durations as the API writes them: RFC 3339 and ``90d``, ``4h``."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

_DURATION = re.compile(r"(?:(\d{1,5})d)?(?:(\d{1,5})h)?(?:(\d{1,5})m)?(?:(\d{1,5})s)?", re.ASCII)
_TIME = re.compile(r"(\d{4}-\d{2}-\d{2})[Tt](\d{2}:\d{2}:\d{2})(\.\d{1,9})?([Zz]|[+-]\d{2}:\d{2})", re.ASCII)


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def nanoseconds(at: datetime) -> int:
    """Return the nanoseconds since 1970 at a moment, exactly."""
    since = at - _EPOCH
    return ((since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds) * 1000


def parse_duration(text: str) -> timedelta:
    """Return the duration that `text` writes in days, hours, minutes and seconds: ``90d``, ``1h30m``.

    Raises:
        ValueError: it is none, or zero.
    """
    found = _DURATION.fullmatch(text)
    if not text or found is None:
        raise ValueError(f"{text!r} is no duration; write it as 90d, 4h, 30m or 1h30m")
    days, hours, minutes, seconds = (int(part or 0) for part in found.groups())
    duration = timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds)
    if not duration:
        raise ValueError(f"{text!r} is no time at all")
    return duration


def parse_time(text: str) -> datetime:
    """Return the instant that the RFC 3339 `text` names, in UTC; fractions are kept to the microsecond.

    Raises:
        ValueError: it is none.
    """
    found = _TIME.fullmatch(text)
    if found is None:
        raise ValueError(f"{text!r} is no RFC 3339 time; write it as 2027-02-28T00:00:00Z")
    date, clock, fraction, zone = found.groups()
    try:
        moment = datetime.fromisoformat(f"{date}T{clock}{'+00:00' if zone in 'Zz' else zone}")
        return moment.astimezone(UTC) + timedelta(microseconds=int((fraction or ".0")[1:7].ljust(6, "0")))
    except (ValueError, OverflowError) as error:
        raise ValueError(f"{text!r} is no RFC 3339 time: {error}") from None


def later(moment: datetime, duration: timedelta) -> datetime:
    """Return the moment a duration after `moment`; the last there is where the calendar ends before."""
    try:
        return moment + duration
    except OverflowError:
        return datetime.max.replace(tzinfo=moment.tzinfo)


def format_time(moment: datetime) -> str:
    """Return `moment` as RFC 3339 in UTC, to the second."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def within(days: int) -> str:
    """Return a notice as text: ``ends within 7 days``."""
    return f"ends within {days} day{'' if days == 1 else 's'}"

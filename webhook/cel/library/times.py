"""Timestamps and durations: Go's texts of them, and the getters with their time zones."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from webhook.cel.library.function import Library, no_overload
from webhook.cel.values import MAX_INT, Duration, Timestamp
from webhook.core.errors import EvaluationError

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

LIBRARY = Library()
SECOND: Final = 10**9
_HOUR: Final = 3600 * SECOND
_DAY: Final = 86_400
_RFC3339: Final = re.compile(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})T([0-9]{1,2}):([0-9]{2}):([0-9]{2})(?:[.,]([0-9]+))?"
    r"(?:Z|([+-])([0-9]{2}):([0-9]{2}))"
)
_MONTH_DAYS: Final = (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
_PART: Final = re.compile(r"([0-9]*)(?:(\.)([0-9]*))?([^0-9.]+)")
_UNITS: Final = {
    "ns": 1, "us": 1000, "µs": 1000, "μs": 1000, "ms": 10**6, "s": SECOND, "m": 60 * SECOND, "h": _HOUR,
}  # fmt: skip
_OFFSET_PART: Final = re.compile(r"[+-]?[0-9]{1,18}")


class _Civil(NamedTuple):
    year: int
    month: int
    day: int
    weekday: int  # 0 is Sunday
    yearday: int  # 0 is the first of January


def _leap(year: int) -> bool:
    return year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)


def _days_before_year(year: int) -> int:
    """Return the days from 0001-01-01 to the first day of a year, which may be beyond datetime's years."""
    before = year - 1
    return before * 365 + before // 4 - before // 100 + before // 400


_EPOCH: Final = _days_before_year(1970)


def _civil(seconds: int) -> _Civil:
    days = seconds // _DAY
    year = (days + _EPOCH) * 400 // 146_097 + 1
    while _days_before_year(year) > days + _EPOCH:
        year -= 1
    while _days_before_year(year + 1) <= days + _EPOCH:
        year += 1
    yearday = rest = days + _EPOCH - _days_before_year(year)
    for month, length in enumerate(_MONTH_DAYS, 1):
        length += month == 2 and _leap(year)
        if rest < length:
            break
        rest -= length
    return _Civil(year, month, rest + 1, (days + 4) % 7, yearday)


def parse_timestamp(text: str) -> Timestamp | None:
    """Return the timestamp that a text of RFC 3339 says, as leniently as Go reads it; None if it isn't one.

    Raises:
        EvaluationError: it says one outside of the years 1 to 9999.
    """
    found = _RFC3339.fullmatch(text)
    if found is None:
        return None
    year, month, day, hour, minute, second = map(int, found.groups()[:6])
    if not 1 <= month <= 12 or hour > 23 or minute > 59 or second > 59:
        return None
    if not 1 <= day <= _MONTH_DAYS[month - 1] + (month == 2 and _leap(year)):
        return None
    days = _days_before_year(year) - _EPOCH + sum(_MONTH_DAYS[: month - 1]) + day - 1
    days += month > 2 and _leap(year)
    seconds = ((days * 24 + hour) * 60 + minute) * 60 + second
    offset = 0
    if found[8]:
        hours, minutes = int(found[9]), int(found[10])
        if hours > 24 or minutes > 60:  # Go lets 24 hours and 60 minutes pass
            return None
        offset = (hours * 60 + minutes) * 60 * (-1 if found[8] == "-" else 1)
    fraction = int((found[7] or "")[:9].ljust(9, "0"))
    return Timestamp((seconds - offset) * SECOND + fraction, offset)


def write_timestamp(moment: Timestamp) -> str:
    """Return a timestamp in RFC 3339, in the offset that it was written in."""
    seconds, fraction = divmod(moment.ns, SECOND)
    seconds += moment.offset
    date = _civil(seconds)
    clock = seconds % _DAY
    text = f"{date.year:04d}-{date.month:02d}-{date.day:02d}T"
    text += f"{clock // 3600:02d}:{clock // 60 % 60:02d}:{clock % 60:02d}"
    if fraction:
        text += f".{fraction:09d}".rstrip("0")
    if moment.offset == 0:
        return text + "Z"
    minutes = abs(moment.offset) // 60
    return f"{text}{'-' if moment.offset < 0 else '+'}{minutes // 60:02d}:{minutes % 60:02d}"


def parse_duration(text: str) -> Duration | None:
    """Return the duration that a text such as ``1h30m`` says, as Go reads it; None if it says none."""
    negative = text.startswith("-")
    rest = text[1:] if text[:1] in ("-", "+") else text
    if rest == "0":
        return Duration(0)
    total = at = 0
    while at < len(rest):
        found = _PART.match(rest, at)
        unit = _UNITS.get(found[4]) if found else None
        if found is None or unit is None or not (found[1] or found[3]):
            return None
        part = _part(found[1], found[3] or "", unit)
        if part is None or total + part > 2**63:
            return None
        total += part
        at = found.end()
    if not rest or (total > MAX_INT and not negative):
        return None
    return Duration(-total if negative else total)


def _part(whole: str, fraction: str, unit: int) -> int | None:
    """Return the nanoseconds of one number with its unit; None if too many."""
    whole = whole.lstrip("0")
    if len(whole) > 19 or int(whole or 0) > 2**63 // unit:
        return None
    value = int(whole or 0) * unit
    digits, scale = 0, 1.0
    for char in fraction:  # Go stops at what 63 bits hold, and multiplies as doubles
        if digits > MAX_INT // 10 or digits * 10 + int(char) > 2**63:
            break
        digits = digits * 10 + int(char)
        scale *= 10
    if digits:
        value += int(float(digits) * (float(unit) / scale))
    return value if value <= 2**63 else None


@lru_cache(64)
def _zone(name: str) -> ZoneInfo:
    from zoneinfo import ZoneInfo  # imported late: few policies name a time zone

    try:
        return ZoneInfo(name)
    except (ValueError, OSError, KeyError):
        raise EvaluationError(f"unknown time zone {name}") from None


def _offset(moment: Timestamp, zone: str) -> int:
    """Return the seconds east of UTC that a time zone has at a moment."""
    hours, colon, minutes = zone.partition(":")
    if not colon:
        if zone in ("", "UTC", "Local"):
            return 0
        if len(zone) > 255:
            raise EvaluationError("unknown time zone")
        import datetime

        epoch = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
        at = epoch + datetime.timedelta(seconds=moment.ns // SECOND)
        try:
            offset = at.astimezone(_zone(zone)).utcoffset()
        except OverflowError:  # near year 1 or 9999, where a zone has one rule for long
            year = datetime.timedelta(days=366 if at.year < 5000 else -366)
            offset = (at + year).astimezone(_zone(zone)).utcoffset()
        return int(offset.total_seconds()) if offset is not None else 0
    if not _OFFSET_PART.fullmatch(hours) or not _OFFSET_PART.fullmatch(minutes):
        raise EvaluationError(f"invalid time zone offset: {zone[:40]}")
    sign = -1 if hours.startswith("-") else 1
    return (int(hours) * 60 + sign * int(minutes)) * 60


def _local(moment: Any, zone: Any, name: str) -> int:
    """Return a timestamp's seconds since 1970 as a clock of the zone would count them."""
    if moment.__class__ is not Timestamp or zone.__class__ is not str:
        raise no_overload(name)
    seconds: int = moment.ns // SECOND
    return seconds + _offset(moment, zone) if zone else seconds


def _zone_cost(moment: Any, zone: Any = "") -> int:
    return 2 if zone == "" else 8


def _date_getter(name: str, pick: Callable[[_Civil], int]) -> None:
    @LIBRARY.method(name, "int", (0, 1), costly=_zone_cost)
    def get(moment: Any, zone: Any = "") -> int:
        return pick(_civil(_local(moment, zone, name)))


_date_getter("getFullYear", lambda date: date.year)
_date_getter("getMonth", lambda date: date.month - 1)
_date_getter("getDate", lambda date: date.day)
_date_getter("getDayOfMonth", lambda date: date.day - 1)
_date_getter("getDayOfWeek", lambda date: date.weekday)
_date_getter("getDayOfYear", lambda date: date.yearday)


def _in_units(span: Duration, unit: int) -> int:
    """Return a duration in whole units; through a double as in Go, so huge ones round."""
    whole, rest = divmod(abs(span.ns), unit)
    count = int(float(whole) + rest / float(unit))
    return -count if span.ns < 0 else count


@LIBRARY.method("getHours", "int", (0, 1), costly=_zone_cost)
def get_hours(value: Any, zone: Any = "") -> int:
    """Return the hour of a timestamp, or a duration in hours."""
    if value.__class__ is Duration and zone == "":
        return _in_units(value, _HOUR)
    return _local(value, zone, "getHours") // 3600 % 24


@LIBRARY.method("getMinutes", "int", (0, 1), costly=_zone_cost)
def get_minutes(value: Any, zone: Any = "") -> int:
    """Return the minute of a timestamp, or a duration in minutes."""
    if value.__class__ is Duration and zone == "":
        return _in_units(value, 60 * SECOND)
    return _local(value, zone, "getMinutes") // 60 % 60


@LIBRARY.method("getSeconds", "int", (0, 1), costly=_zone_cost)
def get_seconds(value: Any, zone: Any = "") -> int:
    """Return the second of a timestamp, or a duration in seconds."""
    if value.__class__ is Duration and zone == "":
        return _in_units(value, SECOND)
    return _local(value, zone, "getSeconds") % 60


@LIBRARY.method("getMilliseconds", "int", (0, 1), costly=_zone_cost)
def get_milliseconds(value: Any, zone: Any = "") -> int:
    """Return the millisecond within a timestamp's second, or a duration in milliseconds."""
    if value.__class__ is Duration and zone == "":
        count = abs(value.ns) // 10**6
        return -count if value.ns < 0 else count
    _local(value, zone, "getMilliseconds")
    return value.ns // 10**6 % 1000  # type: ignore[no-any-return]

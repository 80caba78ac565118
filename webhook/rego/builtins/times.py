"""Functions of times: nanoseconds since 1970, alone or with the name of a zone."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from webhook.rego.builtins.declaration import builtin
from webhook.rego.builtins.operands import check_number, check_texts, operand_error, small_integer
from webhook.rego.context import BuiltinError, Context, check_string
from webhook.rego.go import big_floats
from webhook.rego.go.moments import SECOND_NS, Moment, days_in, days_of
from webhook.rego.go.time_layouts import DAYS, NAMED, write
from webhook.rego.go.time_reader import quoted, read
from webhook.rego.numbers import NUMBERS
from webhook.rego.types import NUMBER, STRING, Array, Union
from webhook.rego.value_text import quote

_LOW: Final = -(1 << 63)
_HIGH: Final = (1 << 63) - 1
_PAIR: Final = Array(None, (NUMBER, STRING))
_TIME: Final = Union((NUMBER, _PAIR))
_WITH_LAYOUT: Final = Union((NUMBER, _PAIR, Array(None, (NUMBER, STRING, STRING))))
_MAX_LAYOUT: Final = 1_000
_UNITS: Final = {
    "ns": 1,
    "us": 1_000,
    "µs": 1_000,
    "μs": 1_000,
    "ms": 1_000_000,
    "s": SECOND_NS,
    "m": 60 * SECOND_NS,
    "h": 3600 * SECOND_NS,
}
_PART: Final = re.compile(r"([0-9]*)(?:(\.)([0-9]*))?")
_EXTENDED: Final = re.compile(r"([+-]?)((?:[0-9.]+(?:ms|us|µs|ns|[a-z]))+)")
_SEGMENT: Final = re.compile(r"([0-9.]+)(ms|us|µs|ns|[a-z])")
_HOURS: Final = {"d": 24, "w": 7 * 24, "y": 365 * 24}


@lru_cache(256)
def _zone(name: str) -> ZoneInfo | None:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return None


def in_zone(ns: int, name: str) -> Moment:
    """Return a time as it is in a zone.

    Raises:
        BuiltinError: no zone has this name.
    """
    if name in ("", "UTC", "Local"):
        return Moment(ns)
    if ".." in name or name[0] in "/\\":
        raise BuiltinError("time: invalid location name")
    zone = _zone(name)
    if zone is None:
        raise BuiltinError(f"unknown time zone {name}")
    local = datetime.fromtimestamp(0, UTC).fromtimestamp(ns // SECOND_NS, zone)
    offset = local.utcoffset()
    seconds = 0 if offset is None else int(offset.total_seconds())
    return Moment(ns, seconds, local.tzname() or "")


_EITHER: Final = "either number (ns) or [number (ns), string (tz)]"


def _moment(value: Any) -> tuple[Moment, str]:
    """Return the time that an operand gives, and its layout if it has one."""
    zone, layout, number = "", "", value
    if value.__class__ is list:
        if not value:
            raise operand_error(1, value, _EITHER)
        number = value[0]
        check_number(number, 1)
        for index, item in enumerate(value[1:3]):
            if item.__class__ is not str:
                raise operand_error(1, item, "string")
            zone, layout = (item, layout) if index == 0 else (zone, item)
            if index == 0:
                in_zone(0, zone)
    elif value.__class__ not in NUMBERS:
        raise operand_error(1, value, _EITHER)
    whole = big_floats.whole(number)
    if whole is None or not _LOW <= whole <= _HIGH:
        raise BuiltinError("timestamp too big")
    return in_zone(whole, zone), layout


def _in_range(ns: int) -> int:
    if not _LOW <= ns <= _HIGH:
        raise BuiltinError("time outside of valid range")
    return ns


@builtin("time.now_ns", (), NUMBER, needs_context=True, pure=False)
def now_ns(context: Context) -> int:
    """Return the time of the query."""
    return context.now_ns


@builtin("time.parse_ns", (STRING, STRING), NUMBER, needs_context=True)
def parse_ns(context: Context, layout: Any, value: Any) -> int:
    """Return the time that is written in a layout."""
    check_texts(layout, value)
    layout = NAMED.get(layout, layout)
    _short(context, layout)
    return _in_range(read(layout, value).ns)


def _short(context: Context, layout: str) -> None:
    if len(layout) > _MAX_LAYOUT:
        raise BuiltinError(f"a layout of {len(layout)} characters is over the limit of {_MAX_LAYOUT}")
    context.spend(5 + (len(layout) >> 1))


@builtin("time.parse_rfc3339_ns", (STRING,), NUMBER)
def parse_rfc3339_ns(value: Any) -> int:
    """Return the time that is written as RFC 3339 says."""
    check_texts(value)
    return _in_range(read(NAMED["RFC3339"], value).ns)


@builtin("time.format", (_WITH_LAYOUT,), STRING, needs_context=True)
def time_format(context: Context, value: Any) -> str:
    """Return a time in a layout, RFC 3339 by default."""
    moment, layout = _moment(value)
    layout = NAMED.get(layout, layout) or NAMED["RFC3339Nano"]
    _short(context, layout)
    text = write(moment, layout)
    check_string(len(text))
    return text


@builtin("time.date", (_TIME,), Array(None, (NUMBER, NUMBER, NUMBER)))
def date(value: Any) -> list[int]:
    """Return year, month and day."""
    return list(_moment(value)[0].date)


@builtin("time.clock", (_TIME,), Array(None, (NUMBER, NUMBER, NUMBER)))
def clock(value: Any) -> list[int]:
    """Return hour, minute and second."""
    return list(_moment(value)[0].clock)


@builtin("time.weekday", (_TIME,), STRING)
def weekday(value: Any) -> str:
    """Return the name of the day of the week."""
    return DAYS[_moment(value)[0].weekday]


@builtin("time.add_date", (NUMBER, NUMBER, NUMBER, NUMBER), NUMBER)
def add_date(value: Any, years: Any, months: Any, days: Any) -> int:
    """Return the time so many years, months and days later, October 32 being November 1."""
    moment, _ = _moment(value)
    year, month, day = moment.date
    year += small_integer(years, 2)
    month += small_integer(months, 3)
    day += small_integer(days, 4)
    if max(abs(year), abs(month), abs(day)) > 1 << 40:
        raise BuiltinError("time outside of valid range")
    year, month = year + (month - 1) // 12, (month - 1) % 12 + 1
    first = days_of(year, month, 1) + day - 1
    local = first * 86_400 + moment.local_seconds % 86_400
    rest = moment.ns % SECOND_NS
    _in_range((local - moment.offset) * SECOND_NS + rest)
    zone = value[1] if value.__class__ is list and len(value) > 1 else ""
    offset = in_zone(local * SECOND_NS, zone).offset
    offset = in_zone((local - offset) * SECOND_NS, zone).offset
    return _in_range((local - offset) * SECOND_NS + rest)


@builtin("time.diff", (_TIME, _TIME), Array(None, (NUMBER,) * 6))
def diff(first: Any, second: Any) -> list[int]:
    """Return how many years, months, days, hours, minutes and seconds are between two times."""
    one, _ = _moment(first)
    zone = first[1] if first.__class__ is list and len(first) > 1 else ""
    other = in_zone(_moment(second)[0].ns, zone)
    if one.ns > other.ns:
        one, other = other, one
    parts = [b - a for a, b in zip((*one.date, *one.clock), (*other.date, *other.clock), strict=True)]
    for index, size in ((5, 60), (4, 60), (3, 24)):
        if parts[index] < 0:
            parts[index] += size
            parts[index - 1] -= 1
    year, month, _ = one.date
    if parts[2] < 0:
        parts[2] += days_in(month, year)
        parts[1] -= 1
    if parts[1] < 0:
        parts[1] += 12
        parts[0] -= 1
    return parts


@builtin("time.parse_duration_ns", (STRING,), NUMBER, needs_context=True)
def parse_duration_ns(context: Context, value: Any) -> int:
    """Return the nanoseconds of a duration; ``d``, ``w`` and ``y`` are 24 hours, 7 and 365 days."""
    check_texts(value)
    context.spend(1 + len(value) * (1 + (len(value) >> 10)))  # each part is cut from the whole rest
    if not value:
        raise BuiltinError('time: invalid duration ""')
    if not any(unit in value for unit in "dwy"):
        return duration(value)
    found = _EXTENDED.fullmatch(value)
    if found is None:
        raise BuiltinError(f"time: invalid duration {quote(value)}")
    parts = [found[1]]
    for digits, unit in _SEGMENT.findall(found[2]):
        if unit not in _HOURS:
            parts.append(digits + unit)
            continue
        try:
            hours = float(digits) * _HOURS[unit]
        except ValueError:
            raise BuiltinError(f"time: invalid duration {quote(value)}") from None
        parts.append(f"{_plain(hours)}h")
    try:
        return duration("".join(parts))
    except BuiltinError as error:
        message = str(error).rpartition(" ")[0]
        raise BuiltinError(f"{message} {quote(value)}") from None


def _plain(number: float) -> str:
    """Return Go's ``strconv.FormatFloat(number, 'f', -1, 64)``."""
    text = repr(number)
    if "e" in text:
        from decimal import Decimal

        text = f"{Decimal(text):f}"
    return text.removesuffix(".0")


def duration(text: str) -> int:
    """Return what Go's ``time.ParseDuration`` reads.

    Raises:
        BuiltinError: it is no duration.
    """
    rest = text[1:] if text[:1] in ("-", "+") else text
    if rest == "0":
        return 0
    invalid = BuiltinError(f"time: invalid duration {quoted(text)}")
    if not rest:
        raise invalid
    total = 0
    while rest:
        if rest[0] != "." and rest[0] not in "0123456789":
            raise invalid
        found = _PART.match(rest)
        if found is None:
            raise invalid
        whole, fraction = found[1], found[3] or ""
        if (not whole and not fraction) or len(whole) > 20:
            raise invalid
        rest = rest[found.end() :]
        size = 0
        while size < len(rest) and rest[size] not in ".0123456789":
            size += 1
        if not size:
            raise BuiltinError(f"time: missing unit in duration {quoted(text)}")
        unit = _UNITS.get(rest[:size])
        if unit is None:
            raise BuiltinError(f"time: unknown unit {quoted(rest[:size])} in duration {quoted(text)}")
        rest = rest[size:]
        value = int(whole or 0)
        if value > (1 << 63) // unit:
            raise invalid
        value *= unit
        if fraction:
            value += _fraction(fraction, unit)
        total += value
        if value > 1 << 63 or total > 1 << 63:
            raise invalid
    if text[0] == "-":
        return -total
    if total > _HIGH:
        raise invalid
    return total


def _fraction(digits: str, unit: int) -> int:
    """Return a part of a unit, computed with floats as Go does it."""
    value, scale = 0, 1.0
    for digit in digits:
        if value > _HIGH // 10:
            break
        if value * 10 + int(digit) > 1 << 63:
            break
        value, scale = value * 10 + int(digit), scale * 10
    return int(float(value) * (float(unit) / scale)) if value else 0

"""Go's layouts of times, and times written in them (https://pkg.go.dev/time#Layout)."""

from __future__ import annotations

import re
from typing import Final

from webhook.rego.go.moments import SECOND_NS, Moment, days_of

MONTHS: Final = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
]
DAYS: Final = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"]
NAMED: Final = {
    "ANSIC": "Mon Jan _2 15:04:05 2006",
    "UnixDate": "Mon Jan _2 15:04:05 MST 2006",
    "RubyDate": "Mon Jan 02 15:04:05 -0700 2006",
    "RFC822": "02 Jan 06 15:04 MST",
    "RFC822Z": "02 Jan 06 15:04 -0700",
    "RFC850": "Monday, 02-Jan-06 15:04:05 MST",
    "RFC1123": "Mon, 02 Jan 2006 15:04:05 MST",
    "RFC1123Z": "Mon, 02 Jan 2006 15:04:05 -0700",
    "RFC3339": "2006-01-02T15:04:05Z07:00",
    "RFC3339Nano": "2006-01-02T15:04:05.999999999Z07:00",
}
CHUNK: Final = re.compile(
    r"January|Jan(?![a-z])|Monday|Mon(?![a-z])|MST|002|0[1-6]|15|1|2006|2|__2|_2(?!006)|3|4|5|PM|pm"
    r"|-07:00:00|-070000|-07:00|-0700|-07|Z07:00:00|Z070000|Z07:00|Z0700|Z07|[.,](?:0+|9+)(?![0-9])"
)


def write(moment: Moment, layout: str) -> str:
    """Return a time in a layout."""
    return CHUNK.sub(lambda found: _written(moment, found.group()), layout)


def _written(moment: Moment, chunk: str) -> str:
    first = chunk[0]
    if first in "-Z":
        return _offset(moment.offset, chunk)
    if first in ".,":
        digits = f"{moment.ns % SECOND_NS:09d}"[: len(chunk) - 1]
        if chunk[1] == "9":
            digits = digits.rstrip("0")
            return first + digits if digits else ""
        return first + digits
    if chunk == "MST":
        return moment.zone or _abbreviation(moment.offset)
    year, month, day = moment.date
    hour, minute, second = moment.clock
    twelve = hour % 12 or 12
    if chunk in ("002", "__2"):
        of_year = days_of(year, month, day) - days_of(year, 1, 1) + 1
        return f"{of_year:03d}" if chunk == "002" else f"{of_year:3d}"
    return {
        "January": MONTHS[month - 1], "Jan": MONTHS[month - 1][:3],
        "Monday": DAYS[moment.weekday], "Mon": DAYS[moment.weekday][:3],
        "01": f"{month:02d}", "1": str(month), "02": f"{day:02d}", "2": str(day), "_2": f"{day:2d}",
        "03": f"{twelve:02d}", "3": str(twelve), "04": f"{minute:02d}", "4": str(minute),
        "05": f"{second:02d}", "5": str(second), "06": f"{year % 100:02d}", "2006": f"{year:04d}",
        "15": f"{hour:02d}", "PM": "PM" if hour >= 12 else "AM", "pm": "pm" if hour >= 12 else "am",
    }[chunk]  # fmt: skip


def _offset(offset: int, chunk: str) -> str:
    if chunk[0] == "Z" and offset == 0:
        return "Z"
    sign, seconds = ("-", -offset) if offset < 0 else ("+", offset)
    hours, minutes, rest = seconds // 3600, seconds // 60 % 60, seconds % 60
    colon = ":" if ":" in chunk else ""
    parts = [f"{sign}{hours:02d}"]
    if len(chunk) > 3:
        parts.append(f"{minutes:02d}")
    if len(chunk) > 6:
        parts.append(f"{rest:02d}")
    return colon.join(parts)


def _abbreviation(offset: int) -> str:
    minutes = abs(offset) // 60
    sign = "-" if offset < 0 else "+"
    return f"{sign}{minutes // 60:02d}" + (f"{minutes % 60:02d}" if minutes % 60 else "")

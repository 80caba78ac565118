"""Times read by a layout as Go's ``time.Parse`` reads them, with its errors."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final

from webhook.rego.context import BuiltinError
from webhook.rego.go.moments import SECOND_NS, Moment, date_of, days_in, days_of, is_leap
from webhook.rego.go.time_layouts import CHUNK, DAYS, MONTHS
from webhook.rego.metering import pay
from webhook.rego.raw_text import encoded

_ZONE: Final = re.compile(r"(ChST|MeST)|GMT(?:[+-]([0-9]+))?|[+-]([0-9]+)")


class _Bad(Exception):  # noqa: N818 - never leaves this module
    """A chunk that can't be read; the text is what is out of range, if it is that."""


@dataclass
class _Fields:
    """What has been read of a time."""

    year: int = 0
    month: int = -1
    day: int = -1
    year_day: int = -1
    hour: int = 0
    minute: int = 0
    second: int = 0
    ns: int = 0
    half: str = ""
    offset: int | None = None
    rest: str = field(default="")


def read(layout: str, value: str) -> Moment:
    """Return the time that `value` writes in a layout.

    Raises:
        BuiltinError: it isn't one; in Go's words.
    """
    fields = _Fields(rest=value)
    at = 0
    for found in CHUNK.finditer(layout):
        prefix = layout[at : found.start()]
        at = found.end()
        _skip(fields, prefix, layout, value)
        before = fields.rest
        try:
            _chunk(fields, found.group(), layout[at:])
        except _Bad as bad:
            if str(bad):
                raise BuiltinError(f"parsing time {quoted(value)}: {bad} out of range") from None
            raise _mismatch(layout, value, found.group(), before) from None
    _skip(fields, layout[at:], layout, value)
    if fields.rest:
        raise BuiltinError(f"parsing time {quoted(value)}: extra text: {quoted(fields.rest)}")
    return _moment(fields, value)


def _skip(fields: _Fields, prefix: str, layout: str, value: str) -> None:
    """Take what stands between chunks off the rest."""
    left = prefix
    while left:
        rest = fields.rest
        if left[0] == " ":
            if rest and rest[0] != " ":
                raise _mismatch(layout, value, prefix, rest)
            left, fields.rest = left.lstrip(" "), rest.lstrip(" ")
            continue
        if not rest or rest[0] != left[0]:
            raise _mismatch(layout, value, prefix, rest)
        left, fields.rest = left[1:], rest[1:]


def _mismatch(layout: str, value: str, wanted: str, found: str) -> BuiltinError:
    return BuiltinError(
        f"parsing time {quoted(value)} as {quoted(layout)}: cannot parse {quoted(found)} as {quoted(wanted)}"
    )


def quoted(text: str) -> str:
    """Return a text in quotation marks as Go's package for times writes it."""
    pay(len(text) >> 2)
    parts = []
    for char in text:
        if char < " " or char >= "\x80":
            parts.append("".join(f"\\x{byte:02x}" for byte in encoded(char)))
        else:
            parts.append(f"\\{char}" if char in '"\\' else char)
    return '"' + "".join(parts) + '"'


def _digit(text: str, at: int) -> bool:
    return text[at : at + 1] in tuple("0123456789")


def _number(fields: _Fields, fixed: bool) -> int:
    """Take one or two digits off the rest."""
    rest = fields.rest
    if not _digit(rest, 0) or (fixed and not _digit(rest, 1)):
        raise _Bad
    size = 1 + _digit(rest, 1)
    fields.rest = rest[size:]
    return int(rest[:size])


def _name(fields: _Fields, names: list[str]) -> int:
    for index, name in enumerate(names):
        if fields.rest[: len(name)].lower() == name.lower():
            fields.rest = fields.rest[len(name) :]
            return index
    raise _Bad


def _within(number: int, least: int, most: int, what: str) -> int:
    if not least <= number <= most:
        raise _Bad(what)
    return number


def _chunk(fields: _Fields, chunk: str, following: str) -> None:
    """Take what a chunk of the layout asks for off the rest."""
    if chunk[0] in "-Z":
        _read_offset(fields, chunk)
    elif chunk[0] in ".,":
        _read_fraction(fields, chunk)
    elif chunk in ("2006", "06"):
        size = len(chunk) if chunk == "2006" else 2
        text = fields.rest[:size]
        if len(text) < size or not _digit(text, 0):
            raise _Bad
        if not (text.isascii() and text.isdigit()):
            raise _Bad
        fields.rest = fields.rest[size:]
        year = int(text)
        fields.year = year if size == 4 else year + (1900 if year >= 69 else 2000)
    elif chunk in ("January", "Jan"):
        fields.month = 1 + _name(fields, [m if chunk == "January" else m[:3] for m in MONTHS])
    elif chunk in ("Monday", "Mon"):
        _name(fields, [d if chunk == "Monday" else d[:3] for d in DAYS])
    elif chunk in ("01", "1"):
        fields.month = _within(_number(fields, chunk == "01"), 1, 12, "month")
    elif chunk in ("02", "2", "_2"):
        if chunk == "_2":
            fields.rest = fields.rest.removeprefix(" ")
        fields.day = _number(fields, chunk == "02")
    elif chunk in ("002", "__2"):
        _read_year_day(fields, chunk)
    elif chunk == "15":
        fields.hour = _within(_number(fields, False), 0, 23, "hour")
    elif chunk in ("03", "3"):
        fields.hour = _within(_number(fields, chunk == "03"), 0, 12, "hour")
    elif chunk in ("04", "4"):
        fields.minute = _within(_number(fields, chunk == "04"), 0, 59, "minute")
    elif chunk in ("05", "5"):
        fields.second = _within(_number(fields, chunk == "05"), 0, 59, "second")
        coming = CHUNK.search(following)
        asked = coming is not None and coming.group()[0] in ".,"
        if not asked and fields.rest[:1] in tuple(".,") and _digit(fields.rest, 1):
            _take_fraction(fields, _run(fields.rest))
    elif chunk in ("PM", "pm"):
        half = fields.rest[:2]
        if half not in (("PM", "AM") if chunk == "PM" else ("pm", "am")):
            raise _Bad
        fields.half, fields.rest = half.lower(), fields.rest[2:]
    else:
        _read_zone(fields)


def _run(rest: str) -> int:
    """Return the length of a point and the digits behind it."""
    size = 1
    while _digit(rest, size):
        size += 1
    return size


def _take_fraction(fields: _Fields, size: int) -> None:
    text = fields.rest[1:size]
    if fields.rest[:1] not in tuple(".,") or not text.isascii() or not text.isdigit():
        raise _Bad
    fields.ns = int(text[:9].ljust(9, "0"))
    fields.rest = fields.rest[size:]


def _read_fraction(fields: _Fields, chunk: str) -> None:
    if chunk[1] == "0":
        if len(fields.rest) < len(chunk):
            raise _Bad
        _take_fraction(fields, len(chunk))
    elif fields.rest[:1] in tuple(".,") and _digit(fields.rest, 1):
        _take_fraction(fields, _run(fields.rest))


def _read_year_day(fields: _Fields, chunk: str) -> None:
    for _ in range(2 if chunk == "__2" else 0):
        fields.rest = fields.rest.removeprefix(" ")
    size = 0
    while size < 3 and _digit(fields.rest, size):
        size += 1
    if not size or (chunk == "002" and size != 3):
        raise _Bad
    fields.year_day, fields.rest = int(fields.rest[:size]), fields.rest[size:]


def _read_offset(fields: _Fields, chunk: str) -> None:
    if chunk[0] == "Z" and fields.rest.startswith("Z"):
        fields.offset, fields.rest = 0, fields.rest[1:]
        return
    size = len(chunk)
    text = fields.rest[:size]
    if len(text) < size or text[0] not in "+-":
        # Go looks at the sign last: where the digits are wrong too, it says the same.
        raise _Bad
    digits = text[1:]
    if ":" in chunk:
        if any(text[place] != ":" for place in range(3, size, 3)):
            raise _Bad
        digits = digits.replace(":", "")
    if not (digits.isascii() and digits.isdigit()):
        raise _Bad
    hours, minutes, seconds = int(digits[:2]), int(digits[2:4] or 0), int(digits[4:6] or 0)
    _within(hours, 0, 24, "time zone offset hour")
    _within(minutes, 0, 60, "time zone offset minute")
    _within(seconds, 0, 60, "time zone offset second")
    total = (hours * 60 + minutes) * 60 + seconds
    fields.offset = -total if text[0] == "-" else total
    fields.rest = fields.rest[size:]


def _read_zone(fields: _Fields) -> None:
    """Take an abbreviation off the rest; it moves nothing, as Go knows no zone by it but UTC."""
    rest = fields.rest
    if rest.startswith("UTC"):
        fields.rest, fields.offset = rest[3:], 0
        return
    if len(rest) < 3:
        raise _Bad
    found = _ZONE.match(rest)
    if found is not None:
        size = found.end()
        if rest.startswith("GMT"):
            size = size if found[2] is not None and int(found[2]) <= 23 else 3
        elif found[1] is None and int(found[3]) > 23:
            raise _Bad
    else:
        upper = 0
        while upper < 6 and "A" <= rest[upper : upper + 1] <= "Z" and upper < len(rest):
            upper += 1
        size = upper
        if upper == 5 and rest[4] != "T":
            size = 4
        if upper not in (3, 4, 5):
            raise _Bad
        if size == 4 and rest[3] != "T" and rest[:4] != "WITA":
            raise _Bad
    fields.rest = rest[size:]


def _moment(fields: _Fields, value: str) -> Moment:
    hour = fields.hour
    if fields.half == "pm" and hour < 12:
        hour += 12
    elif fields.half == "am" and hour == 12:
        hour = 0
    year, month, day = fields.year, fields.month, fields.day
    if fields.year_day >= 0:
        if not 1 <= fields.year_day <= 365 + is_leap(year):
            raise BuiltinError(f"parsing time {quoted(value)}: day-of-year out of range")
        _, of_month, of_day = date_of(days_of(year, 1, 1) + fields.year_day - 1)
        if month >= 0 and month != of_month:
            raise BuiltinError(f"parsing time {quoted(value)}: day-of-year does not match month")
        if day >= 0 and day != of_day:
            raise BuiltinError(f"parsing time {quoted(value)}: day-of-year does not match day")
        month, day = of_month, of_day
    month = 1 if month < 0 else month
    day = 1 if day < 0 else day
    if not 1 <= day <= days_in(month, year):
        raise BuiltinError(f"parsing time {quoted(value)}: day out of range")
    seconds = days_of(year, month, day) * 86_400 + hour * 3600 + fields.minute * 60 + fields.second
    offset = fields.offset or 0
    return Moment((seconds - offset) * SECOND_NS + fields.ns, offset)

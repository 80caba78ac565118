"""Moments of time, and the Gregorian calendar before and after its beginning, as Go's ``time`` has them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

SECOND_NS: Final = 1_000_000_000


def days_of(year: int, month: int, day: int) -> int:
    """Return the days since 1970 of a date in the Gregorian calendar, before its beginning too."""
    year -= month <= 2
    era = year // 400
    of_era = year - era * 400
    of_year = (153 * ((month + 9) % 12) + 2) // 5 + day - 1
    return era * 146_097 + of_era * 365 + of_era // 4 - of_era // 100 + of_year - 719_468


def date_of(days: int) -> tuple[int, int, int]:
    """Return year, month and day of so many days since 1970."""
    days += 719_468
    era = days // 146_097
    of_era = days - era * 146_097
    year = (of_era - of_era // 1460 + of_era // 36_524 - of_era // 146_096) // 365
    of_year = of_era - (365 * year + year // 4 - year // 100)
    month = (5 * of_year + 2) // 153
    day = of_year - (153 * month + 2) // 5 + 1
    month += 3 if month < 10 else -9
    return year + era * 400 + (month <= 2), month, day


def days_in(month: int, year: int) -> int:
    """Return how many days a month has."""
    if month == 2:
        return 29 if is_leap(year) else 28
    return 30 if month in (4, 6, 9, 11) else 31


def is_leap(year: int) -> bool:
    """Tell whether a year has a 29th of February."""
    return year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)


@dataclass(frozen=True)
class Moment:
    """A time in a zone.

    Attributes:
        ns: nanoseconds since 1970 in UTC.
        offset: seconds east of UTC.
        zone: the zone's abbreviation; empty for none.
    """

    ns: int
    offset: int = 0
    zone: str = "UTC"

    @property
    def local_seconds(self) -> int:
        """The seconds since 1970 as the clocks there show them."""
        return self.ns // SECOND_NS + self.offset

    @property
    def date(self) -> tuple[int, int, int]:
        """Year, month and day."""
        return date_of(self.local_seconds // 86_400)

    @property
    def clock(self) -> tuple[int, int, int]:
        """Hour, minute and second."""
        seconds = self.local_seconds % 86_400
        return seconds // 3600, seconds // 60 % 60, seconds % 60

    @property
    def weekday(self) -> int:
        """The day of the week, Sunday being 0."""
        return (self.local_seconds // 86_400 + 4) % 7

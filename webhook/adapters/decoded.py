"""What a text of manifests decodes to, whichever format it has."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

MAX_DEPTH = 200
INT64 = range(-(2**63), 2**63)


@dataclass(frozen=True, slots=True)
class Decoded:
    """One document of a text.

    Attributes:
        value: what it holds: plain JSON data. Aliased parts are shared, so nobody may change it.
        line: the first line with content, counted from 1.
        offset: where that line starts in the text.
        item_lines: the lines of the elements of its ``items``, if it has any.
    """

    value: Any
    line: int
    offset: int
    item_lines: tuple[int, ...]


def as_json_number(number: float) -> int | float:
    """Return `number` as Go's JSON, which every number passes through, has it: 1.0 and 1e3 are integers."""
    return int(number) if number.is_integer() and int(number) in INT64 else number

"""Reads the lines of decision logs: which are records, of which chain, and where they stand."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from webhook.adapters.evidence import Type

_TYPES = frozenset(Type)


@dataclass(frozen=True, slots=True)
class Place:
    """A line of a file."""

    file: str
    line: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


@dataclass(frozen=True, slots=True)
class Record:
    """A line that is a record, as far as its chain goes."""

    place: Place
    chain: str
    sequence: int
    type: str
    data: bytes
    content: Mapping[str, Any]


def records(file: str, lines: Iterable[bytes]) -> Iterator[Record | None]:
    """Yield the record of each line that is one, and None for each that is none.

    What a log collector puts before a line, such as a time, is passed over.

    Args:
        file: what the lines are from.
        lines: its lines, in order.
    """
    for number, line in enumerate(lines, 1):
        text = line.strip(b"\r\n")
        if text.strip():
            yield _record(Place(file, number), text)


def _record(place: Place, text: bytes) -> Record | None:
    begin = text.find(b"{")
    if begin < 0:
        return None
    data = text[begin:]
    try:
        content = orjson.loads(data)
    except orjson.JSONDecodeError:
        return None
    if not isinstance(content, dict):
        return None
    chain, sequence, kind = (content.get(name) for name in ("chain", "sequence", "type"))
    if not isinstance(chain, str) or type(sequence) is not int or sequence < 1 or not isinstance(kind, str):
        return None
    return Record(place, chain, sequence, kind, data, content) if kind in _TYPES else None


def in_order(found: Iterable[Record | None]) -> Iterator[Record | None]:
    """Yield records by chain and sequence, identical ones once: collectors may repeat and reorder them."""
    known: dict[tuple[str, int, bytes], Record] = {}
    for record in found:
        if record is None:
            yield None
        else:
            known.setdefault((record.chain, record.sequence, record.data), record)
    for key in sorted(known):
        yield known[key]

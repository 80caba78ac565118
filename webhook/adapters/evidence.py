"""The decision log's records: their shape, their bytes, and the chain that ties each to the one before it.

A record is one line of RFC 8785 JSON. It names its chain, its place in it and the SHA-256 of the line before.
Marks (the first record, a checkpoint each minute, the last record) are signed: a signature speaks for every
record before it.
"""

from __future__ import annotations

import base64
import enum
import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import orjson
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from webhook.adapters.evidence_keys import KeyId, public_text
from webhook.core.canonical import canonical_json

FORMAT = "tidewaiter.dev/Evidence/v1"
"""In every mark, so that a signature can't be taken for one of something else."""


class Type(enum.StrEnum):
    """What a record tells."""

    START = "start"
    DECISION = "decision"
    WRITE = "write"
    LOSS = "loss"
    CHECKPOINT = "checkpoint"
    END = "end"


MARKS = frozenset({Type.START, Type.CHECKPOINT, Type.END})
"""The types of records that are signed."""


@dataclass(frozen=True, slots=True)
class Author:
    """Who writes a chain.

    Attributes:
        replica: the host's name: in a cluster the Pod's.
        run: names this run of the replica's supervisor; random, so that no other one has it.
        start: counts the workers that the supervisor has started: a missing chain leaves a gap.
        worker: the worker's row, which its successor has too.
        started: when it started.
    """

    replica: str
    run: str
    start: int
    worker: int
    started: datetime

    @property
    def chain(self) -> str:
        """The name of its chain."""
        return f"{self.replica}/{self.run}/{self.start}"


@dataclass(frozen=True, slots=True)
class Line:
    """A record as it is written.

    Attributes:
        sequence: its place in the chain, from 1.
        type: what it tells.
        time: when that was.
        data: its bytes, without the line's end.
    """

    sequence: int
    type: Type
    time: datetime
    data: bytes


class Chain:
    """Numbers, ties and signs the records of one writer; the first must be a `Type.START`.

    Args:
        author: who writes.
        key: signs the marks.
    """

    def __init__(self, author: Author, key: Ed25519PrivateKey) -> None:
        self.author = author
        self._key = key
        self._key_id = KeyId.of(key.public_key())
        self._sequence = 0
        self._previous = ""

    def add(self, kind: Type, content: Mapping[str, Any], at: datetime) -> Line:
        """Return the next record.

        Args:
            kind: what it tells; marks are signed.
            content: JSON data.
            at: when that was.

        Raises:
            ValueError: the content has no canonical JSON; the chain is as it was.
        """
        record = {
            **content,
            "chain": self.author.chain,
            "sequence": self._sequence + 1,
            "previous": self._previous,
            "time": stamp(at),
            "type": kind,
        }
        if kind is Type.START:
            record |= {"publicKey": public_text(self._key.public_key()), "writer": self._writer()}
        if kind in MARKS:
            record |= {"format": FORMAT, "key": str(self._key_id)}
            record["signature"] = base64.b64encode(self._key.sign(encoded(record))).decode()
        data = encoded(record)
        self._sequence += 1
        self._previous = line_digest(data)
        return Line(self._sequence, kind, at, data)

    def _writer(self) -> dict[str, Any]:
        author = self.author
        return {
            "replica": author.replica,
            "run": author.run,
            "start": author.start,
            "worker": author.worker,
            "started": stamp(author.started),
        }


def line_digest(data: bytes) -> str:
    """Return what the next record of a chain has as ``previous``: hex SHA-256 of a line without its end."""
    return hashlib.sha256(data).hexdigest()


def signed_bytes(record: Mapping[str, Any]) -> bytes:
    """Return what the signature of a mark is over: the RFC 8785 JSON of all but the signature."""
    return encoded({name: value for name, value in record.items() if name != "signature"})


def encoded(record: Mapping[str, Any]) -> bytes:
    """Return a record as RFC 8785 JSON.

    Only a change brings names and numbers that aren't ours. All others are the same from a faster encoder,
    which sorts names by code points and knows of fractions.

    Raises:
        ValueError: it has no canonical JSON.
    """
    if "change" not in record:
        try:
            return orjson.dumps(record, option=orjson.OPT_SORT_KEYS)
        except TypeError:
            pass  # such as a lone surrogate; the slower one says which
    return canonical_json(record)


def merged(ranges: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return ranges of sequence numbers, sorted, with those that touch as one."""
    found: list[tuple[int, int]] = []
    for first, last in sorted(ranges):
        if found and first <= found[-1][1] + 1:
            found[-1] = (found[-1][0], max(last, found[-1][1]))
        else:
            found.append((first, last))
    return found


def stamp(at: datetime) -> str:
    """Return a time as records have it: RFC 3339 with microseconds, in UTC."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")

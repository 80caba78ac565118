"""Verifies decision logs: finds what was changed, lost or reordered, and says what nothing vouches for."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from webhook.adapters.evidence import FORMAT, MARKS, Type, line_digest, merged, signed_bytes
from webhook.adapters.evidence_keys import KeyId, holds, key_in
from webhook.adapters.evidence_lines import Place, Record
from webhook.core.canonical import canonical_json

_MOST_FINDINGS = 1000
_MOST_GAPS = 10_000


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that isn't as it was written.

    Attributes:
        place: where it shows; None for what no line shows.
        chain: the chain that it is of.
        message: what it is.
    """

    place: Place | None
    chain: str
    message: str


@dataclass(slots=True)
class ChainReport:
    """What is known of one chain.

    Attributes:
        name: the chain's.
        records: how many were read.
        first: the sequence number of the first.
        last: that of the last.
        checkpoints: how many of its marks are signed as they must be.
        vouched: the sequence number of the last of these: it speaks for all before it that tie up.
        vouched_at: when that was signed; empty for never.
        ended: its last record says that it is the last.
        key: names the key that signed it.
        types: how many records of each type.
    """

    name: str
    records: int = 0
    first: int = 0
    last: int = 0
    checkpoints: int = 0
    vouched: int = 0
    vouched_at: str = ""
    ended: bool = False
    key: str = ""
    types: dict[str, int] = field(default_factory=dict)

    @property
    def unsigned(self) -> int:
        """How many records lie after the last checkpoint."""
        return max(0, self.last - self.vouched)


@dataclass(frozen=True, slots=True)
class Report:
    """What verifying found.

    Attributes:
        chains: every chain, by name.
        findings: the first of them, in the order of the lines.
        more: how many further ones there are.
        other_lines: lines that are no records.
        pinned: the keys were given; else each chain was held against the key that it brings itself.
    """

    chains: tuple[ChainReport, ...]
    findings: tuple[Finding, ...]
    more: int
    other_lines: int
    pinned: bool


def verify(
    found: Iterable[Record | None],
    keys: Sequence[Ed25519PublicKey] = (),
    *,
    partial: bool = False,
    complete: bool = False,
) -> Report:
    """Return what is wrong with decision logs.

    Args:
        found: their lines, as `records` gives them; those of several chains may be mixed.
        keys: those that may have signed; none: each chain's own, as its first record has it.
        partial: chains may begin before what was found.
        complete: no chain may lack its end, and no worker's chain may be missing.
    """
    findings = _Findings()
    chains: dict[str, _Chain] = {}
    other = 0
    for record in found:
        if record is None:
            other += 1
            continue
        chain = chains.get(record.chain)
        if chain is None:
            chain = chains[record.chain] = _Chain(record.chain, keys, findings, partial=partial)
        chain.take(record)
    for chain in chains.values():
        chain.close()
    if complete:
        _complete(chains.values(), findings)
    return Report(
        tuple(chains[name].report for name in sorted(chains)),
        tuple(findings.kept),
        findings.more,
        other,
        bool(keys),
    )


class _Findings:
    """The first findings, and how many there are beyond them."""

    def __init__(self) -> None:
        self.kept: list[Finding] = []
        self.more = 0

    def add(self, place: Place | None, chain: str, message: str) -> None:
        if len(self.kept) < _MOST_FINDINGS:
            self.kept.append(Finding(place, chain, message))
        else:
            self.more += 1


class _Chain:
    """Follows one chain."""

    def __init__(
        self, name: str, keys: Sequence[Ed25519PublicKey], findings: _Findings, *, partial: bool
    ) -> None:
        self.report = ChainReport(name)
        self._keys = {str(KeyId.of(key)): key for key in keys}
        self._pinned = bool(keys)
        self._findings = findings
        self._partial = partial
        self._next = 1
        self._before: tuple[Place, str] | None = None
        self._gaps: list[tuple[int, int, Place]] = []
        self._not_exported: list[tuple[int, int]] = []

    def take(self, record: Record) -> None:
        """Follow the chain by one record."""
        report = self.report
        report.types[record.type] = report.types.get(record.type, 0) + 1
        report.records += 1
        if report.ended:
            self._find(record, f"record {record.sequence} comes after the chain's end")
            return
        if record.sequence < self._next and report.last:
            self._find(
                record, f"record {record.sequence} comes again or out of order: {report.last} was before it"
            )
            return
        self._look_before(record)
        if not _is_canonical(record):
            self._find(record, f"record {record.sequence} was changed: it is not as a writer puts it")
        report.first = report.first or record.sequence
        report.last = record.sequence
        self._next = record.sequence + 1
        self._before = (record.place, line_digest(record.data))
        if record.type in MARKS:
            self._mark(record)
        elif record.type == Type.LOSS:
            self._loss(record)

    def close(self) -> None:
        """Tell of the gaps that no record of a loss explains."""
        recorded = merged(self._not_exported)
        for first, last, place in self._gaps:
            known = any(begin <= first and last <= end for begin, end in recorded)
            why = ": the writer recorded that it could not export them" if known else ""
            self._findings.add(place, self.report.name, f"{_range(first, last)} missing before this{why}")

    def _look_before(self, record: Record) -> None:
        if record.sequence > self._next:
            at_start = not self.report.last
            if not (at_start and self._partial) and len(self._gaps) < _MOST_GAPS:
                self._gaps.append((self._next, record.sequence - 1, record.place))
        elif self._before is None:
            if record.content.get("previous") != "" or record.type != Type.START:
                self._find(record, "record 1 was changed: no chain starts like this")
        elif record.content.get("previous") != self._before[1]:
            self._find(
                record,
                f"record {record.sequence} does not follow from record {self.report.last} at "
                f"{self._before[0]}: one of them was changed",
            )

    def _mark(self, record: Record) -> None:
        content, report = record.content, self.report
        if record.type == Type.START and not self._pinned:
            self._trust_own(content)
        name, signature = content.get("key"), content.get("signature")
        key = self._keys.get(name) if isinstance(name, str) else None
        if content.get("format") != FORMAT:
            self._find(record, f"{record.type} {record.sequence} is not of the format {FORMAT}")
        elif key is None:
            whose = "none that was given" if self._pinned else "not the one that its chain starts with"
            self._find(record, f"{record.type} {record.sequence} is signed by the key {name}: {whose}")
        elif not isinstance(signature, str) or not _is_signed(key, signature, content):
            self._find(record, f"the signature of {record.type} {record.sequence} does not hold")
        else:
            report.checkpoints += 1
            report.vouched, report.vouched_at = record.sequence, str(content.get("time"))
            report.key = str(name)
        report.ended = report.ended or record.type == Type.END

    def _trust_own(self, content: Mapping[str, Any]) -> None:
        text = content.get("publicKey")
        key = key_in(text) if isinstance(text, str) else None
        if key is not None:
            self._keys[str(KeyId.of(key))] = key

    def _loss(self, record: Record) -> None:
        content = record.content
        lost, first, last = (content.get(name) for name in ("records", "first", "last"))
        if isinstance(first, int) and isinstance(last, int):
            self._not_exported.append((first, last))
        else:
            reason = content.get("reason")
            self._find(record, f"the writer recorded that it lost {lost} records: {reason}")

    def _find(self, record: Record, message: str) -> None:
        self._findings.add(record.place, record.chain, message)


def _complete(chains: Iterable[_Chain], findings: _Findings) -> None:
    runs: dict[str, set[int]] = {}
    for chain in chains:
        name = chain.report.name
        if not chain.report.ended:
            findings.add(None, name, "the chain has no end: its writer was killed, or the end was cut off")
        run, _, start = name.rpartition("/")
        if start.isdecimal() and len(start) < 10:
            runs.setdefault(run, set()).add(int(start))
    for run, starts in sorted(runs.items()):
        missing = (number for number in range(1, max(starts)) if number not in starts)
        for number in itertools.islice(missing, _MOST_FINDINGS):  # a forged name may have any number
            findings.add(None, f"{run}/{number}", "the whole chain is missing")


def _is_canonical(record: Record) -> bool:
    if orjson.dumps(record.content, option=orjson.OPT_SORT_KEYS) == record.data:
        return True  # by far the most: nothing in them is sorted or written differently
    try:
        return canonical_json(record.content) == record.data
    except (ValueError, RecursionError):
        return False


def _is_signed(key: Ed25519PublicKey, signature: str, content: Mapping[str, Any]) -> bool:
    try:
        return holds(key, signature, signed_bytes(content))
    except (ValueError, RecursionError):
        return False


def _range(first: int, last: int) -> str:
    return f"record {first} is" if first == last else f"records {first} to {last} are"

"""What verifying decision logs found, as text and as JSON."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict
from typing import Any

from webhook.adapters.evidence_verify import ChainReport, Finding, Report
from webhook.adapters.text_report import printable

Style = Callable[[str, str], str]


def as_data(report: Report) -> dict[str, Any]:
    """Return a report as JSON data."""
    return {
        "verified": not report.findings,
        "keys": "pinned" if report.pinned else "own",
        "chains": [asdict(chain) | {"unsigned": chain.unsigned} for chain in report.chains],
        "findings": [_finding(finding) for finding in report.findings],
        "furtherFindings": report.more,
        "otherLines": report.other_lines,
    }


def as_text(report: Report, style: Style) -> Iterator[str]:
    """Yield the lines of a report for people."""
    for finding in report.findings:
        place = f"{finding.place}: " if finding.place is not None else ""
        yield f"{style('denied', 'error')} " + printable(f"{place}{finding.message} ({finding.chain})")
    if report.more:
        yield f"and {report.more} more"
    for chain in report.chains:
        yield from map(printable, _chain(chain))
    if report.other_lines:
        yield f"other lines, passed over: {report.other_lines}"
    if not report.pinned:
        yield (
            "the signatures were held against the keys that the files bring themselves: whoever can write a "
            "whole file can bring a key too. Give yours with --public-key"
        )
    yield _conclusion(report)


def _conclusion(report: Report) -> str:
    if report.findings:
        return "the log is not as it was written, or not whole"
    return "nothing was changed, lost or reordered up to the last checkpoint of each chain"


def _chain(chain: ChainReport) -> Iterator[str]:
    kinds = ", ".join(f"{count} {name}" for name, count in sorted(chain.types.items()))
    yield f"{chain.name}: {chain.records} records ({kinds}), signed by {chain.key or 'nobody'}"
    if not chain.vouched:
        yield "  no checkpoint: nothing vouches for any of it"
    else:
        yield f"  last checkpoint: record {chain.vouched}, {chain.vouched_at}"
        if chain.unsigned:
            yield f"  after it: {chain.unsigned} records that whoever can write the file could have changed"
    if not chain.ended:
        yield "  no end: the writer still runs or was killed, or what came later was cut off"


def _finding(finding: Finding) -> dict[str, Any]:
    place = finding.place
    return {
        "file": place.file if place is not None else "",
        "line": place.line if place is not None else 0,
        "chain": finding.chain,
        "message": finding.message,
    }

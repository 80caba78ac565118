"""How far the audit is, in the leader's Lease, and what `tidewaiter status` makes of it; pure functions."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from webhook.core.times import format_time
from webhook.operator.audit.facts import AuditFacts

_STEP = 60
_OLD_SECONDS = 600.0
_MOST_UNREADABLE = 10
_COUNTS = {"objects": "objects", "violations": "violations", "accepted": "accepted", "errors": "errors"}


def said(facts: AuditFacts | None) -> dict[str, Any]:
    """Return what the leader says in its Lease: in steps of a minute, since each change is a write.

    Args:
        facts: what the audit told last; None for nothing yet.
    """
    if facts is None:
        return {"complete": False}
    findings = facts.findings
    return {
        "complete": facts.complete,
        "at": int(facts.at) // _STEP * _STEP,
        "seconds": round(facts.seconds, 1),
        "objects": facts.objects,
        "violations": findings.get("fail", 0) + findings.get("warn", 0),
        "accepted": findings.get("skip", 0),
        "errors": findings.get("error", 0),
        "reports": facts.reports,
        "reportsProblem": facts.problem[:300],
        "unreadable": {
            str(name): str(why)[:300] for name, why in sorted(facts.unreadable.items())[:_MOST_UNREADABLE]
        },
    }


def overview(given: Any, now: float) -> tuple[dict[str, Any], list[str], list[str]]:
    """Return the audit as data, problems and notes.

    Args:
        given: what the leader said; of any shape, since it may be of another version.
        now: the API server's time, in seconds since the epoch.
    """
    if not isinstance(given, Mapping):
        return {}, [], []
    at = given.get("at")
    at = float(at) if isinstance(at, int | float) and not isinstance(at, bool) else 0.0
    unreadable = given.get("unreadable")
    found: dict[str, Any] = {
        "complete": given.get("complete") is True,
        "at": format_time(datetime.fromtimestamp(at, UTC)) if 0 < at < 4e9 else "",
        "ageSeconds": max(0.0, round(now - at)) if at else None,
        **{name: _number(given.get(key)) for name, key in _COUNTS.items()},
        "reports": str(given.get("reports") or "none"),
        "unreadable": {str(k): str(v) for k, v in unreadable.items()}
        if isinstance(unreadable, Mapping)
        else {},
    }
    problems, notes = [], []
    if found["complete"] and at and now - at > _OLD_SECONDS:
        problems.append(f"the audit has not heard of all that it judges since {found['at']}")
    problem = str(given.get("reportsProblem") or "")
    if problem:
        notes.append(f"the audit: {problem}")
    notes += [f"the audit can't read {name}: {why}" for name, why in found["unreadable"].items()]
    return found, problems, notes


def lines(found: Mapping[str, Any]) -> list[str]:
    """Return the audit as text for people; nothing where there is none."""
    if not found:
        return []
    if not found["complete"]:
        return [f"judging what is there for the first time: {found['objects']} objects so far"]
    age = found["ageSeconds"]
    old = f"{age:.0f} s ago" if age is not None and age < 120 else f"{(age or 0) / 60:.0f} min ago"
    counts = (
        f"{found['objects']} objects: {found['violations']} violations, {found['accepted']} accepted, "
        f"{found['errors']} not evaluated"
    )
    return [counts, f"as of {found['at']}, {old}; reports: {found['reports']}"]


def _number(given: Any) -> int:
    return given if isinstance(given, int) and not isinstance(given, bool) else 0

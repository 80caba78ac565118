"""What the audit found, as the statuses of policies say it; pure functions."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from webhook.core.policy import CompiledPolicy
from webhook.core.times import format_time, parse_time
from webhook.operator.audit.facts import PolicyFacts
from webhook.operator.audit.judging import why_not_audited

REFRESH_SECONDS = 600.0
"""How old ``lastAudit`` may become while nothing else changes: each write wakes whoever watches policies."""

AUDITED = "Audited"
_NONE = {"violations": None, "accepted": None, "errors": None, "topViolations": None, "lastAudit": None}
_WHY_NOT = {
    "NotInBackground": "spec.background is false",
    "AsksAuthorizer": "it asks what the user of a request may do, and in the background there is none",
    "NotAboutObjects": "none of its rules is about making objects",
}


def found(
    policy: CompiledPolicy, facts: PolicyFacts | None, observed: Mapping[str, Any]
) -> tuple[dict[str, Any], dict[str, Any] | None]:
    """Return the fields of a policy's status that are the audit's, and its condition.

    Args:
        policy: the policy.
        facts: what the audit said of it last; None for nothing yet.
        observed: its present status.

    Returns:
        no fields where they are to stay as they are, and None for a condition that is to stay.
    """
    why = why_not_audited(policy)
    if why:
        return dict(_NONE), _condition(False, why, _WHY_NOT[why])
    if facts is None or facts.generation != policy.generation:
        return {}, None
    condition = _condition(facts.complete, facts.reason or "Judged", facts.message)
    if not facts.complete and facts.reason == "NotListed":
        return {}, condition
    fields: dict[str, Any] = {
        "violations": facts.violations,
        "accepted": facts.accepted,
        "errors": facts.errors,
        "topViolations": [dict(each) for each in facts.top] or None,
    }
    if facts.complete and facts.at:
        known = _time(observed.get("lastAudit"))
        same = all(observed.get(name) == value for name, value in fields.items())
        if known is None or not same or facts.at - known >= REFRESH_SECONDS:
            fields["lastAudit"] = format_time(datetime.fromtimestamp(int(facts.at), UTC))
    return fields, condition


def _time(text: Any) -> float | None:
    try:
        return parse_time(text).timestamp()
    except (ValueError, TypeError, AttributeError):
        return None


def _condition(holds: bool, reason: str, message: str) -> dict[str, Any]:
    shown = message if len(message) <= 1024 else message[:1023] + "…"
    return {"type": AUDITED, "status": "True" if holds else "False", "reason": reason, "message": shown}

"""Verdicts as text for people: what was denied where, what to change, what is accepted until when."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Callable, Iterator, Mapping, Sequence

from webhook.adapters.offline import Judged
from webhook.core.model import Action, PolicyRef, Violation
from webhook.core.policy import CompiledPolicy
from webhook.core.times import format_time, within
from webhook.core.verdict import AcceptedViolation

Style = Callable[[str, str], str]
"""Shows a text in a role: ``denied``, ``warned``, ``accepted``, ``strong`` or ``faint``."""

# Finding a field's line parses the text again, so a run with thousands of violations does without.
_MOST_FIELD_LINES = 200

# C0 without tab and line feed, DEL and C1, what turns the direction of text, and lone surrogates.
_UNPRINTABLE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def printable(text: str) -> str:
    """Return `text` without what could steer a terminal: it comes from manifests and policies."""
    return _UNPRINTABLE.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def text_report(
    judged: Sequence[Judged], policies: Mapping[PolicyRef, CompiledPolicy], style: Style
) -> Iterator[str]:
    """Yield the lines on every object that was denied or warned about, or let through by an acceptance.

    Args:
        judged: every object with its verdict.
        policies: for their titles and remediations.
        style: colours, or none.
    """
    left = _MOST_FIELD_LINES
    violated: dict[PolicyRef, None] = {}
    for one in judged:
        verdict = one.verdict
        shown = [v for v in verdict.violations if v.action is not Action.AUDIT]
        if verdict.allowed and not shown and not verdict.accepted:
            continue
        yield _head(one, style)
        for violation in verdict.violations:
            violated.setdefault(violation.policy)
            yield from _violation(one, violation, style, with_line=left > 0)
            left -= 1
        for error in verdict.errors:
            if error.actions:
                yield f"  {style('denied', 'error')} " + printable(f"{error.policy} could not be evaluated")
                yield printable(f"      {error.message}")
        for accepted in verdict.accepted:
            yield from _accepted(accepted, style)
        yield ""
    yield from _remediations(violated, policies, style)


def _head(one: Judged, style: Style) -> str:
    target = one.request.target
    name = target.name or "(name to be generated)"
    if not one.verdict.allowed:
        outcome = style("denied", "denied")
    elif any(violation.action is Action.WARN for violation in one.verdict.violations):
        outcome = style("warned", "warned")
    else:
        outcome = style("accepted", "allowed, risk accepted")
    where = f"{target.namespace}/{name}" if target.namespace else name
    place = printable(f"{one.document.file}:{one.document.line}: {target.kind} {where}")
    return f"{style('strong', place)} {outcome}"


def _violation(one: Judged, violation: Violation, style: Style, *, with_line: bool) -> Iterator[str]:
    role = {Action.DENY: "denied", Action.WARN: "warned", Action.AUDIT: "faint"}[violation.action]
    yield "  " + " ".join(_what(violation, style(role, str(violation.action))))
    yield printable(f"      {violation.message}")
    if violation.field_path:
        line = one.document.line_of(violation.field_path) if with_line else 0
        place = f"line {line}: " if line else ""
        yield "      " + style("faint", printable(f"at {place}{violation.field_path}"))
    for hint in one.verdict.hints.get(violation.fingerprint, ()):
        yield printable(f"      {hint}")


def _what(violation: Violation, action: str) -> Iterator[str]:
    yield f"{action} ({violation.severity})"
    ref = violation.policy
    yield printable(f"{ref.kind}/{ref.name}" if violation.constraint else f"{ref}/{violation.validation}")
    if violation.container:
        yield printable(f"container {violation.container}")


def _accepted(accepted: AcceptedViolation, style: Style) -> Iterator[str]:
    yield "  " + " ".join(_what(accepted.violation, style("accepted", "accepted")))
    until = format_time(accepted.valid_until)
    by = f", approved by {', '.join(accepted.approvers)}" if accepted.approvers else ""
    emergency = ", in an emergency (break-glass)" if accepted.break_glass else ""
    soon = f", {within(accepted.notice)}" if accepted.notice else ""
    how = f"{by}{emergency}{soon}"
    yield printable(f"      until {until} by {accepted.acceptance.kind} {accepted.acceptance}{how}")


def _remediations(
    violated: Mapping[PolicyRef, None], policies: Mapping[PolicyRef, CompiledPolicy], style: Style
) -> Iterator[str]:
    known = [policies[ref] for ref in violated if ref in policies and policies[ref].remediation.strip()]
    if not known:
        return
    yield style("strong", "What to change")
    for policy in known:
        title = f": {policy.title}" if policy.title else ""
        yield printable(f"  {policy.ref}{title}")
        yield printable(textwrap.indent(policy.remediation.strip(), "      "))
        yield ""


def summary_line(counts: Mapping[str, int], audited: int) -> str:
    """Return the one line that says how it went.

    Args:
        counts: as `reports.summary` returns them.
        audited: how many violations are only for the audit, and so not shown.
    """
    objects, errors = counts["objects"], counts["errors"]
    parts = [
        f"{objects} object{'' if objects == 1 else 's'}",
        f"{counts['denied']} denied",
        f"{counts['warned']} warned",
        f"{counts['accepted']} with an accepted risk",
        f"{errors} error{'' if errors == 1 else 's'}",
    ]
    if audited:
        parts.append(f"{audited} violation{'' if audited == 1 else 's'} only audited")
    return ", ".join(parts)

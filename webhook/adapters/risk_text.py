"""Risk acceptances as text for people: a table of many, and all of one."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from webhook.adapters.risks import Cover, ForPolicy, Given, Risk
from webhook.adapters.text_report import Style, printable
from webhook.core.times import format_time, within

_COLOURS = {"Active": "accepted", "Pending": "warned", "Expired": "denied", "Revoked": "denied"}
_COLOURS |= {"Refused": "denied", "Unknown": "warned"}
_GAP = "   "
_WIDTH = 100


def short_name(risk: Risk) -> str:
    """Return an acceptance as kubectl's ``-o name`` writes it."""
    return f"{risk.ref.kind.lower()}.tidewaiter.dev/{risk.ref.name}"


def table(
    risks: Sequence[Risk], style: Style, *, namespaces: bool, wide: bool, headers: bool
) -> Iterator[str]:
    """Yield acceptances as kubectl lays out objects.

    Args:
        risks: in their order.
        style: colours, or none.
        namespaces: with a column of them.
        wide: with more columns.
        headers: with the names of the columns.
    """
    names = [*(["NAMESPACE"] if namespaces else []), "NAME", "PHASE", "UNTIL", "LEFT", "APPROVALS", "OWNER"]
    names += ["SEVERITY", "POLICIES", "REQUESTER", "DIGEST"] if wide else []
    names.append("NOTES")
    rows = [_row(risk, namespaces=namespaces, wide=wide) for risk in risks]
    shown = [names, *rows] if headers else rows
    widths = [max((len(row[column]) for row in shown), default=0) for column in range(len(names))]
    phase = names.index("PHASE")
    for row in shown:
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=True)]
        line = _GAP.join(cells).rstrip()
        role = _COLOURS.get(row[phase])
        if role is not None and row is not names:
            line = line.replace(cells[phase], style(role, cells[phase]), 1)
        yield line


def _row(risk: Risk, *, namespaces: bool, wide: bool) -> list[str]:
    # Of two kinds, kubectl says which each is before its name; here only the one that is less usual.
    own = risk.ref.kind == "RiskAcceptance"
    cells = [risk.ref.namespace or "<none>"] if namespaces else []
    cells += [
        risk.ref.name if own else f"{risk.ref.kind.lower()}/{risk.ref.name}",
        risk.phase,
        f"{risk.until:%Y-%m-%dT%H:%MZ}",
        left(risk.until, risk.latest),
        f"{risk.counting}/{risk.required}",
        str(risk.spec.get("riskOwner") or "<none>"),
    ]
    if wide:
        policies = ",".join(dict.fromkeys(each.ref.name for each in risk.policies))
        severity = str(risk.severity) if risk.severity is not None else "<unknown>"
        cells += [severity, policies, risk.acceptance.requester, risk.acceptance.digest]
    cells.append(", ".join(flags(risk)) or "<none>")
    return [printable(" ".join(cell.split())) for cell in cells]


def flags(risk: Risk) -> list[str]:
    """Return what stands out of an acceptance: an emergency, an end that is near, a renewal."""
    found = ["break-glass"] if risk.acceptance.break_glass else []
    if risk.notice is not None:
        found.append(within(risk.notice))
    if risk.acceptance.renewal:
        found.append(f"renewal {risk.acceptance.renewal}")
    return found


def left(until: datetime, at: datetime) -> str:
    """Return how long something lasts as kubectl writes ages, or ``-`` where it has ended."""
    seconds = int((until - at).total_seconds())
    if seconds <= 0:
        return "-"
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "m")):
        if seconds >= 2 * size or (unit == "d" and seconds >= size):
            return f"{seconds // size}{unit}"
    return f"{seconds}s"


def lines(
    risk: Risk, style: Style, covered: Sequence[Cover] | None = None, *, whole: bool = True
) -> Iterator[str]:
    """Yield all of an acceptance.

    Args:
        risk: the acceptance.
        style: colours, or none.
        covered: what it covers; None where nobody looked.
        whole: everything that it may cover could be looked at.
    """
    acceptance, spec = risk.acceptance, risk.spec
    phase = style(_COLOURS.get(risk.phase, "strong"), risk.phase)
    ending = {"Active": "until", "Pending": "would end", "Expired": "ended"}.get(risk.phase, "window ends")
    name = f"{risk.ref.kind} {risk.ref}"
    yield f"{style('strong', printable(name))} {phase}, {ending} {format_time(risk.until)}"
    for text in risk.warnings:
        yield from _wrapped("warning: ", text, style)
    if risk.notice is not None:
        yield style("warned", f"  {within(risk.notice)}")
    yield ""
    yield from _fields(risk, spec)
    yield f"{'Digest:':<18}{acceptance.digest}"
    yield "Policies:"
    for each in risk.policies:
        yield from _policy(each, style)
    yield "Scope:"
    yield from _scope(spec.get("scope") or {})
    if acceptance.clusters:
        yield printable(f"  clusters: {', '.join(sorted(acceptance.clusters))}")
    yield f"Approvals: {risk.counting} of {risk.required} that it takes"
    for given in risk.given:
        yield from _approval(given, style)
    if covered is not None:
        yield from _covered(covered, whole=whole)


def _fields(risk: Risk, spec: Mapping[str, Any]) -> Iterator[str]:
    acceptance = risk.acceptance
    window = f"{format_time(acceptance.valid_from)} to {format_time(acceptance.valid_until)}"
    remediation = spec.get("remediation") or {}
    revoked = spec.get("revoked") or {}
    said = {
        "Title": spec.get("title"),
        "Reason": spec.get("reason"),
        "Justification": spec.get("justification"),
        "Risk owner": spec.get("riskOwner"),
        "Requester": acceptance.requester,
        "Brought by": acceptance.applied_by,
        "Residual risk": spec.get("residualRisk"),
        "Ticket": spec.get("ticket"),
        "Window": window,
        "Remediation": _remediation(remediation),
        "Renews": f"{acceptance.renews} (renewal {acceptance.renewal})" if acceptance.renews else "",
        "Revoked": f"{revoked.get('at')} by {revoked.get('by', 'somebody')}: {revoked.get('reason', '')}"
        if revoked
        else "",
    }
    for name, text in said.items():
        if text:
            yield from _field(name, str(text))
    for control in spec.get("compensatingControls") or ():
        policy = control.get("policy") or {}
        held = f" (holds while {policy.get('kind')} {policy.get('name')} passes)" if policy else ""
        yield from _field("Control", f"{control.get('description')}{held}")


def _remediation(remediation: Mapping[str, Any]) -> str:
    plan, due = remediation.get("plan"), remediation.get("due")
    return " ".join(part for part in (plan, f"(due {due})" if due else "") if part)


def _field(name: str, text: str) -> Iterator[str]:
    head = f"{name}:".ljust(18)
    yield from textwrap.wrap(
        printable(" ".join(text.split())),
        _WIDTH,
        initial_indent=head,
        subsequent_indent=" " * len(head),
        break_long_words=False,
        break_on_hyphens=False,
    )


def _wrapped(head: str, text: str, style: Style) -> Iterator[str]:
    for line in textwrap.wrap(head + printable(text), _WIDTH, subsequent_indent="  ", break_long_words=False):
        yield style("warned", f"  {line}")


def _policy(each: ForPolicy, style: Style) -> Iterator[str]:
    validations = ", ".join(sorted(each.named.validations)) or "all validations"
    yield printable(f"  {each.ref.kind} {each.ref}: {validations}")
    standing = each.standing
    if standing is None:
        yield "    " + style("warned", "no such policy is here, or it does not compile")
        return
    state = style(_COLOURS.get(standing.state.value, "strong"), standing.state.value)
    yield f"    {each.severity} severity, {state}, until {format_time(standing.until)}"
    if standing.reason:
        yield printable(f"    {standing.reason}")
    if each.standards:
        yield printable(f"    {'; '.join(each.standards)}")


def _scope(scope: Mapping[str, Any]) -> Iterator[str]:
    kinds = [f"{kind.get('kind')}.{kind.get('group') or ''}".rstrip(".") for kind in scope.get("kinds") or ()]
    yield printable(f"  kinds: {', '.join(kinds)}")
    for name in ("names", "namespaces", "containers", "images"):
        if scope.get(name):
            yield printable(f"  {name}: {', '.join(map(str, scope[name]))}")
    if scope.get("objectSelector"):
        yield printable(f"  objectSelector: {scope['objectSelector']}")


def _approval(given: Given, style: Style) -> Iterator[str]:
    approval = given.approval
    verdict = style("accepted", "counts") if given.counts else style("denied", "does not count")
    yield (
        printable(f"  {approval.approver}, {format_time(approval.approved_at)}, by {given.route}: ") + verdict
    )
    if given.why:
        yield printable(f"    {given.why}")


def _covered(covered: Sequence[Cover], *, whole: bool) -> Iterator[str]:
    partly = "" if whole else ", of what could be looked at"
    yield f"Covers: {len(covered)} violation{'' if len(covered) == 1 else 's'}{partly}"
    for each in covered:
        violation = each.violation
        where = f" (container {violation.container})" if violation.container else ""
        place = f"{each.place}: " if each.place else ""
        name = f"{each.target.namespace}/{each.target.name}" if each.target.namespace else each.target.name
        kept = ", which has ended: its Pods may still be made again" if each.kept_running else ""
        yield printable(
            f"  {place}{each.target.kind} {name}: {violation.policy}/{violation.validation}{where}{kept}"
        )

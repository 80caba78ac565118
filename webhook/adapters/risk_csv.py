"""Risk acceptances as CSV (RFC 4180) for a spreadsheet, in which no cell becomes a formula."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence

from webhook.adapters.risk_sightings import Sightings
from webhook.adapters.risks import Risk
from webhook.adapters.text_report import printable
from webhook.core.times import format_time

_FORMULA = "=+-@\t\r\n|＝＋－＠"  # noqa: RUF001 - spreadsheets take the wide ones too
"""What a spreadsheet may take for the start of a formula: https://owasp.org/www-community/attacks/CSV_Injection"""

COLUMNS = (
    "Kind",
    "Namespace",
    "Name",
    "Title",
    "Phase",
    "Emergency (break-glass)",
    "Ends",
    "Why not in force",
    "Severity",
    "Residual risk",
    "Reason",
    "Policies",
    "Standards",
    "Scope",
    "Justification",
    "Compensating controls",
    "Risk owner",
    "Requester",
    "Approved by",
    "Approvals",
    "Approvals that do not count",
    "Ticket",
    "Valid from",
    "Valid until",
    "Remediation plan",
    "Remediation due",
    "Renews",
    "Renewal",
    "Digest",
    "Violations covered",
    "Violations not covered",
)


def as_csv(risks: Sequence[Risk], sightings: Sightings) -> str:
    """Return acceptances as CSV with a line of headings, a line for each."""
    text = io.StringIO()
    writer = csv.writer(text, quoting=csv.QUOTE_ALL, lineterminator="\r\n")
    writer.writerow(COLUMNS)
    for risk in risks:
        writer.writerow([safe(cell) for cell in _row(risk, sightings)])
    return text.getvalue()


def safe(cell: str) -> str:
    """Return a cell that a spreadsheet shows as text: one that would be a formula gets a quote before it."""
    shown = printable(cell)
    return f"'{shown}" if shown.lstrip(" ").startswith(tuple(_FORMULA)) else shown


def _row(risk: Risk, sightings: Sightings) -> list[str]:
    spec, acceptance = risk.spec, risk.acceptance
    remediation = spec.get("remediation") or {}
    seen = sightings.of(risk.ref)
    policies = [
        f"{each.ref.kind} {each.ref}"
        + (f" ({', '.join(sorted(each.named.validations))})" if each.named.validations else "")
        for each in risk.policies
    ]
    scope = spec.get("scope") or {}
    kinds = [f"{kind.get('kind')}.{kind.get('group') or ''}".rstrip(".") for kind in scope.get("kinds") or ()]
    parts = {"kinds": kinds, **{name: value for name, value in scope.items() if name != "kinds"}}
    given = {
        "Kind": risk.ref.kind,
        "Namespace": risk.ref.namespace,
        "Name": risk.ref.name,
        "Title": spec.get("title"),
        "Phase": risk.phase,
        "Emergency (break-glass)": "yes" if acceptance.break_glass else "",
        "Ends": format_time(risk.until),
        "Why not in force": risk.reason,
        "Severity": risk.severity,
        "Residual risk": spec.get("residualRisk"),
        "Reason": spec.get("reason"),
        "Policies": "; ".join(policies),
        "Standards": "; ".join(risk.standards),
        "Scope": "; ".join(f"{name}: {_listed(value)}" for name, value in parts.items() if value),
        "Justification": spec.get("justification"),
        "Compensating controls": "; ".join(
            str(control.get("description")) for control in spec.get("compensatingControls") or ()
        ),
        "Risk owner": spec.get("riskOwner"),
        "Requester": acceptance.requester,
        "Approved by": "; ".join(each.approval.approver for each in risk.given if each.counts),
        "Approvals": f"{risk.counting} of {risk.required}",
        "Approvals that do not count": "; ".join(
            f"{each.approval.approver}: {each.why}" for each in risk.given if not each.counts
        ),
        "Ticket": spec.get("ticket"),
        "Valid from": format_time(acceptance.valid_from),
        "Valid until": format_time(acceptance.valid_until),
        "Remediation plan": remediation.get("plan"),
        "Remediation due": remediation.get("due"),
        "Renews": acceptance.renews,
        "Renewal": acceptance.renewal or "",
        "Digest": acceptance.digest,
        "Violations covered": len(seen.covered),
        "Violations not covered": len(seen.open),
    }
    return ["" if given[name] is None else str(given[name]) for name in COLUMNS]


def _listed(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)

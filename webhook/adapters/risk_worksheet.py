"""Compensating Controls Worksheets, as PCI DSS v4.0 Appendix C has them, filled as far as is known; Markdown.

What an acceptance can't say is left to the assessor, by name.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from webhook.adapters.risk_sightings import Sightings
from webhook.adapters.risks import Risk
from webhook.adapters.text_report import printable
from webhook.core.model import PolicyRef
from webhook.core.times import format_time

FIELDS = (
    "Requirement Number and Definition",
    "1. Constraints",
    "2. Definition of Compensating Controls",
    "3. Objective",
    "4. Identified Risk",
    "5. Validation of Compensating Controls",
    "6. Maintenance",
)
TO_FILL = "To be filled by the entity and its assessor: "
_SPECIAL = re.compile(r"([\\`*_{}\[\]<>#|~!&])")
_LEADING = re.compile(r"^(\s*)([-+=>]|\d+[.)])", re.MULTILINE)


def as_worksheets(
    risks: Sequence[Risk], sightings: Sightings, policies: Mapping[PolicyRef, Mapping[str, Any]]
) -> str:
    """Return a worksheet for each acceptance.

    Args:
        risks: the acceptances.
        sightings: what was seen of them.
        policies: the policies' manifests by kind, namespace and name: for their titles and standards.
    """
    return "\n".join("\n".join(_sheet(risk, sightings, policies)) for risk in risks)


def requirements(risk: Risk, policies: Mapping[PolicyRef, Mapping[str, Any]]) -> list[str]:
    """Return the PCI DSS requirements that an acceptance's policies name among their standards."""
    found = []
    for each in risk.policies:
        spec = (policies.get(each.ref) or {}).get("spec") or {}
        for standard in spec.get("standards") or ():
            name = re.sub(r"[^a-z]", "", str(standard.get("name", "")).lower())
            if name == "pcidss":
                version = str(standard.get("version") or "")
                found.append(f"PCI DSS {version} requirement {standard.get('control')}".replace("  ", " "))
    return list(dict.fromkeys(found))


def _sheet(
    risk: Risk, sightings: Sightings, policies: Mapping[PolicyRef, Mapping[str, Any]]
) -> Iterator[str]:
    name = f"{risk.ref.kind} {risk.ref}"
    yield f"# Compensating Controls Worksheet: {escaped(name)}"
    yield ""
    emergency = ", in an emergency (break-glass)" if risk.acceptance.break_glass else ""
    yield f"{escaped(risk.phase)}{emergency}, ends {format_time(risk.until)}. Digest {risk.acceptance.digest}"
    yield ""
    content = _content(risk, sightings, policies)
    for field in FIELDS:
        yield f"## {field}"
        yield ""
        for text in content[field]:
            yield escaped(text)
            yield ""


def _content(
    risk: Risk, sightings: Sightings, policies: Mapping[PolicyRef, Mapping[str, Any]]
) -> dict[str, list[str]]:
    spec = risk.spec
    named = requirements(risk, policies)
    own = [(each, (policies.get(each.ref) or {}).get("spec") or {}) for each in risk.policies]
    seen = sightings.of(risk.ref)
    controls = [_control(each) for each in spec.get("compensatingControls") or ()]
    held = [each for each in spec.get("compensatingControls") or () if each.get("policy")]
    remediation = spec.get("remediation") or {}
    constraints = [str(spec.get("justification") or "")]
    if spec.get("reason"):
        constraints.append(f"Kind of constraint: {spec['reason']}")
    return {
        FIELDS[0]: named
        or [
            f"{TO_FILL}which requirement; no policy of this acceptance names one of PCI DSS as its standard."
        ],
        FIELDS[1]: constraints,
        FIELDS[2]: controls or [f"{TO_FILL}the acceptance names no compensating control."],
        FIELDS[3]: [
            *(_objective(each.ref.kind, str(each.ref), policy) for each, policy in own),
            f"{TO_FILL}the objective that the compensating control meets.",
        ],
        FIELDS[4]: [
            f"Severity of the violated policies: {risk.severity or 'unknown'}",
            f"Residual risk: {spec.get('residualRisk') or 'not stated'}",
            f"Violations covered now: {len(seen.covered)}",
        ],
        FIELDS[5]: [
            *(
                f"{each['policy'].get('kind')} {each['policy'].get('name')} passes for the same object at "
                "each admission, or else the acceptance does not hold"
                for each in held
            ),
            *(
                f"Approved by {each.approval.approver} at {format_time(each.approval.approved_at)}, "
                f"by {each.route}"
                for each in risk.given
                if each.counts
            ),
            f"{TO_FILL}how the controls were tested.",
        ],
        FIELDS[6]: [
            f"The acceptance ends by itself at {format_time(risk.until)}",
            f"Risk owner: {spec.get('riskOwner')}",
            *([f"Remediation: {remediation.get('plan')}"] if remediation.get("plan") else []),
            *([f"Remediation due: {remediation.get('due')}"] if remediation.get("due") else []),
            *([f"Tracked at {spec.get('ticket')}"] if spec.get("ticket") else []),
        ],
    }


def _objective(kind: str, name: str, policy: Mapping[str, Any]) -> str:
    said = " ".join(str(policy.get(field) or "") for field in ("title", "description")).strip()
    return f"{kind} {name}: {said}" if said else f"{kind} {name}"


def _control(control: Mapping[str, Any]) -> str:
    policy = control.get("policy") or {}
    held = f" (held by {policy.get('kind')} {policy.get('name')})" if policy else ""
    return f"{control.get('description')}{held}"


def escaped(text: str) -> str:
    """Return text as Markdown shows it: it can't make a heading, a link, a list or HTML."""
    plain = " ".join(printable(text).split())
    return _LEADING.sub(r"\1\\\2", _SPECIAL.sub(r"\\\1", plain))

"""Risk acceptances for programs: plain data for JSON and YAML."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from webhook.adapters.risks import UNKNOWN, Cover, ForPolicy, Risk
from webhook.core.times import format_time


def as_data(risk: Risk, covered: Sequence[Cover] | None = None) -> dict[str, Any]:
    """Return an acceptance for programs.

    Args:
        risk: the acceptance.
        covered: what it covers; None where nobody looked.
    """
    acceptance, spec = risk.acceptance, risk.spec
    data: dict[str, Any] = {
        "kind": risk.ref.kind,
        "namespace": risk.ref.namespace,
        "name": risk.ref.name,
        "phase": risk.phase,
        "until": format_time(risk.until),
        "reason": risk.reason,
        "endsWithinDays": risk.notice,
        "breakGlass": acceptance.break_glass,
        "severity": str(risk.severity) if risk.severity is not None else "",
        "approvalsCounting": risk.counting,
        "approvalsRequired": risk.required,
        "validFrom": format_time(acceptance.valid_from),
        "validUntil": format_time(acceptance.valid_until),
        "digest": acceptance.digest,
        "requester": acceptance.requester,
        "renews": acceptance.renews,
        "renewal": acceptance.renewal,
        "policies": [_policy_data(each) for each in risk.policies],
        "approvals": [
            {
                "name": each.approval.ref.name,
                "approver": each.approval.approver,
                "approvedAt": format_time(each.approval.approved_at),
                "route": each.route,
                "counts": each.counts,
                "why": each.why,
            }
            for each in risk.given
        ],
        "warnings": list(risk.warnings),
        "spec": spec,
    }
    if covered is not None:
        data["covers"] = [_cover_data(each) for each in covered]
    return data


def _policy_data(each: ForPolicy) -> dict[str, Any]:
    standing = each.standing
    return {
        "kind": each.ref.kind,
        "namespace": each.ref.namespace,
        "name": each.ref.name,
        "validations": sorted(each.named.validations),
        "severity": str(each.severity) if each.severity is not None else "",
        "standards": list(each.standards),
        "phase": standing.state.value if standing is not None else UNKNOWN,
        "until": format_time(standing.until) if standing is not None else "",
        "reason": standing.reason if standing is not None else "no such policy is here",
        "approvalsRequired": standing.required if standing is not None else None,
    }


def _cover_data(each: Cover) -> dict[str, Any]:
    violation = each.violation
    return {
        "apiVersion": each.target.api_version,
        "kind": each.target.kind,
        "namespace": each.target.namespace,
        "name": each.target.name,
        "policy": str(violation.policy),
        "validation": violation.validation,
        "container": violation.container,
        "fingerprint": violation.fingerprint,
        "keptRunning": each.kept_running,
        "place": each.place,
    }

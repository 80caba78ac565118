"""Findings as Report objects: OpenReports, or the older wgpolicyk8s.io, as Policy Reporter reads them.

Sources:
    https://github.com/openreports/reports-api (openreports.io/v1alpha1),
    https://github.com/kubernetes-sigs/wg-policy-prototypes (wgpolicyk8s.io/v1alpha2).
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Literal

from webhook.adapters.findings import Finding, Result
from webhook.core.canonical import canonical_json
from webhook.core.model import ObjectRef
from webhook.core.times import format_time

Family = Literal["openreports", "wgpolicy"]

SOURCE = "tidewaiter"
LABELS: Mapping[str, str] = {"app.kubernetes.io/managed-by": SOURCE}
_FAMILIES: Mapping[Family, tuple[str, str, str]] = {
    "openreports": ("openreports.io/v1alpha1", "Report", "ClusterReport"),
    "wgpolicy": ("wgpolicyk8s.io/v1alpha2", "PolicyReport", "ClusterPolicyReport"),
}


def reports_of(findings: Iterable[Finding], at: datetime, family: Family) -> list[dict[str, Any]]:
    """Return a report for each object that something was found on, in the order of the objects.

    Args:
        findings: of any number of objects.
        at: when they were judged.
        family: which kind of reports.
    """
    ordered = sorted(findings, key=lambda each: (each.target, each.uid))
    return [
        report_of(target, uid, list(found), at, family)
        for (target, uid), found in itertools.groupby(ordered, lambda each: (each.target, each.uid))
    ]


def report_of(
    target: ObjectRef, uid: str, findings: Iterable[Finding], at: datetime, family: Family
) -> dict[str, Any]:
    """Return the report on one object; its name stays the same as long as the object lives."""
    api_version, namespaced, cluster_wide = _FAMILIES[family]
    found = list(findings)
    metadata: dict[str, Any] = {"name": _name(target, uid), "labels": dict(LABELS)}
    if target.namespace:
        metadata["namespace"] = target.namespace
    if uid:
        # The garbage collector removes it with the object.
        owner = {"apiVersion": target.api_version, "kind": target.kind, "name": target.name, "uid": uid}
        metadata["ownerReferences"] = [owner]
    return {
        "apiVersion": api_version,
        "kind": namespaced if target.namespace else cluster_wide,
        "metadata": metadata,
        **({"source": SOURCE} if family == "openreports" else {}),
        "scope": _reference(target, uid),
        "summary": _summary(found),
        "results": [_result(each, at) for each in found],
    }


def _name(target: ObjectRef, uid: str) -> str:
    parts = [target.group, target.kind, target.namespace, target.name]
    return f"{SOURCE}-{uid or hashlib.sha256(canonical_json(parts)).hexdigest()[:32]}"


def _reference(target: ObjectRef, uid: str) -> dict[str, str]:
    parts = {
        "apiVersion": target.api_version,
        "kind": target.kind,
        "namespace": target.namespace,
        "name": target.name,
        "uid": uid,
    }
    return {name: value for name, value in parts.items() if value}


def _summary(findings: Iterable[Finding]) -> dict[str, int]:
    counts = {"pass": 0, **{str(result): 0 for result in Result}}
    for each in findings:
        counts[str(each.result)] += 1
    return counts


def _result(finding: Finding, at: datetime) -> dict[str, Any]:
    severity = {"severity": str(finding.violation.severity)} if finding.violation else {}
    return {
        "source": SOURCE,
        "policy": str(finding.policy),
        "rule": finding.rule,
        **severity,
        "result": str(finding.result),
        "scored": True,
        "message": finding.message,
        "timestamp": {"seconds": int(at.timestamp()), "nanos": 0},
        "properties": _properties(finding),
    }


def _properties(finding: Finding) -> dict[str, str]:
    found = {"resultID": finding.result_id, "policyKind": finding.policy.kind}
    violation, accepted = finding.violation, finding.accepted
    if violation is not None:
        found |= {
            "action": str(violation.action),
            "container": violation.container,
            "fieldPath": violation.field_path,
        }
    if accepted is not None:
        found |= {
            "acceptance": f"{accepted.acceptance.kind}/{accepted.acceptance}",
            "validUntil": format_time(accepted.valid_until),
            "approvers": ", ".join(accepted.approvers),
            "breakGlass": "true" if accepted.break_glass else "",
            "keptRunning": "true" if accepted.kept_running else "",
        }
    return {name: value for name, value in found.items() if value}

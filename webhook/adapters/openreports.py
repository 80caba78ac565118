"""Findings as Report objects: OpenReports, or the older wgpolicyk8s.io, as Policy Reporter reads them.

Sources:
    https://github.com/openreports/reports-api (openreports.io/v1alpha1),
    https://github.com/kubernetes-sigs/wg-policy-prototypes (wgpolicyk8s.io/v1alpha2).
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Literal, NamedTuple

import orjson

from webhook.adapters.findings import Finding, Result
from webhook.core.canonical import canonical_json
from webhook.core.model import ObjectRef, PolicyRef
from webhook.core.times import format_time

Family = Literal["openreports", "wgpolicy"]

SOURCE = "tidewaiter"
LABELS: Mapping[str, str] = {"app.kubernetes.io/managed-by": SOURCE}
MOST_BYTES = 900_000
"""Results of one report: the API server takes objects of up to 1.5 MiB, and keeps who wrote which field."""
NONE: Mapping[PolicyRef, str] = {}


class Kinds(NamedTuple):
    """The two kinds of a family of reports."""

    api_version: str
    namespaced: str
    cluster: str


FAMILIES: Mapping[Family, Kinds] = {
    "openreports": Kinds("openreports.io/v1alpha1", "Report", "ClusterReport"),
    "wgpolicy": Kinds("wgpolicyk8s.io/v1alpha2", "PolicyReport", "ClusterPolicyReport"),
}


def reports_of(
    findings: Iterable[Finding], at: datetime, family: Family, categories: Mapping[PolicyRef, str] = NONE
) -> list[dict[str, Any]]:
    """Return reports on each object that something was found on, in the order of the objects.

    Args:
        findings: of any number of objects.
        at: when they were judged.
        family: which kind of reports.
        categories: of the policies, as far as they have one.
    """
    ordered = sorted(findings, key=lambda each: (each.target, each.uid))
    made: dict[str, dict[str, Any]] = {}
    for (target, uid), found in itertools.groupby(ordered, lambda each: (each.target, each.uid)):
        form = target.version if name_of(target, uid) in made else ""
        for report in reports_on(list(found), at, family, categories, form):
            made[report["metadata"]["name"]] = report
    return list(made.values())


def reports_on(
    findings: Sequence[Finding],
    at: datetime,
    family: Family,
    categories: Mapping[PolicyRef, str] = NONE,
    form: str = "",
) -> list[dict[str, Any]]:
    """Return the reports on one object: one, or several where one would be too large for the API server.

    Their names stay the same as long as the object lives: `name_of`.

    Args:
        findings: at least one, all on the same object.
        at: when it was judged.
        family: which kind of reports.
        categories: of the policies, as far as they have one.
        form: the API version that it was judged in, where it was judged in others, too.
    """
    parts: list[tuple[list[Finding], list[dict[str, Any]]]] = []
    size = MOST_BYTES
    for finding in findings:
        result = _result(finding, at, categories)
        length = len(orjson.dumps(result))
        if size + length > MOST_BYTES:
            parts.append(([], []))
            size = 0
        size += length
        parts[-1][0].append(finding)
        parts[-1][1].append(result)
    target, uid = findings[0].target, findings[0].uid
    return [
        _report(name_of(target, uid, number, form), found, results, family)
        for number, (found, results) in enumerate(parts, start=1)
    ]


def _report(
    name: str, findings: Sequence[Finding], results: list[dict[str, Any]], family: Family
) -> dict[str, Any]:
    kind = FAMILIES[family]
    target, uid = findings[0].target, findings[0].uid
    metadata: dict[str, Any] = {"name": name, "labels": dict(LABELS)}
    if target.namespace:
        metadata["namespace"] = target.namespace
    if uid:
        # The garbage collector removes it with the object.
        owner = {"apiVersion": target.api_version, "kind": target.kind, "name": target.name, "uid": uid}
        metadata["ownerReferences"] = [owner]
    return {
        "apiVersion": kind.api_version,
        "kind": kind.namespaced if target.namespace else kind.cluster,
        "metadata": metadata,
        **({"source": SOURCE} if family == "openreports" else {}),
        "scope": _reference(target, uid),
        "summary": _summary(findings),
        "results": results,
    }


def name_of(target: ObjectRef, uid: str, part: int = 1, form: str = "") -> str:
    """Return the name of a report on an object.

    Args:
        target: the object.
        uid: its uid; empty for what is not in a cluster.
        part: which of several, from 1.
        form: the API version that it was judged in, where it was judged in others, too.
    """
    parts = [target.group, target.kind, target.namespace, target.name]
    name = f"{SOURCE}-{uid or hashlib.sha256(canonical_json(parts)).hexdigest()[:32]}"
    name = f"{name}-{form}" if form else name
    return name if part == 1 else f"{name}-{part}"


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


def _result(finding: Finding, at: datetime, categories: Mapping[PolicyRef, str]) -> dict[str, Any]:
    severity = {"severity": str(finding.violation.severity)} if finding.violation else {}
    category = categories.get(finding.policy)
    return {
        "source": SOURCE,
        "policy": str(finding.policy),
        **({"rule": finding.rule} if finding.rule else {}),
        **({"category": category} if category else {}),
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

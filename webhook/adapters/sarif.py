"""Findings as SARIF 2.1.0, as code scanning of Git hosts reads it.

Source: https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import quote

from webhook import __version__
from webhook.adapters.findings import Finding, Result
from webhook.adapters.findings_report import MOST_FIELD_LINES, Found, Report, acceptance_line, name_of
from webhook.core.model import PolicyRef, Severity
from webhook.core.policy import CompiledPolicy

SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
_LEVELS = {Result.FAIL: "error", Result.WARN: "warning", Result.SKIP: "error", Result.ERROR: "error"}
_SCORES = {
    Severity.CRITICAL: "9.5",
    Severity.HIGH: "8.0",
    Severity.MEDIUM: "5.5",
    Severity.LOW: "2.5",
    Severity.INFO: "0.0",
}
"""A number in the middle of each range that GitHub gives the word to (``security-severity``)."""


def as_sarif(report: Report, policies: Mapping[PolicyRef, CompiledPolicy]) -> dict[str, Any]:
    """Return a report as a SARIF log of one run.

    An accepted violation is a result that is suppressed, with the acceptance as its justification.

    Args:
        report: what was found.
        policies: for their titles and remediations.
    """
    rules = {rule_id(each): each for each in report.findings}
    exact = len(report.findings) <= MOST_FIELD_LINES
    return {
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [
            {
                "tool": {
                    "driver": {
                        "name": "tidewaiter",
                        "semanticVersion": __version__,
                        "rules": [_rule(name, rules[name], policies) for name in sorted(rules)],
                    }
                },
                "columnKind": "unicodeCodePoints",
                "invocations": [
                    {
                        "executionSuccessful": not report.problems,
                        "toolExecutionNotifications": _notifications(report.problems),
                    }
                ],
                "results": [
                    _result(finding, each, exact=exact) for each in report.found for finding in each.findings
                ],
            }
        ],
    }


def rule_id(finding: Finding) -> str:
    """Return a finding's rule: the policy and its validation."""
    return f"{finding.policy}/{finding.rule}" if finding.rule else str(finding.policy)


def _notifications(problems: Iterable[str]) -> list[dict[str, Any]]:
    return [{"level": "error", "message": {"text": text}} for text in problems]


def _rule(name: str, finding: Finding, policies: Mapping[PolicyRef, CompiledPolicy]) -> dict[str, Any]:
    policy = policies.get(finding.policy)
    rule: dict[str, Any] = {"id": name}
    if policy is not None:
        rule["properties"] = {"security-severity": _SCORES[policy.severity], "tags": ["security"]}
        if policy.title:
            rule["shortDescription"] = {"text": policy.title}
        if policy.remediation:
            rule["help"] = {"text": policy.remediation}
    return rule


def _result(finding: Finding, found: Found, *, exact: bool) -> dict[str, Any]:
    result: dict[str, Any] = {
        "ruleId": rule_id(finding),
        "level": _LEVELS[finding.result],
        "message": {"text": f"{name_of(found.target)}: {finding.message}"},
        "locations": [_location(finding, found, exact=exact)],
        "partialFingerprints": {"tidewaiterResultID/v1": finding.result_id},
    }
    if finding.result is Result.SKIP:
        suppression = {
            "kind": "external",
            "status": "accepted",
            "justification": f"risk accepted {acceptance_line(finding)}",
        }
        result["suppressions"] = [suppression]
    return result


def _location(finding: Finding, found: Found, *, exact: bool) -> dict[str, Any]:
    logical = [{"fullyQualifiedName": name_of(found.target), "kind": "resource"}]
    document = found.document
    if document is None:
        return {"logicalLocations": logical}
    path = finding.violation.field_path if finding.violation else ""
    line = (document.line_of(path) if exact and path else 0) or document.line
    place = {"artifactLocation": {"uri": quote(document.file)}, "region": {"startLine": max(line, 1)}}
    return {"physicalLocation": place, "logicalLocations": logical}

"""Findings as text for people, as JSON and as JUnit XML: what `tidewaiter report` writes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any
from xml.etree import ElementTree

from webhook.adapters.findings import Finding, Result
from webhook.adapters.manifests import Document
from webhook.adapters.text_report import Style, printable
from webhook.core.model import ObjectRef
from webhook.core.times import format_time

MOST_FIELD_LINES = 200
"""Finding a field's line parses the manifest again, so that is done for so many findings only."""

_ROLES = {Result.FAIL: "denied", Result.WARN: "warned", Result.SKIP: "accepted", Result.ERROR: "denied"}


@dataclass(frozen=True, slots=True)
class Found:
    """An object on which something was found.

    Attributes:
        target: the object.
        findings: at least one.
        document: where it was read; None for a cluster.
    """

    target: ObjectRef
    findings: tuple[Finding, ...]
    document: Document | None = None


@dataclass(frozen=True, slots=True)
class Report:
    """What was found where.

    Attributes:
        found: the objects on which something was found.
        objects: how many were judged.
        problems: what could not be read or judged, so that the report lacks something.
        notes: what was assumed.
    """

    found: Sequence[Found]
    objects: int
    problems: Sequence[str] = ()
    notes: Sequence[str] = ()

    @property
    def findings(self) -> list[Finding]:
        """Every finding, in the order of the objects."""
        return [finding for each in self.found for finding in each.findings]

    def count(self, result: Result) -> int:
        """Return how many findings count so."""
        return sum(finding.result is result for finding in self.findings)


def lines(report: Report, style: Style) -> Iterator[str]:
    """Yield a report as text."""
    left = MOST_FIELD_LINES
    for each in report.found:
        place = f"{each.document.file}:{each.document.line}: " if each.document else ""
        yield style("strong", printable(f"{place}{name_of(each.target)}"))
        for finding in each.findings:
            yield from _finding(finding, each.document if left > 0 else None, style)
            left -= 1
        yield ""
    yield summary_line(report)


def _finding(finding: Finding, document: Document | None, style: Style) -> Iterator[str]:
    violation = finding.violation
    how = f"({violation.severity}, {violation.action}) " if violation else ""
    rule = f"{finding.policy}/{finding.rule}" if finding.rule else str(finding.policy)
    container = f" container {finding.container}" if finding.container else ""
    yield f"  {style(_ROLES[finding.result], str(finding.result))} " + printable(f"{how}{rule}{container}")
    yield printable(f"      {finding.message}")
    if violation and violation.field_path:
        line = document.line_of(violation.field_path) if document else 0
        where = f"at line {line}: " if line else "at "
        yield "      " + style("faint", printable(f"{where}{violation.field_path}"))
    if finding.accepted:
        yield "      " + printable(acceptance_line(finding))


def acceptance_line(finding: Finding) -> str:
    """Return what accepts a finding, until when and by whom; empty for nothing."""
    accepted = finding.accepted
    if accepted is None:
        return ""
    ended = "ended" if accepted.kept_running else "until"
    by = f", approved by {', '.join(accepted.approvers)}" if accepted.approvers else ""
    emergency = ", in an emergency (break-glass)" if accepted.break_glass else ""
    kept = ", kept running" if accepted.kept_running else ""
    who = f"{accepted.acceptance.kind} {accepted.acceptance}"
    return f"{ended} {format_time(accepted.valid_until)} by {who}{by}{emergency}{kept}"


def name_of(target: ObjectRef) -> str:
    """Return an object's kind, namespace and name for people."""
    name = target.name or "(name to be generated)"
    return f"{target.kind} {target.namespace}/{name}" if target.namespace else f"{target.kind} {name}"


def summary_line(report: Report) -> str:
    """Return the one line that counts everything."""
    emergencies = sum(bool(each.accepted and each.accepted.break_glass) for each in report.findings)
    broken = f" ({emergencies} by break-glass)" if emergencies else ""
    return (
        f"{report.objects} object{'' if report.objects == 1 else 's'}: {report.count(Result.FAIL)} failed, "
        f"{report.count(Result.WARN)} warned, {report.count(Result.SKIP)} accepted{broken}, "
        f"{report.count(Result.ERROR)} not evaluated"
    )


def as_data(report: Report) -> dict[str, Any]:
    """Return a report as plain JSON data."""
    return {
        "findings": [_data(finding, each) for each in report.found for finding in each.findings],
        "problems": list(report.problems),
        "notes": list(report.notes),
        "summary": {"objects": report.objects, **{str(result): report.count(result) for result in Result}},
    }


def _data(finding: Finding, found: Found) -> dict[str, Any]:
    target, violation, accepted = finding.target, finding.violation, finding.accepted
    data: dict[str, Any] = {
        "object": {
            "apiVersion": target.api_version,
            "kind": target.kind,
            "namespace": target.namespace,
            "name": target.name,
            "uid": finding.uid,
        },
        "result": str(finding.result),
        "policyKind": finding.policy.kind,
        "policy": str(finding.policy),
        "validation": finding.rule,
        "message": finding.message,
        "resultID": finding.result_id,
    }
    if violation:
        data |= {
            "severity": str(violation.severity),
            "action": str(violation.action),
            "container": violation.container,
            "fieldPath": violation.field_path,
        }
    if accepted:
        data["accepted"] = {
            "kind": accepted.acceptance.kind,
            "acceptance": str(accepted.acceptance),
            "validUntil": format_time(accepted.valid_until),
            "approvers": list(accepted.approvers),
            "breakGlass": accepted.break_glass,
            "keptRunning": accepted.kept_running,
        }
    if found.document:
        data["source"] = {"file": found.document.file, "line": found.document.line}
    return data


def as_junit(report: Report) -> str:
    """Return a report as JUnit XML: a test case for each finding, and one for the rest, which passes."""
    counts = {
        "tests": str(len(report.findings) + 1),
        "failures": str(report.count(Result.FAIL)),
        "errors": str(report.count(Result.ERROR) + bool(report.problems)),
        "skipped": str(report.count(Result.SKIP)),
    }
    root = ElementTree.Element("testsuites", {"name": "tidewaiter report", **counts})
    suite = ElementTree.SubElement(root, "testsuite", {"name": "tidewaiter report", **counts})
    judged = f"{report.objects} object{'' if report.objects == 1 else 's'} judged"
    rest = ElementTree.SubElement(suite, "testcase", {"classname": "tidewaiter", "name": judged})
    if report.problems:
        text = printable("\n".join(report.problems))
        ElementTree.SubElement(rest, "error", {"message": text.partition("\n")[0]}).text = text
    for each in report.found:
        for finding in each.findings:
            suite.append(_case(finding, each))
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="unicode", xml_declaration=True)


def _case(finding: Finding, found: Found) -> ElementTree.Element:
    rule = f"{finding.policy}/{finding.rule}" if finding.rule else str(finding.policy)
    container = f" container {finding.container}" if finding.container else ""
    attributes = {"classname": printable(rule), "name": printable(f"{name_of(found.target)}{container}")}
    if found.document:
        attributes["file"] = printable(found.document.file)
    case = ElementTree.Element("testcase", attributes)
    message = printable(finding.message)
    if finding.result is Result.FAIL:
        ElementTree.SubElement(case, "failure", {"message": message}).text = message
    elif finding.result is Result.ERROR:
        ElementTree.SubElement(case, "error", {"message": message}).text = message
    elif finding.result is Result.SKIP:
        ElementTree.SubElement(case, "skipped", {"message": printable(acceptance_line(finding))})
    else:
        ElementTree.SubElement(case, "system-out").text = message
    return case

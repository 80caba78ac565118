"""An emergency acceptance is flagged in every report, and nothing else is."""

from __future__ import annotations

from typing import Any

import pytest
from offline_manifests import acceptance, appetite, approval, deployment, policy, write

pytestmark = pytest.mark.usefixtures("folder")

AT = ("--at", "2026-11-27T00:00:00Z", "--trust-approvals")
REPORTS = {
    "check": ("check", "{file}"),
    "check as JSON": ("check", "{file}", "-o", "json"),
    "report": ("report", "{file}"),
    "report as JSON": ("report", "{file}", "-o", "json"),
    "report as JUnit": ("report", "{file}", "-o", "junit"),
    "report as SARIF": ("report", "{file}", "-o", "sarif"),
    "OpenReports": ("report", "{file}", "-o", "openreports"),
    "PolicyReports": ("report", "{file}", "-o", "wgpolicy"),
    "list": ("risk", "list", "{file}"),
    "list as JSON": ("risk", "list", "{file}", "-o", "json"),
    "show": ("risk", "show", "hot", "{file}"),
    "show as YAML": ("risk", "show", "hot", "{file}", "-o", "yaml"),
    "forecast": ("risk", "forecast", "{file}", "--until", "2027-02-28"),
    "forecast as JSON": ("risk", "forecast", "{file}", "--until", "2027-02-28", "-o", "json"),
    "OSCAL": ("risk", "export", "--format", "oscal-poam", "{file}"),
    "CSV": ("risk", "export", "--format", "csv", "{file}"),
    "PCI DSS": ("risk", "export", "--format", "pci-worksheet", "{file}"),
}


def world(*, emergency: bool) -> str:
    words: dict[str, Any] = {"breakGlass": True} if emergency else {}
    asked = acceptance("hot", validFrom="2026-11-26T23:00:00Z", **words)
    allowed = appetite()
    allowed["spec"]["breakGlass"] = {"maxDuration": "4h", "groups": ["risk-owners"]}
    given = approval(asked, approvedAt="2026-11-26T23:30:00Z")
    return write("all.yaml", policy(), allowed, asked, given, deployment())


def flags(text: str) -> bool:
    """Tell whether a report says that something is an emergency, in words or in data."""
    low = text.lower().replace('"breakglass": false', "").replace("breakglass: false", "")
    columns = '"emergency (break-glass)"'  # CSV's heading, which is always there
    return "break-glass" in low.replace(columns, "") or "breakglass" in low or '"yes"' in low


@pytest.mark.parametrize("words", REPORTS.values(), ids=REPORTS)
def test_every_report_flags_an_emergency_and_only_that(run: Any, words: tuple[str, ...]) -> None:
    for emergency in (True, False):
        file = world(emergency=emergency)
        done = run(*(word.format(file=file) for word in words), *AT)
        assert done.status == 0, done.err
        assert "hot" in done.out
        assert flags(done.out) is emergency, done.out

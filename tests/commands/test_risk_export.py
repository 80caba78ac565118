"""`tidewaiter risk export`: OSCAL by the published schema, CSV without formulas, and PCI DSS worksheets."""

from __future__ import annotations

import csv
import io
import json
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from offline_manifests import acceptance, appetite, approval, deployment, policy, write

from webhook.adapters import risk_csv, risk_worksheet
from webhook.adapters.risk_oscal import as_poam
from webhook.adapters.risk_sightings import Sightings
from webhook.adapters.risks import Known, risks_of
from webhook.adapters.snapshots import build
from webhook.core.times import parse_time

pytestmark = pytest.mark.usefixtures("folder")

NOW = "2026-11-27T00:00:00Z"
AT = ("--at", NOW, "--trust-approvals")
# NIST's own for OSCAL 1.1.3; README.md beside it says where the copy comes from.
SCHEMA = json.loads(
    (Path(__file__).parents[1] / "adapters/oscal/oscal_complete_schema-1.1.3.json").read_text()
)
(POAM,) = (each for each in SCHEMA["oneOf"] if "plan-of-action-and-milestones" in each["required"])
VALIDATOR = jsonschema_rs.validator_for({**SCHEMA, "oneOf": [POAM]}, validate_formats=True)


def problems(document: Any) -> list[str]:
    return [f"{error.instance_path}: {error.message}" for error in VALIDATOR.iter_errors(document)]


def whole(name: str = "legacy", **spec: Any) -> dict[str, Any]:
    return acceptance(
        name,
        **{
            "title": "Legacy runs as root",
            "reason": "VendorDependency",
            "residualRisk": "low",
            "ticket": "https://tickets.example.com/1",
            "remediation": {"plan": "Rewrite it", "due": "2027-01-15"},
            "compensatingControls": [
                {"description": "No network.", "policy": {"kind": "ClusterPolicy", "name": "deny-egress"}},
                {"description": "Somebody looks."},
            ],
            **spec,
        },
    )


def world() -> str:
    """Write acceptances of each phase and what they are for."""
    ended = whole("ended", scope=scope("old"), validUntil="2026-11-20T00:00:00Z")
    emergency = whole("emergency", scope=scope("hot"), breakGlass=True, validFrom="2026-11-26T23:00:00Z")
    revoked = whole(
        "revoked",
        scope=scope("bad"),
        revoked={"at": "2026-11-10T00:00:00Z", "by": "jane.doe@example.com", "reason": "misused"},
    )
    gone = whole("gone", scope=scope("nowhere"), validUntil="2026-11-20T00:00:00Z")
    allowed = appetite()
    allowed["spec"]["breakGlass"] = {"maxDuration": "4h", "groups": ["risk-owners"]}
    active = whole()
    given = [(active, {}), (ended, {}), (gone, {}), (emergency, {"approvedAt": "2026-11-26T23:30:00Z"})]
    held = policy("deny-egress", {"name": "ok", "expression": "true", "message": "never"})
    standards = [{"name": "PCI-DSS", "version": "4.0", "control": "2.2.1"}]
    return write(
        "all.yaml",
        policy(title="Not as root", description="Root is root.", standards=standards),
        held,
        allowed,
        revoked,
        whole("asked", scope=scope("new"), policies=[{"kind": "ClusterPolicy", "name": "not-here"}]),
        *(each for each, _ in given),
        *(approval(each, **words) for each, words in given),
        approval(active, approver="john.roe@example.com")
        | {"metadata": {"name": "own", "namespace": "shop"}},
        *(deployment(name) for name in ("web", "old", "hot", "bad")),
    )


def scope(name: str) -> dict[str, Any]:
    return {"kinds": [{"group": "apps", "kind": "Deployment"}], "names": [name]}


def poam(run: Any, *words: str) -> dict[str, Any]:
    done = run("risk", "export", "--format", "oscal-poam", world(), *AT, *words)
    assert done.status == 0, done.err
    document: dict[str, Any] = done.data
    assert problems(document) == []
    found: dict[str, Any] = document["plan-of-action-and-milestones"]
    return found


def props(of: dict[str, Any]) -> dict[str, str]:
    return {each["name"]: each["value"] for each in of["props"]}


def test_the_validator_refuses_what_the_schema_does(run: Any) -> None:
    document = {"plan-of-action-and-milestones": poam(run)}
    for path, value in (
        (("uuid",), "x"),
        (("risks", 0, "title"), 1),
        (("risks", 0, "deadline"), "soon"),
        (("risks", 0, "more"), "x"),
        (("poam-items", 0, "related-risks", 0, "risk-uuid"), ""),
        (("metadata", "roles", 0, "id"), "no token"),
    ):
        broken: Any = json.loads(json.dumps(document))
        place = broken["plan-of-action-and-milestones"]
        for step in path[:-1]:
            place = place[step]
        place[path[-1]] = value
        assert problems(broken), path


def test_oscal_says_where_each_risk_stands(run: Any) -> None:
    found = poam(run)
    risks = {props(risk)["name"]: risk for risk in found["risks"]}
    assert {name: risk["status"] for name, risk in risks.items()} == {
        "legacy": "deviation-approved",
        "emergency": "deviation-approved",
        "asked": "deviation-requested",
        "ended": "open",
        "revoked": "open",
        "gone": "closed",
    }
    assert {name for name, risk in risks.items() if props(risk).get("break-glass") == "true"} == {"emergency"}
    legacy = risks["legacy"]
    assert legacy["statement"] == "It is old."
    assert props(legacy)["standard"] == "PCI-DSS 4.0 2.2.1"
    assert legacy["deadline"] == "2027-01-25T00:00:00Z"
    assert [each["description"] for each in legacy["mitigating-factors"]] == [
        "No network.",
        "Somebody looks.",
    ]
    (remediation,) = legacy["remediations"]
    assert remediation["description"] == "Rewrite it"
    assert remediation["tasks"][0]["timing"] == {"on-date": {"date": "2027-01-15T23:59:59Z"}}
    titles = [each["title"] for each in legacy["risk-log"]["entries"]]
    assert titles == ["Window", "Approval", "Approval that does not count"]
    assert risks["revoked"]["risk-log"]["entries"][-1]["description"] == "misused"


def test_oscal_relates_items_risks_observations_and_people(run: Any) -> None:
    found = poam(run)
    observations = {each["uuid"]: each for each in found["observations"]}
    risks = {each["uuid"]: each for each in found["risks"]}
    items = {each["uuid"]: each for each in found["local-definitions"]["inventory-items"]}
    parties = {each["uuid"]: each["name"] for each in found["metadata"]["parties"]}
    assert len(risks) == len(found["poam-items"]) == 6
    for item in found["poam-items"]:
        (related,) = item["related-risks"]
        risk = risks[related["risk-uuid"]]
        assert item.get("related-observations") == risk.get("related-observations")
        for each in item.get("related-observations", ()):
            assert observations[each["observation-uuid"]]["subjects"][0]["subject-uuid"] in items
        for actor in item["origins"][0]["actors"]:
            assert parties[actor["actor-uuid"]] == "jane.doe@example.com"
    standings = {props(each)["standing"] for each in observations.values()}
    assert standings == {"accepted", "not accepted"}


def test_identifiers_are_the_same_in_every_export_and_of_version_5(run: Any) -> None:
    first, again = poam(run), poam(run, "--at", "2026-12-01T00:00:00Z")

    def identifiers(of: Any) -> Iterator[str]:
        if isinstance(of, dict):
            if "uuid" in of:
                yield of["uuid"]
            of = list(of.values())
        if isinstance(of, list):
            for each in of:
                yield from identifiers(each)

    assert set(identifiers(first)) == set(identifiers(again))
    found = list(identifiers(first))
    assert len(found) == len(set(found))
    assert {uuid.UUID(each).version for each in found} == {5}
    other = poam(run, "--cluster", "prod")
    assert not set(identifiers(other)) & set(found)
    assert other["metadata"]["title"] == "Accepted risks of prod"


def test_without_objects_nothing_is_closed(run: Any) -> None:
    found = poam(run, "--without-objects")
    assert "observations" not in found
    assert {risk["status"] for risk in found["risks"]} == {
        "deviation-approved",
        "deviation-requested",
        "open",
    }


TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=30)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(TEXT, TEXT, TEXT, st.sampled_from(["9999-12-31T23:59:59Z", "2030-01-01T00:00:00+14:00"]))
def test_whatever_is_written_oscal_stays_valid_and_csv_has_its_columns(
    title: str, owner: str, plan: str, until: str
) -> None:
    asked = whole(title=title, riskOwner=owner, justification=plan, validUntil=until)
    asked["spec"]["remediation"]["plan"] = plan
    asked["spec"]["ticket"] = title
    objects = [asked, policy(), appetite()]
    known = Known(build(objects), objects, parse_time(NOW))
    risks = risks_of(known)
    if not risks:
        return  # blank where something must be said: it isn't read
    document = as_poam(risks, Sightings(risks), known.at, title)
    assert problems(document) == []
    header, row = csv.reader(io.StringIO(risk_csv.as_csv(risks, Sightings(risks))))
    assert len(header) == len(row) == len(risk_csv.COLUMNS)
    assert not [cell for cell in row if cell.lstrip(" ").startswith(tuple("=+-@\t\r\n"))]
    sheet = risk_worksheet.as_worksheets(risks, Sightings(risks), {})
    headings = [line for line in sheet.splitlines() if line.startswith("#")]
    assert len(headings) == 1 + len(risk_worksheet.FIELDS)


@pytest.mark.parametrize(
    "cell",
    [
        "=1+1",
        "+1",
        "-1",
        "@SUM(A1)",
        "\t=1",
        "\r=1",
        "  =1",
        "=cmd|' /C calc'!A0",
        "＝1",  # noqa: RUF001
        '=HYPERLINK("http://evil.example")',
    ],
)
def test_no_cell_becomes_a_formula(run: Any, cell: str) -> None:
    asked = whole(justification=cell, title=cell, ticket=cell)
    file = write("a.yaml", asked, policy(), appetite())
    done = run("risk", "export", "--format", "csv", file, *AT)
    (row,) = csv.DictReader(io.StringIO(done.out))
    for column in ("Justification", "Title", "Ticket"):
        assert row[column] == f"'{cell}" or row[column].startswith("\\u000d")


def test_csv_has_a_line_for_each_with_emergencies_flagged(run: Any) -> None:
    done = run("risk", "export", "--format", "csv", world(), *AT)
    rows = {row["Name"]: row for row in csv.DictReader(io.StringIO(done.out))}
    assert len(rows) == 6
    assert {name for name, row in rows.items() if row["Emergency (break-glass)"]} == {"emergency"}
    legacy = rows["legacy"]
    assert (legacy["Phase"], legacy["Approvals"], legacy["Violations covered"]) == ("Active", "1 of 1", "1")
    assert legacy["Approved by"] == "jane.doe@example.com"
    assert legacy["Standards"] == "PCI-DSS 4.0 2.2.1"
    assert "asked for the acceptance" in legacy["Approvals that do not count"]
    assert (rows["ended"]["Violations covered"], rows["ended"]["Violations not covered"]) == ("0", "1")
    assert "it ended at 2026-11-20" in rows["ended"]["Why not in force"]


def test_a_worksheet_has_the_fields_of_appendix_c(run: Any) -> None:
    done = run("risk", "export", "--format", "pci-worksheet", world(), *AT, "--name", "legacy")
    lines = done.out.splitlines()
    assert [line[3:] for line in lines if line.startswith("## ")] == list(risk_worksheet.FIELDS)
    for text in (
        "PCI DSS 4.0 requirement 2.2.1",
        "It is old.",
        "No network. (held by ClusterPolicy deny-egress)",
        "ClusterPolicy non-root: Not as root Root is root.",
        "Residual risk: low",
        "Violations covered now: 1",
        "Approved by jane.doe@example.com at 2026-11-02T09:00:00Z, by ClusterUser",
        "Remediation: Rewrite it",
        "To be filled by the entity and its assessor: how the controls were tested.",
    ):
        assert text in done.out
    emergency = run("risk", "export", "--format", "pci-worksheet", world(), *AT, "--name", "emergency")
    assert "in an emergency (break-glass)" in emergency.out


def test_a_worksheet_keeps_foreign_text_as_text() -> None:
    for text in ("# heading", "- list", "1. list", "> quote", "<script>", "[a](http://b)", "`code`", "a | b"):
        shown = risk_worksheet.escaped(text)
        assert "\\" in shown
        assert not shown.startswith(("#", "-", "1.", ">"))
    assert "\n" not in risk_worksheet.escaped("a\n# b")


def test_nothing_to_export_is_said(run: Any) -> None:
    file = write("p.yaml", policy())
    done = run("risk", "export", "--format", "oscal-poam", file, *AT)
    assert (done.status, done.out) == (1, "")
    assert "there is no acceptance to export" in done.err
    table = run("risk", "export", "--format", "csv", file, *AT)
    assert (table.status, len(table.out.splitlines())) == (0, 1)

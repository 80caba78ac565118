"""Findings: made of a verdict alone, in a stable order, and as Reports that keep their names."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from webhook.adapters.findings import Finding, Result, findings_of
from webhook.adapters.openreports import Family, reports_of, reports_on
from webhook.core.model import Action, ObjectRef, PolicyRef, Severity, Violation, fingerprint
from webhook.core.review import request_for
from webhook.core.verdict import AcceptedViolation, PolicyError, Verdict

NOW = datetime(2026, 12, 1, tzinfo=UTC)
END = datetime(2027, 1, 1, tzinfo=UTC)
TARGET = ObjectRef("", "v1", "Pod", "shop", "web")
REQUEST = request_for(
    {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "web", "namespace": "shop", "uid": "u-1"}},
    resource="pods",
    namespace="shop",
)


def violation(rule: str = "root", container: str = "app", action: Action = Action.DENY) -> Violation:
    ref = PolicyRef("ClusterPolicy", "", "pods")
    return Violation(
        policy=ref,
        validation=rule,
        message="must not be root " + "x" * 2000,
        field_path="spec.containers[0]",
        container=container,
        container_kind="containers",
        image="app:1",
        severity=Severity.HIGH,
        actions=(action,),
        reason="Invalid",
        remediation="",
        fingerprint=fingerprint(ref, rule, TARGET, "containers", container),
    )


def accepted(*, kept_running: bool = False, break_glass: bool = False) -> AcceptedViolation:
    ref = PolicyRef("RiskAcceptance", "shop", "legacy")
    return AcceptedViolation(violation(), ref, END, ("jane", "max"), kept_running, break_glass)


ERROR = PolicyError(PolicyRef("ClusterPolicy", "", "broken"), "no such key", (Action.DENY,))


@pytest.mark.parametrize(
    ("verdict", "result"),
    [
        (Verdict(allowed=False, violations=(violation(),)), Result.FAIL),
        (Verdict(allowed=True, violations=(violation(action=Action.AUDIT),)), Result.FAIL),
        (Verdict(allowed=True, violations=(violation(action=Action.WARN),)), Result.WARN),
        (Verdict(allowed=True, accepted=(accepted(),)), Result.SKIP),
        (Verdict(allowed=True, accepted=(accepted(kept_running=True),)), Result.FAIL),
        (Verdict(allowed=False, errors=(ERROR,)), Result.ERROR),
    ],
    ids=["denied", "audited", "warned", "accepted", "kept running", "not evaluated"],
)
def test_each_part_of_a_verdict_counts_as_it_says(verdict: Verdict, result: Result) -> None:
    (found,) = findings_of(REQUEST, verdict)
    assert (found.result, found.target, found.uid) == (result, TARGET, "u-1")


def test_what_complies_has_no_findings() -> None:
    assert findings_of(REQUEST, Verdict(allowed=True)) == ()


def test_the_order_and_the_identities_do_not_hang_on_the_order_of_evaluation() -> None:
    several = (violation("root", "b"), violation("caps"), violation("root", "a"))
    first = findings_of(REQUEST, Verdict(allowed=False, violations=several))
    second = findings_of(REQUEST, Verdict(allowed=False, violations=several[::-1]))
    assert first == second
    assert [(each.rule, each.container) for each in first] == [("caps", "app"), ("root", "a"), ("root", "b")]
    assert len({each.result_id for each in first}) == 3


def findings(verdict: Verdict) -> tuple[Finding, ...]:
    return findings_of(REQUEST, verdict)


@pytest.mark.parametrize(
    ("family", "api_version", "namespaced", "cluster_wide"),
    [
        ("openreports", "openreports.io/v1alpha1", "Report", "ClusterReport"),
        ("wgpolicy", "wgpolicyk8s.io/v1alpha2", "PolicyReport", "ClusterPolicyReport"),
    ],
)
def test_an_object_has_one_report_of_the_kind_for_where_it_is(
    family: Family, api_version: str, namespaced: str, cluster_wide: str
) -> None:
    found = findings(Verdict(allowed=False, violations=(violation(),), errors=(ERROR,)))
    wide = tuple(replace(each, target=ObjectRef("", "v1", "Node", "", "one"), uid="u-2") for each in found)
    reports = reports_of((*found, *wide), NOW, family)
    assert [(each["apiVersion"], each["kind"]) for each in reports] == [
        (api_version, cluster_wide),
        (api_version, namespaced),
    ]
    metadata = reports[1]["metadata"]
    assert (metadata["name"], metadata["namespace"]) == ("tidewaiter-u-1", "shop")
    assert metadata["ownerReferences"] == [{"apiVersion": "v1", "kind": "Pod", "name": "web", "uid": "u-1"}]
    assert reports[1]["summary"] == {"pass": 0, "fail": 1, "warn": 0, "skip": 0, "error": 1}
    assert reports[1]["results"][1]["message"] == found[1].message, "whole, not cut"


def test_what_is_accepted_is_skipped_with_the_acceptance_beside_it() -> None:
    found = findings(Verdict(allowed=True, accepted=(accepted(break_glass=True),)))
    (report,) = reports_on(found, NOW, "openreports", {found[0].policy: "Pods"})
    (result,) = report["results"]
    assert result["category"] == "Pods"
    assert result["result"] == "skip"
    properties = result["properties"]
    assert properties["resultID"] == found[0].result_id
    assert properties["acceptance"] == "RiskAcceptance/shop/legacy"
    assert properties["validUntil"] == "2027-01-01T00:00:00Z"
    assert properties["approvers"] == "jane, max"
    assert properties["breakGlass"] == "true"
    assert "keptRunning" not in properties


def test_what_is_in_no_cluster_has_a_name_of_its_own_and_no_owner() -> None:
    (found,) = findings(Verdict(allowed=False, violations=(violation(),)))
    here = replace(found, uid="")
    there = replace(here, target=TARGET._replace(name="api"))
    one, other = (each["metadata"] for each in reports_of((here, there), NOW, "openreports"))
    assert one["name"] != other["name"]
    assert "ownerReferences" not in one


def test_what_one_report_can_not_hold_goes_into_several() -> None:
    long = "ä" * 4000
    several = tuple(replace(violation("root", f"c{number}"), message=long) for number in range(400))
    found = findings(Verdict(allowed=False, violations=several))
    reports = reports_of(found, NOW, "openreports")
    assert [each["metadata"]["name"] for each in reports][:2] == ["tidewaiter-u-1", "tidewaiter-u-1-2"]
    assert all(len(json.dumps(each, ensure_ascii=False).encode()) < 1_000_000 for each in reports)
    assert sum(each["summary"]["fail"] for each in reports) == len(several)
    assert [each["message"] for report in reports for each in report["results"]] == [long] * 400

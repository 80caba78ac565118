"""What the leader says of the audit in its Lease, what `tidewaiter status` makes of it, and the statuses."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from webhook.adapters.snapshots import build
from webhook.core.policy import CompiledPolicy
from webhook.operator.audit import overview, statuses
from webhook.operator.audit.facts import AuditFacts, PolicyFacts

AT = 1_800_000_000.0
FACTS = AuditFacts(
    complete=True,
    at=AT,
    objects=10,
    findings={"fail": 2, "warn": 1, "skip": 4, "error": 0},
    reports="openreports",
)
POLICY = PolicyFacts(("ClusterPolicy", "", "one"), 1, violations=2, accepted=1, complete=True, at=AT)


def test_facts_are_the_same_after_the_pipe() -> None:
    facts = replace(
        FACTS, policies=(POLICY,), gone=(("ClusterPolicy", "", "two"),), unreadable={"pods": "no"}
    )
    assert AuditFacts.decode(facts.encode()).encode() == facts.encode()


@pytest.mark.parametrize("line", [b"", b"[]", b"{}", b'{"policies": 1, "gone": []}', b"\xff"])
def test_a_line_that_is_none_is_refused(line: bytes) -> None:
    with pytest.raises(ValueError):
        AuditFacts.decode(line)


def test_status_shows_totals_and_age() -> None:
    found, problems, notes = overview.overview(overview.said(FACTS), AT + 61)
    assert (found["violations"], found["accepted"], problems, notes) == (3, 4, [], [])
    assert overview.lines(found)[0] == "10 objects: 3 violations, 4 accepted, 0 not evaluated"
    assert "reports: openreports" in overview.lines(found)[1]


def test_status_says_what_the_audit_lacks() -> None:
    facts = replace(
        FACTS, problem="the cluster has no reports", unreadable={"widgets.example.com": "forbidden"}
    )
    _, problems, notes = overview.overview(overview.said(facts), AT + 5)
    assert problems == []
    assert notes == [
        "the audit: the cluster has no reports",
        "the audit can't read widgets.example.com: forbidden",
    ]


def test_an_audit_that_hears_nothing_is_a_problem() -> None:
    _, problems, _ = overview.overview(overview.said(FACTS), AT + 3600)
    assert problems[0].startswith("the audit has not heard of all that it judges since ")


@pytest.mark.parametrize("given", [None, 1, [], {"at": "x", "unreadable": 3, "objects": True}, {"at": 1e300}])
def test_what_another_version_says_breaks_nothing(given: Any) -> None:
    found, _, _ = overview.overview(given, AT)
    overview.lines(found)


def compiled(**spec: Any) -> CompiledPolicy:
    rule = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}
    manifest = {
        "apiVersion": "tidewaiter.dev/v1alpha1",
        "kind": "ClusterPolicy",
        "metadata": {"name": "one", "generation": 1},
        "spec": {
            "matchConstraints": {"resourceRules": [{**rule, **spec.pop("rule", {})}]},
            "validations": [{"name": "check", "expression": spec.pop("expression", "true")}],
            **spec,
        },
    }
    (policy,) = build([manifest]).policies
    return policy


def stamp(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


KNOWN = {"violations": 2, "accepted": 1, "errors": 0, "lastAudit": stamp(AT - 60)}


@pytest.mark.parametrize(
    ("observed", "last_audit"),
    [
        ({}, True),
        (KNOWN, False),
        ({**KNOWN, "violations": 3}, True),
        ({**KNOWN, "lastAudit": stamp(AT - 700)}, True),
    ],
    ids=["first", "the same a minute later", "a count changed", "the same after ten minutes"],
)
def test_the_time_of_the_audit_is_written_with_a_change_or_now_and_then(
    observed: dict[str, Any], last_audit: bool
) -> None:
    fields, condition = statuses.found(compiled(), POLICY, observed)
    assert fields.get("lastAudit") == (stamp(AT) if last_audit else None)
    assert condition is not None
    assert condition["status"] == "True"


def test_what_is_not_known_yet_leaves_the_status_as_it_is() -> None:
    assert statuses.found(compiled(), None, KNOWN) == ({}, None)
    assert statuses.found(compiled(), replace(POLICY, generation=0), KNOWN) == ({}, None)
    fields, condition = statuses.found(compiled(), replace(POLICY, complete=False, reason="NotListed"), KNOWN)
    assert fields == {}
    assert condition is not None
    assert (condition["status"], condition["reason"]) == ("False", "NotListed")


def test_a_kind_that_can_not_be_read_keeps_the_counts_of_the_others() -> None:
    fields, condition = statuses.found(compiled(), replace(POLICY, complete=False, reason="NotReadable"), {})
    assert (fields["violations"], "lastAudit" in fields) == (2, False)
    assert condition is not None
    assert condition["reason"] == "NotReadable"


@pytest.mark.parametrize(
    ("spec", "reason"),
    [
        ({"background": False}, "NotInBackground"),
        ({"expression": "authorizer.group('').resource('pods').check('get').allowed()"}, "AsksAuthorizer"),
        ({"rule": {"operations": ["DELETE"]}}, "NotAboutObjects"),
    ],
)
def test_policies_that_are_left_out_say_why_and_have_no_counts(spec: dict[str, Any], reason: str) -> None:
    fields, condition = statuses.found(compiled(**spec), POLICY, KNOWN)
    assert set(fields.values()) == {None}
    assert condition is not None
    assert condition["reason"] == reason

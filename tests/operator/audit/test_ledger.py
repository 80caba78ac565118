"""The ledger counts what was found, takes back what is gone, and keeps no more than it needs."""

from __future__ import annotations

import pytest

from webhook.adapters.findings import Finding, Result
from webhook.core.model import Action, ObjectRef, PolicyRef, Severity, Violation
from webhook.core.times import parse_time
from webhook.core.verdict import AcceptedViolation
from webhook.operator.audit.ledger import TOP, Ledger
from webhook.operator.client import Resource

PODS = Resource("", "v1", "pods", "Pod", namespaced=True)
ONE, TWO = PolicyRef("ClusterPolicy", "", "one"), PolicyRef("ClusterPolicy", "", "two")
ACCEPTANCE = PolicyRef("RiskAcceptance", "shop", "legacy")


def finding(policy: PolicyRef, name: str, result: Result = Result.FAIL, message: str = "no") -> Finding:
    target = ObjectRef("", "v1", "Pod", "shop", name)
    violation = Violation(
        policy, "check", message, "", "", "", "", Severity.HIGH, (Action.DENY,), "Invalid", "", "f" * 32
    )
    accepted = None
    if result is Result.SKIP:
        accepted = AcceptedViolation(violation, ACCEPTANCE, parse_time("2027-01-01T00:00:00Z"), ())
    return Finding(target, f"uid-{name}", result, policy, message, "f" * 32, violation, accepted)


def put(ledger: Ledger, name: str, *findings: Finding, sweep: int = 1, digest: bytes = b"") -> None:
    ledger.put(PODS, f"uid-{name}", findings, digest or repr(findings).encode(), sweep)


def total(ledger: Ledger, policy: PolicyRef) -> dict[str, int]:
    return {str(result): number for result, number in ledger.total(policy).items() if number}


def test_what_changes_is_counted_once_and_what_goes_is_taken_back() -> None:
    ledger = Ledger()
    put(ledger, "a", finding(ONE, "a"), finding(TWO, "a"))
    put(ledger, "b", finding(ONE, "b"))
    put(ledger, "b", finding(ONE, "b"))
    assert (total(ledger, ONE), total(ledger, TWO)) == ({"fail": 2}, {"fail": 1})
    put(ledger, "a", finding(ONE, "a", Result.SKIP))
    assert (total(ledger, ONE), total(ledger, TWO)) == ({"fail": 1, "skip": 1}, {})
    assert {kind.acceptance for kind, _ in ledger.counts if kind.result is Result.SKIP} == {ACCEPTANCE}
    ledger.remove(PODS, "uid-a")
    ledger.remove(PODS, "uid-a")
    ledger.drop(PODS)
    assert (total(ledger, ONE), ledger.counts, ledger.records) == ({}, {}, {})


def test_what_a_listing_did_not_hold_is_named() -> None:
    ledger = Ledger()
    put(ledger, "a", finding(ONE, "a"), sweep=1)
    put(ledger, "b", finding(ONE, "b"), sweep=1)
    put(ledger, "b", finding(ONE, "b"), sweep=2)
    assert ledger.unseen(PODS, 2) == ["uid-a"]


def test_objects_that_violate_the_same_share_what_is_kept_of_it() -> None:
    ledger = Ledger()
    for number in range(100):
        put(ledger, f"p{number}", finding(ONE, f"p{number}"))
    assert len({id(record.tally) for record in ledger.records[PODS].values()}) == 1


@pytest.mark.parametrize("order", [1, -1], ids=["in order", "against it"])
def test_the_first_violations_are_shown_whatever_came_first(order: int) -> None:
    ledger = Ledger()
    names = [f"p{number:02}" for number in range(30)]
    for name in names[::order]:
        put(ledger, name, finding(ONE, name))
    assert [each["name"] for each in ledger.top(ONE)] == names[:TOP]


def test_when_one_of_the_first_is_mended_the_next_is_to_be_judged_again_and_then_shown() -> None:
    ledger = Ledger()
    names = [f"p{number:02}" for number in range(12)]
    for name in names:
        put(ledger, name, finding(ONE, name))
    assert ledger.hidden() == []
    ledger.remove(PODS, "uid-p00")
    ((resource, record),) = ledger.hidden()
    assert (resource, record.name) == (PODS, names[10])
    put(ledger, names[10], finding(ONE, names[10]))
    assert [each["name"] for each in ledger.top(ONE)] == names[1 : TOP + 1]
    assert ledger.hidden() == []


def test_what_is_accepted_is_not_among_the_violations_that_are_shown() -> None:
    ledger = Ledger()
    put(ledger, "a", finding(ONE, "a"))
    put(ledger, "a", finding(ONE, "a", Result.SKIP))
    assert (ledger.top(ONE), ledger.hidden()) == ([], [])


def test_a_message_is_cut_where_the_status_shows_it() -> None:
    ledger = Ledger()
    put(ledger, "a", finding(ONE, "a", message="x" * 5000))
    assert len(ledger.top(ONE)[0]["message"]) == 256


def test_what_a_policy_concerns_is_found_by_policy_and_namespace() -> None:
    ledger = Ledger()
    put(ledger, "a", finding(ONE, "a"))
    put(ledger, "b", finding(TWO, "b"))
    assert [record.name for _, record in ledger.of((ONE,))] == ["a"]
    assert [record.name for _, record in ledger.of((ONE, TWO), "shop")] == ["a", "b"]
    assert list(ledger.of((ONE,), "elsewhere")) == []


def test_a_constraint_has_its_own_limit_and_whole_names_and_its_errors_count() -> None:
    repos = PolicyRef("K8sAllowedRepos", "", "prod-repos")
    ledger = Ledger(limit=3)
    for number in range(12):
        put(ledger, f"p{number:02}", finding(repos, f"p{number:02}", message="é" * 200))
        put(ledger, f"q{number:02}", finding(ONE, f"q{number:02}"))
    assert len(ledger.top(ONE)) == TOP
    assert [each["name"] for each in ledger.top(repos)] == ["p00", "p01", "p02"]
    cut = "é" * 126 + "..."  # as Gatekeeper: 256 bytes
    assert ledger.top(repos)[0] == {
        "version": "v1",
        "kind": "Pod",
        "namespace": "shop",
        "name": "p00",
        "message": cut,
    }
    put(ledger, "a", finding(repos, "a", Result.ERROR, "broken"))
    assert ledger.top(repos)[0]["message"] == "broken"
    silent = Ledger(limit=0)
    put(silent, "a", finding(repos, "a"))
    assert (silent.top(repos), silent.hidden()) == ([], [])

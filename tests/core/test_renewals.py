"""Renewals: what they may go on with, how they are counted, and that no deletion counts them anew."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from tests.core.builders import (
    APPETITE,
    NON_ROOT,
    NOW,
    acceptance,
    approval,
    pod,
    policy,
    read_approval,
    request,
    snapshot,
)
from webhook.core.acceptance import parse_acceptance
from webhook.core.evaluate import evaluate
from webhook.core.guard import guard
from webhook.core.policy import AcceptanceLimits
from webhook.core.verdict import AcceptanceLack, Verdict

JOHN = "john@example.com"
OLD = acceptance()
LATER = {"validFrom": "2026-11-20T00:00:00Z", "validUntil": "2026-12-31T00:00:00Z"}


def renewal(name: str = "again", of: str = "legacy", number: int = 1, **spec: Any) -> dict[str, Any]:
    return acceptance(name, **{**LATER, "renews": of, "renewal": number, **spec})


def limited(most: int | None) -> Any:
    return policy(NON_ROOT, limits=AcceptanceLimits(max_renewals=most))


def written(
    asked: dict[str, Any],
    *known: dict[str, Any],
    old: dict[str, Any] | None = None,
    most: int | None = 3,
    approved: bool = True,
    appetite: Any = APPETITE,
) -> Verdict:
    around = snapshot(
        limited(most),
        risks=known,
        approvals=tuple(map(approval, known)) if approved else (),
        appetite=appetite,
    )
    return guard(request(asked, old, user=JOHN), around, NOW, read_approval)


@pytest.mark.parametrize(
    ("number", "most", "allowed"), [(1, None, True), (2, 2, True), (3, 2, False), (1, 0, False)]
)
def test_a_renewal_beyond_the_policys_limit_is_not_in_force(
    number: int, most: int | None, *, allowed: bool
) -> None:
    asked = renewal(number=number)
    verdict = evaluate(
        request(pod()), snapshot(limited(most), risks=(asked,), approvals=(approval(asked),)), NOW
    )
    assert verdict.allowed is allowed
    if not allowed:
        assert f"it is renewal {number}, and the policy allows {most}" in verdict.message


def test_that_the_old_one_is_gone_counts_nothing_anew() -> None:
    asked = renewal(number=3)
    for known in ((asked,), (OLD, asked)):
        around = snapshot(limited(2), risks=known, approvals=tuple(map(approval, known)))
        after_the_old_one = NOW + timedelta(days=20)
        assert not evaluate(request(pod()), around, after_the_old_one).allowed


def test_a_renewal_of_what_is_in_force_may_be_written() -> None:
    verdict = written(renewal(), OLD)
    assert verdict.allowed, verdict.message
    assert written(renewal("more", of="again", number=2), OLD, renewal()).allowed


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"renewal": 2}, "must be 1: legacy is no renewal"),
        ({"policies": [{"kind": "ClusterPolicy", "name": "other"}]}, "accepts more than legacy"),
        (
            {"scope": {"kinds": [{"group": "apps", "kind": "Deployment"}], "names": ["web"]}},
            "spec.scope.kinds",
        ),
        ({"scope": {"kinds": [{"kind": "Pod"}], "names": ["*"]}}, "spec.scope.names"),
        ({"scope": {"kinds": [{"kind": "Pod"}], "names": ["we*"]}}, "spec.scope.names"),
        ({"scope": {"kinds": [{"kind": "Pod"}], "names": ["web*", "api"]}}, "spec.scope.names"),
        ({"scope": {"kinds": [{"kind": "Pod"}], "images": ["registry.example.com/*"]}}, "spec.scope.names"),
        ({"scope": {"kinds": [{"kind": "Pod"}], "names": ["web"]}}, ""),
        ({"scope": {"kinds": [{"kind": "Pod"}], "names": ["web-*-1"], "containers": ["app"]}}, ""),
        ({"policies": [{"kind": "ClusterPolicy", "name": "policy", "validations": ["run-as-non-root"]}]}, ""),
        ({"clusters": ["hamburg"]}, ""),
    ],
)
def test_a_renewal_accepts_no_more_than_the_old_one(changes: dict[str, Any], said: str) -> None:
    verdict = written(renewal(**changes), OLD)
    assert verdict.allowed is not bool(said), verdict.message
    assert said in verdict.message


@pytest.mark.parametrize(
    ("old", "changes", "part"),
    [
        ({"containers": ["a"]}, {}, "containers"),
        ({"containers": ["a"]}, {"containers": ["a", "b"]}, "containers"),
        ({"images": ["x/*"]}, {}, "images"),
        ({"images": ["x/*"]}, {"images": ["x/y@*"]}, ""),
        ({"objectSelector": {"matchLabels": {"a": "b"}}}, {}, "objectSelector"),
        ({}, {"objectSelector": {"matchLabels": {"a": "b"}}}, ""),
    ],
)
def test_each_part_that_narrows_the_old_one_narrows_its_renewal(
    old: dict[str, Any], changes: dict[str, Any], part: str
) -> None:
    plain = {"kinds": [{"kind": "Pod"}], "names": ["web*"]}
    verdict = written(renewal(scope={**plain, **changes}), acceptance(scope={**plain, **old}))
    assert verdict.allowed is not bool(part), verdict.message
    assert (f"spec.scope.{part}" if part else "") in verdict.message


def test_what_a_cluster_acceptance_renews_must_cover_its_namespaces() -> None:
    scope = {"kinds": [{"kind": "Pod"}], "names": ["web"]}

    def wide(name: str, namespaces: list[str], **spec: Any) -> dict[str, Any]:
        return acceptance(name, "ClusterRiskAcceptance", scope={**scope, "namespaces": namespaces}, **spec)

    old = wide("legacy", ["shop-*"])
    for namespaces, allowed in ((["shop-1"], True), (["shop-*"], True), (["*"], False), (["shop"], False)):
        asked = wide("again", namespaces, renews="legacy", renewal=1, **LATER)
        assert written(asked, old).allowed is allowed, namespaces


def test_clusters_do_not_become_more() -> None:
    there = acceptance(clusters=["hamburg"])
    assert "spec.clusters" in written(renewal(), there, most=None).message
    assert "spec.clusters" in written(renewal(clusters=["hamburg", "berlin"]), there, most=None).message


def test_what_is_not_there_can_not_be_renewed_and_is_waited_for() -> None:
    verdict = written(renewal())
    assert "there is no RiskAcceptance legacy" in verdict.message
    assert verdict.lacking == (AcceptanceLack("shop", "legacy"),)


@pytest.mark.parametrize(
    ("old", "approved", "said"),
    [
        (OLD, False, "it has 0 of 1 approvals"),
        (acceptance(revoked={"at": "2026-11-02T00:00:00Z"}), True, "it was revoked"),
        (
            acceptance(validFrom="2026-11-01T00:00:00Z", validUntil="2026-11-02T00:00:00Z"),
            True,
            "never in force",
        ),
        (acceptance(validFrom="2026-11-01T00:00:00Z", validUntil="2026-11-20T00:00:00Z"), True, ""),
    ],
    ids=["never approved", "revoked", "ended before it was approved", "ended"],
)
def test_only_what_was_in_force_can_be_renewed(old: dict[str, Any], said: str, *, approved: bool) -> None:
    verdict = written(renewal(), old, approved=approved)
    assert verdict.allowed is not bool(said), verdict.message
    assert said in verdict.message


def test_what_is_renewed_may_go_once_the_renewal_is_there_but_then_it_keeps_what_it_covers() -> None:
    before = renewal()
    assert written(renewal(title="another"), old=before).allowed
    wider = renewal(scope={"kinds": [{"kind": "Pod"}], "names": ["*"]})
    assert "there is no RiskAcceptance legacy" in written(wider, old=before).message


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ({"renews": "legacy"}, "need each other"),
        ({"renewal": 1}, "need each other"),
        ({"renews": "legacy", "renewal": -1}, "must be a number"),
        ({"renews": "legacy", "renewal": True}, "must be a number"),
    ],
)
def test_a_renewal_that_does_not_say_both_can_not_be_read(spec: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        parse_acceptance(acceptance(**spec))


@pytest.mark.parametrize(("most", "told"), [(3, True), (None, False)])
def test_who_renews_without_saying_so_is_told_where_renewals_are_counted(
    most: int | None, *, told: bool
) -> None:
    verdict = written(acceptance("again", **LATER), OLD, most=most)
    assert verdict.allowed
    assert any("spec.renews: legacy and spec.renewal: 1" in each for each in verdict.warnings) is told

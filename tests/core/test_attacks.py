"""Attacks on approvals: none is honoured, and each is told why. tests/e2e has them on a real API server."""

from __future__ import annotations

import copy
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest

from tests.core.builders import (
    APPETITE,
    NON_ROOT,
    NOW,
    REPLICASET_CONTROLLER,
    acceptance,
    approval,
    owned,
    pod,
    policy,
    read_approval,
    request,
    snapshot,
    workload,
)
from webhook.core.acceptance import digest_of
from webhook.core.evaluate import evaluate
from webhook.core.guard import guard
from webhook.core.model import Severity
from webhook.core.policy import AcceptanceLimits
from webhook.core.snapshot import Snapshot
from webhook.core.times import format_time
from webhook.core.verdict import Verdict

JOHN, JANE, MAX, EVE = "john@example.com", "jane@example.com", "max@example.com", "eve@example.com"
OWNERS = ("risk-owners",)
APPLIER = "system:serviceaccount:risk:applier"
JANES, OLD, LOST, MAXS, NOBODYS = (
    f"ssh-ed25519 AAAA{name}" for name in ("jane", "oldk", "lost", "maxk", "none")
)
DAY = timedelta(days=1)


def at(offset: timedelta) -> str:
    return format_time(NOW + offset)


def signer(approver: str, key: str, **more: Any) -> dict[str, Any]:
    return {"approver": approver, "groups": ["risk-owners"], "publicKey": key, **more}


def appetite(**spec: Any) -> dict[str, Any]:
    known = copy.deepcopy(APPETITE)
    ordinary, unacceptable = known["spec"]["rules"]
    known["spec"] |= {
        "rules": [
            {**ordinary, "severities": ["low"], "routes": ["ClusterUser", "Signature", "TrustedApplier"]},
            {**ordinary, "severities": ["medium"]},
            {**ordinary, "severities": ["high"], "approvals": 2, "routes": ["Signature"]},
            unacceptable,
        ],
        "signers": [
            signer(JANE, JANES),
            signer(JANE, OLD, validFrom=at(-30 * DAY), validUntil=at(-10 * DAY)),
            signer(JANE, LOST, revokedAt=at(-DAY)),
            signer(MAX, MAXS),
        ],
        "trustedAppliers": [{"user": APPLIER, "namespaces": ["shop"]}],
        **spec,
    }
    return known


POLICY = policy(NON_ROOT, severity=Severity.MEDIUM)
LOW = policy(NON_ROOT, severity=Severity.LOW)
HIGH = policy(NON_ROOT, severity=Severity.HIGH)
RISK = acceptance()
GIVEN = approval(RISK)
NAMED = acceptance(policies=[{"kind": "ClusterPolicy", "name": "policy", "severity": "high"}])
MEDIUM = acceptance(policies=[{"kind": "ClusterPolicy", "name": "policy", "severity": "medium"}])


def signed(of: Any, key: str = JANES, approver: str = JANE, **spec: Any) -> dict[str, Any]:
    given = approval(of, approver, signature=key, **{"groups": [], **spec})
    given["metadata"]["name"] += f"-{key[-4:]}"
    return given


def brought(of: Any, approver: str = JANE, **spec: Any) -> dict[str, Any]:
    return approval(of, approver, appliedBy=APPLIER, **spec)


def made(obj: dict[str, Any], offset: timedelta) -> dict[str, Any]:
    return {**obj, "metadata": {**obj["metadata"], "creationTimestamp": at(offset)}}


def asked_for(
    risk: dict[str, Any],
    *given: dict[str, Any],
    made_of: Any = POLICY,
    by: Any = None,
    req: Any = None,
    when: datetime = NOW,
    **around: Any,
) -> Verdict:
    """Return the verdict on a Pod that violates the policy."""
    known = snapshot(made_of, risks=(risk,), approvals=given, appetite=by or appetite(), **around)
    return evaluate(req or request(pod()), known, when)


def written(
    obj: Any, user: str, *groups: str, old: Any = None, by: Any = None, risks: Any = (RISK,)
) -> Verdict:
    """Return what the guard says when somebody writes one of the risk kinds."""
    known = snapshot(POLICY, risks=risks, approvals=(GIVEN,), appetite=by or appetite())
    seen = Snapshot(policies=known.policies, register=known.register, administrators=frozenset({"security"}))
    return guard(request(obj, old, user=user, groups=groups), seen, NOW, read_approval)


def recreated(severity: Severity, offset: timedelta) -> Any:
    return policy(NON_ROOT, severity=severity, created=NOW + offset)


def kept_running_by_a_back_dated_window() -> Verdict:
    """John asks today for a window around what he made last week, to have it taken for once accepted."""
    risk = acceptance(
        validFrom=at(-9 * DAY),
        validUntil=at(-timedelta(minutes=1)),
        scope={"kinds": [{"group": "apps", "kind": "Deployment"}], "names": ["web"]},
    )
    replica_set = owned(workload("ReplicaSet", creationTimestamp=at(-7 * DAY)), workload())
    req = request(owned(pod(), replica_set), user=REPLICASET_CONTROLLER)
    given = approval(risk, approvedAt=at(timedelta()))
    return asked_for(risk, given, req=req, owners=(workload(), replica_set))


PEOPLE = [{"name": "Jane", "users": [JANE, "oidc:jane"]}]
TWO = policy(NON_ROOT, severity=Severity.MEDIUM, limits=AcceptanceLimits(approvals=2))
HONEST: dict[str, Callable[[], Verdict]] = {
    "by a cluster user": lambda: asked_for(RISK, GIVEN),
    "by a signature": lambda: asked_for(RISK, signed(RISK), trust_approvals=False),
    "by a trusted applier": lambda: asked_for(RISK, brought(RISK), made_of=LOW),
    "of an acceptance that a trusted applier brought": lambda: asked_for(
        acceptance(appliedBy=APPLIER), signed(acceptance(appliedBy=APPLIER))
    ),
    "by two signatures of a high risk": lambda: asked_for(
        RISK, signed(RISK), signed(RISK, MAXS, MAX), made_of=HIGH
    ),
    "by an old key while it was valid": lambda: asked_for(RISK, signed(RISK, OLD, approvedAt=at(-20 * DAY))),
    "by a signature from before the guard": lambda: asked_for(
        made(RISK, -2 * DAY), made(signed(RISK), -2 * DAY), guarded_since=NOW - DAY
    ),
    "by a signature after a restore": lambda: asked_for(
        made(MEDIUM, -DAY),
        made(signed(MEDIUM, approvedAt=at(-3 * DAY)), -DAY),
        made_of=recreated(Severity.MEDIUM, -DAY),
    ),
    "by a signature that came a moment before the policy": lambda: asked_for(
        made(RISK, -DAY),
        made(signed(RISK, approvedAt=at(-DAY)), -DAY),
        made_of=recreated(Severity.MEDIUM, -DAY),
    ),
    "by a signature of a named severity, of a policy that is installed anew": lambda: asked_for(
        made(NAMED, -9 * DAY),
        made(signed(NAMED), -9 * DAY),
        made(signed(NAMED, MAXS, MAX), -9 * DAY),
        made_of=recreated(Severity.HIGH, -DAY),
    ),
    "by a signature that was given anew after another revocation": lambda: asked_for(
        made(RISK, -DAY),
        made(signed(RISK, approvedAt=at(-DAY)), -DAY),
        revocations={digest_of(RISK): NOW - 2 * DAY, "sha256:another": NOW},
    ),
    "by a cluster user anew after a revocation, who began a little before it": lambda: asked_for(
        made(RISK, -DAY),
        made(approval(RISK, approvedAt=at(-DAY - timedelta(minutes=5))), -DAY + timedelta(minutes=1)),
        revocations={digest_of(RISK): NOW - DAY},
    ),
    "by two people, one by a key and one in the cluster": lambda: asked_for(
        RISK, signed(RISK), approval(RISK, MAX), made_of=TWO
    ),
}


@pytest.mark.parametrize("case", HONEST)
def test_what_is_rightly_approved_is_honoured(case: str) -> None:
    verdict = HONEST[case]()
    assert verdict.allowed, verdict.message
    assert verdict.accepted


USED: dict[str, tuple[Callable[[], Verdict], str]] = {
    "the requester's own": (lambda: asked_for(RISK, approval(RISK, JOHN)), "asked for the acceptance"),
    "the requester's own, signed": (
        lambda: asked_for(RISK, signed(RISK, MAXS, JOHN), by=appetite(signers=[signer(JOHN, MAXS)])),
        "asked for the acceptance",
    ),
    "the requester's own by another name": (
        lambda: asked_for(
            RISK,
            approval(RISK, "oidc:john"),
            by=appetite(people=[{"name": "J", "users": [JOHN, "oidc:john"]}]),
        ),
        "oidc:john asked for the acceptance",
    ),
    "by another group": (
        lambda: asked_for(RISK, approval(RISK, EVE, groups=["developers"])),
        "none of the approvers that the RiskAppetite names",
    ),
    "signed, with groups that only the approval says": (
        lambda: asked_for(
            RISK,
            signed(RISK, MAXS, MAX, groups=["risk-owners"]),
            by=appetite(signers=[signer(MAX, MAXS) | {"groups": ["developers"]}]),
        ),
        "none of the approvers",
    ),
    "of the acceptance as it was": (
        lambda: asked_for(acceptance(title="Changed"), GIVEN),
        "given for another version of the acceptance",
    ),
    "of a narrower scope": (
        lambda: asked_for(acceptance(scope={"kinds": [{"group": "", "kind": "Pod"}], "names": ["*"]}), GIVEN),
        "given for another version",
    ),
    "copied from another namespace": (
        lambda: asked_for(
            RISK,
            signed({**RISK, "metadata": {"name": "legacy", "namespace": "other"}})
            | {"metadata": {"name": "copy", "namespace": "shop"}},
        ),
        "given for another version",
    ),
    "a window from before the approval": (kept_running_by_a_back_dated_window, "before it was approved"),
    "longer than the maximum": (
        lambda: asked_for(
            acceptance(validFrom=at(-100 * DAY)), approval(acceptance(validFrom=at(-100 * DAY)))
        ),
        "capped from",
    ),
    "of a revoked digest, made again": (
        lambda: asked_for(RISK, GIVEN, by=appetite(revoked=[{"digest": digest_of(RISK)}])),
        "the RiskAppetite revokes its digest",
    ),
    "made again after it was revoked": (
        lambda: asked_for(made(RISK, -DAY), made(GIVEN, -2 * DAY)),
        "the acceptance was deleted and made again at",
    ),
    "made again after it was revoked, signed": (
        lambda: asked_for(made(RISK, -DAY), made(signed(RISK), -2 * DAY)),
        "delete it and apply it again",
    ),
    "brought again after it was revoked, signed": (
        lambda: asked_for(
            made(RISK, -DAY),
            made(signed(RISK, approvedAt=at(-3 * DAY)), timedelta()),
            revocations={digest_of(RISK): NOW - 2 * DAY},
        ),
        "what it approves was revoked at 2026-11-21T12:00:00Z: sign it anew",
    ),
    "brought again after it was revoked, by an applier": (
        lambda: asked_for(
            made(RISK, -DAY),
            made(brought(RISK, approvedAt=at(-2 * DAY)), timedelta()),
            made_of=LOW,
            revocations={digest_of(RISK): NOW - 2 * DAY},
        ),
        "what it approves was revoked at",
    ),
    "brought again in the second in which it was revoked": (
        lambda: asked_for(made(RISK, -DAY), made(GIVEN, -DAY), revocations={digest_of(RISK): NOW - DAY}),
        "what it approves was revoked at 2026-11-22T12:00:00Z: give it anew",
    ),
    "a policy made again, weaker": (
        lambda: asked_for(RISK, made(GIVEN, -2 * DAY), made_of=recreated(Severity.MEDIUM, -DAY)),
        "it was given before the policy was made, or made again, at",
    ),
    "a policy made again, weaker, signed": (
        lambda: asked_for(RISK, made(signed(RISK), -2 * DAY), made_of=recreated(Severity.LOW, -DAY)),
        "it was given before the policy was made, or made again, at",
    ),
    "a policy made again, weaker, and its signature brought again": (
        lambda: asked_for(
            RISK,
            made(signed(RISK, approvedAt=at(-2 * DAY)), timedelta()),
            made_of=recreated(Severity.LOW, -DAY),
        ),
        "it was given before the policy was made, or made again, at",
    ),
    "a policy made again, weaker, and an approval brought again by an applier": (
        lambda: asked_for(
            RISK,
            made(brought(RISK, approvedAt=at(-2 * DAY)), timedelta()),
            made_of=recreated(Severity.LOW, -DAY),
        ),
        "it was given before the policy was made, or made again, at",
    ),
    "a policy made again, weaker than the severity that was signed": (
        lambda: asked_for(NAMED, made(signed(NAMED), timedelta()), made_of=recreated(Severity.LOW, -DAY)),
        "it has 1 of 2 approvals that count",
    ),
    "a policy made unacceptable once and acceptable later": (
        lambda: asked_for(NAMED, approval(NAMED), made_of=LOW),
        "a high risk needs an approval by Signature",
    ),
    "as a service account": (
        lambda: asked_for(RISK, approval(RISK, "system:serviceaccount:shop:default")),
        "is no person",
    ),
    "two names of one person": (
        lambda: asked_for(RISK, GIVEN, approval(RISK, "oidc:jane"), made_of=TWO, by=appetite(people=PEOPLE)),
        "1 of 2 approvals",
    ),
    "two routes of one person": (
        lambda: asked_for(RISK, GIVEN, signed(RISK), made_of=TWO),
        "1 of 2 approvals",
    ),
    "two keys of one person": (
        lambda: asked_for(
            RISK,
            signed(RISK),
            signed(RISK, MAXS),
            made_of=HIGH,
            by=appetite(signers=[signer(JANE, JANES), signer(JANE, MAXS)]),
        ),
        "1 of 2 approvals",
    ),
    "from before the guard": (
        lambda: asked_for(made(RISK, timedelta()), made(GIVEN, -2 * DAY), guarded_since=NOW - DAY),
        "came before the guard that is in place now",
    ),
    "an unlisted key": (
        lambda: asked_for(RISK, signed(RISK, NOBODYS)),
        "the RiskAppetite lists no key SHA256:",
    ),
    "another person's key": (
        lambda: asked_for(RISK, signed(RISK, MAXS)),
        f"is {MAX}'s, not {JANE}'s",
    ),
    "an expired key": (
        lambda: asked_for(RISK, signed(RISK, OLD, approvedAt=at(-5 * DAY))),
        "was valid from",
    ),
    "a key from before it was valid": (
        lambda: asked_for(RISK, signed(RISK, OLD, approvedAt=at(-40 * DAY))),
        "was valid from",
    ),
    "a revoked key": (lambda: asked_for(RISK, signed(RISK, LOST)), "was revoked at"),
    "a key that is listed again beside its revocation": (
        lambda: asked_for(
            RISK,
            signed(RISK, LOST),
            by=appetite(signers=[signer(JANE, LOST), signer(JANE, LOST, revokedAt=at(-DAY))]),
        ),
        "was revoked at",
    ),
    "a damaged signature": (
        lambda: asked_for(RISK, signed(RISK, "it was damaged")),
        "its signature does not hold: it was damaged",
    ),
    "a damaged signature that an applier brings": (
        lambda: asked_for(RISK, brought(RISK, signature="it was damaged"), made_of=LOW),
        "its signature does not hold",
    ),
    "unsigned in files": (lambda: asked_for(RISK, GIVEN, trust_approvals=False), "files don't say who wrote"),
    "an applier's word in files": (
        lambda: asked_for(RISK, brought(RISK), made_of=LOW, trust_approvals=False),
        "files don't say who wrote",
    ),
    "of a policy that allows none": (
        lambda: asked_for(
            RISK,
            GIVEN,
            made_of=policy(NON_ROOT, severity=Severity.LOW, limits=AcceptanceLimits(allowed=False)),
        ),
        "the policy allows no risk acceptance",
    ),
    "of a severity that is not acceptable": (
        lambda: asked_for(RISK, GIVEN, made_of=policy(NON_ROOT, severity=Severity.CRITICAL)),
        "accepts no critical risk",
    ),
    "an applier where no route says so": (
        lambda: asked_for(RISK, brought(RISK)),
        "needs an approval by ClusterUser or Signature",
    ),
    "an applier for a high risk": (
        lambda: asked_for(
            RISK,
            brought(RISK),
            made_of=HIGH,
            by=appetite(rules=[{**APPETITE["spec"]["rules"][0], "routes": ["TrustedApplier"]}]),
        ),
        "no applier vouches for an approval of a high risk",
    ),
    "an applier that is not listed any more": (
        lambda: asked_for(RISK, brought(RISK), made_of=LOW, by=appetite(trustedAppliers=[])),
        f"lists no {APPLIER} for the namespace shop",
    ),
    "two approvals that an applier vouches for": (
        lambda: asked_for(
            RISK,
            brought(RISK),
            brought(RISK, MAX),
            made_of=policy(NON_ROOT, severity=Severity.LOW, limits=AcceptanceLimits(approvals=2)),
        ),
        "appliers vouch for one approval",
    ),
    "by a user of an acceptance that an applier brought": (
        lambda: asked_for(acceptance(appliedBy=APPLIER), approval(acceptance(appliedBy=APPLIER))),
        "nobody knows who asked",
    ),
    "before it ended, by a clock that is behind": (
        lambda: asked_for(
            RISK, GIVEN, when=NOW + 8 * DAY - timedelta(hours=1), clock_skew=timedelta(hours=2)
        ),
        "it ended at",
    ),
    "before it starts, by a clock that is ahead": (
        lambda: asked_for(
            acceptance(validFrom=at(timedelta(hours=1))),
            approval(acceptance(validFrom=at(timedelta(hours=1)))),
            when=NOW + timedelta(hours=2),
            clock_skew=-timedelta(hours=2),
        ),
        "it starts at",
    ),
    "a key revoked, by a clock that is behind": (
        lambda: asked_for(
            RISK,
            signed(RISK, LOST),
            by=appetite(signers=[signer(JANE, LOST, revokedAt=at(timedelta(hours=1)))]),
            clock_skew=timedelta(hours=2),
        ),
        "was revoked at",
    ),
}


@pytest.mark.parametrize("attack", USED)
def test_no_attack_is_honoured_and_each_is_told_why(attack: str) -> None:
    verdict = USED[attack][0]()
    assert not verdict.allowed
    assert not verdict.accepted
    assert USED[attack][1] in verdict.message


FRESH = approval(RISK, approvedAt=at(timedelta()))
WRITTEN: dict[str, tuple[Callable[[], Verdict], str]] = {
    "the requester approves": (
        lambda: written(approval(RISK, JOHN, approvedAt=at(timedelta())), JOHN, *OWNERS),
        "another person must approve it",
    ),
    "a forged approver": (
        lambda: written(FRESH, EVE, *OWNERS),
        f"must be {EVE}, who writes this, not {JANE}",
    ),
    "a forged group": (lambda: written(FRESH, JANE), "is not in risk-owners"),
    "a forged requester": (lambda: written(RISK, EVE), f"must be {EVE}, who writes this, not {JOHN}"),
    "a back-dated approval": (lambda: written(GIVEN, JANE, *OWNERS), "lies too far back"),
    "as an account of the requester's namespace": (
        lambda: written(FRESH, "system:serviceaccount:shop:default", *OWNERS),
        "what a service account brings is signed",
    ),
    "as an account of the requester's namespace that says so": (
        lambda: written(
            approval(RISK, approvedAt=at(timedelta()), appliedBy="system:serviceaccount:shop:default"),
            "system:serviceaccount:shop:default",
        ),
        "lists no system:serviceaccount:shop:default for the namespace shop",
    ),
    "a changed approval": (lambda: written(FRESH, JANE, *OWNERS, old=GIVEN), "an approval never changes"),
    "an edited appetite": (
        lambda: written(appetite(rules=[]), EVE, "cluster-admins", old=appetite()),
        "none of the groups that may change it",
    ),
    "a deleted appetite": (
        lambda: written(None, EVE, old=appetite()),
        "none of the groups that may change it",
    ),
    "an appetite made again": (lambda: written(appetite(), EVE), "none of the groups that may change it"),
    "a deleted appetite that revokes": (
        lambda: written(None, "root", "security", old=appetite(revoked=[{"digest": digest_of(RISK)}])),
        "what is revoked stays revoked",
    ),
    "an appetite that forgets what it revokes": (
        lambda: written(appetite(), "root", "security", old=appetite(revoked=[{"digest": digest_of(RISK)}])),
        "only grows",
    ),
    "a damaged signature": (
        lambda: written(signed(RISK, "it was damaged"), EVE),
        "does not hold: it was damaged",
    ),
}


@pytest.mark.parametrize("attack", WRITTEN)
def test_what_is_known_to_be_wrong_is_not_written(attack: str) -> None:
    verdict = WRITTEN[attack][0]()
    assert not verdict.allowed
    assert WRITTEN[attack][1] in verdict.message


def test_a_wider_scope_names_the_approvals_that_it_loses() -> None:
    wider = acceptance(scope={"kinds": [{"group": "", "kind": "Pod"}], "names": ["*"]})
    (said,) = written(wider, JOHN, old=RISK).warnings
    assert "this change voids what was approved: legacy-jane" in said


def test_a_violation_whose_approvals_were_voided_is_no_existing_one() -> None:
    """Else an update would keep what only a stolen key ever accepted."""
    old, new = pod(), pod(labels={"app": "web"})
    update = request(new, old)
    stolen = appetite(signers=[signer(JANE, LOST, revokedAt=at(-DAY))])
    verdict = asked_for(RISK, signed(RISK, LOST), by=stolen, req=update)
    assert not verdict.allowed
    assert not verdict.existing
    assert "was revoked at" in verdict.message
    never = appetite(signers=[signer(JANE, LOST, revokedAt=at(-30 * DAY))])  # before it was given
    assert asked_for(RISK, signed(RISK, LOST), by=never, req=update).existing

"""Who may write what into the risk kinds: each rule of the guard, as tables."""

from __future__ import annotations

import copy
from datetime import timedelta
from typing import Any

import pytest

from tests.core.builders import (
    APPETITE,
    NOW,
    acceptance,
    approval,
    pod,
    policy,
    read_approval,
    request,
    snapshot,
    validation,
)
from webhook.core.errors import ReviewError
from webhook.core.guard import guard
from webhook.core.model import Severity
from webhook.core.policy import AcceptanceLimits
from webhook.core.snapshot import Snapshot
from webhook.core.times import format_time
from webhook.core.verdict import AcceptanceLack, Verdict

JOHN, JANE = "john@example.com", "jane@example.com"
FLUX = "system:serviceaccount:shop:applier"
ADMINS = frozenset({"security"})
POLICY = policy(validation(lambda _: True), severity=Severity.MEDIUM)


def with_spec(obj: dict[str, Any], **spec: Any) -> dict[str, Any]:
    """Return `obj` with other fields in its spec; None takes one away."""
    changed = copy.deepcopy(obj)
    changed["spec"] = {name: value for name, value in {**obj["spec"], **spec}.items() if value is not None}
    return changed


KEY = "ssh-ed25519 AAAA"
SIGNER = {"approver": JANE, "groups": ["risk-owners"], "publicKey": KEY}
LISTED = with_spec(APPETITE, trustedAppliers=[{"user": FLUX, "namespaces": ["shop"]}], signers=[SIGNER])
VOUCHED = with_spec(
    LISTED, rules=[{**APPETITE["spec"]["rules"][0], "routes": ["ClusterUser", "Signature", "TrustedApplier"]}]
)
ASKED = acceptance()
GIVEN = with_spec(approval(ASKED), approvedAt=format_time(NOW))


def known(*, appetite: Any = LISTED, risks: Any = (ASKED,), **more: Any) -> Snapshot:
    found = snapshot(POLICY, appetite=appetite, risks=risks, **more)
    return Snapshot(policies=found.policies, register=found.register, administrators=ADMINS)


def judged(
    obj: Any, old: Any = None, *, user: str = JOHN, groups: tuple[str, ...] = (), by: Any = None, **more: Any
) -> Verdict:
    asked = request(obj, old, user=user, groups=groups, **more)
    return guard(asked, by or known(), NOW, read_approval)


def denies(verdict: Verdict, *words: str) -> None:
    assert not verdict.allowed
    for word in words:
        assert word in verdict.message


def warns(verdict: Verdict, *words: str) -> None:
    assert verdict.allowed, verdict.message
    for word in words:
        assert any(word in warning for warning in verdict.warnings), verdict.warnings


def passes_silently(verdict: Verdict) -> None:
    assert verdict.allowed, verdict.message
    assert not verdict.warnings


# Acceptances.


@pytest.mark.parametrize("kind", ["RiskAcceptance", "ClusterRiskAcceptance"])
def test_the_requester_is_who_writes(kind: str) -> None:
    asked = acceptance(kind=kind)
    assert judged(asked, user=JOHN).allowed
    denies(judged(asked, user=JANE), "guard/requester", f"must be {JANE}", f"not {JOHN}", "[spec.requester]")


@pytest.mark.parametrize(
    ("applied_by", "user", "kind", "said"),
    [
        (FLUX, FLUX, "RiskAcceptance", ""),
        ("", FLUX, "RiskAcceptance", f"must say spec.appliedBy: {FLUX}"),
        (FLUX, JOHN, "RiskAcceptance", f"must be {JOHN}, who writes this, not {FLUX}"),
        (
            FLUX,
            "system:serviceaccount:shop:other",
            "RiskAcceptance",
            "must be system:serviceaccount:shop:other",
        ),
        (f"{FLUX}2", f"{FLUX}2", "RiskAcceptance", "lists no"),
        (FLUX, FLUX, "ClusterRiskAcceptance", "written by people"),
    ],
)
def test_a_service_account_brings_what_others_wrote_only_where_it_is_listed(
    applied_by: str, user: str, kind: str, said: str
) -> None:
    asked = acceptance(kind=kind, appliedBy=applied_by) if applied_by else acceptance(kind=kind)
    verdict = judged(asked, user=user)
    if said:
        denies(verdict, said)
    else:
        assert verdict.allowed


def test_an_applier_of_another_namespace_is_not_listed_for_this_one() -> None:
    elsewhere = with_spec(APPETITE, trustedAppliers=[{"user": FLUX, "namespaces": ["billing"]}])
    denies(judged(acceptance(appliedBy=FLUX), user=FLUX, by=known(appetite=elsewhere)), "namespace shop")


def test_without_an_appetite_an_applier_is_told_who_must_list_it() -> None:
    asked = acceptance(appliedBy=FLUX)
    warns(judged(asked, user=FLUX, by=known(appetite=None)), "must list it")


def test_an_acceptance_that_a_service_account_brought_needs_a_signature() -> None:
    asked = acceptance(appliedBy=FLUX)
    given = with_spec(approval(asked), approvedAt=format_time(NOW - timedelta(minutes=1)))
    register = known(risks=(asked,), approvals=(given,)).register
    standing = register.standing(register.acceptances[0], POLICY, NOW)
    assert standing.state.value == "Pending"
    assert "it needs a signature" in standing.reason
    warns(judged(given, user=JANE, groups=("risk-owners",), by=known(risks=(asked,))), "it needs a signature")


def test_the_requester_never_changes() -> None:
    denies(judged(acceptance(requester=JANE), ASKED, user=JANE), "never changes", JOHN)


def test_only_the_requester_changes_an_acceptance() -> None:
    wider = acceptance(scope={"kinds": [{"kind": "Pod"}], "names": ["*"]})
    assert judged(wider, ASKED, user=JOHN).allowed
    denies(judged(wider, ASKED, user=JANE), "guard/requester")


def test_whoever_may_write_may_revoke_and_nothing_else_with_it() -> None:
    gone = {"at": format_time(NOW)}
    passes_silently(judged(with_spec(ASKED, revoked=gone), ASKED, user=JANE))
    denies(judged(with_spec(ASKED, revoked=gone, title="Other"), ASKED, user=JANE), "guard/requester")
    denies(judged(with_spec(ASKED, revoked=gone, title=None), ASKED, user=JANE), "guard/requester")


def test_a_change_names_the_approvals_that_it_voids() -> None:
    by = known(approvals=(GIVEN, with_spec(approval(ASKED, "old@example.com"), digest="sha256:" + "0" * 64)))
    changed = acceptance(title="Another title")
    verdict = judged(changed, ASKED, by=by)
    warns(verdict, "voids what was approved: legacy-jane; ask for it again")
    assert "legacy-old" not in str(verdict.warnings)


@pytest.mark.parametrize("obj", [ASKED, GIVEN, APPETITE], ids=lambda obj: str(obj["kind"]))
def test_an_update_that_keeps_the_spec_passes_whoever_writes(obj: dict[str, Any]) -> None:
    labelled = copy.deepcopy(obj)
    labelled["metadata"] = {**obj["metadata"], "labels": {"team": "a"}, "finalizers": []}
    passes_silently(judged(labelled, obj, user="system:serviceaccount:kube-system:generic-garbage-collector"))


@pytest.mark.parametrize(
    ("spec", "limits", "severity", "appetite", "said"),
    [
        ({}, AcceptanceLimits(), Severity.MEDIUM, LISTED, ""),
        (
            {},
            AcceptanceLimits(allowed=False),
            Severity.MEDIUM,
            LISTED,
            "the policy allows no risk acceptance",
        ),
        ({}, AcceptanceLimits(), Severity.CRITICAL, LISTED, "accepts no critical risk"),
        ({}, AcceptanceLimits(), Severity.MEDIUM, None, "no RiskAppetite named default"),
        ({}, AcceptanceLimits(require_ticket=True), Severity.MEDIUM, LISTED, "must fill in spec.ticket"),
        (
            {},
            AcceptanceLimits(max_duration=timedelta(days=25)),
            Severity.MEDIUM,
            LISTED,
            "ends at 2026-11-26T",
        ),
        (
            {"validUntil": "2027-11-01T00:00:00Z"},
            AcceptanceLimits(),
            Severity.MEDIUM,
            LISTED,
            "ends at 2027-01-30T",
        ),
        (
            {"clusters": ["other"]},
            AcceptanceLimits(),
            Severity.MEDIUM,
            LISTED,
            "does not hold in the cluster",
        ),
        (
            {"policies": [{"kind": "ClusterPolicy", "name": "gone"}]},
            AcceptanceLimits(),
            Severity.MEDIUM,
            LISTED,
            "for ClusterPolicy gone: no such policy",
        ),
        (
            {"policies": [{"kind": "ClusterPolicy", "name": "policy", "validations": ["ruel"]}]},
            AcceptanceLimits(),
            Severity.MEDIUM,
            LISTED,
            "no validation ruel",
        ),
    ],
)
def test_who_asks_in_vain_is_told_so_and_may_ask(
    spec: dict[str, Any], limits: AcceptanceLimits, severity: Severity, appetite: Any, said: str
) -> None:
    rule = policy(validation(lambda _: True), severity=severity, limits=limits)
    found = snapshot(rule, appetite=appetite)
    by = Snapshot(policies=found.policies, register=found.register)
    verdict = judged(acceptance(**spec), by=by)
    if said:
        warns(verdict, said)
    else:
        passes_silently(verdict)


# Approvals.


def test_an_approver_approves_as_themselves() -> None:
    passes_silently(judged(GIVEN, user=JANE, groups=("risk-owners", "others")))


def test_a_cluster_approval_is_judged_like_one_in_a_namespace() -> None:
    asked = acceptance(kind="ClusterRiskAcceptance")
    given = with_spec(approval(asked), approvedAt=format_time(NOW))
    by = known(risks=(asked,))
    passes_silently(judged(given, user=JANE, groups=("risk-owners",), by=by))
    denies(judged(given, user=JOHN, groups=("risk-owners",), by=by), "guard/approver")


@pytest.mark.parametrize(
    ("spec", "user", "groups", "rule", "said"),
    [
        ({}, "eve@example.com", ("risk-owners",), "approver", "not jane@example.com"),
        ({}, FLUX, ("risk-owners",), "approver", f"spec.appliedBy: {FLUX}"),
        ({}, JANE, (), "groups", "is not in risk-owners"),
        ({"groups": ["risk-owners", "x"]}, JANE, ("risk-owners",), "groups", "is not in x"),
        ({"approver": "system:admin"}, "system:admin", ("risk-owners",), "approver", "is no person"),
        ({"approver": JOHN}, JOHN, ("risk-owners",), "own-request", "another person must approve"),
        ({"digest": "sha256:" + "0" * 64}, JANE, ("risk-owners",), "digest", "now has sha256:"),
        (
            {"approvedAt": format_time(NOW + timedelta(minutes=2))},
            JANE,
            ("risk-owners",),
            "approved-at",
            "future",
        ),
        (
            {"approvedAt": format_time(NOW - timedelta(hours=2))},
            JANE,
            ("risk-owners",),
            "approved-at",
            "too far back",
        ),
        ({"approvedAt": "yesterday"}, JANE, ("risk-owners",), "readable", "[spec.approvedAt]"),
        ({"appliedBy": FLUX}, JANE, ("risk-owners",), "applier", f"must be {JANE}"),
        ({"signature": "damaged"}, JANE, ("risk-owners",), "signature", "does not hold: damaged"),
        ({"appliedBy": FLUX, "signature": "damaged"}, FLUX, (), "signature", "does not hold"),
        ({"approver": "system:admin", "signature": KEY}, JANE, (), "approver", "is no person"),
        ({"approver": JOHN, "signature": KEY}, JANE, (), "own-request", "another person must approve"),
    ],
)
def test_a_wrong_approval_is_denied(
    spec: dict[str, Any], user: str, groups: tuple[str, ...], rule: str, said: str
) -> None:
    denies(judged(with_spec(GIVEN, **spec), user=user, groups=groups), f"guard/{rule}", said)


def test_one_person_with_two_names_does_not_approve_their_own_request() -> None:
    joined = with_spec(APPETITE, people=[{"name": "John", "users": [JOHN, "oidc:john"]}])
    given = with_spec(GIVEN, approver="oidc:john")
    denies(judged(given, user="oidc:john", groups=("risk-owners",), by=known(appetite=joined)), "own-request")


def test_an_approval_never_changes() -> None:
    later = with_spec(GIVEN, comment="and more")
    denies(judged(later, GIVEN, user=JANE, groups=("risk-owners",)), "never changes", "delete it")


def test_an_approval_before_its_acceptance_passes_and_lacks_it() -> None:
    verdict = judged(GIVEN, user=JANE, groups=("risk-owners",), by=known(risks=()))
    warns(verdict, "there is no RiskAcceptance legacy yet")
    assert verdict.lacking == (AcceptanceLack("shop", "legacy"),)


def test_a_newer_snapshot_may_turn_a_wrong_digest_around() -> None:
    changed = acceptance(title="Changed a moment ago")
    given = with_spec(approval(changed), approvedAt=format_time(NOW))
    verdict = judged(given, user=JANE, groups=("risk-owners",))
    denies(verdict, "guard/digest")
    assert verdict.lacking
    passes_silently(judged(given, user=JANE, groups=("risk-owners",), by=known(risks=(changed,))))


@pytest.mark.parametrize(
    ("spec", "groups", "said"),
    [
        ({"groups": ["developers"]}, ("developers",), "none of the approvers that the RiskAppetite names"),
        ({"signature": "ssh-ed25519 BBBB"}, (), "lists no key"),
        ({"signature": KEY, "approver": "max@example.com"}, (), f"is {JANE}'s, not max@example.com's"),
        ({"signature": KEY, "approvedAt": "2026-12-24T00:00:00Z"}, (), "counts from 2026-12-24T00:00:00Z"),
        ({"signature": KEY, "digest": "sha256:" + "0" * 64}, (), "counts once the acceptance says it"),
    ],
)
def test_who_approves_in_vain_is_told_so(spec: dict[str, Any], groups: tuple[str, ...], said: str) -> None:
    warns(judged(with_spec(GIVEN, **spec), user=JANE, groups=groups), said)


@pytest.mark.parametrize("user", [FLUX, "system:serviceaccount:velero:velero", "eve@example.com"])
@pytest.mark.parametrize("applied_by", [FLUX, None])
def test_a_signed_approval_may_be_brought_by_anyone_at_any_time(user: str, applied_by: str | None) -> None:
    signed = with_spec(
        GIVEN, signature=KEY, approvedAt=format_time(NOW - timedelta(days=20)), appliedBy=applied_by
    )
    passes_silently(judged(signed, user=user))


def test_without_what_verifies_it_no_signature_holds() -> None:
    register = known(approvals=(with_spec(GIVEN, signature="damaged"),)).register
    unverified = guard(request(with_spec(GIVEN, signature=KEY), user=JANE), known(), NOW)
    warns(unverified, "its signature does not hold: nobody verified it")
    assert "does not hold: damaged" in register.standing(register.acceptances[0], POLICY, NOW).reason


def test_an_applier_vouches_within_its_limits() -> None:
    brought = with_spec(GIVEN, appliedBy=FLUX)
    passes_silently(judged(brought, user=FLUX, by=known(appetite=VOUCHED)))
    warns(judged(brought, user=FLUX), "a medium risk needs an approval by ClusterUser or Signature")
    other = with_spec(approval(ASKED, "max@example.com"), appliedBy=FLUX)
    denies(judged(other, user=FLUX, by=known(approvals=(brought,))), "one approval", "legacy-jane")
    grave = snapshot(
        policy(validation(lambda _: True), severity=Severity.HIGH), appetite=LISTED, risks=(ASKED,)
    )
    by = Snapshot(policies=grave.policies, register=grave.register)
    denies(judged(brought, user=FLUX, by=by), "high or critical", "sign it")
    graver = acceptance(policies=[{"kind": "ClusterPolicy", "name": "policy", "severity": "high"}])
    of_it = with_spec(approval(graver), approvedAt=format_time(NOW), appliedBy=FLUX)
    denies(judged(of_it, user=FLUX, by=known(appetite=VOUCHED, risks=(graver,))), "high or critical")


def test_what_a_controller_tries_one_by_one_may_come_before_the_acceptance_it_is_for() -> None:
    """Flux tries an approval of a changed acceptance while the cluster still has the old one."""
    later_on = approval(acceptance(title="Changed"), approvedAt=format_time(NOW))
    warns(judged(with_spec(later_on, appliedBy=FLUX), user=FLUX), "counts once the acceptance says it")
    warns(judged(with_spec(later_on, signature=KEY), user=FLUX), "counts once the acceptance says it")


# The appetite.


@pytest.mark.parametrize("operation", ["CREATE", "UPDATE", "DELETE"])
def test_only_administrators_write_the_appetite(operation: str) -> None:
    changed = with_spec(APPETITE, keepRunningFor="1d")
    obj = None if operation == "DELETE" else changed
    old = None if operation == "CREATE" else APPETITE
    assert judged(obj, old, user=JANE, groups=("security",)).allowed
    denies(judged(obj, old, user=JANE, groups=("system:masters",)), "guard/administrator", "security")


def test_without_named_administrators_only_those_whom_nothing_holds_are() -> None:
    found = known()
    nobody_named = Snapshot(policies=found.policies, register=found.register)
    assert judged(APPETITE, user=JANE, groups=("system:masters",), by=nobody_named).allowed
    denies(judged(APPETITE, user=JANE, groups=("security",), by=nobody_named), "system:masters")


def test_the_appetite_narrows_who_may_change_it() -> None:
    narrow = with_spec(APPETITE, administrators={"groups": ["risk-board"]})
    changed = with_spec(narrow, keepRunningFor="1d")
    denies(
        judged(changed, narrow, user=JANE, groups=("security",)), "spec.administrators names them: risk-board"
    )
    denies(
        judged(changed, narrow, user=JANE, groups=("risk-board",)), "the installation names them: security"
    )
    passes_silently(judged(changed, narrow, user=JANE, groups=("security", "risk-board")))
    denies(judged(None, narrow, user=JANE, groups=("security",)), "risk-board")
    warns(judged(narrow, user=JANE, groups=("security",)), "can't change this again")


def test_what_is_revoked_stays_revoked() -> None:
    one, two = ({"digest": "sha256:" + digit * 64} for digit in "12")
    before = with_spec(APPETITE, revoked=[one])
    security: dict[str, Any] = {"user": JANE, "groups": ("security",)}
    passes_silently(judged(with_spec(APPETITE, revoked=[one, two]), before, **security))
    denies(judged(with_spec(APPETITE, revoked=[two]), before, **security), "only grows", one["digest"])
    denies(judged(APPETITE, before, **security), "only grows")
    denies(judged(None, before, **security), "stays revoked")
    passes_silently(judged(None, APPETITE, **security))


def test_kubernetes_own_users_and_groups_approve_nothing() -> None:
    rule = {"severities": ["low"], "approvers": {"groups": ["system:masters"]}}
    wrong = with_spec(APPETITE, rules=[rule])
    denies(judged(wrong, user=JANE, groups=("security",)), "system:masters can't approve")


def test_an_appetite_of_another_name_says_that_it_does_not_hold() -> None:
    other = {**APPETITE, "metadata": {"name": "other"}}
    warns(judged(other, user=JANE, groups=("security",)), "only the RiskAppetite named default holds")


def test_an_appetite_that_could_never_be_read_can_be_mended() -> None:
    broken = with_spec(APPETITE, keepRunningFor="soon")
    security: dict[str, Any] = {"user": JANE, "groups": ("security",)}
    denies(judged(broken, APPETITE, **security), "guard/readable", "'soon' is no duration")
    passes_silently(judged(APPETITE, broken, **security))


# Everything.


@pytest.mark.parametrize(
    ("obj", "said"),
    [
        (acceptance(validUntil="never"), "[spec.validUntil]"),
        (acceptance(policies=[]), "names no policy"),
        (acceptance(scope="all"), "[spec.scope]"),
        (acceptance(weight=1.5), "float"),
        (with_spec(GIVEN, groups="risk-owners"), "[spec.groups]"),
        (with_spec(APPETITE, rules=[{"severities": ["grave"]}]), "'grave' is no severity"),
    ],
)
def test_what_can_not_be_read_is_denied_with_its_field(obj: dict[str, Any], said: str) -> None:
    verdict = judged(obj, user=JOHN, groups=("security", "risk-owners"))
    denies(verdict, "guard/readable", said)


@pytest.mark.parametrize("obj", [ASKED, GIVEN], ids=lambda obj: str(obj["kind"]))
def test_acceptances_and_approvals_may_be_deleted(obj: dict[str, Any]) -> None:
    passes_silently(judged(None, obj, user="anybody"))


def test_a_cap_and_exempt_users_are_not_for_the_guard() -> None:
    found = known()
    capped = Snapshot(
        policies=found.policies, register=found.register, max_action="Audit", exempt_users=frozenset({JANE})
    )
    denies(judged(ASKED, user=JANE, by=capped), "guard/requester")


def test_the_guard_judges_nothing_else() -> None:
    with pytest.raises(ReviewError, match="not Pod of the core group"):
        guard(request(pod()), known(), NOW)


# Since when.


SINCE = NOW - timedelta(hours=1)


def created(obj: dict[str, Any], after: timedelta | None) -> dict[str, Any]:
    if after is None:
        return obj
    return {**obj, "metadata": {**obj["metadata"], "creationTimestamp": format_time(NOW + after)}}


@pytest.mark.parametrize(
    ("asked_at", "given_at", "since", "said"),
    [
        (timedelta(minutes=-50), timedelta(minutes=-40), SINCE, ""),
        (None, None, None, ""),
        (timedelta(minutes=-50), timedelta(hours=-1), SINCE, "give it anew"),
        (timedelta(minutes=-50), timedelta(hours=-2), SINCE, "give it anew"),
        (timedelta(hours=-2), timedelta(minutes=-40), SINCE, "the acceptance came before the guard"),
        (timedelta(minutes=-50), None, SINCE, "give it anew"),
        (timedelta(minutes=-50), timedelta(minutes=-40), NOW + timedelta(days=1), "give it anew"),
    ],
)
def test_what_came_before_the_guard_does_not_count(
    asked_at: timedelta | None, given_at: timedelta | None, since: Any, said: str
) -> None:
    asked = created(ASKED, asked_at)
    given = created(with_spec(GIVEN, approvedAt=format_time(NOW - timedelta(minutes=40))), given_at)
    register = known(risks=(asked,), approvals=(given,), guarded_since=since).register
    standing = register.standing(register.acceptances[0], POLICY, NOW)
    assert standing.state.value == ("Pending" if said else "Active")
    assert said in standing.reason


ED25519 = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHkyDiJd6MgGBRJGkVIRXjBJyGs7BFHBURVBQyPMvSxk"


@pytest.mark.parametrize(
    ("signers", "said"),
    [
        ([{"approver": JANE, "publicKey": f"{ED25519} a comment"}], ""),
        ([{"approver": JANE, "publicKey": "ssh-ed25519 AAAA"}], "key ssh-ed25519 is none"),
        ([{"approver": JANE, "publicKey": ED25519.replace("ssh-ed25519", "ssh-rsa")}], "key ssh-rsa is none"),
        ([{"approver": JANE, "publicKey": ED25519[:-1]}], "is none"),
        (
            [{"approver": JANE, "publicKey": ED25519}, {"approver": JOHN, "publicKey": ED25519}],
            "have one key",
        ),
        ([{"approver": JANE, "publicKey": ED25519}, {"approver": "oidc:jane", "publicKey": ED25519}], ""),
    ],
)
def test_a_key_that_can_not_be_meant_is_told(signers: list[dict[str, Any]], said: str) -> None:
    people = [{"name": "Jane", "users": [JANE, "oidc:jane"]}]
    verdict = judged(
        with_spec(APPETITE, signers=signers, people=people), APPETITE, user="admin", groups=("security",)
    )
    if said:
        warns(verdict, said)
    else:
        passes_silently(verdict)


@pytest.mark.parametrize(
    ("account", "shared"),
    [
        ("system:serviceaccount:flux-system:kustomize-controller", True),
        ("system:serviceaccount:argocd:argocd-application-controller", True),
        (FLUX, False),
    ],
)
def test_an_account_that_applies_every_tenants_repository_is_told(account: str, shared: bool) -> None:
    wanted = with_spec(APPETITE, trustedAppliers=[{"user": account, "namespaces": ["shop"]}])
    verdict = judged(wanted, APPETITE, user="admin", groups=("security",))
    if shared:
        warns(verdict, f"{account} applies every tenant's repository")
    else:
        passes_silently(verdict)

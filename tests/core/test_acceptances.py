"""Accepted risks: scope, approvals, limits, time, owners, and what the denial says is missing."""

from __future__ import annotations

import copy
import fnmatch
import gc
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.core.builders import (
    APPETITE,
    NON_ROOT,
    NOW,
    REPLICASET_CONTROLLER,
    acceptance,
    approval,
    container,
    owned,
    pod,
    policy,
    request,
    snapshot,
    validation,
    workload,
)
from webhook.core.acceptance import digest_of
from webhook.core.evaluate import evaluate
from webhook.core.model import Severity
from webhook.core.policy import AcceptanceLimits
from webhook.core.standing import standing
from webhook.core.times import format_time, parse_duration, parse_time
from webhook.core.verdict import OwnerLack, Verdict

POLICY = policy(NON_ROOT)
RISK = acceptance()


def verdict_of(
    risk: dict[str, Any],
    *,
    approvals: tuple[dict[str, Any], ...] | None = None,
    req: Any = None,
    at: datetime = NOW,
    made: Any = POLICY,
    **around: Any,
) -> Verdict:
    given = (approval(risk),) if approvals is None else approvals
    return evaluate(req or request(pod()), snapshot(made, risks=(risk,), approvals=given, **around), at)


def test_an_accepted_violation_passes_and_says_who_accepted_it_until_when() -> None:
    verdict = verdict_of(RISK)
    assert verdict.allowed
    (accepted,) = verdict.accepted
    assert accepted.acceptance.name == "legacy"
    assert "until 2026-12-01 00:00Z, approved by jane@example.com" in verdict.warnings[0]
    assert "by RiskAcceptance/shop/legacy" in verdict.audit_annotations["accepted"]


@pytest.mark.parametrize("obj", [pod(container(securityContext={"runAsNonRoot": True})), pod()])
@pytest.mark.parametrize("risks", [(), (RISK,)], ids=["no acceptances", "an acceptance"])
def test_a_request_that_is_judged_leaves_nothing_to_the_garbage_collector(
    obj: dict[str, Any], risks: tuple[dict[str, Any], ...]
) -> None:
    around = snapshot(POLICY, risks=risks, approvals=tuple(map(approval, risks)))
    evaluate(request(obj), around, NOW)
    asked = request(obj)
    gc.collect()
    gc.disable()
    gc.set_debug(gc.DEBUG_SAVEALL)
    try:
        verdict = evaluate(asked, around, NOW)
        gc.collect()
        # Other threads of the test run leave garbage of their own.
        ours = [type(each) for each in gc.garbage if type(each).__module__.startswith("webhook.")]
        assert ours == []
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.enable()
    assert verdict.allowed is not bool(verdict.violations)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"scope": {"kinds": [{"group": "", "kind": "Pod"}], "names": ["api"]}}, "does not name web"),
        (
            {"scope": {"kinds": [{"group": "apps", "kind": "Deployment"}], "names": ["web"]}},
            "has no kind Pod",
        ),
        ({"policies": [{"kind": "ClusterPolicy", "name": "other"}]}, ""),
        ({"policies": [{"kind": "ClusterPolicy", "name": "policy", "validations": ["other"]}]}, ""),
        (
            {"scope": {"kinds": [{"group": "", "kind": "Pod"}], "names": ["*"], "containers": ["proxy"]}},
            "does not name the container app",
        ),
        (
            {"scope": {"kinds": [{"group": "", "kind": "Pod"}], "images": ["registry.example.com/app:2"]}},
            "does not name the image registry.example.com/app:1",
        ),
        (
            {
                "scope": {
                    "kinds": [{"group": "", "kind": "Pod"}],
                    "names": ["web"],
                    "objectSelector": {"matchLabels": {"a": "b"}},
                }
            },
            "objectSelector",
        ),
        ({"clusters": ["prod"]}, "does not hold in the cluster of unknown name"),
        ({"validFrom": "2026-11-24T00:00:00Z"}, "starts at 2026-11-24T00:00:00Z"),
        ({"validUntil": "2026-11-23T00:00:00Z"}, "ended at 2026-11-23T00:00:00Z"),
        ({"revoked": {"reason": "misused"}}, "was revoked"),
    ],
)
def test_what_does_not_match_does_not_cover_and_near_misses_are_named(changes: Any, said: str) -> None:
    verdict = verdict_of(acceptance(**changes))
    assert not verdict.allowed
    assert said in verdict.message
    assert ("RiskAcceptance shop/legacy" in verdict.message) is bool(said)


@pytest.mark.parametrize(
    ("patterns", "name", "covered"),
    [
        (["web"], "web", True),
        (["web-*"], "web-5d8f-x2x", True),
        (["*-web-*"], "shop-web-1", True),
        (["w*b"], "wb", True),
        (["w?b"], "wab", False),
        (["*"], "", False),
        (["[a-z]*"], "web", False),
    ],
)
def test_names_match_with_stars_only_and_nothing_matches_an_unknown_name(
    patterns: list[str], name: str, covered: bool
) -> None:
    risk = acceptance(scope={"kinds": [{"group": "", "kind": "Pod"}], "names": patterns})
    assert verdict_of(risk, req=request(pod(name=name))).allowed is covered


def test_an_acceptance_never_reaches_another_namespace() -> None:
    other = pod()
    other["metadata"]["namespace"] = "other"
    known = ({"metadata": {"name": "other"}},)
    refused = verdict_of(RISK, req=request(other), namespaces=known)
    assert not refused.allowed
    assert "RiskAcceptance" not in refused.message  # nor is what it accepts told there
    wide = acceptance(
        kind="ClusterRiskAcceptance",
        scope={"kinds": [{"group": "", "kind": "Pod"}], "names": ["web"], "namespaces": ["shop"]},
    )
    assert verdict_of(wide).allowed
    assert not verdict_of(wide, req=request(other), namespaces=known).allowed


def test_an_acceptance_of_another_object_is_named_only_where_none_comes_nearer() -> None:
    other = acceptance("other", scope={"kinds": [{"group": "", "kind": "Pod"}], "names": ["api"]})
    nearer = acceptance("nearer", validUntil="2026-11-23T00:00:00Z")
    given = (approval(other), approval(nearer))
    for risks, named in (((other,), "other"), ((other, nearer), "nearer")):
        message = evaluate(request(pod()), snapshot(POLICY, risks=risks, approvals=given), NOW).message
        assert [line.split()[1] for line in message.splitlines()[1:]] == [f"shop/{named}"]


def test_a_scope_with_images_covers_nothing_of_a_validation_without_containers() -> None:
    risk = acceptance(scope={"kinds": [{"group": "", "kind": "Pod"}], "images": ["*"]})
    verdict = verdict_of(risk, made=policy(validation(lambda _: False)))
    assert "this validation is not about one container" in verdict.message


@pytest.mark.parametrize(
    ("approvals", "said"),
    [
        ([], "0 of 1 approvals"),
        ([{"digest": "sha256:" + "0" * 64}], "another version of the acceptance"),
        ([{"approver": "john@example.com"}], "asked for the acceptance"),
        ([{"groups": []}], "none of the approvers"),
        ([{"approver": "system:serviceaccount:flux:flux"}], "is no person"),
        ([{"approvedAt": "2026-11-24T00:00:00Z"}], "counts from 2026-11-24T00:00:00Z"),
        ([{"signature": "it is damaged"}], "its signature does not hold: it is damaged"),
        ([{"riskAcceptance": "other"}], "0 of 1 approvals"),
    ],
)
def test_an_approval_that_does_not_count_is_named_with_what_is_wrong(approvals: Any, said: str) -> None:
    given = tuple(approval(RISK, **changes) for changes in approvals)
    verdict = verdict_of(RISK, approvals=given)
    assert not verdict.allowed
    assert said in verdict.message


def test_an_unsigned_approval_in_files_does_not_count_unless_a_cluster_brought_it() -> None:
    verdict = verdict_of(RISK, trust_approvals=False)
    assert "--trust-approvals" in verdict.message


def with_appetite(**rule: Any) -> dict[str, Any]:
    changed = copy.deepcopy(APPETITE)
    changed["spec"]["rules"][0].update(rule)
    return changed


def test_approvals_are_counted_by_person() -> None:
    two = with_appetite(approvals=2)
    jane, oidc = approval(RISK), approval(RISK, "oidc:jane")
    assert verdict_of(RISK, approvals=(jane, oidc), appetite=two).allowed
    two["spec"]["people"] = [{"name": "Jane", "users": ["jane@example.com", "oidc:jane"]}]
    assert not verdict_of(RISK, approvals=(jane, oidc), appetite=two).allowed
    two["spec"]["people"] = [{"name": "John", "users": ["john@example.com", "oidc:jane"]}]
    assert not verdict_of(RISK, approvals=(jane, oidc), appetite=two).allowed


@pytest.mark.parametrize(
    ("limits", "severity", "appetite", "said"),
    [
        (AcceptanceLimits(allowed=False), Severity.HIGH, APPETITE, "allows no risk acceptance"),
        (AcceptanceLimits(require_ticket=True), Severity.HIGH, APPETITE, "fill in spec.ticket"),
        (AcceptanceLimits(approvals=2), Severity.HIGH, APPETITE, "1 of 2 approvals"),
        (AcceptanceLimits(), Severity.CRITICAL, APPETITE, "accepts no critical risk"),
        (AcceptanceLimits(), Severity.INFO, APPETITE, "accepts no info risk"),
        (AcceptanceLimits(), Severity.HIGH, None, "no RiskAppetite named default"),
        (AcceptanceLimits(), Severity.HIGH, with_appetite(required=["ticket"]), "fill in spec.ticket"),
        (
            AcceptanceLimits(),
            Severity.HIGH,
            with_appetite(routes=["Signature"]),
            "needs an approval by Signature",
        ),
        (
            AcceptanceLimits(max_duration=timedelta(days=20)),
            Severity.HIGH,
            APPETITE,
            "capped from 2026-12-01",
        ),
        (AcceptanceLimits(), Severity.HIGH, with_appetite(maxDuration="20d"), "ended at 2026-11-21"),
    ],
)
def test_policy_and_appetite_limit_what_may_be_accepted(
    limits: AcceptanceLimits, severity: Severity, appetite: Any, said: str
) -> None:
    verdict = verdict_of(RISK, made=policy(NON_ROOT, limits=limits, severity=severity), appetite=appetite)
    assert not verdict.allowed
    assert said in verdict.message


def test_an_approval_ages_so_that_no_one_approves_for_ever_ahead() -> None:
    risk = acceptance(validFrom="2026-11-20T00:00:00Z", validUntil="2027-02-28T00:00:00Z")
    early = approval(risk, approvedAt="2026-08-01T00:00:00Z")
    assert "ended at 2026-10-30" in verdict_of(risk, approvals=(early,)).message


def test_a_revoked_digest_never_holds_again() -> None:
    appetite = copy.deepcopy(APPETITE)
    appetite["spec"]["revoked"] = [{"digest": digest_of(RISK)}]
    assert "revokes its digest" in verdict_of(RISK, appetite=appetite).message


def test_expiry_counts_by_the_later_clock_and_the_start_by_the_earlier() -> None:
    end = parse_time("2026-12-01T00:00:00Z")
    assert verdict_of(RISK, at=end - timedelta(seconds=1)).allowed
    assert not verdict_of(RISK, at=end).allowed
    ahead = {"clock_skew": timedelta(seconds=60)}
    assert not verdict_of(RISK, at=end - timedelta(seconds=30), **ahead).allowed
    start = parse_time("2026-11-01T00:00:00Z")
    given = (approval(RISK, approvedAt="2026-10-20T00:00:00Z"),)
    behind = {"clock_skew": timedelta(seconds=-60)}
    assert not verdict_of(RISK, approvals=given, at=start + timedelta(seconds=30), **behind).allowed
    assert verdict_of(RISK, approvals=given, at=start + timedelta(seconds=61), **behind).allowed


def emergency(**rule: Any) -> dict[str, Any]:
    changed = copy.deepcopy(APPETITE)
    changed["spec"]["breakGlass"] = {"groups": ["on-call"], **rule}
    return changed


EMERGENCY = acceptance(breakGlass=True, validFrom="2026-11-23T10:00:00Z", validUntil="2026-11-24T10:00:00Z")
BY_ON_CALL = (approval(EMERGENCY, groups=["on-call"], approvedAt="2026-11-23T10:00:00Z"),)


def in_emergency(appetite: Any, *, made: Any = POLICY, at: datetime = NOW) -> Verdict:
    return verdict_of(EMERGENCY, approvals=BY_ON_CALL, appetite=appetite, made=made, at=at)


@pytest.mark.parametrize(("rule", "hours"), [({}, 4), ({"maxDuration": "3h"}, 3), ({"maxDuration": "9h"}, 9)])
def test_a_break_glass_acceptance_is_short_and_says_everywhere_that_it_is_one(
    rule: dict[str, Any], hours: int
) -> None:
    given_at = parse_time("2026-11-23T10:00:00Z")
    verdict = in_emergency(emergency(**rule))
    assert verdict.allowed
    assert verdict.accepted[0].break_glass
    assert "risk accepted in an emergency (break-glass) by RiskAcceptance" in verdict.warnings[0]
    assert verdict.audit_annotations["break-glass"] == "RiskAcceptance/shop/legacy"
    assert in_emergency(emergency(**rule), at=given_at + timedelta(hours=hours, seconds=-1)).allowed
    ended = in_emergency(emergency(**rule), at=given_at + timedelta(hours=hours))
    assert "capped from 2026-11-24T10:00:00Z" in ended.message


def test_one_person_of_the_break_glass_group_approves_whatever_the_rule_asks_of_others() -> None:
    strict = emergency()
    strict["spec"]["rules"][0] |= {"approvals": 3, "required": ["ticket"]}
    assert in_emergency(strict, made=policy(NON_ROOT, limits=AcceptanceLimits(approvals=2))).allowed
    assert "none of the approvers" in in_emergency(emergency(groups=["others"])).message
    assert "accepts no high risk in an emergency" in in_emergency(APPETITE).message


def test_an_emergency_makes_nothing_acceptable_that_is_not() -> None:
    critical = policy(NON_ROOT, severity=Severity.CRITICAL)
    assert "accepts no critical risk" in in_emergency(emergency(), made=critical).message
    never = policy(NON_ROOT, limits=AcceptanceLimits(allowed=False))
    assert "allows no risk acceptance" in in_emergency(emergency(), made=never).message


def test_of_several_the_latest_end_counts() -> None:
    longer = acceptance("longer", validUntil="2026-12-31T00:00:00Z")
    snap = snapshot(POLICY, risks=(RISK, longer), approvals=(approval(RISK), approval(longer)))
    (accepted,) = evaluate(request(pod()), snap, NOW).accepted
    assert accepted.acceptance.name == "longer"


def test_a_compensating_control_must_hold_for_the_same_object() -> None:
    risk = acceptance(
        compensatingControls=[{"description": "d", "policy": {"kind": "ClusterPolicy", "name": "c"}}]
    )
    given = (approval(risk),)
    for holds in (True, False):
        control = policy(validation(lambda _, h=holds: h), name="c", actions=())
        verdict = evaluate(request(pod()), snapshot(POLICY, control, risks=(risk,), approvals=given), NOW)
        assert verdict.allowed is holds
    assert "is not enforced here" in verdict_of(risk).message


def test_expiry_bites_though_the_violation_was_there_before() -> None:
    old = pod()
    new = copy.deepcopy(old)
    new["metadata"]["labels"] = {"a": "b"}
    update = request(new, old)
    assert verdict_of(RISK, req=update).accepted
    ended = verdict_of(RISK, req=update, at=NOW + timedelta(days=30))
    assert not ended.allowed
    leaving = copy.deepcopy(old)
    leaving["metadata"]["deletionTimestamp"] = "2026-12-02T00:00:00Z"
    assert verdict_of(RISK, req=request(new, leaving), at=NOW + timedelta(days=30)).existing
    never_approved = verdict_of(RISK, req=update, approvals=())
    assert never_approved.allowed
    assert never_approved.existing


DEPLOYMENT = workload()
REPLICASET = owned(workload("ReplicaSet", name="web-5d8f"), DEPLOYMENT)
REPLICASET["metadata"]["creationTimestamp"] = "2026-11-05T00:00:00Z"
REPLICASET["spec"]["template"] = copy.deepcopy(DEPLOYMENT["spec"]["template"])
REPLICASET["spec"]["template"]["metadata"]["labels"]["pod-template-hash"] = "5d8f"
POD = owned(pod(name="web-5d8f-abcde"), REPLICASET)
FOR_DEPLOYMENT = acceptance(scope={"kinds": [{"group": "apps", "kind": "Deployment"}], "names": ["web"]})
KNOWN = (DEPLOYMENT, REPLICASET)


def by_controller(obj: Any, user: str = REPLICASET_CONTROLLER, **options: Any) -> Verdict:
    options.setdefault("owners", KNOWN)
    return verdict_of(FOR_DEPLOYMENT, req=request(obj, user=user), **options)


def test_the_pods_of_an_accepted_deployment_are_accepted() -> None:
    assert verdict_of(
        FOR_DEPLOYMENT, made=policy(NON_ROOT, pod_templates=True), req=request(DEPLOYMENT)
    ).accepted
    verdict = by_controller(POD)
    assert verdict.allowed
    assert verdict.accepted[0].acceptance.name == "legacy"
    assert by_controller(POD, user="system:kube-controller-manager").allowed
    templates = policy(NON_ROOT, pod_templates=True)
    deployer = "system:serviceaccount:kube-system:deployment-controller"
    assert by_controller(REPLICASET, user=deployer, made=templates).allowed


def changed(obj: dict[str, Any], edit: Any) -> dict[str, Any]:
    result = copy.deepcopy(obj)
    edit(result)
    return result


@pytest.mark.parametrize(
    ("obj", "options", "said"),
    [
        (POD, {"user": "mallory"}, "mallory is not the controller"),
        (POD, {"user": "system:serviceaccount:kube-system:deployment-controller"}, "is not the controller"),
        (POD, {"owners": (DEPLOYMENT,)}, "not known yet"),
        (POD, {"owners": (REPLICASET,)}, "not known yet"),
        (owned(pod(), REPLICASET, name="other"), {}, "another object's uid"),
        (
            POD,
            {
                "owners": (
                    DEPLOYMENT,
                    changed(REPLICASET, lambda o: o["spec"]["template"]["spec"].update(x=1)),
                )
            },
            "does not hold the present template",
        ),
        (
            POD,
            {"owners": (changed(DEPLOYMENT, lambda o: o["metadata"].update(namespace="x")), REPLICASET)},
            "makes no such object",
        ),
        (owned(pod(container(image="other:1")), REPLICASET), {}, ""),
        (owned(pod(container(), container("injected")), REPLICASET), {}, ""),
    ],
)
def test_a_forged_or_changed_owner_excuses_nothing(obj: Any, options: Any, said: str) -> None:
    verdict = by_controller(obj, **options)
    assert not verdict.allowed
    assert said in verdict.message


def test_a_replicaset_with_a_forged_owner_excuses_nothing() -> None:
    templates = policy(NON_ROOT, pod_templates=True)
    assert "is not the controller" in by_controller(REPLICASET, user="mallory", made=templates).message
    orphan = workload("ReplicaSet", name="mine")
    forged = owned(orphan, DEPLOYMENT)
    forged["spec"]["template"]["spec"]["containers"][0]["image"] = "evil:1"
    pod_of_forged = owned(pod(container(image="evil:1")), forged)
    assert not by_controller(pod_of_forged, owners=(DEPLOYMENT, forged)).allowed


def test_an_owner_that_is_not_known_yet_is_asked_for() -> None:
    verdict = by_controller(POD, owners=())
    assert isinstance(verdict.lacking[0], OwnerLack)
    assert verdict.lacking[0].uid == REPLICASET["metadata"]["uid"]


def test_after_expiry_an_unchanged_workload_keeps_running_for_a_while() -> None:
    late = NOW + timedelta(days=10)
    verdict = by_controller(POD, at=late)
    assert verdict.allowed
    assert verdict.accepted[0].kept_running
    assert "kept running" in verdict.warnings[0]
    assert not by_controller(POD, at=NOW + timedelta(days=40)).allowed
    strict = copy.deepcopy(APPETITE)
    strict["spec"]["afterExpiry"] = "Deny"
    assert not by_controller(POD, at=late, appetite=strict).allowed
    young = changed(REPLICASET, lambda o: o["metadata"].update(creationTimestamp="2026-12-02T00:00:00Z"))
    assert not by_controller(POD, at=late, owners=(DEPLOYMENT, young)).allowed
    templates = policy(NON_ROOT, pod_templates=True)
    assert not verdict_of(FOR_DEPLOYMENT, made=templates, req=request(DEPLOYMENT), at=late).allowed


def test_the_pods_of_a_daemonset_keep_running_by_their_controller_revision() -> None:
    daemons = workload("DaemonSet")
    revision = owned(
        {
            "apiVersion": "apps/v1",
            "kind": "ControllerRevision",
            "metadata": {
                "name": "web-1",
                "namespace": "shop",
                "uid": "uid-rev",
                "creationTimestamp": "2026-11-05T00:00:00Z",
            },
            "data": {"spec": {"template": {**daemons["spec"]["template"], "$patch": "replace"}}},
        },
        daemons,
    )
    risk = acceptance(scope={"kinds": [{"group": "apps", "kind": "DaemonSet"}], "names": ["web"]})
    user = "system:serviceaccount:kube-system:daemon-set-controller"
    for owners, allowed in (((daemons, revision), True), ((daemons,), False)):
        req = request(owned(pod(), daemons), user=user)
        assert verdict_of(risk, req=req, owners=owners, at=NOW + timedelta(days=10)).allowed is allowed


def test_a_controller_that_the_appetite_names_makes_pods_too() -> None:
    appetite = copy.deepcopy(APPETITE)
    appetite["spec"]["workloadControllers"] = ["system:serviceaccount:kruise:manager"]
    assert by_controller(POD, user="system:serviceaccount:kruise:manager", appetite=appetite).allowed


def test_the_digest_is_what_jq_and_sha256sum_give() -> None:
    import hashlib
    import json

    spec = RISK["spec"]
    content = {
        "group": "tidewaiter.dev",
        "kind": "RiskAcceptance",
        "name": "legacy",
        "namespace": "shop",
        "spec": spec,
    }
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    assert digest_of(RISK) == "sha256:" + hashlib.sha256(text.encode()).hexdigest()
    labelled = copy.deepcopy(RISK)
    labelled["metadata"]["labels"] = {"a": "b"}
    labelled["apiVersion"] = "tidewaiter.dev/v1"
    assert digest_of(labelled) == digest_of(RISK)
    with pytest.raises(ValueError, match="float"):
        digest_of(acceptance(scope={"x": 1.5}))


def test_a_window_at_the_end_of_time_is_capped_and_fails_nothing() -> None:
    risk = acceptance(validFrom="9999-12-30T00:00:00Z", validUntil="9999-12-31T00:00:00Z")
    assert "starts at 9999-12-30T00:00:00Z" in verdict_of(risk).message


def test_a_requester_that_is_no_person_has_nothing_accepted() -> None:
    risk = acceptance(requester="system:serviceaccount:flux-system:kustomize-controller")
    assert "is no person" in verdict_of(risk).message


def test_a_required_field_that_holds_only_blanks_is_not_filled() -> None:
    made = policy(NON_ROOT, limits=AcceptanceLimits(require_ticket=True))
    assert "fill in spec.ticket" in verdict_of(acceptance(ticket=" \n"), made=made).message


def test_what_keeps_running_still_needs_its_compensating_controls() -> None:
    control = {"description": "d", "policy": {"kind": "ClusterPolicy", "name": "c"}}
    risk = acceptance(scope=FOR_DEPLOYMENT["spec"]["scope"], compensatingControls=[control])
    for holds in (True, False):
        other = policy(validation(lambda _, h=holds: h), name="c", actions=())
        snap = snapshot(POLICY, other, risks=(risk,), approvals=(approval(risk),), owners=KNOWN)
        verdict = evaluate(request(POD, user=REPLICASET_CONTROLLER), snap, NOW + timedelta(days=10))
        assert verdict.allowed is holds


def test_what_keeps_running_ends_by_the_later_clock() -> None:
    last = parse_time("2026-12-31T00:00:00Z")
    assert by_controller(POD, at=last).allowed
    assert not by_controller(POD, at=last, clock_skew=timedelta(seconds=60)).allowed


def test_a_chain_ends_at_a_workload_that_something_else_than_kubernetes_makes() -> None:
    operated = owned(
        DEPLOYMENT, {"apiVersion": "x.dev/v1", "kind": "App", "metadata": {"name": "a", "uid": "u"}}
    )
    known = (operated, REPLICASET)
    assert by_controller(POD, owners=known).allowed
    kept = by_controller(POD, owners=known, at=NOW + timedelta(days=10))
    assert kept.accepted[0].kept_running
    denied = by_controller(owned(pod(container("other")), REPLICASET), owners=known)
    assert not denied.lacking


def test_only_the_acceptances_of_the_objects_own_namespace_are_looked_at() -> None:
    others = [acceptance(f"other-{number}") for number in range(2000)]
    for other in others:
        other["metadata"]["namespace"] = "other"
    wide = acceptance("wide", kind="ClusterRiskAcceptance")
    register = snapshot(POLICY, risks=(*others, RISK, wide)).register
    found = list(register.naming(POLICY.ref, "run-as-non-root", "shop"))
    assert [known.ref.name for known in found] == ["wide", "legacy"]
    assert [known.ref.name for known in register.naming(POLICY.ref, "run-as-non-root", "")] == ["wide"]


def test_an_owner_that_would_have_come_long_ago_is_not_waited_for() -> None:
    changed_pod = owned(pod(container("other")), REPLICASET)
    assert not by_controller(changed_pod, owners=(REPLICASET,)).lacking
    young = changed(REPLICASET, lambda o: o["metadata"].update(creationTimestamp="2026-11-23T11:59:30Z"))
    assert by_controller(owned(pod(), young), owners=(young,)).lacking


NAMES = st.lists(
    st.sampled_from(["web", "we", "api", "*", "w*", "web*", "*b", "a*i", "we*b*"]), min_size=1, max_size=3
)


@given(patterns=st.lists(NAMES, max_size=6), name=st.sampled_from(["web", "we", "api", "a", "", "webber"]))
@settings(max_examples=200, deadline=None)
def test_what_is_found_by_its_object_is_all_that_may_name_it(patterns: list[list[str]], name: str) -> None:
    risks = [
        acceptance(f"n{number}", scope={"kinds": [{"kind": "Pod"}], "names": names})
        for number, names in enumerate(patterns)
    ]
    risks.append(acceptance("any", scope={"kinds": [{"kind": "Pod"}], "images": ["*"]}))
    register = snapshot(POLICY, risks=tuple(risks)).register
    found = {each.ref.name for each in register.names.of_object(POLICY.ref, "shop", name)}
    wanted = {
        f"n{number}"
        for number, names in enumerate(patterns)
        if name and any(fnmatch.fnmatchcase(name, pattern) for pattern in names)
    }
    assert wanted | {"any"} <= found
    assert len(found) == len(list(register.names.of_object(POLICY.ref, "shop", name)))


MOMENTS = st.integers(-100, 100).map(lambda hours: NOW + timedelta(hours=hours))
HOURS = st.integers(1, 90).map(lambda hours: f"{hours}h")


@given(
    start=MOMENTS,
    hours=st.integers(1, 80),
    approved=st.lists(MOMENTS, max_size=3),
    revoked=st.none() | MOMENTS,
    longest=st.tuples(HOURS, HOURS),
    skew=st.sampled_from([-3600, -5, 0, 5, 3600]),
    asked=st.lists(st.tuples(MOMENTS, st.sampled_from([-1, 0, 1])), min_size=1, max_size=12),
)
@settings(max_examples=300, deadline=None)
def test_a_standing_that_is_said_again_is_the_one_that_holds(
    start: datetime,
    hours: int,
    approved: list[datetime],
    revoked: datetime | None,
    longest: tuple[str, str],
    skew: int,
    asked: list[tuple[datetime, int]],
) -> None:
    risk = acceptance(validFrom=format_time(start), validUntil=format_time(start + timedelta(hours=hours)))
    given = tuple(
        approval(risk, f"{number}@example.com", approvedAt=format_time(moment), signature="ssh-rsa A")
        for number, moment in enumerate(approved)
    )
    revocation = {"revokedAt": format_time(revoked)} if revoked else {}
    known = with_appetite(maxDuration=longest[0])
    known["spec"]["signers"] = [
        {
            "approver": f"{number}@example.com",
            "groups": ["risk-owners"],
            "publicKey": "ssh-rsa A",
            **revocation,
        }
        for number in range(3)
    ]
    made = policy(NON_ROOT, limits=AcceptanceLimits(max_duration=parse_duration(longest[1])))
    around = {"risks": (risk,), "approvals": given, "appetite": known, "clock_skew": timedelta(seconds=skew)}
    register = snapshot(made, **around).register
    (only,) = register.acceptances
    for moment, seconds in asked:
        at = moment + timedelta(seconds=seconds)
        fresh = standing(only, register.approvals_of(only), made, register.surroundings, at)
        assert register.standing(only, made, at) == fresh

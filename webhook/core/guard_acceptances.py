"""The guard of RiskAcceptance and ClusterRiskAcceptance: the requester is who writes it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from webhook.core.acceptance import Acceptance, digest_of, parse_acceptance
from webhook.core.appetite import Appetite
from webhook.core.approvals import is_person
from webhook.core.fields import map_in
from webhook.core.guard_findings import Findings, judge_applier, listed, policy_of
from webhook.core.renewal import problems
from webhook.core.snapshot import Snapshot
from webhook.core.standing import State
from webhook.core.times import format_time


def judge_acceptance(findings: Findings, snapshot: Snapshot, now: datetime) -> None:
    """Judge a write to an acceptance; raises ValueError when it can't be read."""
    if findings.request.operation == "DELETE":
        return
    asked = parse_acceptance(findings.object)
    old = findings.request.old_object
    if old is not None:
        if _only_revokes(old, findings.object):
            return
        requester = map_in(old, "spec", "spec").get("requester")
        if requester != asked.requester:
            findings.deny("requester", "spec.requester", f"never changes: it is {requester}")
        _name_lost_approvals(findings, asked, old, snapshot)
    _judge_requester(findings, asked, snapshot.register.appetite)
    if asked.renews:
        _judge_renewal(findings, asked, old, snapshot, now)
    elif old is None:
        _warn_of_uncounted(findings, asked, snapshot, now)
    _warn_of_prospects(findings, asked, snapshot, now)


def _judge_requester(findings: Findings, asked: Acceptance, known: Appetite | None) -> None:
    user = findings.user
    if not is_person(asked.requester):
        findings.deny("requester", "spec.requester", f"{asked.requester} is no person: name who asks")
    elif asked.applied_by:
        judge_applier(findings, asked.applied_by, asked.ref.namespace, known)
    elif asked.requester != user:
        advice = "each writes their own"
        if not is_person(user):
            advice = f"what a service account brings must say spec.appliedBy: {user}"
        findings.deny(
            "requester", "spec.requester", f"must be {user}, who writes this, not {asked.requester}: {advice}"
        )


def _judge_renewal(
    findings: Findings,
    asked: Acceptance,
    old: Mapping[str, Any] | None,
    snapshot: Snapshot,
    now: datetime,
) -> None:
    """Judge a renewal beside the acceptance that it renews, which must still be there to compare it with."""
    if old is not None and _keeps_renewal(old, findings.object):
        return
    renewed = snapshot.register.acceptance(asked.ref._replace(name=asked.renews))
    if renewed is None:
        findings.lacks(asked.ref.namespace, asked.renews)
        findings.deny(
            "renewal",
            "spec.renews",
            f"there is no {asked.ref.kind} {asked.renews}: keep what is renewed, or ask without spec.renews",
        )
        return
    for field, problem in problems(asked, renewed):
        findings.deny("renewal", field, problem)
    for position in range(len(asked.policies)):
        policy = policy_of(asked, position, snapshot)
        before = snapshot.register.standing(renewed, policy, now) if policy is not None else None
        if before is not None and (before.since is None or before.state is State.REVOKED):
            why = before.reason or "it was never in force"
            findings.deny("renewal", "spec.renews", f"{asked.renews} can't be renewed: {why}")
            return


def _warn_of_uncounted(findings: Findings, asked: Acceptance, snapshot: Snapshot, now: datetime) -> None:
    """Say what a new acceptance seems to renew, where renewals are counted: approvers should know."""
    for position in range(len(asked.policies)):
        policy = policy_of(asked, position, snapshot)
        if policy is None or policy.limits.max_renewals is None:
            continue
        for known in snapshot.register.names.of_policy(policy.ref, asked.ref.namespace):
            if (
                known.ref[:2] == asked.ref[:2]
                and known.ref != asked.ref
                and all(field == "spec.renewal" for field, _ in problems(asked, known))
                and snapshot.register.standing(known, policy, now).since is not None
            ):
                findings.warn(
                    "renewal",
                    "spec.renews",
                    f"{known.ref.name} accepts the same: say spec.renews: {known.ref.name} and "
                    f"spec.renewal: {known.renewal + 1}, since {policy.ref} counts renewals",
                )
                return


def _keeps_renewal(old: Mapping[str, Any], new: Mapping[str, Any]) -> bool:
    """Tell whether an update leaves alone all of a renewal that is compared with what it renews."""
    before, after = map_in(old, "spec", "spec"), map_in(new, "spec", "spec")
    compared = ("renews", "renewal", "policies", "scope", "clusters")
    return all(before.get(name) == after.get(name) for name in compared)


def _name_lost_approvals(
    findings: Findings, asked: Acceptance, old: Mapping[str, Any], snapshot: Snapshot
) -> None:
    before = digest_of(old)
    lost = [given for given in snapshot.register.approvals_of(asked) if given.digest == before]
    if lost and before != asked.digest:
        names = listed(given.ref.name for given in lost)
        findings.warn("approvals", "spec", f"this change voids what was approved: {names}; ask for it again")


def _warn_of_prospects(findings: Findings, asked: Acceptance, snapshot: Snapshot, now: datetime) -> None:
    """Say what the policies and the appetite will make of an acceptance: it may be written all the same.

    They can change while it exists, so that a denial now would promise what it can't hold.
    """
    told: dict[str, list[str]] = {}
    for position, named in enumerate(asked.policies):
        policy = policy_of(asked, position, snapshot)
        if policy is None:
            reason = "no such policy is enforced, so that it accepts nothing"
            told.setdefault(reason, []).append(f"{named.kind} {named.name}")
            continue
        unknown = sorted(named.validations - {validation.name for validation in policy.validations})
        if unknown:
            reason = f"the policy has no validation {listed(unknown)}"
            told.setdefault(reason, []).append(str(policy.ref))
        now_for = snapshot.register.standing(asked, policy, now)
        if now_for.state in (State.REFUSED, State.REVOKED, State.EXPIRED):
            told.setdefault(f"not in force: {now_for.reason}", []).append(str(policy.ref))
        elif now_for.until < asked.valid_until:
            reason = f"it ends at {format_time(now_for.until)}, before spec.validUntil: no longer is allowed"
            told.setdefault(reason, []).append(str(policy.ref))
    for reason, policies in told.items():
        findings.warn("prospects", "spec.policies", f"for {listed(policies)}: {reason}")


def _only_revokes(old: Mapping[str, Any], new: Mapping[str, Any]) -> bool:
    """Tell whether an update takes an acceptance back and changes nothing else, as any writer may."""
    before, after = dict(map_in(old, "spec", "spec")), dict(map_in(new, "spec", "spec"))
    return "revoked" not in before and after.pop("revoked", None) is not None and before == after

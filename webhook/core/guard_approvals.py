"""The guard of RiskApproval and ClusterRiskApproval: the approver is who writes it, of what is there now."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

from webhook.core.acceptance import Acceptance
from webhook.core.approvals import Approval, is_person
from webhook.core.guard_findings import Findings, judge_applier, listed, policy_of
from webhook.core.model import Severity
from webhook.core.policy import CompiledPolicy
from webhook.core.snapshot import Snapshot
from webhook.core.standing import counted_approvals, severity_for
from webhook.core.times import format_time

WRITTEN_WITHIN = timedelta(minutes=15)
"""An approval says when it was given; the person who gives it writes it then."""
SKEW = timedelta(seconds=30)

ReadApproval = Callable[[Mapping[str, Any]], Approval]
"""Returns the approval in a manifest, its signature verified; raises ValueError when it can't be read."""


def judge_approval(findings: Findings, snapshot: Snapshot, now: datetime, read: ReadApproval) -> None:
    """Judge a write to an approval; raises ValueError when it can't be read."""
    operation = findings.request.operation
    if operation == "UPDATE":
        findings.deny("unchanging", "spec", "an approval never changes: delete it and give a new one")
    if operation != "CREATE":
        return
    given = read(findings.object)
    if not is_person(given.approver):
        findings.deny("approver", "spec.approver", f"{given.approver} is no person: name who approves")
    elif given.signed:  # it says who approves, whoever brings it
        if given.signature_problem:
            findings.deny("signature", "spec.signature", f"does not hold: {given.signature_problem}")
    elif given.applied_by:
        judge_applier(findings, given.applied_by, given.ref.namespace, snapshot.register.appetite)
    else:
        _judge_approver(findings, given, snapshot, now)
    asked = snapshot.register.acceptance(given.approves)
    if asked is None:
        findings.lacks(given.ref.namespace, given.acceptance)
        findings.warn(
            "acceptance",
            "spec.riskAcceptance",
            f"there is no {given.approves.kind} {given.acceptance} yet for it to count for",
        )
        return
    _judge_fit(findings, given, asked, snapshot, now)


def _judge_approver(findings: Findings, given: Approval, snapshot: Snapshot, now: datetime) -> None:
    user = findings.user
    if given.approver != user:
        advice = "each gives their own"
        if not is_person(user):
            advice = f"what a service account brings is signed, or says spec.appliedBy: {user}"
        findings.deny(
            "approver", "spec.approver", f"must be {user}, who writes this, not {given.approver}: {advice}"
        )
    foreign = sorted(given.groups - findings.groups)
    if foreign:
        findings.deny("groups", "spec.groups", f"{user} is not in {listed(foreign)}")
    latest, earliest = snapshot.register.surroundings.clocks(now)
    if given.approved_at > latest + SKEW:
        findings.deny("approved-at", "spec.approvedAt", f"lies in the future: it is {format_time(now)}")
    elif given.approved_at < earliest - WRITTEN_WITHIN:
        findings.deny(
            "approved-at",
            "spec.approvedAt",
            f"lies too far back: an approval is given when it is written, now {format_time(now)}",
        )


def _judge_fit(
    findings: Findings, given: Approval, asked: Acceptance, snapshot: Snapshot, now: datetime
) -> None:
    """Judge an approval beside the acceptance that it is for."""
    known = snapshot.register.appetite
    if given.digest != asked.digest:
        findings.lacks(given.ref.namespace, given.acceptance)
        now_has = f"{asked.ref.kind} {asked.ref} now has {asked.digest}"
        if given.signed or given.applied_by:
            # What brings both tries them one by one before it writes any, as Flux does.
            findings.warn("digest", "spec.digest", f"{now_has}: this counts once the acceptance says it")
        else:
            findings.deny("digest", "spec.digest", f"{now_has}: read it again, approve what it says now")
        return
    person = known.person if known is not None else str
    if person(given.approver) == person(asked.requester):
        findings.deny(
            "own-request",
            "spec.approver",
            f"{given.approver} asked for {asked.ref.kind} {asked.ref}: another person must approve it",
        )
        return
    policies = [policy_of(asked, position, snapshot) for position in range(len(asked.policies))]
    if given.applied_by and not given.signed:
        _judge_applier_limits(findings, given, asked, snapshot, policies)
        if not findings.verdict().allowed:
            return
    if known is None:
        findings.warn("prospects", "spec", "it counts once a RiskAppetite named default is applied")
        return
    told: dict[str, None] = {}
    around = snapshot.register.surroundings
    at = now if given.signed else max(now, given.approved_at)  # by a clock that is a little ahead of ours
    for policy in filter(None, policies):
        rule = known.rule_for(severity_for(asked, policy), break_glass=asked.break_glass)
        if rule is not None and rule.acceptable:
            counted = counted_approvals(asked, [given], policy, rule, around, at)
            told.update(dict.fromkeys(counted.refused))
    for refused in told:
        findings.warn("prospects", "spec", refused)


def _judge_applier_limits(
    findings: Findings,
    given: Approval,
    asked: Acceptance,
    snapshot: Snapshot,
    policies: Iterable[CompiledPolicy | None],
) -> None:
    grave = sorted(
        str(each.ref) for each in policies if each is not None and severity_for(asked, each) >= Severity.HIGH
    )
    if grave:
        findings.deny(
            "applier",
            "spec.appliedBy",
            f"no applier vouches for an approval of high or critical risks, as {listed(grave)}: sign it",
        )
    others = [
        each.ref.name
        for each in snapshot.register.approvals_of(asked)
        if each.applied_by and not each.signed and each.digest == given.digest and each.ref != given.ref
    ]
    if others:
        findings.deny(
            "applier",
            "spec.appliedBy",
            f"appliers vouch for one approval of an acceptance, here {listed(others)}: sign the others",
        )

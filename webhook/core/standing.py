"""The one function that says whether a risk acceptance is in force at a time.

Webhook, check, audit, forecast and every command ask `standing`. Expiry is decided when a request is judged,
never by a timer.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from webhook.core.acceptance import Acceptance
from webhook.core.appetite import Appetite, AppetiteRule
from webhook.core.approvals import Approval, is_person
from webhook.core.counting import Count, count
from webhook.core.model import Severity
from webhook.core.policy import AcceptanceLimits, CompiledPolicy
from webhook.core.provenance import Case, Evidence
from webhook.core.times import format_time, later


class State(enum.Enum):
    """Where an acceptance stands at one moment."""

    ACTIVE = "Active"
    PENDING = "Pending"
    EXPIRED = "Expired"
    REVOKED = "Revoked"
    REFUSED = "Refused"


@dataclass(frozen=True, slots=True)
class Standing:
    """What `standing` says.

    Attributes:
        state: in force only when ACTIVE.
        until: when it ends or ended, after every cap.
        reason: what is missing, for a person; empty when active.
        approvers: whose approvals count.
        required: how many approvals it needs.
        since: when it came into force; None where it never did.
    """

    state: State
    until: datetime
    reason: str = ""
    approvers: tuple[str, ...] = ()
    required: int = 1
    since: datetime | None = None

    @property
    def was_in_force(self) -> bool:
        """It is or once was in force."""
        return self.state in (State.ACTIVE, State.EXPIRED, State.REVOKED)


_BEST_FIRST = (State.REVOKED, State.ACTIVE, State.PENDING, State.REFUSED, State.EXPIRED)


def best(standings: Iterable[Standing]) -> Standing | None:
    """Return the one that speaks for an acceptance of several policies; None of none.

    A revocation is of all of them; else an acceptance is in force where it is for one of its policies.
    """
    return min(standings, key=lambda each: _BEST_FIRST.index(each.state), default=None)


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the standing of every acceptance depends on.

    Attributes:
        appetite: the RiskAppetite named ``default``; None where there is none.
        trust_approvals: an approval without a signature counts: the API server brought it.
        cluster: this cluster's name; empty when unknown.
        clock_skew: the API server's clock minus our own.
        guarded_since: since when every writer of the risk kinds is judged by who they are; None where that
            bounds nothing.
        revocations: when the acceptance of a digest was last revoked, as the cluster remembers it though the
            acceptance may be gone.
    """

    appetite: Appetite | None = None
    trust_approvals: bool = False
    cluster: str = ""
    clock_skew: timedelta = timedelta()
    guarded_since: datetime | None = None
    revocations: Mapping[str, datetime] = field(default_factory=dict)

    def clocks(self, at: datetime) -> tuple[datetime, datetime]:
        """Return what the later and the earlier of both clocks show when our own shows `at`."""
        none = timedelta()
        return at + max(self.clock_skew, none), at + min(self.clock_skew, none)


def standing(
    acceptance: Acceptance,
    approvals: Sequence[Approval],
    policy: CompiledPolicy,
    surroundings: Surroundings,
    at: datetime,
) -> Standing:
    """Say whether an acceptance of a policy's violations is in force at a time.

    The smallest of the policy's, the appetite's and the acceptance's own window holds, and an approval counts
    until the longest duration after it was given. For expiry the later of both clocks counts, for its start
    the earlier. The appetite's rule is the one for the policy's severity, or for the one that the acceptance
    names where that is higher: a policy that became weaker doesn't make weaker approvals enough.

    Args:
        acceptance: the acceptance.
        approvals: every approval that names it.
        policy: the policy whose violations it may cover.
        surroundings: appetite, cluster and clocks.
        at: the moment, with its zone.
    """
    appetite, limits = surroundings.appetite, policy.limits
    until = acceptance.valid_until
    if appetite is None:
        return Standing(State.REFUSED, until, "no RiskAppetite named default is applied")
    if acceptance.digest in appetite.revoked:
        return Standing(State.REVOKED, until, "the RiskAppetite revokes its digest")
    if acceptance.revoked:
        return Standing(State.REVOKED, until, "it was revoked")
    if acceptance.clusters and surroundings.cluster not in acceptance.clusters:
        name = surroundings.cluster or "of unknown name (say it with --cluster)"
        return Standing(State.REFUSED, until, f"it does not hold in the cluster {name}")
    if not is_person(acceptance.requester):
        return Standing(State.REFUSED, until, f"its requester {acceptance.requester} is no person")
    if not limits.allowed:
        return Standing(State.REFUSED, until, "the policy allows no risk acceptance")
    if limits.max_renewals is not None and acceptance.renewal > limits.max_renewals:
        reason = f"it is renewal {acceptance.renewal}, and the policy allows {limits.max_renewals}"
        return Standing(State.REFUSED, until, reason)
    severity = severity_for(acceptance, policy)
    rule = appetite.rule_for(severity, break_glass=acceptance.break_glass)
    if rule is None or not rule.acceptable:
        emergency = " in an emergency" if acceptance.break_glass else ""
        return Standing(State.REFUSED, until, f"the RiskAppetite accepts no {severity} risk{emergency}")
    missing = _missing(acceptance, limits, rule)
    if missing:
        return Standing(State.REFUSED, until, f"it must fill in {', '.join(missing)}")
    longest = min((d for d in (limits.max_duration, rule.max_duration) if d), default=None)
    required = rule.approvals if acceptance.break_glass else max(limits.approvals, rule.approvals)
    latest, earliest = surroundings.clocks(at)
    if longest:
        until = min(until, later(acceptance.valid_from, longest))
    counted = counted_approvals(acceptance, approvals, policy, rule, surroundings, at)
    approved = len(counted.counting) >= required
    since = None
    if approved:
        until = min(until, _approved_until(counted, required, longest))
        since = _since(acceptance, counted, required)
    state, reason = _state(acceptance, counted, required, until, latest, earliest, since)
    approvers = tuple(each.approval.approver for each in counted.counting)
    in_force = since if since is not None and since < until else None
    return Standing(state, until, reason, approvers, required, in_force)


def turns(
    acceptance: Acceptance,
    approvals: Sequence[Approval],
    policy: CompiledPolicy,
    surroundings: Surroundings,
) -> Sequence[datetime]:
    """Return every moment at which `standing` may begin to say something else, in order."""
    appetite = surroundings.appetite
    durations = [policy.limits.max_duration]
    moments = {acceptance.valid_from, acceptance.valid_until}
    if appetite is not None:
        rules = (*appetite.rules, *([appetite.break_glass] if appetite.break_glass else []))
        durations += [rule.max_duration for rule in rules]
        moments.update(signer.revoked_at for signer in appetite.signers if signer.revoked_at)
    moments.update(approval.approved_at for approval in approvals)
    longest = {duration for duration in durations if duration is not None}
    moments.update([later(moment, duration) for moment in moments for duration in longest])
    none = timedelta()
    skews = {max(surroundings.clock_skew, none), min(surroundings.clock_skew, none)}
    return sorted({later(moment, -skew) for moment in moments for skew in skews})


def severity_for(acceptance: Acceptance, policy: CompiledPolicy) -> Severity:
    """Return how bad violations of a policy are taken to be: at least as bad as the acceptance says."""
    named = acceptance.severity_of(policy.ref)
    return policy.severity if named is None else max(named, policy.severity)


def counted_approvals(
    acceptance: Acceptance,
    approvals: Sequence[Approval],
    policy: CompiledPolicy,
    rule: AppetiteRule,
    surroundings: Surroundings,
    at: datetime,
) -> Count:
    """Return which approvals of an acceptance count at a moment, by a rule of the appetite that is there."""
    appetite = surroundings.appetite
    assert appetite is not None  # noqa: S101 - it has the rule
    latest, earliest = surroundings.clocks(at)
    case = Case(
        digest=acceptance.digest,
        requester=acceptance.requester,
        severity=severity_for(acceptance, policy),
        rule=rule,
        appetite=appetite,
        evidence=Evidence(
            trusted=surroundings.trust_approvals,
            claimed=bool(acceptance.applied_by),
            created=acceptance.created,
            guarded_since=surroundings.guarded_since,
            policy_created=policy.created,
            severity_named=acceptance.severity_of(policy.ref) is not None,
            revoked=surroundings.revocations.get(acceptance.digest),
        ),
        earliest=earliest,
        latest=latest,
    )
    return count(approvals, case)


def _missing(acceptance: Acceptance, limits: AcceptanceLimits, rule: AppetiteRule) -> list[str]:
    wanted = dict.fromkeys(rule.required)
    if limits.require_ticket:
        wanted["ticket"] = None
    if limits.require_compensating_controls:
        wanted["compensatingControls"] = None
    return [f"spec.{name}" for name in wanted if name not in acceptance.filled]


def _approved_until(counted: Count, required: int, longest: timedelta | None) -> datetime:
    """Return until when enough approvals count: each for the longest duration, and while its key holds."""
    never = datetime.max.replace(tzinfo=UTC)
    ends = [
        min(
            later(each.approval.approved_at, longest) if longest is not None else never,
            each.revoked_at or never,
        )
        for each in counted.counting
    ]
    return sorted(ends, reverse=True)[required - 1] if required else never


def _since(acceptance: Acceptance, counted: Count, required: int) -> datetime:
    """Return since when it is in force: no window that starts before its approvals makes it older."""
    came = sorted(each.since for each in counted.counting)[:required]
    return max([acceptance.valid_from, acceptance.created or acceptance.valid_from, *came])


def _state(
    acceptance: Acceptance,
    counted: Count,
    required: int,
    until: datetime,
    latest: datetime,
    earliest: datetime,
    since: datetime | None,
) -> tuple[State, str]:
    if since is None:
        have = len(counted.counting)
        why = f": {'; '.join(counted.refused)}" if counted.refused else ""
        # It was approved once: what it covered must not pass as if it had always been there.
        if have + len(counted.voided) >= required:
            return State.REVOKED, f"it has {have} of {required} approvals that count{why}"
        return State.PENDING, f"it has {have} of {required} approvals that count{why}"
    if latest >= until:
        cap = (
            "" if until == acceptance.valid_until else f", capped from {format_time(acceptance.valid_until)}"
        )
        never = ", before it was approved: it was never in force" if since >= until else ""
        return State.EXPIRED, f"it ended at {format_time(until)}{cap}{never}"
    if earliest < acceptance.valid_from:
        return State.PENDING, f"it starts at {format_time(acceptance.valid_from)}"
    return State.ACTIVE, ""

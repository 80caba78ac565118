"""How an acceptance and its approvals came, and what that leaves of an approval that is otherwise right."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from webhook.core.appetite import Appetite, AppetiteRule
from webhook.core.approvals import Approval
from webhook.core.model import Severity
from webhook.core.times import format_time, later

_BROUGHT_TOGETHER = timedelta(minutes=10)
"""What is brought in one go may come in any order: so much later may be what an approval is for."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """What is known of how an acceptance and its approvals came.

    Attributes:
        trusted: the API server brought them; else an unsigned approval doesn't count.
        claimed: a service account brought the acceptance, so that its requester is a claim.
        created: when the API server created the acceptance; None in files.
        guarded_since: since when every writer's identity is judged; None where that bounds nothing.
        policy_created: when the API server created the policy; None in files.
        severity_named: the acceptance says how severe it takes the policy to be.
        revoked: when one that said the same was last revoked; None where none is known of.
    """

    trusted: bool
    claimed: bool = False
    created: datetime | None = None
    guarded_since: datetime | None = None
    policy_created: datetime | None = None
    severity_named: bool = False
    revoked: datetime | None = None

    def unguarded(self, created: datetime | None) -> bool:
        """Tell whether what was created then may have been written without anybody judging by whom."""
        since = self.guarded_since
        return since is not None and (created is None or created <= since)


@dataclass(frozen=True, slots=True)
class Case:
    """What approvals are counted for.

    Attributes:
        digest: the acceptance's present one.
        requester: who asked for the acceptance.
        severity: the one that the rule is for.
        rule: the appetite's rule.
        appetite: whose keys, appliers and names of people hold.
        evidence: what is known of how the acceptance and its approvals came.
        earliest: the moment, by the clock that is behind: approvals count from then on.
        latest: the moment, by the clock that is ahead: keys are revoked from then on.
    """

    digest: str
    requester: str
    severity: Severity
    rule: AppetiteRule
    appetite: Appetite
    evidence: Evidence
    earliest: datetime
    latest: datetime


def unproven(approval: Approval, case: Case) -> str:
    """Say what is missing from the evidence that the approver gave an unsigned approval.

    The guard compared approver, groups and `applied_by` with the authenticated user when it was written.
    """
    evidence, applier = case.evidence, approval.applied_by
    if applier and case.severity >= Severity.HIGH:
        return f"no applier vouches for an approval of a {case.severity} risk: it needs a signature"
    if applier and not case.appetite.trusts(applier, approval.ref.namespace):
        return (
            f"the RiskAppetite lists no {applier} for the namespace {approval.ref.namespace} under "
            "spec.trustedAppliers"
        )
    if evidence.claimed and not applier:
        return (
            "a service account brought the acceptance, so that nobody knows who asked: it needs a signature, "
            "or a trusted applier"
        )
    if not evidence.trusted:
        return "it has no signature, and files don't say who wrote them (--trust-approvals if a cluster does)"
    if evidence.unguarded(approval.created):
        return "it came before the guard that is in place now: give it anew"
    if evidence.unguarded(evidence.created):
        return "the acceptance came before the guard that is in place now: write and approve it anew"
    return ""


def taken_back(approval: Approval, evidence: Evidence) -> str:
    """Say that what was approved was revoked since: a yes from before is none to bring it again."""
    revoked = evidence.revoked
    if revoked is None or _given(approval) > revoked:
        return ""
    again = "sign it anew" if approval.signed else "give it anew"
    return f"what it approves was revoked at {format_time(revoked)}: {again}"


def _given(approval: Approval) -> datetime:
    """Return when an approval was given: anybody may bring once more what somebody else gave."""
    brought = approval.signed or approval.applied_by
    return approval.approved_at if brought or approval.created is None else approval.created


def outlived(approval: Approval, evidence: Evidence) -> str:
    """Say what was deleted and made again after an approval came, so that nobody approved what is there now.

    An acceptance may have been revoked before, and a policy may be weaker than the one that was approved; the
    digest can't tell. An acceptance that names the severity has a digest that says what signers took it for.
    """
    if approval.created is None:
        return ""
    brought = approval.signed or approval.applied_by
    came = later(approval.created, _BROUGHT_TOGETHER) if brought else approval.created
    again = "delete it and apply it again" if brought else "give it anew"
    if evidence.created is not None and came < evidence.created:
        return f"the acceptance was deleted and made again at {format_time(evidence.created)}: {again}"
    if evidence.policy_created is None or (approval.signed and evidence.severity_named):
        return ""
    if _given(approval) < evidence.policy_created:
        since = format_time(evidence.policy_created)
        return f"it was given before the policy was made, or made again, at {since}: {_once_more(approval)}"
    return ""


def _once_more(approval: Approval) -> str:
    if approval.signed:
        return "sign it anew, best with the severity named in spec.policies of the acceptance"
    return "give it anew"

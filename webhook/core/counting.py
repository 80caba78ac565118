"""Which approvals of an acceptance count, by which route, and why the others don't.

`count` is the one place that decides it. An approval comes by one of three routes: its approver wrote it to
the cluster (ClusterUser), a key of theirs signed it (Signature), or a service account that the RiskAppetite
lists vouches for it (TrustedApplier).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from webhook.core.appetite import (
    CLUSTER_USER,
    SIGNATURE,
    TRUSTED_APPLIER,
    Appetite,
    AppetiteRule,
    Signer,
)
from webhook.core.approvals import Approval, is_person
from webhook.core.model import PolicyRef, Severity
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


@dataclass(frozen=True, slots=True)
class Counted:
    """One person's approval that counts.

    Attributes:
        approval: the newest of this person's, which holds longest.
        since: when the first of them was there.
        revoked_at: when its key stops to count; None where nothing says so.
    """

    approval: Approval
    since: datetime
    revoked_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Count:
    """Which approvals count, at most one for each person, and why the others don't.

    Attributes:
        counting: those that count.
        refused: why the others don't.
        voided: people whose approval counted until their key was revoked.
        why: why each of the others doesn't, without its name.
    """

    counting: tuple[Counted, ...]
    refused: tuple[str, ...]
    voided: frozenset[str] = frozenset()
    why: Mapping[PolicyRef, str] = field(default_factory=dict)


def count(approvals: Sequence[Approval], case: Case) -> Count:
    """Return the approvals that count.

    Args:
        approvals: every approval that names the acceptance.
        case: what they are counted for.
    """
    counting: dict[str, Counted] = {}
    why_not: dict[PolicyRef, str] = {}
    vouched: list[Approval] = []
    voided: set[str] = set()
    for approval in sorted(approvals, key=lambda approval: (approval.approved_at, approval.ref)):
        signer = _signer_of(approval, case)
        why = _problem(approval, signer, case)
        if why:
            why_not[approval.ref] = why
            if _counted_once(approval, case):
                voided.add(case.appetite.person(approval.approver))
        elif route_of(approval) == TRUSTED_APPLIER:
            vouched.append(approval)
        else:
            _add(counting, approval, case, signer.revoked_at if isinstance(signer, Signer) else None)
    _add_vouched(counting, vouched, case, why_not)
    refused = tuple(f"{ref.kind} {ref.name} does not count: {why}" for ref, why in why_not.items())
    return Count(tuple(counting.values()), refused, frozenset(voided - counting.keys()), why_not)


def _counted_once(approval: Approval, case: Case) -> bool:
    """Tell whether a signed approval would count at the moment before its key was revoked."""
    revoked_at = _revoked_at(_listed(approval, case))
    if revoked_at is None or not approval.approved_at < revoked_at <= case.latest:
        return False
    before = replace(case, latest=revoked_at - timedelta(microseconds=1))
    return not _problem(approval, _signer_of(approval, before), before)


def route_of(approval: Approval) -> str:
    """Return by which route an approval would count."""
    if approval.signed:
        return SIGNATURE
    return TRUSTED_APPLIER if approval.applied_by else CLUSTER_USER


def key_fingerprint(public_key: str) -> str:
    """Return a public key's fingerprint as ``ssh-keygen -l`` prints it."""
    try:
        blob = base64.b64decode(public_key.partition(" ")[2], validate=True)
    except (binascii.Error, ValueError):
        return public_key
    return "SHA256:" + base64.b64encode(hashlib.sha256(blob).digest()).decode("ascii").rstrip("=")


def _add(counting: dict[str, Counted], approval: Approval, case: Case, revoked_at: datetime | None) -> None:
    person = case.appetite.person(approval.approver)
    came = max(approval.approved_at, approval.created or approval.approved_at)
    known = counting.get(person)
    counting[person] = Counted(approval, min(came, known.since) if known else came, revoked_at)


def _add_vouched(
    counting: dict[str, Counted], vouched: Sequence[Approval], case: Case, why_not: dict[PolicyRef, str]
) -> None:
    """Add the one approval that appliers may vouch for: the newest of somebody who doesn't count already."""
    needed = [each for each in vouched if case.appetite.person(each.approver) not in counting]
    if not needed:
        return
    newest = needed[-1]
    _add(counting, newest, case, None)
    one = case.appetite.person(newest.approver)
    for each in needed:
        if case.appetite.person(each.approver) != one:
            why_not[each.ref] = (
                f"appliers vouch for one approval of an acceptance, here {newest.ref.name}: sign it"
            )


def _problem(approval: Approval, signer: Signer | str | None, case: Case) -> str:
    """Say why an approval doesn't count; empty where it does."""
    if isinstance(signer, str):
        return signer
    route = route_of(approval)
    if route not in case.rule.routes:
        return f"a {case.severity} risk needs an approval by {' or '.join(sorted(case.rule.routes))}"
    return (
        ("" if route == SIGNATURE else _evidence(approval, case))
        or _taken_back(approval, case.evidence)
        or _outlived(approval, case.evidence)
        or _standing_of_approver(approval, signer, case)
        or ("it was given for another version of the acceptance" if approval.digest != case.digest else "")
        or (
            f"it counts from {format_time(approval.approved_at)}"
            if approval.approved_at > case.earliest
            else ""
        )
    )


def _signer_of(approval: Approval, case: Case) -> Signer | str | None:
    """Return whose key signed an approval, or why that doesn't count; None where it isn't signed."""
    if not approval.signed:
        return None
    if not approval.signed_by:
        return f"its signature does not hold: {approval.signature_problem or 'nobody verified it'}"
    key = key_fingerprint(approval.signed_by)
    known = _listed(approval, case)
    if not known:
        return f"the RiskAppetite lists no key {key} under spec.signers"
    revoked_at = _revoked_at(known)
    if revoked_at is not None and revoked_at <= case.latest:
        return f"its key {key} was revoked at {format_time(revoked_at)}"
    person = case.appetite.person
    own = [signer for signer in known if person(signer.approver) == person(approval.approver)]
    if not own:
        return f"its key {key} is {known[0].approver}'s, not {approval.approver}'s"
    given = approval.approved_at
    for signer in own:
        if (signer.valid_from is None or signer.valid_from <= given) and (
            signer.valid_until is None or given <= signer.valid_until
        ):
            return signer
    return (
        f"it says that it was given at {format_time(given)}, and its key {key} was valid {_validity(own[0])}"
    )


def _listed(approval: Approval, case: Case) -> list[Signer]:
    """Return every entry of the appetite for the key that signed an approval."""
    return [signer for signer in case.appetite.signers if signer.public_key == approval.signed_by]


def _revoked_at(entries: Sequence[Signer]) -> datetime | None:
    """Return since when a key counts no more, wherever it is listed; None where it still does."""
    return min((entry.revoked_at for entry in entries if entry.revoked_at is not None), default=None)


def _validity(signer: Signer) -> str:
    parts = (("from", signer.valid_from), ("until", signer.valid_until))
    return " ".join(f"{word} {format_time(moment)}" for word, moment in parts if moment is not None)


def _evidence(approval: Approval, case: Case) -> str:
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


def _taken_back(approval: Approval, evidence: Evidence) -> str:
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


def _outlived(approval: Approval, evidence: Evidence) -> str:
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


def _standing_of_approver(approval: Approval, signer: Signer | None, case: Case) -> str:
    person = case.appetite.person
    if not is_person(approval.approver):
        return f"{approval.approver} is no person"
    if person(approval.approver) == person(case.requester):
        return f"{approval.approver} asked for the acceptance"
    # Of a signer nothing is taken from the approval: its groups aren't signed.
    name, groups = (signer.approver, signer.groups) if signer else (approval.approver, approval.groups)
    if name not in case.rule.users and not groups & case.rule.groups:
        return f"{approval.approver} is none of the approvers that the RiskAppetite names"
    return ""

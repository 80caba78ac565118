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

from webhook.core.appetite import CLUSTER_USER, SIGNATURE, TRUSTED_APPLIER, Signer
from webhook.core.approvals import Approval, is_person
from webhook.core.model import PolicyRef
from webhook.core.provenance import Case, outlived, taken_back, unproven
from webhook.core.times import format_time


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
        ("" if route == SIGNATURE else unproven(approval, case))
        or taken_back(approval, case.evidence)
        or outlived(approval, case.evidence)
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

"""Approvals: who said yes to which digest, and which of them count.

`count` is the one place that decides it. An approval that carries a signature needs its signature verified,
which nothing here does yet: it never counts, so that a signature can't be mistaken for one that was checked.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from webhook.core.appetite import Appetite, AppetiteRule
from webhook.core.fields import created_of, map_in, metadata_of, texts
from webhook.core.model import PolicyRef
from webhook.core.times import format_time, parse_time

NAMESPACED = "RiskApproval"
CLUSTER = "ClusterRiskApproval"


@dataclass(frozen=True, slots=True)
class Approval:
    """A RiskApproval or ClusterRiskApproval, parsed.

    Attributes:
        ref: its kind, namespace and name.
        acceptance: the name of the acceptance it is for, in the same namespace.
        digest: of that acceptance as the approver saw it.
        approver: who approves.
        groups: those of the approver's groups that count.
        approved_at: when.
        signed: it carries a signature.
        applied_by: the service account that brought it; empty where the approver wrote it.
        created: when the API server created it; None in files.
        signed_by: the public key that made its signature; empty where there is none, or none that holds.
        signature_problem: why its signature doesn't hold; empty where it does.
    """

    ref: PolicyRef
    acceptance: str
    digest: str
    approver: str
    groups: frozenset[str]
    approved_at: datetime
    signed: bool
    applied_by: str = ""
    created: datetime | None = None
    signed_by: str = ""
    signature_problem: str = ""

    @property
    def approves(self) -> PolicyRef:
        """The acceptance that it is for."""
        kind = self.ref.kind.replace("Approval", "Acceptance")
        return PolicyRef(kind, self.ref.namespace, self.acceptance)


def parse_approval(obj: Mapping[str, Any]) -> Approval:
    """Return the approval in a manifest.

    Raises:
        ValueError: a field is missing or can't be read; the text says which.
    """
    metadata, spec = metadata_of(obj), map_in(obj, "spec", "spec")
    for name in ("riskAcceptance", "digest", "approver", "approvedAt"):
        if not isinstance(spec.get(name), str) or not spec[name].strip():
            raise ValueError(f"spec.{name}: is missing")
    kind = str(obj.get("kind"))
    try:
        approved_at = parse_time(spec["approvedAt"])
    except ValueError as error:
        raise ValueError(f"spec.approvedAt: {error}") from None
    return Approval(
        ref=PolicyRef(
            kind,
            str(metadata.get("namespace") or "default") if kind == NAMESPACED else "",
            str(metadata.get("name", "")),
        ),
        acceptance=spec["riskAcceptance"],
        digest=spec["digest"],
        approver=spec["approver"],
        groups=frozenset(texts(spec, "groups", "spec")),
        approved_at=approved_at,
        signed=spec.get("signature") is not None,
        applied_by=str(spec.get("appliedBy") or ""),
        created=created_of(obj),
    )


@dataclass(frozen=True, slots=True)
class Evidence:
    """What is known of how an acceptance and its approvals came.

    Attributes:
        trusted: the API server brought them; else an unsigned approval doesn't count.
        claimed: a service account brought the acceptance, so that its requester is a claim.
        created: when the API server created the acceptance; None in files.
        guarded_since: since when every writer's identity is judged; None where that bounds nothing.
    """

    trusted: bool
    claimed: bool = False
    created: datetime | None = None
    guarded_since: datetime | None = None

    def unguarded(self, created: datetime | None) -> bool:
        """Tell whether what was created then may have been written without anybody judging by whom."""
        since = self.guarded_since
        return since is not None and (created is None or created <= since)


@dataclass(frozen=True, slots=True)
class Count:
    """Which approvals count, at most one for each person, and why the others don't."""

    counting: tuple[Approval, ...]
    refused: tuple[str, ...]
    at: datetime


def count(
    approvals: Sequence[Approval],
    *,
    digest: str,
    requester: str,
    rule: AppetiteRule,
    appetite: Appetite,
    evidence: Evidence,
    at: datetime,
) -> Count:
    """Return the approvals that count.

    Args:
        approvals: every approval that names the acceptance.
        digest: the acceptance's present one.
        requester: who asked for the acceptance.
        rule: the appetite's rule for the severity.
        appetite: joins one person's several names.
        evidence: what is known of how the acceptance and its approvals came.
        at: the moment.
    """
    counting: dict[str, Approval] = {}
    refused = []
    asking = appetite.person(requester)
    for approval in sorted(approvals, key=lambda approval: (approval.approved_at, approval.ref)):
        person = appetite.person(approval.approver)
        why = (
            _evidence(approval, rule, evidence)
            or _standing_of_approver(approval, person, asking, rule)
            or ("it was given for another version of the acceptance" if approval.digest != digest else "")
            or (f"it counts from {format_time(approval.approved_at)}" if approval.approved_at > at else "")
        )
        if why:
            refused.append(f"{approval.ref.kind} {approval.ref.name} does not count: {why}")
        else:
            counting[person] = approval  # the newest of one person holds longest
    return Count(tuple(counting.values()), tuple(refused), at)


def is_person(user: str) -> bool:
    """Tell whether a user name can be a person's: those of components and service accounts can't."""
    return not user.startswith("system:")


def _evidence(approval: Approval, rule: AppetiteRule, evidence: Evidence) -> str:
    """Say what is missing from the evidence that the approver gave it; empty when it is enough.

    The guard compared approver, groups and `applied_by` with the authenticated user. Signatures, and what a
    trusted applier brings, will be judged here.
    """
    if approval.signed:
        return "signatures are not verified yet"
    if approval.applied_by:
        return f"{approval.applied_by} brought it, and approvals by trusted appliers are not judged yet"
    if evidence.claimed:
        return (
            "a service account brought the acceptance, so that nobody knows who asked: it needs a signature"
        )
    if "ClusterUser" not in rule.routes:
        return f"this severity needs an approval by {' or '.join(sorted(rule.routes))}"
    if not evidence.trusted:
        return "it has no signature, and files don't say who wrote them (--trust-approvals if a cluster does)"
    if evidence.unguarded(approval.created):
        return "it came before the guard that is in place now: give it anew"
    if evidence.unguarded(evidence.created):
        return "the acceptance came before the guard that is in place now: write and approve it anew"
    return ""


def _standing_of_approver(approval: Approval, person: str, asking: str, rule: AppetiteRule) -> str:
    if not is_person(approval.approver):
        return f"{approval.approver} is no person"
    if person == asking:
        return f"{approval.approver} asked for the acceptance"
    if approval.approver not in rule.users and not (approval.groups & rule.groups):
        return f"{approval.approver} is none of the approvers that the RiskAppetite names"
    return ""

"""Approvals: who said yes to which digest. Which of them count, `webhook.core.counting` decides."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from webhook.core.fields import created_of, map_in, metadata_of, texts
from webhook.core.model import PolicyRef
from webhook.core.times import parse_time

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


def is_person(user: str) -> bool:
    """Tell whether a user name can be a person's: those of components and service accounts can't."""
    return not user.startswith("system:")

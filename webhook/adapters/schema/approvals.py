"""RiskApproval and ClusterRiskApproval: one person's yes to one digest of a risk acceptance."""

from __future__ import annotations

from dataclasses import replace

from webhook.adapters.schema.common import applier, digest, groups, person, prose, status, time
from webhook.adapters.schema.types import Column, Kind, Rule, record, text

_SPEC = record(
    "Who approves what. It never changes; deleting the object withdraws the approval.",
    {
        "riskAcceptance": text("The name of the acceptance, of the cluster kind for a ClusterRiskApproval."),
        "digest": digest(
            "The digest of the acceptance as it is approved, as tidewaiter risk digest prints it. Any change "
            "to the acceptance voids the approval."
        ),
        "approver": person(
            "Who approves: a user name that the RiskAppetite's rule lists, or of a group it lists."
        ),
        "groups": groups(
            "Those of the approver's groups that the RiskAppetite's rule lists; the approver must be in each."
        ),
        "appliedBy": applier("approval"),
        "approvedAt": time(
            "When. An approval counts from then on, and for at most the longest duration allowed."
        ),
        "comment": prose("What the approver wants to say."),
        "signature": text(
            "An SSH signature (SSHSIG, namespace tidewaiter.dev) of what `tidewaiter risk statement` prints: "
            "approvedAt, approver and digest. It counts for the key's groups in the RiskAppetite, whoever "
            "brings it; an approval whose signature doesn't hold counts for nothing.",
            longest=16384,
            pattern="^-----BEGIN SSH SIGNATURE-----\\s",
        ),
    },
    required=("riskAcceptance", "digest", "approver", "approvedAt"),
    rules=(Rule("self == oldSelf", "an approval never changes: give a new one", None),),
)

_COLUMNS = (
    Column("Acceptance", ".spec.riskAcceptance", description="What is approved"),
    Column("Approver", ".spec.approver", description="Who approves"),
    Column("Approved at", ".spec.approvedAt", description="When"),
    Column("Digest", ".spec.digest", description="Which version of the acceptance", priority=1),
    Column("Age", ".metadata.creationTimestamp", "date"),
)

RISK_APPROVAL = Kind(
    kind="RiskApproval",
    plural="riskapprovals",
    short_name="rappr",
    namespaced=True,
    description="One person's yes to one version of a RiskAcceptance in this namespace.",
    spec=_SPEC,
    status=status("Where the approval stands. It is information, never evidence."),
    columns=_COLUMNS,
)

CLUSTER_RISK_APPROVAL = replace(
    RISK_APPROVAL,
    kind="ClusterRiskApproval",
    plural="clusterriskapprovals",
    short_name="crappr",
    namespaced=False,
    description="One person's yes to one version of a ClusterRiskAcceptance.",
)

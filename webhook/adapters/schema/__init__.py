"""The one source of truth of the API: every kind's fields, constraints, rules and columns."""

from __future__ import annotations

from webhook.adapters.schema.acceptances import CLUSTER_RISK_ACCEPTANCE, RISK_ACCEPTANCE
from webhook.adapters.schema.appetite import RISK_APPETITE
from webhook.adapters.schema.approvals import CLUSTER_RISK_APPROVAL, RISK_APPROVAL
from webhook.adapters.schema.policies import CLUSTER_POLICY, POLICY
from webhook.adapters.schema.types import Column, Kind, Rule, Schema

KINDS: dict[str, Kind] = {
    kind.kind: kind
    for kind in (
        CLUSTER_POLICY,
        POLICY,
        RISK_ACCEPTANCE,
        CLUSTER_RISK_ACCEPTANCE,
        RISK_APPROVAL,
        CLUSTER_RISK_APPROVAL,
        RISK_APPETITE,
    )
}
"""Every kind of the group by its name, in the order of the documentation."""

__all__ = ["KINDS", "Column", "Kind", "Rule", "Schema"]

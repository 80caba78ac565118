"""What one replica of the control plane knows, gathered when somebody asks for its metrics or its health."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from cryptography import x509

from webhook.operator.metrics import Facts
from webhook.operator.trust import trusted_by_some

if TYPE_CHECKING:
    from webhook.operator.main import Operator

_POLICIES = ("ClusterPolicy", "Policy")
_ACCEPTANCES = ("RiskAcceptance", "ClusterRiskAcceptance")


def gather(operator: Operator) -> Facts:
    """Return what a replica knows now."""
    publisher, leading = operator.publisher, operator.leading
    policies: Counter[tuple[str, ...]] = Counter()
    acceptances: Counter[tuple[str, ...]] = Counter()
    ends: dict[tuple[str, str, str], float] = {}
    for (kind, key), standing in leading.parts.statuses.states.items() if leading is not None else ():
        if kind in _POLICIES:
            policies[kind, standing.state] += 1
        elif kind in _ACCEPTANCES:
            acceptances[kind, standing.state] += 1
            if standing.until is not None:
                ends[kind, *key] = standing.until.timestamp()
    return Facts(
        leader=leading is not None,
        revision=publisher.revision,
        published_at=publisher.published_at,
        publish_failing=bool(publisher.failing),
        contacts=operator.inventory.contacts(),
        clock_skew=operator.clock.skew,
        certificates=_certificates(operator),
        webhook_in_place=leading.parts.webhooks.in_place if leading is not None else None,
        webhook_writes=leading.parts.webhooks.writes if leading is not None else 0,
        workers=[each.revision for each in operator.acknowledgements.live],
        kopf_starts=leading.kopf.starts if leading is not None else 0,
        denials=dict(operator.denials.results),
        policies=policies,
        acceptances=acceptances,
        ends=ends,
        audit=operator.audit.facts if operator.audit is not None else None,
        audit_starts=operator.audit.starts if operator.audit is not None else None,
    )


def _certificates(operator: Operator) -> dict[str, float]:
    """Return when the certificate that is served ends, and the first of the authorities that are trusted."""
    found = {}
    if operator.serving.expires_at:
        found["server"] = operator.serving.expires_at
    configuration = next(iter(operator.configuration.items.values()), None)
    trusted = [x509.load_pem_x509_certificate(pem) for pem in trusted_by_some(configuration).values()]
    if trusted:
        found["authority"] = min(each.not_valid_after_utc.timestamp() for each in trusted)
    return found

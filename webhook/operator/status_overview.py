"""What `tidewaiter status` tells, made from what was read: what is enforced, and what is wrong; pure.

It judges by itself where it can: policies are compiled and acceptances are weighed here, as the data plane
does. The statuses in the cluster say only what can't be known otherwise: whether workers enforce a policy.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from cryptography import x509

from webhook.adapters import snapshots
from webhook.core.appetite import NAME as APPETITE
from webhook.core.appetite import parse_appetite
from webhook.core.model import Action, PolicyRef, capped
from webhook.core.snapshot import Snapshot
from webhook.core.times import format_time
from webhook.operator import status, status_registered
from webhook.operator.impersonators import impersonators
from webhook.operator.live_snapshot import context_of, told_in
from webhook.operator.status_lines import AcceptanceLine, Overview, PolicyLine
from webhook.operator.status_reading import Found
from webhook.operator.status_replicas import add_replicas

ESSENTIAL = ("Lease", "ValidatingWebhookConfiguration", "ClusterPolicy", "Policy")
"""Without these nobody can say that all is well."""

_POLICIES = ("ClusterPolicy", "Policy")
_ACCEPTANCES = ("RiskAcceptance", "ClusterRiskAcceptance")
_WEIGHED = (*_POLICIES, *_ACCEPTANCES, "RiskApproval", "ClusterRiskApproval", "RiskAppetite")
_EXPIRING_SECONDS = 30 * 86400.0


def overview(found: Found, namespace: str) -> Overview:
    """Return what is to be told of what was read.

    Args:
        found: what was read.
        namespace: the installation's.
    """
    made = Overview()
    made.unknown = [f"{kind}: {why}" for kind, why in found.unreadable.items()]
    made.complete = not any(kind in found.unreadable for kind in ESSENTIAL)
    if found.missing:
        kinds = ", ".join(found.missing)
        made.problems.append(f"the cluster has no kinds {kinds}: apply the CRDs of the chart")
    add_replicas(made, found)
    objects = [obj for kind in _WEIGHED for obj in found.objects.get(kind, ())]
    snapshot = snapshots.build(objects, context_of(told_in(found), found))
    _configuration(made, found, snapshot, namespace)
    _policies(made, found, snapshot)
    _acceptances(made, found, snapshot)
    _impersonators(made, found)
    return made


def _action(text: Any) -> str:
    return text if text in {action.value for action in Action} else ""


def _configuration(made: Overview, found: Found, snapshot: Snapshot, namespace: str) -> None:
    if "ValidatingWebhookConfiguration" in found.unreadable:
        return
    live = found.configuration
    if live is None:
        made.problems.append("there is no webhook configuration: the API server asks nobody")
        return
    entries = live.get("webhooks") or ()
    made.configuration = {
        "name": live["metadata"]["name"],
        "entries": [{"name": e.get("name"), "failurePolicy": e.get("failurePolicy")} for e in entries],
        "authorities": _authorities(made, entries, found.at),
        "otherWriters": status_registered.other_writers(live),
    }
    if made.configuration["otherWriters"]:
        made.notes.append(
            f"the webhook configuration was also written by {', '.join(made.configuration['otherWriters'])}"
        )
    if made.settings and not any(kind in found.unreadable for kind in _POLICIES):
        difference = status_registered.difference(live, snapshot.enforced, made.settings, namespace)
        if difference:
            made.problems.append(f"the webhook configuration is not what the policies want: {difference}")


def _authorities(made: Overview, entries: Sequence[Mapping[str, Any]], now: float) -> list[dict[str, str]]:
    seen: dict[bytes, dict[str, str]] = {}
    for entry in entries:
        try:
            pem = base64.b64decode((entry.get("clientConfig") or {}).get("caBundle") or "", validate=True)
            certificates = x509.load_pem_x509_certificates(pem)
        except ValueError:
            made.problems.append(f"the caBundle of webhook {entry.get('name')} can't be read")
            continue
        for certificate in certificates:
            ends = certificate.not_valid_after_utc
            text = {"subject": certificate.subject.rfc4514_string(), "expires": format_time(ends)}
            if seen.setdefault(certificate.tbs_certificate_bytes, text) is text:
                if ends.timestamp() < now:
                    made.problems.append(f"the authority {text['subject']} has ended {text['expires']}")
                elif ends.timestamp() - now < _EXPIRING_SECONDS:
                    made.notes.append(f"the authority {text['subject']} ends {text['expires']}")
    return list(seen.values())


def _policies(made: Overview, found: Found, snapshot: Snapshot) -> None:
    compiled = {policy.ref: policy for policy in snapshot.policies}
    failed = {failure.ref: failure for failure in snapshot.failures}
    most = Action(_action(made.settings.get("maxAction")) or Action.DENY)
    for kind in _POLICIES:
        for obj in sorted(found.objects.get(kind, ()), key=_place):
            ref = PolicyRef(kind, *_place(obj))
            policy, failure = compiled.get(ref), failed.get(ref)
            own = policy.actions if policy is not None else ()
            actions = capped(own, most)
            reason, message = _enforced(obj, failure.message if failure is not None else "")
            line = PolicyLine(
                *ref,
                actions=tuple(action.value for action in actions),
                capped=actions != own,
                enforced=not reason,
                reason=reason,
                message=message,
            )
            made.policies.append(line)
            if reason:
                made.problems.append(f"{kind} {ref} is not enforced: {message or reason}")


def _place(obj: Mapping[str, Any]) -> tuple[str, str]:
    metadata = obj["metadata"]
    return str(metadata.get("namespace") or ""), str(metadata["name"])


def _enforced(obj: Mapping[str, Any], failure: str) -> tuple[str, str]:
    """Return why a policy is not enforced, as a word and for people; empty where it is."""
    if failure:
        return "CompileError", failure
    fields = obj.get("status") or {}
    condition = status.condition(fields, "Enforced")
    if fields.get("observedGeneration") != obj["metadata"].get("generation") or not condition:
        return "NotObserved", "no control plane has looked at this generation yet"
    if condition.get("status") == "True":
        return "", ""
    return str(condition.get("reason", "")), str(condition.get("message", ""))


def _acceptances(made: Overview, found: Found, snapshot: Snapshot) -> None:
    now = datetime.fromtimestamp(found.at, UTC)
    policies = {policy.ref: policy for policy in snapshot.policies}
    weighed = not any(kind in found.unreadable for kind in _WEIGHED)
    for kind in _ACCEPTANCES:
        for obj in sorted(found.objects.get(kind, ()), key=_place):
            observed = obj.get("status") or {}
            end = None
            if weighed:
                judged = status.acceptance_status(obj, policies, snapshot.register, observed, now)
                observed, end = judged.fields, judged.until
            phase = str(observed.get("phase") or "Unknown")
            active = status.condition(observed, "Active")
            line = AcceptanceLine(
                kind,
                *_place(obj),
                phase=phase,
                until=format_time(end) if end is not None else "",
                expiring=status.condition(observed, "Expiring").get("status") == "True",
                message=str(active.get("message", "")),
            )
            made.acceptances.append(line)
            name = f"{kind} {line.namespace}/{line.name}" if line.namespace else f"{kind} {line.name}"
            if phase in ("Invalid", "Refused"):
                made.problems.append(f"{name} does not hold: {line.message or phase}")
            elif line.expiring:
                made.notes.append(f"{name} ends {line.until or line.message}")


def _impersonators(made: Overview, found: Found) -> None:
    roles, bindings = found.objects.get("ClusterRole"), found.objects.get("ClusterRoleBinding")
    appetites = found.objects.get("RiskAppetite")
    if roles is None or bindings is None or appetites is None:
        return
    made.impersonators = []
    for obj in appetites:
        if obj["metadata"]["name"] == APPETITE:
            try:
                made.impersonators = impersonators(roles, bindings, parse_appetite(obj))
            except (ValueError, TypeError, AttributeError) as error:
                made.problems.append(f"RiskAppetite {APPETITE} can't be used: {error}")

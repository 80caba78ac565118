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
from webhook.core.times import format_time, parse_time
from webhook.operator import replicas, status, status_registered
from webhook.operator.impersonators import impersonators
from webhook.operator.status_lines import AcceptanceLine, Overview, PolicyLine, Replica
from webhook.operator.status_reading import Found

ESSENTIAL = ("Lease", "ValidatingWebhookConfiguration", "ClusterPolicy", "Policy")
"""Without these nobody can say that all is well."""

_POLICIES = ("ClusterPolicy", "Policy")
_ACCEPTANCES = ("RiskAcceptance", "ClusterRiskAcceptance")
_WEIGHED = (*_POLICIES, *_ACCEPTANCES, "RiskApproval", "ClusterRiskApproval", "RiskAppetite")
_SKEW_SECONDS = 30.0
_EXPIRING_SECONDS = 30 * 86400.0
_SILENT_SECONDS = 30.0


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
    _replicas(made, found)
    objects = [obj for kind in _WEIGHED for obj in found.objects.get(kind, ())]
    settings = made.settings
    context = snapshots.Context(
        cluster=str(settings.get("cluster") or ""),
        trust_approvals=True,
        max_action=_action(settings.get("maxAction")),
    )
    snapshot = snapshots.build(objects, context)
    _configuration(made, found, snapshot, namespace)
    _policies(made, found, snapshot)
    _acceptances(made, found, snapshot)
    _impersonators(made, found)
    return made


def _action(text: Any) -> str:
    return text if text in {action.value for action in Action} else ""


def _replicas(made: Overview, found: Found) -> None:
    if "Lease" in found.unreadable:
        return
    for lease in found.objects.get("Lease", ()):
        made.replicas.append(_replica(lease, found.at))
    made.replicas.sort(key=lambda replica: replica.name)
    alive = [replica for replica in made.replicas if replica.alive]
    if not alive:
        made.problems.append("no replica of the control plane has spoken lately: nothing new is enforced")
    for replica in made.replicas:
        if not replica.alive:
            made.problems.append(f"replica {replica.name} has been silent for {replica.silent_seconds:.0f} s")
            continue
        made.problems += [f"replica {replica.name}: {problem}" for problem in replica.problems]
        if not replica.workers:
            made.problems.append(f"replica {replica.name} has no worker that judges")
        if abs(replica.clock_skew_seconds) > _SKEW_SECONDS and not replica.problems:
            made.problems.append(
                f"replica {replica.name}: its clock differs by {replica.clock_skew_seconds:+.0f} s"
            )
        if replica.certificate_expires and _seconds(replica.certificate_expires) < found.at:
            made.problems.append(
                f"replica {replica.name}: its certificate has ended {replica.certificate_expires}"
            )
    leaders = [replica.name for replica in alive if replica.leader]
    if alive and len(leaders) != 1:
        made.problems.append(f"{len(leaders)} replicas lead{': ' if leaders else ''}{', '.join(leaders)}")
    revisions = {each["revision"] for replica in alive for each in replica.workers}
    revisions |= {replica.revision for replica in alive}
    if len(revisions) > 1:
        made.problems.append(
            "not all replicas and workers have the same revision of the policies, as for a moment after a "
            f"change: {', '.join(sorted(each[:12] or 'none' for each in revisions))}"
        )
    _settings(made, found, leaders)


def _settings(made: Overview, found: Found, leaders: Sequence[str]) -> None:
    told = {}
    for lease in found.objects.get("Lease", ()):
        replica = next((each for each in made.replicas if each.name == _name(lease)), None)
        if replica is not None and replica.alive:
            told[replica.name] = _told(replicas.report_of(lease).get("settings"))
    made.settings = next((told[name] for name in (*leaders, *told) if name in told), {})
    if any(each != made.settings for each in told.values()):
        made.problems.append("the replicas were told different settings")
    if made.settings.get("maxAction") in ("Warn", "Audit"):
        made.notes.append(f"no policy does more than {made.settings['maxAction']}: --max-action caps them")
    if made.settings.get("failurePolicy") == "Ignore":
        made.notes.append("failurePolicy Ignore: requests pass while no worker answers")


def _told(settings: Any) -> dict[str, Any]:
    """Return a replica's settings as they should be; nothing of another shape is taken over."""
    if not isinstance(settings, dict):
        return {}
    lists = ("exemptNamespaces", "exemptUsers")
    found: dict[str, Any] = {key: str(value) for key, value in settings.items() if key not in lists}
    for key in lists:
        values = settings.get(key)
        found[key] = [str(value) for value in values] if isinstance(values, list) else []
    return found


def _replica(lease: Mapping[str, Any], now: float) -> Replica:
    spec, report = lease.get("spec") or {}, replicas.report_of(lease)
    silent = max(0.0, now - _seconds(spec.get("renewTime")))
    duration = spec.get("leaseDurationSeconds") or _SILENT_SECONDS
    workers = report.get("workers")
    problems = report.get("problems")
    skew = report.get("clockSkewSeconds")
    return Replica(
        name=_name(lease),
        alive=silent <= float(duration),
        silent_seconds=silent,
        leader=report.get("leader") is True,
        version=str(report.get("version", "")),
        revision=str(report.get("revision", "")),
        workers=tuple(
            {key: str(each.get(key, "")) for key in ("revision", "certificate", "error")}
            for each in (workers if isinstance(workers, list) else ())
            if isinstance(each, dict)
        ),
        clock_skew_seconds=float(skew) if isinstance(skew, int | float) else 0.0,
        certificate_expires=_moment(report.get("certificateExpires")),
        problems=tuple(str(each) for each in (problems if isinstance(problems, list) else ())),
    )


def _moment(seconds: Any) -> str:
    if not isinstance(seconds, int | float) or not seconds:
        return ""
    return format_time(datetime.fromtimestamp(seconds, UTC))


def _name(lease: Mapping[str, Any]) -> str:
    return str(lease["metadata"]["name"]).removeprefix(replicas.PREFIX)


def _seconds(text: Any) -> float:
    try:
        return parse_time(str(text)).timestamp()
    except ValueError:
        return 0.0


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
        difference = status_registered.difference(live, snapshot.policies, made.settings, namespace)
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

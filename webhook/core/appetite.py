"""The RiskAppetite: which risks may be accepted at all, by whom and for how long."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from webhook.core.fields import map_in, maps, texts
from webhook.core.model import Severity
from webhook.core.times import parse_duration, parse_time

NAME = "default"
"""The one RiskAppetite that holds."""

CLUSTER_USER, SIGNATURE, TRUSTED_APPLIER = "ClusterUser", "Signature", "TrustedApplier"
DEFAULT_ROUTES = frozenset({CLUSTER_USER, SIGNATURE})
SHARED_APPLIERS = ("kustomize-controller", "helm-controller", "argocd-application-controller")
"""Service accounts, by name, with which Flux and Argo CD apply every tenant's repository."""
_BREAK_GLASS_DURATION = timedelta(hours=4)
_KEEP_RUNNING_FOR = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class AppetiteRule:
    """What holds for some severities.

    Attributes:
        severities: the severities of policies that it is for.
        acceptable: their violations may be accepted at all.
        max_duration: the longest window; None for no limit of its own.
        approvals: how many approvals by different people.
        groups: approvers are in one of these.
        users: or are one of these.
        routes: by which routes an approval may come.
        required: fields of the acceptance that must be filled.
    """

    severities: frozenset[Severity]
    acceptable: bool = True
    max_duration: timedelta | None = None
    approvals: int = 1
    groups: frozenset[str] = frozenset()
    users: frozenset[str] = frozenset()
    routes: frozenset[str] = DEFAULT_ROUTES
    required: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Signer:
    """An SSH key and whose it is.

    Attributes:
        approver: whose, by a user name.
        groups: those of this person's groups that count.
        public_key: type and base64, without a comment.
        valid_from: what it signed before doesn't count; None for no such bound.
        valid_until: nor what it signed after; None for no such bound.
        revoked_at: from then on nothing counts that it ever signed; None where it isn't revoked.
    """

    approver: str
    groups: frozenset[str]
    public_key: str
    valid_from: datetime | None = None
    valid_until: datetime | None = None
    revoked_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Appetite:
    """A RiskAppetite, parsed.

    Attributes:
        rules: the first that lists a severity holds for it.
        people: a person's name for each of their user names.
        revoked: digests of acceptances that never hold again.
        workload_controllers: users that make Pods from workloads, beside Kubernetes' own.
        keep_running: after expiry a Pod of an unchanged workload may be made again.
        keep_running_for: for how long.
        break_glass: the rule for emergencies; None where there are none.
        appliers: by the user name of a service account that may bring what others wrote, the namespaces.
        administrators: groups that alone may change it; empty where it narrows nothing.
        signers: whose SSH keys count.
    """

    rules: tuple[AppetiteRule, ...]
    people: Mapping[str, str]
    revoked: frozenset[str]
    workload_controllers: frozenset[str]
    keep_running: bool
    keep_running_for: timedelta
    break_glass: AppetiteRule | None
    appliers: Mapping[str, frozenset[str]] = field(default_factory=dict)
    administrators: frozenset[str] = frozenset()
    signers: tuple[Signer, ...] = ()

    def rule_for(self, severity: Severity, *, break_glass: bool = False) -> AppetiteRule | None:
        """Return the rule for a policy's severity; None when such a risk can't be accepted."""
        own = next((rule for rule in self.rules if severity in rule.severities), None)
        if break_glass and own is not None and own.acceptable:
            return self.break_glass
        return own

    def person(self, user: str) -> str:
        """Return who a user name is, so that one person's several names count once."""
        return self.people.get(user, user)

    def trusts(self, user: str, namespace: str) -> bool:
        """Tell whether a service account may bring to a namespace what others wrote."""
        return bool(namespace) and namespace in self.appliers.get(user, ())

    def shared_appliers(self) -> tuple[str, ...]:
        """Return the listed appliers that by their names are Flux's or Argo CD's shared accounts."""
        return tuple(user for user in sorted(self.appliers) if user.rpartition(":")[2] in SHARED_APPLIERS)


def parse_appetite(obj: Mapping[str, Any]) -> Appetite:
    """Return the appetite in a RiskAppetite manifest.

    Raises:
        ValueError: a severity or a duration in it is none.
    """
    spec = map_in(obj, "spec", "spec")
    emergency = map_in(spec, "breakGlass", "spec")
    keep_for = spec.get("keepRunningFor")
    return Appetite(
        rules=tuple(_rule(rule) for rule in maps(spec, "rules", "spec")),
        people={
            user: str(person.get("name"))
            for person in maps(spec, "people", "spec")
            for user in texts(person, "users", "spec.people")
        },
        revoked=frozenset(str(entry.get("digest")) for entry in maps(spec, "revoked", "spec")),
        workload_controllers=frozenset(texts(spec, "workloadControllers", "spec")),
        keep_running=spec.get("afterExpiry", "KeepRunning") == "KeepRunning",
        keep_running_for=parse_duration(keep_for) if keep_for else _KEEP_RUNNING_FOR,
        break_glass=_break_glass(emergency) if emergency else None,
        appliers={
            str(applier.get("user")): frozenset(texts(applier, "namespaces", "spec.trustedAppliers"))
            for applier in maps(spec, "trustedAppliers", "spec")
        },
        administrators=frozenset(
            texts(map_in(spec, "administrators", "spec"), "groups", "spec.administrators")
        ),
        signers=tuple(_signer(signer) for signer in maps(spec, "signers", "spec")),
    )


def _rule(rule: Mapping[str, Any]) -> AppetiteRule:
    where = "spec.rules"
    approvers = map_in(rule, "approvers", where)
    longest = rule.get("maxDuration")
    return AppetiteRule(
        severities=frozenset(map(Severity.parse, texts(rule, "severities", where))),
        acceptable=rule.get("acceptable") is not False,
        max_duration=parse_duration(longest) if longest else None,
        approvals=int(rule.get("approvals", 1)),
        groups=frozenset(texts(approvers, "groups", f"{where}.approvers")),
        users=frozenset(texts(approvers, "users", f"{where}.approvers")),
        routes=frozenset(texts(rule, "routes", where)) or DEFAULT_ROUTES,
        required=texts(rule, "required", where),
    )


def _break_glass(emergency: Mapping[str, Any]) -> AppetiteRule:
    longest = emergency.get("maxDuration")
    return AppetiteRule(
        severities=frozenset(Severity),
        max_duration=parse_duration(longest) if longest else _BREAK_GLASS_DURATION,
        approvals=1,
        groups=frozenset(texts(emergency, "groups", "spec.breakGlass")),
        users=frozenset(texts(emergency, "users", "spec.breakGlass")),
    )


def _signer(signer: Mapping[str, Any]) -> Signer:
    valid_from, valid_until, revoked_at = (
        parse_time(signer[name]) if signer.get(name) else None
        for name in ("validFrom", "validUntil", "revokedAt")
    )
    return Signer(
        approver=str(signer.get("approver")),
        groups=frozenset(texts(signer, "groups", "spec.signers")),
        public_key=" ".join(str(signer.get("publicKey")).split()[:2]),
        valid_from=valid_from,
        valid_until=valid_until,
        revoked_at=revoked_at,
    )

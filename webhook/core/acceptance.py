"""Risk acceptances: what they say, and their digest; whether one is in force, `core.standing` decides."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from webhook.core.digests import placed_digest
from webhook.core.fields import created_of, generation_of, map_in, maps, metadata_of, texts
from webhook.core.model import GroupKind, PolicyRef, Severity
from webhook.core.selectors import Selector
from webhook.core.times import parse_time

NAMESPACED = "RiskAcceptance"
CLUSTER = "ClusterRiskAcceptance"


@dataclass(frozen=True, slots=True)
class AcceptedPolicy:
    """A policy that an acceptance names.

    Attributes:
        kind: its kind.
        name: its name.
        validations: which of its validations; empty for all of them.
        severity: how bad the acceptance takes a violation to be at least; None where it doesn't say.
    """

    kind: str
    name: str
    validations: frozenset[str] = frozenset()
    severity: Severity | None = None


@dataclass(frozen=True, slots=True)
class Scope:
    """What an acceptance is for; every part that is given must match.

    Attributes:
        kinds: API groups and kinds; the version says nothing.
        names: names of objects, with ``*`` for any text.
        selector: on the object's labels.
        namespaces: of a ClusterRiskAcceptance, with ``*`` for any text.
        containers: names of containers.
        images: of containers, with ``*`` for any text.
    """

    kinds: frozenset[GroupKind]
    names: tuple[str, ...]
    selector: Selector
    namespaces: tuple[str, ...]
    containers: frozenset[str]
    images: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Acceptance:
    """A RiskAcceptance or ClusterRiskAcceptance, parsed.

    Attributes:
        ref: its kind, namespace and name.
        digest: what an approval must carry; see `digest_of`.
        generation: of the object; 0 offline.
        policies: what it accepts.
        scope: for which objects.
        clusters: where it holds; empty for everywhere.
        requester: who asked for it.
        valid_from: its first moment.
        valid_until: its last.
        ticket: where it is tracked; may be empty.
        filled: the names of the spec's fields that say something.
        controls: policies that must pass for the same object.
        break_glass: an emergency: the appetite's own short rule holds.
        revoked: it was taken back.
        applied_by: the service account that brought it, so that its requester is a claim; else empty.
        created: when the API server created it; None in files.
        renews: the name of the acceptance that it goes on with; empty for none.
        renewal: which renewal it is; 0 for none.
    """

    ref: PolicyRef
    digest: str
    generation: int
    policies: tuple[AcceptedPolicy, ...]
    scope: Scope
    clusters: frozenset[str]
    requester: str
    valid_from: datetime
    valid_until: datetime
    ticket: str
    filled: frozenset[str]
    controls: tuple[PolicyRef, ...]
    break_glass: bool
    revoked: bool
    applied_by: str = ""
    created: datetime | None = None
    renews: str = ""
    renewal: int = 0

    def severity_of(self, policy: PolicyRef) -> Severity | None:
        """Return how bad it takes a policy's violations to be; None unless it always says so."""
        said = [
            each.severity for each in self.policies if (each.kind, each.name) == (policy.kind, policy.name)
        ]
        named = [severity for severity in said if severity is not None]
        return max(named) if named and len(named) == len(said) else None

    def names_policy(self, policy: PolicyRef, validation: str) -> bool:
        """Tell whether it accepts that validation of that policy."""
        if policy.namespace and policy.namespace != self.ref.namespace:
            return False
        for named in self.policies:
            if (named.kind, named.name) == (policy.kind, policy.name) and (
                not named.validations or validation in named.validations
            ):
                return True
        return False


def digest_of(obj: Mapping[str, Any]) -> str:
    """Return what an approval of this acceptance must carry.

    ``sha256:`` and the hex SHA-256 of the RFC 8785 JSON of group, kind, name, namespace (not for cluster
    kinds) and the spec as it is written; labels, annotations, status and the API version say nothing.

    Args:
        obj: a RiskAcceptance or ClusterRiskAcceptance manifest.

    Raises:
        ValueError: it holds what has no canonical JSON, such as a float.
    """
    namespaced = obj.get("kind") == NAMESPACED
    return placed_digest(obj, (metadata_of(obj).get("namespace") or "default") if namespaced else "")


def parse_acceptance(obj: Mapping[str, Any]) -> Acceptance:
    """Return the acceptance in a manifest.

    Raises:
        ValueError: a field is missing or can't be read; the text says which.
    """
    metadata, spec = metadata_of(obj), map_in(obj, "spec", "spec")
    kind = str(obj.get("kind"))
    namespace = str(metadata.get("namespace") or "default") if kind == NAMESPACED else ""
    valid_from, valid_until = (_time(spec, name) for name in ("validFrom", "validUntil"))
    if valid_until <= valid_from:
        raise ValueError("spec.validUntil: must be later than spec.validFrom")
    return Acceptance(
        ref=PolicyRef(kind, namespace, str(metadata.get("name", ""))),
        digest=digest_of(obj),
        generation=generation_of(obj),
        policies=_policies(spec),
        scope=_scope(map_in(spec, "scope", "spec"), kind),
        clusters=frozenset(texts(spec, "clusters", "spec")),
        requester=_required(spec, "requester"),
        valid_from=valid_from,
        valid_until=valid_until,
        ticket=str(spec.get("ticket") or ""),
        filled=frozenset(name for name, value in spec.items() if _says_something(value)),
        controls=_controls(spec, namespace),
        break_glass=spec.get("breakGlass") is True,
        revoked=spec.get("revoked") is not None,
        applied_by=str(spec.get("appliedBy") or ""),
        created=created_of(obj),
        renews=str(spec.get("renews") or ""),
        renewal=_renewal(spec),
    )


def _renewal(spec: Mapping[str, Any]) -> int:
    number = spec.get("renewal", 0)
    if not isinstance(number, int) or isinstance(number, bool) or number < 0:
        raise ValueError("spec.renewal: must be a number")
    if bool(number) != bool(spec.get("renews")):
        raise ValueError("spec.renewal: it and spec.renews need each other")
    return number


def _says_something(value: Any) -> bool:
    return bool(value.strip() if isinstance(value, str) else value)


def _required(spec: Mapping[str, Any], name: str) -> str:
    value = spec.get(name)
    if not isinstance(value, str) or not value.strip():
        raise ValueError(f"spec.{name}: is missing")
    return value


def _time(spec: Mapping[str, Any], name: str) -> datetime:
    try:
        return parse_time(_required(spec, name))
    except ValueError as error:
        text = str(error)
        raise ValueError(text if text.startswith("spec.") else f"spec.{name}: {text}") from None


def _controls(spec: Mapping[str, Any], namespace: str) -> tuple[PolicyRef, ...]:
    field = "spec.compensatingControls"
    policies = [
        map_in(control, "policy", field)
        for control in maps(spec, "compensatingControls", "spec")
        if control.get("policy") is not None
    ]
    return tuple(
        PolicyRef(
            str(policy.get("kind", "")),
            namespace if policy.get("kind") == "Policy" else "",
            str(policy.get("name", "")),
        )
        for policy in policies
    )


def _policies(spec: Mapping[str, Any]) -> tuple[AcceptedPolicy, ...]:
    found = tuple(
        AcceptedPolicy(
            str(policy.get("kind", "")),
            str(policy.get("name", "")),
            frozenset(texts(policy, "validations", "spec.policies")),
            _severity(policy.get("severity")),
        )
        for policy in maps(spec, "policies", "spec")
    )
    if not found:
        raise ValueError("spec.policies: names no policy")
    return found


def _severity(said: Any) -> Severity | None:
    try:
        return None if said is None else Severity.parse(str(said))
    except ValueError as error:
        raise ValueError(f"spec.policies: {error}") from None


def _scope(scope: Mapping[str, Any], kind: str) -> Scope:
    kinds = frozenset(
        GroupKind(str(entry.get("group", "")), str(entry.get("kind", "")))
        for entry in maps(scope, "kinds", "spec.scope")
    )
    names, images, namespaces, containers = (
        texts(scope, name, "spec.scope") for name in ("names", "images", "namespaces", "containers")
    )
    if not kinds:
        raise ValueError("spec.scope.kinds: is missing")
    if not names and not images:
        raise ValueError("spec.scope: names or images are missing; without them it would cover too much")
    if kind == NAMESPACED and namespaces:
        raise ValueError("spec.scope.namespaces: only a ClusterRiskAcceptance has it")
    return Scope(
        kinds=kinds,
        names=names,
        selector=Selector.parse(map_in(scope, "objectSelector", "spec.scope")),
        namespaces=namespaces,
        containers=frozenset(containers),
        images=images,
    )

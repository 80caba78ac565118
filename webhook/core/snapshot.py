"""The snapshot: everything that judging needs, immutable, under one revision."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from webhook.core.constraint import ConstraintContext
from webhook.core.coverage import Register
from webhook.core.errors import EvaluationError
from webhook.core.fields import metadata_of
from webhook.core.match import PolicyIndex
from webhook.core.model import PolicyRef
from webhook.core.owners import Owner
from webhook.core.policy import CompiledPolicy, ParamSource, PolicyFailure
from webhook.core.selectors import labels_of

EXEMPT_NAMESPACES = ("kube-system", "kube-node-lease")
"""Not judged unless a policy names them, so that no policy can keep a cluster from healing."""


class Params:
    """The parameter objects of a snapshot.

    Args:
        objects: any objects; they are found by group, kind, namespace and name.
    """

    def __init__(self, objects: Sequence[Mapping[str, Any]] = ()) -> None:
        self._by_kind: dict[tuple[str, str], dict[tuple[str, str], dict[str, Mapping[str, Any]]]] = {}
        for obj in objects:
            group, _, version = str(obj.get("apiVersion", "")).rpartition("/")
            metadata = metadata_of(obj)
            key = (str(metadata.get("namespace") or ""), str(metadata.get("name", "")))
            kind = self._by_kind.setdefault((group, str(obj.get("kind"))), {})
            kind.setdefault(key, {})[version] = obj

    def of(self, policy: CompiledPolicy, namespace: str) -> Sequence[Mapping[str, Any] | None]:
        """Return what a policy is judged with for a request, one after another; None is none at all.

        Args:
            policy: the policy.
            namespace: the request's.

        Raises:
            EvaluationError: there is nothing to judge it with, and it says that this is an error.
        """
        source = policy.param_source
        if source is None:
            return (policy.params,)
        namespace = policy.ref.namespace or namespace
        if not namespace and not source.namespace and self.lie_in_namespaces(source):
            raise EvaluationError(
                f"its {source.kind} parameters lie in namespaces and this object in none: "
                "spec.paramRef.namespace must say where they are"
            )
        found = self.find(source, namespace)
        if not found and source.required:
            which = source.name or "its selector"
            raise EvaluationError(f"no {source.kind} {which} was found as its parameter")
        return found

    def lie_in_namespaces(self, source: ParamSource) -> bool:
        """Tell whether the objects of a policy's paramKind are namespaced, as far as that is known."""
        kind = (source.group, source.kind)
        return kind == ("", "ConfigMap") or any(place for place, _ in self._by_kind.get(kind, ()))

    def same(self, other: Params, source: ParamSource) -> bool:
        """Tell whether the objects of a policy's paramKind are the same in `other`."""
        kind = (source.group, source.kind)
        return self._by_kind.get(kind) == other._by_kind.get(kind)

    def find(self, source: ParamSource, namespace: str) -> list[Mapping[str, Any]]:
        """Return the objects that a policy's paramRef means for a request in `namespace`, by name.

        A cluster-scoped kind has its objects without a namespace; they are found from anywhere.
        """
        known = self._by_kind.get((source.group, source.kind), {})
        where = source.namespace or namespace
        if source.name:
            found = known.get((where, source.name)) or (
                None if source.namespace else known.get(("", source.name))
            )
            return [_in_version(found, source.version)] if found else []
        selector = source.selector
        matching = []
        for (place, _), versions in sorted(known.items()):
            obj = _in_version(versions, source.version)
            reachable = place == where or (not place and not source.namespace)
            if reachable and (selector is None or selector.matches(labels_of(obj))):
                matching.append(obj)
        return matching


def _in_version(versions: Mapping[str, Mapping[str, Any]], wanted: str) -> Mapping[str, Any]:
    """Return an object in the version that a policy names; offline it may be there in another only."""
    return versions.get(wanted) or next(iter(versions.values()))


@dataclass(frozen=True, slots=True)
class Snapshot:
    """An immutable, compiled set of policies and what they are judged with.

    Attributes:
        revision: names its content; empty for none.
        policies: those that compiled, ClusterPolicies first, by name.
        failures: those that didn't.
        problems: other objects that could not be read, as text for people.
        index: finds the policies for a request.
        namespaces: Namespace objects by name.
        params: parameter objects.
        register: acceptances, approvals and the appetite.
        owners: workloads by uid.
        exempt_namespaces: not judged unless a policy names them.
        cluster: the cluster's name; empty when unknown.
        max_action: no policy does more than this: ``Warn`` or ``Audit``; ``Deny`` or empty for no cap.
        exempt_users: usernames whose requests no policy judges.
        administrators: groups that may change the RiskAppetite.
        constraints: what Gatekeeper's constraints are judged in.
    """

    revision: str = ""
    policies: tuple[CompiledPolicy, ...] = ()
    failures: tuple[PolicyFailure, ...] = ()
    problems: tuple[str, ...] = ()
    index: PolicyIndex = field(default_factory=lambda: PolicyIndex(()))
    namespaces: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    params: Params = field(default_factory=Params)
    register: Register = field(default_factory=Register)
    owners: Mapping[str, Owner] = field(default_factory=dict)
    exempt_namespaces: frozenset[str] = frozenset(EXEMPT_NAMESPACES)
    cluster: str = ""
    max_action: str = ""
    exempt_users: frozenset[str] = frozenset()
    administrators: frozenset[str] = frozenset()
    constraints: ConstraintContext = field(default_factory=ConstraintContext)

    def judges_as(self, other: Snapshot) -> bool:
        """Tell whether another one judges like this: the same content, by the same clock."""
        mine, others = self.register.surroundings, other.register.surroundings
        return self.revision == other.revision and mine.clock_skew == others.clock_skew

    @property
    def enforced(self) -> tuple[CompiledPolicy, ...]:
        """The policies that judge requests here: not constraints that are left to Gatekeeper's webhook."""
        here = self.constraints
        return tuple(
            policy
            for policy in self.policies
            if policy.constraint is None
            or policy.constraint.actions_at(here.points, unscoped=here.unscoped) is not None
        )

    def policy(self, ref: PolicyRef) -> CompiledPolicy | None:
        """Return the compiled policy that `ref` names, or None."""
        return next((policy for policy in self.policies if policy.ref == ref), None)

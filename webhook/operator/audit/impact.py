"""What a new snapshot changes for objects that were judged by the one before."""

from __future__ import annotations

import bisect
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

from webhook.core.acceptance import Acceptance
from webhook.core.model import PolicyRef
from webhook.core.policy import CompiledPolicy
from webhook.core.snapshot import Snapshot
from webhook.core.standing import turns
from webhook.operator.audit.judging import is_audited

Affected = tuple[PolicyRef, str]
"""A policy whose violations may now be accepted, or no longer, and the namespace; empty for all."""


@dataclass(slots=True)
class Impact:
    """What must be judged again.

    Attributes:
        policies: what these match, or matched, is to be listed.
        namespaces: what lies in these is to be listed, since their labels changed.
        affected: what violates these policies, accepted or not.
        owners: what was made of workloads in these namespaces.
        inventory: the objects that Gatekeeper's constraints may compare with have changed.
    """

    policies: list[CompiledPolicy] = field(default_factory=list)
    namespaces: set[str] = field(default_factory=set)
    affected: set[Affected] = field(default_factory=set)
    owners: set[str] = field(default_factory=set)
    inventory: bool = False


def impact(before: Snapshot, after: Snapshot) -> Impact:
    """Return what must be judged again."""
    made = Impact()
    old = {policy.ref: policy for policy in before.policies if is_audited(policy)}
    new = {policy.ref: policy for policy in after.policies if is_audited(policy)}
    constraints = _constraints(before) != _constraints(after)
    made.inventory = before.constraints.inventory is not after.constraints.inventory
    around = _surroundings(before) != _surroundings(after)
    for ref in old.keys() | new.keys():
        was, now = old.get(ref), new.get(ref)
        gatekeepers = constraints and now is not None and now.constraint is not None
        if (
            was is not now
            or around
            or gatekeepers
            or (now is not None and _params_differ(now, before, after))
        ):
            made.policies += [policy for policy in (was, now) if policy is not None]
    if any(_needs_namespace(policy) for policy in new.values()):
        for name, known in after.namespaces.items():
            earlier = before.namespaces.get(name)
            if earlier is not None and earlier is not known and earlier != known:
                made.namespaces.add(name)
    made.affected = _affected(before, after)
    if before.owners is not after.owners:
        for uid in before.owners.keys() | after.owners.keys():
            first, second = before.owners.get(uid), after.owners.get(uid)
            if first is not second:
                made.owners.update(each.ref.namespace for each in (first, second) if each is not None)
    return made


def _surroundings(snapshot: Snapshot) -> tuple[object, ...]:
    return snapshot.exempt_namespaces, snapshot.max_action, snapshot.exempt_users


def _constraints(snapshot: Snapshot) -> tuple[object, ...]:
    return snapshot.constraints.excludes, snapshot.constraints.expansions


def _needs_namespace(policy: CompiledPolicy) -> bool:
    if policy.constraint is not None:
        return True  # its match may select by the namespace's labels
    return bool(policy.namespace_selector or policy.overrides) or "namespaceObject" in policy.references


def _params_differ(policy: CompiledPolicy, before: Snapshot, after: Snapshot) -> bool:
    source = policy.param_source
    return source is not None and not after.params.same(before.params, source)


def _affected(before: Snapshot, after: Snapshot) -> set[Affected]:
    if before.register is after.register:
        return set()
    old, new = before.register.names.by_ref, after.register.names.by_ref
    everything = before.register.surroundings != after.register.surroundings
    found: set[Affected] = set()
    for ref in old.keys() | new.keys():
        was, now = old.get(ref), new.get(ref)
        approvals = before.register.names.approvals.get(ref), after.register.names.approvals.get(ref)
        if everything or was != now or approvals[0] != approvals[1]:
            for acceptance in (was, now):
                if acceptance is not None:
                    found.update(affected_by(acceptance))
    return found


def affected_by(acceptance: Acceptance) -> Iterable[Affected]:
    """Return whose violations an acceptance may cover, and where."""
    place = acceptance.ref.namespace
    return {
        (PolicyRef(named.kind, place if named.kind == "Policy" else "", named.name), place)
        for named in acceptance.policies
    }


class Calendar:
    """Knows every moment at which an acceptance may begin or cease to hold.

    Args:
        snapshot: its acceptances and policies.
    """

    def __init__(self, snapshot: Snapshot) -> None:
        policies = {policy.ref: policy for policy in snapshot.policies}
        moments: set[tuple[datetime, PolicyRef, str]] = set()
        register = snapshot.register
        for acceptance in register.acceptances:
            for ref, place in affected_by(acceptance):
                policy = policies.get(ref)
                if policy is not None:
                    approvals = register.approvals_of(acceptance)
                    for moment in turns(acceptance, approvals, policy, register.surroundings):
                        moments.add((moment, ref, place))
        self._moments = sorted(moments)

    def between(self, start: datetime, end: datetime) -> set[Affected]:
        """Return whose violations may be judged otherwise at `end` than at `start`."""
        first = bisect.bisect_right(self._moments, start, key=lambda each: each[0])
        last = bisect.bisect_right(self._moments, end, key=lambda each: each[0])
        return {(ref, place) for _, ref, place in self._moments[first:last]}

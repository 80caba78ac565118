"""Which acceptances cover nothing any more, and which cover less than their scope could: with a narrower one.

It is asked after a whole pass over a cluster: what such a pass did not see, nothing covers now.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from webhook.core.acceptance import Acceptance
from webhook.core.coverage import Register, any_matches
from webhook.core.model import GroupKind, ObjectRef, PolicyRef
from webhook.core.policy import CompiledPolicy
from webhook.core.standing import State
from webhook.core.verdict import Verdict

GRACE = timedelta(days=1)
"""So long after it came into force an acceptance may wait for what it is for."""

_MOST_PROPOSED = 16
_NAMED_BY_MACHINES = frozenset(
    {GroupKind("", "Pod"), GroupKind("apps", "ReplicaSet"), GroupKind("batch", "Job")}
)
"""Kinds whose names often end at random: the next one of them has another name."""


@dataclass(frozen=True, slots=True)
class Covered:
    """A violation that an acceptance covered.

    Attributes:
        acceptance: which acceptance.
        policy: the violated policy.
        target: the object.
        container: the container that the violation is of; empty for none.
        image: its image.
    """

    acceptance: PolicyRef
    policy: PolicyRef
    target: ObjectRef
    container: str = ""
    image: str = ""


@dataclass(frozen=True, slots=True)
class Hygiene:
    """What is untidy about an acceptance.

    Attributes:
        acceptance: which acceptance.
        covered: how many violations it covers.
        obsolete: it covers none: nothing is in its scope, or all of that complies now.
        broad: the parts of its spec that could be narrower, as ``scope.names``.
        proposal: those parts as they could be, by the same names.
    """

    acceptance: PolicyRef
    covered: int
    obsolete: bool = False
    broad: tuple[str, ...] = ()
    proposal: Mapping[str, Any] | None = None


def covered_by(verdict: Verdict, target: ObjectRef) -> list[Covered]:
    """Return what acceptances in force cover of an object, from its verdict."""
    return [
        Covered(
            each.acceptance, each.violation.policy, target, each.violation.container, each.violation.image
        )
        for each in verdict.accepted
        if not each.kept_running
    ]


def hygiene(
    register: Register, policies: Sequence[CompiledPolicy], covered: Iterable[Covered], at: datetime
) -> tuple[Hygiene, ...]:
    """Return the acceptances in force that are untidy, by kind, namespace and name.

    Args:
        register: the acceptances.
        policies: those that compiled.
        covered: everything that one whole pass found covered.
        at: the moment, with its zone.
    """
    of: dict[PolicyRef, list[Covered]] = {}
    for each in covered:
        of.setdefault(each.acceptance, []).append(each)
    by_ref = {policy.ref: policy for policy in policies}
    found = []
    for acceptance in sorted(register.acceptances, key=lambda each: each.ref):
        since = _in_force_since(acceptance, by_ref, register, at)
        mine = of.get(acceptance.ref, [])
        if since is None or at < since + GRACE:
            continue
        if not mine:
            found.append(Hygiene(acceptance.ref, 0, obsolete=True))
            continue
        proposal = narrower(acceptance, mine)
        if proposal:
            found.append(Hygiene(acceptance.ref, len(mine), broad=tuple(proposal), proposal=proposal))
    return tuple(found)


def _in_force_since(
    acceptance: Acceptance,
    policies: Mapping[PolicyRef, CompiledPolicy],
    register: Register,
    at: datetime,
) -> datetime | None:
    """Return since when an acceptance is in force for one of its policies; None where it isn't."""
    moments = []
    for named in acceptance.policies:
        ref = PolicyRef(named.kind, acceptance.ref.namespace if named.kind == "Policy" else "", named.name)
        policy = policies.get(ref)
        now = register.standing(acceptance, policy, at) if policy is not None else None
        if now is not None and now.state is State.ACTIVE and now.since is not None:
            moments.append(now.since)
    return min(moments, default=None)


def narrower(acceptance: Acceptance, covered: Sequence[Covered]) -> dict[str, Any]:
    """Return the parts of an acceptance that could be narrower and still cover all that they cover now.

    Args:
        acceptance: the acceptance.
        covered: what it covers; not empty.
    """
    scope = acceptance.scope
    proposal: dict[str, Any] = {}
    violated = {(each.policy.kind, each.policy.name) for each in covered}
    if any((each.kind, each.name) not in violated for each in acceptance.policies):
        kept = [each for each in acceptance.policies if (each.kind, each.name) in violated]
        proposal["policies"] = [
            {
                "kind": each.kind,
                "name": each.name,
                **({"validations": sorted(each.validations)} if each.validations else {}),
                **({"severity": str(each.severity)} if each.severity is not None else {}),
            }
            for each in kept
        ]
    kinds = {GroupKind(each.target.group, each.target.kind) for each in covered}
    if kinds <= scope.kinds:  # else it covers what was made of an object in its scope, which isn't seen here
        if kinds != scope.kinds:
            proposal["scope.kinds"] = [{"group": group, "kind": kind} for group, kind in sorted(kinds)]
        names = {each.target.name for each in covered}
        _narrow(proposal, "scope.names", scope.names, names, exact=not kinds & _NAMED_BY_MACHINES)
    namespaces = {each.target.namespace for each in covered if each.target.namespace}
    _narrow(proposal, "scope.namespaces", scope.namespaces, namespaces)
    containers = {each.container for each in covered}
    if scope.containers and containers < scope.containers:
        proposal["scope.containers"] = sorted(containers)
    _narrow(proposal, "scope.images", scope.images, {each.image for each in covered})
    return proposal


def _narrow(
    proposal: dict[str, Any], part: str, patterns: Sequence[str], used: set[str], *, exact: bool = True
) -> None:
    """Propose patterns that match what is used: the texts themselves where they are few."""
    if not patterns or "" in used or not all(any_matches(patterns, text) for text in used):
        return
    needed = [pattern for pattern in patterns if any(any_matches([pattern], text) for text in used)]
    if exact and len(used) <= _MOST_PROPOSED and any("*" in pattern for pattern in needed):
        needed = sorted(used)
    if set(needed) != set(patterns):
        proposal[part] = needed

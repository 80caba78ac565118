"""Judges one object that is there already, as the webhook would judge making it now."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, NamedTuple

from webhook.adapters.findings import Finding, findings_of
from webhook.core.activation import Budget
from webhook.core.constraint import for_audit
from webhook.core.evaluate import evaluate
from webhook.core.fields import metadata_of
from webhook.core.match import PolicyIndex
from webhook.core.owners import is_made_from_workload
from webhook.core.policy import CompiledPolicy
from webhook.core.review import UserInfo, request_for
from webhook.core.snapshot import Snapshot
from webhook.core.verdict import NamespaceLack, OwnerLack
from webhook.operator.client import Resource
from webhook.operator.listing import Versions, judges

OBJECT_SECONDS = 1.0
"""How long one object may compute, all its policies together: four times what a request may."""

NO_VERSIONS: Versions = {}

_MAKING = frozenset({"CREATE", "*"})
_NOBODY = UserInfo()
_MANAGER = UserInfo("system:kube-controller-manager")


@dataclass(frozen=True, slots=True)
class Judged:
    """What was found on an object.

    Attributes:
        findings: in a stable order; none for an object that complies.
        again: the snapshot lacks its namespace or its owner, which may be on their way.
    """

    findings: tuple[Finding, ...]
    again: bool


class _By(NamedTuple):
    """What judges: whatever was made by a user, and what Kubernetes made of a workload."""

    all: Snapshot
    made: Snapshot


def is_audited(policy: CompiledPolicy) -> bool:
    """Tell whether the audit judges by a policy."""
    return not why_not_audited(policy)


def why_not_audited(policy: CompiledPolicy) -> str:
    """Return why the audit leaves a policy out, in a word; empty where it doesn't."""
    if not policy.background:
        return "NotInBackground"
    if policy.make_authorizer is not None:
        return "AsksAuthorizer"  # nobody makes the object now, so there is nobody to ask about
    if not any(rule.operations & _MAKING for rule in policy.rules):
        return "NotAboutObjects"  # a change, a deletion or a connection is over once it has been judged
    return ""


def as_listed(policy: CompiledPolicy) -> CompiledPolicy:
    """Return a policy with only those of its rules that say what is to be listed."""
    rules = tuple(rule for rule in policy.rules if rule.operations & _MAKING)
    return policy if rules == policy.rules else replace(policy, rules=rules)


class Judge:
    """Judges objects by the policies of a snapshot that the audit is for.

    What Kubernetes makes of a workload is judged as its controller's request, so that an acceptance of the
    workload covers it as at admission; policies with ``podTemplates`` judge only the workload itself.

    Args:
        snapshot: policies, acceptances and all that they need.
        versions: those that the API server has of each resource: a policy judges an object in one.
    """

    def __init__(self, snapshot: Snapshot, versions: Versions = NO_VERSIONS) -> None:
        snapshot = replace(snapshot, constraints=for_audit(snapshot.constraints))
        self.snapshot = snapshot
        self.policies = [policy for policy in snapshot.policies if is_audited(policy)]
        self._versions = versions
        self._every = self._by(self.policies)
        self._narrowed: dict[Resource, _By] = {}

    def _by(self, policies: Sequence[CompiledPolicy]) -> _By:
        plain = [policy for policy in policies if not policy.pod_templates]
        return _By(
            replace(self.snapshot, index=PolicyIndex(policies)),
            replace(self.snapshot, index=PolicyIndex(plain)),
        )

    def _for(self, resource: Resource) -> _By:
        """Return what judges a resource as it was listed: where policies name several versions, a part."""
        if len(self._versions.get((resource.group, resource.plural), ())) < 2:
            return self._every
        by = self._narrowed.get(resource)
        if by is None:
            by = self._by([each for each in self.policies if self.judges(each, resource)])
            self._narrowed[resource] = by
        return by

    def judges(self, policy: CompiledPolicy, resource: Resource) -> bool:
        """Tell whether a policy judges a resource in just this version."""
        return judges(as_listed(policy), resource, self._versions)

    def __call__(self, obj: Mapping[str, Any], resource: Resource, at: datetime) -> Judged:
        """Judge an object at a time.

        Args:
            obj: with apiVersion and kind.
            resource: what it was listed as.
            at: the time.
        """
        metadata = metadata_of(obj)
        made = is_made_from_workload(obj)
        is_namespace = (resource.group, resource.plural) == ("", "namespaces")
        place = metadata.get("name", "") if is_namespace else metadata.get("namespace", "")
        request = request_for(
            obj, resource=resource.plural, namespace=place, user=_MANAGER if made else _NOBODY
        )
        budget = Budget(taken=time.thread_time, seconds=OBJECT_SECONDS)
        by = self._for(resource)
        verdict = evaluate(request, by.made if made else by.all, at, budget=budget)
        again = any(isinstance(lack, NamespaceLack | OwnerLack) for lack in verdict.lacking)
        if verdict.found_nothing:
            return Judged((), again)
        return Judged(findings_of(request, verdict), again)

"""What the audit knows of the objects on which it found something: enough to count, and to take back."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from webhook.adapters.findings import Finding, Result
from webhook.adapters.gator_compare import cut
from webhook.core.model import Action, PolicyRef, Severity
from webhook.operator.client import Resource

TOP = 10
"""So many objects each policy's status names, but a Gatekeeper constraint's."""

_VIOLATED = (Result.FAIL, Result.WARN)
_LONGEST_MESSAGE = 256


class Kind(NamedTuple):
    """How a finding counts."""

    policy: PolicyRef
    severity: Severity | None
    action: Action | None
    result: Result
    acceptance: PolicyRef | None = None


Tally = tuple[Kind, ...]
"""How the findings on one object count, each by itself."""


@dataclass(slots=True)
class Record:
    """An object on which something was found.

    Attributes:
        namespace: its namespace.
        name: its name.
        uid: its uid.
        tally: how the findings count; objects that violate the same share it.
        digest: of the findings.
        sweep: the listing in which it was last seen.
        parts: how many reports are on it.
    """

    namespace: str
    name: str
    uid: str
    tally: Tally
    digest: bytes
    sweep: int
    parts: int = 1


@dataclass(slots=True)
class _Top:
    """The first objects that violate a policy, with what they violate."""

    shown: dict[tuple[str, str, str], list[dict[str, str]]] = field(default_factory=dict)
    objects: int = 0


class Ledger:
    """Counts what was found, object by object.

    Args:
        limit: so many violations are told of a Gatekeeper constraint.

    Attributes:
        records: by resource and key, only of objects on which something was found.
        objects: how many objects of each resource were judged.
        counts: findings by how they count and the namespace.
        changed: policies whose counts or first violations changed since somebody looked.
    """

    def __init__(self, limit: int = 20) -> None:
        self._limit = limit
        self.records: dict[Resource, dict[str, Record]] = {}
        self.objects: dict[Resource, int] = {}
        self.counts: Counter[tuple[Kind, str]] = Counter()
        self.changed: set[PolicyRef] = set()
        self._totals: dict[PolicyRef, Counter[Result]] = {}
        self._tops: dict[PolicyRef, _Top] = {}
        self._tallies: dict[Tally, Tally] = {}

    def put(
        self,
        resource: Resource,
        key: str,
        findings: Sequence[Finding],
        digest: bytes,
        sweep: int,
        parts: int = 1,
    ) -> Record | None:
        """Take in what was found on an object; return what was known of it before, None for nothing.

        Args:
            resource: its resource.
            key: tells it from all others of the resource.
            findings: at least one.
            digest: of them.
            sweep: the listing in which it was seen.
            parts: how many reports are on it.
        """
        target = findings[0].target
        records = self.records.setdefault(resource, {})
        before = records.get(key)
        if before is not None and before.digest == digest:
            before.sweep = sweep
            self._show(findings)
            return before
        if before is not None:
            self._count(before, -1)
            self._forget(resource, before)
        tally = tuple(_kind(each) for each in findings)
        tally = self._tallies.setdefault(tally, tally)
        record = Record(target.namespace, target.name, findings[0].uid, tally, digest, sweep, parts)
        records[key] = record
        self._count(record, 1)
        self._show(findings)
        return before

    def remove(self, resource: Resource, key: str) -> Record | None:
        """Forget an object; return what was known of it."""
        record = self.records.get(resource, {}).pop(key, None)
        if record is not None:
            self._count(record, -1)
            self._forget(resource, record)
        return record

    def unseen(self, resource: Resource, sweep: int) -> list[str]:
        """Return the keys of the objects that a listing, which has ended, did not hold."""
        return [key for key, record in self.records.get(resource, {}).items() if record.sweep != sweep]

    def drop(self, resource: Resource) -> list[Record]:
        """Forget all of a resource; return what was known."""
        known = list(self.records.get(resource, {}).items())
        for key, _ in known:
            self.remove(resource, key)
        self.records.pop(resource, None)
        self.objects.pop(resource, None)
        return [record for _, record in known]

    def of(self, policies: Iterable[PolicyRef], namespace: str = "") -> Iterator[tuple[Resource, Record]]:
        """Give what violates one of some policies, accepted or not; in one namespace, or everywhere."""
        wanted = frozenset(policies)
        for resource, records in self.records.items():
            for record in records.values():
                if (not namespace or record.namespace == namespace) and any(
                    kind.policy in wanted for kind in record.tally
                ):
                    yield resource, record

    def total(self, policy: PolicyRef) -> Counter[Result]:
        """Return how many findings of a policy count how."""
        return self._totals.get(policy, Counter())

    def top(self, policy: PolicyRef) -> list[dict[str, str]]:
        """Return what the first objects violate of a policy, in the order of namespace, kind and name."""
        top = self._tops.get(policy)
        if top is None:
            return []
        lines = [line for key in sorted(top.shown) for line in top.shown[key]]
        return lines[: self._most(policy)]

    def hidden(self) -> list[tuple[Resource, Record]]:
        """Return objects that are to be judged again, since they have come to be among the first."""
        found = []
        for policy, top in self._tops.items():
            lacking = min(self._most(policy), top.objects) - len(top.shown)
            if lacking > 0:
                candidates = (
                    ((record.namespace, resource.kind, record.name), resource, record)
                    for resource, record in self.of((policy,))
                    if any(kind.policy == policy and _is_shown(kind) for kind in record.tally)
                    and (record.namespace, resource.kind, record.name) not in top.shown
                )
                found += heapq.nsmallest(lacking, candidates, key=lambda each: each[0])
        return [(resource, record) for _, resource, record in found]

    def _count(self, record: Record, by: int) -> None:
        for kind in record.tally:
            counted = kind, record.namespace
            self.counts[counted] += by
            if not self.counts[counted]:
                del self.counts[counted]
            self._totals.setdefault(kind.policy, Counter())[kind.result] += by
            self.changed.add(kind.policy)
        for policy in {kind.policy for kind in record.tally if _is_shown(kind)}:
            self._tops.setdefault(policy, _Top()).objects += by

    def _show(self, findings: Sequence[Finding]) -> None:
        target = findings[0].target
        key = (target.namespace, target.kind, target.name)
        lines: dict[PolicyRef, list[dict[str, str]]] = {}
        for each in findings:
            if _is_shown(each):
                lines.setdefault(each.policy, []).append(_line(each))
        for policy, found in lines.items():
            shown, most = self._tops.setdefault(policy, _Top()).shown, self._most(policy)
            if not most or shown.get(key) == found[:most]:
                continue
            if key not in shown and len(shown) >= most and key > max(shown):
                continue
            shown[key] = found[:most]
            if len(shown) > most:
                del shown[max(shown)]
            self.changed.add(policy)

    def _forget(self, resource: Resource, record: Record) -> None:
        key = (record.namespace, resource.kind, record.name)
        for policy in {kind.policy for kind in record.tally}:
            top = self._tops.get(policy)
            if top is not None:
                top.shown.pop(key, None)

    def _most(self, policy: PolicyRef) -> int:
        return self._limit if _is_constraint(policy) else TOP


def _is_constraint(policy: PolicyRef) -> bool:
    return policy.kind not in ("ClusterPolicy", "Policy")


def _is_shown(found: Kind | Finding) -> bool:
    """Tell whether the policy's status names it; to Gatekeeper a constraint that failed is violated."""
    return found.result in _VIOLATED or (found.result is Result.ERROR and _is_constraint(found.policy))


def _kind(finding: Finding) -> Kind:
    violation = finding.violation
    return Kind(
        finding.policy,
        violation.severity if violation else None,
        violation.action if violation else None,
        finding.result,
        finding.accepted.acceptance if finding.accepted and finding.result is Result.SKIP else None,
    )


def _line(finding: Finding) -> dict[str, str]:
    target = finding.target
    if _is_constraint(finding.policy):
        parts = {
            "group": target.group,
            "version": target.version,
            "kind": target.kind,
            "namespace": target.namespace,
            "name": target.name,
            "message": cut(finding.message),
        }
        return {name: value for name, value in parts.items() if value}
    message = finding.message
    if len(message) > _LONGEST_MESSAGE:
        message = message[: _LONGEST_MESSAGE - 1] + "…"
    parts = {
        "kind": target.kind,
        "namespace": target.namespace,
        "name": target.name,
        "validation": finding.rule,
        "container": finding.container,
        "message": message,
    }
    return {name: value for name, value in parts.items() if value}

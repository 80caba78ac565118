"""What was found on objects, kept in three ways: counted, in reports, and told by Events."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

from webhook.adapters.findings import Finding, Result
from webhook.adapters.openreports import Family, name_of
from webhook.core.model import ObjectRef, PolicyRef
from webhook.operator.audit.impact import Affected
from webhook.operator.audit.ledger import Ledger, Record
from webhook.operator.audit.reports import Judging, Reports
from webhook.operator.audit.telling import Telling
from webhook.operator.audit.wanted import Key, Source, wanted
from webhook.operator.client import Client, Resource

_MADE = frozenset({("", "pods"), ("apps", "replicasets"), ("batch", "jobs")})


class Found:
    """Takes in what is found on one object after another, and what no longer is.

    Args:
        client: the API server.
        family: which reports to write; None for none.
        judging: what finds out again what reports must say.
        check: after so many seconds it looks whether somebody else changed or removed reports.
        limit: so many violations of a Gatekeeper constraint are told.

    Attributes:
        ledger: the counts.
        reports: the reports; None for none.
        telling: the Events.
        categories: of the policies, as far as they have one.
    """

    def __init__(
        self, client: Client, family: Family | None, judging: Judging, check: float, limit: int
    ) -> None:
        self.ledger = Ledger(limit)
        self.reports = Reports(client, family, judging, check) if family else None
        self.telling = Telling(client)
        self.categories: Mapping[PolicyRef, str] = {}
        self._family: Family = family or "openreports"
        self._forms: dict[Resource, str] = {}

    def begin(self, resource: Resource) -> None:
        """Have a resource followed from now on, perhaps in another version than before."""
        plain = {(each.group, each.plural) for each, form in self._forms.items() if not form}
        # One object has reports for each version in which it is judged; those of the others are named by it.
        self._forms[resource] = resource.version if (resource.group, resource.plural) in plain else ""

    def end(self, resource: Resource) -> None:
        """Forget all of a resource: nobody follows it any more."""
        for record in self.ledger.drop(resource):
            self._unreport(resource, record)
        del self._forms[resource]

    def put(
        self, resource: Resource, key: str, obj: Mapping[str, Any], findings: tuple[Finding, ...], sweep: int
    ) -> None:
        """Take in what was found on an object; nothing where it complies.

        Args:
            resource: its resource.
            key: tells it from all others of the resource.
            obj: the object.
            findings: all on it.
            sweep: the listing in which it was seen.
        """
        if not findings:
            self.remove(resource, key)
            return
        form = self._forms[resource]
        made = wanted(findings, self._family, self.categories, form)
        before = self.ledger.records.get(resource, {}).get(key)
        tally, parts = (before.tally, before.parts) if before is not None else ((), 0)
        self.ledger.put(resource, key, findings, made.digest, sweep, len(made.bodies))
        known = False
        if self.reports is not None:
            target, uid = findings[0].target, findings[0].uid
            keys = _names(target, uid, form, 1, len(made.bodies))
            known = all(map(self.reports.says, keys, made.digests))
            self.reports.want(Source(resource, target.namespace, target.name), keys, made)
            self.reports.remove(_names(target, uid, form, len(keys) + 1, parts))
        failed = {kind.policy for kind in tally if kind.result is Result.FAIL}
        new = [each for each in findings if each.policy not in failed]
        if not known and new:
            self.telling.take(obj, new)

    def remove(self, resource: Resource, key: str) -> None:
        """Take back what was found on an object."""
        record = self.ledger.remove(resource, key)
        if record is not None:
            self._unreport(resource, record)

    def listed(self, resource: Resource, sweep: int) -> None:
        """Take back what was found on objects that a listing did not hold."""
        for key in self.ledger.unseen(resource, sweep):
            self.remove(resource, key)

    def _unreport(self, resource: Resource, record: Record) -> None:
        if self.reports is not None:
            self.reports.remove(self._names_of(resource, record))

    def _names_of(self, resource: Resource, record: Record) -> list[Key]:
        target = ObjectRef(resource.group, resource.version, resource.kind, record.namespace, record.name)
        return _names(target, record.uid, self._forms[resource], 1, record.parts)

    # Where something was found.

    def under(self, keys: Collection[Key]) -> Iterator[Source]:
        """Give the objects that reports are on."""
        for resource, records in self.ledger.records.items():
            for record in records.values():
                if any(key in keys for key in self._names_of(resource, record)):
                    yield Source(resource, record.namespace, record.name)

    def affected(self, affected: Iterable[Affected]) -> Iterator[Source]:
        """Give the objects whose violations may now be accepted, or no longer."""
        by_place: dict[str, set[PolicyRef]] = {}
        for policy, place in affected:
            by_place.setdefault(place, set()).add(policy)
        for place, policies in by_place.items():
            for resource, record in self.ledger.of(policies, place):
                yield Source(resource, record.namespace, record.name)

    def made_in(self, namespaces: Collection[str]) -> Iterator[Source]:
        """Give the objects that Kubernetes may have made of workloads in these namespaces."""
        for resource, records in self.ledger.records.items():
            if (resource.group, resource.plural) in _MADE:
                for record in records.values():
                    if record.namespace in namespaces:
                        yield Source(resource, record.namespace, record.name)

    def hidden(self) -> Iterator[Source]:
        """Give the objects that a status is to name next, and of which only the counts are known."""
        for resource, record in self.ledger.hidden():
            yield Source(resource, record.namespace, record.name)


def _names(target: ObjectRef, uid: str, form: str, first: int, last: int) -> list[Key]:
    return [Key(target.namespace, name_of(target, uid, part, form)) for part in range(first, last + 1)]

"""Finds acceptances by the policies and objects that they name, so that a request looks at few of many."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from webhook.core.acceptance import Acceptance
from webhook.core.approvals import Approval
from webhook.core.model import PolicyRef


class Names:
    """Acceptances by the policies and objects that they name, approvals by the acceptance.

    Args:
        acceptances: all there are.
        approvals: all there are.
    """

    def __init__(self, acceptances: Sequence[Acceptance], approvals: Iterable[Approval]) -> None:
        self.approvals: dict[PolicyRef, list[Approval]] = {}
        for approval in approvals:
            self.approvals.setdefault(approval.approves, []).append(approval)
        self.by_ref = {acceptance.ref: acceptance for acceptance in acceptances}
        self._of_policy: dict[tuple[str, str, str], _Objects] = {}
        for acceptance in sorted(acceptances, key=lambda acceptance: acceptance.ref):
            for kind, name in dict.fromkeys((policy.kind, policy.name) for policy in acceptance.policies):
                key = (kind, name, acceptance.ref.namespace)
                self._of_policy.setdefault(key, _Objects()).add(acceptance)

    def of_policy(self, policy: PolicyRef, namespace: str) -> Iterator[Acceptance]:
        """Give the acceptances that name a policy and may be for objects in a namespace, by kind and name.

        Those of other namespaces are never looked at, however many their owners write.
        """
        for place in dict.fromkeys(("", namespace)):
            found = self._of_policy.get((policy.kind, policy.name, place))
            if found is not None:
                yield from found.every

    def of_object(self, policy: PolicyRef, namespace: str, name: str) -> Iterator[Acceptance]:
        """Give those of them that may be for an object of that name, each once."""
        for place in dict.fromkeys(("", namespace)):
            found = self._of_policy.get((policy.kind, policy.name, place))
            if found is not None:
                yield from found.find(name)


class _Objects:
    """The acceptances of one policy in one namespace, by objects' names: whole, or up to the first star."""

    def __init__(self) -> None:
        self.every: list[Acceptance] = []
        self._whole: dict[str, list[Acceptance]] = {}
        self._starting: dict[str, list[Acceptance]] = {}
        self._lengths: set[int] = set()

    def add(self, acceptance: Acceptance) -> None:
        self.every.append(acceptance)
        for pattern in dict.fromkeys(acceptance.scope.names or ("*",)):
            start, star, _ = pattern.partition("*")
            if star:
                self._lengths.add(len(start))
            (self._starting if star else self._whole).setdefault(start, []).append(acceptance)

    def find(self, name: str) -> Iterable[Acceptance]:
        found = list(self._whole.get(name, ()))
        for length in self._lengths:
            if length <= len(name):
                found += self._starting.get(name[:length], ())
        return found if len(found) < 2 else {id(acceptance): acceptance for acceptance in found}.values()

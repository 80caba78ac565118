"""Which acceptance covers a violation, and what is missing from those that nearly do."""

from __future__ import annotations

import bisect
import functools
import itertools
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from webhook.core.acceptance import Acceptance
from webhook.core.appetite import Appetite
from webhook.core.approvals import Approval
from webhook.core.model import GroupKind, ObjectRef, PolicyRef, Violation
from webhook.core.naming import Names
from webhook.core.policy import CompiledPolicy
from webhook.core.selectors import labels_of
from webhook.core.standing import Standing, State, Surroundings, standing, turns

_MOST_HINTS = 3
_MOST_LOOKED_AT = 30


class Register:
    """Every acceptance and approval of a snapshot, found by the policy they name.

    Args:
        acceptances: parsed.
        approvals: parsed.
        surroundings: the RiskAppetite, cluster, clocks, and whether approvals are trusted.
        before: the last snapshot's; where acceptances and approvals are the same, so is what finds them.
    """

    def __init__(
        self,
        acceptances: Iterable[Acceptance] = (),
        approvals: Iterable[Approval] = (),
        surroundings: Surroundings = Surroundings(),  # noqa: B008 - frozen
        before: Register | None = None,
    ) -> None:
        self.surroundings = surroundings
        self.acceptances = tuple(acceptances)
        self.approvals = tuple(approvals)
        same = before is not None and before.holds(self.acceptances, self.approvals)
        self.names: Names = before.names if before and same else Names(self.acceptances, self.approvals)
        self._standings: dict[tuple[PolicyRef, PolicyRef], _Standings] = {}

    def holds(self, acceptances: Sequence[Acceptance], approvals: Sequence[Approval]) -> bool:
        """Tell whether these are its acceptances and approvals."""
        return (self.acceptances, self.approvals) == (acceptances, approvals)

    @property
    def appetite(self) -> Appetite | None:
        """The RiskAppetite that holds."""
        return self.surroundings.appetite

    def acceptance(self, ref: PolicyRef) -> Acceptance | None:
        """Return the acceptance of that kind, namespace and name."""
        return self.names.by_ref.get(ref)

    def approvals_of(self, acceptance: Acceptance) -> Sequence[Approval]:
        """Return every approval that names `acceptance`, whether or not it counts."""
        return self.names.approvals.get(acceptance.ref, ())

    def naming(self, policy: PolicyRef, validation: str, namespace: str) -> Iterator[Acceptance]:
        """Give the acceptances that name a validation of a policy and may be for objects in a namespace."""
        for acceptance in self.names.of_policy(policy, namespace):
            if acceptance.names_policy(policy, validation):
                yield acceptance

    def standing(self, acceptance: Acceptance, policy: CompiledPolicy, at: datetime) -> Standing:
        """Say whether `acceptance` of that policy's violations is in force at a time.

        It is said again as long as nothing can have changed: a request comes by far more often than a moment
        at which an acceptance starts or ends.
        """
        approvals = self.approvals_of(acceptance)
        if self.names.by_ref.get(acceptance.ref) is not acceptance:  # as somebody is about to write it
            return standing(acceptance, approvals, policy, self.surroundings, at)
        key = (acceptance.ref, policy.ref)
        known = self._standings.get(key)
        if known is None or known.policy is not policy:
            known = _Standings(policy, turns(acceptance, approvals, policy, self.surroundings), {})
            self._standings[key] = known
        between = bisect.bisect_right(known.turns, at)
        said = known.said.get(between)
        if said is None:
            said = standing(acceptance, approvals, policy, self.surroundings, at)
            known.said[between] = said
        return said


@dataclass(frozen=True, slots=True)
class _Standings:
    """What was said of one acceptance and one policy: the same between one turn and the next."""

    policy: CompiledPolicy
    turns: Sequence[datetime]
    said: dict[int, Standing]


@dataclass(frozen=True, slots=True)
class Coverage:
    """What the acceptances say of one violation.

    Attributes:
        by: the acceptance in force that covers it, with its standing; None where there is none.
        ended: acceptances whose scope covers it and that were in force once.
        hints: what is missing from the acceptances that nearly cover it, for people.
        others: the same of those for other objects of the namespace: named only where nothing comes nearer.
    """

    by: tuple[Acceptance, Standing] | None = None
    ended: tuple[tuple[Acceptance, Standing], ...] = ()
    hints: tuple[str, ...] = ()
    others: tuple[str, ...] = ()


UNCOVERED = Coverage()


def cover(
    register: Register,
    violation: Violation,
    policy: CompiledPolicy,
    target: ObjectRef,
    obj: Mapping[str, Any] | None,
    at: datetime,
    controls_hold: Callable[[Acceptance], str],
) -> Coverage:
    """Return which acceptance covers a violation of an object at a time.

    Of several in force: the latest end, then the namespaced one, then the name.

    Args:
        register: the snapshot's.
        violation: the violation.
        policy: the policy it violates.
        target: the object that violates it.
        obj: that object, for its labels.
        at: the moment.
        controls_hold: says what is missing from an acceptance's compensating controls; empty when they hold.
    """
    active: list[tuple[Acceptance, Standing]] = []
    ended: list[tuple[Acceptance, Standing]] = []
    hints: list[str] = []
    for acceptance in register.names.of_object(violation.policy, target.namespace, target.name):
        if not acceptance.names_policy(violation.policy, violation.validation):
            continue
        if _is_elsewhere(acceptance, target):
            continue  # and not named: who is denied here needn't know what other namespaces accept
        misses, near = mismatch(acceptance, violation, target, obj)
        if misses and not near:
            continue
        now = register.standing(acceptance, policy, at) if not misses else None
        if now is not None and now.was_in_force and now.state is not State.ACTIVE:
            ended.append((acceptance, now))
        lacking = misses or (now.reason if now else "") or controls_hold(acceptance)
        if lacking:
            hints.append(_hint(acceptance, lacking))
        elif now is not None:
            active.append((acceptance, now))
    if active:
        return Coverage(by=min(active, key=_preference), ended=tuple(ended))
    if hints:
        return Coverage(ended=tuple(ended), hints=tuple(sorted(hints)[:_MOST_HINTS]))
    others = _others(register, violation, target, obj)
    return Coverage(others=others) if others else UNCOVERED


def _others(
    register: Register, violation: Violation, target: ObjectRef, obj: Mapping[str, Any] | None
) -> tuple[str, ...]:
    """Return what is missing from the first of those for other objects; of very many, some are looked at."""
    found: list[str] = []
    named = register.naming(violation.policy, violation.validation, target.namespace)
    for acceptance in itertools.islice(named, _MOST_LOOKED_AT):
        if not _is_elsewhere(acceptance, target):
            misses, near = mismatch(acceptance, violation, target, obj)
            if misses and not near:
                found.append(_hint(acceptance, misses))
        if len(found) == _MOST_HINTS:
            break
    return tuple(found)


def _hint(acceptance: Acceptance, lacking: str) -> str:
    return f"{acceptance.ref.kind} {acceptance.ref} does not cover this: {lacking}"


def _is_elsewhere(acceptance: Acceptance, target: ObjectRef) -> bool:
    """Tell whether a ClusterRiskAcceptance is for other namespaces; `naming` left out the rest."""
    if acceptance.ref.namespace or not target.namespace:
        return False
    return not any_matches(acceptance.scope.namespaces, target.namespace)


def _preference(candidate: tuple[Acceptance, Standing]) -> tuple[float, bool, str]:
    acceptance, now = candidate
    return -now.until.timestamp(), not acceptance.ref.namespace, acceptance.ref.name


def mismatch(
    acceptance: Acceptance, violation: Violation, target: ObjectRef, obj: Mapping[str, Any] | None
) -> tuple[str, bool]:
    """Return what of a violation an acceptance's scope doesn't match, and whether it comes near.

    It comes near where the kind matches and so does the name, where names are given.
    """
    scope = acceptance.scope
    if GroupKind(target.group, target.kind) not in scope.kinds:
        return f"its scope has no kind {target.kind}", False
    if scope.names and not any_matches(scope.names, target.name):
        return f"its scope does not name {target.name or 'an object without a name yet'}", False
    if scope.selector and not scope.selector.matches(labels_of(obj)):
        return "its objectSelector does not match the object's labels", True
    if (scope.containers or scope.images) and not violation.container_kind:
        return "its scope names containers or images, and this validation is not about one container", True
    if scope.containers and violation.container not in scope.containers:
        return f"its scope does not name the container {violation.container}", True
    if scope.images and not any_matches(scope.images, violation.image):
        return f"its scope does not name the image {violation.image}", True
    return "", True


def any_matches(patterns: Sequence[str], text: str) -> bool:
    """Tell whether one of the patterns, with ``*`` for any text, is all of `text`; nothing is no text."""
    return bool(text) and any(
        pattern == text or ("*" in pattern and _glob(pattern).fullmatch(text) is not None)
        for pattern in patterns
    )


@functools.lru_cache(maxsize=1024)
def _glob(pattern: str) -> re.Pattern[str]:
    parts = re.split(r"\*+", pattern)
    # Each text between two stars is looked for once, from left to right: no backtracking over the others.
    middle = "".join(f"(?>.*?{re.escape(part)})" for part in parts[1:-1] if part)
    return re.compile(f"{re.escape(parts[0])}{middle}.*{re.escape(parts[-1])}", re.DOTALL)

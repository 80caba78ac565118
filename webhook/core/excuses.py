"""What excuses the violations of a request: acceptances of its object, or of what it was made of."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from webhook.core.acceptance import Acceptance
from webhook.core.activation import Activation, Budget
from webhook.core.constraint import Review
from webhook.core.coverage import UNCOVERED, Coverage, cover
from webhook.core.ending import notice
from webhook.core.judge import Subject, judge, template_subject, violation_of_constraint
from webhook.core.model import GroupKind, PolicyRef, Violation
from webhook.core.owners import NO_CHAIN, Chain, Owner, chain_of, made_within
from webhook.core.policy import CompiledPolicy
from webhook.core.review import AdmissionRequest
from webhook.core.snapshot import Snapshot
from webhook.core.standing import Standing, State
from webhook.core.times import later, nanoseconds
from webhook.core.verdict import AcceptedViolation, Lack
from webhook.core.workloads import TEMPLATE_PATHS

_POD = GroupKind("", "Pod")
_MADE_BY_CONTROLLERS = frozenset({_POD, GroupKind("apps", "ReplicaSet"), GroupKind("batch", "Job")})
_ON_ITS_WAY = timedelta(minutes=1)

ControlHolds = Callable[[CompiledPolicy], bool]


@dataclass(frozen=True, slots=True)
class Excuse:
    """What the acceptances say of one violation.

    Attributes:
        accepted: the violation as it is accepted; None where no acceptance in force covers it.
        ended: an acceptance of the object covered it and has ended: it is never an existing violation.
        hints: what is missing from the acceptances that nearly cover it, for people.
    """

    accepted: AcceptedViolation | None = None
    ended: bool = False
    hints: tuple[str, ...] = ()


_NONE = Excuse()


class Excuses:
    """Finds excuses for the violations of one request.

    Args:
        request: the request.
        snapshot: acceptances, owners and policies.
        now: the time to judge at.
        budget: steps for judging the templates of owners.
        control_holds: tells whether a policy passes for the request's object.
        lacking: takes what a later snapshot would have to bring.
    """

    def __init__(
        self,
        request: AdmissionRequest,
        snapshot: Snapshot,
        now: datetime,
        budget: Budget,
        control_holds: ControlHolds,
        lacking: list[Lack],
    ) -> None:
        self.request = request
        self.snapshot = snapshot
        self.register = snapshot.register
        self.now = now
        self.budget = budget
        self._lacking = lacking
        self._control_holds = control_holds
        self._kind = GroupKind(request.kind[0], request.kind[2])
        self._chain: Chain | None = None
        self._controls: dict[PolicyRef, bool] = {}
        self._judged_owners: dict[tuple[PolicyRef, str], list[Violation]] = {}

    def of(self, violation: Violation, policy: CompiledPolicy) -> Excuse:
        """Return what excuses a violation of the request's object.

        Raises:
            BudgetExceeded: no steps are left to find out.
        """
        register = self.register
        if not register.acceptances:
            return _NONE
        request = self.request
        obj = request.object if request.object is not None else request.old_object
        coverage = cover(register, violation, policy, request.target, obj, self.now, self._controls_missing)
        if coverage.by is not None:
            return Excuse(self._accepted(violation, *coverage.by))
        found = _NONE
        if self._kind in _MADE_BY_CONTROLLERS:
            found = self._by_owner(violation, policy)
            if found.accepted is not None:
                return found
        return Excuse(ended=bool(coverage.ended), hints=coverage.hints or found.hints or coverage.others)

    def _by_owner(self, violation: Violation, policy: CompiledPolicy) -> Excuse:
        """Excuse what Kubernetes makes of a workload whose own template's same violation is accepted."""
        named = self.register.naming(violation.policy, violation.validation, self.request.namespace)
        if next(named, None) is None:
            return _NONE
        chain = self._owners()
        hints: tuple[str, ...] = ()
        for owner in chain.owners:
            for own in self._violations_of(owner, policy):
                if not _same(own, violation):
                    continue
                coverage = self._of_owner(own, policy, owner)
                if coverage.by is not None:
                    return Excuse(self._accepted(violation, *coverage.by))
                for acceptance, ended in coverage.ended:
                    if self._keeps_running(chain, acceptance, ended):
                        return Excuse(self._accepted(violation, acceptance, ended, kept_running=True))
                hints = hints or coverage.hints
        if chain.lack is not None and self._may_come(chain):
            self._lacking.append(chain.lack)
        if chain.broken and not hints:
            hints = (f"no acceptance of its owner counts: {chain.broken}",)
        return Excuse(hints=hints)

    def _may_come(self, chain: Chain) -> bool:
        """Tell whether the owner that a chain lacks can still be on its way.

        What it made is there already, so after a while it isn't: a forged owner must not hold up the
        controllers of all namespaces with each Pod that they try to make.
        """
        made = chain.owners[-1].created if chain.owners else None
        return made is None or self.now - made <= _ON_ITS_WAY

    def _of_owner(self, own: Violation, policy: CompiledPolicy, owner: Owner) -> Coverage:
        if owner.group_kind not in TEMPLATE_PATHS:
            return UNCOVERED
        return cover(self.register, own, policy, owner.ref, owner.workload, self.now, self._controls_missing)

    def _owners(self) -> Chain:
        if self._chain is None:
            appetite = self.register.appetite
            controllers = appetite.workload_controllers if appetite else frozenset()
            made = self.request.operation in ("CREATE", "UPDATE")
            self._chain = chain_of(self.request, self.snapshot.owners, controllers) if made else NO_CHAIN
        return self._chain

    def _violations_of(self, owner: Owner, policy: CompiledPolicy) -> list[Violation]:
        """Return what the template of an owner itself violates of a policy."""
        if owner.group_kind not in TEMPLATE_PATHS:
            return []
        key = (policy.ref, owner.uid)
        known = self._judged_owners.get(key)
        if known is None:
            subject = template_subject(owner.ref, owner.workload, None)
            if policy.constraint is not None:
                known = self._judged_owners[key] = self._of_constraint(owner, policy, subject)
                return known
            activation = Activation(
                object=subject.object,
                request=self.request.raw,
                namespaceObject=self.snapshot.namespaces.get(self.request.namespace),
                budget=self.budget,
            )
            known = []
            for params in self.snapshot.params.of(policy, self.request.namespace):
                activation.params = params
                activation.use_variables(policy.variables)
                findings = judge(policy, subject, activation, policy.actions)
                known += [found[0] for found in findings.violations] if findings else []
            self._judged_owners[key] = known
        return known

    def _of_constraint(self, owner: Owner, policy: CompiledPolicy, subject: Subject) -> list[Violation]:
        constraint, context = policy.constraint, self.snapshot.constraints
        if constraint is None:
            return []
        review = Review(
            self.request.raw,
            subject.object,
            None,
            self.snapshot.namespaces.get(self.request.namespace),
            inventory=context.inventory,
            external=context.external,
            budget=self.budget,
            now_ns=nanoseconds(self.now),
        )
        found = constraint.judge(review)
        return [violation_of_constraint(policy, owner.ref, each, policy.actions) for each in found]

    def _keeps_running(self, chain: Chain, acceptance: Acceptance, ended: Standing) -> bool:
        """Tell whether a Pod may be made again though the acceptance of its workload has ended."""
        appetite = self.register.appetite
        latest, _ = self.register.surroundings.clocks(self.now)
        return (
            appetite is not None
            and appetite.keep_running
            and ended.state is State.EXPIRED
            and ended.since is not None
            and not chain.broken
            and self._kind == _POD
            and latest <= later(ended.until, appetite.keep_running_for)
            and made_within(chain, self.snapshot.owners, ended.since, ended.until)
            and not self._controls_missing(acceptance)
        )

    def _accepted(
        self, violation: Violation, acceptance: Acceptance, now: Standing, *, kept_running: bool = False
    ) -> AcceptedViolation:
        latest, _ = self.register.surroundings.clocks(self.now)
        return AcceptedViolation(
            violation,
            acceptance.ref,
            now.until,
            now.approvers,
            kept_running,
            acceptance.break_glass,
            notice(now, latest),
        )

    def _controls_missing(self, acceptance: Acceptance) -> str:
        """Say which compensating control doesn't hold for the request's object; empty when all do."""
        for ref in acceptance.controls:
            policy = self.snapshot.policy(ref)
            if policy is None:
                return f"its compensating control {ref} is not enforced here"
            if ref not in self._controls:
                self._controls[ref] = self._control_holds(policy)
            if not self._controls[ref]:
                return f"its compensating control {ref} does not hold for this object"
        return ""


def _same(own: Violation, violation: Violation) -> bool:
    """Tell whether the template violates what its Pod does: same validation, container and image.

    What a constraint finds is only told apart by its message.
    """
    if violation.constraint and own.message != violation.message:
        return False
    return (own.validation, own.container_kind, own.container, own.image) == (
        violation.validation,
        violation.container_kind,
        violation.container,
        violation.image,
    )

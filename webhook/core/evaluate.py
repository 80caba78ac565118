"""The one function that judges: webhook, audit, check and forecast all call `evaluate`.

bytes -> request -> policies that match -> programs run -> violations -> acceptances in force -> verdict
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from webhook.core.acceptance import Acceptance, Standing, State
from webhook.core.activation import Activation, Budget
from webhook.core.authorization import AuthorizerCheck, AuthorizerDecision, DecisionLacking
from webhook.core.coverage import UNCOVERED, Coverage, cover
from webhook.core.errors import BudgetExceeded, EvaluationError
from webhook.core.judge import Findings, Subject, conditions_hold, judge, template_subject
from webhook.core.match import EVERY_POLICY, Candidate, Selection
from webhook.core.model import Action, GroupKind, Violation
from webhook.core.owners import NO_CHAIN, Chain, Owner, chain_of, made_within
from webhook.core.policy import CompiledPolicy, Validation
from webhook.core.ratchet import is_existing
from webhook.core.review import AdmissionRequest
from webhook.core.selectors import Labels, labels_of
from webhook.core.snapshot import Snapshot
from webhook.core.verdict import AcceptedViolation, DecisionLack, Lack, NamespaceLack, PolicyError, Verdict
from webhook.core.workloads import TEMPLATE_PATHS

_POD = GroupKind("", "Pod")
_MADE_BY_CONTROLLERS = frozenset({_POD, GroupKind("apps", "ReplicaSet"), GroupKind("batch", "Job")})


def evaluate(
    request: AdmissionRequest,
    snapshot: Snapshot,
    now: datetime,
    *,
    budget: Budget | None = None,
    decisions: Mapping[AuthorizerCheck, AuthorizerDecision] | None = None,
    selection: Selection = EVERY_POLICY,
) -> Verdict:
    """Judge one request.

    Pure: no I/O, no clock, no client. The same request, snapshot and time give the same verdict everywhere.

    Args:
        request: what is to be done.
        snapshot: policies, acceptances and everything else that judging needs.
        now: the time to judge at, with its zone.
        budget: steps for each policy, and the deadline; None for the usual steps and no deadline.
        decisions: the authorizer's answers so far; None where nobody can be asked, as offline.
        selection: which policies the webhook entry asks for.

    Returns:
        the verdict; its `lacking` says what else would have to be known.
    """
    return _Evaluation(request, snapshot, now, budget or Budget(), decisions, selection).run()


class _Evaluation:
    """One call of `evaluate`: what it has found so far."""

    def __init__(
        self,
        request: AdmissionRequest,
        snapshot: Snapshot,
        now: datetime,
        budget: Budget,
        decisions: Mapping[AuthorizerCheck, AuthorizerDecision] | None,
        selection: Selection,
    ) -> None:
        self.request = request
        self.snapshot = snapshot
        self.now = now
        self.budget = budget
        self.decisions = decisions
        self.selection = selection
        self.target = request.target
        self.is_namespace = request.resource[::2] == ("", "namespaces")
        self.namespace = "" if self.is_namespace else request.namespace
        self.namespace_object = snapshot.namespaces.get(self.namespace) if self.namespace else None
        self.violations: list[Violation] = []
        self.accepted: list[AcceptedViolation] = []
        self.existing: list[Violation] = []
        self.errors: list[PolicyError] = []
        self.annotations: dict[str, str] = {}
        self.hints: dict[str, tuple[str, ...]] = {}
        self.lacking: list[Lack] = []
        self._subjects: list[Subject | None] = [None, None]
        self._chain: Chain | None = None
        self._judged_owners: dict[tuple[int, str], list[Violation]] = {}

    def run(self) -> Verdict:
        request, snapshot = self.request, self.snapshot
        labels = (labels_of(request.object), labels_of(request.old_object))
        namespace_labels = self._namespace_labels()
        exempt = self.namespace in snapshot.exempt_namespaces
        everything = self.selection == EVERY_POLICY
        activation = Activation(
            request=request.raw, namespaceObject=self.namespace_object, budget=self.budget
        )
        for candidate in snapshot.index.candidates(request, namespace_labels, labels):
            policy = candidate.policy
            if (
                (everything or self._is_asked_for(candidate))
                and (not policy.ref.namespace or policy.ref.namespace == self.namespace)
                and (candidate.certain or candidate.takes(request))
                and (not exempt or self.namespace in policy.named_namespaces)
            ):
                self._judge(candidate, activation, namespace_labels, labels)
        denied = any(Action.DENY in violation.actions for violation in self.violations) or any(
            Action.DENY in error.actions for error in self.errors
        )
        return Verdict(
            allowed=not denied,
            violations=tuple(self.violations),
            accepted=tuple(self.accepted),
            existing=tuple(self.existing),
            errors=tuple(self.errors),
            annotations=self.annotations,
            hints=self.hints,
            lacking=tuple(dict.fromkeys(self.lacking)),
            revision=snapshot.revision,
        )

    def _namespace_labels(self) -> Sequence[Labels] | None:
        """Return the labels that namespace selectors are compared with; None when they are unknown.

        A Namespace that is created or updated is its own; one that is deleted is as the snapshot knows it:
        see apiserver's ``pkg/admission/plugin/webhook/predicates/namespace``.
        """
        request = self.request
        if self.is_namespace:
            if request.operation in ("CREATE", "UPDATE") and not request.sub_resource:
                return (labels_of(request.object),)
            known = self.snapshot.namespaces.get(request.name)
            return (labels_of(known if known is not None else request.old_object or request.object),)
        if not self.namespace:
            return ()
        return (labels_of(self.namespace_object),) if self.namespace_object is not None else None

    def _is_asked_for(self, candidate: Candidate) -> bool:
        selection, owner = self.selection, candidate.policy.ref.namespace
        if selection.scope != "all" and (selection.scope == "namespaced") is not bool(owner):
            return False
        return selection.versions in ("*", candidate.versions)

    def _judge(
        self,
        candidate: Candidate,
        activation: Activation,
        namespace_labels: Sequence[Labels] | None,
        labels: Sequence[Labels],
    ) -> None:
        policy = candidate.policy
        actions = policy.actions
        try:
            if namespace_labels is None and _needs_namespace(policy):
                self.lacking.append(NamespaceLack(self.namespace))
                raise EvaluationError(f"the namespace {self.namespace} is not known yet")
            if (
                policy.namespace_selector
                and namespace_labels
                and not policy.namespace_selector.matches(namespace_labels[0])
            ):
                return
            subject = self._subject(candidate)
            if policy.object_selector and not self._is_selected(policy, candidate, subject, labels):
                return
            if policy.overrides:
                actions = self._actions(policy)
            activation.object, activation.oldObject = subject.object, subject.old_object
            if policy.make_authorizer is not None:
                activation.authorizer = policy.make_authorizer(self._ask, self.request)
            self.budget.refill()
            if policy.param_source is None:
                activation.params = policy.params
                self._judge_once(policy, subject, activation, actions)
                return
            for params in self._params(policy):
                activation.params = params
                self._judge_once(policy, subject, activation, actions)
        except EvaluationError as error:
            self._fail(policy, str(error), actions)
        except RecursionError:
            self._fail(policy, "the object is nested too deeply", actions)

    def _judge_once(
        self, policy: CompiledPolicy, subject: Subject, activation: Activation, actions: tuple[Action, ...]
    ) -> None:
        activation.use_variables(policy.variables)
        if policy.match_conditions and not conditions_hold(policy, activation):
            return
        findings = judge(policy, subject, activation, actions)
        if findings is None:
            return
        self.annotations.update(findings.annotations)
        if findings.violations:
            self._sort(policy, subject, findings, activation)
        for message in findings.errors:
            self._fail(policy, message, actions)

    def _is_selected(
        self, policy: CompiledPolicy, candidate: Candidate, subject: Subject, labels: Sequence[Labels]
    ) -> bool:
        """Tell whether the object selector takes the object as it will be or as it was."""
        if candidate.template:
            labels = (labels_of(subject.object), labels_of(subject.old_object))
        present = (subject.object is not None, subject.old_object is not None)
        return any(
            there and policy.object_selector.matches(got) for there, got in zip(present, labels, strict=True)
        )

    def _subject(self, candidate: Candidate) -> Subject:
        subject = self._subjects[candidate.template]
        if subject is None:
            request = self.request
            make = template_subject if candidate.template else Subject
            subject = self._subjects[candidate.template] = make(
                self.target, request.object, request.old_object
            )
        return subject

    def _actions(self, policy: CompiledPolicy) -> tuple[Action, ...]:
        """Return what a violation does here: the first override that matches, else the policy's own list.

        An override never matches cluster-scoped objects but a Namespace, which must match before and after.
        """
        if self.is_namespace:
            request = self.request
            known = self.snapshot.namespaces.get(request.name)
            states = [labels_of(obj) for obj in (request.object, request.old_object) if obj is not None] or [
                labels_of(known)
            ]
        elif self.namespace_object is not None:
            states = [labels_of(self.namespace_object)]
        else:
            return policy.actions
        for override in policy.overrides:
            if all(override.selector.matches(labels) for labels in states):
                return override.actions
        return policy.actions

    def _params(self, policy: CompiledPolicy) -> Sequence[Mapping[str, Any]]:
        source = policy.param_source
        assert source is not None  # noqa: S101 - the caller looked
        found = self.snapshot.params.find(source, policy.ref.namespace or self.namespace)
        if not found and source.required:
            which = source.name or "its selector"
            raise EvaluationError(f"no {source.kind} {which} was found as its parameter")
        return found

    def _ask(self, check: AuthorizerCheck) -> AuthorizerDecision:
        if self.decisions is None:
            raise EvaluationError("it asks the authorizer, and there is nobody to ask offline")
        answer = self.decisions.get(check)
        if answer is None:
            self.lacking.append(DecisionLack(check))
            raise DecisionLacking(check)
        return answer

    def _fail(self, policy: CompiledPolicy, message: str, actions: tuple[Action, ...]) -> None:
        self.errors.append(PolicyError(policy.ref, message, actions if policy.fail else ()))

    def _sort(
        self, policy: CompiledPolicy, subject: Subject, findings: Findings, activation: Activation
    ) -> None:
        """Put each violation where it belongs: accepted, existing, or counted."""
        old: Activation | None = None
        ratchet = policy.ratchet and self.request.operation == "UPDATE" and subject.old_object is not None
        for position, (violation, validation, container) in enumerate(findings.violations):
            try:
                coverage = self._cover(violation, policy)
                if self._accept(violation, policy, coverage):
                    continue
                if ratchet and (not coverage.ended or self._is_leaving()):
                    if old is None:
                        old = _on_old(activation, subject, policy)
                    if is_existing(violation, validation, container, subject, old):
                        self.existing.append(violation)
                        continue
            except BudgetExceeded as error:
                self._count(findings.violations[position:])
                findings.errors.append(str(error))
                return
            if coverage.hints:
                self.hints[violation.fingerprint] = coverage.hints
            self.violations.append(violation)

    def _is_leaving(self) -> bool:
        """Tell whether the object is being deleted: its finalizers must come off, whatever has expired."""
        metadata = (self.request.old_object or {}).get("metadata")
        return isinstance(metadata, Mapping) and bool(metadata.get("deletionTimestamp"))

    def _count(self, rest: Sequence[tuple[Violation, Validation, Any]]) -> None:
        self.violations += [violation for violation, _, _ in rest]

    def _cover(self, violation: Violation, policy: CompiledPolicy) -> Coverage:
        register = self.snapshot.register
        if not register.acceptances:
            return UNCOVERED
        obj = self.request.object if self.request.object is not None else self.request.old_object
        return cover(register, violation, policy, self.target, obj, self.now, self._controls_missing)

    def _accept(self, violation: Violation, policy: CompiledPolicy, coverage: Coverage) -> bool:
        if coverage.by is not None:
            self._accepted(violation, *coverage.by)
            return True
        if GroupKind(self.request.kind[0], self.request.kind[2]) not in _MADE_BY_CONTROLLERS:
            return False
        return self._accept_by_owner(violation, policy)

    def _accepted(
        self, violation: Violation, acceptance: Acceptance, now: Standing, *, kept_running: bool = False
    ) -> None:
        self.accepted.append(
            AcceptedViolation(violation, acceptance.ref, now.until, now.approvers, kept_running)
        )

    def _accept_by_owner(self, violation: Violation, policy: CompiledPolicy) -> bool:
        """Accept what Kubernetes makes of a workload whose own template's same violation is accepted."""
        register = self.snapshot.register
        if not any(
            acceptance.ref.namespace in ("", self.namespace)
            for acceptance in register.naming(violation.policy, violation.validation)
        ):
            return False
        chain = self._owners()
        for owner in chain.owners:
            for own in self._violations_of(owner, policy):
                same = (own.validation, own.container_kind, own.container, own.image) == (
                    violation.validation,
                    violation.container_kind,
                    violation.container,
                    violation.image,
                )
                if not same:
                    continue
                coverage = cover(
                    register, own, policy, owner.ref, owner.workload, self.now, self._controls_missing
                )
                if coverage.by is not None:
                    self._accepted(violation, *coverage.by)
                    return True
                for acceptance, ended in coverage.ended:
                    if self._keeps_running(chain, acceptance, ended):
                        self._accepted(violation, acceptance, ended, kept_running=True)
                        return True
                if coverage.hints:
                    self.hints[violation.fingerprint] = coverage.hints
        if chain.lack is not None:
            self.lacking.append(chain.lack)
        if chain.broken:
            self.hints.setdefault(
                violation.fingerprint, (f"no acceptance of its owner counts: {chain.broken}",)
            )
        return False

    def _owners(self) -> Chain:
        if self._chain is None:
            appetite = self.snapshot.register.appetite
            controllers = appetite.workload_controllers if appetite else frozenset()
            allowed = self.request.operation in ("CREATE", "UPDATE")
            self._chain = chain_of(self.request, self.snapshot.owners, controllers) if allowed else NO_CHAIN
        return self._chain

    def _violations_of(self, owner: Owner, policy: CompiledPolicy) -> list[Violation]:
        """Return what the template of an owner itself violates of a policy."""
        key = (id(policy), owner.uid)
        known = self._judged_owners.get(key)
        if known is None:
            if owner.group_kind not in TEMPLATE_PATHS:
                return []
            subject = template_subject(owner.ref, owner.workload, None)
            activation = Activation(
                object=subject.object,
                request=self.request.raw,
                namespaceObject=self.namespace_object,
                budget=self.budget,
            )
            activation.use_variables(policy.variables)
            known = []
            for params in [policy.params] if policy.param_source is None else self._params(policy):
                activation.params = params
                activation.use_variables(policy.variables)
                findings = judge(policy, subject, activation, policy.actions)
                known += [found[0] for found in findings.violations] if findings else []
            self._judged_owners[key] = known
        return known

    def _keeps_running(self, chain: Chain, acceptance: Acceptance, ended: Standing) -> bool:
        """Tell whether a Pod may be made again though the acceptance of its workload has ended."""
        appetite = self.snapshot.register.appetite
        return (
            appetite is not None
            and appetite.keep_running
            and ended.state is State.EXPIRED
            and not chain.broken
            and GroupKind(self.request.kind[0], self.request.kind[2]) == _POD
            and self.now <= ended.until + appetite.keep_running_for
            and made_within(chain, self.snapshot.owners, acceptance.valid_from, ended.until)
        )

    def _controls_missing(self, acceptance: Acceptance) -> str:
        """Say which compensating control doesn't hold for the request's object; empty when all do."""
        for ref in acceptance.controls:
            policy = self.snapshot.policy(ref)
            if policy is None:
                return f"its compensating control {ref} is not enforced here"
            alone = Snapshot(
                namespaces=self.snapshot.namespaces,
                params=self.snapshot.params,
                index=type(self.snapshot.index)((policy,)),
                exempt_namespaces=frozenset(),
            )
            verdict = evaluate(self.request, alone, self.now, budget=self.budget, decisions=self.decisions)
            if verdict.violations or verdict.existing or verdict.errors:
                return f"its compensating control {ref} does not hold for this object"
        return ""


def _needs_namespace(policy: CompiledPolicy) -> bool:
    return bool(policy.namespace_selector or policy.overrides) or "namespaceObject" in policy.references


def _on_old(activation: Activation, subject: Subject, policy: CompiledPolicy) -> Activation:
    """Return an activation in which nothing has changed: the old object stands in both places."""
    old = Activation(
        object=subject.old_object,
        oldObject=subject.old_object,
        request=activation.request,
        params=activation.params,
        namespaceObject=activation.namespaceObject,
        authorizer=activation.authorizer,
        budget=activation.budget,
    )
    old.use_variables(policy.variables)
    return old

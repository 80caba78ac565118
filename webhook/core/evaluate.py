"""The one function that judges: webhook, audit, check and forecast all call `evaluate`.

bytes -> request -> policies that match -> programs run -> violations -> acceptances in force -> verdict
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Any

from webhook.core.activation import Activation, Budget, Place
from webhook.core.authorization import AuthorizerCheck, AuthorizerDecision, DecisionLacking
from webhook.core.errors import EvaluationError
from webhook.core.evaluation import Evaluation
from webhook.core.excuses import Excuses
from webhook.core.judge import Findings, Subject, conditions_hold, judge, template_subject
from webhook.core.judge_constraints import judge_constraint, judge_expanded
from webhook.core.match import EVERY_POLICY, Bucket, Candidate, PolicyIndex, Selection
from webhook.core.meter import Meter
from webhook.core.model import Action
from webhook.core.policy import CompiledPolicy
from webhook.core.ratchet import is_existing, on_old, took
from webhook.core.review import AdmissionRequest
from webhook.core.selectors import Labels, labels_of
from webhook.core.snapshot import Snapshot
from webhook.core.verdict import DecisionLack, Lack, NamespaceLack, PolicyError, Verdict


def evaluate(
    request: AdmissionRequest,
    snapshot: Snapshot,
    now: datetime,
    *,
    budget: Budget | None = None,
    decisions: Mapping[AuthorizerCheck, AuthorizerDecision] | None = None,
    selection: Selection = EVERY_POLICY,
    meter: Meter | None = None,
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
        meter: measures each policy; None for none.

    Returns:
        the verdict; its `lacking` says what else would have to be known.
    """
    username = request.user.username
    if username in snapshot.exempt_users:
        return Verdict(allowed=True, annotations={"exempt-user": username}, revision=snapshot.revision)
    bucket = snapshot.index.bucket(request)
    if not bucket.every and not snapshot.constraints.expansions:
        return Verdict(allowed=True, revision=snapshot.revision)
    return _Evaluation(request, snapshot, now, budget or Budget(), decisions, selection).run(bucket, meter)


class _Evaluation(Evaluation):
    """One call of `evaluate`: finds the policies and runs them."""

    def run(self, bucket: Bucket, meter: Meter | None = None) -> Verdict:
        request, snapshot = self.request, self.snapshot
        labels = (labels_of(request.object), labels_of(request.old_object))
        namespace_labels = self._namespace_labels()
        exempt = self.place in snapshot.exempt_namespaces
        everything = self.selection == EVERY_POLICY
        activation = Activation(
            request=request.raw, namespaceObject=self.namespace_object, budget=self.budget
        )
        self.budget.stride()
        # Whoever asks for ClusterPolicies in any version asks for every plain one.
        plainly = (
            meter is None
            and not exempt
            and self.selection.versions == "*"
            and self.selection.scope != "namespaced"
        )
        ready: Subject | None = None  # whose variables the activation has
        containers: list[Place] = []
        for candidate in bucket.find(request.namespace, namespace_labels, labels):
            policy = candidate.policy
            if plainly and candidate.plain:
                subject = self.subjects[candidate.template]
                if subject is None and not candidate.template:
                    subject = self._subject(candidate)
                if subject is not ready:
                    ready = subject
                    if subject is not None:
                        containers, problem = subject.containers()
                        activation.object, activation.oldObject = subject.object, subject.old_object
                        ready = subject if not problem else None
                if ready is not None:
                    activation.params = policy.params
                    activation.use_variables(policy.variables)
                    if policy.passes is not None and policy.passes(activation, containers):
                        continue
            ready = None
            if (
                (everything or self._is_asked_for(candidate))
                and (not policy.ref.namespace or policy.ref.namespace == self.namespace)
                and (candidate.certain or candidate.takes(request))
                and (not exempt or self.place in policy.named_namespaces)
            ):
                if meter is None:
                    self._judge(candidate, activation, namespace_labels, labels)
                    continue
                meter.start()
                self._judge(candidate, activation, namespace_labels, labels)
                meter.stop(policy.ref)
        if snapshot.constraints.expansions and not exempt and self.selection.scope != "namespaced":
            judge_expanded(self)
        return self.verdict()

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
        return selection.versions == "*" or selection.versions in candidate.versions

    def _judge(
        self,
        candidate: Candidate,
        activation: Activation,
        namespace_labels: Sequence[Labels] | None,
        labels: Sequence[Labels],
    ) -> None:
        policy = candidate.policy
        if policy.constraint is not None:
            judge_constraint(self, policy, policy.constraint, template=candidate.template)
            return
        actions = self.capped(policy.actions)
        try:
            if (
                policy.namespace_selector
                and namespace_labels
                and not policy.namespace_selector.matches(namespace_labels[0])
            ):
                return
            subject = self._subject(candidate)
            if policy.object_selector and not self._is_selected(policy, candidate, subject, labels):
                return
            if namespace_labels is None and _needs_namespace(policy):
                self.lacking.append(NamespaceLack(self.namespace))
                raise EvaluationError(f"the namespace {self.namespace} is not known yet")
            activation.object, activation.oldObject = subject.object, subject.old_object
            if policy.make_authorizer is not None:
                activation.authorizer = policy.make_authorizer(self._ask, self.request)
            alone = policy.param_source is None and not policy.match_conditions
            if alone and self._passes(policy, subject, activation):
                return
            if policy.overrides:
                actions = self.capped(self._actions(policy))
            self.budget.refill(policy.ref)
            for params in self.snapshot.params.of(policy, self.request.namespace):
                activation.params = params
                self._judge_once(policy, subject, activation, actions)
        except EvaluationError as error:
            self._fail(policy, str(error), actions)
        except RecursionError:
            self._fail(policy, "the object is nested too deeply", actions)
        self.budget.stride()

    def _passes(self, policy: CompiledPolicy, subject: Subject, activation: Activation) -> bool:
        """Tell whether the subject is sure to meet the policy's validations, as nearly everything does."""
        if policy.passes is None:
            return False
        containers, problem = subject.containers()
        if problem:
            return False
        activation.object, activation.oldObject = subject.object, subject.old_object
        activation.params = policy.params
        activation.use_variables(policy.variables)
        return policy.passes(activation, containers)

    def _judge_once(
        self, policy: CompiledPolicy, subject: Subject, activation: Activation, actions: tuple[Action, ...]
    ) -> None:
        activation.use_variables(policy.variables)
        if policy.match_conditions and not conditions_hold(policy, activation):
            return
        findings = judge(policy, subject, activation, actions)
        if findings is None:
            return
        for key, value in findings.annotations.items():
            known = self.annotations.get(key)
            if known is None:
                self.annotations[key] = value
            elif value not in known.split(", "):  # of several parameters, as Kubernetes joins them
                self.annotations[key] = f"{known}, {value}"
        if findings.violations:
            self._sort(policy, subject, findings, activation)
        for message in findings.errors:
            self._fail(policy, message, actions)

    def _is_selected(
        self, policy: CompiledPolicy, candidate: Candidate, subject: Subject, labels: Sequence[Labels]
    ) -> bool:
        """Tell whether the object selector takes the object as it will be or as it was.

        What can't have labels, as the options of an exec, it never takes.
        """
        if candidate.template:
            labels = (labels_of(subject.object), labels_of(subject.old_object))
        return any(
            _can_have_labels(obj) and policy.object_selector.matches(got)
            for obj, got in zip((subject.object, subject.old_object), labels, strict=True)
        )

    def _subject(self, candidate: Candidate) -> Subject:
        subject = self.subjects[candidate.template]
        if subject is None:
            request = self.request
            make = template_subject if candidate.template else Subject
            subject = self.subjects[candidate.template] = make(
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
        excuses = self.excuses
        ratchet = policy.ratchet and self.request.operation == "UPDATE" and subject.old_object is not None
        for position, (violation, validation, container) in enumerate(findings.violations):
            try:
                excuse = excuses.of(violation, policy)
                if excuse.accepted is not None:
                    self.accepted.append(excuse.accepted)
                    continue
                if ratchet and (not excuse.ended or self.is_leaving):
                    if old is None:
                        old = on_old(activation, subject, policy)
                        ratchet = took(policy, old)
                    if ratchet and is_existing(violation, validation, container, subject, old):
                        self.existing.append(violation)
                        continue
            except (EvaluationError, RecursionError) as error:
                # Whatever could have excused them isn't known: they stand.
                self.violations += [found[0] for found in findings.violations[position:]]
                findings.errors.append(str(error))
                return
            if excuse.hints:
                self.hints[violation.fingerprint] = excuse.hints
            self.violations.append(violation)

    def find_excuses(self) -> Excuses:
        """Return what finds excuses for the violations of the request."""
        # What it gets doesn't lead back to this evaluation: in a cycle a request's objects would wait for
        # the garbage collector, and the next ones would be decoded into memory that no cache holds.
        request, snapshot = self.request, self.snapshot
        control_holds = partial(
            _control_holds, request, snapshot, self.now, self.budget, self.decisions, self.lacking
        )
        return Excuses(request, snapshot, self.now, self.budget, control_holds, self.lacking)


def _control_holds(
    request: AdmissionRequest,
    snapshot: Snapshot,
    now: datetime,
    budget: Budget,
    decisions: Mapping[AuthorizerCheck, AuthorizerDecision] | None,
    lacking: list[Lack],
    policy: CompiledPolicy,
) -> bool:
    """Tell whether a compensating control passes for the request's object, accepted risks or not."""
    alone = Snapshot(
        namespaces=snapshot.namespaces,
        params=snapshot.params,
        index=PolicyIndex((policy,)),
        exempt_namespaces=frozenset(),
        constraints=snapshot.constraints,
    )
    verdict = evaluate(request, alone, now, budget=budget, decisions=decisions)
    lacking += verdict.lacking
    budget.refill()
    return not (verdict.violations or verdict.existing or verdict.errors)


def _can_have_labels(obj: Mapping[str, Any] | None) -> bool:
    return obj is not None and isinstance(obj.get("metadata"), Mapping)


def _needs_namespace(policy: CompiledPolicy) -> bool:
    return bool(policy.namespace_selector or policy.overrides) or "namespaceObject" in policy.references

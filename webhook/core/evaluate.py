"""The one function that judges: webhook, audit, check and forecast all call `evaluate`.

bytes -> request -> policies that match -> programs run -> violations -> acceptances in force -> verdict
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import Any

from webhook.core.activation import Activation, Budget, Place
from webhook.core.authorization import AuthorizerCheck, AuthorizerDecision, DecisionLacking
from webhook.core.constraint import GENERATED, Constraint, ExternalLacking, Found, Review
from webhook.core.errors import BudgetExceeded, EvaluationError
from webhook.core.excuses import Excuses
from webhook.core.expanding import Resultant, expand
from webhook.core.fields import metadata_of
from webhook.core.judge import (
    Findings,
    Subject,
    conditions_hold,
    judge,
    template_subject,
    violation_of_constraint,
)
from webhook.core.match import EVERY_POLICY, Bucket, Candidate, PolicyIndex, Selection
from webhook.core.meter import Meter
from webhook.core.model import Action, Violation, capped
from webhook.core.policy import CompiledPolicy
from webhook.core.ratchet import is_existing, is_existing_of_constraint
from webhook.core.review import AdmissionRequest
from webhook.core.selectors import Labels, labels_of
from webhook.core.snapshot import Snapshot
from webhook.core.times import nanoseconds
from webhook.core.verdict import (
    AcceptedViolation,
    DecisionLack,
    ExternalLack,
    Lack,
    NamespaceLack,
    PolicyError,
    Verdict,
)


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
        self.most = Action(snapshot.max_action) if snapshot.max_action else Action.DENY
        self.violations: list[Violation] = []
        self.accepted: list[AcceptedViolation] = []
        self.existing: list[Violation] = []
        self.errors: list[PolicyError] = []
        self.annotations: dict[str, str] = {}
        self.hints: dict[str, tuple[str, ...]] = {}
        self.lacking: list[Lack] = []
        self._subjects: list[Subject | None] = [None, None]
        self._reviews: list[Review | None] = [None, None]
        self._excuses: Excuses | None = None

    def run(self, bucket: Bucket, meter: Meter | None = None) -> Verdict:
        request, snapshot = self.request, self.snapshot
        labels = (labels_of(request.object), labels_of(request.old_object))
        namespace_labels = self._namespace_labels()
        place = request.name if self.is_namespace else self.namespace
        exempt = place in snapshot.exempt_namespaces
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
                subject = self._subjects[candidate.template]
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
                and (not exempt or place in policy.named_namespaces)
            ):
                if meter is None:
                    self._judge(candidate, activation, namespace_labels, labels)
                    continue
                meter.start()
                self._judge(candidate, activation, namespace_labels, labels)
                meter.stop(policy.ref)
        if snapshot.constraints.expansions and not exempt and self.selection.scope != "namespaced":
            self._judge_expanded()
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
            self._judge_constraint(policy, policy.constraint, candidate.template)
            return
        actions = self._capped(policy.actions)
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
                actions = self._capped(self._actions(policy))
            self.budget.refill(policy.ref)
            for params in _params(self.request, self.snapshot, policy):
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

    # Gatekeeper's constraints.

    def _judge_constraint(
        self,
        policy: CompiledPolicy,
        constraint: Constraint,
        template: bool,
        resultant: tuple[Resultant, Review] | None = None,
    ) -> None:
        """Judge a constraint; what keeps it from being judged counts as a violation, as with Gatekeeper."""
        context = self.snapshot.constraints
        actions = constraint.actions_at(context.points, unscoped=context.unscoped)
        if actions is None:
            return
        place = self.request.name if self.is_namespace else self.namespace
        if place and context.excludes is not None and context.excludes(context.process, place):
            return
        prefix = ""
        if resultant is not None:
            expansion = resultant[0].expansion
            prefix = f"[Implied by {expansion.name}] "
            actions = actions if expansion.action is None else (expansion.action,)
        actions = self._capped(actions)
        try:
            review = resultant[1] if resultant is not None else self._review(template)
            if constraint.needs_namespace and self.namespace and self.namespace_object is None:
                self.lacking.append(NamespaceLack(self.namespace))
            if not constraint.matches(review):
                return
            self.budget.refill(policy.ref)
            found = constraint.judge(review)
        except EvaluationError as error:
            if isinstance(error, ExternalLacking):
                self.lacking.append(ExternalLack(error.provider, error.keys))
            self.errors.append(PolicyError(policy.ref, prefix + str(error), actions, constraint=True))
        except RecursionError:
            message = f"{prefix}the object is nested too deeply"
            self.errors.append(PolicyError(policy.ref, message, actions, constraint=True))
        else:
            if found:
                self._sort_found(policy, constraint, review, found, actions, prefix)
        self.budget.stride()

    def _review(self, template: bool) -> Review:
        review = self._reviews[template]
        if review is None:
            request = self.request
            obj, old_object = request.object, request.old_object
            if template:
                subject = template_subject(self.target, obj, old_object)
                obj, old_object = subject.object, subject.old_object
            review = self._reviews[template] = self._review_of(request.raw, obj, old_object)
        return review

    def _review_of(
        self,
        raw: Mapping[str, Any],
        obj: Mapping[str, Any] | None,
        old_object: Mapping[str, Any] | None,
        source: str = "Original",
    ) -> Review:
        context = self.snapshot.constraints
        return Review(
            raw,
            obj,
            old_object,
            self.namespace_object,
            source,
            context.inventory,
            context.external,
            self.budget,
            shows_namespace=context.shows_namespaces,
            now_ns=nanoseconds(self.now),
        )

    def _sort_found(
        self,
        policy: CompiledPolicy,
        constraint: Constraint,
        review: Review,
        found: Sequence[Found],
        actions: tuple[Action, ...],
        prefix: str,
    ) -> None:
        """Put each result of a constraint where it belongs, as `_sort` does."""
        excuses = self._excuses = self._excuses or self._find_excuses()
        ratchet = policy.ratchet and self.request.operation == "UPDATE" and review.old_object is not None
        for each in found:
            violation = violation_of_constraint(policy, self.target, each, actions, prefix)
            try:
                excuse = excuses.of(violation, policy)
                if excuse.accepted is not None:
                    self.accepted.append(excuse.accepted)
                    continue
                if (
                    ratchet
                    and not excuse.ended
                    and is_existing_of_constraint(each, constraint, review, self.budget)
                ):
                    self.existing.append(violation)
                    continue
            except (EvaluationError, RecursionError) as error:
                # Whatever could have excused it isn't known: it stands.
                message = prefix + str(error)
                self.errors.append(PolicyError(policy.ref, message, actions, constraint=True))
                self.violations.append(violation)
                continue
            if excuse.hints:
                self.hints[violation.fingerprint] = excuse.hints
            self.violations.append(violation)

    def _judge_expanded(self) -> None:
        """Judge what ExpansionTemplates make of the object, for the object itself."""
        request, snapshot = self.request, self.snapshot
        obj = request.object if request.object is not None else request.old_object
        if obj is None or request.sub_resource:
            return
        try:
            made = list(expand(obj, request.kind, self.namespace, snapshot.constraints.expansions))
        except EvaluationError as error:
            for policy in snapshot.policies:
                if policy.constraint is not None:
                    message = f"unable to expand object: {error}"
                    self.errors.append(PolicyError(policy.ref, message, (Action.DENY,), constraint=True))
                    break
            return
        for resultant in made:
            group, version, kind = resultant.expansion.generated
            name = str(metadata_of(resultant.object).get("name") or "")
            raw = {
                "kind": {"group": group, "version": version, "kind": kind},
                "name": name,
                "namespace": str(metadata_of(resultant.object).get("namespace") or ""),
                "operation": request.operation,
            }
            deleted = request.operation == "DELETE"
            obj, old = (None, resultant.object) if deleted else (resultant.object, None)
            review = self._review_of(raw, obj, old, GENERATED)
            generated = replace(
                request,
                kind=resultant.expansion.generated,
                resource=("", "", ""),
                request_resource=("", "", ""),
                sub_resource="",
            )
            for candidate in snapshot.index.bucket(generated).every:
                constraint = candidate.policy.constraint
                if constraint is not None:
                    self._judge_constraint(candidate.policy, constraint, False, (resultant, review))

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

    def _capped(self, actions: tuple[Action, ...]) -> tuple[Action, ...]:
        return actions if self.most is Action.DENY else capped(actions, self.most)

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
        excuses = self._excuses = self._excuses or self._find_excuses()
        ratchet = policy.ratchet and self.request.operation == "UPDATE" and subject.old_object is not None
        for position, (violation, validation, container) in enumerate(findings.violations):
            try:
                excuse = excuses.of(violation, policy)
                if excuse.accepted is not None:
                    self.accepted.append(excuse.accepted)
                    continue
                if ratchet and (not excuse.ended or self._is_leaving()):
                    if old is None:
                        old = _on_old(activation, subject, policy)
                        ratchet = _took(policy, old)
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

    def _is_leaving(self) -> bool:
        """Tell whether the object is being deleted: its finalizers must come off, whatever has expired."""
        return bool(metadata_of(self.request.old_object).get("deletionTimestamp"))

    def _find_excuses(self) -> Excuses:
        # What it gets doesn't lead back to this evaluation: in a cycle a request's objects would wait for
        # the garbage collector, and the next ones would be decoded into memory that no cache holds.
        request, snapshot = self.request, self.snapshot
        params = partial(_params, request, snapshot)
        control_holds = partial(
            _control_holds, request, snapshot, self.now, self.budget, self.decisions, self.lacking
        )
        return Excuses(request, snapshot, self.now, self.budget, params, control_holds, self.lacking)


def _params(
    request: AdmissionRequest, snapshot: Snapshot, policy: CompiledPolicy
) -> Sequence[Mapping[str, Any] | None]:
    """Return what the policy is judged with, one after another; None is none at all."""
    source = policy.param_source
    if source is None:
        return (policy.params,)
    namespace = policy.ref.namespace or request.namespace
    if not namespace and not source.namespace and snapshot.params.lie_in_namespaces(source):
        raise EvaluationError(
            f"its {source.kind} parameters lie in namespaces and this object in none: "
            "spec.paramRef.namespace must say where they are"
        )
    found = snapshot.params.find(source, namespace)
    if not found and source.required:
        which = source.name or "its selector"
        raise EvaluationError(f"no {source.kind} {which} was found as its parameter")
    return found


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


def _took(policy: CompiledPolicy, old: Activation) -> bool:
    """Tell whether the policy judged the old object too: else the change is what brought it under the policy.

    A condition on the change itself says nothing of that.
    """
    if policy.object_selector and not policy.object_selector.matches(labels_of(old.object)):
        return False
    if "oldObject" in policy.references:
        return True
    try:
        return conditions_hold(policy, old)
    except BudgetExceeded:
        raise
    except EvaluationError:
        return False


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

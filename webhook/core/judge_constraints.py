"""Gatekeeper's constraints in an evaluation: judged on the object, and on what it would be expanded to.

https://open-policy-agent.github.io/gatekeeper/website/docs/expansion
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from webhook.core.constraint import (
    GENERATED,
    ORIGINAL,
    Constraint,
    ConstraintContext,
    ExternalLacking,
    Found,
    Review,
)
from webhook.core.errors import BudgetExceeded, EvaluationError
from webhook.core.evaluation import Evaluation
from webhook.core.expanding import ExpansionError, Resultant, expand
from webhook.core.fields import metadata_of
from webhook.core.judge import template_subject, violation_of_constraint
from webhook.core.model import Action, PolicyRef
from webhook.core.policy import CompiledPolicy
from webhook.core.ratchet import is_existing_of_constraint
from webhook.core.times import nanoseconds
from webhook.core.verdict import ExternalLack, NamespaceLack, PolicyError

_EXPANSION = "ExpansionTemplate"


def judge_constraint(
    evaluation: Evaluation,
    policy: CompiledPolicy,
    constraint: Constraint,
    *,
    template: bool = False,
    resultant: tuple[Resultant, Review] | None = None,
) -> None:
    """Judge a constraint; what keeps it from being judged counts as a violation, as with Gatekeeper.

    Args:
        evaluation: takes what is found.
        policy: the constraint as a policy.
        constraint: the constraint.
        template: the object's pod template is judged, not the object.
        resultant: what an ExpansionTemplate made of the object, where that is judged.
    """
    context = evaluation.snapshot.constraints
    actions = constraint.actions_at(context.points, unscoped=context.unscoped)
    if actions is None:
        return
    if _is_left_out(evaluation):
        return
    prefix, scoped = "", constraint.scoped
    if resultant is not None:
        expansion = resultant[0].expansion
        prefix = f"[Implied by {expansion.name}] "
        if expansion.action is not None:
            actions, scoped = (expansion.action,), False
    actions = evaluation.capped(actions)
    budget = evaluation.budget
    try:
        review = resultant[1] if resultant is not None else _review(evaluation, template)
        if constraint.needs_namespace and evaluation.namespace and evaluation.namespace_object is None:
            evaluation.lacking.append(NamespaceLack(evaluation.namespace))
        if not constraint.matches(review):
            return
        budget.refill(policy.ref)
        found = constraint.judge(review)
    except EvaluationError as error:
        if isinstance(error, ExternalLacking):
            evaluation.lacking.append(ExternalLack(error.provider, error.keys))
        # Gatekeeper has no budget, and so no words of its own: what is to be mended is the template.
        told = f"{policy.ref.kind}: {error}" if isinstance(error, BudgetExceeded) else str(error)
        evaluation.errors.append(
            PolicyError(policy.ref, prefix + told, actions, constraint=True, scoped=scoped)
        )
    except RecursionError:
        message = f"{prefix}the object is nested too deeply"
        evaluation.errors.append(PolicyError(policy.ref, message, actions, constraint=True, scoped=scoped))
    else:
        if found:
            _sort(evaluation, policy, constraint, review, found, actions, prefix, scoped)
    budget.stride()


def judge_expanded(evaluation: Evaluation) -> None:
    """Judge what ExpansionTemplates make of the object, for the object itself."""
    request, snapshot = evaluation.request, evaluation.snapshot
    obj = request.object if request.object is not None else request.old_object
    if obj is None or request.sub_resource or _is_left_out(evaluation):
        return
    try:
        made = list(expand(obj, request.kind, evaluation.namespace, snapshot.constraints.expansions))
    except ExpansionError as error:
        if any(map(partial(_is_enforced, snapshot.constraints), snapshot.policies)):
            ref = PolicyRef(_EXPANSION, "", error.expansion.name)
            actions = evaluation.capped((Action.DENY,))
            message = f"unable to expand object: {error}"
            evaluation.errors.append(PolicyError(ref, message, actions, constraint=True))
        return
    for resultant in made:
        group, version, kind = resultant.expansion.generated
        metadata = metadata_of(resultant.object)
        raw = {
            "kind": {"group": group, "version": version, "kind": kind},
            "name": str(metadata.get("name") or ""),
            "namespace": str(metadata.get("namespace") or ""),
            "operation": request.operation,
        }
        deleted = request.operation == "DELETE"
        obj, old = (None, resultant.object) if deleted else (resultant.object, None)
        review = _review_of(evaluation, raw, obj, old, GENERATED)
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
                judge_constraint(evaluation, candidate.policy, constraint, resultant=(resultant, review))


def _is_enforced(context: ConstraintContext, policy: CompiledPolicy) -> bool:
    constraint = policy.constraint
    return constraint is not None and bool(constraint.actions_at(context.points, unscoped=context.unscoped))


def _is_left_out(evaluation: Evaluation) -> bool:
    """Tell whether Gatekeeper's Config leaves the object's namespace out."""
    context, place = evaluation.snapshot.constraints, evaluation.place
    return bool(place) and context.excludes is not None and context.excludes(context.process, place)


def _review(evaluation: Evaluation, template: bool) -> Review:
    """Return the request's object, or its pod template, as constraints see it: made once for all of them."""
    review = evaluation.reviews[template]
    if review is None:
        request = evaluation.request
        obj, old_object = request.object, request.old_object
        if template:
            subject = template_subject(evaluation.target, obj, old_object)
            obj, old_object = subject.object, subject.old_object
        review = evaluation.reviews[template] = _review_of(evaluation, request.raw, obj, old_object)
    return review


def _review_of(
    evaluation: Evaluation,
    raw: Mapping[str, Any],
    obj: Mapping[str, Any] | None,
    old_object: Mapping[str, Any] | None,
    source: str = ORIGINAL,
) -> Review:
    context = evaluation.snapshot.constraints
    return Review(
        raw,
        obj,
        old_object,
        evaluation.namespace_object,
        source,
        context.inventory,
        context.external,
        evaluation.budget,
        shows_namespace=context.shows_namespaces,
        now_ns=nanoseconds(evaluation.now),
    )


def _sort(
    evaluation: Evaluation,
    policy: CompiledPolicy,
    constraint: Constraint,
    review: Review,
    found: Sequence[Found],
    actions: tuple[Action, ...],
    prefix: str,
    scoped: bool,
) -> None:
    """Put each result where it belongs: accepted, existing, or counted."""
    excuses, budget = evaluation.excuses, evaluation.budget
    ratchet = policy.ratchet and evaluation.request.operation == "UPDATE" and review.old_object is not None
    for each in found:
        violation = violation_of_constraint(policy, evaluation.target, each, actions, prefix, scoped=scoped)
        try:
            excuse = excuses.of(violation, policy)
            if excuse.accepted is not None:
                evaluation.accepted.append(excuse.accepted)
                continue
            if (
                ratchet
                and (not excuse.ended or evaluation.is_leaving)
                and is_existing_of_constraint(each, constraint, review, budget)
            ):
                evaluation.existing.append(violation)
                continue
        except (EvaluationError, RecursionError) as error:
            # Whatever could have excused it isn't known: it stands.
            message = prefix + str(error)
            evaluation.errors.append(
                PolicyError(policy.ref, message, actions, constraint=True, scoped=scoped)
            )
            evaluation.violations.append(violation)
            continue
        if excuse.hints:
            evaluation.hints[violation.fingerprint] = excuse.hints
        evaluation.violations.append(violation)

"""existingViolations: Allow. An UPDATE that adds no violation passes.

A violation is existing when the old object has it as well and what it points at is unchanged, so that
scaling and labelling pass and a new image in a violating container doesn't.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from webhook.core.activation import Activation, Budget
from webhook.core.constraint import Constraint, Found, Review
from webhook.core.errors import BudgetExceeded, EvaluationError
from webhook.core.judge import Subject, conditions_hold, containers_of
from webhook.core.model import Violation
from webhook.core.policy import CompiledPolicy, Validation
from webhook.core.selectors import labels_of

_STEP = re.compile(r"""\.?([^.\[\]]+)|\[(\d+)\]|\[(["'])(.*?)\3\]""")
_ABSENT = object()
_NOWHERE = object()


def on_old(activation: Activation, subject: Subject, policy: CompiledPolicy) -> Activation:
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


def took(policy: CompiledPolicy, old: Activation) -> bool:
    """Tell whether the policy judged the old object too: else the change is what brought it under the policy.

    A condition on the change itself says nothing of that.

    Raises:
        BudgetExceeded: no steps are left to find out.
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


def is_existing(
    violation: Violation,
    validation: Validation,
    container: Mapping[str, Any] | None,
    subject: Subject,
    old: Activation,
) -> bool:
    """Tell whether the old object had this violation too, unchanged.

    Args:
        violation: of the new object.
        validation: the validation it violates.
        container: the container it is about, or None.
        subject: what was judged.
        old: an activation in which the old object stands in both places.

    Raises:
        BudgetExceeded: no steps are left to find out.
    """
    new_object, old_object = subject.object, subject.old_object
    if new_object is None or old_object is None:
        return False
    try:
        if container is None:
            return (
                _same_place(validation, subject, new_object, old_object)
                and validation.program(old) is not True
            )
        for kind, _, before, _ in containers_of(old_object):
            if kind == violation.container_kind and before.get("name") == container.get("name"):
                if not _same(container, before):
                    return False
                old.container, old.containerKind = before, kind
                return validation.program(old) is not True
        return False
    except BudgetExceeded:
        raise
    except (EvaluationError, RecursionError):
        return False  # a violation that can't be shown to be old is new
    finally:
        old.container = old.containerKind = None


def is_existing_of_constraint(found: Found, constraint: Constraint, review: Review, budget: Budget) -> bool:
    """Tell whether the old object had this result of a constraint too, with nothing but metadata changed.

    Args:
        found: a result on the new object.
        constraint: that found it.
        review: of the new object.
        budget: the steps left.

    Raises:
        BudgetExceeded: no steps are left to find out.
    """
    new_object, old_object = review.object, review.old_object
    if new_object is None or old_object is None or not _same_but_metadata(new_object, old_object):
        return False
    before = Review(
        review.request,
        old_object,
        old_object,
        review.namespace_object,
        review.source,
        review.inventory,
        review.external,
        budget,
        now_ns=review.now_ns,
    )
    try:
        return constraint.matches(before) and any(
            each.message == found.message for each in constraint.judge(before)
        )
    except BudgetExceeded:
        raise
    except (EvaluationError, RecursionError):
        return False  # as above


def _same_place(
    validation: Validation, subject: Subject, new: Mapping[str, Any], old: Mapping[str, Any]
) -> bool:
    if validation.field_path:
        values = [_value_at(obj, validation.field_path) for obj in (new, old)]
        if _NOWHERE not in values:
            return _same(*values)
    if subject.path:
        return _same(new, old)
    return _same_but_metadata(new, old)


def _same_but_metadata(new: Mapping[str, Any], old: Mapping[str, Any]) -> bool:
    left_out = ("metadata", "status")
    return _same(
        {key: value for key, value in new.items() if key not in left_out},
        {key: value for key, value in old.items() if key not in left_out},
    )


def _same(new: Any, old: Any) -> bool:
    """Tell whether two values are equal as JSON: unlike Python, 1 is not true."""
    if new.__class__ is not old.__class__:
        return False
    if isinstance(new, Mapping):
        return new.keys() == old.keys() and all(_same(value, old[key]) for key, value in new.items())
    if isinstance(new, list):
        return len(new) == len(old) and all(map(_same, new, old))
    return bool(new == old)


def _value_at(obj: Any, field_path: str) -> Any:
    """Return the value at a path; `_ABSENT` without one, `_NOWHERE` where no object could have one there.

    A path such as ``spec.volumes[*].hostPath`` says nothing of what has changed.
    """
    for name, position, _, key in _STEP.findall(field_path):
        if obj is None:
            return _ABSENT
        if position and isinstance(obj, list):
            obj = obj[int(position)] if int(position) < len(obj) else _ABSENT
        elif not position and isinstance(obj, Mapping):
            obj = obj.get(name or key, _ABSENT)
        else:
            return _NOWHERE
        if obj is _ABSENT:
            return _ABSENT
    return obj

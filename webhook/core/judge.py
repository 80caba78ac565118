"""One policy, one object: run its programs and collect the violations.

What a failed expression, a missing message or a false match condition means follows Kubernetes'
ValidatingAdmissionPolicy: https://kubernetes.io/docs/reference/access-authn-authz/validating-admission-policy/.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from webhook.core.activation import Activation, Place
from webhook.core.constraint import VALIDATION
from webhook.core.constraint import Found as FoundByConstraint
from webhook.core.errors import BudgetExceeded, EvaluationError
from webhook.core.model import (
    CONTAINER_KINDS,
    Action,
    GroupKind,
    ObjectRef,
    PolicyRef,
    Violation,
    fingerprint,
)
from webhook.core.policy import CompiledPolicy, Validation
from webhook.core.workloads import TEMPLATE_PATHS, pod_of, template_of

_LONGEST_MESSAGE = 5120  # bytes, as in Kubernetes
_HOLDING_CONTAINERS = {GroupKind("", "Pod"), *TEMPLATE_PATHS}


@dataclass(slots=True)
class Subject:
    """What policies judge: an object, or the Pod that its template makes.

    Attributes:
        ref: the object of the request.
        object: what expressions see as ``object``; None for DELETE.
        old_object: what they see as ``oldObject``.
        path: from the object to its pod template; empty when the object itself is judged.
    """

    ref: ObjectRef
    object: Mapping[str, Any] | None
    old_object: Mapping[str, Any] | None
    path: tuple[str, ...] = ()
    _containers: list[Place] | None = field(default=None, init=False, repr=False, compare=False)
    _problem: str = field(default="", init=False, repr=False, compare=False)

    def containers(self) -> tuple[list[Place], str]:
        """Return the object's containers, looked for once for all policies, and why there are no more."""
        found = self._containers
        if found is None:
            found = self._containers = []
            try:
                for place in containers_of(self.object):
                    found.append(place)
            except EvaluationError as error:
                self._problem = str(error)
        return found, self._problem

    def place(self, field_path: str) -> str:
        """Return a path in the judged object as one in the request's object."""
        return ".".join((*self.path, field_path)) if field_path else ""


def template_subject(
    ref: ObjectRef, obj: Mapping[str, Any] | None, old_object: Mapping[str, Any] | None
) -> Subject:
    """Return the subject for the pod template of a workload.

    Raises:
        EvaluationError: the workload has no template.
    """
    path = TEMPLATE_PATHS.get(GroupKind(ref.group, ref.kind))
    if path is None:
        raise EvaluationError(f"nothing is known of a pod template in a {ref.kind}")
    pods = []
    for workload in (obj, old_object):
        template = template_of(workload, path) if workload is not None else None
        if workload is not None and template is None:
            raise EvaluationError(f"no pod template at {'.'.join(path)}")
        pods.append(pod_of(template, ref.namespace) if template is not None else None)
    return Subject(ref, pods[0], pods[1], path)


Found = tuple[Violation, Validation, Mapping[str, Any] | None]
"""A violation, the validation that it violates, and the container it is about or None."""


@dataclass(slots=True)
class Findings:
    """What one policy found, what failed, and whether its steps were spent on the way."""

    violations: list[Found] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    annotations: dict[str, str] = field(default_factory=dict)
    spent: bool = False


def conditions_hold(policy: CompiledPolicy, activation: Activation) -> bool:
    """Tell whether every match condition holds.

    One that is false decides, even where another failed.

    Raises:
        EvaluationError: one failed and none is false.
    """
    failed: EvaluationError | None = None
    for condition in policy.match_conditions:
        try:
            value = condition.program(activation)
        except BudgetExceeded:
            raise
        except EvaluationError as error:
            failed = failed or EvaluationError(f"matchConditions[{condition.name}]: {error}")
            continue
        if value is not True:
            return False
    if failed is not None:
        raise failed
    return True


def judge(
    policy: CompiledPolicy, subject: Subject, activation: Activation, actions: tuple[Action, ...]
) -> Findings | None:
    """Run a policy's validations and audit annotations on a subject.

    Args:
        policy: the policy.
        subject: what is judged.
        activation: its variables, already set for this subject and policy.
        actions: what a violation does here.

    Returns:
        what was found; None, the usual case, where that is nothing.
    """
    findings: Findings | None = None
    for validation in policy.validations:
        try:
            if validation.for_each_container:
                findings = _visit(policy, validation, subject, activation, actions, findings)
                if findings is not None and findings.spent:
                    return findings
            elif validation.program(activation) is not True:
                violation = _violation(policy, validation, subject, activation, actions)
                findings = findings or Findings()
                findings.violations.append((violation, validation, None))
        except EvaluationError as error:
            findings = findings or Findings()
            findings.errors.append(f"validations[{validation.name}]: {error}")
            if isinstance(error, BudgetExceeded):
                return findings
    for annotation in policy.audit_annotations:
        findings = findings or Findings()
        try:
            _annotate(policy, annotation.name, annotation.program(activation), findings)
        except EvaluationError as error:
            findings.errors.append(f"auditAnnotations[{annotation.name}]: {error}")
            if isinstance(error, BudgetExceeded):
                break
    return findings


def _visit(
    policy: CompiledPolicy,
    validation: Validation,
    subject: Subject,
    activation: Activation,
    actions: tuple[Action, ...],
    findings: Findings | None,
) -> Findings | None:
    """Run a validation on each container; one that fails hides nothing of the others."""
    program = validation.program
    containers, problem = subject.containers()
    try:
        for kind, position, container, base in containers:
            activation.container = container
            activation.containerKind = kind
            try:
                if program(activation) is True:
                    continue
                place = f"{base}{kind}[{position}]"
                violation = _violation(policy, validation, subject, activation, actions, place)
                findings = findings or Findings()
                findings.violations.append((violation, validation, container))
            except EvaluationError as error:
                findings = findings or Findings()
                findings.errors.append(f"validations[{validation.name}]: {kind}[{position}]: {error}")
                if isinstance(error, BudgetExceeded):
                    findings.spent = True
                    return findings
    finally:
        activation.container = activation.containerKind = None
    if problem:
        raise EvaluationError(problem)
    return findings


def containers_of(
    obj: Mapping[str, Any] | None,
) -> Iterator[Place]:
    """Visit the containers of a Pod or of a workload's pod template.

    Raises:
        EvaluationError: a list of containers is no list, or holds what is no map, or is in no map.
    """
    if obj is None:
        return
    path: tuple[str, ...] = ("spec",)
    group = str(obj.get("apiVersion", "")).rpartition("/")[0]
    kind = GroupKind(group, str(obj.get("kind", "")))
    if kind in TEMPLATE_PATHS:
        path = (*TEMPLATE_PATHS[kind], "spec")
    spec: Any = obj
    for depth, part in enumerate(path, start=1):
        spec = spec.get(part)
        if spec is None:
            return
        if spec.__class__ is not dict and not isinstance(spec, Mapping):
            if kind not in _HOLDING_CONTAINERS:
                return
            raise EvaluationError(f"{'.'.join(path[:depth])} is no map")
    base = ".".join(path) + "."
    for name in CONTAINER_KINDS:
        containers = spec.get(name)
        if containers is None:
            continue
        if not isinstance(containers, list):
            raise EvaluationError(f"{base}{name} is no list")
        for position, container in enumerate(containers):
            # Asked first for what it nearly always is: a look at an abstract class costs ten times as much.
            if container.__class__ is not dict and not isinstance(container, Mapping):
                raise EvaluationError(f"{base}{name}[{position}] is no map")
            yield name, position, container, base


def _violation(
    policy: CompiledPolicy,
    validation: Validation,
    subject: Subject,
    activation: Activation,
    actions: tuple[Action, ...],
    place: str = "",
) -> Violation:
    container = activation.container if place else None
    name, image = _text(container, "name"), _text(container, "image")
    kind = activation.containerKind if place else ""
    path = ".".join(part for part in (place, validation.field_path) if part)
    return Violation(
        policy=policy.ref,
        validation=validation.name,
        message=_message(validation, activation),
        field_path=subject.place(path.replace(".[", "[")),
        container=name,
        container_kind=kind,
        image=image,
        severity=policy.severity,
        actions=actions,
        reason=validation.reason,
        remediation=policy.remediation,
        fingerprint=fingerprint(policy.ref, validation.name, subject.ref, kind, name, validation.field_path),
    )


def violation_of_constraint(
    policy: CompiledPolicy,
    target: ObjectRef,
    found: FoundByConstraint,
    actions: tuple[Action, ...],
    prefix: str = "",
    *,
    scoped: bool = False,
) -> Violation:
    """Return the violation that a constraint's result is.

    All results of one constraint on one object have one fingerprint: a template gives them no names.

    Args:
        policy: the constraint.
        target: the object of the request.
        found: the result.
        actions: what it does here.
        prefix: what its message begins with, where an ExpansionTemplate implied it.
        scoped: what it does is said by enforcement point.
    """
    return Violation(
        policy=policy.ref,
        validation=VALIDATION,
        message=prefix + found.message,
        field_path="",
        container="",
        container_kind="",
        image="",
        severity=policy.severity,
        actions=actions,
        reason="Forbidden",
        remediation=policy.remediation,
        fingerprint=fingerprint(policy.ref, VALIDATION, target),
        constraint=True,
        scoped=scoped,
        details=found.details,
    )


def _text(container: Mapping[str, Any] | None, name: str) -> str:
    value = container.get(name) if container else None
    return value if isinstance(value, str) else ""


def _message(validation: Validation, activation: Activation) -> str:
    """Return the validation's message; its own message where the expression gives none that can be used."""
    if validation.message_program is not None:
        try:
            text = validation.message_program(activation)
        except BudgetExceeded:
            raise
        except EvaluationError:
            text = None
        if isinstance(text, str):
            text = text.strip()
            if text and "\n" not in text and len(text.encode("utf-8", "replace")) <= _LONGEST_MESSAGE:
                return text
    return validation.message


def _annotate(policy: CompiledPolicy, key: str, value: Any, findings: Findings) -> None:
    if value is None:
        return
    if not isinstance(value, str):
        raise EvaluationError("the value must be a string or null")
    if value.strip():
        findings.annotations[annotation_key(policy.ref, key)] = value.strip()


def annotation_key(policy: PolicyRef, key: str) -> str:
    """Return the key of a policy's audit annotation, such as the API server takes: at most 63 characters.

    Keys of different policies differ: a Policy's has its namespace, and one that is too long has a digest in
    place of its beginning.
    """
    owner = f"{policy.namespace}.{policy.name}" if policy.namespace else policy.name
    full = re.sub(r"[^A-Za-z0-9_.-]", "-", f"{owner}.{key}").rstrip("-_.")
    if len(full) <= 63:
        return full
    identity = hashlib.sha256("/".join((*policy, key)).encode()).hexdigest()[:12]
    return f"{identity}.{full[-50:].lstrip('-_.')}"

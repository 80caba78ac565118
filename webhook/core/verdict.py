"""The verdict: what the engine says of one request, and how it says it to people."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from webhook.core.model import Action, PolicyRef, Violation, strongest
from webhook.core.times import within


@dataclass(frozen=True, slots=True)
class AcceptedViolation:
    """A violation that a risk acceptance in force covers.

    Attributes:
        violation: what is accepted.
        acceptance: kind, namespace and name of the acceptance.
        valid_until: when it ends.
        approvers: who approved it.
        kept_running: the acceptance has ended; the Pod of an unchanged workload may still be made again.
        break_glass: the acceptance is for an emergency: one person approved it, for a short time.
        notice: it ends within so many days, of those at which people are told; None where none is reached.
    """

    violation: Violation
    acceptance: PolicyRef
    valid_until: datetime
    approvers: tuple[str, ...]
    kept_running: bool = False
    break_glass: bool = False
    notice: int | None = None


@dataclass(frozen=True, slots=True)
class PolicyError:
    """A policy that could not be evaluated for this request.

    Attributes:
        policy: which one.
        message: why.
        actions: what it does under failurePolicy Fail; empty under Ignore.
        constraint: the policy is a Gatekeeper constraint.
        scoped: what it does is said by enforcement point.
    """

    policy: PolicyRef
    message: str
    actions: tuple[Action, ...]
    constraint: bool = False
    scoped: bool = False


@dataclass(frozen=True, slots=True)
class NamespaceLack:
    """The snapshot doesn't hold the request's namespace yet."""

    namespace: str


@dataclass(frozen=True, slots=True)
class OwnerLack:
    """The snapshot doesn't hold the controller that the object names yet."""

    namespace: str
    kind: str
    name: str
    uid: str


@dataclass(frozen=True, slots=True)
class AcceptanceLack:
    """The snapshot doesn't hold the acceptance that an approval is for, or not in the version it is for."""

    namespace: str
    name: str


@dataclass(frozen=True, slots=True)
class DecisionLack:
    """An authorizer check that nobody has answered yet; `check` is what the authorizer is asked."""

    check: Any


@dataclass(frozen=True, slots=True)
class ExternalLack:
    """A provider of external data that nobody has asked yet, and what for."""

    provider: str
    keys: tuple[str, ...]


Lack = NamespaceLack | OwnerLack | AcceptanceLack | DecisionLack | ExternalLack


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the engine says of one request or object.

    Attributes:
        allowed: it may pass.
        violations: those that neither an acceptance covers nor the old object had, with why no acceptance
            covers them in `hints`.
        accepted: those that an acceptance covers.
        existing: those that the old object had as well.
        errors: policies that could not be evaluated.
        annotations: what policies write to the audit log, by key.
        hints: for a violation's fingerprint, what is missing from an acceptance that nearly covers it.
        lacking: what a later snapshot or an authorizer would bring; the verdict may then be another.
        revision: of the snapshot that judged.
    """

    allowed: bool
    violations: tuple[Violation, ...] = ()
    accepted: tuple[AcceptedViolation, ...] = ()
    existing: tuple[Violation, ...] = ()
    errors: tuple[PolicyError, ...] = ()
    annotations: Mapping[str, str] = field(default_factory=dict)
    hints: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    lacking: tuple[Lack, ...] = ()
    revision: str = ""

    @property
    def found_nothing(self) -> bool:
        """Whether there is nothing to tell but that it may pass, or may not."""
        return not (self.violations or self.accepted or self.existing or self.errors or self.annotations)

    @property
    def denying(self) -> list[Violation]:
        """The violations that deny."""
        return [violation for violation in self.violations if Action.DENY in violation.actions]

    @property
    def denied_by(self) -> tuple[PolicyRef, ...]:
        """The policies that deny, by a violation or because they could not be evaluated, each once."""
        found = [violation.policy for violation in self.denying]
        found += [error.policy for error in self.errors if Action.DENY in error.actions]
        return tuple(dict.fromkeys(found))

    @property
    def message(self) -> str:
        """The denial for people: a line for each violation and error; empty when allowed."""
        if self.allowed:
            return ""
        lines = []
        for violation in self.denying:
            if not violation.constraint:
                lines.append(describe(violation))
                lines += [f"  {hint}" for hint in self.hints.get(violation.fingerprint, ())]
        lines += [
            describe_error(error)
            for error in self.errors
            if Action.DENY in error.actions and not error.constraint
        ]
        return "\n".join([*lines, *self._of_constraints(Action.DENY)])

    @property
    def advice(self) -> str:
        """What to change, in the words of the policies that deny; empty where none of them says anything."""
        known = {violation.policy: violation.remediation.strip() for violation in self.denying}
        lines = []
        for policy, text in known.items():
            if text:
                lines += [f"  {policy}:", textwrap.indent(text, "    ")]
        return "\n".join(["What to change:", *lines]) if lines else ""

    def _of_constraints(self, action: Action) -> list[str]:
        """Return what constraints say, in Gatekeeper's order; an error is a violation to it.

        It orders by enforcementAction as it is written (deny, scoped, warn), message, kind and name.
        """
        found = [
            (
                violation.scoped is (action is Action.DENY),
                violation.message,
                violation.policy.kind,
                violation.policy.name,
                describe(violation),
                violation.fingerprint,
            )
            for violation in self.violations
            if violation.constraint and action in violation.actions
        ]
        found += [
            (
                error.scoped is (action is Action.DENY),
                error.message,
                error.policy.kind,
                error.policy.name,
                describe_error(error),
                "",
            )
            for error in self.errors
            if error.constraint and action in error.actions
        ]
        lines = []
        for *_, line, fingerprint in sorted(found):
            lines.append(line)
            if action is Action.DENY:
                lines += [f"  {hint}" for hint in self.hints.get(fingerprint, ())]
        return lines

    @property
    def warnings(self) -> tuple[str, ...]:
        """What the user is told though it may pass, the most useful first."""
        found = [
            describe(violation)
            for violation in self.violations
            if strongest(violation.actions) is Action.WARN and not violation.constraint
        ]
        found += [
            describe_error(error)
            for error in self.errors
            if strongest(error.actions) is Action.WARN and not error.constraint
        ]
        found += self._of_constraints(Action.WARN)
        # What ends first comes first: an API server that cuts the list off leaves out what can wait.
        for accepted in sorted(self.accepted, key=lambda each: each.notice or math.inf):
            violation = accepted.violation
            soon = f"{within(accepted.notice)}: " if accepted.notice else ""
            by = f", approved by {', '.join(accepted.approvers)}" if accepted.approvers else ""
            until = (
                f"ended {accepted.valid_until:%Y-%m-%d}, kept running"
                if accepted.kept_running
                else f"until {accepted.valid_until:%Y-%m-%d %H:%M}Z"
            )
            where = f" (container {violation.container})" if violation.container else ""
            emergency = " in an emergency (break-glass)" if accepted.break_glass else ""
            found.append(
                f"{soon}risk accepted{emergency} by {accepted.acceptance.kind} {accepted.acceptance} "
                f"{until}{by}: {violation.policy}/{violation.validation}{where}"
            )
        return tuple(dict.fromkeys(found))

    @property
    def audit_annotations(self) -> dict[str, str]:
        """What the API server writes to its audit log of this request."""
        notes = dict(self.annotations)
        for key, refs in (
            ("denied-by", [violation.policy for violation in self.denying]),
            ("errors", [error.policy for error in self.errors]),
        ):
            if refs:
                notes[key] = ",".join(dict.fromkeys(map(str, refs)))
        if self.violations:
            notes["violations"] = ";".join(
                f"{v.policy}/{v.validation}[{v.action}] {v.container or '-'} {v.fingerprint}"
                for v in self.violations
            )
        if self.existing:
            notes["existing"] = ";".join(f"{v.policy}/{v.validation} {v.fingerprint}" for v in self.existing)
        if self.accepted:
            notes["accepted"] = ";".join(
                f"{a.violation.policy}/{a.violation.validation} by {a.acceptance.kind}/{a.acceptance} "
                f"until {a.valid_until:%Y-%m-%dT%H:%M:%SZ} {a.violation.fingerprint}"
                for a in self.accepted
            )
            emergencies = [f"{a.acceptance.kind}/{a.acceptance}" for a in self.accepted if a.break_glass]
            if emergencies:
                notes["break-glass"] = ",".join(dict.fromkeys(emergencies))
        if notes:
            notes["revision"] = self.revision
        return notes


def describe(violation: Violation) -> str:
    """Return a violation as one line: policy, validation, container, message, field.

    One of a constraint reads as Gatekeeper writes it.
    """
    if violation.constraint:
        return f"[{violation.policy.name}] {violation.message}"
    where = f" (container {violation.container})" if violation.container else ""
    path = f" [{violation.field_path}]" if violation.field_path else ""
    return f"{violation.policy}/{violation.validation}{where}: {violation.message}{path}"


def describe_error(error: PolicyError) -> str:
    """Return what is said of a policy that could not be evaluated."""
    if error.constraint:
        return f"[{error.policy.name}] {error.message}"
    return f"{error.policy}: could not be evaluated: {error.message}"

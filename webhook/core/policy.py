"""A policy, compiled: what it matches, what it runs, and what a violation of it means."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from webhook.core.activation import Passes, Program
from webhook.core.constraint import Constraint
from webhook.core.model import Action, PolicyRef, Severity
from webhook.core.selectors import EVERYTHING, Selector


@dataclass(frozen=True, slots=True)
class Rule:
    """One of a policy's resourceRules, as in ValidatingAdmissionPolicy.

    Attributes:
        groups: API groups; ``*`` for all.
        versions: API versions; ``*`` for all.
        resources: ``pods``, ``pods/exec``, ``pods/*``, ``*``, ``*/scale`` or ``*/*``.
        operations: CREATE, UPDATE, DELETE, CONNECT; ``*`` for all.
        scope: ``Namespaced``, ``Cluster`` or ``*``.
        names: resourceNames; empty for all.
    """

    groups: frozenset[str]
    versions: frozenset[str]
    resources: frozenset[str]
    operations: frozenset[str]
    scope: str = "*"
    names: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class NamedProgram:
    """A match condition or an audit annotation: its name and its expression."""

    name: str
    program: Program


@dataclass(frozen=True, slots=True)
class Validation:
    """One validation.

    Attributes:
        name: unique in its policy.
        program: gives True for an object that meets it.
        message: what is wrong where there is no message program, or it fails.
        message_program: gives the message; None where the policy has none.
        reason: machine-readable, such as ``Invalid``.
        for_each_container: run once for each container.
        field_path: as declared; relative to the container when it visits them.
    """

    name: str
    program: Program
    message: str
    message_program: Program | None = None
    reason: str = "Invalid"
    for_each_container: bool = False
    field_path: str = ""


@dataclass(frozen=True, slots=True)
class ActionOverride:
    """Other actions for some namespaces."""

    selector: Selector
    actions: tuple[Action, ...]


@dataclass(frozen=True, slots=True)
class ParamSource:
    """Where a policy's parameters come from: paramKind and paramRef.

    Attributes:
        group: the API group of the kind.
        version: its version, for whoever fetches it.
        kind: the kind.
        name: one object's name; empty where `selector` says which.
        selector: which objects; None where `name` says which.
        namespace: where they are; empty for the request's namespace or for a cluster-scoped kind.
        required: that there is none is an evaluation error.
    """

    group: str
    version: str
    kind: str
    name: str
    selector: Selector | None
    namespace: str
    required: bool


@dataclass(frozen=True, slots=True)
class AcceptanceLimits:
    """What a policy says of accepting its violations: ``spec.riskAcceptance``."""

    allowed: bool = True
    max_duration: timedelta | None = None
    approvals: int = 1
    require_ticket: bool = False
    require_compensating_controls: bool = False
    max_renewals: int | None = None


@dataclass(frozen=True, slots=True)
class CompiledPolicy:
    """A policy that can be evaluated.

    Attributes:
        ref: its kind, namespace and name.
        generation: of the object it was compiled from; 0 offline.
        severity: how bad a violation is.
        remediation: what to change, for a person.
        category: what it belongs to, for reports.
        actions: what a violation does.
        overrides: other actions by namespace; the first that matches replaces the whole list.
        rules: what it judges.
        exclude_rules: what of that it leaves out.
        namespace_selector: on the object's namespace.
        object_selector: on the object's labels, new or old.
        exact: matchPolicy Exact: only the versions that the rules name.
        match_conditions: all must hold.
        pod_templates: also judge the pod templates of workloads.
        params: the inline parameters, or None.
        param_source: where parameters come from, or None.
        variables: its variables' programs by name.
        validations: what an object must meet.
        audit_annotations: what is written to the API server's audit log.
        fail: failurePolicy Fail: an evaluation error takes the actions of a violation.
        ratchet: existingViolations Allow: an UPDATE that adds no violation passes.
        background: also judged by the audit.
        limits: on accepting its violations.
        references: the root variables that any of its expressions reads.
        passes: all validations as one function; None where there is none, or running them has other effects.
        make_authorizer: makes the ``authorizer`` variable from what answers checks, and the request;
            None where no expression asks.
        created: when the API server created the object; None in files.
        digest: of the object it was compiled from; empty where that has no canonical JSON.
        constraint: what a Gatekeeper constraint and its template are; None for every other policy. Then
            its validations are only named: it judges by itself.
        in_namespaces: the namespaces that a constraint's match names one by one.
    """

    ref: PolicyRef
    generation: int
    rules: tuple[Rule, ...]
    validations: tuple[Validation, ...]
    severity: Severity = Severity.HIGH
    title: str = ""
    remediation: str = ""
    category: str = ""
    actions: tuple[Action, ...] = (Action.DENY,)
    overrides: tuple[ActionOverride, ...] = ()
    exclude_rules: tuple[Rule, ...] = ()
    namespace_selector: Selector = EVERYTHING
    object_selector: Selector = EVERYTHING
    exact: bool = False
    match_conditions: tuple[NamedProgram, ...] = ()
    pod_templates: bool = False
    params: Mapping[str, Any] | None = None
    param_source: ParamSource | None = None
    variables: Mapping[str, Program] = field(default_factory=dict)
    audit_annotations: tuple[NamedProgram, ...] = ()
    fail: bool = True
    ratchet: bool = True
    background: bool = True
    limits: AcceptanceLimits = AcceptanceLimits()
    references: frozenset[str] = frozenset()
    passes: Passes | None = None
    make_authorizer: Callable[[Any, Any], Any] | None = None
    created: datetime | None = None
    digest: str = ""
    constraint: Constraint | None = None
    in_namespaces: frozenset[str] = frozenset()

    @property
    def named_namespaces(self) -> frozenset[str]:
        """The namespaces that its selector names one by one: these it judges even where others are exempt."""
        if self.ref.namespace:
            return frozenset({self.ref.namespace})
        if self.in_namespaces:
            return self.in_namespaces
        for requirement in self.namespace_selector.requirements:
            if requirement.key == "kubernetes.io/metadata.name" and requirement.operator == "In":
                return requirement.values
        return frozenset()


@dataclass(frozen=True, slots=True)
class PolicyFailure:
    """A policy that could not be compiled; it alone is not enforced.

    Attributes:
        ref: which policy.
        generation: of the object that failed; 0 offline.
        message: what is wrong and where, as `CompileError` prints it.
        file: the file it came from; empty in a cluster.
        line: the line in it.
    """

    ref: PolicyRef
    generation: int
    message: str
    file: str = ""
    line: int = 0

"""The native dialect: from a ClusterPolicy or Policy manifest to a compiled policy.

The spec is ValidatingAdmissionPolicy's, with what Tidewaiter adds; see
https://kubernetes.io/docs/reference/access-authn-authz/validating-admission-policy/.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any, TypeVar

from webhook.cel import Expression, compile_expression, compile_passes
from webhook.cel.opaque import Ask, Authorizer, ResourceCheck
from webhook.cel.program import Room
from webhook.core.activation import Passes
from webhook.core.digests import object_digest
from webhook.core.errors import CompileError
from webhook.core.fields import generation_of, metadata_of
from webhook.core.model import Action, PolicyRef, Severity
from webhook.core.policy import (
    AcceptanceLimits,
    ActionOverride,
    CompiledPolicy,
    NamedProgram,
    ParamSource,
    Rule,
    Validation,
)
from webhook.core.review import AdmissionRequest
from webhook.core.selectors import EVERYTHING, Selector
from webhook.core.times import parse_duration

_T = TypeVar("_T")

KINDS = ("ClusterPolicy", "Policy")

_OPERATIONS = frozenset({"CREATE", "UPDATE", "DELETE", "CONNECT", "*"})
_REASONS = frozenset({"Unauthorized", "Forbidden", "Invalid", "RequestEntityTooLarge"})
_SCOPES = frozenset({"Namespaced", "Cluster", "*"})
_MOST_CONDITIONS = 64


def compile_policy(obj: Mapping[str, Any]) -> CompiledPolicy:
    """Return the policy in a manifest, compiled.

    Args:
        obj: a ClusterPolicy or Policy as its file or the API server has it.

    Raises:
        CompileError: a field is missing or wrong, or an expression doesn't compile; it says which and where.
    """
    return _Compiler(obj).policy()


def policy_ref(obj: Mapping[str, Any]) -> PolicyRef:
    """Return which policy a manifest is."""
    metadata = metadata_of(obj)
    kind = str(obj.get("kind"))
    namespace = str(metadata.get("namespace") or "default") if kind == "Policy" else ""
    return PolicyRef(kind, namespace, str(metadata.get("name", "")))


def make_authorizer(ask: Ask, request: AdmissionRequest) -> Authorizer:
    """Return the ``authorizer`` variable of a request.

    Args:
        ask: answers a check.
        request: whose resource ``authorizer.requestResource`` is about.
    """
    group, _, resource = request.resource
    own = ResourceCheck(
        Authorizer(ask),
        group,
        resource,
        subresource=request.sub_resource,
        namespace=request.namespace,
        name=request.name,
    )
    return Authorizer(ask, request_resource=own)


def _digest(obj: Mapping[str, Any]) -> str:
    try:
        return object_digest(obj)
    except (ValueError, RecursionError):
        return ""


class _Compiler:
    """Compiles one manifest; remembers which variables its expressions read."""

    def __init__(self, obj: Mapping[str, Any]) -> None:
        self.obj = obj
        self.ref = policy_ref(obj)
        self.spec = _map(obj, "spec", "spec")
        self.variables: dict[str, Expression] = {}
        self.room = Room()
        self.references: set[str] = set()
        self.validated: list[tuple[Expression, bool]] = []

    def policy(self) -> CompiledPolicy:
        spec = self.spec
        for position, variable in enumerate(_maps(spec, "variables", "spec.variables")):
            field = f"spec.variables[{position}]"
            name = _needed(variable, "name", field)
            if name in self.variables:
                raise CompileError(f"the name {name!r} is used twice", f"{field}.name")
            # A variable sees those before it, so that none can depend on itself.
            self.variables[name] = self.expression(variable, "expression", field)
        match = _map(spec, "matchConstraints", "spec.matchConstraints")
        rules = self.rules(match, "resourceRules")
        if not rules:
            raise CompileError("names nothing to judge", "spec.matchConstraints.resourceRules")
        pod_templates = _flag(spec, "podTemplates", "spec", default=False)
        if pod_templates and not any(
            rule.groups & {"", "*"} and rule.resources & {"pods", "*", "*/*", "pods/*"} for rule in rules
        ):
            raise CompileError("needs a resourceRule that names pods", "spec.podTemplates")
        policy = CompiledPolicy(
            ref=self.ref,
            generation=generation_of(self.obj),
            rules=rules,
            exclude_rules=self.rules(match, "excludeResourceRules"),
            namespace_selector=_selector(match, "namespaceSelector", "spec.matchConstraints"),
            object_selector=_selector(match, "objectSelector", "spec.matchConstraints"),
            exact=_choice(match, "matchPolicy", "spec.matchConstraints", ("Equivalent", "Exact")) == "Exact",
            match_conditions=self.conditions(),
            pod_templates=pod_templates,
            params=self.params(),
            param_source=self.param_source(),
            variables={name: expression.run for name, expression in self.variables.items()},
            validations=self.validations(),
            audit_annotations=self.annotations(),
            severity=self.severity(),
            title=str(spec.get("title") or ""),
            remediation=str(spec.get("remediation") or ""),
            category=str(spec.get("category") or ""),
            actions=_actions(spec, "spec") or (Action.DENY,),
            overrides=self.overrides(),
            fail=_choice(spec, "failurePolicy", "spec", ("Fail", "Ignore")) == "Fail",
            ratchet=_choice(spec, "existingViolations", "spec", ("Allow", "Deny")) == "Allow",
            background=_flag(spec, "background", "spec", default=True),
            limits=_limits(_map(spec, "riskAcceptance", "spec.riskAcceptance")),
            references=frozenset(self.references),
            passes=self.passes(),
            make_authorizer=make_authorizer if "authorizer" in self.references else None,
            digest=_digest(self.obj),
        )
        if not policy.validations and not policy.audit_annotations:
            raise CompileError("has neither validations nor auditAnnotations", "spec")
        return policy

    def expression(
        self, owner: Mapping[str, Any], name: str, field: str, *, container: bool = False
    ) -> Expression:
        source = _needed(owner, name, field)
        try:
            self.room.take(source)
            compiled = compile_expression(source, container=container, variables=self.variables)
        except CompileError as error:
            raise error.within(f"{field}.{name}") from None
        self.references |= compiled.references
        return compiled

    def rules(self, match: Mapping[str, Any], name: str) -> tuple[Rule, ...]:
        found = []
        for position, rule in enumerate(_maps(match, name, f"spec.matchConstraints.{name}")):
            field = f"spec.matchConstraints.{name}[{position}]"
            operations = _texts(rule, "operations", field)
            for operation in operations:
                if operation not in _OPERATIONS:
                    raise CompileError(f"{operation!r} is no operation", f"{field}.operations")
            scope = str(rule.get("scope") or "*")
            if scope not in _SCOPES:
                raise CompileError(f"{scope!r} is no scope", f"{field}.scope")
            compiled = Rule(
                groups=_texts(rule, "apiGroups", field),
                versions=_texts(rule, "apiVersions", field),
                resources=_texts(rule, "resources", field),
                operations=operations,
                scope=scope,
                names=_texts(rule, "resourceNames", field),
            )
            for label, values in (
                ("apiGroups", compiled.groups),
                ("apiVersions", compiled.versions),
                ("resources", compiled.resources),
                ("operations", compiled.operations),
            ):
                if not values:
                    raise CompileError("is missing", f"{field}.{label}")
            found.append(compiled)
        return tuple(found)

    def conditions(self) -> tuple[NamedProgram, ...]:
        conditions = _maps(self.spec, "matchConditions", "spec.matchConditions")
        if len(conditions) > _MOST_CONDITIONS:
            raise CompileError(f"has more than {_MOST_CONDITIONS} entries", "spec.matchConditions")
        found: dict[str, NamedProgram] = {}
        for position, condition in enumerate(conditions):
            field = f"spec.matchConditions[{position}]"
            name = _needed(condition, "name", field)
            if name in found:
                raise CompileError(f"the name {name!r} is used twice", f"{field}.name")
            found[name] = NamedProgram(name, self.expression(condition, "expression", field).run)
        return tuple(found.values())

    def validations(self) -> tuple[Validation, ...]:
        found: dict[str, Validation] = {}
        for position, validation in enumerate(_maps(self.spec, "validations", "spec.validations")):
            field = f"spec.validations[{position}]"
            name = _needed(validation, "name", field)
            if name in found:
                raise CompileError(f"the name {name!r} is used twice", f"{field}.name")
            each = validation.get("forEach")
            if each not in (None, "containers"):
                raise CompileError(
                    f"{each!r} can't be visited; the one value is containers", f"{field}.forEach"
                )
            reason = str(validation.get("reason") or "Invalid")
            if reason not in _REASONS:
                raise CompileError(f"{reason!r} is none of {', '.join(sorted(_REASONS))}", f"{field}.reason")
            container = each is not None
            expression = self.expression(validation, "expression", field, container=container)
            self.validated.append((expression, container))
            message = None
            if validation.get("messageExpression") is not None:
                message = self.expression(validation, "messageExpression", field, container=container).run
            text = str(validation.get("message") or "").strip()
            found[name] = Validation(
                name=name,
                program=expression.run,
                message=text or f"failed expression: {expression.source.strip()}",
                message_program=message,
                reason=reason,
                for_each_container=container,
                field_path=str(validation.get("fieldPath") or ""),
            )
        return tuple(found.values())

    def passes(self) -> Passes | None:
        # An annotation is written for an object that passes, too.
        return None if self.spec.get("auditAnnotations") else compile_passes(self.validated)

    def annotations(self) -> tuple[NamedProgram, ...]:
        found = []
        for position, annotation in enumerate(_maps(self.spec, "auditAnnotations", "spec.auditAnnotations")):
            field = f"spec.auditAnnotations[{position}]"
            key = _needed(annotation, "key", field)
            found.append(NamedProgram(key, self.expression(annotation, "valueExpression", field).run))
        return tuple(found)

    def severity(self) -> Severity:
        text = self.spec.get("severity")
        if text is None:
            return Severity.HIGH  # what nobody graded is not harmless
        return _parsed(Severity.parse, text, "spec.severity")

    def overrides(self) -> tuple[ActionOverride, ...]:
        found = []
        overrides = _maps(self.spec, "validationActionOverrides", "spec.validationActionOverrides")
        for position, override in enumerate(overrides):
            field = f"spec.validationActionOverrides[{position}]"
            actions = _actions(override, field)
            if not actions:
                raise CompileError("is missing", f"{field}.validationActions")
            found.append(ActionOverride(_selector(override, "namespaceSelector", field), actions))
        return tuple(found)

    def params(self) -> Mapping[str, Any] | None:
        inline = self.spec.get("params")
        if inline is None:
            return None
        if self.spec.get("paramRef") is not None or self.spec.get("paramKind") is not None:
            raise CompileError("params and paramRef exclude each other", "spec.params")
        return _map(self.spec, "params", "spec.params")

    def param_source(self) -> ParamSource | None:
        reference = self.spec.get("paramRef")
        if reference is None:
            if self.spec.get("paramKind") is not None:
                raise CompileError("paramKind needs a paramRef", "spec.paramKind")
            return None
        reference, kind = _map(self.spec, "paramRef", "spec"), _map(self.spec, "paramKind", "spec")
        api_version, name = (
            _needed(kind, "apiVersion", "spec.paramKind"),
            _needed(kind, "kind", "spec.paramKind"),
        )
        group, _, version = api_version.rpartition("/")
        if (group, name) == ("", "Secret"):
            raise CompileError("parameters are no place for secrets; use a ConfigMap", "spec.paramKind")
        if bool(reference.get("name")) is (reference.get("selector") is not None):
            raise CompileError("needs a name or a selector, and not both", "spec.paramRef")
        action = reference.get("parameterNotFoundAction")
        if action not in ("Allow", "Deny"):
            raise CompileError("must be Allow or Deny", "spec.paramRef.parameterNotFoundAction")
        namespace = str(reference.get("namespace") or "")
        if self.ref.namespace:
            if namespace not in ("", self.ref.namespace):
                raise CompileError(
                    "a Policy reads parameters of its own namespace only", "spec.paramRef.namespace"
                )
            namespace = self.ref.namespace
        selector = reference.get("selector")
        return ParamSource(
            group=group,
            version=version,
            kind=name,
            name=str(reference.get("name") or ""),
            selector=None if selector is None else _selector(reference, "selector", "spec.paramRef"),
            namespace=namespace,
            required=action == "Deny",
        )


def _limits(limits: Mapping[str, Any]) -> AcceptanceLimits:
    field = "spec.riskAcceptance"
    longest = limits.get("maxDuration")
    approvals = limits.get("approvals", 1)
    if not isinstance(approvals, int) or isinstance(approvals, bool) or approvals < 0:
        raise CompileError("must be a number of people", f"{field}.approvals")
    renewals = limits.get("maxRenewals")
    if renewals is not None and (not isinstance(renewals, int) or isinstance(renewals, bool) or renewals < 0):
        raise CompileError("must be a number", f"{field}.maxRenewals")
    duration: timedelta | None = None
    if longest is not None:
        duration = _parsed(parse_duration, longest, f"{field}.maxDuration")
    return AcceptanceLimits(
        allowed=_flag(limits, "allowed", field, default=True),
        max_duration=duration,
        approvals=approvals,
        require_ticket=_flag(limits, "requireTicket", field, default=False),
        require_compensating_controls=_flag(limits, "requireCompensatingControls", field, default=False),
        max_renewals=renewals,
    )


def _actions(owner: Mapping[str, Any], field: str) -> tuple[Action, ...]:
    found = owner.get("validationActions") or []
    if not isinstance(found, list):
        raise CompileError("must be a list", f"{field}.validationActions")
    actions = tuple(_parsed(Action, action, f"{field}.validationActions") for action in found)
    if Action.DENY in actions and Action.WARN in actions:
        raise CompileError("Deny and Warn exclude each other", f"{field}.validationActions")
    if len(set(actions)) != len(actions):
        raise CompileError("names an action twice", f"{field}.validationActions")
    return actions


def _parsed(parse: Callable[[Any], _T], value: Any, field: str) -> _T:
    try:
        if not isinstance(value, str):
            raise ValueError(f"{value!r} must be a string")
        return parse(value)
    except ValueError as error:
        raise CompileError(str(error), field) from None


def _selector(owner: Mapping[str, Any], name: str, field: str) -> Selector:
    selector = owner.get(name)
    if selector is None:
        return EVERYTHING
    try:
        return Selector.parse(_map(owner, name, field))
    except (ValueError, TypeError, AttributeError) as error:
        raise CompileError(str(error), f"{field}.{name}") from None


def _map(owner: Mapping[str, Any], name: str, field: str) -> Mapping[str, Any]:
    value = owner.get(name)
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise CompileError("must be a map", field)
    return value


def _maps(owner: Mapping[str, Any], name: str, field: str) -> list[Mapping[str, Any]]:
    value = owner.get(name)
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(item, Mapping) for item in value):
        raise CompileError("must be a list of maps", field)
    return value


def _texts(owner: Mapping[str, Any], name: str, field: str) -> frozenset[str]:
    value = owner.get(name) or []
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise CompileError("must be a list of strings", f"{field}.{name}")
    return frozenset(value)


def _needed(owner: Mapping[str, Any], name: str, field: str) -> str:
    value = owner.get(name)
    if not isinstance(value, str) or not value.strip():
        raise CompileError("is missing", f"{field}.{name}")
    return value


def _flag(owner: Mapping[str, Any], name: str, field: str, *, default: bool) -> bool:
    value = owner.get(name)
    if value is None:
        return default
    if not isinstance(value, bool):
        raise CompileError("must be true or false", f"{field}.{name}")
    return value


def _choice(owner: Mapping[str, Any], name: str, field: str, choices: tuple[str, str]) -> str:
    value = owner.get(name)
    if value is None:
        return choices[0]
    if value not in choices:
        raise CompileError(f"must be {' or '.join(choices)}", f"{field}.{name}")
    return str(value)

"""Constraints: from a manifest and its template to a compiled policy.

https://open-policy-agent.github.io/gatekeeper/website/docs/howto#constraints
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from webhook.core.activation import Activation
from webhook.core.constraint import (
    AUDIT_POINT,
    EVERY_POINT,
    GATOR_POINT,
    OWN_POINT,
    VALIDATION,
    WEBHOOK_POINT,
    Constraint,
    Found,
    KindsOf,
    Review,
)
from webhook.core.digests import object_digest
from webhook.core.errors import CompileError
from webhook.core.fields import created_of, generation_of, metadata_of
from webhook.core.model import Action, GroupKind, PolicyRef, Severity
from webhook.core.policy import CompiledPolicy, Rule, Validation
from webhook.dialects.gatekeeper import schema
from webhook.dialects.gatekeeper.crd import constraint_schema
from webhook.dialects.gatekeeper.fields import Object, mapping, mappings, text
from webhook.dialects.gatekeeper.match import compile_match, kinds_of, needs_namespace
from webhook.dialects.gatekeeper.names import CONSTRAINT_VERSIONS, CONSTRAINTS
from webhook.dialects.gatekeeper.template import Template

ACTION_ANNOTATION = "tidewaiter.dev/enforcement-action"
"""What a violation does at our own enforcement point, where ``spec`` can't say so."""
SEVERITY_ANNOTATION = "tidewaiter.dev/severity"
RATCHET_ANNOTATION = "tidewaiter.dev/existing-violations"

USUAL_OPERATIONS = frozenset({"CREATE", "UPDATE"})
"""Those that Gatekeeper's webhook is sent unless somebody changes its configuration."""

_ACTIONS = {"deny": Action.DENY, "warn": Action.WARN, "dryrun": Action.AUDIT}
_SCOPED = "scoped"
ACTIONS = (*_ACTIONS, _SCOPED)
"""What ``enforcementAction`` may be."""
_DNS = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*\Z")
_LONGEST_NAME = 63

Plural = Callable[[GroupKind], str]
"""Gives the resource that a kind is served under; empty where that isn't known."""

_SUB_RESOURCES_OF = {
    GroupKind("", "Pod"): ("pods/ephemeralcontainers", "pods/resize"),
    GroupKind("", "Service"): ("services/status",),
    GroupKind("policy", "Eviction"): ("pods/eviction",),
    GroupKind("", "Binding"): ("pods/binding",),
    GroupKind("", "PodExecOptions"): ("pods/exec",),
    GroupKind("", "PodAttachOptions"): ("pods/attach",),
    GroupKind("", "PodPortForwardOptions"): ("pods/portforward",),
    GroupKind("", "PodProxyOptions"): ("pods/proxy",),
    GroupKind("", "ServiceProxyOptions"): ("services/proxy",),
    GroupKind("", "NodeProxyOptions"): ("nodes/proxy",),
}
"""Subresources by the kind of what is sent to them; what isn't listed is scaled."""
_ALL_SUB_RESOURCES = tuple(sorted({name for names in _SUB_RESOURCES_OF.values() for name in names}))
_SCALED = ("deployments/scale", "replicasets/scale", "statefulsets/scale", "replicationcontrollers/scale")


def constraint_ref(obj: Object) -> PolicyRef:
    """Return which constraint a manifest is."""
    return PolicyRef(str(obj.get("kind")), "", str(metadata_of(obj).get("name", "")))


def check_constraint(obj: Object, template: Template) -> None:
    """Refuse a constraint that the API server or Gatekeeper would refuse.

    Raises:
        SchemaError: its template's schema doesn't take it.
        CompileError: its name or version is wrong, or it has fields that the schema doesn't know.
    """
    name, version = constraint_ref(obj).name, str(obj.get("apiVersion", "")).rpartition("/")[2]
    if not name:
        raise CompileError("missing metadata.name", "metadata.name")
    if not _DNS.match(name):
        raise CompileError(f"invalid name: {name!r}", "metadata.name")
    if version not in CONSTRAINT_VERSIONS:
        raise CompileError(
            f"unsupported version {version!r}; supported versions: {', '.join(CONSTRAINT_VERSIONS)}",
            "apiVersion",
        )
    if obj.get("kind") != template.kind:
        raise CompileError(f"wrong kind {obj.get('kind')!r}; want {template.kind!r}", "kind")
    if len(name) > _LONGEST_NAME:
        raise schema.SchemaError(f"may have {_LONGEST_NAME} characters at most", "metadata.name")
    known = constraint_schema(template)["properties"]["spec"]
    spec = obj.get("spec")
    if spec is None:
        return
    schema.check(schema.defaulted(spec, known), known, "spec")
    unknown = list(schema.unknown_fields(spec, known, "spec"))
    if unknown:
        raise CompileError(f"unknown fields: {', '.join(unknown)}", unknown[0])


def compile_constraint(obj: Object, template: Template, plural: Plural) -> CompiledPolicy:
    """Return a constraint, compiled.

    Args:
        obj: its manifest.
        template: that it is for.
        plural: gives the resources of kinds.

    Raises:
        CompileError: it can't be used; it says which field and why.
    """
    check_constraint(obj, template)
    ref = constraint_ref(obj)
    spec = schema.defaulted(mapping(obj, "spec", ""), constraint_schema(template)["properties"]["spec"])
    match = mapping(spec, "match", "spec") if spec.get("match") is not None else None
    notes = metadata_of(obj).get("annotations")
    annotations: Mapping[str, Any] = notes if isinstance(notes, Mapping) else {}
    kinds = kinds_of(match or {})
    actions, scoped = _actions(spec, annotations)
    usual = template.operations or USUAL_OPERATIONS
    constraint = Constraint(
        kinds=kinds,
        operations=usual,
        actions=actions,
        scoped=scoped,
        matches=compile_match(match),
        judge=_judge(template, spec.get("parameters")),
        needs_namespace=needs_namespace(match) or template.reads_namespace,
    )
    return CompiledPolicy(
        ref=ref,
        generation=generation_of(obj),
        rules=rules_of(kinds, usual, plural),
        validations=(Validation(VALIDATION, _never, "", reason="Forbidden"),),
        severity=_severity(annotations),
        title=template.title,
        remediation="",
        actions=actions.get(EVERY_POINT) or actions.get(OWN_POINT) or (Action.AUDIT,),
        ratchet=annotations.get(RATCHET_ANNOTATION) == "Allow",
        created=created_of(obj),
        digest=_digest(obj),
        constraint=constraint,
        in_namespaces=frozenset(
            name
            for name in (match or {}).get("namespaces") or ()
            if isinstance(name, str) and "*" not in name
        ),
    )


def rules_of(kinds: Sequence[KindsOf], operations: frozenset[str], plural: Plural) -> tuple[Rule, ...]:
    """Return the resources that a constraint's kinds are served under, and more where that isn't known.

    They say what the API server has to send us; what is judged, the kinds decide.
    """
    found = []
    for each in kinds or (KindsOf(),):
        groups = each.groups or frozenset({"*"})
        resources: set[str] = set()
        for kind in each.kinds or frozenset({"*"}):
            for group in groups:
                resources |= _resources(GroupKind(group, kind), plural)
        found.append(Rule(groups, frozenset({"*"}), frozenset(resources), operations))
    return tuple(found)


def _resources(kind: GroupKind, plural: Plural) -> set[str]:
    if kind.kind == "*":
        return {"*", *_ALL_SUB_RESOURCES, *_SCALED}
    if kind.kind == "Scale":
        return set(_SCALED)
    more = _SUB_RESOURCES_OF.get(kind if kind.group != "*" else GroupKind("", kind.kind), ())
    name = plural(kind)
    if not name:
        return {*more} if more and kind.kind.endswith(("Options", "Eviction", "Binding")) else {"*", *more}
    return {name, *more}


def _never(_: Activation, /) -> Any:
    raise AssertionError("a constraint judges by itself")


def _judge(template: Template, parameters: Any) -> Callable[[Review], Sequence[Found]]:
    given = parameters
    if given is None and template.engine == "Rego":
        given = {}
    judge = template.judge

    def run(review: Review) -> Sequence[Found]:
        return judge(review, given)

    return run


def _actions(spec: Object, annotations: Mapping[str, Any]) -> tuple[dict[str, tuple[Action, ...]], bool]:
    """Return what a violation does by enforcement point, and whether that differs by point.

    What is no action does nothing: Gatekeeper refuses it where it can, and else skips it.
    """
    action = text(spec, "enforcementAction", "spec") or "deny"
    own = annotations.get(ACTION_ANNOTATION)
    if own is not None and own not in _ACTIONS:
        raise CompileError(
            f"{own!r} is none of {', '.join(_ACTIONS)}", f"metadata.annotations[{ACTION_ANNOTATION}]"
        )
    if action != _SCOPED:
        if action not in _ACTIONS:
            raise CompileError(
                f"unrecognized enforcementAction: {action!r} is not within the supported list "
                f"{', '.join(ACTIONS)}",
                "spec.enforcementAction",
            )
        usual: tuple[Action, ...] = (_ACTIONS[action],)
        if own is None:
            return {EVERY_POINT: usual}, False
        points = dict.fromkeys((WEBHOOK_POINT, AUDIT_POINT, GATOR_POINT), usual)
        return {**points, OWN_POINT: (_ACTIONS[own],)}, True
    if spec.get("scopedEnforcementActions") is None:
        raise CompileError(
            "missing required field: spec.scopedEnforcementActions must be defined",
            "spec.scopedEnforcementActions",
        )
    by_point: dict[str, dict[Action, None]] = {}
    for position, scoped in enumerate(mappings(spec, "scopedEnforcementActions", "spec")):
        field = f"spec.scopedEnforcementActions[{position}]"
        named = text(scoped, "action", field)
        if named not in _ACTIONS:
            raise CompileError(f"{named!r} is none of {', '.join(_ACTIONS)}", f"{field}.action")
        places = mappings(scoped, "enforcementPoints", field)
        if not places:
            raise CompileError("names no enforcement point", f"{field}.enforcementPoints")
        for point in places:
            by_point.setdefault(text(point, "name", field), {}).setdefault(_ACTIONS[named])
    if own:
        by_point[OWN_POINT] = {_ACTIONS[own]: None}
    return {point: tuple(actions) for point, actions in by_point.items()}, True


def _severity(annotations: Mapping[str, Any]) -> Severity:
    said = annotations.get(SEVERITY_ANNOTATION)
    if said is None:
        return Severity.HIGH  # what nobody graded is not harmless
    try:
        return Severity.parse(str(said))
    except ValueError as error:
        raise CompileError(str(error), f"metadata.annotations[{SEVERITY_ANNOTATION}]") from None


def _digest(obj: Object) -> str:
    try:
        return object_digest(obj)
    except (ValueError, RecursionError):
        return ""


def is_constraint(obj: Object) -> bool:
    """Tell whether an object is a constraint."""
    return str(obj.get("apiVersion", "")).rpartition("/")[0] == CONSTRAINTS

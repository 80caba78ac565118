"""ConstraintTemplates: what their constraints may say, and the program that judges for them.

https://open-policy-agent.github.io/gatekeeper/website/docs/constrainttemplates
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from webhook.core.constraint import Found, Review
from webhook.core.errors import CompileError
from webhook.core.fields import metadata_of
from webhook.dialects.gatekeeper import schema
from webhook.dialects.gatekeeper.cel import compile_cel
from webhook.dialects.gatekeeper.fields import Object, flag, mapping, mappings, text, texts
from webhook.dialects.gatekeeper.names import TEMPLATE
from webhook.dialects.gatekeeper.refusal import CREATE, INVALID, TemplateError
from webhook.dialects.gatekeeper.rego import compile_rego
from webhook.dialects.gatekeeper.structural import check_structural

TARGET = "admission.k8s.gatekeeper.sh"
CEL_ENGINE, REGO_ENGINE = "K8sNativeValidation", "Rego"

_LEGACY_BY_DEFAULT = frozenset({"v1beta1", "v1alpha1"})
_VERSIONS = frozenset({"v1", *_LEGACY_BY_DEFAULT})
_OPERATIONS = frozenset({"*", "CREATE", "UPDATE", "DELETE", "CONNECT"})
_KIND = re.compile(r"[A-Za-z]([-A-Za-z0-9]*[A-Za-z0-9])?\Z")
_LONGEST_NAME = 63
_TARGETS = "spec.targets[0]"
_SCHEMA = "spec.validation.openAPIV3Schema.properties[spec].properties[parameters]"
_NO_DRIVER = (
    "no language driver is installed that handles this constraint template: "
    f'available drivers: map[{CEL_ENGINE}:1 {REGO_ENGINE}:2], wanted ""'
)


class Judge(Protocol):
    """What a template's code is compiled to: gives what is wrong with a review, given parameters.

    Raises:
        EvaluationError: it could not be told.
    """

    def __call__(self, review: Review, parameters: Any, /) -> Sequence[Found]:
        """Judge `review`."""


@dataclass(frozen=True, slots=True)
class Template:
    """A ConstraintTemplate, compiled.

    Attributes:
        name: its name.
        kind: the kind of its constraints.
        short_names: of that kind.
        labels: of the template: its CustomResourceDefinition has them too.
        parameters: the schema of ``spec.parameters``; None where constraints have none.
        operations: those that its constraints are judged for; none for Gatekeeper's own choice.
        engine: which of its code is used.
        judge: the program.
        reads_namespace: its code reads the object's Namespace.
        title: what it is for, in short.
        description: the same at length.
    """

    name: str
    kind: str
    short_names: tuple[str, ...]
    labels: Mapping[str, str]
    parameters: Mapping[str, Any] | None
    operations: frozenset[str]
    engine: str
    judge: Judge
    reads_namespace: bool
    title: str = ""
    description: str = ""


def compile_template(obj: Object) -> Template:
    """Return the template in a manifest, compiled.

    Args:
        obj: a ConstraintTemplate of any version.

    Raises:
        CompileError: Gatekeeper would refuse it too, or it uses what isn't supported; it says where.
    """
    version = str(obj.get("apiVersion", "")).rpartition("/")[2]
    if version not in _VERSIONS:
        raise CompileError(f"{version!r} is no version of ConstraintTemplate", "apiVersion")
    spec = mapping(obj, "spec", "")
    crd = mapping(mapping(spec, "crd", "spec"), "spec", "spec.crd")
    names = mapping(crd, "names", "spec.crd.spec")
    metadata = metadata_of(obj)
    name, kind = str(metadata.get("name") or ""), text(names, "kind", "spec.crd.spec.names")
    _check_names(name, kind)
    target = _target(spec)
    annotations = metadata.get("annotations")
    notes: Mapping[str, Any] = annotations if isinstance(annotations, Mapping) else {}
    engine, judge, source = _code(target)
    return Template(
        name=name,
        kind=kind,
        short_names=texts(names, "shortNames", "spec.crd.spec.names"),
        labels={str(key): str(value) for key, value in (metadata.get("labels") or {}).items()},
        parameters=_parameters(mapping(crd, "validation", "spec.crd.spec"), version),
        operations=_operations(target),
        engine=engine,
        judge=judge,
        reads_namespace="namespaceObject" in source,
        title=str(notes.get("metadata.gatekeeper.sh/title") or ""),
        description=str(notes.get("description") or "").strip(),
    )


def _check_names(name: str, kind: str) -> None:
    if not kind:
        raise _no_kind(
            "is missing", "spec.crd.spec.names.kind", f'{TEMPLATE.kind} "{name}" does not specify CRD Kind'
        )
    if name.lower() != kind.lower():
        said = (
            f"the ConstraintTemplate's name \"{name}\" is not equal to the lowercase of CRD's Kind: "
            f'"{kind.lower()}"'
        )
        raise _no_kind(said, "metadata.name", said)
    if not _KIND.match(kind) or len(kind) > _LONGEST_NAME:
        said = f'"{kind}" can\'t be a kind'
        raise _no_kind(said, "spec.crd.spec.names.kind", f"spec.names.kind: {said}")


def _no_kind(message: str, field: str, said: str) -> TemplateError:
    return TemplateError(message, field, said=INVALID + said, code=CREATE)


def _target(spec: Object) -> Object:
    targets = mappings(spec, "targets", "spec")
    if len(targets) != 1:
        said = "must declare exactly one target"
        raise _no_kind(said, "spec.targets", said)
    name = text(targets[0], "target", _TARGETS)
    if name != TARGET:
        said = f'target "{name}" not recognized, known targets [{TARGET}]'
        raise _no_kind(said, f"{_TARGETS}.target", said if name else "target name must not be empty")
    return targets[0]


def _operations(target: Object) -> frozenset[str]:
    found = texts(target, "operations", _TARGETS)
    for operation in found:
        if operation not in _OPERATIONS:
            raise CompileError(f"{operation!r} is no operation", f"{_TARGETS}.operations")
    if "*" in found and len(found) > 1:
        raise CompileError("if '*' is present, must not specify other operations", f"{_TARGETS}.operations")
    return frozenset(found)


def _parameters(validation: Object, version: str) -> Mapping[str, Any] | None:
    """Return the schema of the parameters: with a legacy one anything may be there."""
    field = "spec.crd.spec.validation"
    legacy = flag(validation, "legacySchema", field, default=version in _LEGACY_BY_DEFAULT)
    given = validation.get("openAPIV3Schema")
    if given is None:
        return schema.opened({}) if legacy else None
    found: Mapping[str, Any] = mapping(validation, "openAPIV3Schema", field)
    field += ".openAPIV3Schema"
    try:
        if legacy:
            found = schema.opened(found)
        check_structural(found, "")
    except CompileError as error:
        raise _no_kind(
            error.message, field + error.field, f"{_SCHEMA}{error.field}: {error.message}"
        ) from None
    return found


def _code(target: Object) -> tuple[str, Judge, str]:
    """Return the engine, the program and its source: CEL where there is some, else Rego."""
    field = f"{_TARGETS}.code"
    by_engine: dict[str, tuple[Object, str]] = {}
    for position, code in enumerate(mappings(target, "code", _TARGETS)):
        engine = text(code, "engine", f"{field}[{position}]")
        if engine in by_engine:
            raise CompileError(f"the engine {engine!r} is there twice", f"{field}[{position}]")
        by_engine[engine] = (mapping(code, "source", f"{field}[{position}]"), f"{field}[{position}].source")
    legacy = text(target, "rego", _TARGETS)
    if legacy:
        # The plain field wins over an entry of the list, as when Gatekeeper converts it.
        by_engine[REGO_ENGINE] = ({"rego": legacy, "libs": target.get("libs")}, _TARGETS)
    if CEL_ENGINE in by_engine:
        source, place = by_engine[CEL_ENGINE]
        return CEL_ENGINE, compile_cel(source, place), repr(source)
    if REGO_ENGINE in by_engine:
        source, place = by_engine[REGO_ENGINE]
        return REGO_ENGINE, compile_rego(source, place), repr(source)
    known = ", ".join(map(repr, by_engine)) or "none"
    raise TemplateError(
        f"no engine of ours: there is {known}, and {CEL_ENGINE} or {REGO_ENGINE} is needed",
        field,
        said=_NO_DRIVER,
    )

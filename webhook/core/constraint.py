"""A Gatekeeper constraint as the engine sees it: what it concerns, what it finds, and what that does where.

https://open-policy-agent.github.io/gatekeeper/website/docs/howto#constraints
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from webhook.core.activation import Budget
from webhook.core.errors import EvaluationError
from webhook.core.model import Action

VALIDATION = "violation"
"""The name of the one validation of a constraint: what its template finds has only messages."""

OWN_POINT = "webhook.tidewaiter.dev"
WEBHOOK_POINT = "validation.gatekeeper.sh"
AUDIT_POINT = "audit.gatekeeper.sh"
GATOR_POINT = "gator.gatekeeper.sh"
EVERY_POINT = "*"

ORIGINAL, GENERATED = "Original", "Generated"

SUB_RESOURCES = frozenset(
    {
        "attach",
        "binding",
        "ephemeralcontainers",
        "eviction",
        "exec",
        "log",
        "portforward",
        "proxy",
        "resize",
        "scale",
    }
)
"""Subresources that Gatekeeper's webhook is sent, beside a Service's status."""


@dataclass(frozen=True, slots=True)
class Found:
    """One result of a template: what is wrong, and what it says of it for machines."""

    message: str
    details: Any = None


class ExternalLacking(EvaluationError):  # noqa: N818 - what is lacking says more than "Error"
    """A provider of external data has to be asked first.

    Args:
        provider: which.
        keys: for what.
    """

    def __init__(self, provider: str, keys: tuple[str, ...]) -> None:
        super().__init__(f"external data of the provider {provider} is not known")
        self.provider = provider
        self.keys = keys


class External(Protocol):
    """Answers ``external_data`` of Rego from what providers said."""

    def __call__(self, provider: str, keys: Sequence[str], /) -> Mapping[str, Any]:
        """Return responses, errors, status_code and system_error.

        Raises:
            ExternalLacking: the provider has to be asked first.
        """


class Review:
    """What the constraints judge: one object, as Gatekeeper shows it to its templates.

    Args:
        request: the AdmissionRequest without its objects.
        obj: the object as it will be; for DELETE None.
        old_object: as it was.
        namespace_object: of its namespace; None for cluster-scoped objects, and where it isn't known.
        source: ``Original``, or ``Generated`` for what an ExpansionTemplate makes of another object.
        inventory: the synced objects, as ``data.inventory``.
        external: answers ``external_data``; None where nobody can be asked.
        budget: the steps left.
        shows_namespace: templates see it too.
        now_ns: the time to judge at, in nanoseconds since 1970.

    Attributes:
        as_rego: what the engine Rego makes of it, kept for the next template.
    """

    __slots__ = (
        "_attributes",
        "_document",
        "_states",
        "as_rego",
        "budget",
        "external",
        "inventory",
        "namespace_object",
        "now_ns",
        "object",
        "old_object",
        "request",
        "shown_namespace",
        "source",
    )

    def __init__(
        self,
        request: Mapping[str, Any],
        obj: Mapping[str, Any] | None,
        old_object: Mapping[str, Any] | None,
        namespace_object: Mapping[str, Any] | None = None,
        source: str = ORIGINAL,
        inventory: Mapping[str, Any] | None = None,
        external: External | None = None,
        budget: Budget | None = None,
        *,
        shows_namespace: bool = True,
        now_ns: int = 0,
    ) -> None:
        self.now_ns = now_ns
        self.request = request
        self.object = obj
        self.old_object = old_object
        self.namespace_object = namespace_object
        self.shown_namespace = namespace_object if shows_namespace else None
        self.source = source
        self.inventory: Mapping[str, Any] = inventory if inventory is not None else {}
        self.external = external
        self.budget = budget or Budget()
        self.as_rego: Any = None
        self._attributes: dict[str, Any] | None = None
        self._document: dict[str, Any] | None = None
        self._states: tuple[Mapping[str, Any], ...] | None = None

    @property
    def states(self) -> tuple[Mapping[str, Any], ...]:
        """The object as it will be and as it was, as far as there are such; made once, as `document`."""
        known = self._states
        if known is None:
            new = self.old_object if self.request.get("operation") == "DELETE" else self.object
            known = self._states = tuple([each for each in (new, self.old_object) if each is not None])
        return known

    @property
    def document(self) -> Mapping[str, Any]:
        """``input.review``: made once for all constraints.

        It has the fields of an AdmissionRequest as Go writes them: those that are never left out are there
        although they are empty. On DELETE the object is the old one, and a Namespace has no namespace.

        Raises:
            EvaluationError: it is a DELETE without an old object.
        """
        known = self._document
        if known is None:
            known = self._document = self._make()
        return known

    @property
    def attributes(self) -> Mapping[str, Any]:
        """``request`` as templates in CEL see it: made once for all constraints.

        Gatekeeper makes it anew, with ``CreateAdmissionRequest`` of k8s.io/apiserver: the kind, resource and
        subresource stand for those of the request as it was sent too, and what Go never leaves out is there
        although it is empty, as ``operation`` where the audit or gator judge an object.
        """
        known = self._attributes
        if known is None:
            request = self.request
            kind, resource = (
                _go_kind(request.get("kind"), "kind"),
                _go_kind(request.get("resource"), "resource"),
            )
            known = self._attributes = {
                "kind": kind,
                "resource": resource,
                "requestKind": kind,
                "requestResource": resource,
                "operation": request.get("operation") or "",
                "userInfo": _go_user(request.get("userInfo")),
                "dryRun": bool(request.get("dryRun")),
                "options": request.get("options"),
            }
            if request.get("subResource"):
                known["subResource"] = known["requestSubResource"] = request["subResource"]
            for name in ("name", "namespace"):
                if request.get(name):
                    known[name] = request[name]
            if kind["kind"] == "Namespace" and not kind["group"]:
                known.pop("namespace", None)
        return known

    def _make(self) -> dict[str, Any]:
        request = self.request
        obj = self.object
        if request.get("operation") == "DELETE":
            if self.old_object is None:
                raise EvaluationError("oldObject cannot be nil for DELETE operations")
            obj = self.old_object
        made: dict[str, Any] = {
            "uid": request.get("uid") or "",
            "kind": _go_kind(request.get("kind"), "kind"),
            "resource": _go_kind(request.get("resource"), "resource"),
            "operation": request.get("operation") or "",
            "userInfo": _go_user(request.get("userInfo")),
            "object": obj,
            "oldObject": self.old_object,
            "options": request.get("options"),
            # Gatekeeper shows an empty object where there is none.
            "namespaceObject": self.shown_namespace if self.shown_namespace is not None else {},
        }
        for name in ("subResource", "requestSubResource", "name", "namespace"):
            if request.get(name):
                made[name] = request[name]
        if made["kind"]["kind"] == "Namespace" and not made["kind"]["group"]:
            made.pop("namespace", None)
        for name, last in (("requestKind", "kind"), ("requestResource", "resource")):
            if request.get(name) is not None:
                made[name] = _go_kind(request[name], last)
        if request.get("dryRun") is not None:
            made["dryRun"] = request["dryRun"]
        return made


def _go_kind(given: Any, last: str) -> dict[str, Any]:
    known = given if isinstance(given, Mapping) else {}
    return {name: known.get(name) or "" for name in ("group", "version", last)}


def _go_user(given: Any) -> dict[str, Any]:
    known = given if isinstance(given, Mapping) else {}
    return {name: known[name] for name in ("username", "uid", "groups", "extra") if known.get(name)}


@dataclass(frozen=True, slots=True)
class KindsOf:
    """One entry of ``match.kinds``; nothing, or ``*``, is any."""

    groups: frozenset[str] = frozenset()
    kinds: frozenset[str] = frozenset()

    def takes(self, group: str, kind: str) -> bool:
        """Tell whether it names an object's group and kind."""
        return (not self.kinds or "*" in self.kinds or kind in self.kinds) and (
            not self.groups or "*" in self.groups or group in self.groups
        )


@dataclass(frozen=True, slots=True)
class Constraint:
    """What a constraint and its template are, compiled.

    Attributes:
        kinds: what it is for; none for every kind.
        operations: of its template: those that the webhook judges it for.
        actions: what a violation does, by enforcement point; under ``*`` where all points are alike.
        scoped: its actions are by enforcement point; else they hold wherever Gatekeeper's own would.
        matches: tells whether it is for a review; an EvaluationError counts as a violation.
        judge: gives what is wrong.
        needs_namespace: it can't be judged well before the object's Namespace is known.
    """

    kinds: tuple[KindsOf, ...]
    operations: frozenset[str]
    actions: Mapping[str, tuple[Action, ...]]
    scoped: bool
    matches: Callable[[Review], bool]
    judge: Callable[[Review], Sequence[Found]]
    needs_namespace: bool = False

    def concerns(self, group: str, kind: str) -> bool:
        """Tell whether it is for objects of a kind."""
        return not self.kinds or any(each.takes(group, kind) for each in self.kinds)

    def actions_at(self, points: Sequence[str], *, unscoped: bool = True) -> tuple[Action, ...] | None:
        """Return what a violation does at enforcement points; None where it isn't judged there.

        Args:
            points: where we are.
            unscoped: constraints whose action isn't scoped are ours to enforce.
        """
        if not self.scoped:
            return self.actions.get(EVERY_POINT, ()) if unscoped else None
        found = [action for point in points for action in self.actions.get(point, ())]
        found += self.actions.get(EVERY_POINT, ())
        return tuple(dict.fromkeys(found)) or None


@dataclass(frozen=True, slots=True)
class Expansion:
    """An ExpansionTemplate: which object stands for what another one will make.

    Attributes:
        name: its name.
        applies_to: group, version and kind of what is expanded.
        source: the path to the template in it.
        generated: group, version and kind of what is made.
        action: what violations of it do; None: as each constraint says.
    """

    name: str
    applies_to: frozenset[tuple[str, str, str]]
    source: tuple[str, ...]
    generated: tuple[str, str, str]
    action: Action | None = None


@dataclass(frozen=True, slots=True)
class ConstraintContext:
    """What all constraints of a snapshot are judged in.

    Attributes:
        points: the enforcement points that we are.
        unscoped: constraints whose action isn't scoped are ours to enforce.
        excludes: tells whether Gatekeeper's Config leaves out a namespace for a process.
        process: which one we are: ``webhook`` or ``audit``.
        inventory: the synced objects, as ``data.inventory``.
        expansions: the ExpansionTemplates.
        external: answers ``external_data``.
        synced: group, version and kind of what is synced.
        shows_namespaces: templates see the object's Namespace; to gator it is never there.
    """

    points: tuple[str, ...] = (OWN_POINT, WEBHOOK_POINT)
    unscoped: bool = True
    excludes: Callable[[str, str], bool] | None = None
    process: str = "webhook"
    inventory: Mapping[str, Any] = field(default_factory=dict)
    expansions: tuple[Expansion, ...] = ()
    external: External | None = None
    synced: frozenset[tuple[str, str, str]] = frozenset()
    shows_namespaces: bool = True


def for_audit(context: ConstraintContext) -> ConstraintContext:
    """Return what constraints are judged in where the audit asks, whoever enforces them."""
    return replace(context, points=(AUDIT_POINT,), unscoped=True, process="audit")


def is_sent(resource: str, sub_resource: str) -> bool:
    """Tell whether Gatekeeper's webhook would be sent requests for a subresource."""
    return (
        not sub_resource
        or sub_resource in SUB_RESOURCES
        or (resource, sub_resource) == ("services", "status")
    )

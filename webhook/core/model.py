"""The nouns that every layer shares: kinds, severities, actions, violations and their fingerprints."""

from __future__ import annotations

import enum
import hashlib
from dataclasses import dataclass
from typing import Any, NamedTuple

from webhook.core.canonical import canonical_json

GROUP = "tidewaiter.dev"
VERSION = "v1alpha1"
API_VERSION = f"{GROUP}/{VERSION}"

CONTAINER_KINDS = ("containers", "initContainers", "ephemeralContainers")


class Severity(enum.IntEnum):
    """How bad a violation is; ordered, so that the worst of several is their maximum."""

    INFO = 0
    LOW = 1
    MEDIUM = 2
    HIGH = 3
    CRITICAL = 4

    @classmethod
    def parse(cls, text: str) -> Severity:
        """Return the severity named `text` (``info`` to ``critical``); ValueError if there is none."""
        try:
            return cls[text.upper()] if text == text.lower() else cls["-"]
        except KeyError:
            raise ValueError(f"{text!r} is no severity") from None

    def __str__(self) -> str:
        return self.name.lower()


class Action(enum.Enum):
    """What a violation does, as in a ValidatingAdmissionPolicyBinding's validationActions."""

    DENY = "Deny"
    WARN = "Warn"
    AUDIT = "Audit"

    def __str__(self) -> str:
        return self.value.lower()


def strongest(actions: tuple[Action, ...]) -> Action:
    """Return the strongest of `actions`; Audit when there is none."""
    for action in (Action.DENY, Action.WARN):
        if action in actions:
            return action
    return Action.AUDIT


def capped(actions: tuple[Action, ...], most: Action) -> tuple[Action, ...]:
    """Return `actions` with each that is stronger than `most` taken for `most`, for a first rollout."""
    order = tuple(Action)  # the strongest first
    return tuple(dict.fromkeys(max(action, most, key=order.index) for action in actions))


class GroupKind(NamedTuple):
    """An API group and a kind in it; the core group is empty."""

    group: str
    kind: str

    def __str__(self) -> str:
        return f"{self.kind}.{self.group}" if self.group else self.kind


class PolicyRef(NamedTuple):
    """Which policy: its kind, its namespace (empty for cluster kinds), its name."""

    kind: str
    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}" if self.namespace else self.name


class ObjectRef(NamedTuple):
    """Which object: API version and kind as they were given, namespace and name (empty when unknown)."""

    group: str
    version: str
    kind: str
    namespace: str
    name: str

    @property
    def api_version(self) -> str:
        """The ``apiVersion`` of the object's manifest."""
        return f"{self.group}/{self.version}" if self.group else self.version


@dataclass(frozen=True, slots=True)
class Violation:
    """One validation of one policy that one object does not meet.

    Attributes:
        policy: the policy.
        validation: the name of the validation in it.
        message: what is wrong, for a person.
        field_path: where in the object, as ``spec.template.spec.containers[0].image``; may be empty.
        container: the container's name when the validation visits containers, else empty.
        container_kind: its list, one of `CONTAINER_KINDS`, else empty.
        image: that container's image, else empty.
        severity: the policy's severity.
        actions: the policy's actions for this object.
        reason: the validation's reason, such as ``Invalid``.
        remediation: what to change, from the policy; may be empty.
        fingerprint: the stable identity, 32 hex digits; see `fingerprint`.
        constraint: the policy is a Gatekeeper constraint, which people know by its messages alone.
        scoped: what it does is said by enforcement point: Gatekeeper puts that behind what denies everywhere.
        details: what its template says of it for machines.
    """

    policy: PolicyRef
    validation: str
    message: str
    field_path: str
    container: str
    container_kind: str
    image: str
    severity: Severity
    actions: tuple[Action, ...]
    reason: str
    remediation: str
    fingerprint: str
    constraint: bool = False
    scoped: bool = False
    details: Any = None

    @property
    def action(self) -> Action:
        """The strongest of its actions."""
        return strongest(self.actions)


def fingerprint(
    policy: PolicyRef,
    validation: str,
    target: ObjectRef,
    container_kind: str = "",
    container: str = "",
    declared_field_path: str = "",
) -> str:
    """Return the stable identity of a violation.

    It is the first 32 hex digits of the SHA-256 over the RFC 8785 JSON of a list of strings, so that it
    survives API versions, restarts, reordered lists and reworded messages.

    Args:
        policy: the policy's kind, namespace and name.
        validation: the validation's name.
        target: the object; its version is left out.
        container_kind: the list that the container is in, or empty.
        container: the container's name, or empty.
        declared_field_path: ``validations[].fieldPath`` as the policy has it, or empty.
    """
    parts = [
        policy.kind,
        policy.namespace,
        policy.name,
        validation,
        target.group,
        target.kind,
        target.namespace,
        target.name,
        container_kind,
        container,
        declared_field_path,
    ]
    return hashlib.sha256(canonical_json(parts)).hexdigest()[:32]

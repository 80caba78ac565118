"""What `tidewaiter status` tells, as data: the same for people and for programs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from webhook.operator.impersonators import Impersonator


@dataclass(frozen=True, slots=True)
class Replica:
    """A replica of the control plane, and the workers beside it."""

    name: str
    alive: bool
    silent_seconds: float
    leader: bool
    version: str
    revision: str
    workers: tuple[Mapping[str, str], ...]
    clock_skew_seconds: float
    certificate_expires: str
    problems: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PolicyLine:
    """A policy: what it does here, and whether it is enforced."""

    kind: str
    namespace: str
    name: str
    actions: tuple[str, ...]
    capped: bool
    enforced: bool
    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class AcceptanceLine:
    """A risk acceptance: its phase, and until when it is in force."""

    kind: str
    namespace: str
    name: str
    phase: str
    until: str
    expiring: bool
    message: str


@dataclass(slots=True)
class Overview:
    """Everything that is told.

    Attributes:
        problems: what is wrong.
        notes: what is worth knowing, and no fault.
        unknown: what could not be read, and why.
        settings: what the leader was told.
        replicas: of the control plane.
        configuration: the entries of the webhook configuration and their authorities.
        policies: by kind and name.
        acceptances: by kind and name.
        impersonators: who may act as an approver; None where that can't be read.
        audit: how far the audit is, and what it counts; empty where the leader says nothing of one.
        complete: everything that matters could be read.
    """

    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)
    settings: Mapping[str, Any] = field(default_factory=dict)
    replicas: list[Replica] = field(default_factory=list)
    configuration: Mapping[str, Any] = field(default_factory=dict)
    policies: list[PolicyLine] = field(default_factory=list)
    acceptances: list[AcceptanceLine] = field(default_factory=list)
    impersonators: list[Impersonator] | None = None
    audit: Mapping[str, Any] = field(default_factory=dict)
    complete: bool = True

    @property
    def exit_status(self) -> int:
        """0 when all is well, 1 when something is wrong, 2 when that can't be told."""
        if self.problems:
            return 1
        return 0 if self.complete else 2

    def document(self) -> dict[str, Any]:
        """Return it as plain JSON."""
        return {"apiVersion": "tidewaiter.dev/v1alpha1", "kind": "StatusOverview", **asdict(self)}

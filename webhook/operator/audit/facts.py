"""What the audit tells the operator: how far it is, and what it counts; a line of JSON each time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Self

import orjson

from webhook.core.model import PolicyRef

LARGEST = 32 * 2**20
MOST_SERIES = 2000
OTHERS = "*"
"""In place of a namespace: what is in those that have no series of their own."""


@dataclass(frozen=True, slots=True)
class PolicyFacts:
    """What the audit found of one policy.

    Attributes:
        ref: kind, namespace and name.
        generation: of the policy that was judged by.
        violations: those that nothing accepts.
        accepted: those that an acceptance in force covers.
        errors: objects for which it could not be evaluated.
        top: the first objects that violate it.
        complete: everything that it matches has been judged by this generation.
        at: until when that holds, in seconds since the epoch; 0.0 before.
        reason: why it is not complete, in a word; empty when it is.
        message: the same for people.
    """

    ref: tuple[str, str, str]
    generation: int
    violations: int = 0
    accepted: int = 0
    errors: int = 0
    top: Sequence[Mapping[str, str]] = ()
    complete: bool = False
    at: float = 0.0
    reason: str = ""
    message: str = ""

    @property
    def policy(self) -> PolicyRef:
        """Which policy."""
        return PolicyRef(*self.ref)


@dataclass(frozen=True, slots=True)
class AuditFacts:
    """What the audit knows.

    Attributes:
        complete: everything that policies match has been judged at least once.
        at: the time until which the API server was heard of all of it, in seconds since the epoch.
        seconds: how long judging everything took.
        objects: how many objects there are.
        findings: how many of them count how: ``fail``, ``warn``, ``skip``, ``error``.
        unreadable: resources that could not be read, and why.
        following: how many resources are followed.
        reports: ``openreports``, ``wgpolicy`` or ``none``.
        problem: why no reports are written; empty when they are.
        written: how often a report was written, removed, or could not be.
        waiting: how many reports are to be written yet.
        events: how many Events came to which end.
        memory: of the process, in bytes.
        cpu: seconds that it has used.
        series: policy kind, policy, namespace, severity, action, result and how many, as far as
            `MOST_SERIES` go.
        covered: acceptances by kind, namespace and name, and how many violations each covers.
        policies: those of which something changed.
        gone: those that are no longer judged by.
    """

    complete: bool = False
    at: float = 0.0
    seconds: float = 0.0
    objects: int = 0
    findings: Mapping[str, int] = field(default_factory=dict)
    unreadable: Mapping[str, str] = field(default_factory=dict)
    following: int = 0
    reports: str = "none"
    problem: str = ""
    written: Mapping[str, int] = field(default_factory=dict)
    waiting: int = 0
    events: Mapping[str, int] = field(default_factory=dict)
    memory: int = 0
    cpu: float = 0.0
    series: Sequence[tuple[str, str, str, str, str, str, int]] = ()
    covered: Sequence[tuple[str, str, str, int]] = ()
    policies: Sequence[PolicyFacts] = ()
    gone: Sequence[tuple[str, str, str]] = ()

    def encode(self) -> bytes:
        """Return the line."""
        return orjson.dumps(asdict(self)) + b"\n"

    @classmethod
    def decode(cls, line: bytes) -> Self:
        """Return the facts in a line.

        Raises:
            ValueError: it is none.
        """
        try:
            given: dict[str, Any] = orjson.loads(line)
            given["policies"] = tuple(
                PolicyFacts(**{**each, "ref": tuple(each["ref"])}) for each in given["policies"]
            )
            given["gone"] = tuple((str(kind), str(place), str(name)) for kind, place, name in given["gone"])
            return cls(**given)
        except (TypeError, KeyError) as error:
            raise ValueError(f"no facts of an audit: {error}") from None

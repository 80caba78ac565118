"""One request being judged: what is known of it, and what has been found so far."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from datetime import datetime

from webhook.core.activation import Budget
from webhook.core.authorization import AuthorizerCheck, AuthorizerDecision
from webhook.core.constraint import Review
from webhook.core.excuses import Excuses
from webhook.core.fields import metadata_of
from webhook.core.judge import Subject
from webhook.core.match import Selection
from webhook.core.model import Action, Violation, capped
from webhook.core.review import AdmissionRequest
from webhook.core.snapshot import Snapshot
from webhook.core.verdict import AcceptedViolation, Lack, PolicyError, Verdict


class Evaluation(ABC):
    """What is known of one request and found so far; whatever judges a policy or a constraint adds to it.

    Args:
        request: what is to be done.
        snapshot: what it is judged with.
        now: the time to judge at.
        budget: steps for each policy, and the deadline.
        decisions: the authorizer's answers so far; None where nobody can be asked.
        selection: which policies are asked for.
    """

    def __init__(
        self,
        request: AdmissionRequest,
        snapshot: Snapshot,
        now: datetime,
        budget: Budget,
        decisions: Mapping[AuthorizerCheck, AuthorizerDecision] | None,
        selection: Selection,
    ) -> None:
        self.request = request
        self.snapshot = snapshot
        self.now = now
        self.budget = budget
        self.decisions = decisions
        self.selection = selection
        self.target = request.target
        self.is_namespace = request.resource[::2] == ("", "namespaces")
        self.namespace = "" if self.is_namespace else request.namespace
        self.namespace_object = snapshot.namespaces.get(self.namespace) if self.namespace else None
        self.place = request.name if self.is_namespace else self.namespace
        self.most = Action(snapshot.max_action) if snapshot.max_action else Action.DENY
        self.violations: list[Violation] = []
        self.accepted: list[AcceptedViolation] = []
        self.existing: list[Violation] = []
        self.errors: list[PolicyError] = []
        self.annotations: dict[str, str] = {}
        self.hints: dict[str, tuple[str, ...]] = {}
        self.lacking: list[Lack] = []
        # The object, and the Pod that its template makes, as policies and as constraints see them.
        self.subjects: list[Subject | None] = [None, None]
        self.reviews: list[Review | None] = [None, None]
        self._excuses: Excuses | None = None

    @abstractmethod
    def find_excuses(self) -> Excuses:
        """Return what finds excuses for the violations of the request."""

    @property
    def excuses(self) -> Excuses:
        """What excuses violations: made once, when there is a first violation."""
        known = self._excuses
        if known is None:
            known = self._excuses = self.find_excuses()
        return known

    @property
    def is_leaving(self) -> bool:
        """Whether the object is being deleted: its finalizers must come off, whatever has expired."""
        return bool(metadata_of(self.request.old_object).get("deletionTimestamp"))

    def capped(self, actions: tuple[Action, ...]) -> tuple[Action, ...]:
        """Return what a violation does where no policy may do more than the installation lets it."""
        return actions if self.most is Action.DENY else capped(actions, self.most)

    def verdict(self) -> Verdict:
        """Return what all that was found comes to."""
        denied = any(Action.DENY in violation.actions for violation in self.violations) or any(
            Action.DENY in error.actions for error in self.errors
        )
        return Verdict(
            allowed=not denied,
            violations=tuple(self.violations),
            accepted=tuple(self.accepted),
            existing=tuple(self.existing),
            errors=tuple(self.errors),
            annotations=self.annotations,
            hints=self.hints,
            lacking=tuple(dict.fromkeys(self.lacking)),
            revision=self.snapshot.revision,
        )

"""What the guard of the risk kinds finds of one request, and the rules that several kinds share."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from webhook.core.acceptance import Acceptance
from webhook.core.appetite import Appetite
from webhook.core.model import Action, PolicyRef, Severity, Violation, fingerprint
from webhook.core.policy import CompiledPolicy
from webhook.core.review import AdmissionRequest
from webhook.core.snapshot import Snapshot
from webhook.core.verdict import AcceptanceLack, Verdict

_REF = PolicyRef("Guard", "", "guard")
_MOST_NAMES = 5


class Findings:
    """What the guard found of one request.

    Args:
        request: the request.
        revision: of the snapshot that judges.
    """

    def __init__(self, request: AdmissionRequest, revision: str) -> None:
        self.request = request
        self.user = request.user.username
        self.groups = frozenset(request.user.groups)
        self.object: Mapping[str, Any] = request.object or {}
        self._revision = revision
        self._found: list[Violation] = []
        self._lacking: list[AcceptanceLack] = []

    def deny(self, rule: str, field: str, message: str) -> None:
        """Deny the request."""
        self._add(rule, field, message, Action.DENY)

    def warn(self, rule: str, field: str, message: str) -> None:
        """Tell the user."""
        self._add(rule, field, message, Action.WARN)

    def lacks(self, namespace: str, name: str) -> None:
        """Say that a snapshot with another version of an acceptance may change the verdict."""
        self._lacking.append(AcceptanceLack(namespace, name))

    def verdict(self) -> Verdict:
        """Return what was found."""
        allowed = all(Action.DENY not in violation.actions for violation in self._found)
        return Verdict(allowed, tuple(self._found), lacking=tuple(self._lacking), revision=self._revision)

    def _add(self, rule: str, field: str, message: str, action: Action) -> None:
        self._found.append(
            Violation(
                policy=_REF,
                validation=rule,
                message=message,
                field_path=field,
                container="",
                container_kind="",
                image="",
                severity=Severity.HIGH,
                actions=(action,),
                reason="Forbidden",
                remediation="",
                fingerprint=fingerprint(_REF, rule, self.request.target),
            )
        )


def judge_applier(findings: Findings, applier: str, namespace: str, known: Appetite | None) -> None:
    """Judge the service account that says that it brings what somebody else wrote."""
    if applier != findings.user:
        findings.deny(
            "applier",
            "spec.appliedBy",
            f"must be {findings.user}, who writes this, not {applier}, or be left out",
        )
    elif not namespace:
        findings.deny(
            "applier", "spec.appliedBy", "cluster-scoped risk kinds are written by people themselves"
        )
    elif known is None:
        findings.warn(
            "applier", "spec.appliedBy", "no RiskAppetite named default is applied, which must list it"
        )
    elif not known.trusts(applier, namespace):
        findings.deny(
            "applier",
            "spec.appliedBy",
            f"the RiskAppetite lists no {applier} for the namespace {namespace} under spec.trustedAppliers",
        )


def policy_of(asked: Acceptance, position: int, snapshot: Snapshot) -> CompiledPolicy | None:
    """Return the policy that an acceptance names there; None where none such is enforced."""
    named = asked.policies[position]
    return snapshot.policy(
        PolicyRef(named.kind, asked.ref.namespace if named.kind == "Policy" else "", named.name)
    )


def listed(names: Iterable[str]) -> str:
    """Return names as text; a user reads the first few."""
    known = list(names)
    more = len(known) - _MOST_NAMES
    return ", ".join(known[:_MOST_NAMES]) + (f" and {more} more" if more > 0 else "")

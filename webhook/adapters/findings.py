"""What an audit or a report finds on an object: violations, accepted or not, and evaluation errors."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from webhook.core.fields import metadata_of
from webhook.core.model import Action, ObjectRef, PolicyRef, Violation, fingerprint
from webhook.core.review import AdmissionRequest
from webhook.core.verdict import AcceptedViolation, Verdict


class Result(enum.Enum):
    """How a finding counts, in the words of OpenReports."""

    FAIL = "fail"
    WARN = "warn"
    SKIP = "skip"
    ERROR = "error"

    def __str__(self) -> str:
        return self.value


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is found on one object.

    Attributes:
        target: the object.
        uid: its uid; empty for what is not in a cluster.
        result: how it counts.
        policy: the policy.
        message: what is wrong, whole.
        result_id: the stable identity: the violation's fingerprint, 32 hex digits.
        violation: what is violated; None for an evaluation error.
        accepted: what accepts it; None for nothing. With `Result.FAIL` the acceptance has ended, and the
            Pod of an unchanged workload was still made again.
    """

    target: ObjectRef
    uid: str
    result: Result
    policy: PolicyRef
    message: str
    result_id: str
    violation: Violation | None = None
    accepted: AcceptedViolation | None = None

    @property
    def rule(self) -> str:
        """The name of the validation; empty for an evaluation error."""
        return self.violation.validation if self.violation else ""

    @property
    def container(self) -> str:
        """The container that it is about; empty for none."""
        return self.violation.container if self.violation else ""


def findings_of(request: AdmissionRequest, verdict: Verdict) -> tuple[Finding, ...]:
    """Return what a verdict says of an object, in a stable order: by policy, rule and container.

    Args:
        request: to create the object.
        verdict: on that request.

    Returns:
        Nothing for an object that complies.
    """
    target = request.target
    uid = str(metadata_of(request.object or {}).get("uid") or "")
    found = [_violated(target, uid, violation) for violation in verdict.violations]
    found += [_accepted(target, uid, accepted) for accepted in verdict.accepted]
    found += [
        Finding(
            target,
            uid,
            Result.ERROR,
            error.policy,
            f"could not be evaluated: {error.message}",
            fingerprint(error.policy, "", target),
        )
        for error in verdict.errors
    ]
    return tuple(sorted(found, key=_order))


def _violated(target: ObjectRef, uid: str, violation: Violation) -> Finding:
    result = Result.WARN if violation.action is Action.WARN else Result.FAIL
    return Finding(target, uid, result, violation.policy, violation.message, violation.fingerprint, violation)


def _accepted(target: ObjectRef, uid: str, accepted: AcceptedViolation) -> Finding:
    violation = accepted.violation
    result = Result.FAIL if accepted.kept_running else Result.SKIP
    return Finding(
        target, uid, result, violation.policy, violation.message, violation.fingerprint, violation, accepted
    )


def _order(finding: Finding) -> tuple[PolicyRef, str, str, str]:
    return finding.policy, finding.rule, finding.container, finding.result_id

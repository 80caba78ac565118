"""What a policy asks about permissions, and what the API server answers.

A policy's ``authorizer`` asks whether the request's user, or a service account, may do something. The
question is plain data, so that whoever can ask the API server (a SubjectAccessReview) does it outside of an
evaluation.
"""

from __future__ import annotations

from dataclasses import dataclass

from webhook.core.errors import EvaluationError


@dataclass(frozen=True, slots=True)
class AuthorizerCheck:
    """One question: whether a user may do `verb` on a path or on a resource.

    Attributes:
        verb: the API verb, or the HTTP verb in lower case for a path.
        path: a non-resource path such as ``/healthz``; empty for a resource.
        group: the resource's API group.
        resource: the resource's plural name; empty for a path.
        subresource: such as ``status``.
        namespace: empty for all namespaces or a cluster-scoped resource.
        name: empty for all names.
        field_selector: a selector in text, as the policy wrote it.
        label_selector: the same for labels.
        service_account: (namespace, name) of who is asked about; None for the request's own user.
    """

    verb: str
    path: str = ""
    group: str = ""
    resource: str = ""
    subresource: str = ""
    namespace: str = ""
    name: str = ""
    field_selector: str = ""
    label_selector: str = ""
    service_account: tuple[str, str] | None = None


@dataclass(frozen=True, slots=True)
class AuthorizerDecision:
    """One answer.

    Attributes:
        allowed: True only where the API server said yes; no opinion counts as no.
        reason: the authorizer's own words, perhaps empty.
        error: why the question could not be decided; empty where it was.
        answered: False where nobody answered within the request's time, which is no decision at all.
    """

    allowed: bool
    reason: str = ""
    error: str = ""
    answered: bool = True


class DecisionLacking(EvaluationError):  # noqa: N818 - what is lacking says more than "Error"
    """The answer to a check isn't known yet; asking for it and evaluating again gives it.

    Args:
        check: the question without an answer.
    """

    def __init__(self, check: AuthorizerCheck) -> None:
        what = check.path or "/".join(
            part for part in (check.group, check.resource, check.subresource) if part
        )
        super().__init__(f"no answer is known yet to whether the user may {check.verb} {what}")
        self.check = check

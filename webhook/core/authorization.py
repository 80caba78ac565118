"""What expressions may ask the authorizer, and what it answers.

The core asks through a plain function, so that it needs no client: the worker brings the answers.
"""

from __future__ import annotations

from dataclasses import dataclass

from webhook.core.errors import EvaluationError


@dataclass(frozen=True, slots=True)
class AuthorizerCheck:
    """One question to the authorizer, as a SubjectAccessReview asks it.

    Attributes:
        verb: such as ``get``.
        path: of a non-resource request; empty for a resource.
        group: the API group.
        resource: the resource; empty for a path.
        subresource: such as ``log``.
        namespace: where; empty for all or for cluster-scoped resources.
        name: of the object; empty for all.
        field_selector: as text; empty for none.
        label_selector: as text; empty for none.
        service_account: namespace and name of whom to ask for; None for the request's user.
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
    """The authorizer's answer.

    Attributes:
        allowed: it may be done.
        reason: why; may be empty.
        error: why it could not be decided; empty when it was.
    """

    allowed: bool
    reason: str = ""
    error: str = ""


class DecisionLacking(EvaluationError):  # noqa: N818 - it says what is missing
    """Nobody has answered this check yet.

    Args:
        check: the question.
    """

    def __init__(self, check: AuthorizerCheck) -> None:
        super().__init__("the authorizer has not answered")
        self.check = check

"""Errors that end a query."""

from __future__ import annotations

from typing import Final, NoReturn

from webhook.core.errors import EvaluationError
from webhook.rego.ast import Location


class QueryError(EvaluationError):
    """An error that ends a query.

    Args:
        code: OPA's code, as ``eval_conflict_error``.
        message: OPA's words.
        location: the rule's place, if it is a rule's fault.
    """

    def __init__(self, code: str, message: str, location: Location | None = None) -> None:
        self.code = code
        self.location = location
        place = f"{location.file}:{location.row}: " if location is not None and location.row else ""
        super().__init__(f"{place}{code}: {message}")


def conflict(kind: str, location: Location) -> NoReturn:
    """End the query because rules contradict each other.

    Raises:
        QueryError: always.
    """
    raise QueryError("eval_conflict_error", _CONFLICTS[kind], location)


_CONFLICTS: Final = {
    "complete": "complete rules must not produce multiple outputs",
    "function": "functions must not produce multiple outputs for same inputs",
    "object": "object keys must be unique",
}

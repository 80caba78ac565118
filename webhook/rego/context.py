"""What a query hands to builtins while it runs, how one fails, and the bounds on what any may build."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from webhook.core.activation import Budget
from webhook.core.errors import EvaluationError

MAX_STRING: Final = 8 * 1024 * 1024
MAX_ITEMS: Final = 1_000_000


class BuiltinError(EvaluationError):
    """A builtin failed on its operands: the expression is undefined, or an error where errors are strict.

    Attributes:
        code: OPA's code of the error.
    """

    code = "eval_builtin_error"


class OperandError(BuiltinError):
    """An operand has another type than the builtin takes."""

    code = "eval_type_error"


CANCELLED: Final = "eval_cancel_error"
"""OPA's code of a query that was stopped."""


class Halt(EvaluationError):  # noqa: N818 - OPA's word
    """The whole query stops: what was to be computed is larger than any policy needs.

    Attributes:
        code: OPA's code of the error.
    """

    def __init__(self, message: str, code: str = CANCELLED) -> None:
        super().__init__(message)
        self.code = code


class Context:
    """What a builtin may ask for beside its operands; one for each query.

    Args:
        now_ns: nanoseconds since 1970 in UTC, the same for the whole query.
        seed: what random values are made from, so that they can be repeated.
        external_data: answers ``external_data(request)``, the request being the builtin's operand as plain
            JSON; None: there are no providers.
        budget: the steps left.

    Attributes:
        cache: what builtins keep for the rest of the query.
    """

    __slots__ = ("budget", "cache", "external_data", "now_ns", "seed")

    def __init__(
        self,
        now_ns: int = 0,
        seed: bytes = b"",
        external_data: Callable[[Any], Any] | None = None,
        budget: Budget | None = None,
    ) -> None:
        self.now_ns = now_ns
        self.seed = seed
        self.external_data = external_data
        self.budget = budget or Budget()
        self.cache: dict[Any, Any] = {}

    def spend(self, steps: int) -> None:
        """Take `steps` of the budget; one is about a microsecond.

        Raises:
            BudgetExceeded: not so many are left, or the deadline has passed.
        """
        budget = self.budget
        budget.left -= steps
        if budget.left < 0:
            budget.spend()


def check_string(length: int) -> None:
    """Refuse to build a string of more than MAX_STRING characters.

    Raises:
        Halt: it is longer.
    """
    if length > MAX_STRING:
        raise Halt(f"a string of {length} characters is over the limit of {MAX_STRING}")


def check_items(length: int) -> None:
    """Refuse to build an array, set or object of more than MAX_ITEMS.

    Raises:
        Halt: it is longer.
    """
    if length > MAX_ITEMS:
        raise Halt(f"a collection of {length} items is over the limit of {MAX_ITEMS}")

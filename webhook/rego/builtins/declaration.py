"""How a builtin is declared, what it may ask for while it runs, and the bounds on what any may build."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

from webhook.core.activation import Budget
from webhook.core.errors import EvaluationError
from webhook.rego.types import Type
from webhook.rego.values import type_name

Implementation = TypeVar("Implementation", bound=Callable[..., Any])

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


@dataclass(frozen=True, slots=True)
class Declaration:
    """A builtin: its types and what computes it.

    Attributes:
        name: as policies write it.
        arguments: the types of its operands, in order.
        result: the type of its value; None where it has none (``print``).
        implementation: takes the operands' values, the `Context` first if `needs_context`; gives a value, or
            UNDEFINED. None for what the compiler makes itself (``walk``, ``eq``, ``assign``).
        infix: the operator, or an empty string.
        needs_context: whether the implementation takes the `Context` first.
        relation: whether it gives many values (``walk``).
        deprecated: whether Rego v1 refuses it.
        variadic: the type of any further operands, else None.
        pure: whether the same operands always give the same value.
        constants: what looks at an operand that is a constant while a policy is compiled, by the operand's
            place; it raises `Halt` at what isn't supported.
    """

    name: str
    arguments: tuple[Type, ...]
    result: Type | None
    implementation: Callable[..., Any] | None
    infix: str = ""
    needs_context: bool = False
    relation: bool = False
    deprecated: bool = False
    variadic: Type | None = None
    pure: bool = True
    constants: Mapping[int, Callable[[Context, Any], object]] = field(default_factory=dict)


DECLARATIONS: dict[str, Declaration] = {}
"""All builtins by name, once `webhook.rego.builtins` is imported."""

REFUSED: dict[str, str] = {}
"""OPA's builtins that are refused at compile time: why, and what to use instead."""


def builtin(
    name: str,
    arguments: tuple[Type, ...],
    result: Type | None,
    *,
    infix: str = "",
    needs_context: bool = False,
    deprecated: bool = False,
    pure: bool = True,
    constants: Mapping[int, Callable[[Context, Any], object]] | None = None,
) -> Callable[[Implementation], Implementation]:
    """Declare the decorated function as the builtin `name`; see `Declaration`."""

    def declare(implementation: Implementation) -> Implementation:
        DECLARATIONS[name] = Declaration(
            name,
            arguments,
            result,
            implementation,
            infix,
            needs_context,
            deprecated=deprecated,
            pure=pure,
            constants=constants or {},
        )
        return implementation

    return declare


def operand_error(position: int, got: Any, *expected: str) -> OperandError:
    """Return OPA's words for an operand of another type than `expected`."""
    if len(expected) == 1:
        return OperandError(f"operand {position} must be {expected[0]} but got {type_name(got)}")
    return OperandError(
        f"operand {position} must be one of {{{', '.join(expected)}}} but got {type_name(got)}"
    )


def element_error(position: int, composite: Any, got: Any, *expected: str) -> OperandError:
    """Return OPA's words for an array, set or object that holds something of another type than `expected`."""
    kind = type_name(composite)
    if len(expected) == 1:
        wanted = f"{kind} of {expected[0]}s"
    else:
        wanted = f"{kind} of (any of) {{{', '.join(expected)}}}"
    return OperandError(f"operand {position} must be {wanted} but got {kind} containing {type_name(got)}")


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

"""How a builtin is declared."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from webhook.rego.context import Context
from webhook.rego.types import Type

Implementation = TypeVar("Implementation", bound=Callable[..., Any])


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

"""Compiling one expression: parse, resolve, and make its two tiers."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from webhook.cel.ast import Node
from webhook.cel.exact import exact_program
from webhook.cel.fast import generate, generate_passing
from webhook.cel.parser import parse
from webhook.cel.resolve import resolve
from webhook.cel.schema import CONTAINER_ROOTS, ROOTS
from webhook.cel.writer import Unsupported
from webhook.core.activation import Passes, Program
from webhook.core.errors import CompileError

MAX_TOGETHER = 250_000
"""How many code points the expressions of one policy may have: more would take seconds and much memory."""


class Room:
    """Counts down what the expressions of one policy may still have."""

    __slots__ = ("left",)

    def __init__(self) -> None:
        self.left = MAX_TOGETHER

    def take(self, source: str) -> None:
        """Take an expression.

        Raises:
            CompileError: it is too much.
        """
        self.left -= len(source)
        if self.left < 0:
            message = (
                f"the policy's expressions have more than {MAX_TOGETHER:,} code points: split the policy"
            )
            raise CompileError(message, line=1, column=1)


@dataclass(frozen=True, slots=True)
class Expression:
    """A compiled expression.

    Attributes:
        source: as it was written.
        run: the program to call: the generated tier, which hands over to the exact one.
        references: the variables of the activation that it reads.
        exact: the exact tier alone.
        generated: the generated tier's source; None where there is only the exact tier.
        node: the resolved expression.
    """

    source: str
    run: Program
    references: frozenset[str]
    exact: Program
    generated: str | None
    node: Node


def compile_expression(
    source: str, *, container: bool = False, variables: Collection[str] = ()
) -> Expression:
    """Compile a CEL expression in the environment of Kubernetes' ValidatingAdmissionPolicy.

    Args:
        source: the expression.
        container: whether ``container`` and ``containerKind`` are declared, as ``forEach: containers`` does.
        variables: the names that ``variables.name`` may use.

    Returns:
        The compiled expression.

    Raises:
        CompileError: it has a syntax error, names something that doesn't exist, or is nested too deeply.
    """
    try:
        node, references, slots = resolve(
            source, parse(source), CONTAINER_ROOTS if container else ROOTS, variables
        )
        exact = exact_program(node, slots)
        run, generated = exact, None
        with contextlib.suppress(Unsupported):
            run, generated = generate(node, exact)
    except (RecursionError, MemoryError):
        raise CompileError("the expression is nested too deeply", line=1, column=1) from None
    return Expression(source, run, references, exact, generated, node)


def compile_passes(expressions: Iterable[tuple[Expression, bool]]) -> Passes | None:
    """Return one function that tells whether an object meets all of a policy's validations.

    Args:
        expressions: of the validations, and whether each is for every container.

    Returns:
        None where there is none: then each is to be evaluated by itself.
    """
    known = list(expressions)
    whole, each = (
        [expression.node for expression, visits in known if visits is wanted] for wanted in (False, True)
    )
    try:
        return generate_passing(whole, each)[0]
    except (Unsupported, RecursionError, MemoryError):
        return None

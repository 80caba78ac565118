"""Compiling one expression: parse, resolve, and make its two tiers."""

from __future__ import annotations

import contextlib
from collections.abc import Collection
from dataclasses import dataclass

from webhook.cel.exact import exact_program
from webhook.cel.fast import generate
from webhook.cel.parser import parse
from webhook.cel.resolve import resolve
from webhook.cel.schema import CONTAINER_ROOTS, ROOTS
from webhook.cel.writer import Unsupported
from webhook.core.activation import Program
from webhook.core.errors import CompileError


@dataclass(frozen=True, slots=True)
class Expression:
    """A compiled expression.

    Attributes:
        source: as it was written.
        run: the program to call: the generated tier, which hands over to the exact one.
        references: the variables of the activation that it reads.
        exact: the exact tier alone.
        generated: the generated tier's source; None where there is only the exact tier.
    """

    source: str
    run: Program
    references: frozenset[str]
    exact: Program
    generated: str | None


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
    return Expression(source, run, references, exact, generated)

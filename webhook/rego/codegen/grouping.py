"""Comprehensions that OPA evaluates once, for all values of a variable around them, and then looks up.

OPA calls it the comprehension index (``getComprehensionIndex`` of ``v1/ast/compile.go``). It shows: an
object's later value takes the place of the earlier one instead of being a conflict, and what may end the
query does so for values that nobody asks for.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from webhook.rego.ast import (
    COMPREHENSIONS,
    Body,
    Call,
    Comprehension,
    Every,
    Expr,
    Not,
    Ref,
    Rule,
    Term,
    Var,
    chain,
)
from webhook.rego.builtins.declaration import DECLARATIONS
from webhook.rego.codegen.scope import unified
from webhook.rego.compile import LANGUAGE
from webhook.rego.passes.safety import Safety
from webhook.rego.passes.walk import SAFETY, Skip, inside, parts, variables
from webhook.rego.tree import Node, constant
from webhook.rego.values import key

_RESERVED = frozenset(["data", "input"])
_IN_REF = Skip(ref_head=True)


def grouped(root: Node, rules: Iterable[Rule]) -> dict[int, frozenset[str]]:
    """Return the variables by which comprehensions are looked up, by the comprehensions' identity."""

    def arity(operator: Ref) -> int:
        if operator.root == "data":
            node: Node | None = root
            for term in operator.terms[1:]:
                node = node.children.get(key(constant(term))) if node is not None else None
            return len(node.rules[0][1].head.args) if node is not None and node.number >= 0 else -1
        name = Call(operator, ()).name
        declared = LANGUAGE.get(name) or DECLARATIONS.get(name)
        return -1 if declared is None else len(declared.arguments)

    safety = Safety(arity)
    found: dict[int, frozenset[str]] = {}
    for rule in rules:
        for link in chain(rule):
            seen = {*_RESERVED, *variables(link.head.args)}
            for body in _bodies(link.body):
                for expr in body:
                    term = _comprehension(expr)
                    if term is not None and (keys := _keys(safety, term, seen)):
                        found[id(term)] = keys
                    seen |= variables(expr, SAFETY)
    return found


def _bodies(body: Body) -> Iterator[Body]:
    """Return a body and those inside of it, each before what is in it."""
    yield body
    for expr in body:
        yield from _inner(expr)


def _inner(node: Expr | Term) -> Iterator[Body]:
    if isinstance(node, COMPREHENSIONS):
        heads = [one for one in parts(node) if not isinstance(one, Expr)]
        for head in heads:
            yield from _inner(head)
        yield from _bodies(node.body)
    elif isinstance(node, Expr) and isinstance(node.terms, Every | Not):
        if isinstance(node.terms, Every):
            yield from _inner(node.terms.domain)
        yield from _bodies(node.terms.body)
    else:
        for one in parts(node):
            yield from _inner(one)


def _comprehension(expr: Expr) -> Comprehension | None:
    """Return the comprehension that an expression unifies with a variable."""
    for one, other in unified(expr):
        if isinstance(one, Var) and isinstance(other, COMPREHENSIONS):
            return other
    return None


def _keys(safety: Safety, term: Comprehension, seen: set[str]) -> frozenset[str]:
    outputs = safety.body_outputs(term.body, set(_RESERVED))
    if variables(term.body, SAFETY) - outputs - _RESERVED:
        return frozenset()  # it needs what is around it
    if _is_worse(term.body, seen):
        return frozenset()
    for one in [one for expr in term.body for one in inside(expr)]:
        if isinstance(one, COMPREHENSIONS) and not seen.isdisjoint(variables(one, _IN_REF)):
            return frozenset()
    return frozenset(seen & outputs)


def _is_worse(body: Body, candidates: set[str]) -> bool:
    """Tell whether a reference selects by what is known around: looking at everything is more work."""
    met: set[str] = set()

    def closed(node: Expr | Term) -> bool:
        return isinstance(node, COMPREHENSIONS)

    for node in [node for expr in body for node in inside(expr, closed)]:
        bound: set[str] = set()
        if isinstance(node, Expr) and isinstance(node.terms, Call) and node.terms.name == "walk":
            bound = variables(node.terms.args[1:2])
        elif isinstance(node, Ref):
            bound = variables(node, _IN_REF)
        elif isinstance(node, Var):
            met.add(node.name)
        if bound & candidates - met:
            return True
    return False

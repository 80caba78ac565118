"""Which variables are bound where the code is, and to which Python names."""

from __future__ import annotations

from collections.abc import Iterator

from webhook.rego.ast import (
    COMPREHENSIONS,
    SCALARS,
    ArrayComprehension,
    Call,
    Every,
    Expr,
    Not,
    Ref,
    SetComprehension,
    Some,
    TemplateString,
    Term,
    Var,
    operands,
)
from webhook.rego.passes.walk import is_constant

Scope = dict[str, str]
"""Variables by name: the Python names that hold their values."""


def is_free(term: Term, scope: Scope) -> bool:
    """Tell whether `term` is a variable without a value so far."""
    return isinstance(term, Var) and (term.wildcard or term.name not in scope)


def has_free(term: Term, scope: Scope) -> bool:
    """Tell whether a variable in `term` has no value so far; comprehensions bind their own."""
    if isinstance(term, Var):
        return is_free(term, scope)
    if isinstance(term, (*SCALARS, *COMPREHENSIONS)):
        return False
    if isinstance(term, Ref):
        head, *rest = term.terms
        return (not isinstance(head, Var) and has_free(head, scope)) or any(has_free(t, scope) for t in rest)
    return any(has_free(part, scope) for part in operands(term))


def names_in(term: Term) -> Iterator[str]:
    """Give the names of the variables in `term`, those of comprehensions too."""
    if isinstance(term, Var):
        yield term.name
    elif isinstance(term, COMPREHENSIONS):
        if isinstance(term, ArrayComprehension | SetComprehension):
            yield from names_in(term.term)
        else:
            yield from names_in(term.key)
            yield from names_in(term.value)
        for expr in term.body:
            yield from names_in_expr(expr)
    elif not isinstance(term, SCALARS) and not isinstance(term, TemplateString):
        for part in operands(term):
            yield from names_in(part)


def names_in_expr(expr: Expr) -> Iterator[str]:
    """Give the names of the variables in an expression."""
    terms = expr.terms
    if isinstance(terms, Every):
        yield from names_in(terms.domain)
        for inner in terms.body:
            yield from names_in_expr(inner)
    elif isinstance(terms, Not):
        for inner in terms.body:
            yield from names_in_expr(inner)
    elif not isinstance(terms, Some):
        yield from names_in(terms)
    for one in expr.with_:
        yield from names_in(one.value)


def visits(expr: Expr) -> bool:
    """Tell whether an expression may go over something: a reference with a variable, or `walk`."""
    terms = expr.terms
    if isinstance(terms, Every | Not | Some):
        return False
    if isinstance(terms, Call) and terms.name == "walk":
        return True
    return not expr.negated and _visits(terms)


def _visits(term: Term) -> bool:
    if isinstance(term, (*SCALARS, Var, TemplateString, *COMPREHENSIONS)):
        return False
    if isinstance(term, Ref):
        return not all(is_constant(part) for part in term.terms[1:])
    return any(map(_visits, term.args if isinstance(term, Call) else operands(term)))


def unified(expr: Expr) -> tuple[tuple[Term, Term], ...]:
    """Return both sides of a plain ``a = b``, also the other way around; none for any other expression."""
    terms = expr.terms
    if expr.negated or expr.with_ or not isinstance(terms, Call):
        return ()
    if terms.name != "eq" or len(terms.args) != 2:
        return ()
    one, other = terms.args
    return (one, other), (other, one)

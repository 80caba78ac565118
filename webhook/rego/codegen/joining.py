"""Finds where a body goes over base documents only to compare a value in them with one that it has."""

from __future__ import annotations

from dataclasses import dataclass

from webhook.rego.ast import Body, Call, Expr, Ref, String, Term, Var
from webhook.rego.codegen.raising import Raising
from webhook.rego.codegen.scope import Scope, is_free, unified

Part = str | None


@dataclass(frozen=True, slots=True)
class Joined:
    """What `webhook.rego.runtime.joins` needs, and the variables of the loop.

    Attributes:
        prefix: the names from ``data`` to the documents' root.
        path: from there to the documents.
        keys: the variables that the keys are, one for each None in `path`.
        document: the variable that a document is.
        inner: from a document to what is compared.
        value: what it is compared with.
    """

    prefix: tuple[str, ...]
    path: tuple[Part, ...]
    keys: tuple[Var, ...]
    document: Var
    inner: tuple[Part, ...]
    value: Term


def find(expr: Expr, ahead: Body, scope: Scope, raising: Raising) -> Joined | None:
    """Return the join that an expression begins, if it does.

    The code that follows compares again: what is found here only leaves out documents that can't fit. So
    nothing that may end the query is allowed before the comparison.
    """
    documents = _binding(expr, scope)
    if documents is None:
        return None
    document, ref = documents
    if ref.root != "data" or "data" in scope:
        return None
    split = next((at for at, part in enumerate(ref.terms) if at and isinstance(part, Var)), 0)
    if split < 2:
        return None
    keys = [part for part in ref.terms[split:] if isinstance(part, Var)]
    names = [one.name for one in keys if not one.wildcard]
    if any(not is_free(one, scope) for one in keys) or len(set(names)) < len(names) or document.name in names:
        return None
    path = _parts(ref.terms[split:])
    prefix = _parts(ref.terms[1:split])
    if path is None or prefix is None:
        return None
    compared = _comparison(document, ahead, scope, raising)
    if compared is None:
        return None
    inner, value = compared
    return Joined(tuple([part or "" for part in prefix]), path, tuple(keys), document, inner, value)


def _binding(expr: Expr, scope: Scope) -> tuple[Var, Ref] | None:
    """Return the free variable and the reference of ``x = a.b[c]``."""
    for one, other in unified(expr):
        if isinstance(one, Var) and isinstance(other, Ref) and is_free(one, scope) and not one.wildcard:
            return one, other
    return None


def _parts(terms: tuple[Term, ...]) -> tuple[Part, ...] | None:
    if not all(isinstance(part, String | Var) for part in terms):
        return None
    return tuple([part.value if isinstance(part, String) else None for part in terms])


def _comparison(
    document: Var, ahead: Body, scope: Scope, raising: Raising
) -> tuple[tuple[Part, ...], Term] | None:
    """Return what of a document is compared with what, in the first comparison of both."""
    inside: dict[str, tuple[Part, ...]] = {}
    for expr in ahead:
        terms = expr.terms
        if raising.expr(expr):
            return None
        if expr.negated or expr.with_ or not isinstance(terms, Call) or len(terms.args) != 2:
            continue
        for one, other in (terms.args, terms.args[::-1]):
            if terms.name == "eq" and isinstance(one, Ref) and one.root == document.name:
                wild = all(not isinstance(part, Var) or part.wildcard for part in one.terms[1:])
                parts = _parts(one.terms[1:]) if wild else None
                if parts and isinstance(other, Var) and is_free(other, scope) and not other.wildcard:
                    inside[other.name] = parts
                elif parts and _known(other, scope):
                    return parts, other
            elif isinstance(one, Var) and one.name in inside and _compares(terms) and _known(other, scope):
                return inside[one.name], other
    return None


def _compares(call: Call) -> bool:
    return call.name in ("eq", "equal")


def _known(term: Term, scope: Scope) -> bool:
    return isinstance(term, String) or (isinstance(term, Var) and not is_free(term, scope))

"""Nested calls to variables: each becomes an expression of its own in front of the one that needs its result.

What is hoisted out of a negated expression isn't negated: an undefined operand makes the body undefined,
not the negation true.
"""

from __future__ import annotations

from dataclasses import replace

from webhook.rego.ast import (
    COMPREHENSIONS,
    Array,
    ArrayComprehension,
    Body,
    Call,
    Every,
    Expr,
    Not,
    Object,
    ObjectComprehension,
    Ref,
    Rule,
    Set,
    SetComprehension,
    Some,
    Term,
    Var,
)
from webhook.rego.construction import call
from webhook.rego.passes.names import Names
from webhook.rego.passes.walk import is_true, rebuild_head


def append(body: Body, *exprs: Expr) -> Body:
    """Return a body with more expressions; a body that is only `true` gives way to them."""
    if exprs and is_true(body):
        return exprs
    return body + exprs


def bind(names: Names, term: Term) -> tuple[Var, Expr]:
    """Return a new variable, and the expression that unifies it with a term."""
    new = names.new(term.location)
    return new, Expr(call("eq", new, term, location=term.location), location=term.location, generated=True)


class Hoist:
    """Hoists the calls of one rule after the other."""

    def __init__(self, names: Names) -> None:
        self.names = names

    def rule(self, rule: Rule) -> Rule:
        """Return a rule without nested calls; not its `else`."""
        support: list[Expr] = []
        head = rebuild_head(rule.head, lambda term: self._term(term, support))
        return replace(rule, head=head, body=self.body(append(rule.body, *support)))

    def body(self, body: Body) -> Body:
        """Return a body without nested calls."""
        found: list[Expr] = []
        for expr in body:
            self._expr(expr, found)
        return tuple(found)

    def _expr(self, expr: Expr, found: list[Expr]) -> None:
        modifiers = tuple([replace(one, value=self._term(one.value, found)) for one in expr.with_])
        expr = replace(expr, with_=modifiers)
        support: list[Expr] = []
        terms = expr.terms
        if isinstance(terms, Call):
            args = tuple([self._term(one, support) for one in terms.args])
            expr = replace(expr, terms=Call(terms.operator, args, terms.location))
        elif isinstance(terms, Every):
            new, unified = bind(self.names, terms.domain)
            self._expr(replace(unified, with_=modifiers), found)
            expr = replace(expr, terms=replace(terms, domain=new, body=self.body(terms.body)))
        elif isinstance(terms, Not):
            expr = replace(expr, terms=replace(terms, body=self.body(terms.body)))
        elif not isinstance(terms, Some):
            expr = replace(expr, terms=self._term(terms, support))
        found.extend(replace(one, with_=modifiers) for one in support)
        found.append(expr)

    def _term(self, term: Term, support: list[Expr]) -> Term:
        if isinstance(term, Call):
            args = tuple([self._term(one, support) for one in term.args])
            new = self.names.new(term.location)
            hoisted = Call(term.operator, (*args, new), term.location)
            support.append(Expr(hoisted, location=term.location, generated=True))
            return new
        if isinstance(term, Ref):
            return self._ref(term, support)
        if isinstance(term, Array | Set):
            return replace(term, items=tuple([self._term(one, support) for one in term.items]))
        if isinstance(term, Object):
            items = [(self._term(key, support), self._term(value, support)) for key, value in term.items]
            return replace(term, items=tuple(items))
        if isinstance(term, ArrayComprehension | SetComprehension):
            inner: list[Expr] = []
            head = self._term(term.term, inner)
            return replace(term, term=head, body=self.body(append(term.body, *inner)))
        if isinstance(term, ObjectComprehension):
            inner = []
            key = self._term(term.key, inner)
            value = self._term(term.value, inner)
            body = self.body(append(term.body, *inner))
            return ObjectComprehension(key, value, body, term.location)
        return term

    def _ref(self, ref: Ref, support: list[Expr]) -> Ref:
        terms = [self._term(one, support) for one in ref.terms]
        if isinstance(terms[0], (Array, Object, Set, *COMPREHENSIONS)):
            terms[0], unified = bind(self.names, terms[0])
            support.append(unified)
        return Ref(tuple(terms), ref.location)

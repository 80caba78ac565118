"""References and comprehensions to variables in heads, in ``with``, as operands and in collections."""

from __future__ import annotations

from dataclasses import replace

from webhook.rego.ast import (
    COMPREHENSIONS,
    SCALARS,
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
from webhook.rego.construction import name_ref
from webhook.rego.passes.hoist import append, bind
from webhook.rego.passes.names import Names
from webhook.rego.passes.walk import map_bodies, needs_evaluation, rebuild, rebuild_expr, rebuild_head


def head_reference(rule: Rule, names: Names) -> Rule:
    """Return a rule in whose head's reference only scalars and variables select."""
    head = rule.head
    terms = list(head.ref.terms)
    for position in range(1, len(terms)):
        term = terms[position]
        if isinstance(term, (Var, *SCALARS)):
            continue
        new, unified = bind(names, term)
        if position == len(terms) - 1 and head.key == term:
            head = replace(head, key=new)
        terms[position] = new
        rule = replace(rule, body=append(rule.body, unified))
    return replace(rule, head=replace(head, ref=Ref(tuple(terms), head.ref.location)))


def heads(rule: Rule, names: Names) -> Rule:
    """Return a rule in whose head nothing needs evaluation; not its `else`."""
    body = rule.body

    def moved(term: Term) -> Term:
        nonlocal body
        if not needs_evaluation(term):
            return term
        new, unified = bind(names, term)
        body = append(body, unified)
        return new

    head = rule.head
    key = None if head.key is None else moved(head.key)
    value = None if head.value is None else moved(head.value)
    args = tuple([moved(one) for one in head.args])
    return replace(rule, head=replace(head, key=key, value=value, args=args), body=body)


class ComprehensionTerms:
    """Moves what needs evaluation from the heads of comprehensions to their bodies."""

    def __init__(self, names: Names) -> None:
        self.names = names

    def rule(self, rule: Rule) -> Rule:
        """Return a rule with such comprehensions; not its `else`."""
        head = rebuild_head(rule.head, self.term, ref=True)
        return replace(rule, head=head, body=self.body(rule.body))

    def body(self, body: Body) -> Body:
        """Return a body with such comprehensions."""
        return tuple([rebuild_expr(one, self.term, self.body) for one in body])

    def term(self, term: Term) -> Term:
        """Return a term with such comprehensions."""
        term = rebuild(term, self.term, self.body)
        if isinstance(term, ArrayComprehension | SetComprehension):
            head, body = self._moved(term.term, term.body)
            return replace(term, term=head, body=body)
        if isinstance(term, ObjectComprehension):
            key, body = self._moved(term.key, term.body)
            value, body = self._moved(term.value, body)
            return ObjectComprehension(key, value, body, term.location)
        return term

    def _moved(self, term: Term, body: Body) -> tuple[Term, Body]:
        if not needs_evaluation(term):
            return term, body
        new, unified = bind(self.names, term)
        return new, append(body, unified)


def equals(body: Body) -> Body:
    """Return a body in which ``==`` is a unification: after the safety check the two are the same."""

    def one(expr: Expr) -> Expr:
        terms = expr.terms
        if isinstance(terms, Call) and terms.name == "equal" and len(terms.args) == 2:
            return replace(
                expr, terms=Call(name_ref("eq", terms.operator.location), terms.args, terms.location)
            )
        return expr

    def whole(inner: Body) -> Body:
        return tuple([one(expr) for expr in inner])

    return whole(tuple([map_bodies(expr, whole) for expr in body]))


class Dynamics:
    """Binds references and comprehensions to variables in front of the expressions that need them."""

    def __init__(self, names: Names) -> None:
        self.names = names

    def body(self, body: Body) -> Body:
        """Return a body of such expressions."""
        found: list[Expr] = []
        for expr in body:
            self._expr(expr, found)
        return tuple(found)

    def _expr(self, expr: Expr, found: list[Expr]) -> None:
        terms = expr.terms
        if isinstance(terms, Call):
            if terms.name == "eq":
                whole = len(terms.args) == 2
                args = [self._shallow(expr, one, found) if whole else one for one in terms.args]
            else:
                args = [self._bound(expr, one, found) for one in terms.args]
            expr = replace(expr, terms=Call(terms.operator, tuple(args), terms.location))
        elif isinstance(terms, Every):
            domain = self._bound(expr, terms.domain, found)
            expr = replace(expr, terms=replace(terms, domain=domain, body=self.body(terms.body)))
        elif isinstance(terms, Not):
            expr = replace(expr, terms=replace(terms, body=self.body(terms.body)))
        elif not isinstance(terms, Some):
            expr = replace(expr, terms=self._shallow(expr, terms, found))
        found.append(expr)

    def _shallow(self, original: Expr, term: Term, found: list[Expr]) -> Term:
        """Return a term that may itself be a reference or a comprehension."""
        if isinstance(term, Ref):
            return self._selected(original, term, found)
        if isinstance(term, COMPREHENSIONS):
            return replace(term, body=self.body(term.body))
        return self._bound(original, term, found)

    def _selected(self, original: Expr, ref: Ref, found: list[Expr]) -> Ref:
        first, *rest = ref.terms
        return Ref((first, *[self._bound(original, one, found) for one in rest]), ref.location)

    def _bound(self, original: Expr, term: Term, found: list[Expr]) -> Term:
        """Return a term in which there is no reference and no comprehension."""
        if isinstance(term, Ref):
            term = self._selected(original, term, found)
        elif isinstance(term, COMPREHENSIONS):
            term = replace(term, body=self.body(term.body))
        elif isinstance(term, Array | Object | Set):
            return rebuild(term, lambda one: self._bound(original, one, found), self.body)
        else:
            return term
        new, unified = bind(self.names, term)
        found.append(replace(unified, with_=original.with_))
        return new

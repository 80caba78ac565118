"""Which expressions may end a query with a conflict: what is asked before them can be seen."""

from __future__ import annotations

from collections.abc import Iterable

from webhook.rego.ast import (
    SCALARS,
    ArrayComprehension,
    Body,
    Call,
    Every,
    Expr,
    Not,
    ObjectComprehension,
    Ref,
    Rule,
    SetComprehension,
    Some,
    TemplateString,
    Term,
    Var,
    chain,
    operands,
)
from webhook.rego.codegen.scope import visits
from webhook.rego.passes.walk import is_constant
from webhook.rego.tree import Node, constant, constant_of
from webhook.rego.values import UNDEFINED, key


class Raising:
    """Answers for one tree of rules; rules refer to each other without cycles."""

    def __init__(self, root: Node) -> None:
        self._root = root
        self._known: dict[int, bool] = {}
        self._asked: dict[int, tuple[Expr, bool]] = {}

    def expr(self, expr: Expr) -> bool:
        """Tell whether an expression may end the query; each is asked about once for all that come before."""
        known = self._asked.get(id(expr))
        if known is None:  # with the expression, so that no other one gets its id
            known = self._asked[id(expr)] = (expr, self._expr(expr))
        return known[1]

    def _expr(self, expr: Expr) -> bool:
        terms = expr.terms
        if any(self._term(one.value) for one in expr.with_):
            return True
        if isinstance(terms, Every):
            return self._term(terms.domain) or self.body(terms.body)
        if isinstance(terms, Not):
            return self.body(terms.body)
        return not isinstance(terms, Some) and self._term(terms)

    def body(self, body: Body) -> bool:
        """Tell whether a body may end the query."""
        return any(map(self.expr, body))

    def _term(self, term: Term) -> bool:
        if isinstance(term, ObjectComprehension):
            return True
        if isinstance(term, ArrayComprehension | SetComprehension):
            return self._term(term.term) or self.body(term.body)
        if isinstance(term, (*SCALARS, Var, TemplateString)):
            return False
        if isinstance(term, Ref):
            return self._reference(term) or any(map(self._term, term.terms[1:]))
        if isinstance(term, Call) and term.operator.root == "data":
            return self._reference(term.operator) or any(map(self._term, term.args))
        return any(map(self._term, term.args if isinstance(term, Call) else operands(term)))

    def _reference(self, ref: Ref) -> bool:
        if ref.root != "data":
            return False
        node = self._root
        for term in ref.terms[1:]:
            value = constant(term)
            if value is UNDEFINED:
                break
            child = node.children.get(key(value))
            if child is None:
                return False
            node = child
            if node.number >= 0:
                return self.rules(node)
        return any(self.rules(one) for one in _below(node))

    def rules(self, node: Node) -> bool:
        """Tell whether evaluating a node's rules may end the query."""
        if node.number not in self._known:
            self._known[node.number] = True  # what a cycle would be; the passes refuse them
            rules = [link for _, rule in node.rules for link in chain(rule)]
            self._known[node.number] = may_conflict(node) or any(self.body(rule.body) for rule in rules)
        return self._known[node.number]


def may_conflict(node: Node) -> bool:
    """Tell whether the definitions of a name may contradict each other, or one of them itself."""
    rules = [rule for _, rule in node.rules if not rule.default]
    if node.document:
        return any(not rule.head.multi_value for rule in rules) or len(rules) > 1
    if not rules or rules[0].head.multi_value:
        return False
    links = [[*chain(rule)] for rule in rules]
    if one_value(links):
        return False
    return len(links) > 1 or any(any(map(visits, link.body)) for link in links[0])


def one_value(links: list[list[Rule]]) -> bool:
    """Tell whether all definitions have the same constant value, so that the first that is true decides."""
    values = set()
    for rule in (link for one in links for link in one):
        if rule.head.value is None or not is_constant(rule.head.value):
            return False
        values.add(key(constant_of(rule.head.value)))
    return len(values) <= 1


def _below(node: Node) -> Iterable[Node]:
    for child in node.children.values():
        if child.number >= 0:
            yield child
        yield from _below(child)

"""Bodies that stand where rules do, and mean rules: ``p = 1``, ``p[x]``, ``f(x)``."""

from __future__ import annotations

from dataclasses import replace

from webhook.rego import ast
from webhook.rego.ast import Body, Boolean, Call, Expr, Head, Location, Ref, Rule, Some, Term, Var
from webhook.rego.construction import true_body
from webhook.rego.node_text import INFIX, kind, show


def rule_from_body(body: Body) -> Rule | str:
    """Return the rule that a body outside of a rule means, as in ``p = 1``; else why there is none."""
    if len(body) != 1:
        return "multiple expressions cannot be used for rule head"
    expr = body[0]
    if expr.with_:
        return "expressions using with keyword cannot be used for rule head"
    if expr.negated:
        return "negated expressions cannot be used for rule head"
    terms = expr.terms
    if isinstance(terms, Some):
        return "'some' declarations cannot be used for rule head"
    if isinstance(terms, ast.Every | ast.Not):
        return "expression cannot be used for rule head"
    if isinstance(terms, Call):
        return _rule_from_call(terms, expr)
    if not isinstance(terms, Ref):
        return f"{kind(terms)} cannot be used for rule name"
    if len(terms.terms) == 1:
        return "refs cannot be used for rule head"
    if not isinstance(terms.terms[0], Var):
        return f"invalid rule head: {show(terms)}"
    at = terms.location
    if len(terms.terms) > 2:
        head = Head("", terms, (), None, Boolean(True, at), False, at, generated_value=True)
    else:
        first = terms.terms[0]
        head = Head(first.name, Ref((first,), at), (), terms.terms[1], None, False, at)
    return _bodyless(head, at, at)


def _bodyless(head: Head, location: Location, at: Location) -> Rule:
    return Rule(head, true_body(at), False, None, location, True)


def _rule_from_call(call: Call, expr: Expr) -> Rule | str:
    name = call.name
    if name in ("eq", "assign"):
        if len(call.args) < 2:
            return "assignment requires two operands"
        rule = _rule_from_equality(call.args[0], call.args[1])
        if isinstance(rule, str):
            return rule
        head = replace(rule.head, location=expr.location, assign=name == "assign")
        return replace(rule, head=head, location=expr.location)
    if name in _builtin_names():
        return "rule name conflicts with built-in function"
    if not call.args:
        return "rule argument list must take at least one argument"
    if not isinstance(call.operator.terms[0], Var):
        return f"invalid rule head: {show(call.operator)}"
    at = call.operator.location
    ref = call.operator
    head = Head(_single(ref), ref, call.args, None, Boolean(True, at), False, at)
    return _bodyless(head, at, at)


def _single(ref: Ref) -> str:
    return (ref.root or "") if len(ref.terms) < 2 else ""


def _rule_from_equality(left: Term, right: Term) -> Rule | str:
    at = right.location
    if isinstance(left, Call) and isinstance(left.operator.terms[0], Var):
        head = Head(_single(left.operator), left.operator, left.args, None, right)
        return _bodyless(head, at, at)
    if isinstance(left, Ref):
        first = left.terms[0]
        if not isinstance(first, Var):
            return f"invalid rule head: {show(left)}"
        key = left.terms[1] if len(left.terms) == 2 else None
        name = first.name if len(left.terms) <= 2 else ""
        return _bodyless(Head(name, left, (), key, right), at, at)
    if isinstance(left, Var):
        return _bodyless(Head(left.name, Ref((left,), left.location), (), None, right), at, at)
    return f"{kind(left)} cannot be used for rule name"


def _builtin_names() -> frozenset[str]:
    from webhook.rego.builtins.declaration import DECLARATIONS, REFUSED

    return frozenset((*DECLARATIONS, *REFUSED, *INFIX, "walk", "print", "internal.member_3"))

"""Walks over nodes: rebuild one with other parts, collect what is in it, and tell what isn't."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from webhook.rego.ast import (
    COMPREHENSIONS,
    Array,
    Body,
    Boolean,
    Call,
    Every,
    Expr,
    Head,
    Not,
    Object,
    ObjectComprehension,
    Ref,
    Rule,
    Set,
    Some,
    TemplateString,
    Term,
    Var,
    With,
    operands,
)

OnTerm = Callable[[Term], Term]
OnBody = Callable[[Body], Body]


def rebuild(term: Term, on_term: OnTerm, on_body: OnBody) -> Term:
    """Return a term with the terms and bodies directly in it replaced; itself where there are none."""
    if isinstance(term, Ref):
        return Ref(tuple([on_term(one) for one in term.terms]), term.location)
    if isinstance(term, Array):
        return Array(tuple([on_term(one) for one in term.items]), term.location)
    if isinstance(term, Call):
        operator = on_term(term.operator)
        args = tuple([on_term(one) for one in term.args])
        return Call(
            operator if isinstance(operator, Ref) else Ref((operator,), operator.location),
            args,
            term.location,
        )
    if isinstance(term, Object):
        return Object(tuple([(on_term(key), on_term(value)) for key, value in term.items]), term.location)
    if isinstance(term, Set):
        return Set(tuple([on_term(one) for one in term.items]), term.location)
    if isinstance(term, ObjectComprehension):
        key, value = on_term(term.key), on_term(term.value)
        return ObjectComprehension(key, value, on_body(term.body), term.location)
    if isinstance(term, COMPREHENSIONS):
        return replace(term, term=on_term(term.term), body=on_body(term.body))
    if isinstance(term, TemplateString):
        parts = tuple([on_body((one,))[0] if isinstance(one, Expr) else on_term(one) for one in term.parts])
        return TemplateString(parts, term.raw, term.location)
    return term


def rebuild_expr(expr: Expr, on_term: OnTerm, on_body: OnBody) -> Expr:
    """Return an expression with the terms and bodies directly in it replaced, also in its ``with``."""
    terms = expr.terms
    if isinstance(terms, Every):
        key = None if terms.key is None else on_term(terms.key)
        value, domain = on_term(terms.value), on_term(terms.domain)
        terms = Every(key, value, domain, on_body(terms.body), terms.location)
    elif isinstance(terms, Not):
        terms = Not(on_body(terms.body), terms.explicit, terms.location)
    elif isinstance(terms, Some):
        terms = Some(tuple([on_term(one) for one in terms.symbols]), terms.location)
    else:
        terms = on_term(terms)
    return replace(expr, terms=terms, with_=rebuild_with(expr.with_, on_term))


def rebuild_with(modifiers: tuple[With, ...], on_term: OnTerm) -> tuple[With, ...]:
    """Return modifiers with other targets and values."""
    return tuple([With(on_term(one.target), on_term(one.value), one.location) for one in modifiers])


def rebuild_head(head: Head, on_term: OnTerm, *, args: bool = True, ref: bool = False) -> Head:
    """Return a head with other keys and values, and as is asked with other arguments and in its reference."""
    terms = head.ref.terms
    if ref:
        terms = (terms[0], *[on_term(one) for one in terms[1:]])
    return replace(
        head,
        ref=Ref(terms, head.ref.location),
        args=tuple([on_term(one) for one in head.args]) if args else head.args,
        key=None if head.key is None else on_term(head.key),
        value=None if head.value is None else on_term(head.value),
    )


def map_bodies(expr: Expr, on_body: OnBody) -> Expr:
    """Return an expression with every body in it, however deep, replaced from the inside out."""

    def deeper(body: Body) -> Body:
        return on_body(tuple([map_bodies(one, on_body) for one in body]))

    def on_term(term: Term) -> Term:
        return rebuild(term, on_term, deeper)

    return rebuild_expr(expr, on_term, deeper)


def map_bodies_of(term: Term, on_body: OnBody) -> Term:
    """Return a term with every body in it replaced from the inside out."""
    found = map_bodies(Expr(term), on_body).terms
    assert not isinstance(found, Every | Not | Some)  # noqa: S101 - a term stays one
    return found


def parts(node: Term | Expr) -> Iterator[Term | Expr]:
    """Return the terms and expressions directly in a node."""
    if isinstance(node, Expr):
        terms = node.terms
        if isinstance(terms, Every):
            if terms.key is not None:
                yield terms.key
            yield terms.value
            yield terms.domain
            yield from terms.body
        elif isinstance(terms, Not):
            yield from terms.body
        elif isinstance(terms, Some):
            yield from terms.symbols
        else:
            yield terms
        for one in node.with_:
            yield one.target
            yield one.value
    elif isinstance(node, ObjectComprehension):
        yield node.key
        yield node.value
        yield from node.body
    elif isinstance(node, COMPREHENSIONS):
        yield node.term
        yield from node.body
    elif isinstance(node, TemplateString):
        yield from node.parts
    else:
        yield from operands(node)


def inside(node: Term | Expr, stop: Callable[[Term | Expr], bool] | None = None) -> Iterator[Term | Expr]:
    """Return a node and all that is in it, in order; nothing below a node for which `stop` is true."""
    stack = [node]
    while stack:
        one = stack.pop()
        yield one
        if stop is None or not stop(one):
            stack.extend(reversed(list(parts(one))))


def expressions(body: Body) -> Iterator[Expr]:
    """All expressions of a body, also of the bodies inside of it, the outer ones first."""
    for expr in body:
        for node in inside(expr):
            if isinstance(node, Expr):
                yield node


def rule_expressions(rule: Rule) -> Iterator[Expr]:
    """All expressions of a rule without its `else`, also of the closures in its head."""
    return expressions((*(Expr(term) for term in head_terms(rule)), *rule.body))


def head_terms(rule: Rule) -> Iterator[Term]:
    """Return the arguments, key and value of a rule."""
    yield from rule.head.args
    if rule.head.key is not None:
        yield rule.head.key
    if rule.head.value is not None:
        yield rule.head.value


@dataclass(frozen=True, slots=True)
class Skip:
    """What `variables` doesn't look into (OPA's VarVisitorParams)."""

    ref_head: bool = False
    object_keys: bool = False
    closures: bool = False
    sets: bool = False
    call_head: bool = False
    #: Of the bodies of a ``not`` without braces, take the variables that it doesn't bind itself.
    implicit: Callable[[Body], set[str]] | None = None


NOTHING = Skip()
#: For safety: only what must be bound where the expression stands.
SAFETY = Skip(closures=True, call_head=True)
#: For what a unification binds.
OUTPUTS = Skip(ref_head=True, object_keys=True, closures=True)


def variables(nodes: tuple[Term | Expr, ...] | Term | Expr, skip: Skip = NOTHING) -> set[str]:
    """Return the names of variables in nodes, ``data`` and ``input`` among them, but for what is skipped."""
    found: set[str] = set()
    stack: list[Term | Expr] = list(nodes) if isinstance(nodes, tuple) else [nodes]
    while stack:
        node = stack.pop()
        if isinstance(node, Var):
            found.add(node.name)
        elif isinstance(node, Ref):
            stack.extend(node.terms[1:] if skip.ref_head else node.terms)
        elif isinstance(node, Expr):
            _expression(node, skip, stack, found)
        elif isinstance(node, Call):
            stack.extend(node.operator.terms[1:] if skip.call_head or skip.ref_head else node.operator.terms)
            stack.extend(node.args)
        elif isinstance(node, Object) and skip.object_keys:
            stack.extend(value for _, value in node.items)
        elif (skip.sets and isinstance(node, Set)) or (
            skip.closures and isinstance(node, (*COMPREHENSIONS, TemplateString))
        ):
            continue
        else:
            stack.extend(parts(node))
    return found


def _expression(expr: Expr, skip: Skip, stack: list[Term | Expr], found: set[str]) -> None:
    terms = expr.terms
    if isinstance(terms, Every) and skip.closures:
        stack.append(terms.domain)
        return
    if isinstance(terms, Not) and skip.closures:
        if skip.implicit is not None and not terms.explicit:
            found |= skip.implicit(terms.body)
    elif isinstance(terms, Every | Not | Some):
        stack.extend(parts(replace(expr, with_=())))
    else:
        stack.append(terms)
    for one in expr.with_:
        for term, is_value in ((one.target, False), (one.value, True)):
            if skip.call_head and isinstance(term, Ref):
                stack.extend(term.terms[1:])
            elif is_value or not skip.call_head:
                stack.append(term)


def closures(expr: Expr) -> Iterator[Term | Expr]:
    """Yield the outermost comprehensions in an expression, and expressions that are `Every` or `Not`."""

    def closed(node: Term | Expr) -> bool:
        if isinstance(node, Expr):
            return isinstance(node.terms, Every | Not)
        return isinstance(node, COMPREHENSIONS)

    for node in inside(expr, closed):
        if closed(node):
            yield node


def needs_evaluation(term: Term | None) -> bool:
    """Whether a reference or a comprehension is in a term."""
    if term is None:
        return False
    return any(isinstance(node, (Ref, *COMPREHENSIONS)) for node in inside(term))


def is_constant(term: Term) -> bool:
    """Whether a term has no variable, reference, call or comprehension."""
    return not any(
        isinstance(node, (Var, Ref, Call, TemplateString, *COMPREHENSIONS)) for node in inside(term)
    )


def is_true(body: Body) -> bool:
    """Whether a body is only `true`."""
    return len(body) == 1 and isinstance(body[0].terms, Boolean) and body[0].terms.value

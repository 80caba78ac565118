"""What `with` replaces anywhere in a program: only there has code to ask whether something is replaced."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from webhook.rego.ast import (
    COMPREHENSIONS,
    SCALARS,
    ArrayComprehension,
    Body,
    Call,
    Every,
    Not,
    Ref,
    Rule,
    SetComprehension,
    Some,
    TemplateString,
    Term,
    Var,
    With,
    operands,
)
from webhook.rego.tree import constant


@dataclass(frozen=True, slots=True)
class Survey:
    """The paths below ``data`` and the functions that `with` replaces."""

    data_targets: frozenset[tuple[Any, ...]]
    functions: frozenset[str]


def survey(rules: Iterable[Rule]) -> Survey:
    """Return what all `with` of some rules replace."""
    targets: set[tuple[Any, ...]] = set()
    functions: set[str] = set()
    for one in [one for rule in rules for one in _in_rule(rule)]:
        target = one.target if isinstance(one.target, Ref) else Ref((one.target,))
        if target.root == "input":
            continue
        if target.root == "data":
            targets.add(tuple([constant(term) for term in target.terms[1:]]))
        functions.add(Call(target, ()).name)
    return Survey(frozenset(targets), frozenset(functions))


def _in_rule(rule: Rule) -> Iterator[With]:
    yield from _in_body(rule.body)
    head = rule.head
    for term in (*head.args, *head.ref.terms, head.key, head.value):
        if term is not None:
            yield from _in_term(term)
    if rule.else_ is not None:
        yield from _in_rule(rule.else_)


def _in_body(body: Body) -> Iterator[With]:
    for expr in body:
        yield from expr.with_
        terms = expr.terms
        if isinstance(terms, Every):
            yield from _in_term(terms.domain)
            yield from _in_body(terms.body)
        elif isinstance(terms, Not):
            yield from _in_body(terms.body)
        elif not isinstance(terms, Some):
            yield from _in_term(terms)
        for one in expr.with_:
            yield from _in_term(one.value)


def _in_term(term: Term) -> Iterator[With]:
    if isinstance(term, COMPREHENSIONS):
        heads = (
            (term.term,)
            if isinstance(term, ArrayComprehension | SetComprehension)
            else (term.key, term.value)
        )
        for head in heads:
            yield from _in_term(head)
        yield from _in_body(term.body)
    elif not isinstance(term, (*SCALARS, Var, TemplateString)):
        for part in operands(term):
            yield from _in_term(part)

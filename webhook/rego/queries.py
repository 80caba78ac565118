"""Queries as rules: the passes know rules alone, and a query's answers are the values of its variables."""

from __future__ import annotations

from dataclasses import replace

from webhook.rego.ast import (
    COMPREHENSIONS,
    SCALARS,
    Body,
    Call,
    Every,
    Head,
    Module,
    Not,
    Object,
    Ref,
    Some,
    String,
    TemplateString,
    Term,
    Var,
    operands,
)
from webhook.rego.parser import parse_module
from webhook.rego.passes.rules import QUERY


def query_module(text: str, number: int) -> Module:
    """Return a module with one rule: the set of what the query binds, as objects.

    Raises:
        RegoError: the query can't be parsed.
    """
    name = f"{QUERY}{number}__"
    module = parse_module(f"package {name}\nanswers if {{\n{text}\n}}", name, "v1")
    rule = module.rules[0]
    found: dict[str, None] = {}
    _in_body(rule.body, found)
    key = Object(tuple([(String(one), Var(one)) for one in found]))
    head = Head("answers", Ref((Var("answers"),)), key=key, location=rule.location)
    return replace(module, rules=(replace(rule, head=head),))


def _in_body(body: Body, found: dict[str, None]) -> None:
    for expr in body:
        terms = expr.terms
        if isinstance(terms, Some):
            for symbol in terms.symbols:
                _in_term(symbol, found)
        elif isinstance(terms, Every):
            _in_term(terms.domain, found)
        elif not isinstance(terms, Not) and not expr.negated:
            _in_term(terms, found)


def _in_term(term: Term, found: dict[str, None]) -> None:
    if isinstance(term, Var):
        if not term.wildcard and term.name not in ("input", "data"):
            found[term.name] = None
    elif isinstance(term, Call):
        for part in term.args:
            _in_term(part, found)
    elif not isinstance(term, (*SCALARS, *COMPREHENSIONS, TemplateString)):
        for part in operands(term):
            _in_term(part, found)

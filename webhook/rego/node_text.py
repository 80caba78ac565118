"""Nodes as text, the way OPA writes them into its messages."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from typing import Final

from webhook.rego import lexer
from webhook.rego.ast import (
    Array,
    ArrayComprehension,
    Boolean,
    Call,
    Every,
    Expr,
    Import,
    Not,
    Null,
    Number,
    Object,
    ObjectComprehension,
    Ref,
    Set,
    SetComprehension,
    Some,
    String,
    TemplateString,
    Term,
    Var,
    With,
)
from webhook.rego.value_text import quote

KEYWORDS: Final = frozenset((*lexer.KEYWORDS, *lexer.IMPORTED_KEYWORDS))
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z_0-9]*\Z")
_KINDS: Final[dict[type, str]] = {
    Null: "null",
    Boolean: "boolean",
    Number: "number",
    String: "string",
    Var: "var",
    Ref: "ref",
    Array: "array",
    Object: "object",
    Set: "set",
    ArrayComprehension: "arraycomprehension",
    ObjectComprehension: "objectcomprehension",
    SetComprehension: "setcomprehension",
    Call: "call",
    TemplateString: "templatestring",
}

#: Names of operators that are written between their operands.
INFIX: Final[Mapping[str, str]] = {
    "assign": ":=",
    "eq": "=",
    "equal": "==",
    "neq": "!=",
    "lt": "<",
    "lte": "<=",
    "gt": ">",
    "gte": ">=",
    "plus": "+",
    "minus": "-",
    "mul": "*",
    "div": "/",
    "rem": "%",
    "and": "&",
    "or": "|",
    "internal.member_2": "in",
}


def kind(term: Term) -> str:
    """Tell what kind of term it is, in OPA's words."""
    return _KINDS[type(term)]


def show_all(terms: tuple[Term, ...], separator: str = ", ") -> str:
    """Return some terms, separated."""
    return separator.join(map(show, terms))


def show(term: Term) -> str:
    """Return a term as text."""
    if isinstance(term, Var):
        return "_" if term.wildcard else term.name
    if isinstance(term, String):
        return quote(term.value)
    if isinstance(term, Number):
        return term.text
    if isinstance(term, Ref):
        return _show_ref(term)
    if isinstance(term, Boolean):
        return "true" if term.value else "false"
    if isinstance(term, Null):
        return "null"
    if isinstance(term, Array):
        return f"[{show_all(term.items)}]"
    if isinstance(term, Set):
        return f"{{{show_all(term.items)}}}" if term.items else "set()"
    if isinstance(term, Object):
        return "{" + ", ".join(f"{show(key)}: {show(value)}" for key, value in term.items) + "}"
    if isinstance(term, Call):
        return f"{show(term.operator)}({show_all(term.args)})"
    if isinstance(term, TemplateString):
        return '$"' + "".join(map(_show_part, term.parts)) + '"'
    if isinstance(term, ObjectComprehension):
        head = f"{_show_head(term.key)}: {_show_head(term.value)}"
    else:
        head = _show_head(term.term)
    first, last = "[]" if isinstance(term, ArrayComprehension) else "{}"
    return f"{first}{head} | {show_body(term.body)}{last}"


def _show_part(part: Term | Expr) -> str:
    if isinstance(part, Expr):
        return "{" + show_expr(part) + "}"
    return quote(part.value)[1:-1].replace("{", "\\{") if isinstance(part, String) else show(part)


def _show_head(term: Term) -> str:
    if isinstance(term, Call) and len(term.args) == 2:
        infix = INFIX.get(term.name)
        if infix is not None and infix != "in":
            return f"({_show_head(term.args[0])} {infix} {_show_head(term.args[1])})"
    return show(term)


def _show_ref(ref: Ref) -> str:
    head = ref.terms[0]
    parts = [head.value if isinstance(head, String) else show(head)]
    for term in ref.terms[1:]:
        if not isinstance(term, String):
            parts.append(f"[{show(term)}]")
        elif _NAME.match(term.value) and term.value not in KEYWORDS:
            parts.append(f".{term.value}")
        elif any(unicodedata.category(char) == "Cc" or char == "\\" for char in term.value):
            parts.append(f"[{quote(term.value)}]")
        else:
            parts.append(f'["{term.value}"]')
    return "".join(parts)


def show_body(body: tuple[Expr, ...]) -> str:
    """Return a body as text."""
    return "; ".join(map(show_expr, body))


def show_expr(expr: Expr) -> str:
    """Return an expression as text."""
    text = _show_terms(expr.terms)
    if expr.negated:
        text = "not " + text
    return " ".join([text, *map(show_with, expr.with_)])


def _show_terms(terms: Term | Some | Every | Not) -> str:
    if isinstance(terms, Call) and terms.name == "eq" and len(terms.args) == 2:
        return f"{show(terms.args[0])} = {show(terms.args[1])}"
    if isinstance(terms, Some):
        first = terms.symbols[0]
        if isinstance(first, Call):
            *symbols, domain = first.args
            return f"some {show_all(tuple(symbols))} in {show(domain)}"
        return f"some {show_all(terms.symbols)}"
    if isinstance(terms, Every):
        key = "" if terms.key is None else f"{show(terms.key)}, "
        return f"every {key}{show(terms.value)} in {show(terms.domain)} {{ {show_body(terms.body)} }}"
    if isinstance(terms, Not):
        if not terms.explicit and len(terms.body) == 1:
            return f"not {show_body(terms.body)}"
        return f"not {{{show_body(terms.body)}}}"
    return show(terms)


def show_with(modifier: With) -> str:
    """Return a modifier as text."""
    return f"with {show(modifier.target)} as {show(modifier.value)}"


def show_import(imported: Import) -> str:
    """Return an import as text."""
    alias = "" if imported.alias is None else f" as {imported.alias}"
    return f"import {show(imported.path)}{alias}"

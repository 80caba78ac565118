"""Bodies and their expressions: ``not``, ``with``, ``some``, ``every``; and template strings."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

from webhook.rego import lexer
from webhook.rego.ast import (
    SCALARS,
    Body,
    Call,
    Every,
    Expr,
    Location,
    Not,
    Ref,
    Some,
    String,
    TemplateString,
    Term,
    Var,
    With,
)
from webhook.rego.construction import name_ref
from webhook.rego.lexer import END, IDENTIFIER, ILLEGAL, RAW_END, unescape
from webhook.rego.parsing.collections import CollectionParser
from webhook.rego.parsing.terms import MEMBER, MEMBER_WITH_KEY

_IN_TEMPLATE: Final = {
    "eq": "unexpected unification ('=') in template-string expression",
    "assign": "unexpected assignment (':=') in template-string expression",
}


class ExpressionParser(CollectionParser):
    """Reads bodies and their expressions."""

    def body(self, end: str) -> Body | None:
        """Return a body up to `end`, which is not stepped over."""
        self.depth += 1
        self.check_depth(0)
        body = self.query(end)
        self.depth -= 1
        return body

    def braced(self) -> Body | None:
        """Return a body in braces, and step over both of them."""
        self.scan()
        body = self.body("}")
        if body is not None:
            self.scan()
        return body

    def query(self, end: str, one: bool = False) -> Body | None:
        """Expressions up to `end`; only one unless a semicolon follows if `one`."""
        if self.kind == end:
            self.error(self.location, "found empty body")
            return None
        body: list[Expr] = []
        while True:
            expr = self.literal()
            if expr is None:
                return None
            body.append(expr)
            if self.kind == ";":
                self.scan()
                continue
            if self.kind == end or one:
                return tuple(body)
            if not self.skipped_newline:
                if not self.errors:
                    self.illegal(f"expected \\n or ; or {end}")
                return None

    def literal(self) -> Expr | None:
        """One expression of a body."""
        location = self.location
        if self.keyword_in_ref(self.kind) and self.ref_follows():
            self.kind = IDENTIFIER
            return self._expression(False, location)
        negated = self.kind == "not"
        if negated:
            self.scan()
            if self.not_bodies and self.kind == "{":
                return self._not_body(location)
        if self.kind in ("some", "every"):
            if negated:
                self.illegal(f"illegal negation of '{self.kind}'")
                return None
            return self._some(location) if self.kind == "some" else self._every(location)
        return self._expression(negated, location)

    def _not_body(self, location: Location) -> Expr | None:
        at = self.location
        body = self.braced()
        if body is None:
            return None
        return self._modified(Expr(Not(body, True, at), location=location))

    def _modified(self, expr: Expr) -> Expr | None:
        """Return an expression with what ``with`` follows it."""
        if self.kind != "with":
            return expr
        modifiers: list[With] = []
        while self.kind == "with":
            location = self.location
            self.scan()
            if self.kind != IDENTIFIER:
                self.illegal("expected ident")
                return None
            target = self.term()
            if target is None:
                return None
            if not isinstance(target, Ref | Var):
                self.illegal("expected with target path")
            if self.kind != "as":
                self.illegal("expected as keyword")
                return None
            self.scan()
            value = self.infix()
            if value is None:
                return None
            modifiers.append(With(target, value, location))
        return replace(expr, with_=tuple(modifiers))

    def _expression(self, negated: bool, location: Location) -> Expr | None:
        start = self.save()
        terms = self._terms()
        if terms is None:
            return None
        expr = self._modified(Expr(terms, location=location))
        if expr is None:
            return None
        if self.version == "v0" and isinstance(terms, Var) and terms.name == "every":
            self._hint_every(start)
        if negated and self.not_bodies:
            inner = replace(expr, with_=())
            return replace(expr, terms=Not((inner,), False, location))
        return replace(expr, negated=True) if negated else expr

    def _terms(self) -> Term | None:
        left = self.infix()
        if left is None or self.kind not in ("assign", "eq"):
            return left
        name, at = self.kind, self.location
        self.scan()
        right = self.infix()
        return None if right is None else Call(name_ref(name, at), (left, right), left.location)

    def _with_future(self, start: tuple[Any, ...]) -> tuple[Any, ...]:
        """Read from `start` as if all keywords were imported; what `_back` needs."""
        before = (self.keywords, self.cache, self.save())
        self.restore(start)
        self.keywords = self.keywords | lexer.IMPORTED_KEYWORDS | lexer.FUTURE_KEYWORDS
        self.cache = {}
        return before

    def _back(self, before: tuple[Any, ...]) -> None:
        self.keywords, self.cache, state = before
        self.restore(state)

    def _hint_every(self, start: tuple[Any, ...]) -> None:
        before = self._with_future(start)
        expr = self._every(self.location)
        self._back(before)
        if expr is not None:
            self.hints += ("`import future.keywords.every` for `every x in xs { ... }` expressions",)

    def _some(self, location: Location) -> Expr | None:
        """Read ``some x, y`` or ``some x in xs``."""
        start = self.save()
        self.scan()
        term = self.infix()
        if isinstance(term, Call):
            if term.name not in (MEMBER, MEMBER_WITH_KEY):
                self.illegal("expected `x in xs` or `x, y in xs` expression")
                return None
            if len(term.args) != int(term.name[-1]):
                self.illegal("illegal domain")
                return None
            return self._modified(Expr(Some((term,), location), location=location))
        self.restore(start)
        if self.version == "v0":
            self._hint_in(start)
        symbols: list[Term] = []
        while True:
            self.scan()
            if self.kind != IDENTIFIER:
                self.illegal("expected var")
                return None
            symbols.append(self.var())
            self.scan()
            if self.kind != ",":
                return Expr(Some(tuple(symbols), location), location=location)

    def _hint_in(self, start: tuple[Any, ...]) -> None:
        before = self._with_future(start)
        self.scan()
        term = self.infix()
        self._back(before)
        if isinstance(term, Call) and term.name in (MEMBER, MEMBER_WITH_KEY):
            self.hints += ("`import future.keywords.in` for `some x in xs` expressions",)

    def _every(self, location: Location) -> Expr | None:
        """``every k, v in xs { … }``."""
        self.scan()
        term = self.infix()
        if term is None:
            return None
        if not isinstance(term, Call) or term.name not in (MEMBER, MEMBER_WITH_KEY):
            self.illegal("expected `x[, y] in xs { ... }` expression")
            return None
        if len(term.args) != int(term.name[-1]):
            self.illegal("illegal domain")
            return None
        key: Term | None = None
        if term.name == MEMBER:
            value, domain = term.args
        else:
            key, value, domain = term.args
            if not isinstance(key, Var):
                self.illegal("expected key to be a variable")
                return None
        if not isinstance(value, Var):
            self.illegal("expected value to be a variable")
            return None
        if self.kind != "{":
            self.illegal("missing body")
            return None
        body = self.braced()
        if body is None:
            return None
        return self._modified(Expr(Every(key, value, domain, body, location), location=location))

    def _template(self, raw: bool) -> TemplateString | None:
        location = self.location
        if self.version == "v0":
            self.error(location, "template strings are not supported by current capabilities")
            return None
        parts: list[Term | Expr] = []
        while True:
            if self.kind == ILLEGAL:
                self.error(self.location, "expected template-string part")
                return None
            text: str | None = self.text
            if not raw:
                text = unescape(self.text)
            if text is None:
                self.error(self.location, f"illegal template-string part: {self.text}")
                return None
            if text:
                parts.append(String(text, self.location))
            if self.kind in (END, RAW_END):
                return TemplateString(tuple(parts), raw, location)
            comments = self.comments
            self.scan()
            commented = self.comments != comments
            expr = self.literal()
            if expr is None:
                self.error(self.location, "invalid template-string expression")
                return None
            if (wrong := _unfit_for_template(expr)) is not None:
                self.error(expr.location, wrong)
                return None
            plain = isinstance(expr.terms, SCALARS) and not commented
            parts.append(expr.terms if plain else expr)  # type: ignore[arg-type]
            if self.kind != "}":
                self.error(self.location, "expected } to end template string expression")
                return None
            self.scan(skip=False, mode="raw" if raw else "template")


def _unfit_for_template(expr: Expr) -> str | None:
    """Why an expression can't be in a template string."""
    if expr.negated:
        return "unexpected negation ('not') in template-string expression"
    if (name := expr.operator) is not None and name in _IN_TEMPLATE:
        return _IN_TEMPLATE[name]
    if isinstance(expr.terms, Every | Some):
        word = "every" if isinstance(expr.terms, Every) else "some"
        return f"unexpected '{word}' in template-string expression"
    return None

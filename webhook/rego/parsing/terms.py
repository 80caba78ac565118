"""Terms and operators.

Precedence as OPA has it, from the weakest: ``in``; comparisons; ``|``; ``&``; ``+`` and ``-``; ``*``, ``/``
and ``%``. All are left-associative. What was read at a place as a term is kept, so that trying
comprehensions first costs no more than once.
"""

from __future__ import annotations

import re
from decimal import Context, Decimal
from typing import Final

from webhook.rego.ast import (
    ROOTS,
    Array,
    ArrayComprehension,
    Boolean,
    Call,
    Location,
    Null,
    Number,
    Object,
    ObjectComprehension,
    Ref,
    Set,
    SetComprehension,
    String,
    Term,
    Var,
)
from webhook.rego.construction import name_ref
from webhook.rego.lexer import END, IDENTIFIER, NUMBER, PART, RAW_END, RAW_PART, STRING, WHITESPACE, unescape
from webhook.rego.node_text import kind
from webhook.rego.parsing.reader import Reader

_PRECEDENCE: Final = {
    **dict.fromkeys(("equal", "neq", "lt", "gt", "lte", "gte"), 1),
    "or": 2,
    "and": 3,
    **dict.fromkeys(("plus", "minus"), 4),
    **dict.fromkeys(("mul", "div", "rem"), 5),
}
OPERATORS: Final = frozenset(_PRECEDENCE)
MEMBER: Final = "internal.member_2"
MEMBER_WITH_KEY: Final = "internal.member_3"


class TermParser(Reader):
    """Reads terms and operators; collections and template strings are read by the classes that extend it."""

    def infix(self, pairs: bool = True) -> Term | None:
        """Return a term with any operators; ``k, v in xs`` too if `pairs`."""
        left = self._operators(1)
        chained = 0
        while left is not None:
            chained += 1
            self.check_depth(chained)
            if pairs and self.kind == "," and (member := self._member_with_key(left)) is not None:
                left = member
            else:
                self.look_ahead_ref()
                if self.kind != "in":
                    return left
                at = self.location
                self.scan()
                right = self._operators(1)
                if right is None:
                    return left
                left = Call(name_ref(MEMBER, at), (left, right), left.location)
            if self.kind != "in":
                return left
        return None

    def _member_with_key(self, key: Term) -> Term | None:
        state = self.save()
        self.scan()
        value = self._operators(1)
        if value is not None and self.kind == "in":
            at = self.location
            self.scan()
            domain = self._operators(1)
            if domain is not None:
                return Call(name_ref(MEMBER_WITH_KEY, at), (key, value, domain), key.location)
        self.restore(state)
        return None

    def _operators(self, weakest: int) -> Term | None:
        left = self.term()
        strongest = max(_PRECEDENCE.values())
        chained = 0
        while left is not None:
            name = self.kind
            precedence = _PRECEDENCE.get(name, 0)
            if not weakest <= precedence <= strongest:
                break
            chained += 1
            self.check_depth(chained)
            at = self.location
            self.scan()
            right = self._operators(precedence + 1)
            strongest = precedence
            if right is None:
                strongest -= 1  # the error is noted; weaker operators may still follow
            else:
                left = Call(name_ref(name, at), (left, right), left.location)
        return left

    def term(self) -> Term | None:
        """Return a term without operators."""
        start = self.start
        known = self.cache.get(start)
        if known is not None:
            self.restore(known[1])
            return known[0]
        self.depth += 1
        self.check_depth(0)
        negative: Location | None = None
        if self.kind == "minus":
            negative = self._minus()
        term = self._simple() if negative is None else self.var()
        if term is not None:
            term = self._finish(term)
        if negative is not None and term is not None:
            term = Call(name_ref("minus"), (Number("0", negative), term), negative)
        self.depth -= 1
        self._remember(start, term)
        return term

    def _remember(self, start: int, term: Term | None) -> None:
        """Keep what was read at `start`; forget what is inside: another reading numbers wildcards anew."""
        while self.cache and next(reversed(self.cache)) >= start:
            self.cache.popitem()
        self.cache[start] = (term, self.save())

    def _minus(self) -> Location | None:
        """Step over the minus of a negated reference; not over a number's."""
        state, location = self.save(), self.location
        self.scan()
        if self.kind in (IDENTIFIER, "contains"):
            return location
        self.restore(state)
        return None

    def _simple(self) -> Term | None:
        kind = self.kind
        if kind in (IDENTIFIER, "contains"):
            return self.var()
        if kind == STRING:
            return self._string()
        if kind in (NUMBER, ".", "minus"):
            return self._number()
        if kind == "[":
            return self._array()
        if kind == "{":
            return self._set_or_object()
        if kind == "(":
            return self._parenthesized()
        if kind in ("true", "false"):
            return Boolean(kind == "true", self.location)
        if kind == "null":
            return Null(self.location)
        if kind in (PART, END, RAW_PART, RAW_END):
            return self._template(kind in (RAW_PART, RAW_END))
        self.illegal()
        return None

    def var(self) -> Var:
        """Return a variable; every ``_`` is another one."""
        return self.wildcard(self.location) if self.text == "_" else Var(self.text, self.location)

    def wildcard(self, location: Location) -> Var:
        """Return a new wildcard."""
        self.wildcards += 1
        return Var(f"${self.wildcards - 1}", location)

    def _parenthesized(self) -> Term | None:
        self.scan()
        term = self.infix()
        if term is not None and self.kind != ")":
            self.error(self.location, "non-terminated expression")
            return None
        return term

    def _finish(self, head: Term) -> Term | None:
        self.scan(skip=False)
        if self.kind in ("(", ".", "["):
            return self.ref(head)
        if self.kind == WHITESPACE:
            self.scan()
        if isinstance(head, Var) and head.name in ROOTS:
            return Ref((head,), head.location)
        return head

    def _number(self) -> Number | None:
        location, prefix = self.location, ""
        if self.kind == "minus":
            prefix = "-"
            self.scan()
            if self.kind not in (NUMBER, "."):
                self.illegal("expected number")
                return None
        if self.kind == ".":
            prefix += "."
            self.scan()
            if self.kind != NUMBER:
                self.illegal("expected number")
                return None
        text = self.text
        leading_zero = len(text) > 1 and text[0] == "0" and not prefix.endswith(".")
        if leading_zero and text[1] != "." and not (len(text) > 2 and text[1] in "eE"):
            self.illegal("expected number without leading zero")
            return None
        if prefix.endswith(".") and "." in text:
            self.illegal("invalid float")
            return None
        if not _small(text):
            self.error(self.location, "number too big")
            return None
        return Number(prefix + text, location)

    def _string(self) -> String | None:
        inner = self.text[1:-1]
        if self.text[0] == "`":
            return String(inner, self.location)
        value = unescape(inner)
        if value is None:
            self.error(self.location, f"illegal string literal: {self.text}")
            return None
        return String(value, self.location)

    def ref(self, head: Term) -> Term | None:
        """Return a reference or a call that begins with `head`."""
        if not isinstance(
            head,
            Var | Array | Object | Set | ArrayComprehension | ObjectComprehension | SetComprehension | Call,
        ):
            self.error(head.location, f"illegal ref (head cannot be {kind(head)})")
        location = head.location
        terms: list[Term] = [head]
        calls = 0
        while True:
            if self.kind == ".":
                self.scan(skip=False)
                if self.kind != IDENTIFIER and not self.keyword_in_ref(self.kind):
                    self.illegal("expected identifier")
                    return None
                terms.append(String(self.text, self.location))
                self.scan(skip=False)
            elif self.kind == "(":
                called = self._call(Ref(tuple(terms), location))
                if called is None:
                    return None
                if self.kind == WHITESPACE:
                    self.scan()
                    return called
                if self.kind not in (".", "["):
                    return called
                calls += 1
                self.check_depth(calls)
                if not isinstance(called, Call | Set):
                    self.error(location, f"illegal ref (head cannot be {kind(called)})")
                terms = [called]
            elif self.kind == "[":
                self.scan()
                term = self.infix()
                if term is None:
                    return None
                if self.kind != "]":
                    self.illegal("expected [")
                    return None
                terms.append(term)
                self.scan(skip=False)
            else:
                if self.kind == WHITESPACE:
                    self.scan()
                return Ref(tuple(terms), location)

    def _call(self, operator: Ref) -> Term | None:
        location = operator.location
        self.scan()
        if self.kind == ")":
            self.scan(skip=False)
            if operator.root == "set" and len(operator.terms) == 1:
                return Set((), location)
            return Call(operator, (), location)
        args = self._list(")", [])
        if args is None:
            return None
        self.scan(skip=False)
        return Call(operator, tuple(args), location)

    def _list(self, end: str, found: list[Term]) -> list[Term] | None:
        raise NotImplementedError

    def _array(self) -> Term | None:
        raise NotImplementedError

    def _set_or_object(self) -> Term | None:
        raise NotImplementedError

    def _template(self, raw: bool) -> Term | None:
        raise NotImplementedError


_EXPONENT: Final = re.compile(r"[eE]([+-]?[0-9]+)\Z")
_LIMIT: Final = Context(prec=40).power(2, 100_000)  # OPA's numbers are below
_DIGITS: Final = _LIMIT.adjusted() + 1


def _small(text: str) -> bool:
    """Tell whether a number is of a magnitude that OPA reads: between 2 ** -100,001 and 2 ** 100,000."""
    match = _EXPONENT.search(text)
    mantissa, exponent = (text, "0") if match is None else (text[: match.start()], match.group(1))
    whole, _, fraction = mantissa.partition(".")
    significant = (whole + fraction).lstrip("0")
    if not significant:
        return True
    if len(exponent.lstrip("+-0")) > 6:
        return False
    magnitude = int(exponent) + len(whole) - (len(whole + fraction) - len(significant))
    if magnitude == _DIGITS:
        return Decimal(text) < _LIMIT
    return -_DIGITS <= magnitude < _DIGITS

"""The parser of terms, expressions and bodies.

OPA's precedence, from the weakest: ``in``; ``==`` ``!=`` ``<`` ``<=`` ``>`` ``>=``; ``|``; ``&``; ``+`` ``-``; ``*`` ``/`` ``%``. All are
left-associative. What was read at a place as a term is kept, so that trying comprehensions first costs no more than once.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any, Final, TypeAlias

from webhook.rego import lexer
from webhook.rego.ast import (
    SCALARS,
    Array,
    ArrayComprehension,
    Body,
    Boolean,
    Call,
    Every,
    Expr,
    Location,
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
    Version,
    With,
    name_ref,
    object_of,
    set_of,
)
from webhook.rego.errors import PARSE, Problem
from webhook.rego.lexer import (
    COMMENT,
    END,
    IDENTIFIER,
    ILLEGAL,
    NUMBER,
    PART,
    RAW_END,
    RAW_PART,
    STRING,
    WHITESPACE,
    Lexer,
    unescape,
)
from webhook.rego.text import kind

#: How deep terms and bodies may nest, and how many operators one expression may chain. OPA allows 100,000 calls of its parser.
MAX_DEPTH: Final = 100
_MEMBER: Final = "internal.member_2"
_MEMBER_WITH_KEY: Final = "internal.member_3"
_PRECEDENCE: Final = {
    **dict.fromkeys(("equal", "neq", "lt", "gt", "lte", "gte"), 1),
    "or": 2,
    "and": 3,
    **dict.fromkeys(("plus", "minus"), 4),
    **dict.fromkeys(("mul", "div", "rem"), 5),
}
_IN_TEMPLATE: Final = {
    "eq": "unexpected unification ('=') in template-string expression",
    "assign": "unexpected assignment (':=') in template-string expression",
}
_EXPONENT: Final = re.compile(r"[eE]([+-]?[0-9]+)\Z")
_MAX_EXPONENT: Final = 30103  # of ten: OPA's limit is a binary exponent of 100,000


#: What was read as a term at an offset, and the state after it; in the order of the offsets.
Cache: TypeAlias = dict[int, tuple[Term | None, tuple[Any, ...]]]


class TooDeep(Exception):  # noqa: N818 - read as a condition
    """The source nests deeper than the parser goes."""

    def __init__(self, location: Location) -> None:
        super().__init__("max parsing recursion depth exceeded")
        self.location = location


class TermParser:
    """Holds the place in the source, and reads from it. Methods that find nothing return None, and mostly note an error."""

    def __init__(self, source: str, file: str, version: Version) -> None:
        self.lexer = Lexer(source, file)
        self.version = version
        self.keywords = lexer.KEYWORDS
        if version == "v1":
            self.keywords |= lexer.IMPORTED_KEYWORDS
        self.version_keywords = self.keywords
        self.not_bodies = False
        self.cache: Cache = {}
        self.depth = 0
        self.token = ILLEGAL
        self.text = ""
        self.start = self.next = 0
        self.skipped_newline = False
        self.wildcards = self.comments = 0
        self.errors: tuple[Problem, ...] = ()
        self.hints: tuple[str, ...] = ()

    # --- the place

    def save(self) -> tuple[Any, ...]:
        """Everything that `restore` needs."""
        return (
            self.token,
            self.text,
            self.start,
            self.next,
            self.skipped_newline,
            self.wildcards,
            self.comments,
            self.errors,
            self.hints,
        )

    def restore(self, state: tuple[Any, ...]) -> None:
        """Go back to (or on to) what was saved."""
        (
            self.token,
            self.text,
            self.start,
            self.next,
            self.skipped_newline,
            self.wildcards,
            self.comments,
            self.errors,
            self.hints,
        ) = state

    @property
    def location(self) -> Location:
        """Where the current token is."""
        return self.lexer.location(self.start)

    def scan(self, skip: bool = True, mode: str = "") -> None:
        """Go to the next token; without `skip`, whitespace is one."""
        if self.token != WHITESPACE:
            self.skipped_newline = False
        while True:
            token = self.lexer.read(self.next, mode)
            self.start, self.next = token.start, token.end
            self.token, self.text = token.kind, token.text
            if self.token == WHITESPACE:
                if "\n" in token.text:
                    self.skipped_newline = True
                if skip:
                    continue
                return
            if self.token == COMMENT:
                self.comments += 1
                continue
            if self.token == IDENTIFIER and self.text in self.keywords:
                self.token = self.text
            for message in token.errors:
                self.error(self.location, message)
            if token.errors:
                self.token = ILLEGAL
            return

    def error(self, location: Location, message: str) -> None:
        """Note an error, with the hints so far."""
        if self.hints:
            message += f" (hint{'s' if len(self.hints) > 1 else ''}: {', '.join(self.hints)})"
            self.hints = ()
        self.errors += (Problem(PARSE, message, location),)

    def illegal(self, note: str = "") -> None:
        """Note that the current token can't be here."""
        if self.token == ILLEGAL:
            self.error(self.location, "illegal token")
            return
        word = self.token in lexer.KEYWORDS | lexer.IMPORTED_KEYWORDS
        message = f"unexpected {self.token} {'keyword' if word else 'token'}"
        self.error(self.location, f"{message}: {note}" if note else message)

    def check_depth(self, further: int) -> None:
        """Refuse what nests too deeply.

        Raises:
            TooDeep: it does.
        """
        if self.depth + further > MAX_DEPTH:
            raise TooDeep(self.location)

    def keyword_in_ref(self, token: str) -> bool:
        """Whether a token is a keyword that may be a name in a reference."""
        return token in self.version_keywords or token in self.keywords

    def look_ahead_ref(self) -> bool:
        """Take a keyword for a name if a reference goes on after it."""
        if self.keyword_in_ref(self.token) and self._ref_follows():
            self.token = IDENTIFIER
            return True
        return False

    def _ref_follows(self) -> bool:
        state = self.save()
        self.scan(skip=False)
        follows = self.token in (".", "[")
        self.restore(state)
        return follows

    # --- bodies and expressions

    def body(self, end: str) -> Body | None:
        """A body up to `end`, which is not stepped over."""
        self.depth += 1
        self.check_depth(0)
        body = self.query(end)
        self.depth -= 1
        return body

    def query(self, end: str, one: bool = False) -> Body | None:
        """Expressions up to `end`; only one unless a semicolon follows if `one`."""
        if self.token == end:
            return self.error(self.location, "found empty body")
        body: list[Expr] = []
        while True:
            expr = self.literal()
            if expr is None:
                return None
            body.append(expr)
            if self.token == ";":
                self.scan()
                continue
            if self.token == end or one:
                return tuple(body)
            if not self.skipped_newline:
                if not self.errors:
                    self.illegal(f"expected \\n or ; or {end}")
                return None

    def literal(self) -> Expr | None:
        """One expression of a body."""
        location = self.location
        if self.keyword_in_ref(self.token) and self._ref_follows():
            self.token = IDENTIFIER
            return self._expression(False, location)
        negated = self.token == "not"
        if negated:
            self.scan()
            if self.not_bodies and self.token == "{":
                return self._not_body(location)
        if self.token in ("some", "every"):
            if negated:
                return self.illegal(f"illegal negation of '{self.token}'")
            return self._some(location) if self.token == "some" else self._every(location)
        return self._expression(negated, location)

    def _not_body(self, location: Location) -> Expr | None:
        at = self.location
        self.scan()
        body = self.body("}")
        if body is None:
            return None
        self.scan()
        return self._modified(Expr(Not(body, True, at), location=location))

    def _modified(self, expr: Expr) -> Expr | None:
        """An expression with what ``with`` follows it."""
        if self.token != "with":
            return expr
        modifiers: list[With] = []
        while self.token == "with":
            location = self.location
            self.scan()
            if self.token != IDENTIFIER:
                return self.illegal("expected ident")
            target = self.term()
            if target is None:
                return None
            if not isinstance(target, Ref | Var):
                self.illegal("expected with target path")
            if self.token != "as":
                return self.illegal("expected as keyword")
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
        if left is None or self.token not in ("assign", "eq"):
            return left
        name, at = self.token, self.location
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
        """``some x, y`` or ``some x in xs``."""
        start = self.save()
        self.scan()
        term = self.infix()
        if isinstance(term, Call):
            if term.name not in (_MEMBER, _MEMBER_WITH_KEY):
                return self.illegal("expected `x in xs` or `x, y in xs` expression")
            if len(term.args) != int(term.name[-1]):
                return self.illegal("illegal domain")
            return self._modified(Expr(Some((term,), location), location=location))
        self.restore(start)
        if self.version == "v0":
            self._hint_in(start)
        symbols: list[Term] = []
        while True:
            self.scan()
            if self.token != IDENTIFIER:
                return self.illegal("expected var")
            symbols.append(self.var())
            self.scan()
            if self.token != ",":
                return Expr(Some(tuple(symbols), location), location=location)

    def _hint_in(self, start: tuple[Any, ...]) -> None:
        before = self._with_future(start)
        self.scan()
        term = self.infix()
        self._back(before)
        if isinstance(term, Call) and term.name in (_MEMBER, _MEMBER_WITH_KEY):
            self.hints += ("`import future.keywords.in` for `some x in xs` expressions",)

    def _every(self, location: Location) -> Expr | None:
        """``every k, v in xs { … }``."""
        self.scan()
        term = self.infix()
        if term is None:
            return None
        if not isinstance(term, Call) or term.name not in (_MEMBER, _MEMBER_WITH_KEY):
            return self.illegal("expected `x[, y] in xs { ... }` expression")
        if len(term.args) != int(term.name[-1]):
            return self.illegal("illegal domain")
        key: Term | None = None
        if term.name == _MEMBER:
            value, domain = term.args
        else:
            key, value, domain = term.args
            if not isinstance(key, Var):
                return self.illegal("expected key to be a variable")
        if not isinstance(value, Var):
            return self.illegal("expected value to be a variable")
        if self.token != "{":
            return self.illegal("missing body")
        self.scan()
        body = self.body("}")
        if body is None:
            return None
        self.scan()
        return self._modified(Expr(Every(key, value, domain, body, location), location=location))

    # --- operators

    def infix(self, pairs: bool = True) -> Term | None:
        """A term with any operators; ``k, v in xs`` too if `pairs`."""
        left = self._operators(1)
        chained = 0
        while left is not None:
            chained += 1
            self.check_depth(chained)
            if pairs and self.token == "," and (member := self._member_with_key(left)) is not None:
                left = member
            else:
                self.look_ahead_ref()
                if self.token != "in":
                    return left
                at = self.location
                self.scan()
                right = self._operators(1)
                if right is None:
                    return left
                left = Call(name_ref(_MEMBER, at), (left, right), left.location)
            if self.token != "in":
                return left
        return None

    def _member_with_key(self, key: Term) -> Term | None:
        state = self.save()
        self.scan()
        value = self._operators(1)
        if value is not None and self.token == "in":
            at = self.location
            self.scan()
            domain = self._operators(1)
            if domain is not None:
                return Call(name_ref(_MEMBER_WITH_KEY, at), (key, value, domain), key.location)
        self.restore(state)
        return None

    def _operators(self, weakest: int) -> Term | None:
        left = self.term()
        chained = 0
        while left is not None:
            name = self.token
            precedence = _PRECEDENCE.get(name, 0)
            if precedence < weakest:
                break
            chained += 1
            self.check_depth(chained)
            at = self.location
            self.scan()
            right = self._operators(precedence + 1)
            if right is None:
                break
            left = Call(name_ref(name, at), (left, right), left.location)
        return left

    # --- terms

    def term(self) -> Term | None:
        """A term without operators."""
        start = self.start
        known = self.cache.get(start)
        if known is not None:
            self.restore(known[1])
            return known[0]
        self.depth += 1
        self.check_depth(0)
        negative: Location | None = None
        if self.token == "minus":
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
        """Keep what was read at `start`, and forget what is inside of it: another reading numbers wildcards anew."""
        while self.cache and next(reversed(self.cache)) >= start:
            self.cache.popitem()
        self.cache[start] = (term, self.save())

    def _minus(self) -> Location | None:
        """Step over the minus of a negated reference; not over a number's."""
        state, location = self.save(), self.location
        self.scan()
        if self.token in (IDENTIFIER, "contains"):
            return location
        self.restore(state)
        return None

    def _simple(self) -> Term | None:
        token = self.token
        if token in (IDENTIFIER, "contains"):
            return self.var()
        if token == STRING:
            return self._string()
        if token in (NUMBER, ".", "minus"):
            return self._number()
        if token == "[":
            return self._array()
        if token == "{":
            return self._set_or_object()
        if token == "(":
            return self._parenthesized()
        if token in ("true", "false"):
            return Boolean(token == "true", self.location)
        if token == "null":
            return Null(self.location)
        if token in (PART, END, RAW_PART, RAW_END):
            return self._template(token in (RAW_PART, RAW_END))
        return self.illegal()

    def var(self) -> Var:
        """A variable; every ``_`` is another one."""
        return self.wildcard(self.location) if self.text == "_" else Var(self.text, self.location)

    def wildcard(self, location: Location) -> Var:
        """A new wildcard."""
        self.wildcards += 1
        return Var(f"${self.wildcards - 1}", location)

    def _parenthesized(self) -> Term | None:
        self.scan()
        term = self.infix()
        if term is not None and self.token != ")":
            return self.error(self.location, "non-terminated expression")
        return term

    def _finish(self, head: Term) -> Term | None:
        self.scan(skip=False)
        if self.token in ("(", ".", "["):
            return self.ref(head)
        if self.token == WHITESPACE:
            self.scan()
        if isinstance(head, Var) and head.name in ("data", "input"):
            return Ref((head,), head.location)
        return head

    def _number(self) -> Number | None:
        location, prefix = self.location, ""
        if self.token == "minus":
            prefix = "-"
            self.scan()
            if self.token not in (NUMBER, "."):
                return self.illegal("expected number")
        if self.token == ".":
            prefix += "."
            self.scan()
            if self.token != NUMBER:
                return self.illegal("expected number")
        text = self.text
        leading_zero = len(text) > 1 and text[0] == "0" and not prefix.endswith(".")
        if leading_zero and text[1] != "." and not (len(text) > 2 and text[1] in "eE"):
            return self.illegal("expected number without leading zero")
        if prefix.endswith(".") and "." in text:
            return self.illegal("invalid float")
        if not _small(text):
            return self.error(self.location, "number too big")
        return Number(prefix + text, location)

    def _string(self) -> String | None:
        inner = self.text[1:-1]
        if self.text[0] == "`":
            return String(inner, self.location)
        value = unescape(inner)
        if value is None:
            return self.error(self.location, f"illegal string literal: {self.text}")
        return String(value, self.location)

    def _template(self, raw: bool) -> TemplateString | None:
        location = self.location
        if self.version == "v0":
            return self.error(location, "template strings are not supported by current capabilities")
        parts: list[Term | Expr] = []
        while True:
            if self.token == ILLEGAL:
                return self.error(self.location, "expected template-string part")
            text: str | None = self.text
            if not raw:
                text = unescape(self.text)
            if text is None:
                return self.error(self.location, f"illegal template-string part: {self.text}")
            if text:
                parts.append(String(text, self.location))
            if self.token in (END, RAW_END):
                return TemplateString(tuple(parts), raw, location)
            comments = self.comments
            self.scan()
            commented = self.comments != comments
            expr = self.literal()
            if expr is None:
                return self.error(self.location, "invalid template-string expression")
            if (wrong := _unfit_for_template(expr)) is not None:
                return self.error(expr.location, wrong)
            plain = isinstance(expr.terms, SCALARS) and not commented
            parts.append(expr.terms if plain else expr)  # type: ignore[arg-type]
            if self.token != "}":
                return self.error(self.location, "expected } to end template string expression")
            self.scan(skip=False, mode="raw" if raw else "template")

    def ref(self, head: Term) -> Term | None:
        """A reference or a call that begins with `head`."""
        if not isinstance(
            head,
            Var | Array | Object | Set | ArrayComprehension | ObjectComprehension | SetComprehension | Call,
        ):
            self.error(head.location, f"illegal ref (head cannot be {kind(head)})")
        location = head.location
        terms: list[Term] = [head]
        calls = 0
        while True:
            if self.token == ".":
                self.scan(skip=False)
                if self.token != IDENTIFIER and not self.keyword_in_ref(self.token):
                    return self.illegal("expected identifier")
                terms.append(String(self.text, self.location))
                self.scan(skip=False)
            elif self.token == "(":
                called = self._call(Ref(tuple(terms), location))
                if called is None:
                    return None
                if self.token == WHITESPACE:
                    self.scan()
                    return called
                if self.token not in (".", "["):
                    return called
                calls += 1
                self.check_depth(calls)
                if not isinstance(called, Call | Set):
                    self.error(location, f"illegal ref (head cannot be {kind(called)})")
                terms = [called]
            elif self.token == "[":
                self.scan()
                term = self.infix()
                if term is None:
                    return None
                if self.token != "]":
                    return self.illegal("expected [")
                terms.append(term)
                self.scan(skip=False)
            else:
                if self.token == WHITESPACE:
                    self.scan()
                return Ref(tuple(terms), location)

    def _call(self, operator: Ref) -> Term | None:
        location = operator.location
        self.scan()
        if self.token == ")":
            self.scan(skip=False)
            if operator.root == "set" and len(operator.terms) == 1:
                return Set((), location)
            return Call(operator, (), location)
        args = self._list(")", [])
        if args is None:
            return None
        self.scan(skip=False)
        return Call(operator, tuple(args), location)

    # --- collections and comprehensions

    def _list(self, end: str, found: list[Term]) -> list[Term] | None:
        """Terms separated by commas, up to `end`, which is not stepped over."""
        while self.token != end:
            term = self.infix(pairs=False)
            if term is None:
                return None
            found.append(term)
            if self.token == ",":
                self.scan()
            elif self.token != end:
                return self.illegal(f'expected "," or "{end}"')
        return found

    def _array(self) -> Term | None:
        location = self.location
        self.scan()
        if self.token == "]":
            return Array((), location)
        comprehension = self._leading_comma()
        start = self.save()
        head = self.term()
        if head is None:
            return None
        if self.token == "]":
            return Array((head,), location)
        if self.token == ",":
            self.scan()
            items = self._list("]", [head])
            return None if items is None else Array(tuple(items), location)
        if self.token == "or" and comprehension:
            self.scan()
            body = self.body("]")
            if body is not None:
                return ArrayComprehension(head, body, location)
            if self.token != ",":
                return None
        self.restore(start)
        items = self._list("]", [])
        return None if items is None else Array(tuple(items), location)

    def _leading_comma(self) -> bool:
        """Step over a comma, as in ``[, x]``; whether there was none, and this may be a comprehension."""
        if self.token != ",":
            return True
        self.scan()
        return False

    def _set_or_object(self) -> Term | None:
        location = self.location
        self.scan()
        if self.token == "}":
            return Object((), location)
        comprehension = self._leading_comma()
        start = self.save()
        head = self.term()
        if head is None:
            return None
        if (self.token == "or" and comprehension) or self.token in ("}", ","):
            return self._set(start, head, comprehension, location)
        if self.token == ":":
            return self._object(head, comprehension, location)
        self.restore(start)
        head = self.infix(pairs=False)
        if head is None:
            return None
        if self.token in ("}", ","):
            return self._set(start, head, False, location)
        if self.token == ":":
            return self._object(head, comprehension, location)
        return self.illegal("non-terminated set")

    def _set(self, start: tuple[Any, ...], head: Term, comprehension: bool, at: Location) -> Term | None:
        if self.token == "}":
            return Set((head,), at)
        if self.token == ",":
            self.scan()
            items = self._list("}", [head])
        else:
            if comprehension:
                self.scan()
                body = self.body("}")
                if body is not None:
                    return SetComprehension(head, body, at)
                if self.token != ",":
                    return None
            self.restore(start)
            items = self._list("}", [])
        return None if items is None else set_of(items, at)

    def _object(self, key: Term, comprehension: bool, at: Location) -> Term | None:
        self.scan()
        start = self.save()
        value = self.term()
        if value is None:
            return None
        relation = True
        if comprehension and self.token in ("}", ",", "or"):
            relation = self.token == "or"
            found = self._object_rest(key, value, True, at)
            if found is not None:
                return found
        self.restore(start)
        if relation:
            value = self.infix(pairs=False)
            if value is None:
                return None
            if self.token in ("}", ","):
                return self._object_rest(key, value, False, at)
        return self.illegal("non-terminated object")

    def _object_rest(self, key: Term, value: Term, comprehension: bool, at: Location) -> Term | None:
        if self.token == "}":
            return Object(((key, value),), at)
        if self.token == "or":
            if not comprehension:
                return self.illegal("non-terminated object")
            self.scan()
            body = self.body("}")
            return None if body is None else ObjectComprehension(key, value, body, at)
        self.scan()
        items = self._pairs([(key, value)])
        return None if items is None else object_of(items, at)

    def _pairs(self, found: list[tuple[Term, Term]]) -> list[tuple[Term, Term]] | None:
        while self.token != "}":
            key = self.infix(pairs=False)
            if key is None:
                return None
            if self.token != ":":
                return self.illegal('expected ":"')
            self.scan()
            value = self.infix(pairs=False)
            if value is None:
                return None
            found.append((key, value))
            if self.token == ",":
                self.scan()
            elif self.token != "}":
                return self.illegal('expected "," or "}"')
        return found


def _small(text: str) -> bool:
    """Whether a number's exponent is one that OPA reads."""
    match = _EXPONENT.search(text)
    if match is None:
        return len(text) <= _MAX_EXPONENT
    digits = match.group(1).lstrip("+-").lstrip("0")
    if len(digits) > 6:
        return False
    mantissa = text[: match.start()]
    whole, _, fraction = mantissa.partition(".")
    significant = (whole + fraction).lstrip("0")
    if not significant:
        return True
    first = len(whole) - (len(whole + fraction) - len(significant))
    magnitude = int(match.group(1)) + first
    return -_MAX_EXPONENT < magnitude <= _MAX_EXPONENT


def _unfit_for_template(expr: Expr) -> str | None:
    """Why an expression can't be in a template string."""
    if expr.negated:
        return "unexpected negation ('not') in template-string expression"
    if (name := expr.operator) is not None and name in _IN_TEMPLATE:
        return _IN_TEMPLATE[name]
    if isinstance(expr.terms, Every | Some):
        return f"unexpected '{'every' if isinstance(expr.terms, Every) else 'some'}' in template-string expression"
    return None

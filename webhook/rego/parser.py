"""The parser of statements: packages, imports, rules and bodies, for Rego v0 and v1 as OPA 1.17 reads them.

Where OPA tries one reading and then another, so does this, and what it tried is remembered: it stays linear. An error that a
reading leads to is forgotten with the reading.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from webhook.rego import ast, lexer
from webhook.rego.ast import (
    Body,
    Boolean,
    Call,
    Expr,
    Head,
    Import,
    Location,
    Module,
    Package,
    Ref,
    Rule,
    Some,
    String,
    Term,
    Var,
    Version,
    relocate,
)
from webhook.rego.errors import PARSE, Problem, RegoError
from webhook.rego.lexer import EOF, IDENTIFIER, WHITESPACE
from webhook.rego.term_parser import TermParser, TooDeep
from webhook.rego.text import kind, show

ROOTS: Final = ("data", "input")
_OPERATORS: Final = frozenset(
    ("plus", "minus", "mul", "div", "rem", "and", "or", "equal", "neq", "gt", "gte", "lt", "lte")
)


class StatementParser(TermParser):
    """Reads statements one after the other."""

    def statements(self) -> Iterator[Package | Import | Rule | Body]:
        """All statements; stops at the first error, which is then in `errors`."""
        self.scan()
        while self.token != EOF:
            start = self.save()
            if (package := self.package()) is not None:
                yield package
                continue
            if self.errors:
                return
            self.restore(start)
            if (imported := self.import_()) is not None:
                self._apply_import(imported)
                yield imported
                continue
            if self.errors:
                return
            self.restore(start)
            if (rules := self.rules()) is not None:
                yield from rules
                continue
            if self.errors:
                return
            self.restore(start)
            body = self.query(EOF, one=True)
            if body is None:
                return
            yield body

    # --- packages and imports

    def _path(self) -> bool:
        """Step over `package` or `import`, to a name; whether that is what the word means here."""
        self.scan(skip=False)
        if self.token in (".", "["):
            return False
        if self.token == WHITESPACE:
            self.scan()
        if self.token == IDENTIFIER:
            return True
        if self.keyword_in_ref(self.token):
            self.token = IDENTIFIER
            return True
        self.illegal()
        return False

    def package(self) -> Package | None:
        """``package a.b``."""
        if self.token != "package":
            return None
        location = self.location
        if not self._path():
            return None
        term = self.term()
        if isinstance(term, Var):
            at = term.location
            return Package(Ref((Var("data", at), String(term.name, at)), at), location)
        if not isinstance(term, Ref):
            if term is not None:
                self.illegal()
            return None
        first = term.terms[0]
        if not isinstance(first, Var):
            return self.error(first.location, f"unexpected {kind(first)} token: expecting var")
        for part in term.terms[1:]:
            if not isinstance(part, String):
                return self.error(part.location, f"unexpected {kind(part)} token: expecting string")
        at = first.location
        path = Ref((Var("data", at), String(first.name, at), *term.terms[1:]), term.location)
        return Package(path, location)

    def import_(self) -> Import | None:
        """``import a.b as c``."""
        if self.token != "import":
            return None
        location = self.location
        if not self._path():
            return None
        keywords, self.keywords = self.keywords, lexer.KEYWORDS - lexer.FUTURE_KEYWORDS
        cache, self.cache = self.cache, {}
        term = self.term()
        self.keywords, self.cache = keywords, cache
        if isinstance(term, Var):
            term = Ref((term,), term.location)
        if not isinstance(term, Ref):
            return self.error(self.location, "expected path")
        for part in term.terms[1:]:
            if not isinstance(part, String):
                return self.error(part.location, f"unexpected {kind(part)} token: expecting string")
        if term.root not in (*ROOTS, "future", "rego"):
            self.hints += ("if this is unexpected, try updating OPA",)
            wanted = "unexpected import path, must begin with one of: {data, future, input, rego}"
            return self.error(term.location, f"{wanted}, got: {show(term.terms[0])}")
        if self.token == "as":
            return self._alias(term, location)
        last = term.terms[-1]
        name = last.name if isinstance(last, Var) else last.value  # type: ignore[union-attr]
        if name in self.version_keywords and (len(term.terms) == 1 or term.root != "future"):
            self.error(last.location, f"unexpected import path, must not end with a keyword, got: {name}")
            self.hints += ("import a different path or use an alias",)
        return Import(term, None, location)

    def _alias(self, path: Ref, location: Location) -> Import | None:
        self.scan()
        if self.token != IDENTIFIER:
            return self.illegal("expected var")
        alias = self.term()
        if isinstance(alias, Var):
            return Import(path, alias.name, location)
        return self.illegal("expected var")

    def _apply_import(self, imported: Import) -> None:
        """Learn the keywords that an import brings."""
        path = imported.path
        names = [term.value for term in path.terms[1:] if isinstance(term, String)]
        if path.root == "rego":
            if names != ["v1"]:
                self.error(path.location, f"invalid import `{show(path)}`, must be `rego.v1`")
            elif self.version == "v0":
                if imported.alias is not None:
                    self.error(path.location, "`rego` imports cannot be aliased")
                else:
                    self.keywords |= lexer.IMPORTED_KEYWORDS
        elif path.root == "future":
            self._apply_future(imported, names)

    def _apply_future(self, imported: Import, names: list[str]) -> None:
        at = imported.path.location
        if names[:1] != ["keywords"]:
            self.error(at, "invalid import, must be `future.keywords`")
            return
        if imported.alias is not None:
            self.error(at, "`future` imports cannot be aliased")
            return
        allowed = lexer.IMPORTED_KEYWORDS | lexer.FUTURE_KEYWORDS
        words = set(allowed)
        if len(names) == 2:
            if names[1] not in allowed:
                listed = " ".join(sorted(allowed))
                self.error(at, f"unexpected keyword, must be one of [{listed}]")
                return
            if names[1] != "not":
                words = {names[1]}
        if names[1:] == ["not"]:
            self.not_bodies = True
        if "every" in words:
            words.add("in")
        self.keywords |= words

    # --- rules

    def rules(self) -> list[Rule] | None:
        """One rule, and those that are chained to it; None if this is no rule."""
        location = self.location
        self.look_ahead_ref()
        default = False
        if self.token == "default":
            self.scan()
            default = True
            self.look_ahead_ref()
        if self.token != IDENTIFIER:
            return None
        head = self._head(default)
        if head is None:
            return None
        if default:
            return self._default(head, location)
        contains = "contains" in head.keywords
        has_if = self.token == "if"
        if has_if and not contains and len(head.ref.terms) == 2:
            key = head.ref.terms[1]
            if (not ast.is_ground(key) or isinstance(key, Ref)) and not head.args:
                head = replace(head, key=key)
            if head.value is None:
                head = replace(head, value=Boolean(True, head.location), generated_value=True)
            else:
                head = replace(head, name=head.ref.root or "")
        if not has_if and not contains and not head.args and len(head.ref.terms) == 2:
            first, key = head.ref.terms
            head = replace(head, name=head.ref.root or "", key=key)
            if head.value is None:
                head = replace(head, ref=Ref((first,), head.ref.location))
        return self._bodies(head, location, contains, has_if)

    def _bodies(self, head: Head, location: Location, contains: bool, has_if: bool) -> list[Rule] | None:
        body: Body | None = None
        if has_if:
            head = replace(head, keywords=head.keywords | {"if"})
            self.scan()
            start = self.save()
            expr = self.literal()
            if expr is not None and not isinstance(expr.terms, ast.Set):
                body = (expr,)
            else:
                self.restore(start)
        if body is None:
            if has_if or self.token == "{":
                self.scan()
                body = self.body("}")
                if body is None:
                    return None
                self.scan()
            elif contains:
                true = Boolean(True, location)
                return [Rule(head, (Expr(true, location=location),), False, None, head.location, True)]
            else:
                return None
        rule = Rule(head, body, False, None, location)
        if self.token == "else" and not self.look_ahead_ref():
            if len(head.ref.terms) > 1 and not ast.is_ground(head.ref):
                return self.error(
                    self.location, "else keyword cannot be used on rules with variables in head"
                )
            if head.key is not None:
                return self.error(self.location, "else keyword cannot be used on multi-value rules")
            otherwise = self._else(head)
            if otherwise is None:
                return None
            rule = replace(rule, else_=otherwise)
        return self._chained(rule)

    def _chained(self, rule: Rule) -> list[Rule] | None:
        rules = [rule]
        while self.token == "{":
            if rule.else_ is not None:
                return self.error(self.location, "expected else keyword")
            location = self.location
            self.scan()
            body = self.body("}")
            if body is None:
                return None
            self.scan()
            head = relocate(self._fresh_wildcards(rule.head), location)
            rules.append(Rule(head, body, False, None, location))
        return rules

    def _fresh_wildcards(self, head: Head) -> Head:
        args = tuple(
            self.wildcard(arg.location) if isinstance(arg, Var) and arg.wildcard else arg for arg in head.args
        )
        return replace(head, args=args)

    def _else(self, head: Head) -> Rule | None:
        """The chain of `else` after a rule."""
        chain: list[Rule] = []
        while True:
            one = self._one_else(head)
            if one is None:
                return None
            chain.append(one)
            self.check_depth(len(chain))
            if self.token != "else" or one.generated_body:
                break
        rule: Rule | None = None
        for one in reversed(chain):
            rule = replace(one, else_=rule)
        return rule

    def _one_else(self, head: Head) -> Rule | None:
        location = self.location
        head = replace(
            self._fresh_wildcards(head), location=location, generated_value=False, keywords=frozenset()
        )
        self.scan()
        if self.token in ("{", "if"):
            head = replace(head, value=Boolean(True), generated_value=True)
        elif self.token in ("assign", "eq"):
            assign = self.token == "assign"
            self.scan()
            value = self.infix()
            if value is None:
                return None
            head = replace(head, value=value, assign=assign)
        else:
            return self.illegal("expected else value term or rule body")
        has_if = self.token == "if"
        if not has_if and self.token != "{":
            true = Expr(Boolean(True, location), location=location)
            return Rule(head, (true,), False, None, location, True)
        if has_if:
            head = replace(head, keywords=head.keywords | {"if"})
            self.scan()
        if self.token == "{":
            self.scan()
            body = self.body("}")
            if body is None:
                return None
            self.scan()
        elif self.token != EOF:
            expr = self.literal()
            if expr is None:
                return None
            body = relocate((expr,), location)
        else:
            return self.illegal("rule body expected")
        return Rule(head, body, False, None, location)

    def _default(self, head: Head, location: Location) -> list[Rule] | None:
        """Check a default rule's value and arguments."""
        if head.value is None:
            return self.error(location, "illegal default rule (must have a value)")
        bad = [term for term in _outside_closures(head.value) if isinstance(term, Ref | Var | Call)]
        for term in bad:
            self.error(location, f"illegal default rule (value cannot contain {kind(term)})")
        seen: set[str] = set()
        for arg in head.args:
            if not isinstance(arg, Var):
                bad.append(arg)
                self.error(location, f"illegal default rule (arguments cannot contain {kind(arg)})")
            elif arg.name in seen:
                bad.append(arg)
                repeated = f"illegal default rule (arguments cannot be repeated {show(arg)})"
                self.error(location, repeated)
            else:
                seen.add(arg.name)
        if bad:
            return None
        body = (Expr(Boolean(True, location), location=location),)
        return [Rule(head, body, True, None, location)]

    def _head(self, default: bool) -> Head | None:
        location = self.location
        first = self.var()
        term = self._head_finish(first)
        if term is None:
            return None
        args: tuple[Term, ...] = ()
        if isinstance(term, Call):
            if not isinstance(term.operator.terms[0], Var):
                return self.illegal(f"rule head ref {show(term.operator)} invalid")
            args = term.args
            call, term = True, term.operator
        else:
            call = False
        if isinstance(term, Var):
            term = Ref((term,), term.location)
        name = term.root or "" if len(term.terms) < 2 else ""
        head = Head(name, term, args, None, None, False, location)
        shown = show(term)
        if self.token == "contains":
            if call:
                example = f"{shown} contains <VALUE> {{ ... }}"
                self.illegal(
                    "the contains keyword can only be used with multi-value rule definitions "
                    f"(e.g., {example})"
                )
            self.scan()
            key = self.infix()
            if key is None:
                self.illegal(f"expected rule key term (e.g., {shown} contains <VALUE> {{ ... }})")
            return replace(head, key=key, keywords=frozenset(("contains",)))
        if self.token in ("eq", "assign"):
            head = self._head_value(head, shown, default)
        if head.value is None and (len(term.terms) != 2 or call):
            head = replace(head, value=Boolean(True, location), generated_value=True)
        return head

    def _head_value(self, head: Head, shown: str, default: bool) -> Head:
        assign = self.token == "assign"
        self.scan()
        value = self.infix()
        if value is None:
            if not assign:
                self.illegal(
                    f"expected rule value term (e.g., {shown}[<nil>] = <VALUE> {{ ... }})"
                )
            elif head.args:
                self.illegal(f"expected function value term (e.g., {shown}(...) := <VALUE> {{ ... }})")
            elif default:
                self.illegal(f"expected default rule value term (e.g., default {shown} := <VALUE>)")
            else:
                self.illegal(f"expected rule value term (e.g., {shown} := <VALUE> {{ ... }})")
        return replace(head, value=value, assign=assign)

    def _head_finish(self, head: Var) -> Var | Ref | Call | None:
        self.scan(skip=False)
        if self.token in _OPERATORS:
            self.illegal()
        elif self.token == WHITESPACE:
            self.scan()
        if self.token in ("(", ".", "["):
            term = self.ref(head)
            if term is None:
                return self.illegal("expected rule head name")
            return term if isinstance(term, Ref | Call) else None
        if self.token == WHITESPACE:
            self.scan()
        return Ref((head,), head.location) if head.name in ROOTS else head


def _outside_closures(term: Term) -> Iterator[Term]:
    """`term` and what is in it; nothing inside closures, calls, or below a reference."""
    yield term
    if isinstance(term, ast.Array | ast.Set | ast.Object):
        for inner in ast.operands(term):
            yield from _outside_closures(inner)


def parse_module(source: str, file: str = "", version: Version = "v1") -> Module:
    """Parse a file.

    Args:
        source: its text.
        file: its name, for places.
        version: which Rego it is in; ``import rego.v1`` holds v0 to v1's rules.

    Raises:
        RegoError: it can't be parsed.
    """
    parser = StatementParser(source, file, version)
    try:
        statements = list(parser.statements())
    except TooDeep as error:
        raise RegoError((Problem(PARSE, str(error), error.location),)) from None
    if parser.errors:
        raise RegoError(parser.errors)
    return _module(statements, file, version)


def _module(statements: list[Package | Import | Rule | Body], file: str, version: Version) -> Module:
    if not statements:
        raise RegoError((Problem(PARSE, "empty module", Location(0, 0, file)),))
    problems: list[Problem] = []
    first, *rest = statements
    if not isinstance(first, Package):
        at = first[0].location if isinstance(first, tuple) else first.location
        problems.append(Problem(PARSE, "package expected", at))
    imports: list[Import] = []
    rules: list[Rule] = []
    strict = version == "v1"
    for statement in rest:
        if isinstance(statement, Import):
            imports.append(statement)
            strict = strict or (statement.path.starts_with("rego", "v1") and len(statement.path.terms) == 2)
        elif isinstance(statement, Rule):
            rules.append(statement)
        elif isinstance(statement, Package):
            problems.append(Problem(PARSE, "unexpected package", statement.location))
        else:
            rule = rule_from_body(statement)
            if isinstance(rule, str):
                problems.append(Problem(PARSE, rule, statement[0].location))
            else:
                rules.append(rule)
    if strict:
        for rule in rules:
            problems += _check_strict(rule)
    if problems or not isinstance(first, Package):
        raise RegoError(problems)
    return Module(first.path, tuple(imports), tuple(rules), version, strict, file, first.location)


def _check_strict(rule: Rule) -> Iterator[Problem]:
    """What v1 asks of rules."""
    one: Rule | None = rule
    while one is not None:
        what, head, at = "function" if one.head.args else "rule", one.head, one.location
        if len(head.ref.terms) < 2 and head.name in lexer.KEYWORDS | lexer.IMPORTED_KEYWORDS:
            yield Problem(PARSE, f"{head.name} keyword cannot be used for rule name", at)
        if one.generated_body and head.generated_value:
            yield Problem(PARSE, f"{what} must have value assignment and/or body declaration", at)
        if not one.generated_body and "if" not in head.keywords and not one.default:
            yield Problem(PARSE, f"`if` keyword is required before {what} body", at)
        if head.multi_value and "contains" not in head.keywords:
            yield Problem(PARSE, "`contains` keyword is required for partial set rules", at)
        one = one.else_


def rule_from_body(body: Body) -> Rule | str:
    """The rule that a body outside of a rule means, as in ``p = 1``; else why there is none."""
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
    return Rule(head, (Expr(Boolean(True, at), location=at),), False, None, location, True)


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
    from webhook.rego.builtins.declaration import DECLARATIONS, REFUSED  # noqa: PLC0415 - builtins need the types

    return frozenset((*DECLARATIONS, *REFUSED, *ast.INFIX, "walk", "print", "internal.member_3"))


__all__ = ["StatementParser", "parse_module", "rule_from_body"]

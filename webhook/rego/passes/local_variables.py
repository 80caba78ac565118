"""Declared variables to unique ones: ``:=``, ``some``, ``every`` and arguments.

What a name means follows OPA: a body's declarations hold from where they stand to its end, and in the bodies
inside; a name that was used before it is declared in the same body is an error.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Final

from webhook.rego.ast import (
    COMPREHENSIONS,
    SCALARS,
    Array,
    Body,
    Boolean,
    Call,
    Every,
    Expr,
    Head,
    Location,
    Not,
    Object,
    Ref,
    Rule,
    Set,
    Some,
    TemplateString,
    Term,
    Var,
    With,
    name_ref,
)
from webhook.rego.errors import COMPILE, Problems
from webhook.rego.passes.resolve import declared, is_root
from webhook.rego.passes.safety import Arity, equality_outputs
from webhook.rego.passes.walk import chain, rebuild, rebuild_expr, variables
from webhook.rego.text import kind, show

SEEN: Final = "var {} referenced above"
ASSIGNED: Final = "var {} assigned above"
DECLARED: Final = "var {} declared above"
ARGUMENT: Final = "arg {} redeclared"


class Names:
    """Makes names that no module has."""

    def __init__(self, taken: set[str]) -> None:
        self.taken = taken
        self.next = 0
        #: The names that were written, by the unique ones.
        self.written: dict[str, str] = {}

    def new(self, location: Location) -> Var:
        """Return a new variable."""
        while True:
            name = f"__local{self.next}__"
            self.next += 1
            if name not in self.taken:
                return Var(name, location)

    def original(self, name: str) -> str:
        """Tell what a variable was called."""
        return self.written.get(name, name)

    def as_written(self, ref: Ref) -> Ref:
        """Return a reference with its variables as they were written."""

        def renamed(term: Term) -> Term:
            if isinstance(term, Var):
                return Var(self.original(term.name), term.location)
            return rebuild(term, renamed, lambda body: body)

        return Ref(tuple([renamed(one) for one in ref.terms]), ref.location)


class _Scopes:
    """What names mean, from the outermost body to the innermost; the mark says how a name came there."""

    def __init__(self, names: Names) -> None:
        self.names = names
        self.stack: list[dict[str, tuple[str, str]]] = [{}]

    def meaning(self, name: str) -> str | None:
        for scope in reversed(self.stack):
            if name in scope:
                return scope[name][0]
        return None

    def mark(self, name: str) -> str | None:
        """How a name came into the innermost body."""
        found = self.stack[-1].get(name)
        return None if found is None else found[1]

    def shadowed(self, name: str) -> str | None:
        """Tell what replaces ``data`` or ``input``, if it was declared."""
        for scope in reversed(self.stack):
            if name in scope:
                meaning, mark = scope[name]
                return None if mark == SEEN else meaning
        return None

    def put(self, name: str, meaning: str, mark: str) -> None:
        self.stack[-1][name] = (meaning, mark)
        if name != meaning:
            self.names.written[meaning] = name


class LocalVariables:
    """Renames the variables of one rule after the other."""

    def __init__(self, names: Names, arity: Arity, problems: Problems) -> None:
        self.names = names
        self.arity = arity
        self.problems = problems
        self.scopes = _Scopes(names)
        self.failed = False

    def rule(self, rule: Rule) -> Rule:
        """Return a rule and its `else` with unique names."""
        self.scopes = _Scopes(self.names)
        args = tuple([self._argument(one) for one in rule.head.args])
        scope = dict(self.scopes.stack[0])
        rules = []
        for position, one in enumerate(chain(rule)):
            if position == 0:
                one = replace(one, head=replace(one.head, args=args))
            self.scopes.stack = [dict(scope)]
            self.failed = False
            rules.append(self._one(one))
        found: Rule | None = None
        for one in reversed(rules):
            found = replace(one, else_=found)
        assert found is not None  # noqa: S101 - a chain has a rule
        return found

    def _fail(self, message: str, location: Location) -> None:
        self.failed = True
        self.problems.add(COMPILE, message, location)

    # --- heads

    def _argument(self, term: Term) -> Term:
        if isinstance(term, Var):
            meaning = self.scopes.meaning(term.name)
            if meaning is None:
                meaning = self.names.new(term.location).name
                self.scopes.put(term.name, meaning, ARGUMENT)
            return Var(meaning, term.location)
        if isinstance(term, Call):
            self._fail("rule arguments cannot contain calls", term.location)
            return term
        if isinstance(term, Object):
            return replace(term, items=tuple([(key, self._argument(value)) for key, value in term.items]))
        if isinstance(term, Ref | Array):
            return rebuild(term, self._argument, lambda body: body)
        return term

    def _one(self, rule: Rule) -> Rule:
        head = rule.head
        parts = [*head.args, *head.ref.terms[1:], *(one for one in (head.key, head.value) if one is not None)]
        if all(isinstance(one, SCALARS) for one in parts):
            return replace(rule, body=self._body(rule.body, set()))
        outer = self.scopes.stack
        head = _map_head(head, self._nested_in_head, ref=False)
        self.scopes.stack = outer
        used = variables(head.ref.terms[1:])
        for one in (head.key, head.value):
            if one is not None:
                used |= variables(one)
        body = self._body(rule.body, used)
        scope = self.scopes.stack[0]

        def renamed(term: Term) -> Term:
            if isinstance(term, Var):
                found = scope.get(term.name)
                return term if found is None else Var(found[0], term.location)
            if is_root(term):
                found = scope.get(term.terms[0].name)  # type: ignore[union-attr]
                if found is not None and found[1] != SEEN:
                    return Var(found[0], term.location)
            return rebuild(term, renamed, renamed_body)

        def renamed_body(inner: Body) -> Body:
            return tuple([rebuild_expr(one, renamed, renamed_body) for one in inner])

        return replace(rule, head=_map_head(head, renamed, ref=True), body=body)

    def _nested_in_head(self, term: Term) -> Term:
        """Closures in a head have names of their own: the body's aren't known yet."""
        if isinstance(term, COMPREHENSIONS):
            self.scopes.stack = [{}]
            return self._comprehension(term)
        if isinstance(term, TemplateString):
            self.scopes.stack = [{}]
            return rebuild(term, lambda one: one, self._template_body)
        return rebuild(term, self._nested_in_head, lambda body: body)

    def _template_body(self, body: Body) -> Body:
        self.scopes.stack.append({})
        body = tuple([self._expr(one) for one in body])
        self.scopes.stack.pop()
        return body

    # --- bodies

    def _body(self, body: Body, used: set[str]) -> Body:
        found: list[Expr] = []
        for expr in body:
            terms = expr.terms
            one: Expr | None
            if isinstance(terms, Call) and expr.operator == "assign":
                one = self._assignment(expr, terms)
            elif isinstance(terms, Some):
                one = self._some(expr, terms)
            elif isinstance(terms, Every):
                one = self._every(expr, terms)
            elif isinstance(terms, Not) and terms.explicit:
                one = self._not(expr, terms)
            else:
                one = self._expr(expr)
            if one is not None:
                found.append(one)
        if not found:
            at = body[0].location
            found.append(Expr(Boolean(True, at), location=at))
        result = tuple(found)
        if not self.failed:
            self._check_unused(body, result, used)
        return result

    def _check_unused(self, written: Body, body: Body, used: set[str]) -> None:
        scope = self.scopes.stack[-1]
        names = {meaning: name for name, (meaning, mark) in scope.items() if mark == DECLARED}
        if not names:
            return
        occurring = variables(body) | used | {self.scopes.meaning(name) or name for name in used}
        for meaning in sorted(names.keys() - occurring):
            name = names[meaning]
            if name.startswith("__local"):
                continue
            at = next((one.location for one in written if name in declared((one,))), written[0].location)
            self._fail(f"declared var {show(Var(name))} unused", at)

    def _declare(self, var: Var, mark: str, location: Location) -> Var | None:
        before = self.scopes.mark(var.name)
        if before is not None:
            self._fail(before.format(show(var)), location)
            return None
        new = self.names.new(var.location)
        self.scopes.put(var.name, new.name, mark)
        return new

    def _assignment(self, expr: Expr, call: Call) -> Expr:
        if expr.negated:
            self._fail("cannot assign vars inside negated expression", expr.location)
            return expr
        if len(call.args) != 2:
            return expr
        failed, self.failed = self.failed, False
        value = self._term(call.args[1])
        modifiers = tuple([replace(one, value=self._term(one.value)) for one in expr.with_])
        target = self._target(call.args[0])
        operator = call.operator if self.failed else name_ref("eq", call.operator.location)
        self.failed = self.failed or failed
        return replace(expr, terms=Call(operator, (target, value), call.location), with_=modifiers)

    def _target(self, term: Term) -> Term:
        if isinstance(term, Var):
            return self._declare(term, ASSIGNED, term.location) or term
        if isinstance(term, Array):
            return rebuild(term, self._target, lambda body: body)
        if isinstance(term, Object):
            return replace(term, items=tuple([(key, self._target(value)) for key, value in term.items]))
        if isinstance(term, Ref) and is_root(term):
            root = term.terms[0]
            assert isinstance(root, Var)  # noqa: S101 - that is what a root is
            return self._declare(root, ASSIGNED, term.location) or term
        self._fail(f"cannot assign to {kind(term)}", term.location)
        return term

    def _some(self, expr: Expr, some: Some) -> Expr | None:
        for symbol in some.symbols:
            if isinstance(symbol, Call):
                return self._some_in(expr, some, symbol)
            assert isinstance(symbol, Var)  # noqa: S101 - as the parser makes them
            if self._declare(symbol, DECLARED, some.location) is None:
                return None
        return None

    def _some_in(self, expr: Expr, some: Some, member: Call) -> Expr | None:
        at = some.location
        key: Term
        if len(member.args) == 3:
            key, value, domain = member.args
        else:
            value, domain = member.args
            key = self.names.new(at)
        selected = Ref((*domain.terms, key) if isinstance(domain, Ref) else (domain, key), domain.location)
        unified = replace(expr, terms=Call(name_ref("eq", at), (value, selected), at))
        for name in sorted(equality_outputs(value, selected, variables(domain))):
            if self._declare(Var(name, at), DECLARED, at) is None:
                return None
        return self._expr(unified)

    def _every(self, expr: Expr, every: Every) -> Expr | None:
        domain = self._term(every.domain)
        self.scopes.stack.append({})
        try:
            key = every.key
            if key is None:
                key = self.names.new(every.location)
            elif isinstance(key, Var) and not key.wildcard:
                key = self._declare(key, DECLARED, every.location)
                if key is None:
                    return None
            value: Term | None = every.value
            if isinstance(value, Var) and not value.wildcard:
                value = self._declare(value, DECLARED, every.location)
            if value is None:
                return None
            body = self._body(every.body, set())
            return self._expr(replace(expr, terms=Every(key, value, domain, body, every.location)))
        finally:
            self.scopes.stack.pop()

    def _not(self, expr: Expr, negation: Not) -> Expr:
        self.scopes.stack.append({})
        body = self._body(negation.body, set())
        expr = self._expr(replace(expr, terms=replace(negation, body=body)))
        self.scopes.stack.pop()
        return expr

    def _expr(self, expr: Expr) -> Expr:
        """Return an expression that declares nothing itself."""
        terms = expr.terms
        if isinstance(terms, Call):
            operator = rebuild(terms.operator, self._term, self._inner)
            args = tuple([self._term(one) for one in terms.args])
            terms = Call(operator, args, terms.location)  # type: ignore[arg-type]
        elif isinstance(terms, Every | Not | Some):
            terms = rebuild_expr(replace(expr, with_=()), self._term, self._inner).terms
        else:
            terms = self._term(terms)
        return replace(expr, terms=terms, with_=tuple([self._with(one) for one in expr.with_]))

    def _inner(self, body: Body) -> Body:
        """Return the expressions of a body that has no names of its own, or whose are known."""
        return tuple([self._expr(one) for one in body])

    def _with(self, modifier: With) -> With:
        target, value = self._term(modifier.target), self._term(modifier.value)
        meaning = self.scopes.meaning("input")
        if meaning is not None:  # a variable may be called input: the target means the document
            if isinstance(target, Var) and target.name == meaning:
                target = Ref((Var("input", target.location),), target.location)
            elif isinstance(target, Ref) and target.root == meaning:
                first = Var("input", target.terms[0].location)
                target = Ref((first, *target.terms[1:]), target.location)
        return With(target, value, modifier.location)

    # --- terms

    def _term(self, term: Term) -> Term:
        if isinstance(term, Var):
            meaning = self.scopes.meaning(term.name)
            if meaning is not None:
                return Var(meaning, term.location)
            self.scopes.put(term.name, term.name, SEEN)
            return term
        if isinstance(term, Ref):
            if is_root(term):
                shadow = self.scopes.shadowed(term.root or "")
                return term if shadow is None else Var(shadow, term.location)
            return rebuild(term, self._term, self._inner)
        if isinstance(term, Call):
            for name in variables(term.operator):
                meaning = self.scopes.meaning(name)
                if meaning is not None and meaning != name:
                    self._fail(f"called function {show(term.operator)} shadowed", term.location)
                    break
            return rebuild(term, self._term, self._inner)
        if isinstance(term, COMPREHENSIONS):
            return self._comprehension(term)
        if isinstance(term, Array | Object | Set | TemplateString):
            return rebuild(term, self._term, self._inner)
        return term

    def _comprehension(self, term: Term) -> Term:
        used: set[str] = set()
        bodies: list[Body] = []

        def collect(one: Term) -> Term:
            used.update(variables(one))
            return one

        def renamed(body: Body) -> Body:
            bodies.append(self._body(body, used))
            return bodies[0]

        self.scopes.stack.append({})
        term = rebuild(term, collect, renamed)
        term = rebuild(term, self._term, lambda _: bodies[0])
        self.scopes.stack.pop()
        return term


def _map_head(head: Head, on_term: Callable[[Term], Term], *, ref: bool) -> Head:
    """Return a head with other arguments, key and value; with another reference too if `ref`."""
    terms = head.ref.terms
    if ref:
        terms = (terms[0], *[on_term(one) for one in terms[1:]])
    return replace(
        head,
        args=tuple([on_term(one) for one in head.args]),
        ref=Ref(terms, head.ref.location),
        key=None if head.key is None else on_term(head.key),
        value=None if head.value is None else on_term(head.value),
    )

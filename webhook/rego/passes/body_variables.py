"""Declared variables of bodies to unique ones: ``:=``, ``some``, ``every``, and all that names mean inside.

What a name means follows OPA: a body's declarations hold from where they stand to its end, and in the bodies
inside; a name that was used before it is declared in the same body is an error.
"""

from __future__ import annotations

from dataclasses import replace

from webhook.rego.ast import (
    COMPREHENSIONS,
    Array,
    Body,
    Call,
    Every,
    Expr,
    Location,
    Not,
    Object,
    Ref,
    Set,
    Some,
    TemplateString,
    Term,
    Var,
    With,
)
from webhook.rego.construction import name_ref, true_body
from webhook.rego.errors import COMPILE, Problems
from webhook.rego.node_text import kind, show
from webhook.rego.passes.bindings import equality_outputs
from webhook.rego.passes.names import ASSIGNED, DECLARED, SEEN, Names, Scopes
from webhook.rego.passes.resolve import declared, is_root
from webhook.rego.passes.walk import rebuild, rebuild_expr, variables


class BodyVariables:
    """Renames the variables of bodies; `scopes` and `failed` are those of the rule at hand.

    Args:
        names: makes the unique names.
        problems: takes what is wrong.
    """

    def __init__(self, names: Names, problems: Problems) -> None:
        self.names = names
        self.problems = problems
        self.scopes = Scopes(names)
        self.failed = False

    def fail(self, message: str, location: Location) -> None:
        """Report what is wrong."""
        self.failed = True
        self.problems.add(COMPILE, message, location)

    def body(self, body: Body, used: set[str]) -> Body:
        """Return a body with unique names.

        Args:
            body: its declarations go into the innermost scope.
            used: names that occur beside it, as in a head: what declares them isn't unused.
        """
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
                one = self.expr(expr)
            if one is not None:
                found.append(one)
        result = tuple(found) or true_body(body[0].location)
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
            self.fail(f"declared var {show(Var(name))} unused", at)

    def _declare(self, var: Var, mark: str, location: Location) -> Var | None:
        before = self.scopes.mark(var.name)
        if before is not None:
            self.fail(before.format(show(var)), location)
            return None
        new = self.names.new(var.location)
        self.scopes.put(var.name, new.name, mark)
        return new

    def _assignment(self, expr: Expr, call: Call) -> Expr:
        if expr.negated:
            self.fail("cannot assign vars inside negated expression", expr.location)
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
        self.fail(f"cannot assign to {kind(term)}", term.location)
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
        return self.expr(unified)

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
            body = self.body(every.body, set())
            return self.expr(replace(expr, terms=Every(key, value, domain, body, every.location)))
        finally:
            self.scopes.stack.pop()

    def _not(self, expr: Expr, negation: Not) -> Expr:
        self.scopes.stack.append({})
        body = self.body(negation.body, set())
        expr = self.expr(replace(expr, terms=replace(negation, body=body)))
        self.scopes.stack.pop()
        return expr

    def expr(self, expr: Expr) -> Expr:
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
        return tuple([self.expr(one) for one in body])

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
                    self.fail(f"called function {show(term.operator)} shadowed", term.location)
                    break
            return rebuild(term, self._term, self._inner)
        if isinstance(term, COMPREHENSIONS):
            return self.comprehension(term)
        if isinstance(term, Array | Object | Set | TemplateString):
            return rebuild(term, self._term, self._inner)
        return term

    def comprehension(self, term: Term) -> Term:
        """Return a comprehension: its body declares first, its head comes after."""
        used: set[str] = set()
        bodies: list[Body] = []

        def collect(one: Term) -> Term:
            used.update(variables(one))
            return one

        def renamed(body: Body) -> Body:
            bodies.append(self.body(body, used))
            return bodies[0]

        self.scopes.stack.append({})
        term = rebuild(term, collect, renamed)
        term = rebuild(term, self._term, lambda _: bodies[0])
        self.scopes.stack.pop()
        return term

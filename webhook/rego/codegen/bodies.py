"""The code of bodies: expressions, negation, `every` and `with`."""

from __future__ import annotations

from collections.abc import Callable

from webhook.core.errors import CompileError
from webhook.rego.ast import Body, Boolean, Call, Every, Expr, Location, Not, Ref, Some, Term, Var, With
from webhook.rego.builtins.declaration import DECLARATIONS
from webhook.rego.codegen.asking import Asking
from webhook.rego.codegen.joining import Joined, find
from webhook.rego.codegen.modes import Flag
from webhook.rego.codegen.scope import Scope
from webhook.rego.runtime.joins import Join
from webhook.rego.tree import constant


class Bodies(Asking):
    """Knows the code of bodies."""

    def body(self, body: Body, scope: Scope, result: Callable[[Scope], None]) -> None:
        """Write a body, and `result` where all of it is true; the caller closes the loops."""
        outside = self.pending
        waiting = {id(expr) for expr in body if self.movable(expr)}
        for position, expr in enumerate(body):
            if self.movable(expr) and id(expr) not in waiting:
                continue  # asked already
            waiting.discard(id(expr))
            self.pending = self.askable(body[position + 1 :], waiting)
            before = self.pending
            joined = find(expr, body[position + 1 :], scope, self.raising) if self.joins else None
            if joined is None or joined.prefix[0] in self.root.children:
                scope = self.expr(expr, scope)
            else:
                scope = self.join(joined, scope)
            waiting -= {id(one) for one in before} - {id(one) for one in self.pending}
        self.pending = []
        result(scope)
        self.pending = outside

    @property
    def joins(self) -> bool:
        """Whether documents may be found by an index: not where order shows, or `with` replaces some."""
        return not self.ordered and not self.targets

    def join(self, joined: Joined, scope: Scope) -> Scope:
        """Write a loop over the documents that have a value, with the variables that the reference binds."""
        self.room(1)
        root = self.chain(f"{self.frame}.data", list(joined.prefix), stored=True)
        value, scope = self.value(joined.value, scope)
        join = self.constant(Join(joined.path, joined.inner).candidates)
        names = [self.name("i") for _ in joined.keys]
        found = self.name("v")
        targets = ", ".join([*names, found])
        self.loop(f"for {targets} in {join}({self.budget()}, {root}, {value}, {{weight}}):")
        for variable, name in zip(joined.keys, names, strict=True):
            scope = self.match(variable, name, scope)
        scope = {**scope, joined.document.name: found}
        if self.pending:
            self.filters(scope)
        return scope

    def askable(self, ahead: Body, waiting: set[int]) -> list[Expr]:
        """Return the filters further on that may be asked now: up to what may end the query."""
        found: list[Expr] = []
        for one in ahead if waiting else ():
            if id(one) in waiting:
                found.append(one)
            elif self.raising.expr(one):
                break
        return found

    def expr(self, expr: Expr, scope: Scope) -> Scope:
        """Write an expression: the code goes on once for every way in which it is true."""
        if not expr.with_:
            return self.plain(expr, scope)
        outside, pending = self.frame, self.pending
        self.pending = []  # nothing further on is asked in another frame
        self.frame, scope = self.replacing(expr.with_, scope)
        scope = self.plain(expr, scope)
        self.frame, self.pending = outside, pending
        return scope

    def plain(self, expr: Expr, scope: Scope) -> Scope:
        """Write an expression without its `with`."""
        terms = expr.terms
        if isinstance(terms, Not):
            return self.negation(terms.body, scope)
        if expr.negated:
            return self.negation((Expr(terms, False, (), expr.location),), scope)
        if isinstance(terms, Every):
            return self.every(terms, scope)
        if isinstance(terms, Some):
            return scope
        if isinstance(terms, Call):
            return self.call(terms, scope)
        return self.truth(terms, scope)

    def truth(self, term: Term, scope: Scope) -> Scope:
        """Write: the value of `term` is anything but false."""
        if isinstance(term, Boolean):
            if not term.value:
                self.emit(self.fail)
            return scope
        text, scope = self.value(term, scope)
        if isinstance(term, Var | Ref):
            self.check(f"{self.named(text)} is False")
        return scope

    def negation(self, body: Body, scope: Scope) -> Scope:
        """Write: nothing makes `body` true."""
        if len(body) == 1 and (condition := self.asked(body[0], scope)):
            self.check(condition)
            return scope
        self.room()
        flag = self.name("n")
        self.flagged(body, scope, flag, start="True", found="False")
        self.check(f"not {flag}")
        return scope

    def flagged(self, body: Body, scope: Scope, flag: str, *, start: str, found: str) -> None:
        """Write a body of which only counts whether it is true once.

        Args:
            body: the body.
            scope: the variables that are bound.
            flag: the name of the variable that tells.
            start: the code of its value before.
            found: the code of its value once the body is true.
        """
        mode, ordered, fail, mark = self.mode, self.ordered, self.fail, self.mark()
        self.emit(f"{flag} = {start}")
        self.once()
        self.mode, self.ordered = Flag(flag, found, self.home), False
        self.body(body, scope, lambda _: self.found(found))
        self.close(mark)
        self.mode, self.ordered, self.fail = mode, ordered, fail

    def every(self, every: Every, scope: Scope) -> Scope:
        """Write: the body is true for all that the domain has."""
        domain, scope = self.value(every.domain, scope)
        domain, budget = self.named(domain), self.budget()
        self.check(f"{domain}.__class__ not in SIZED")
        self.room()
        outer, inner = self.name("y"), self.name("n")
        mode, ordered, fail, mark = self.mode, self.ordered, self.fail, self.mark()
        self.emit(f"{outer} = True")
        at, found = self.name("i"), self.name("v")
        # No flag of the loop itself: what is around it is left by the check behind it.
        self.loop(f"for {at}, {found} in ENTRIES({budget}, {domain}, {{weight}}):", real=False)
        bound = scope
        if every.key is not None:
            bound = self.match(every.key, at, bound)
        bound = self.match(every.value, found, bound)
        self.flagged(every.body, bound, inner, start="False", found="True")
        self.emit(f"if not {inner}:")
        self.emit(f" {outer} = False")
        self.emit(" break")
        if self.mark() > mark + 1:
            where = every.location
            raise CompileError("a pattern of every opens a loop", "", where.row, where.column)
        self.close(mark)
        self.mode, self.ordered, self.fail = mode, ordered, fail
        self.check(f"not {outer}")
        return scope

    # With.

    def replacing(self, modifiers: tuple[With, ...], scope: Scope) -> tuple[str, Scope]:
        """Write the frame in which an expression is evaluated; return its name."""
        inputs, data, mocks = [], [], []
        for one in modifiers:
            target = one.target if isinstance(one.target, Ref) else Ref((one.target,), one.location)
            name = Call(target, ()).name
            node = self.function_node(target)
            path = self.constant(tuple([constant(term) for term in target.terms[1:]]))
            if node is not None and node.function:
                mock, scope = self.mock(one.value, scope)
                mocks.append(f"({name!r}, {mock})")
            elif target.root == "input":
                text, scope = self.value(one.value, scope)
                inputs.append(f"({path}, {text})")
            elif target.root == "data":
                text, scope = self.value(one.value, scope)
                data.append(f"({path}, {text})")
            else:
                mock, scope = self.mock(one.value, scope)
                mocks.append(f"({name!r}, {mock})")
        frame = self.name("F")
        lists = ", ".join([f"({''.join(f'{one}, ' for one in listed)})" for listed in (inputs, data, mocks)])
        self.emit(f"{frame} = DERIVE({self.frame}, {lists})")
        number = frame[1:]
        self.own.add(f"I{number}")
        self.emit(f"I{number} = {frame}.input")
        return frame, scope

    def mock(self, value: Term, scope: Scope) -> tuple[str, Scope]:
        """Write what replaces a function: another one, or a value."""
        if isinstance(value, Ref):
            node = self.function_node(value)
            if node is not None and node.function:
                return f"MOCK_FUNCTION(r_{node.number})", scope
            name = Call(value, ()).name
            if name in DECLARATIONS and value.root not in scope:
                return self.mock_builtin(name, value.location), scope
        if isinstance(value, Var) and value.name not in scope and value.name in DECLARATIONS:
            return self.mock_builtin(value.name, value.location), scope
        text, scope = self.value(value, scope)
        return f"MOCK({text})", scope

    def mock_builtin(self, name: str, location: Location) -> str:
        """Return code for a builtin that stands in another function's place."""
        declaration = DECLARATIONS[name]
        function, place = self.constant(declaration.implementation), self.place(location)
        return f"MOCK_BUILTIN({function}, {declaration.needs_context}, {name!r}, {place})"

"""The order of bodies: every variable is bound before it is needed, or the policy is refused.

Expressions keep their order but for those that need what a later one binds. The same holds for bodies
inside, which see the variables of the expressions before them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from webhook.rego.ast import (
    COMPREHENSIONS,
    Body,
    Boolean,
    Call,
    Every,
    Expr,
    Not,
    ObjectComprehension,
    TemplateString,
    Term,
)
from webhook.rego.passes.bindings import equality_outputs, term_outputs, unify
from webhook.rego.passes.rules import Arity
from webhook.rego.passes.unsafe import Unsafe
from webhook.rego.passes.walk import SAFETY, Skip, closures, rebuild, rebuild_expr, variables

TRUE = Boolean(True)
_CALL_OUTPUTS = Skip(closures=True, sets=True, object_keys=True, ref_head=True)


class Safety:
    """Orders bodies, given how many arguments functions have."""

    def __init__(self, arity: Arity) -> None:
        self.arity = arity
        self.skip = Skip(closures=True, call_head=True, implicit=self.unbound)

    # --- what expressions bind

    def outputs(self, expr: Expr, safe: set[str]) -> set[str]:
        """Return the variables that an expression binds."""
        terms = expr.terms
        if expr.negated or isinstance(terms, Not):
            return set()
        if expr.with_ and not variables(Expr(TRUE, with_=expr.with_), SAFETY) <= safe:
            return set()
        if isinstance(terms, Every):
            return term_outputs(terms.domain, safe)
        if not isinstance(terms, Call):
            return set() if isinstance(terms, TemplateString) else term_outputs(expr, safe)
        if terms.name == "eq":
            if len(terms.args) != 2:
                return set()
            found = term_outputs(expr, safe) | safe
            return (found | unify(found, *terms.args)) - safe
        return self._call_outputs(expr, terms, safe)

    def _call_outputs(self, expr: Expr, call: Call, safe: set[str]) -> set[str]:
        arity = self.arity(call.operator)
        if arity < 0:
            return set()
        found = term_outputs(expr, safe)
        if arity >= len(call.args):
            return found
        if variables((call.operator, *call.args[:arity]), _CALL_OUTPUTS) - found - safe:
            return set()
        return found | variables(call.args[arity:], _CALL_OUTPUTS)

    def body_outputs(self, body: Iterable[Expr], safe: set[str]) -> set[str]:
        """Return the variables that a body binds."""
        found = set(safe)
        for expr in body:
            found |= self.outputs(expr, found)
        return found - safe

    def unbound(self, body: Body) -> set[str]:
        """Of the body of a ``not`` without braces, the variables that it doesn't bind itself."""
        if len(body) == 1:
            return variables(body, SAFETY)
        where: dict[str, int] = {}
        bound: set[str] = set()
        for expr in body:
            for name in variables(expr, SAFETY):
                where[name] = where.get(name, 0) + 1
            terms = expr.terms
            if not isinstance(terms, Call):
                continue
            if terms.name == "eq" and len(terms.args) == 2:
                bound |= equality_outputs(*terms.args, set())
            elif 0 <= (arity := self.arity(terms.operator)) < len(terms.args):
                bound |= variables(terms.args[arity:], _CALL_OUTPUTS)
        return {name for name, count in where.items() if name not in bound or count == 1}

    # --- ordering

    def order(self, body: Body, outer: set[str], unsafe: Unsafe) -> Body:
        """Return a body in its order, and the bodies inside of it in theirs.

        Args:
            body: as it was written.
            outer: the variables that are bound around it.
            unsafe: takes the expressions that need what nothing binds.
        """
        names = [variables(expr, self.skip) for expr in body]
        visible = set[str]().union(*names)
        closed = [self._closed_over(expr) & visible - outer for expr in body]
        attempt = _Attempt(self, body, names, closed, visible & outer)
        attempt.run()
        if attempt.waiting:
            lenient = _Attempt(self, body, names, closed, visible & outer, lenient=True)
            lenient.run()
            reported = lenient if lenient.waiting else attempt
            for index in reported.waiting:
                unsafe.note(body[index], reported.missing[index])
        return self._order_closures([body[index] for index in attempt.placed], outer, unsafe)

    def _closed_over(self, expr: Expr) -> set[str]:
        """All variables in the bodies inside an expression."""
        found: set[str] = set()
        for one in closures(expr):
            if isinstance(one, Expr) and isinstance(one.terms, Every | Not):
                found |= variables(one.terms.body)
            else:
                found |= variables(one)
        return found

    def _order_closures(self, body: list[Expr], outer: set[str], unsafe: Unsafe) -> Body:
        seen = set(outer)
        result: list[Expr] = []
        for index, expr in enumerate(body):
            if index:
                seen |= variables(body[index - 1], self.skip)
            result.append(_Closures(self, expr, seen, unsafe).expr(expr))
        return tuple(result)


class _Attempt:
    """Places expressions as soon as all that they need is bound.

    OPA takes some expressions for placed that aren't: an ``=`` behind a call that waits only for what a
    closure in it needs. It isn't wrong about the policy, but it reports fewer variables; `lenient` does so
    too.
    """

    def __init__(
        self,
        safety: Safety,
        body: Body,
        names: list[set[str]],
        closed: list[set[str]],
        safe: set[str],
        lenient: bool = False,
    ) -> None:
        self.safety = safety
        self.body = body
        self.closed = closed
        self.safe = safe
        self.lenient = lenient
        self.missing = [one - safe for one in names]
        self.relevant = [one | other for one, other in zip(names, closed, strict=True)]
        self.placed: list[int] = []
        self.waiting = list(range(len(body)))
        self.leaked: set[str] = set()

    def run(self) -> None:
        """Place all that can be."""
        seen: list[int] = [-1] * len(self.body)
        while self.waiting:
            left: list[int] = []
            for index in self.waiting:
                bound = len(self.relevant[index] & self.safe)
                if (bound == seen[index] and not self.lenient) or not self._place(index):
                    left.append(index)
                else:
                    self.placed.append(index)
                seen[index] = bound
            if len(left) == len(self.waiting):
                return
            self.waiting = left

    def _place(self, index: int) -> bool:
        expr = self.body[index]
        outputs = self._outputs(expr)
        if outputs and self.closed[index] == outputs:  # it would close over what it binds itself
            return False
        # OPA forgets `missing` where something is closed over, and takes unbound operands for bound.
        self.missing[index] = (self.missing[index] | self.closed[index]) - outputs - self.safe
        if self.missing[index]:
            return False
        self.safe |= outputs
        return True

    def _outputs(self, expr: Expr) -> set[str]:
        safe = self.safe
        if not self.lenient:
            return self.safety.outputs(expr, safe)
        is_equality = expr.operator == "eq"
        outputs = self.safety.outputs(expr, safe | self.leaked if is_equality else safe)
        if is_equality:
            outputs, self.leaked = outputs | self.leaked, set()
        elif isinstance(expr.terms, Call):
            self.leaked = set(outputs)
        return outputs


class _Closures:
    """Orders the bodies inside one expression."""

    def __init__(self, safety: Safety, current: Expr, outer: set[str], unsafe: Unsafe) -> None:
        self.safety = safety
        self.current = current
        self.outer = outer
        self.unsafe = unsafe

    def expr(self, expr: Expr) -> Expr:
        terms = expr.terms
        if isinstance(terms, Every):
            self.outer |= variables(terms.value) | (set() if terms.key is None else variables(terms.key))
            return replace(expr, terms=replace(terms, body=self.body(terms.body)))
        if isinstance(terms, Not):
            return replace(expr, terms=replace(terms, body=self.body(terms.body)))
        return rebuild_expr(expr, self.term, self.body)

    def body(self, body: Body) -> Body:
        unsafe = Unsafe()
        ordered = self.safety.order(body, self.outer, unsafe)
        if not unsafe.found:
            return ordered
        self.unsafe.update(unsafe)
        return body

    def term(self, term: Term) -> Term:
        if isinstance(term, COMPREHENSIONS):
            heads = (term.key, term.value) if isinstance(term, ObjectComprehension) else (term.term,)
            bound = variables(term.body, self.safety.skip) | self.outer
            missing = variables(heads) - bound
            if missing:
                self.unsafe.note(self.current, missing)
            return replace(term, body=self.body(term.body))
        return rebuild(term, self.term, self.body)

"""Which variables references and unifications bind, given those that are bound already."""

from __future__ import annotations

from webhook.rego.ast import (
    COMPREHENSIONS,
    Array,
    ArrayComprehension,
    Call,
    Expr,
    Object,
    ObjectComprehension,
    Ref,
    TemplateString,
    Term,
    Var,
    is_ground,
)
from webhook.rego.passes.walk import OUTPUTS, SAFETY, Skip, inside, variables


def ref_is_safe(ref: Ref, safe: set[str]) -> bool:
    """Whether what a reference begins with is bound."""
    head = ref.terms[0]
    return head.name in safe if isinstance(head, Var) else variables(head, SAFETY) <= safe


def unify(safe: set[str], a: Term, b: Term) -> set[str]:
    """Return the variables that ``a = b`` binds."""
    unifier = _Unifier(safe)
    unifier.unify(a, b)
    return unifier.unified


class _Unifier:
    def __init__(self, safe: set[str]) -> None:
        self.safe = safe
        self.unified: set[str] = set()
        #: What must be bound before a variable is.
        self.unknown: dict[str, set[str]] = {}

    def is_safe(self, name: str) -> bool:
        return name in self.safe or name in self.unified

    def unify(self, a: Term, b: Term) -> None:
        if isinstance(a, Var):
            self._var(a, b)
        elif isinstance(b, Var):
            self._var(b, a)
        elif isinstance(a, Array) and isinstance(b, Array):
            if len(a.items) == len(b.items):
                for left, right in zip(a.items, b.items, strict=True):
                    self.unify(left, right)
        elif isinstance(a, Object) and isinstance(b, Object):
            if len(a.items) == len(b.items):
                values = dict(b.items)
                for key, left in a.items:
                    if key in values:
                        self.unify(left, values[key])
        elif isinstance(a, Array | Object):
            self._pattern(a, b)
        elif isinstance(b, Array | Object):
            self._pattern(b, a)

    def _var(self, a: Var, b: Term) -> None:
        if isinstance(b, Var):
            if self.is_safe(b.name):
                self.mark(a.name)
            elif self.is_safe(a.name):
                self.mark(b.name)
            else:
                self.unknown.setdefault(a.name, set()).add(b.name)
                self.unknown.setdefault(b.name, set()).add(a.name)
        elif isinstance(b, Array | Object):
            self._var_and_pattern(a, b)
        elif isinstance(b, Ref):
            if ref_is_safe(b, self.safe):
                self.mark(a.name)
        elif isinstance(b, Call):
            if variables(b, SAFETY) <= self.safe:
                self.mark(a.name)
        else:
            self.mark(a.name)

    def _pattern(self, pattern: Array | Object, other: Term) -> None:
        if isinstance(other, Ref):
            bound = ref_is_safe(other, self.safe)
        elif isinstance(other, Call):
            bound = variables(other, SAFETY) <= self.safe
        elif isinstance(pattern, Array):
            bound = isinstance(other, COMPREHENSIONS)
        else:
            bound = isinstance(other, ObjectComprehension)
        if bound and not (isinstance(pattern, Object) and isinstance(other, ArrayComprehension)):
            self.mark_all(pattern)

    def _var_and_pattern(self, a: Var, b: Term) -> None:
        if self.is_safe(a.name):
            self.mark_all(b)
            return
        unsafe = variables(b, OUTPUTS) - self.safe - self.unified
        if not unsafe:
            self.mark(a.name)
        else:
            self.unknown.setdefault(a.name, set()).update(unsafe)

    def mark_all(self, term: Term) -> None:
        for name in variables(term, OUTPUTS):
            self.mark(name)

    def mark(self, name: str) -> None:
        """Note that a variable is bound, and what follows from it."""
        todo = [name]
        while todo:
            one = todo.pop()
            self.unified.add(one)
            todo.extend(self.unknown.pop(one, ()))
            for other, needed in list(self.unknown.items()):
                if one in needed:
                    needed.discard(one)
                    if not needed:
                        todo.append(other)


def term_outputs(node: Expr | Term, safe: set[str]) -> set[str]:
    """Return the variables in references that selecting binds, as `i` in ``xs[i]``."""
    found: set[str] = set()

    def stop(one: Term | Expr) -> bool:
        if isinstance(one, (*COMPREHENSIONS, TemplateString)):
            return True
        return isinstance(one, Ref) and not ref_is_safe(one, safe)

    for one in inside(node, stop):
        if isinstance(one, Ref) and not is_ground(one) and ref_is_safe(one, safe):
            found |= variables(one, Skip(ref_head=True))
    return found


def equality_outputs(a: Term, b: Term, safe: set[str]) -> set[str]:
    """Return the variables that ``a = b`` binds."""
    found = term_outputs(Expr(Call(Ref((a,)), (a, b))), safe) | safe
    return (found | unify(found, a, b)) - safe

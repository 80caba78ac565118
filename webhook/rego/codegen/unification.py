"""The code of unification: what binds, what takes apart, what only compares."""

from __future__ import annotations

from webhook.core.errors import CompileError
from webhook.rego.ast import Array, Boolean, Null, Number, Object, Ref, String, Term, Var
from webhook.rego.codegen.scope import Scope, has_free, is_free, names_in
from webhook.rego.codegen.terms import Terms
from webhook.rego.passes.walk import is_constant
from webhook.rego.tree import constant_of
from webhook.rego.values import key

Pair = tuple[Term, Term]


class Unification(Terms):
    """Knows the code of ``=`` and of patterns."""

    def unify(self, left: Term, right: Term, scope: Scope) -> Scope:
        """Write the unification of two terms; pairs of which no side is known yet wait for the others."""
        waiting = [(left, right)]
        while waiting:
            a, b = waiting.pop(self.next_pair(waiting, scope))
            inner = self.inner_pairs(a, b, scope)
            if inner is None:
                scope = self.pair(a, b, scope)
            elif inner is _NEVER:
                self.emit(self.fail)
                return {**dict.fromkeys([*names_in(left), *names_in(right)], "U"), **scope}
            else:
                waiting.extend(inner)
        return scope

    def next_pair(self, waiting: list[Pair], scope: Scope) -> int:
        """Return which pair can be written now."""
        for position, (a, b) in enumerate(waiting):
            if self.known(a, scope) or self.known(b, scope) or self.inner_pairs(a, b, scope) is not None:
                return position
        if all(isinstance(a, Var) and a.wildcard for a, _ in waiting):
            return 0
        where = waiting[0][0].location
        raise CompileError("variables are unified that nothing binds", "", where.row, where.column)

    def inner_pairs(self, a: Term, b: Term, scope: Scope) -> list[Pair] | None:
        """Return the pairs that two collections are made of, `_NEVER`, or None: they stay whole."""
        if isinstance(a, Array) and isinstance(b, Array):
            return list(zip(a.items, b.items, strict=True)) if len(a.items) == len(b.items) else _NEVER
        if not (isinstance(a, Object) and isinstance(b, Object)):
            return None
        if not (has_free(a, scope) and has_free(b, scope)):
            return None
        if not all(is_constant(k) for k, _ in (*a.items, *b.items)):
            raise CompileError(
                "unifies two objects with variable keys", "", a.location.row, a.location.column
            )
        first = {key(constant_of(k)): v for k, v in a.items}
        second = {key(constant_of(k)): v for k, v in b.items}
        return [(v, second[k]) for k, v in first.items()] if first.keys() == second.keys() else _NEVER

    def known(self, term: Term, scope: Scope) -> bool:
        """Tell whether the value of `term` can be written now: a reference binds what is free in it."""
        return isinstance(term, Ref) or not has_free(term, scope)

    def pair(self, a: Term, b: Term, scope: Scope) -> Scope:
        """Write one pair: the value of a side, matched with the other."""
        if isinstance(a, Var) and a.wildcard and not self.known(b, scope):
            return scope
        if (not self.known(a, scope)) or (isinstance(b, Ref) and not isinstance(a, Ref)):
            a, b = b, a  # a reference comes first: its loops bind what the other side may have
        elif is_constant(a) and not isinstance(b, Ref) and self.known(b, scope):
            a, b = b, a
        text, scope = self.value(a, scope)
        return self.match(b, text, scope)

    def match(self, pattern: Term, name: str, scope: Scope) -> Scope:
        """Write the unification of `pattern` with a value."""
        if isinstance(pattern, Var) and is_free(pattern, scope):
            return scope if pattern.wildcard else {**scope, pattern.name: self.named(name)}
        if has_free(pattern, scope):
            if isinstance(pattern, Array):
                return self.match_array(pattern, self.named(name), scope)
            if isinstance(pattern, Object):
                return self.match_object(pattern, self.named(name), scope)
        text, scope = self.value(pattern, scope)
        self.check(self.unequal(pattern, text, name))
        return scope

    def unequal(self, pattern: Term, text: str, name: str) -> str:
        """Return code that tells whether two values differ; `text` is the code of `pattern`."""
        if isinstance(pattern, String):
            return f"{name} != {text}"
        if isinstance(pattern, Null | Boolean):
            return f"{self.named(name)} is not {text}"
        if isinstance(pattern, Number) and text.strip("()").lstrip("-").isdigit():
            name = self.named(name)
            return f"{name} != {text} or {name}.__class__ is BOOL"
        return f"not ({self.same(name, text)})"

    def same(self, name: str, text: str) -> str:
        """Return code that tells whether two values of any kind are equal: most are texts."""
        name = self.named(name)
        short = f"{name}.__class__ is STR and LEN({name}) < 4096"
        return f"{name} == {text} if {short} else EQUAL({name}, {text})"

    def match_array(self, pattern: Array, name: str, scope: Scope) -> Scope:
        """Write: an array of so many elements, each matched."""
        self.check(f"{name}.__class__ is not LIST or LEN({name}) != {len(pattern.items)}")
        return self.elements([(item, f"{name}[{i}]") for i, item in enumerate(pattern.items)], scope)

    def match_object(self, pattern: Object, name: str, scope: Scope) -> Scope:
        """Write: an object with these keys alone, each value matched."""
        self.check(f"{name}.__class__ is not DICT and {name}.__class__ is not OBJECTS")
        self.check(f"LEN({name}) != {len(pattern.items)}")
        parts = []
        for k, v in pattern.items:
            text, scope = self.value(k, scope)
            found = self.name("t")
            self.emit(f"{found} = LOOKUP({name}, {text})")
            self.check(f"{found} is U")
            parts.append((v, found))
        return self.elements(parts, scope)

    def elements(self, parts: list[tuple[Term, str]], scope: Scope) -> Scope:
        """Match the parts of a value, in order."""
        for part, text in parts:
            if not (isinstance(part, Var) and part.wildcard):
                scope = self.match(part, self.named(text), scope)
        return scope


_NEVER: list[Pair] = []  # told from an empty list by identity

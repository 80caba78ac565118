"""Declared variables of rules to unique ones: of arguments, then of the body, then in the head."""

from __future__ import annotations

from dataclasses import replace

from webhook.rego.ast import (
    COMPREHENSIONS,
    SCALARS,
    Array,
    Body,
    Call,
    Object,
    Ref,
    Rule,
    TemplateString,
    Term,
    Var,
    chain,
)
from webhook.rego.construction import chained
from webhook.rego.passes.body_variables import BodyVariables
from webhook.rego.passes.names import ARGUMENT, SEEN, Scopes
from webhook.rego.passes.resolve import is_root
from webhook.rego.passes.walk import rebuild, rebuild_expr, rebuild_head, variables


class LocalVariables(BodyVariables):
    """Renames the variables of one rule after the other."""

    def rule(self, rule: Rule) -> Rule:
        """Return a rule and its `else` with unique names."""
        self.scopes = Scopes(self.names)
        args = tuple([self._argument(one) for one in rule.head.args])
        scope = dict(self.scopes.stack[0])
        rules = []
        for position, one in enumerate(chain(rule)):
            if position == 0:
                one = replace(one, head=replace(one.head, args=args))
            self.scopes.stack = [dict(scope)]
            self.failed = False
            rules.append(self._one(one))
        return chained(rules)

    def _argument(self, term: Term) -> Term:
        if isinstance(term, Var):
            meaning = self.scopes.meaning(term.name)
            if meaning is None:
                meaning = self.names.new(term.location).name
                self.scopes.put(term.name, meaning, ARGUMENT)
            return Var(meaning, term.location)
        if isinstance(term, Call):
            self.fail("rule arguments cannot contain calls", term.location)
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
            return replace(rule, body=self.body(rule.body, set()))
        outer = self.scopes.stack
        head = rebuild_head(head, self._nested_in_head)
        self.scopes.stack = outer
        used = variables(head.ref.terms[1:])
        for one in (head.key, head.value):
            if one is not None:
                used |= variables(one)
        body = self.body(rule.body, used)
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

        return replace(rule, head=rebuild_head(head, renamed, ref=True), body=body)

    def _nested_in_head(self, term: Term) -> Term:
        """Closures in a head have names of their own: the body's aren't known yet."""
        if isinstance(term, COMPREHENSIONS):
            self.scopes.stack = [{}]
            return self.comprehension(term)
        if isinstance(term, TemplateString):
            self.scopes.stack = [{}]
            return rebuild(term, lambda one: one, self._template_body)
        return rebuild(term, self._nested_in_head, lambda body: body)

    def _template_body(self, body: Body) -> Body:
        self.scopes.stack.append({})
        body = tuple([self.expr(one) for one in body])
        self.scopes.stack.pop()
        return body

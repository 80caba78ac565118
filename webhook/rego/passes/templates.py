"""Template strings to calls of ``internal.template_string`` over an array of strings and of sets.

A part that may be undefined is in a set comprehension: the set is then empty, and ``<undefined>`` is written.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from webhook.rego.ast import (
    COMPREHENSIONS,
    Array,
    Body,
    Call,
    Every,
    Expr,
    ObjectComprehension,
    Ref,
    Rule,
    Set,
    SetComprehension,
    String,
    TemplateString,
    Term,
    Var,
)
from webhook.rego.construction import call
from webhook.rego.errors import COMPILE, Problems
from webhook.rego.node_text import show
from webhook.rego.passes.names import Names
from webhook.rego.passes.safety import Safety
from webhook.rego.passes.walk import (
    SAFETY,
    head_terms,
    inside,
    rebuild,
    rebuild_expr,
    rebuild_head,
    variables,
)


class Templates:
    """Rewrites the template strings of one rule after the other.

    Args:
        names: makes variables.
        safety: knows what bodies bind.
        defined: whether a reference is to a rule that is never undefined.
        relation: whether a name is that of a builtin with many results.
        problems: where errors go.
    """

    def __init__(
        self,
        names: Names,
        safety: Safety,
        defined: Callable[[Ref], bool],
        relation: Callable[[str], bool],
        problems: Problems,
    ) -> None:
        self.names = names
        self.safety = safety
        self.defined = defined
        self.relation = relation
        self.problems = problems

    def rule(self, rule: Rule) -> Rule:
        """Return a rule without template strings; not its `else`."""
        terms = (*head_terms(rule), *rule.head.ref.terms)
        if not any(isinstance(node, TemplateString) for one in (*terms, *rule.body) for node in inside(one)):
            return rule
        safe = variables(rule.head.args) | {"data", "input"}
        inner = safe | self.safety.body_outputs(rule.body, safe)
        body = tuple([self._expr(one, inner) for one in rule.body])
        head = rebuild_head(rule.head, lambda term: self._term(term, inner))
        return replace(rule, head=head, body=body)

    def _body(self, body: Body, safe: set[str]) -> Body:
        safe = safe | self.safety.body_outputs(body, safe)
        return tuple([self._expr(one, safe) for one in body])

    def _expr(self, expr: Expr, safe: set[str]) -> Expr:
        terms = expr.terms
        inner = safe
        if isinstance(terms, Every):
            inner = safe | variables(terms.value) | (set() if terms.key is None else variables(terms.key))
        return rebuild_expr(expr, lambda one: self._term(one, safe), lambda body: self._body(body, inner))

    def _term(self, term: Term, safe: set[str]) -> Term:
        if isinstance(term, COMPREHENSIONS):
            inner = safe | self.safety.body_outputs(term.body, safe)
            body = self._body(term.body, safe)
            if isinstance(term, ObjectComprehension):
                key, value = self._term(term.key, inner), self._term(term.value, inner)
                return ObjectComprehension(key, value, body, term.location)
            return replace(term, term=self._term(term.term, inner), body=body)
        if isinstance(term, TemplateString):
            return self._template(term, safe)
        return rebuild(term, lambda one: self._term(one, safe), lambda body: self._body(body, safe))

    def _template(self, template: TemplateString, safe: set[str]) -> Call:
        at = template.location
        parts: list[Term] = []
        for part in template.parts:
            if isinstance(part, Expr):
                found = self._part(part, safe)
                if found is not None:
                    parts.append(found)
            else:
                parts.append(part)
        if not template.parts:
            parts.append(String("", at))
        return call("internal.template_string", Array(tuple(parts), at), location=at)

    def _part(self, part: Expr, safe: set[str]) -> Term | None:
        term = part.terms
        at = part.location
        if isinstance(term, Call) and self.relation(term.name):
            message = f"illegal call to relation built-in '{term.name}' that may cause multiple outputs"
            self.problems.add(COMPILE, message, at)
            return None
        assert not isinstance(term, Every) and hasattr(term, "location")  # noqa: S101, PT018 - the parser refuses others
        if isinstance(term, Var) or (isinstance(term, Ref) and self.defined(term)):
            return Set((term,), at)
        at = term.location
        missing = variables(term, SAFETY) - safe  # type: ignore[arg-type]
        for name in sorted(missing):
            self.problems.add(COMPILE, f"var {show(Var(self.names.original(name)))} is undeclared", at)
        term = self._term(term, safe)  # type: ignore[arg-type]
        new = self.names.new(at)
        capture = Expr(call("eq", new, term, location=at), with_=part.with_, location=at)
        return SetComprehension(new, (capture,), at)

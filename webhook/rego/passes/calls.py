"""Calls: of what isn't there or isn't allowed, with the wrong number of arguments, or for no value."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from webhook.rego.ast import Body, Call, Expr, Rule
from webhook.rego.builtins.declaration import Declaration
from webhook.rego.builtins.operand_names import named
from webhook.rego.construction import true_body
from webhook.rego.errors import TYPE, Problems
from webhook.rego.node_text import show
from webhook.rego.passes.names import Names
from webhook.rego.passes.rules import Arity
from webhook.rego.passes.type_check import TypeChecker
from webhook.rego.passes.walk import (
    head_terms,
    inside,
    map_bodies,
    map_bodies_of,
    rebuild_head,
    rule_expressions,
)
from webhook.rego.types import show_arguments


class Calls:
    """Checks the calls in rules.

    Args:
        builtins: the declared ones, by name.
        refused: those of OPA's that aren't there, with what to use instead.
        arity: how many arguments a function has.
        names: knows how variables were written.
        problems: where errors go.
    """

    def __init__(
        self,
        builtins: Mapping[str, Declaration],
        refused: Mapping[str, str],
        arity: Arity,
        names: Names,
        problems: Problems,
    ) -> None:
        self.builtins = builtins
        self.refused = refused
        self.arity = arity
        self.names = names
        self.problems = problems

    def check_values(self, rules: Iterable[Rule]) -> None:
        """Refuse what has no value, which is ``print``, as a value."""
        for rule in rules:
            for term in (*head_terms(rule), *rule.body):
                whole = {id(one.terms) for one in inside(term) if isinstance(one, Expr)}
                for node in inside(term):
                    if isinstance(node, Call) and id(node) not in whole:
                        self._void(node)

    def _void(self, call: Call) -> None:
        declared = self.builtins.get(call.name)
        if declared is not None and declared.result is None:
            self.problems.add(TYPE, f"{show(call)} used as value", call.location)

    def check_functions(self, rules: Iterable[Rule]) -> None:
        """Refuse calls of what isn't there, or isn't allowed, or has another number of arguments."""
        for rule in rules:
            for expr in rule_expressions(rule):
                if isinstance(expr.terms, Call):
                    self._function(expr, expr.terms)

    def _function(self, expr: Expr, call: Call) -> None:
        name = call.name
        if name in self.refused and name not in self.builtins:
            message = f"unsafe built-in function calls in expression: {name}"
            self.problems.add(TYPE, message, expr.location, (self.refused[name],))
            return
        arity = self.arity(call.operator)
        if arity < 0:
            shown = show(self.names.as_written(call.operator))
            self.problems.add(TYPE, f"undefined function {shown}", expr.location)
            return
        given = len(call.args)
        declared = self.builtins.get(name)
        if declared is not None and declared.variadic is not None and given >= arity:
            return
        if expr.generated:
            if call.name == "eq" or given == arity + 1:
                return
            given -= 1
        elif given in (arity, arity + 1):
            return
        self._arity(expr, call, arity, given)

    def _arity(self, expr: Expr, call: Call, arity: int, given: int) -> None:
        shown = show(self.names.as_written(call.operator))
        declared = self.builtins.get(call.name)
        if declared is not None:
            scope = TypeChecker(self.builtins, self.names).environment
            have = show_arguments(map(scope.of, call.args))
            want = ", ".join(named(declared.name, list(map(str, declared.arguments))))
            details = (f"have: ({have})", f"want: ({want})")
            self.problems.add(TYPE, f"{shown}: arity mismatch", expr.location, details)
            return
        plural = "argument" if given == 1 else "arguments"
        message = f"function {shown} has arity {arity}, got {given} {plural}"
        self.problems.add(TYPE, message, expr.location)

    def check_deprecated(self, rules: Iterable[Rule]) -> None:
        """Refuse deprecated builtins."""
        for rule in rules:
            for expr in rule_expressions(rule):
                declared = self.builtins.get(expr.operator or "")
                if declared is not None and declared.deprecated:
                    message = f"deprecated built-in function calls in expression: {declared.name}"
                    self.problems.add(TYPE, message, expr.location)


def erase_prints(rule: Rule) -> Rule:
    """Return a rule without calls of ``print``; not its `else`."""

    def erased(body: Body) -> Body:
        kept = tuple([one for one in body if one.operator != "print"])
        if kept or not body:
            return kept
        return true_body(body[0].location)

    head = rebuild_head(rule.head, lambda term: map_bodies_of(term, erased), args=False)
    return replace(rule, head=head, body=erased(tuple([map_bodies(one, erased) for one in rule.body])))

"""Constant operands of builtins that understand only a part of them: what they don't is refused at once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from webhook.core.errors import BudgetExceeded
from webhook.rego.ast import Call, Expr, Ref, Rule, Term, Var
from webhook.rego.builtins.declaration import Declaration
from webhook.rego.context import BuiltinError, Context, Halt
from webhook.rego.errors import TYPE, Problems
from webhook.rego.passes.walk import is_constant, rule_expressions
from webhook.rego.tree import constant_of

_STEPS: Final = 8
"""Through how many variables and rules an operand is followed."""


class Constants:
    """Looks at the operands of calls that are constants, or are rules and variables that are.

    Args:
        builtins: the declared ones, by name.
        rules: all of them, and each of their `else`, by the text of their path.
        problems: where errors go.
    """

    def __init__(
        self, builtins: Mapping[str, Declaration], rules: Iterable[tuple[Ref, Rule]], problems: Problems
    ) -> None:
        self.builtins = {name: one for name, one in builtins.items() if one.constants}
        self.problems = problems
        self.rules = list(rules)
        self.values: dict[tuple[Term, ...], list[Rule]] = {}
        for path, rule in self.rules:
            if rule.head.value is not None and not rule.head.args:
                self.values.setdefault(path.terms, []).append(rule)

    def check(self) -> None:
        """Note the calls whose constant operands aren't understood."""
        for _, rule in self.rules:
            found = list(rule_expressions(rule))
            calls = [one for one in found if one.operator in self.builtins]
            if not calls:
                continue
            bound = _bound(found)
            for expr in calls:
                assert isinstance(expr.terms, Call)  # noqa: S101 - it has an operator
                self._call(expr, expr.terms, bound)

    def _call(self, expr: Expr, call: Call, bound: Mapping[str, list[Term]]) -> None:
        for position, understood in self.builtins[call.name].constants.items():
            for value in self._constants(call.args[position], bound, _STEPS):
                try:
                    understood(Context(), value)
                except BuiltinError:
                    continue  # OPA takes it, and the call is undefined
                except (Halt, BudgetExceeded) as error:
                    what = str(error).removeprefix(f"{call.name}: ")
                    self.problems.add(TYPE, f"{call.name}: {what}", expr.location)
                    return

    def _constants(self, term: Term, bound: Mapping[str, list[Term]], steps: int) -> Iterator[Any]:
        if is_constant(term):
            yield constant_of(term)
        elif steps and isinstance(term, Var):
            for one in bound.get(term.name, ()):
                yield from self._constants(one, bound, steps - 1)
        elif steps and isinstance(term, Ref):
            for rule in self.values.get(term.terms, ()):
                if rule.head.value is not None:
                    yield from self._constants(rule.head.value, _bound(rule.body), steps - 1)


def _bound(found: Iterable[Expr]) -> dict[str, list[Term]]:
    """Return what variables are unified with."""
    bound: dict[str, list[Term]] = {}
    for expr in found:
        if isinstance(expr.terms, Call) and expr.terms.name == "eq":
            for one, other in (expr.terms.args, expr.terms.args[::-1]):
                if isinstance(one, Var) and one != other:
                    bound.setdefault(one.name, []).append(other)
    return bound

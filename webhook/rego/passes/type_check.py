"""The type checker: refuses what can't have a value, in OPA's words.

It is as lenient as OPA's: the bodies of ``every`` and ``not { … }`` are only looked at for references.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from operator import is_
from typing import Final

from webhook.rego import types
from webhook.rego.ast import COMPREHENSIONS, Call, Expr, Location, Ref, Rule, Term, Var, is_ground
from webhook.rego.builtins.declaration import Declaration
from webhook.rego.builtins.operand_names import named
from webhook.rego.construction import name_ref
from webhook.rego.errors import TYPE, Problem, RegoError
from webhook.rego.node_text import show
from webhook.rego.passes.names import Names
from webhook.rego.passes.type_environment import TypeEnvironment
from webhook.rego.passes.type_references import References
from webhook.rego.passes.type_unification import TypeUnifier, unifies
from webhook.rego.passes.walk import inside, parts, variables
from webhook.rego.types import ANY, Type, show_arguments, unknown

#: So many bodies of comprehensions are checked for one rule; OPA checks them again and again where they nest.
MAX_BODIES: Final = 5000
#: How deep comprehensions nest that are checked from outside too.
MAX_REPEATED: Final = 5


@dataclass(frozen=True, slots=True)
class _Checked:
    """What a comprehension's body came to, where its variables had these types before."""

    state: list[Type | None]
    scope: TypeEnvironment
    problems: tuple[Problem, ...]


@dataclass(frozen=True, slots=True)
class _Known:
    """A comprehension, the variables in it, and what its body came to so far."""

    term: Term
    free: tuple[Var, ...]
    checked: list[_Checked]


class _Found:
    """An error, and whether it may only follow from another one: a type in it isn't known."""

    def __init__(self, problem: Problem, follows: bool = False) -> None:
        self.problem = problem
        self.follows = follows


class TypeChecker:
    """Checks rules, each after those that it refers to.

    Args:
        builtins: the declared ones, by name.
        names: knows how variables were written.
    """

    def __init__(self, builtins: Mapping[str, Declaration], names: Names) -> None:
        self.names = names
        self.known: dict[int, _Known] = {}
        self.depth = 0
        self.bodies = 0
        self.problems: list[Problem] = []
        base = TypeEnvironment(None, self._inside)
        for one in builtins.values():
            of = types.Function(tuple(one.arguments), one.result, one.variadic)
            base.tree.put(name_ref(one.name).terms, of)
        self.environment = base.inner()

    # --- rules

    def rules(self, rules: Iterable[tuple[Ref, Rule]]) -> list[Problem]:
        """Check rules with their paths, in this order; the problems by their places."""
        for path, rule in rules:
            self.bodies = 0
            self._rule(path, rule)
            self.known.clear()
        return sorted(self.problems, key=lambda one: (one.location.order, one.message))

    def _rule(self, path: Ref, rule: Rule) -> None:
        scope, problems = self._body(self.environment.inner(), rule.body)
        self.problems += problems
        tree = self.environment.tree
        if problems:
            tree.put(path.terms, ANY)
            return
        head = rule.head
        of: Type | None
        if head.args:
            for arg in head.args:
                for node in inside(arg):
                    if isinstance(node, Var) and scope.of(node) is None:
                        scope.put(node, ANY)
            assert head.value is not None  # noqa: S101 - functions have one
            of = types.Function(tuple([scope.of(one) for one in head.args]), scope.of(head.value))
        elif head.value is not None:
            of = scope.of(head.value)
        else:
            assert head.key is not None  # noqa: S101 - one of the two is there
            key = scope.of(head.key)
            of = None if key is None else types.Set(key)
        if not head.args and of is not None and not is_ground(path):
            prefix = path.ground_prefix()
            of = self._nested(scope, path.terms[len(prefix.terms) :], of)
            path = prefix
        if of is not None:
            tree.insert(path.terms, of, self.environment)

    def _nested(self, scope: TypeEnvironment, keys: tuple[Term, ...], of: Type) -> Type | None:
        for key in reversed(keys):
            key_type = scope.of(key)
            if key_type is None:
                return None
            of = types.Object((), (key_type, of))
        return of

    # --- bodies

    def _inside(self, scope: TypeEnvironment, term: Term) -> TypeEnvironment | None:
        inner, problems = self._comprehension(scope, term)
        return None if problems else inner

    def _comprehension(
        self, scope: TypeEnvironment, term: Term
    ) -> tuple[TypeEnvironment, tuple[Problem, ...]]:
        assert isinstance(term, COMPREHENSIONS)  # noqa: S101 - only those have a body
        before = self.known.get(id(term))
        if before is None:
            free = tuple([Var(name) for name in variables(term)])
            before = self.known[id(term)] = _Known(term, free, [])
        state = [scope.of(one) for one in before.free]
        for one in before.checked:
            if all(map(is_, state, one.state)):
                return one.scope, one.problems
        self.depth += 1
        inner, problems = self._body(scope, term.body)
        self.depth -= 1
        before.checked.append(_Checked(state, inner, tuple(problems)))
        return inner, tuple(problems)

    def _body(self, scope: TypeEnvironment, body: tuple[Expr, ...]) -> tuple[TypeEnvironment, list[Problem]]:
        self.bodies += 1
        if self.bodies > MAX_BODIES:
            message = "comprehensions nest too deeply to be checked: use rules for the inner ones"
            raise RegoError((Problem(TYPE, message, body[0].location),))
        scope = scope.inner()
        problems: list[Problem] = []
        references = References(scope, self.names)
        for expr in body:
            closed = self._closures(scope, expr)
            references.problems = []
            references.visit(expr)
            problems += (*closed, *references.problems)
            found = self._expr(scope, expr)
            if found is not None and not (found.follows and (closed or references.problems)):
                problems.append(found.problem)
        return scope, problems

    def _closures(self, scope: TypeEnvironment, expr: Expr) -> tuple[Problem, ...]:
        """Check the comprehensions in an expression, and as OPA does, those in them once more from here."""
        problems: tuple[Problem, ...] = ()
        stack: list[tuple[Term | Expr, int]] = [(expr, 0)]
        while stack:
            node, inner = stack.pop()
            if isinstance(node, COMPREHENSIONS):
                if inner and self.depth + inner > MAX_REPEATED:
                    continue
                _, found = self._comprehension(scope, node)
                if found:
                    problems = found
                    continue
                inner += 1
            stack.extend((part, inner) for part in reversed(list(parts(node))))
        return problems

    # --- expressions

    def _expr(self, scope: TypeEnvironment, expr: Expr) -> _Found | None:
        for modifier in expr.with_:
            target, value = scope.of(modifier.target), scope.of(modifier.value)
            functions = isinstance(target, types.Function) and isinstance(value, types.Function)
            if functions and not unifies(target, value):
                assert isinstance(target, types.Function) and isinstance(value, types.Function)  # noqa: S101, PT018
                name, at = modifier.target, modifier.location
                assert isinstance(name, Ref)  # noqa: S101 - only references have such a type
                return _arguments(at, name, "arity mismatch", value.arguments, target, False)
        if not isinstance(expr.terms, Call):
            return None
        if expr.terms.name == "eq":
            return self._equality(scope, expr, expr.terms)
        return self._call(scope, expr, expr.terms)

    def _equality(self, scope: TypeEnvironment, expr: Expr, call: Call) -> _Found | None:
        have = [scope.of(one) for one in call.args]
        if len(have) != 2:
            which = "too few arguments" if len(have) < 2 else "too many arguments"
            return _arguments(
                expr.location, call.operator, which, have, types.Function((ANY, ANY), None), False
            )
        left, right = have
        if TypeUnifier(scope).two(call.args[0], left, call.args[1], right):
            return None
        left, right = scope.of(call.args[0]), scope.of(call.args[1])
        details = (f"left  : {types.show(have[0])}", f"right : {types.show(have[1])}")
        return _Found(
            Problem(TYPE, "match error", expr.location, details), unknown(have[0]) or unknown(have[1])
        )

    def _call(self, scope: TypeEnvironment, expr: Expr, call: Call) -> _Found | None:
        name = call.operator
        of = scope.of_ref(name)
        if isinstance(of, types.Union) and not of.of:
            return None
        if not isinstance(of, types.Function):
            return _Found(Problem(TYPE, f"undefined function {show(name)}", expr.location))
        have = [scope.of(one) for one in call.args]
        wanted = [*of.arguments, *(() if of.result is None else (of.result,))]
        if len(have) > len(wanted) and of.variadic is None:
            return _arguments(expr.location, name, "too many arguments", have, of)
        if len(have) < len(of.arguments):
            return _arguments(expr.location, name, "too few arguments", have, of)
        unifier = TypeUnifier(scope)
        for position, (term, before) in enumerate(zip(call.args, have, strict=True)):
            want = wanted[position] if position < len(wanted) else of.variadic
            if before is not None and not unknown(before) and not unifies(before, want):
                return _arguments(expr.location, name, "invalid argument(s)", have, of)
            if not unifier.one(term, want):
                after = [scope.of(one) for one in call.args]
                return _arguments(expr.location, name, "invalid argument(s)", after, of)
        return None


def _arguments(
    location: Location,
    name: Ref,
    what: str,
    have: Iterable[Type | None],
    want: types.Function,
    result: bool = True,
) -> _Found:
    have = list(have)
    wanted = [*want.arguments, *((want.result,) if result and want.result is not None else ())]
    called = show(name)
    shown = named(called, list(map(types.show, wanted)))
    if want.variadic is not None:
        shown.append(f"{want.variadic}...")
    details = (f"have: ({show_arguments(have)})", f"want: ({', '.join(shown)})")
    return _Found(Problem(TYPE, f"{called}: {what}", location, details), any(map(unknown, have)))

"""The type checker: refuses what can't have a value, in OPA's words.

It is as lenient as OPA's: the bodies of ``every`` and ``not { … }`` are only looked at for references.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from operator import is_
from typing import Final

from webhook.rego import types
from webhook.rego.ast import (
    COMPREHENSIONS,
    Array,
    Call,
    Every,
    Expr,
    Location,
    Not,
    Object,
    Ref,
    Rule,
    Set,
    Some,
    String,
    Term,
    Var,
    is_ground,
    name_ref,
)
from webhook.rego.builtins.declaration import Declaration
from webhook.rego.errors import TYPE, Problem, RegoError
from webhook.rego.passes.local_variables import Names
from webhook.rego.passes.type_environment import (
    ROOTS,
    TypeEnvironment,
    TypeNode,
    selected_constant,
)
from webhook.rego.passes.unification import TypeUnifier, unifies
from webhook.rego.passes.walk import inside, parts, variables
from webhook.rego.text import show
from webhook.rego.types import ANY, STRING, Type, show_arguments, show_constant, unknown

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
        return sorted(self.problems, key=lambda one: (_place(one.location), one.message))

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
        references = _References(scope, self.names)
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


def _place(location: Location) -> tuple[str, int, int]:
    return (location.file, location.row, location.column)


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
    details = (f"have: ({show_arguments(have)})", f"want: ({show_arguments(wanted, want.variadic)})")
    return _Found(Problem(TYPE, f"{show(name)}: {what}", location, details), any(map(unknown, have)))


class _References:
    """Checks the references in expressions, and learns the types of the variables in them."""

    def __init__(self, scope: TypeEnvironment, names: Names) -> None:
        self.scope = scope
        self.names = names
        self.problems: list[Problem] = []

    def visit(self, node: Term | Expr) -> None:
        """Check all references in a node, but for those in comprehensions."""
        if isinstance(node, COMPREHENSIONS):
            return
        if isinstance(node, Expr):
            terms = node.terms
            if isinstance(terms, Call):
                for one in terms.args:
                    self.visit(one)
                return
            if not isinstance(terms, Every | Some):
                for inner in terms.body if isinstance(terms, Not) else (terms,):
                    self.visit(inner)
                return
        elif isinstance(node, Ref) and not self._ref(node):
            return
        for part in parts(node):
            self.visit(part)

    def _ref(self, ref: Ref) -> bool:
        """Whether what is in a reference is looked at too."""
        of = self.scope.of_ref(ref)
        if isinstance(of, types.Function):
            self._unsupported(ref, len(ref.terms) - 1, of)
            return False
        self._check(self.scope, self.scope.tree, ref, 0)
        return True

    def _add(self, ref: Ref, message: str, details: tuple[str, ...]) -> None:
        self.problems.append(Problem(TYPE, message, ref.terms[0].location, details))

    def _have(self, ref: Ref, position: int, of: Type | None) -> tuple[str, ...]:
        shown = self.names.as_written(ref)
        marks = "^" * len(show(Ref(shown.terms[: position + 1])))
        return (show(shown), marks, f"have: {types.show(of)}")

    def _unsupported(self, ref: Ref, position: int, of: Type | None) -> None:
        shown = self.names.as_written(ref)
        message = f"undefined ref: {show(shown)}"
        if isinstance(of, types.Function):
            last = shown.terms[-1]
            if isinstance(last, Var) and last.generated:
                shown = Ref(shown.terms[:-1])
            message = f"function {show(shown)} used as reference, not called"
        self._add(ref, message, self._have(ref, position, of))

    def _invalid(
        self, ref: Ref, position: int, have: Type | None, want: Type | None, one_of: list[str]
    ) -> None:
        shown = self.names.as_written(ref)
        pad = " " * (len(show(Ref(shown.terms[:position]))) + 1)
        lines = [show(shown), f"{pad}^"]
        if have is not None:
            lines.append(f"{pad}have (type): {have}")
        else:
            lines.append(f"{pad}have: {show(shown.terms[position])}")
        if one_of:
            lines.append(f"{pad}want (one of): [{' '.join(one_of)}]")
        else:
            lines.append(f"{pad}want (type): {types.show(want)}")
        self._add(ref, f"undefined ref: {show(shown)}", tuple(lines))

    def _check(self, scope: TypeEnvironment, node: TypeNode, ref: Ref, position: int) -> bool:
        """Check a reference from a node on; whether it is fine."""
        while position < len(ref.terms):
            term = ref.terms[position]
            if position in (1, 2) and not isinstance(term, Var | String):
                self._invalid(ref, position, self.scope.of(term), STRING, _steps(node))
                return False
            if isinstance(term, Var) and position:
                keys = types.keys(self.scope.extent(node))
                exist = self.scope.of(term)
                if exist is None:
                    self.scope.put(term, keys)
                elif not unifies(keys, exist):
                    self._invalid(ref, position, exist, keys, _steps(node))
                    return False
            child = node.children.get(term)
            if child is None:
                if scope.outer is not None:
                    scope = scope.outer
                    node, position = scope.tree, 0
                    continue
                if ref.root in ROOTS and position:
                    before = list(self.problems)
                    for below in list(node.children.values()):
                        self._check(scope, below, ref, position + 1)
                    self.problems = before
                    return True
                return self._leaf(ANY, ref, 1 if ref.root in ROOTS else 0)
            if child.value is not None:
                return self._leaf(child.value, ref, position + 1)
            node, position = child, position + 1
        return True

    def _leaf(self, of: Type | None, ref: Ref, position: int) -> bool:
        """Check the rest of a reference into a value of a type."""
        for at in range(position, len(ref.terms)):
            term = ref.terms[at]
            keys = types.keys(of)
            if keys is None:
                self._unsupported(ref, at - 1, of)
                return False
            if isinstance(term, Var | Ref):
                exist = self.scope.of(term)
                if exist is None:
                    if isinstance(term, Var):
                        self.scope.put(term, keys)
                elif not unifies(exist, keys):
                    self._invalid(ref, at, exist, keys, _choices(of))
                    return False
            elif isinstance(term, Array | Object | Set):
                if not TypeUnifier(self.scope).one(term, keys):
                    self._invalid(ref, at, self.scope.of(term), keys, [])
                    return False
            else:
                child = selected_constant(of, term)
                if child is None:
                    self._invalid(ref, at, None, keys, _choices(of))
                    return False
                of = child
                continue
            of = types.values(of)
        return True


def _steps(node: TypeNode) -> list[str]:
    """Tell what may follow a step of a path."""
    return [
        show(term) for term in sorted(node.children, key=lambda one: (not isinstance(one, Var), show(one)))
    ]


def _choices(of: Type | None) -> list[str]:
    """Return the keys that a type is known to have."""
    found: set[str] = set()
    if isinstance(of, types.Object):
        for key, _ in of.static:
            found.add(show(String(key)) if isinstance(key, str) else show_constant(key))
    elif isinstance(of, types.Union):
        for member in of.of:
            found.update(_choices(member))
    return sorted(found)

"""The references that the type checker meets: whether what they select can be there."""

from __future__ import annotations

from webhook.rego import types
from webhook.rego.ast import (
    COMPREHENSIONS,
    ROOTS,
    Array,
    Call,
    Every,
    Expr,
    Not,
    Object,
    Ref,
    Set,
    Some,
    String,
    Term,
    Var,
)
from webhook.rego.errors import TYPE, Problem
from webhook.rego.node_text import show
from webhook.rego.passes import type_parts
from webhook.rego.passes.names import Names
from webhook.rego.passes.type_environment import TypeEnvironment, TypeNode, selected_constant
from webhook.rego.passes.type_unification import TypeUnifier, unifies
from webhook.rego.passes.walk import parts
from webhook.rego.type_constants import show_constant
from webhook.rego.types import ANY, STRING, Type


class References:
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
                keys = type_parts.keys(self.scope.extent(node))
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
            keys = type_parts.keys(of)
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
            of = type_parts.values(of)
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

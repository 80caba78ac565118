"""What types names and paths have: a tree of types for each scope, inner scopes before outer ones."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from decimal import Decimal

from webhook.rego import types
from webhook.rego.ast import (
    COMPREHENSIONS,
    ROOTS,
    Array,
    ArrayComprehension,
    Boolean,
    Call,
    Null,
    Number,
    Object,
    ObjectComprehension,
    Ref,
    Set,
    String,
    TemplateString,
    Term,
    Var,
)
from webhook.rego.passes import type_parts
from webhook.rego.passes.type_parts import either
from webhook.rego.passes.walk import is_constant
from webhook.rego.type_constants import Constant, Pairs
from webhook.rego.types import ANY, BOOLEAN, NULL, NUMBER, STRING, Type


class TypeNode:
    """One step of a path: the type of what is there, and what is below."""

    __slots__ = ("children", "extent", "value")

    def __init__(self) -> None:
        self.value: Type | None = None
        self.extent: Type | None = None  # kept until something is put below
        self.children: dict[Term, TypeNode] = {}

    def put(self, path: tuple[Term, ...], of: Type | None) -> None:
        """Set the type at a path."""
        node = self
        for term in path:
            node.extent = None
            node = node.children.setdefault(term, TypeNode())
        node.value = types.bounded(of)

    def insert(self, path: tuple[Term, ...], of: Type, environment: TypeEnvironment) -> None:
        """Add a type at a path, also to the objects on the way and to what is below.

        Args:
            path: from this step on.
            of: the type, of one definition among several.
            environment: knows the types of the keys on the way.
        """
        node = self
        for position, term in enumerate(path):
            node.extent = None
            child = node.children.get(term)
            if child is None:
                child = node.children[term] = TypeNode()
            elif isinstance(child.value, types.Object) and position + 1 < len(path):
                child.value = _insert(child.value, path[position + 1 :], of, environment)
            node = child
        node.value = types.bounded(merge(node.value, of))
        if isinstance(of, types.Object) and node.children:
            for below, found in node.leaves():
                if isinstance(node.value, types.Object):
                    node.value = _insert(node.value, below, found, environment)

    def leaves(self) -> Iterator[tuple[tuple[Term, ...], Type]]:
        """Yield the types below with their paths."""
        for term, child in self.children.items():
            if child.value is not None:
                yield (term,), child.value
            else:
                for path, found in child.leaves():
                    yield (term, *path), found


def merge(a: Type | None, b: Type | None) -> Type | None:
    """Return the type of a rule that has two definitions."""
    if a is None or b is None:
        return b if a is None else a
    if isinstance(a, types.Object) and not a.static:
        if isinstance(b, types.Object) and not b.static and a.dynamic is not None and b.dynamic is not None:
            key, value = either(a.dynamic[0], b.dynamic[0]), merge(a.dynamic[1], b.dynamic[1])
            return types.Object((), (key, value))
        if isinstance(b, types.Union) and a.dynamic is not None:
            for member in b.of:
                if isinstance(member, types.Object) and not member.static and member.dynamic is not None:
                    key = either(member.dynamic[0], a.dynamic[0])
                    merged = types.Object((), (key, either(member.dynamic[1], a.dynamic[1])))
                    return types.Union(tuple([merged if one is member else one for one in b.of]))
    if isinstance(a, types.Set) and isinstance(b, types.Set):
        return types.Set(either(a.of, b.of))
    if isinstance(a, types.Union) and not isinstance(b, types.Union):
        return merge(b, a)
    return either(a, b)


def _insert(
    a: types.Object, path: tuple[Term, ...], of: Type | None, environment: TypeEnvironment
) -> types.Object:
    key = environment.of(path[0])
    value: Type | None = of
    if len(path) > 1:
        value = _insert(types.Object(), path[1:], of, environment)
    if a.dynamic is not None:
        key, value = either(a.dynamic[0], key), either(a.dynamic[1], value)
    return types.Object(a.static, (key, value))


class NotConstant(Exception):  # noqa: N818 - a condition
    """A term isn't a constant."""


def constant(term: Term) -> Constant:
    """Return the value of a constant term.

    Raises:
        NotConstant: it isn't one.
    """
    if isinstance(term, String | Boolean):
        return term.value
    if isinstance(term, Number):
        digits = term.text.lstrip("-")
        return int(term.text) if digits.isdecimal() and len(digits) < 4000 else Decimal(term.text)
    if isinstance(term, Null):
        return None
    if isinstance(term, Array | Set):
        return tuple([constant(one) for one in term.items])
    if isinstance(term, Object):
        return Pairs([(constant(key), constant(value)) for key, value in term.items])
    raise NotConstant


class TypeEnvironment:
    """A scope of types.

    Args:
        outer: the scope around it.
        check: checks a comprehension's body, and gives the scope inside of it, or None if it has errors.
    """

    def __init__(
        self,
        outer: TypeEnvironment | None,
        check: Callable[[TypeEnvironment, Term], TypeEnvironment | None],
    ) -> None:
        self.tree = TypeNode()
        self.outer = outer
        self.check = check

    def inner(self) -> TypeEnvironment:
        """Return a scope inside of this one."""
        return TypeEnvironment(self, self.check)

    def put(self, term: Term, of: Type | None) -> None:
        """Set the type of a variable."""
        self.tree.put((term,), types.bounded(of))

    def of(self, term: Term) -> Type | None:
        """Return the type of a term; None if it isn't known, or there is none."""
        if isinstance(term, Var):
            return self._var(term)
        if isinstance(term, Ref):
            return self.of_ref(term)
        if isinstance(term, String | TemplateString):
            return STRING
        if isinstance(term, Number):
            return NUMBER
        if isinstance(term, Boolean):
            return BOOLEAN
        if isinstance(term, Null):
            return NULL
        if isinstance(term, Array):
            static = tuple([self.of(one) for one in term.items])
            return types.Array(None if static else ANY, static)
        if isinstance(term, Object):
            return self._object(term)
        if isinstance(term, Set):
            found: Type | None = None
            for one in term.items:
                found = either(found, self.of(one))
            return types.Set(ANY if found is None else found)
        return None if isinstance(term, Call) else self._comprehension(term)

    def _var(self, var: Var) -> Type | None:
        scope: TypeEnvironment | None = self
        while scope is not None:
            node = scope.tree.children.get(var)
            if node is not None:
                return node.value
            scope = scope.outer
        return None

    def _object(self, term: Object) -> Type:
        static: list[tuple[Constant, Type | None]] = []
        dynamic: tuple[Type | None, Type | None] | None = None
        for key, value in term.items:
            if is_constant(key):
                static.append((constant(key), self.of(value)))
            else:
                dynamic = (self.of(key), self.of(value))
        if not static and dynamic is None:
            dynamic = (ANY, ANY)
        return types.Object(tuple(static), dynamic)

    def _comprehension(self, term: Term) -> Type | None:
        assert isinstance(term, COMPREHENSIONS)  # noqa: S101 - all other terms are done
        inner = self.check(self, term)
        if inner is None:
            return None
        if isinstance(term, ObjectComprehension):
            return types.Object((), (inner.of(term.key), inner.of(term.value)))
        head = inner.of(term.term)
        return types.Array(head) if isinstance(term, ArrayComprehension) else types.Set(head)

    # --- references

    def of_ref(self, ref: Ref) -> Type | None:
        """Return the type of what a reference is to."""
        scope: TypeEnvironment | None = self
        while scope is not None:
            node = scope.tree.children.get(ref.terms[0])
            if node is not None:
                found, missing = scope.walk(node, ref.terms[1:])
                if not missing:
                    return found
            scope = scope.outer
        return ANY if ref.root in ROOTS else None

    def walk(self, node: TypeNode, rest: tuple[Term, ...]) -> tuple[Type | None, bool]:
        """Return the type below a node, and whether the path leads out of what this scope knows."""
        while rest:
            child = node.children.get(rest[0])
            if node.value is not None:
                if child is None:
                    return selected(node.value, rest), False
            elif not is_constant(rest[0]):
                return selected(self.extent(node), rest), False
            elif child is None:
                return None, True
            assert child is not None  # noqa: S101 - else one of the three is true
            node, rest = child, rest[1:]
        return self.extent(node), False

    def extent(self, node: TypeNode) -> Type | None:
        """Return the type of all that is at and below a node."""
        if node.value is not None:
            return node.value
        if node.extent is None:
            static = [
                (constant(term), self.extent(child))
                for term, child in node.children.items()
                if isinstance(term, String | Number | Boolean)
            ]
            node.extent = types.Object(tuple(static), (STRING, ANY))
        return node.extent


def selected(of: Type | None, rest: tuple[Term, ...]) -> Type | None:
    """Return the type of what the rest of a reference selects from a value of type `of`."""
    for term in rest:
        if of is None:
            return None
        if isinstance(term, Var | Ref | Array | Object | Set):
            of = type_parts.values(of)
        else:
            of = selected_constant(of, term)
    return of


def selected_constant(of: Type | None, term: Term) -> Type | None:
    """Return the type of what a constant selects; None if it can't be there."""
    try:
        return type_parts.select(of, constant(term))
    except NotConstant:
        return None

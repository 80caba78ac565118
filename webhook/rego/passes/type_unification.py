"""Types against types: whether a value can be of both, and what that says about variables."""

from __future__ import annotations

from webhook.rego import types
from webhook.rego.ast import Array, Object, Set, Term, Var
from webhook.rego.passes.type_environment import TypeEnvironment, selected_constant
from webhook.rego.passes.type_parts import either
from webhook.rego.passes.walk import is_constant
from webhook.rego.types import ANY, Type, unknown


def unifies(a: Type | None, b: Type | None) -> bool:
    """Whether some value can be of both types."""
    if a is None or b is None:
        return False
    if isinstance(a, types.Union) or isinstance(b, types.Union):
        return (isinstance(a, types.Union) and _member(a, b)) or (
            isinstance(b, types.Union) and _member(b, a)
        )
    if isinstance(a, types.Simple):
        return a == b
    if isinstance(a, types.Array) and isinstance(b, types.Array):
        static = _arrays(a, b) and _arrays(b, a, len(a.static))
        return static and (a.dynamic is None or b.dynamic is None or unifies(a.dynamic, b.dynamic))
    if isinstance(a, types.Object) and isinstance(b, types.Object):
        if not (_objects(a, b) and _objects(b, a, a)):
            return False
        left = None if a.dynamic is None else a.dynamic[1]
        right = None if b.dynamic is None else b.dynamic[1]
        return left is None or right is None or unifies(left, right)
    if isinstance(a, types.Set) and isinstance(b, types.Set):
        return unifies(a.of, b.of)
    if isinstance(a, types.Function) and isinstance(b, types.Function):
        return a.arity == b.arity and all(map(unifies, a.arguments, b.arguments))
    return False


def _member(a: types.Union, b: Type) -> bool:
    if isinstance(b, types.Function):
        return False
    return not a.of or any(unifies(one, b) for one in a.of)


def _arrays(a: types.Array, b: types.Array, known: int = 0) -> bool:
    """Whether the items of `a` can be in `b`; those before `known` can, or every level would take twice."""
    return all(unifies(a.static[at], b.select(at)) for at in range(known, len(a.static)))


def _objects(a: types.Object, b: types.Object, known: types.Object | None = None) -> bool:
    done = frozenset() if known is None else frozenset((type(key), key) for key, _ in known.static)
    for key, of in a.static:
        if (type(key), key) in done:
            continue
        other = b.select(key)
        if other is None:
            if a.dynamic is None and b.dynamic is None:
                return False
        elif not unifies(of, other):
            return False
    return True


class TypeUnifier:
    """Compares terms with types, and sets the types of variables that have none."""

    def __init__(self, scope: TypeEnvironment) -> None:
        self.scope = scope

    def two(self, a: Term, type_a: Type | None, b: Term, type_b: Type | None) -> bool:
        """Whether two terms can be equal."""
        if unknown(type_a) != unknown(type_b):
            return self.one(a, type_b) if unknown(type_a) else self.one(b, type_a)
        if not unknown(type_a):
            return unifies(type_a, type_b)
        if isinstance(a, Array | Object):
            return self._patterns(a, b)
        if isinstance(a, Var):
            if isinstance(b, Var):
                return self.one(a, ANY) and self.one(b, self.scope.of(a))
            if isinstance(b, Array | Object):
                return self._patterns(b, a)
        if isinstance(a, Var) and type_a is None and type_b is not None:
            return self.one(a, type_b)
        if isinstance(b, Var) and type_b is None and type_a is not None:
            return self.one(b, type_a)
        return False

    def _patterns(self, a: Array | Object, b: Term) -> bool:
        if isinstance(b, Var):
            return self.one(a, ANY) and self.one(b, self.scope.of(a))
        if isinstance(a, Array) and isinstance(b, Array):
            pairs = list(zip(a.items, b.items, strict=False))
            if len(a.items) != len(b.items):
                return False
        elif isinstance(a, Object) and isinstance(b, Object):
            values = dict(b.items)
            pairs = [(value, values[key]) for key, value in a.items if key in values]
            if not len(a.items) == len(b.items) == len(pairs):
                return False
        else:
            return False
        return all(self.two(left, self.scope.of(left), right, self.scope.of(right)) for left, right in pairs)

    def one(self, term: Term, of: Type | None, union: bool = False) -> bool:
        """Whether a term can be of a type; variables in it that have none get theirs.

        Args:
            term: the term.
            of: the type.
            union: it is one of several that the term may be of: variables get either.
        """
        if isinstance(term, Var):
            exist = self.scope.of(term)
            if union:
                self.scope.put(term, either(exist, of))
            elif exist is not None:
                return unifies(exist, of)
            else:
                self.scope.put(term, of)
            return True
        if isinstance(term, Array | Object | Set):
            return self._collection(term, of, union)
        return unifies(self.scope.of(term), of)

    def _collection(self, term: Array | Object | Set, of: Type | None, union: bool) -> bool:
        if isinstance(of, types.Union):
            if of.of:
                found = False
                for member in of.of:
                    found = self.one(term, member, True) or found
                return found
            pairs = [one for pair in term.items for one in pair] if isinstance(term, Object) else term.items
            for inner in pairs:
                self.one(inner, ANY, True)
            return True
        if isinstance(term, Array):
            if not isinstance(of, types.Array) or (len(term.items) != len(of.static) and of.dynamic is None):
                return False
            return all(self.one(one, of.select(at), union) for at, one in enumerate(term.items))
        if isinstance(term, Set):
            return isinstance(of, types.Set) and all(self.one(one, of.of, union) for one in term.items)
        return isinstance(of, types.Object) and self._object(term, of, union)

    def _object(self, term: Object, of: types.Object, union: bool) -> bool:
        if len(term.items) != len(of.static) and of.dynamic is None:
            return False
        for key, value in term.items:
            if not is_constant(key):
                self.one(value, ANY, union)
                continue
            child = selected_constant(of, key)
            if child is None or not self.one(value, child, union):
                return False
        return True

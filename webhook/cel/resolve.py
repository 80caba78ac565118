"""Resolving: names to what they mean, calls to functions, constants folded, literals checked.

What Kubernetes refuses before it runs anything is refused here too, as far as that can be told without a type
checker: undeclared names and fields, wrong numbers of arguments, and its literal validators
(k8s.io/apiserver, pkg/cel/environment/base.go: durations, timestamps, regular expressions, mixed lists).
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any, NamedTuple

from webhook.cel.ast import (
    And,
    Apply,
    Call,
    Choice,
    Has,
    Index,
    ListOf,
    Literal,
    Local,
    Loop,
    MapOf,
    Name,
    Node,
    Not,
    OptionalElse,
    OptionalMap,
    Or,
    Root,
    Select,
)
from webhook.cel.library import FUNCTIONS, METHODS, TYPES, Function
from webhook.cel.schema import SCHEMAS
from webhook.cel.syntax import failure
from webhook.core.errors import CompileError, EvaluationError

_COMPARABLE = frozenset(("null", "bool", "int", "uint", "double", "string", "bytes", "list", "map"))
_PLAIN = frozenset(("json", "jsons", "null", "bool", "int", "double", "string"))
_FOLDED_SIZE = 256  # a folded string is at most so long: folding must not do the budget's work


class Resolved(NamedTuple):
    """A resolved expression.

    Attributes:
        node: its root.
        references: the variables of the activation that it reads.
        slots: how many comprehension variables it has.
    """

    node: Node
    references: frozenset[str]
    slots: int


def resolve(source: str, node: Any, roots: Mapping[str, str], variables: Collection[str]) -> Resolved:
    """Resolve an expression as it was parsed.

    Args:
        source: its text, for the places of errors.
        node: its root.
        roots: the variables of the activation, with their types.
        variables: the names that ``variables.name`` may use.

    Raises:
        CompileError: a name, field, function or literal that can't be.
    """
    resolver = _Resolver(source, roots, variables)
    return Resolved(resolver.resolve(node), frozenset(resolver.references), resolver.slots)


class _Resolver:
    __slots__ = ("_lenient", "_scope", "references", "roots", "slots", "source", "variables")

    def __init__(self, source: str, roots: Mapping[str, str], variables: Collection[str]) -> None:
        self.source = source
        self.roots = roots
        self.variables = variables
        self.references: set[str] = set()
        self.slots = 0
        self._scope: dict[str, Local] = {}
        self._lenient = 0  # inside the arguments of format(), where lists may mix types

    def resolve(self, node: Any) -> Node:
        return _HANDLERS[node.__class__](self, node)

    def error(self, offset: int, message: str) -> CompileError:
        return failure(self.source, offset, message)

    def undeclared(self, offset: int, what: str, name: str, known: Iterable[str]) -> CompileError:
        near = difflib.get_close_matches(name[:64], [one for one in known if one[0].isalpha()], 1, 0.6)
        hint = f", did you mean {near[0]!r}?" if near else ""
        return self.error(offset, f"undeclared {what} {name!r}{hint}")

    def literal(self, node: Literal) -> Node:
        return node

    def name(self, node: Name) -> Node:
        name = node.name
        if not node.absolute and name in self._scope:
            return self._scope[name]
        if name in self.roots:
            self.references.add(name)
            return Root(node.offset, name, self.roots[name])
        if name in TYPES:
            return Literal(node.offset, "type", TYPES[name])
        known = {*self._scope, *self.roots, *(one for one in TYPES if "." not in one)}
        raise self.undeclared(node.offset, "reference", name, known)

    def qualified(self, node: Any) -> str:
        """Return the dotted name that `node` is, if its first part is no variable; else the empty string."""
        parts: list[str] = []
        while node.__class__ is Select and not node.optional:
            parts.append(node.field)
            node = node.operand
        if node.__class__ is not Name or node.name in self.roots:
            return ""
        if node.name in self._scope and not node.absolute:
            return ""
        return ".".join((node.name, *reversed(parts)))

    def select(self, node: Select) -> Node:
        if not node.optional and (name := self.qualified(node)) in TYPES:
            return Literal(node.offset, "type", TYPES[name])
        operand = self.resolve(node.operand)
        kind = self.field_type(operand, node.offset, node.field)
        if node.optional or operand.type == "optional":
            return Select(node.offset, operand, node.field, True, "optional", operand.loops)
        return Select(node.offset, operand, node.field, False, kind, operand.loops)

    def field_type(self, operand: Node, offset: int, field: str) -> str:
        kind = operand.type
        if kind == "json":
            return "json"
        if kind[0] != "@":
            return "dyn"
        if kind == "@variables":
            if field not in self.variables:
                raise self.undeclared(offset, "variable", field, self.variables)
            return "dyn"
        fields = SCHEMAS[kind]
        if field not in fields:
            raise self.undeclared(offset, "field", field, fields)
        return fields[field]

    def has(self, node: Has) -> Node:
        operand = self.resolve(node.operand)
        self.field_type(operand, node.offset, node.field)
        return Has(node.offset, operand, node.field, "bool", operand.loops)

    def index(self, node: Index) -> Node:
        operand, index = self.resolve(node.operand), self.resolve(node.index)
        optional = node.optional or operand.type == "optional"
        if operand.type == "@variables":
            raise self.error(node.offset, "variables are read as variables.name")
        kind = "optional" if optional else "json" if operand.type in ("json", "jsons") else "dyn"
        return Index(node.offset, operand, index, optional, kind, operand.loops or index.loops)

    def parts(self, nodes: tuple[Any, ...]) -> tuple[tuple[Node, ...], bool]:
        resolved = tuple([self.resolve(one) for one in nodes])
        return resolved, any(one.loops for one in resolved)

    def any_of(self, node: Or) -> Node:
        parts, loops = self.parts(node.parts)
        return Or(node.offset, parts, "bool", loops)

    def all_of(self, node: And) -> Node:
        parts, loops = self.parts(node.parts)
        return And(node.offset, parts, "bool", loops)

    def negation(self, node: Not) -> Node:
        operand = self.resolve(node.operand)
        return Not(node.offset, operand, "bool", operand.loops)

    def choice(self, node: Choice) -> Node:
        test, yes, no = self.resolve(node.test), self.resolve(node.yes), self.resolve(node.no)
        kind = yes.type if yes.type == no.type else "json" if is_plain(yes) and is_plain(no) else "dyn"
        return Choice(node.offset, test, yes, no, kind, test.loops or yes.loops or no.loops)

    def list_of(self, node: ListOf) -> Node:
        items, loops = self.parts(node.items)
        self.alike(items, "list")
        if not node.optional and not loops and all(one.__class__ is Literal for one in items):
            return Literal(node.offset, "list", [one.value for one in items])  # type: ignore[union-attr]
        kind = "jsons" if not node.optional and all(is_plain(one) for one in items) else "list"
        return ListOf(node.offset, items, node.optional, kind, loops)

    def map_of(self, node: MapOf) -> Node:
        keys, loops = self.parts(tuple([key for key, _, _ in node.entries]))
        values, more = self.parts(tuple([value for _, value, _ in node.entries]))
        self.alike(keys, "map's keys")
        self.alike(values, "map's values")
        flags = [optional for _, _, optional in node.entries]
        return MapOf(node.offset, tuple(zip(keys, values, flags, strict=True)), "map", loops or more)

    def alike(self, items: tuple[Node, ...], what: str) -> None:
        """Refuse a literal whose items have different known types, as Kubernetes does."""
        if self._lenient:
            return
        first = ""
        for item in items:
            kind = item.type
            if kind in _COMPARABLE:
                if not first:
                    first = kind
                elif kind != first:
                    raise self.error(
                        item.offset, f"a {what} must be of one type: expected {first}, found {kind}"
                    )

    def call(self, node: Call) -> Node:
        name, target = node.name, node.target
        if target is None:
            if name == "-" and len(node.args) == 1:
                name = "neg"
            elif name == "neg":
                name = "neg()"  # the library's own name for the sign, not one that an expression may call
            function = FUNCTIONS.get(name)
            if function is None:
                raise self.undeclared(node.offset, "function", name.removesuffix("()"), FUNCTIONS)
            return self.apply(node, function, name, node.args)
        qualified = self.qualified(target)
        if qualified and (function := FUNCTIONS.get(f"{qualified}.{name}")) is not None:
            return self.apply(node, function, f"{qualified}.{name}", node.args)
        if name == "format":
            self._lenient += 1
        method = METHODS.get(name)
        if method is None:
            if qualified and qualified not in TYPES and "." not in qualified:
                prefix = f"{qualified}."
                names = [one for one in FUNCTIONS if one.startswith(prefix)]
                if names:
                    raise self.undeclared(node.offset, "function", prefix + name, names)
                self.resolve(target)  # most likely it is the receiver that doesn't exist
            raise self.undeclared(node.offset, "function", name, [*METHODS, *FUNCTIONS])
        result = self.apply(node, method, name, (target, *node.args), 1)
        if name == "format":
            self._lenient -= 1
        return result

    def apply(
        self, node: Call, function: Function, name: str, args: tuple[Any, ...], receivers: int = 0
    ) -> Node:
        resolved, loops = self.parts(args)
        given = len(args) - receivers
        if given not in function.arities:
            wanted = " or ".join(str(count) for count in sorted(function.arities))
            raise self.error(
                node.offset, f"{name}() takes {wanted} argument{'' if wanted == '1' else 's'}, got {given}"
            )
        self.validate(name, resolved)
        if name == "in" and resolved[1].__class__ is Literal and resolved[1].value == []:
            return Literal(node.offset, "bool", False)  # Kubernetes doesn't evaluate the item then
        kind = function.result
        if kind == "dyn":
            kind = _arithmetic(name, resolved)
        if (
            function.pure
            and name != "dyn"
            and not loops
            and all(one.__class__ is Literal for one in resolved)
        ):
            folded = _fold(function, [one.value for one in resolved])  # type: ignore[union-attr]
            if folded is not _UNFOLDED:
                return Literal(node.offset, _literal_type(folded, kind), folded)
        return Apply(node.offset, name, function, resolved, kind, loops)

    def validate(self, name: str, args: tuple[Node, ...]) -> None:
        """Check the literals that Kubernetes checks before it runs anything."""
        tried: tuple[Node, ...]
        if name in ("duration", "timestamp") and len(args) == 1:
            argument = args[0]
            tried = args
        elif name == "matches" and len(args) == 2:
            argument = args[1]
            tried = (Literal(argument.offset, "string", ""), argument)
        else:
            return
        if argument.__class__ is not Literal or argument.type != "string":
            return
        function = FUNCTIONS.get(name) or METHODS[name]
        try:
            function.implementation(*[one.value for one in tried])  # type: ignore[union-attr]
        except EvaluationError as error:
            raise self.error(
                argument.offset, f"{name}() has an invalid literal {argument.value!r}: {error}"
            ) from None

    def bound(
        self, names: tuple[str, ...], node: Any, kinds: tuple[str, ...]
    ) -> tuple[list[Local], Node, Node | None]:
        """Resolve the body (and condition) of a macro with its variables in scope."""
        outer, locals_ = self._scope, []
        self._scope = dict(outer)
        for name, kind in zip(names, kinds, strict=True):
            local = Local(node.offset, name, self.slots, kind)
            self.slots += 1
            locals_.append(local)
            self._scope[name] = local
        body = self.resolve(node.body)
        condition = getattr(node, "condition", None)
        resolved = None if condition is None else self.resolve(condition)
        self._scope = outer
        return locals_, body, resolved

    def loop(self, node: Loop) -> Node:
        items = self.resolve(node.range)
        names = (node.first,) if node.second is None else (node.first, node.second)
        # An index is an int and a key mostly a string, but which of them it is shows only at run time.
        plain = is_plain(items)
        locals_, body, condition = self.bound(names, node, ("json" if plain else "dyn",) * len(names))
        second = locals_[1] if len(locals_) > 1 else None
        kind = _LOOP_TYPES[node.kind]
        if kind == "list" and (is_plain(body) if node.kind == "map" else plain):
            kind = "jsons"
        return Loop(
            node.offset, node.kind, items, locals_[0], second, body, condition, kind, weight=node.weight
        )

    def optional_map(self, node: OptionalMap) -> Node:
        operand = self.resolve(node.operand)
        (variable,), body, _ = self.bound((node.variable,), node, ("dyn",))
        loops = operand.loops or body.loops
        return OptionalMap(node.offset, operand, variable, body, node.flat, "optional", loops)

    def optional_else(self, node: OptionalElse) -> Node:
        operand, other = self.resolve(node.operand), self.resolve(node.other)
        kind = "optional" if node.optional else "dyn"
        if kind == "dyn" and _plain_optional(operand) and is_plain(other):
            kind = "json"
        return OptionalElse(node.offset, operand, other, node.optional, kind, operand.loops or other.loops)


_LOOP_TYPES = {
    "all": "bool",
    "exists": "bool",
    "exists_one": "bool",
    "map": "list",
    "filter": "list",
    "transformMap": "map",
    "transformMapEntry": "map",
}
_HANDLERS: dict[Any, Callable[[_Resolver, Any], Node]] = {
    Literal: _Resolver.literal,
    Name: _Resolver.name,
    Select: _Resolver.select,
    Has: _Resolver.has,
    Index: _Resolver.index,
    Or: _Resolver.any_of,
    And: _Resolver.all_of,
    Not: _Resolver.negation,
    Choice: _Resolver.choice,
    ListOf: _Resolver.list_of,
    MapOf: _Resolver.map_of,
    Call: _Resolver.call,
    Loop: _Resolver.loop,
    OptionalMap: _Resolver.optional_map,
    OptionalElse: _Resolver.optional_else,
}
_UNFOLDED = object()
_TYPES_OF = {bool: "bool", int: "int", float: "double", str: "string", bytes: "bytes", type(None): "null"}


def _arithmetic(name: str, args: tuple[Node, ...]) -> str:
    """Return the static type of an arithmetic operator, where both sides tell it."""
    if name in ("+", "-", "*", "/", "%") and args[0].type == args[1].type and args[0].type in _COMPARABLE:
        return args[0].type
    if name == "neg" and args[0].type in ("int", "double"):
        return args[0].type
    if name == "+" and is_plain(args[0]) and is_plain(args[1]):
        return "json"
    return args[0].type if name == "dyn" and args[0].type == "json" else "dyn"


def is_plain(node: Node) -> bool:
    """Tell whether a value is sure to be plain JSON all through: no bytes, unsigned or opaque value in it."""
    kind = node.type
    if kind == "list" and node.__class__ is Literal:
        return all(one.__class__ in _TYPES_OF and one.__class__ is not bytes for one in node.value)
    return kind in _PLAIN or kind[0] == "@"


def _plain_optional(node: Node) -> bool:
    """Tell whether an optional holds a plain value, if it holds one."""
    if node.__class__ is Select or node.__class__ is Index:
        operand = node.operand
        return _plain_optional(operand) if operand.type == "optional" else is_plain(operand)
    return False


def _fold(function: Function, values: list[Any]) -> Any:
    """Return the constant that a call gives, or `_UNFOLDED` where that fails or would be large."""
    if any(
        value.__class__ in (list, dict) or len(value) > _FOLDED_SIZE
        for value in values
        if hasattr(value, "__len__")
    ):
        return _UNFOLDED
    try:
        if function.costly is not None and function.costly(*values) > _FOLDED_SIZE:
            return _UNFOLDED
        result = function.implementation(*values)
    except Exception:  # whatever it is, it happens again when the expression runs, where it is an answer
        return _UNFOLDED
    large = result.__class__ in (list, dict) or (
        result.__class__ in (str, bytes) and len(result) > _FOLDED_SIZE
    )
    return _UNFOLDED if large else result


def _literal_type(value: Any, declared: str) -> str:
    return _TYPES_OF.get(value.__class__, declared)

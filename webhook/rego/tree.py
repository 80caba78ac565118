"""The tree of rules below ``data``, by name, and the values of constant terms."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import cmp_to_key
from typing import Any

from webhook.core.errors import CompileError
from webhook.rego.ast import (
    Array,
    Boolean,
    Module,
    Null,
    Number,
    Object,
    Ref,
    Rule,
    Set,
    String,
    Term,
    Var,
    is_ground,
)
from webhook.rego.numbers import NumberTooLarge, number_of
from webhook.rego.order import compare
from webhook.rego.values import UNDEFINED, Path, RegoSet, Value, key, object_of


@dataclass(slots=True, eq=False)
class Node:
    """A name below ``data``: the names below it, the rules it has, and what computes them.

    Attributes:
        number: of its rules, counted over the program; -1 without rules.
        document: some rule's reference goes on with a variable: the rules below it belong to it too.
        function: its rules are a function.
        call: computes the value of its rules.
    """

    path: Path
    children: dict[Any, Node] = field(default_factory=dict)
    rules: list[tuple[tuple[Term, ...], Rule]] = field(default_factory=list)
    number: int = -1
    document: bool = False
    function: bool = False
    call: Callable[..., Value] | None = None

    def ordered(self) -> list[Node]:
        """Return the nodes below in OPA's order of their names."""
        return sorted(self.children.values(), key=cmp_to_key(_by_name))


def _by_name(a: Node, b: Node) -> int:
    return compare(a.path[-1], b.path[-1])


def constant(term: Term) -> Value:
    """Return the value of a scalar term, or UNDEFINED of any other.

    Raises:
        CompileError: it is a number of more digits than are read here.
    """
    if isinstance(term, String | Boolean):
        return term.value
    if isinstance(term, Number):
        try:
            return number_of(term.text)
        except NumberTooLarge as error:
            raise CompileError(str(error), "", term.location.row, term.location.column) from None
    return None if isinstance(term, Null) else UNDEFINED


def constant_of(term: Term) -> Value:
    """Return the value of a term that is made of scalars alone."""
    if isinstance(term, Array):
        return [constant_of(item) for item in term.items]
    if isinstance(term, Set):
        return RegoSet([constant_of(item) for item in term.items])
    if isinstance(term, Object):
        return object_of([(constant_of(k), constant_of(v)) for k, v in term.items])
    return constant(term)


def full_ref(module: Module, ref: Ref) -> tuple[Term, ...]:
    """Return a rule's reference from ``data`` on."""
    head = ref.terms[0]
    if isinstance(head, Var) and head.name == "data":
        return ref.terms
    first = String(head.name, head.location) if isinstance(head, Var) else head
    return (*module.package.terms, first, *ref.terms[1:])


def rule_tree(modules: Iterable[Module]) -> tuple[Node, list[Node]]:
    """Return the tree of all modules' rules, and its nodes with rules, by number."""
    root = Node(())
    for module in modules:
        node = root
        for term in module.package.terms[1:]:
            node = _child(node, term)
        for rule in module.rules:
            ref = full_ref(module, rule.head.ref)
            node, position = root, 1
            while (
                position < len(ref) and is_ground(ref[position]) and constant(ref[position]) is not UNDEFINED
            ):
                node = _child(node, ref[position])
                position += 1
            node.rules.append((ref[position:], rule))
            node.document = node.document or position < len(ref)
            node.function = node.function or bool(rule.head.args)
    numbered: list[Node] = []
    _number(root, numbered)
    return root, numbered


def _child(node: Node, term: Term) -> Node:
    name = constant(term)
    child = node.children.get(key(name))
    if child is None:
        child = node.children[key(name)] = Node((*node.path, name))
    return child


def _number(node: Node, numbered: list[Node]) -> None:
    if node.document:
        _absorb(node, node, ())
        node.children = {}
    if node.rules:
        node.number = len(numbered)
        numbered.append(node)
    for child in node.children.values():
        _number(child, numbered)


def _absorb(into: Node, node: Node, below: tuple[Term, ...]) -> None:
    for child in node.children.values():
        term = _as_term(child.path[-1])
        into.rules.extend([((*below, term, *rest), rule) for rest, rule in child.rules])
        _absorb(into, child, (*below, term))


def _as_term(value: Value) -> Term:
    if value is None:
        return Null()
    if isinstance(value, bool):
        return Boolean(value)
    return String(value) if isinstance(value, str) else Number(str(value))

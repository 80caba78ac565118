"""The tree of all rules by their path, look-ups in it, and the graph of what rules refer to."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from webhook.rego.ast import (
    SCALARS,
    Array,
    Call,
    Head,
    Module,
    Object,
    Ref,
    Rule,
    Set,
    String,
    Term,
    Var,
    chain,
)
from webhook.rego.passes.walk import head_terms, inside, is_constant, is_true

#: A rule: its module, its place in it, and its place in the chain of `else`.
RuleId: TypeAlias = tuple[str, int, int]

#: Tells how many arguments the function of a name has; -1 if there is none.
Arity: TypeAlias = Callable[[Ref], int]


@dataclass(frozen=True, slots=True)
class Entry:
    """A rule in the tree: without its `else`, and as it was when the tree was made."""

    id: RuleId
    rule: Rule
    path: Ref
    module: Module


@dataclass(slots=True)
class Node:
    """One step of a path: the rules whose ground prefix ends here, and the steps after it."""

    entries: list[Entry] = field(default_factory=list)
    children: dict[Term, Node] = field(default_factory=dict)

    def child(self, term: Term) -> Node | None:
        """Return the next step, if it is there."""
        return None if isinstance(term, Ref | Call) else self.children.get(term)

    def walk(self) -> Iterator[Node]:
        """Return this node and all below it."""
        stack = [self]
        while stack:
            node = stack.pop()
            yield node
            stack.extend(node.children.values())


class RuleTree:
    """All rules of some modules."""

    def __init__(self, modules: Mapping[str, Module]) -> None:
        self.root = Node()
        for name in sorted(modules):
            module = modules[name]
            if not module.rules:
                self._node(module.package)
            for index, rule in enumerate(module.rules):
                path = full_path(module, rule.head)
                self._node(path.ground_prefix()).entries.append(Entry((name, index, 0), rule, path, module))

    def _node(self, path: Ref) -> Node:
        node = self.root
        for term in path.terms:
            node = node.children.setdefault(term, Node())
        return node

    def find(self, ref: Ref) -> Node | None:
        """Return the node at exactly this path."""
        node: Node | None = self.root
        for term in ref.terms:
            node = node.child(term) if node is not None else None
            if node is None:
                return None
        return node

    def arity(self, ref: Ref) -> int:
        """How many arguments the rule at a path has; -1 if there is none."""
        node = self.find(ref) if ref.root == "data" else None
        return len(node.entries[0].rule.head.args) if node is not None and node.entries else -1

    def always_defined(self, ref: Ref) -> bool:
        """Whether a reference is to a rule that is known to have a value."""
        node = self.find(ref) if ref.root == "data" and len(ref.terms) > 1 else None
        if node is None or not node.entries:
            return False
        first = node.entries[0].rule
        if first.head.args:
            return False
        if any(one.rule.default for one in node.entries) or first.head.multi_value:
            return True
        return len(node.entries) == 1 and _is_fixed(first)

    def reachable(self, ref: Ref) -> list[Entry]:
        """All rules that a reference may be to."""
        found: dict[RuleId, Entry] = {}
        level = [self.root]
        for position, term in enumerate(ref.terms):
            following: list[Node] = []
            for node in level:
                if position == 0 or is_constant(term):
                    child = node.child(term)
                    children = [] if child is None else [child]
                else:
                    children = list(node.children.values())
                for one in children:
                    found.update((entry.id, entry) for entry in one.entries)
                following.extend(children)
            level = following
            if not level:
                break
        for node in level:
            for below in node.walk():
                found.update((entry.id, entry) for entry in below.entries)
        return list(found.values())


def full_path(module: Module, head: Head) -> Ref:
    """Return a rule's path from ``data`` on; the first name of its head is a string there."""
    first, *rest = head.ref.terms
    if isinstance(first, Var):
        first = String(first.name, first.location)
    return Ref((*module.package.terms, first, *rest), head.ref.location)


def _is_fixed(rule: Rule) -> bool:
    """Whether a rule is a value without a body."""
    value = rule.head.value
    if not is_true(rule.body):
        return False
    if isinstance(value, (Var, *SCALARS)):
        return True
    return isinstance(value, Array | Object | Set) and is_constant(value)


QUERY: Final = "__query"
"""How the names of modules begin that are queries: no rule sees them."""


class Graph:
    """What rules refer to; a rule and each of its `else` are nodes of their own."""

    def __init__(self, rules: Mapping[RuleId, Rule], tree: RuleTree) -> None:
        lengths: dict[tuple[str, int], int] = {}
        for module, index, _ in rules:
            lengths[module, index] = lengths.get((module, index), 0) + 1
        known: dict[Ref, tuple[RuleId, ...]] = {}
        #: The targets of each reference in a rule; rules with the same reference share them.
        self.targets: dict[RuleId, list[tuple[RuleId, ...]]] = {}
        for id_, rule in rules.items():
            edges = dict[int, tuple[RuleId, ...]]()
            for term in (*head_terms(rule), *rule.body):
                for node in inside(term):
                    if not isinstance(node, Ref) or node.root != "data":
                        continue
                    targets = known.get(node)
                    if targets is None:
                        found = [
                            (one.id[0], one.id[1], place)
                            for one in tree.reachable(node)
                            if not one.id[0].startswith(QUERY)  # a query may ask for all of data
                            for place in range(lengths[one.id[:2]])
                        ]
                        targets = known[node] = tuple(found)
                    edges[id(targets)] = targets
            self.targets[id_] = list(edges.values())

    def edges(self, id_: RuleId) -> Iterator[RuleId]:
        """Yield what a rule refers to; some perhaps more than once."""
        return itertools.chain.from_iterable(self.targets[id_])

    def ordered(self) -> tuple[list[RuleId], bool]:
        """All rules, each after what it refers to, and whether that was possible."""
        state: dict[RuleId, int] = {}
        found: list[RuleId] = []
        acyclic = True
        for start in self.targets:
            if start in state:
                continue
            stack: list[tuple[RuleId, Iterator[RuleId]]] = [(start, self.edges(start))]
            state[start] = 1
            while stack:
                node, following = stack[-1]
                for one in following:
                    if one not in state:
                        state[one] = 1
                        stack.append((one, self.edges(one)))
                        break
                    if state[one] == 1:
                        acyclic = False
                else:
                    state[node] = 2
                    found.append(node)
                    stack.pop()
        return found, acyclic

    def recursive(self) -> set[RuleId]:
        """All rules that a path leads back to (strongly connected ones: Tarjan, SIAM J. Comput. 1, 1972)."""
        number: dict[RuleId, int] = {}
        lowest: dict[RuleId, int] = {}
        waiting: list[RuleId] = []
        is_waiting: set[RuleId] = set()
        found: set[RuleId] = set()

        def visit(node: RuleId) -> tuple[RuleId, Iterator[RuleId]]:
            number[node] = lowest[node] = len(number)
            waiting.append(node)
            is_waiting.add(node)
            return node, self.edges(node)

        for start in self.targets:
            stack = [] if start in number else [visit(start)]
            while stack:
                node, following = stack[-1]
                for one in following:
                    if one == node:
                        found.add(node)
                    elif one not in number:
                        stack.append(visit(one))
                        break
                    elif one in is_waiting:
                        lowest[node] = min(lowest[node], number[one])
                else:
                    stack.pop()
                    if stack:
                        lowest[stack[-1][0]] = min(lowest[stack[-1][0]], lowest[node])
                    if lowest[node] == number[node]:
                        component = [waiting.pop()]
                        while component[-1] != node:
                            component.append(waiting.pop())
                        is_waiting.difference_update(component)
                        if len(component) > 1:
                            found.update(component)
        return found

    def cycle(self, start: RuleId) -> list[RuleId]:
        """Return a path from a rule to itself; empty if there is none."""
        before: dict[RuleId, RuleId] = {}
        stack = [start]
        visited: set[RuleId] = set()
        while stack:
            node = stack.pop()
            if node in visited:
                continue
            visited.add(node)
            for one in self.edges(node):
                if one == start:
                    path = [start, node]
                    while path[-1] != start:
                        path.append(before[path[-1]])
                    return path[::-1] if node != start else [start, start]
                if one not in visited:
                    before[one] = node
                    stack.append(one)
        return []


def by_id(modules: Mapping[str, Module]) -> dict[RuleId, Rule]:
    """All rules and their `else`."""
    return {
        (name, index, place): one
        for name in sorted(modules)
        for index, rule in enumerate(modules[name].rules)
        for place, one in enumerate(chain(rule))
    }

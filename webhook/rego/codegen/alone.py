"""Which rules depend on nothing but their arguments: what they gave for these once, they always give."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Final

from webhook.rego.ast import Call, Expr, Ref, Rule, Term, Var, chain
from webhook.rego.builtins.declaration import DECLARATIONS
from webhook.rego.passes.walk import head_terms, inside
from webhook.rego.tree import Node, constant
from webhook.rego.values import UNDEFINED, key

_UNIFICATIONS: Final = ("eq", "assign")


class Alone:
    """Answers for one tree of rules; rules refer to each other without cycles.

    Args:
        root: the tree.
        targets: the paths below ``data`` that `with` replaces somewhere.
        mocked: the functions and builtins that it replaces.
    """

    def __init__(self, root: Node, targets: Collection[tuple[Any, ...]], mocked: Collection[str]) -> None:
        self._root = root
        self._targets = targets
        self._mocked = mocked
        self._known: dict[int, bool] = {}

    def rules(self, node: Node) -> bool:
        """Tell whether a node's rules look at nothing else: not at input, base documents, clock or chance."""
        if node.number not in self._known:
            self._known[node.number] = False  # what a cycle would be; the passes refuse them
            replaced = any(node.path[: len(target)] == target for target in self._targets)
            links = [link for _, rule in node.rules for link in chain(rule)]
            self._known[node.number] = not replaced and all(map(self._rule, links))
        return self._known[node.number]

    def _rule(self, rule: Rule) -> bool:
        return all(map(self._node, [one for top in (*head_terms(rule), *rule.body) for one in inside(top)]))

    def _node(self, node: Term | Expr) -> bool:
        if isinstance(node, Expr):
            return not node.with_
        if isinstance(node, Var):
            return node.name != "input"
        if isinstance(node, Call):
            known = node.operator.root == "data" or node.name in _UNIFICATIONS or self._builtin(node.name)
            return known and node.name not in self._mocked
        return not isinstance(node, Ref) or node.root != "data" or self._reference(node)

    def _builtin(self, name: str) -> bool:
        declaration = DECLARATIONS.get(name)
        return declaration is not None and declaration.pure

    def _reference(self, ref: Ref) -> bool:
        node = self._root
        for term in ref.terms[1:]:
            value = constant(term)
            child = None if value is UNDEFINED else node.children.get(key(value))
            if child is None:
                return False
            node = child
            if node.number >= 0:
                return self.rules(node)
        return False

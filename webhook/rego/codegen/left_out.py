"""The code that asks the index which definitions are evaluated, where it can be seen what it leaves out."""

from __future__ import annotations

from typing import Any

from webhook.rego.ast import Body, Rule, chain
from webhook.rego.codegen.indexing import Indexed, index_of
from webhook.rego.codegen.keeping import Keeping
from webhook.rego.tree import Node


class LeftOut(Keeping):
    """Knows which rules have an index to ask, and the code that asks it."""

    def __init__(self, root: Node, targets: frozenset[tuple[Any, ...]], mocked: frozenset[str]) -> None:
        super().__init__(root, targets, mocked)
        self.indexed: Indexed | None = None  # of the rules that are written now
        self.left = ""  # the name of what it leaves

    def index(self, node: Node) -> None:
        """Make the index of a node's rules."""
        links = [link for _, rule in node.rules if not rule.default for link in chain(rule)]
        self.indexed, self.left = index_of(self.root, links, self.raising.expr), ""

    def ask_index(self, params: list[str], *, early: bool = False) -> None:
        """Write: which rules are left, if what is left out shows, or if the first may decide (`early`)."""
        if self.indexed is not None and (self.indexed.seen or early):
            self.left = self.name("i")
            asked = self.constant(self.indexed.index.left)
            self.emit(f"{self.left} = {asked}({', '.join(['F0', *params])})")

    def unless_left_out(self, rule: Rule) -> None:
        """Write: go on only if the index leaves this one."""
        one = self.indexed
        if one is not None and id(rule) in one.seen:
            self.check(f"not {self.left} & {one.bits[id(rule)]}")

    def body_of(self, rule: Rule) -> Body:
        """Return a rule's body in the order in which it is evaluated."""
        return self.indexed.bodies.get(id(rule), rule.body) if self.indexed is not None else rule.body

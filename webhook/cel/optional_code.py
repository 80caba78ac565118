"""The generated tier's code for optionals: inside a chain of them the value itself, or MISSING."""

from __future__ import annotations

from collections.abc import Callable

from webhook.cel.ast import Apply, Choice, Index, Literal, Node, OptionalElse, OptionalMap, Select
from webhook.cel.values import Optional
from webhook.cel.writer import Writer


class OptionalCode(Writer):
    """Knows the code of ``?.``, ``optMap``, ``orValue`` and their like."""

    __slots__ = ()

    def maybe(self, node: Node) -> str:
        """Return code for an optional as its value or MISSING."""
        kind = node.__class__
        if kind is Literal and node.value.__class__ is Optional:  # type: ignore[union-attr]
            held = node.value  # type: ignore[union-attr]
            return self.constant(held.value) if held.present else self.helper("MISSING")
        if kind is Select and node.type == "optional":
            return self.maybe_select(node)  # type: ignore[arg-type]
        if kind is Index and node.type == "optional":
            return self.maybe_index(node)  # type: ignore[arg-type]
        if kind is OptionalMap:
            return self.maybe_map(node)  # type: ignore[arg-type]
        if kind is OptionalElse and node.type == "optional":
            return self.maybe_else(node, self.maybe)  # type: ignore[arg-type]
        if kind is Choice and node.type == "optional":
            return self.either(node, self.maybe)  # type: ignore[arg-type]
        if kind is Apply and node.name == "optional.of":  # type: ignore[union-attr]
            return self.value(node.args[0])  # type: ignore[union-attr]
        text = self.call(node) if kind is Apply else self.value(node)  # type: ignore[arg-type]
        return f"{self.helper('OPEN')}({text})"

    def maybe_operand(self, node: Node) -> str:
        """Return code for what an optional operation is applied to: an optional opened, or any value."""
        return self.maybe(node) if node.type == "optional" else self.value(node)

    def maybe_select(self, node: Select) -> str:
        """Return code for ``operand.?field``."""
        if node.operand.type == "@variables":
            return f"A.variable({node.field!r})"
        self.refuse_scalar(node.operand, True)
        return self.maybe_key(self.maybe_operand(node.operand), node.field)

    def maybe_key(self, operand: str, field: str) -> str:
        """Return code for the value of a key, or MISSING."""
        first, again = self.twice(operand)
        found = f"{again}[{field!r}] if {first}.__class__ is dict and {field!r} in {again}"
        return f"({found} else {self.helper('FIELD')}({again}, {field!r}))"

    def maybe_index(self, node: Index) -> str:
        """Return code for ``operand[?index]``."""
        self.refuse_scalar(node.operand, node.index.type == "string")
        operand = self.maybe_operand(node.operand)
        if node.index.__class__ is Literal and node.index.type == "string":
            return self.maybe_key(operand, node.index.value)
        return f"{self.helper('ELEMENT')}({operand}, {self.value(node.index)})"

    def maybe_map(self, node: OptionalMap) -> str:
        """Return code for ``optMap`` and ``optFlatMap``."""
        operand = (
            self.maybe_operand(node.operand) if node.operand.type == "optional" else self.opened(node.operand)
        )
        name = self.names[node.variable.slot] = f"x{node.variable.slot}"
        body = self.maybe if node.flat else self.value
        missing = self.helper("MISSING")
        if not node.body.loops:
            return f"({self.apart(body, node.body)} if ({name}:={operand}) is not {missing} else {missing})"
        result = self.temporary()
        self.emit(f"{result} = {name} = {operand}")
        self.emit(f"if {result} is not {missing}:")
        outside = self.open_branch()
        self.emit(f"{result} = {body(node.body)}")
        self.close(outside)
        return result

    def opened(self, node: Node) -> str:
        """Return code for any optional as its value or MISSING."""
        return self.maybe(node) if node.type == "optional" else f"{self.helper('OPEN')}({self.value(node)})"

    def maybe_else(self, node: OptionalElse, other: Callable[[Node], str]) -> str:
        """Return code for ``or`` and ``orValue``."""
        operand, missing = self.opened(node.operand), self.helper("MISSING")
        if not node.other.loops:
            first, again = self.twice(operand)
            return f"({again} if {first} is not {missing} else {self.apart(other, node.other)})"
        result = self.temporary()
        self.emit(f"{result} = {operand}")
        self.emit(f"if {result} is {missing}:")
        outside = self.open_branch()
        self.emit(f"{result} = {other(node.other)}")
        self.close(outside)
        return result

    def optional_map(self, node: OptionalMap) -> str:
        """Return code for ``optMap`` as an optional."""
        return f"{self.helper('CLOSE')}({self.maybe(node)})"

    def optional_else(self, node: OptionalElse) -> str:
        """Return code for ``or`` as an optional, or for the value that ``orValue`` gives."""
        if node.optional:
            return f"{self.helper('CLOSE')}({self.maybe(node)})"
        return self.maybe_else(node, self.value)

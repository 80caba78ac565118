"""The generated tier's code for comprehensions, and for conditions that end a program or a loop's turn."""

from __future__ import annotations

from webhook.cel.ast import And, Choice, Loop, Node, Not, Or
from webhook.cel.shape import Chain, leaf_weights
from webhook.cel.writer import Writer

FREE_TURNS = (
    16  # a loop without loops inside it isn't charged for so few turns; the loop around it is, for them
)
_STARTS = {
    "all": "True",
    "exists": "False",
    "exists_one": "0",
    "filter": "[]",
    "map": "[]",
    "transformMap": "{}",
    "transformMapEntry": "{}",
}


class LoopCode(Writer):
    """Knows the code of loops and of jumps."""

    __slots__ = ()

    def jump(self, node: Node, outcome: bool, statement: str) -> None:
        """Emit code that runs `statement` when `node` is `outcome`, and goes on otherwise.

        The statement is a ``return``, or ends with ``break`` or ``continue`` of the loop being written.
        """
        kind = node.__class__
        if kind is Not:
            self.jump(node.operand, not outcome, statement)  # type: ignore[union-attr]
        elif kind is And or kind is Or:
            parts: tuple[Node, ...] = node.parts  # type: ignore[union-attr]
            if outcome is (kind is Or):  # any one part brings the outcome
                for part in parts:
                    self.jump(part, outcome, statement)
            elif not node.loops:
                self.emit(f"if {'' if outcome else 'not '}{self.value(node)}: {statement}")
            else:
                indent, known = self.indent, None
                for part in parts[:-1]:
                    self.emit(f"if {'' if outcome else 'not '}{self.test(part)}:")
                    known = self.known.copy() if known is None else known
                    self.indent += " "
                self.jump(parts[-1], outcome, statement)
                self.indent = indent
                self.known = known or {}
        elif kind is Loop and node.kind in ("all", "exists"):  # type: ignore[union-attr]
            self.jump_loop(node, outcome, statement)  # type: ignore[arg-type]
        else:
            self.emit(f"if {'' if outcome else 'not '}{self.test(node)}: {statement}")

    def jump_loop(self, node: Loop, outcome: bool, statement: str) -> None:
        """Emit code that runs `statement` when ``all`` or ``exists`` has the outcome."""
        early = node.kind == "exists"  # what the loop is when it ends early
        if outcome is not early:
            outside = self.open_loop(node)
            self.jump(node.body, early, "break")
            self.close(outside)
            self.emit(f"else: {statement}")
        elif statement.startswith("return"):
            outside = self.open_loop(node)
            self.jump(node.body, early, statement)
            self.close(outside)
        else:
            self.emit(f"if {'' if outcome else 'not '}{self.loop(node)}: {statement}")

    def answer(self, node: Node, as_bool: bool) -> None:
        """Emit code that returns the value of `node` from the program."""
        kind = node.__class__
        if kind is And or kind is Or:
            *parts, last = node.parts  # type: ignore[union-attr]
            if not node.loops:
                self.emit(f"return {self.value(node)}")
                return
            for part in parts:
                self.jump(part, kind is Or, f"return {kind is Or}")
            self.answer(last, True)
        elif kind is Loop and node.kind in ("all", "exists"):  # type: ignore[union-attr]
            early = node.kind == "exists"  # type: ignore[union-attr]
            outside = self.open_loop(node)  # type: ignore[arg-type]
            self.jump(node.body, early, f"return {early}")  # type: ignore[union-attr]
            self.close(outside)
            self.emit(f"return {not early}")
        elif kind is Choice and node.loops:
            self.emit(f"if {self.test(node.test)}:")  # type: ignore[union-attr]
            outside = self.open_branch()
            self.answer(node.yes, as_bool)  # type: ignore[union-attr]
            self.close(outside)
            self.answer(node.no, as_bool)  # type: ignore[union-attr]
        else:
            self.emit(f"return {self.test(node) if as_bool else self.value(node)}")

    def open_loop(self, node: Loop) -> tuple[str, dict[Chain, str]]:
        """Emit a loop's head with its charge; return what `close` goes back to after its body."""
        items = self.value(node.range)
        if not items.isidentifier():
            name = self.temporary()
            self.emit(f"{name} = {items}")
            items = name
        if node.range.type not in ("list", "jsons", "map"):
            self.emit(f"if {items}.__class__ is not list: {self.helper('ITERABLE')}({items})")
        leaves = leaf_weights(node.body) + (0 if node.condition is None else leaf_weights(node.condition))
        self.used.add("B")
        self.used.add("len")
        if leaves:
            self.emit(f"B.left -= len({items}) * {node.weight + FREE_TURNS * leaves}")
            self.emit("if B.left < 0: B.spend()")
        else:
            steps = f"len({items})" if node.weight == 1 else f"len({items}) * {node.weight}"
            self.emit(f"if len({items}) > {FREE_TURNS}: {self.helper('CHARGE')}(B, {steps})")
        first = self.names[node.first.slot] = f"x{node.first.slot}"
        if node.second is None:
            self.emit(f"for {first} in {items}:")
        else:
            second = self.names[node.second.slot] = f"x{node.second.slot}"
            listed = f"{self.helper('enumerate')}({items})"
            self.emit(
                f"for {first}, {second} in ({items}.items() if {items}.__class__ is dict else {listed}):"
            )
        return self.open_branch()

    def loop(self, node: Loop) -> str:
        """Emit a loop; return code for its value."""
        result, kind = self.temporary(), node.kind
        self.emit(f"{result} = {_STARTS[kind]}")
        outside = self.open_loop(node)
        if node.condition is not None:
            self.jump(node.condition, False, "continue")
        if kind == "all":
            self.jump(node.body, False, f"{result} = False; break")
        elif kind == "exists":
            self.jump(node.body, True, f"{result} = True; break")
        elif kind == "exists_one":
            self.jump(node.body, False, "continue")
            self.emit(f"{result} += 1")
        elif kind == "filter":
            self.jump(node.body, False, "continue")
            self.emit(f"{result}.append({self.names[node.first.slot]})")
        elif kind == "map":
            self.emit(f"{result}.append({self.value(node.body)})")
        elif kind == "transformMap":
            self.emit(f"{result}[{self.names[node.first.slot]}] = {self.value(node.body)}")
        else:
            self.emit(f"{self.helper('INSERT')}({result}, {self.value(node.body)})")
        self.close(outside)
        return f"({result} == 1)" if kind == "exists_one" else result

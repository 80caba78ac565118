"""The code of functions that keep their results: in a frame for the same value, for all queries for texts."""

from __future__ import annotations

from typing import Any, Final

from webhook.rego.ast import COMPREHENSIONS, Call, Every, Expr, chain
from webhook.rego.codegen.bodies import Bodies
from webhook.rego.codegen.in_place import IN_PLACE
from webhook.rego.codegen.modes import Return
from webhook.rego.codegen.scope import visits
from webhook.rego.passes.walk import inside
from webhook.rego.runtime.remembered import remembered
from webhook.rego.tree import Node

_WORTH: Final = 4  # expressions, from which on a function keeps its results
_MOST_ARGUMENTS: Final = 3
_MOST_KEPT: Final = 1000


class Keeping(Bodies):
    """Knows which functions keep their results, and the code of these."""

    def __init__(self, root: Node, targets: frozenset[tuple[Any, ...]], mocked: frozenset[str]) -> None:
        super().__init__(root, targets, mocked)
        #: Functions that keep their results, and of how many arguments.
        self.keeping: list[tuple[Node, int]] = []

    def kept(self, node: Node, arity: int) -> bool:
        """Tell whether a function's results are kept: those of larger ones, of one text or of texts alone."""
        if not arity or sum([1 + len(link.body) for _, rule in node.rules for link in chain(rule)]) < _WORTH:
            return False
        return arity == 1 or (arity <= _MOST_ARGUMENTS and self.is_remembered(node))

    def is_remembered(self, node: Node) -> bool:
        """Tell whether a function's results are kept for all queries: it needs texts alone, and some time."""
        return self.alone.rules(node) and self.takes_time(node)

    def takes_time(self, node: Node) -> bool:
        """Tell whether a function does more than what is written in place: loops, and calls that aren't."""
        bodies = [link.body for _, rule in node.rules for link in chain(rule)]
        for one in [one for body in bodies for expr in body for one in inside(expr)]:
            if isinstance(one, (Every, *COMPREHENSIONS)) or (isinstance(one, Expr) and visits(one)):
                return True
            if isinstance(one, Call) and one.name not in IN_PLACE:
                return True
        return False

    def kept_functions(self) -> None:
        """Write the functions that keep what others give, once it is known how they are called."""
        for node, arity in self.keeping:
            alone = self.is_remembered(node)
            if alone or self.calls[node.number] > 1:
                self.kept_function(node, arity, alone=alone)
            else:
                self.finished.append(f"r_{node.number} = r_{node.number}_value")

    def kept_function(self, node: Node, arity: int, *, alone: bool) -> None:
        """Write the function that keeps what another one gives.

        Where it is called with texts alone, and needs nothing else (`alone`), it keeps that for all queries.
        Else it keeps it for the frame, for the very same value.
        """
        number, params, known = node.number, [self.name("a") for _ in range(arity)], self.name("c")
        listed = ", ".join(params)
        value = f"r_{number}_value(F0, {listed})"
        again = arity == 1 and self.calls[number] > 1
        self.begin("return U", Return())
        self.own.update([*params, known])
        texts = " and ".join([f"{one}.__class__ is STR" for one in params])
        if alone:
            place = self.constant(remembered())
            self.emit(f"if {texts} and not F0.strict:")
            asked, left = (listed if arity == 1 else f"({listed})"), self.name("n")
            self.indent += 1
            self.emit(f"{known} = {place}.get({asked})")
            self.emit(f"if {known} is None:")
            self.emit(f" {left} = B0.left")
            self.emit(f" t = {value}")
            steps = f"{left} - B0.left if B0.left >= 0 else -1"  # a look at the time may have taken the rest
            self.emit(f" return REMEMBER({place}, {asked}, t, {steps})")
            self.charge(f"{known}[1]")
            self.emit(f"return {known}[0]")
            self.indent -= 1
        if again:
            at = self.name("i")
            self.emit(f"{known} = F0.cache[{number}]")
            self.emit(f"if {known} is NOT_YET: {known} = F0.cache[{number}] = {{}}")
            self.emit(f"{at} = {listed} if {texts} else ID({listed})")
            self.emit(f"t = {known}.get({at})")
            self.emit("if t is None:")
            self.emit(f" if LEN({known}) > {_MOST_KEPT}: {known}.clear()")
            self.emit(
                f" {known}[{at}] = t = ({listed}, {value})  # what is kept stays alive, and its id its own"
            )
            self.emit("return t[1]")
        else:
            self.emit(f"return {value}")
        self.end(f"def r_{number}(F0, {listed}):")

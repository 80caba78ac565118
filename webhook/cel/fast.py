"""The generated tier: one Python function for one expression, reading plain JSON as it is.

The function handles no error: whatever is unusual raises, and then the exact tier runs. So if it finishes, no
part of the expression failed, and its value is the exact one. What makes that true is kept in two rules:

- a Python operation is generated only where, for every value the operand may have, it either means what CEL
  means or raises. ``True == 1`` in Python, strings can be indexed and searched by ``in``, and so on: there a
  check of the class goes before it. The static type ``json`` says that a value came from decoded JSON, so
  that it has no bytes, unsigned or opaque values in it.
- hoisting an operand before another is harmless, as nothing has side effects and errors end the tier anyway.

Only ``repr()`` of constants and names made here enter the source; every other object is passed by reference.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from webhook.cel.ast import (
    And,
    Apply,
    Choice,
    Has,
    Index,
    ListOf,
    Literal,
    Local,
    Loop,
    MapOf,
    Node,
    Not,
    OptionalElse,
    OptionalMap,
    Or,
    Root,
    Select,
)
from webhook.cel.calls import CALLS
from webhook.cel.loop_code import FREE_TURNS, LoopCode
from webhook.cel.optional_code import OptionalCode
from webhook.cel.shape import chain_of, repeated_chains
from webhook.cel.writer import HELPERS, Unsupported
from webhook.core.activation import Passes, Program
from webhook.core.errors import BudgetExceeded

_LONGEST_SOURCE = 200_000


def generate(node: Node, exact: Program) -> tuple[Program, str]:
    """Return the generated program of a resolved expression, and its source.

    Args:
        node: the expression.
        exact: runs where the generated code gives up.

    Raises:
        Unsupported: this tier has no code for it.
    """
    return _Generator().program(node, exact)


def generate_passing(whole: Sequence[Node], each: Sequence[Node]) -> tuple[Passes, str]:
    """Return a function that tells whether all of a policy's validations are met, and its source.

    Most objects meet most policies. Finding that out is one call for a policy, with one visit to each
    container; only what doesn't pass is judged validation by validation. The function returns False wherever
    one is not true, fails, or takes more steps than are left.

    Args:
        whole: resolved expressions that are evaluated once.
        each: those that are evaluated for each container.

    Raises:
        Unsupported: this tier has no code for one of them.
    """
    return _Generator().passing(whole, each)


class _Generator(LoopCode, OptionalCode):
    __slots__ = ()

    def program(self, node: Node, exact: Program) -> tuple[Program, str]:
        self.shared = repeated_chains(node)
        self.answer(node, False)
        tail = [" except EXCEEDED:", "  raise", " except Exception:", "  pass", " return exact(A)"]
        return self.function("A", tail, {"EXCEEDED": BudgetExceeded, "exact": exact})

    def passing(self, whole: Sequence[Node], each: Sequence[Node]) -> tuple[Passes, str]:
        self.shared = {chain for node in (*whole, *each) for chain in repeated_chains(node)}
        for node in whole:
            self.jump(node, False, "return False")
        if each:
            self.used |= {"B", "len"}
            self.emit(f"if len(C) > {FREE_TURNS}: {self.helper('CHARGE')}(B, len(C) * {len(each)})")
            self.roots |= {"container": "c", "containerKind": "n"}
            self.bound = ("c", "n")
            self.emit("for n, _, c, _ in C:")
            outside = self.open_branch()
            for node in each:
                self.jump(node, False, "return False")
            self.close(outside)
        self.emit("return True")
        return self.function("A, C", [" except Exception:", "  return False"], {})

    def function(self, parameters: str, tail: list[str], names: dict[str, Any]) -> tuple[Any, str]:
        """Return the function of the lines written so far, and its source.

        Args:
            parameters: its own; the activation is ``A``.
            tail: the lines after them, with the end of the ``try`` that they are in.
            names: what the tail uses.

        Raises:
            Unsupported: it is too long or nested too deeply for CPython.
        """
        known = {name: HELPERS[name] for name in sorted(self.used - {"B"})} | self.constants | names
        head = [f"def f({parameters}):", " try:"]
        head += [f"  {local} = A.{name}" for name, local in self.roots.items() if local not in self.bound]
        if "B" in self.used:
            head.append("  B = A.budget")
        source = "\n".join([*head, *self.lines, *tail, ""])
        if len(source) > _LONGEST_SOURCE:
            raise Unsupported
        try:
            exec(compile(source, "<cel>", "exec"), known)  # noqa: S102 - only what this module wrote
        except (SyntaxError, RecursionError, MemoryError, OverflowError):  # CPython's own limits on nesting
            raise Unsupported from None
        # Taken out, so that the function and its globals are no cycle: a policy that goes is gone at once.
        return known.pop("f"), source

    def value(self, node: Node) -> str:
        """Return code for the value of `node`; what needs statements is emitted before."""
        self.depth += 1
        if self.depth == 1:
            self.sharing = not node.loops
        if self.depth > 90:  # CPython's parser takes 200 levels of parentheses
            raise Unsupported
        text = _VALUES[node.__class__](self, node)
        self.depth -= 1
        return text

    def literal(self, node: Literal) -> str:
        value = node.value
        kind = value.__class__
        if kind is str or kind is bool or value is None:
            return repr(value)
        if kind is int or (kind is float and math.isfinite(value)):
            return repr(value) if value > 0 else f"({value!r})"
        return self.constant(value)

    def root(self, node: Root) -> str:
        if node.name == "variables":
            raise Unsupported
        if node.name not in self.roots:
            self.roots[node.name] = f"r{len(self.roots)}"
        return self.roots[node.name]

    def local(self, node: Local) -> str:
        return self.names[node.slot]

    def select(self, node: Select) -> str:
        if node.type == "optional":
            return f"{self.helper('CLOSE')}({self.maybe(node)})"
        if node.operand.type == "@variables":
            return f"A.variable({node.field!r})"
        self.refuse_scalar(node.operand, True)
        chain = chain_of(node)
        if chain not in self.shared:
            return f"{self.value(node.operand)}[{node.field!r}]"
        if chain in self.known:
            return self.known[chain]
        text = f"{self.value(node.operand)}[{node.field!r}]"
        if not self.sharing:
            return text
        name = self.known[chain] = self.temporary()
        text = f"({name}:={text})"
        self.assigned[text] = name
        return text

    def has(self, node: Has) -> str:
        if node.operand.type == "optional":
            raise Unsupported
        if node.operand.type == "@variables":
            return f"(A.variable({node.field!r}), True)[1]"
        first, again = self.twice(self.value(node.operand))
        other = f"{self.helper('HAS')}({again}, {node.field!r})"
        return f"({node.field!r} in {again} if {first}.__class__ is dict else {other})"

    def index(self, node: Index) -> str:
        if node.optional:
            return f"{self.helper('CLOSE')}({self.maybe(node)})"
        self.refuse_scalar(node.operand, node.index.type == "string")
        operand, index = self.value(node.operand), self.value(node.index)
        if (
            node.index.type == "string"
        ):  # of all values only a map takes a string as index, in Python and in CEL
            return f"{operand}[{index}]"
        if node.index.__class__ is Literal and node.index.type == "int" and node.index.value >= 0:
            first, again = self.twice(operand)
            other = f"{self.helper('INDEX')}({again}, {index})"
            return f"({again}[{index}] if {first}.__class__ is list else {other})"
        return f"{self.helper('INDEX')}({operand}, {index})"

    def logic(self, node: Or | And) -> str:
        word = " or " if node.__class__ is Or else " and "
        first, *others = node.parts
        head = self.test(first)
        known = self.known.copy()
        if not any(part.loops for part in others):
            text = "(" + word.join([head, *[self.test(part) for part in others]]) + ")"
            self.known = known
            return text
        result = self.temporary()
        self.emit(f"{result} = {head}")
        for part in others:
            self.emit(f"if {'not ' if node.__class__ is Or else ''}{result}:")
            outside = self.open_branch()
            self.emit(f"{result} = {self.test(part)}")
            self.close(outside)
        return result

    def negation(self, node: Not) -> str:
        return f"(not {self.test(node.operand)})"

    def choice(self, node: Choice) -> str:
        if node.type == "optional":
            return f"{self.helper('CLOSE')}({self.maybe(node)})"
        return self.either(node, self.value)

    def list_of(self, node: ListOf) -> str:
        items = []
        for position, item in enumerate(node.items):
            if node.optional and node.optional[position]:
                first, again = self.twice(self.maybe(item))
                items.append(f"*(() if {first} is {self.helper('MISSING')} else ({again},))")
            else:
                items.append(self.value(item))
        return f"[{', '.join(items)}]"

    def map_of(self, node: MapOf) -> str:
        if any(optional for _, _, optional in node.entries):
            raise Unsupported
        pairs = [(self.value(key), self.value(value)) for key, value, _ in node.entries]
        if all(key.__class__ is Literal and key.type == "string" for key, _, _ in node.entries):
            return "{" + ", ".join([f"{key}: {value}" for key, value in pairs]) + "}"
        return f"{self.helper('MAP')}({', '.join([part for pair in pairs for part in pair])})"

    def apply(self, node: Apply) -> str:
        name, args = node.name, node.args
        if name == "hasValue" and len(args) == 1:
            first, _ = self.twice(self.opened(args[0]))
            return f"({first} is not {self.helper('MISSING')})"
        if name == "value" and len(args) == 1:
            first, again = self.twice(self.opened(args[0]))
            return f"({again} if {first} is not {self.helper('MISSING')} else {self.helper('X')}())"
        if name == "dyn" or (name == "string" and args[0].type == "string"):
            return self.value(args[0])
        special = CALLS.get(name)
        text = special(self, node) if special is not None else None
        return self.call(node) if text is None else text

    def call(self, node: Apply) -> str:
        """Return code for a call of the library, charged where its cost may grow."""
        function, args = node.function, node.args
        texts = [self.value(one) for one in args]
        if function.costly is None:
            return f"{self.constant(function.implementation)}({', '.join(texts)})"
        return self.charged(node, texts)

    def charged(self, node: Apply, texts: list[str]) -> str:
        self.used.add("B")
        return f"{self.helper('CALL')}(B, {self.constant(node.function)}, {', '.join(texts)})"

    def budgeted(self, helper: str, left: str, right: str) -> str:
        self.used.add("B")
        return f"{self.helper(helper)}(B, {left}, {right})"


_VALUES: dict[Any, Callable[[_Generator, Any], str]] = {
    Literal: _Generator.literal,
    Root: _Generator.root,
    Local: _Generator.local,
    Select: _Generator.select,
    Has: _Generator.has,
    Index: _Generator.index,
    Or: _Generator.logic,
    And: _Generator.logic,
    Not: _Generator.negation,
    Choice: _Generator.choice,
    ListOf: _Generator.list_of,
    MapOf: _Generator.map_of,
    Apply: _Generator.apply,
    Loop: _Generator.loop,
    OptionalMap: _Generator.optional_map,
    OptionalElse: _Generator.optional_else,
}

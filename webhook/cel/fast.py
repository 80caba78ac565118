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
from collections.abc import Callable
from typing import Any

from webhook.cel import operations as op
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
from webhook.cel.shape import Chain, chain_of, leaf_weights, repeated_chains, without_dyn
from webhook.cel.values import Optional
from webhook.core.activation import Program
from webhook.core.errors import BudgetExceeded

_LONGEST_SOURCE = 200_000
_FREE_TURNS = (
    16  # a loop without loops inside it isn't charged for so few turns; the loop around it is, for them
)

_HELPERS: dict[str, Any] = {
    "EXCEEDED": BudgetExceeded,
    "MISSING": op.MISSING,
    "X": op.fail,
    "CHARGE": op.charge,
    "EQ": op.equal,
    "NE": op.unequal,
    "IN": op.contains,
    "ADD": op.add,
    "CALL": op.call,
    "COMPARE": op.compare,
    "NUMBER": op.number,
    "HAS": op.has,
    "ITERABLE": op.iterable,
    "INDEX": op.index_into,
    "FIELD": op.maybe_field,
    "ELEMENT": op.maybe_index,
    "OPEN": op.open_optional,
    "CLOSE": op.close_optional,
    "MAP": op.map_of,
    "INSERT": op.insert,
    "len": len,
    "enumerate": enumerate,
}


class Unsupported(Exception):  # noqa: N818 - not an error: the exact tier takes such expressions
    """The expression is one that only the exact tier takes."""


def generate(node: Node, exact: Program) -> tuple[Program, str]:
    """Return the generated program of a resolved expression, and its source.

    Args:
        node: the expression.
        exact: runs where the generated code gives up.

    Raises:
        Unsupported: this tier has no code for it.
    """
    return _Generator().program(node, exact)


class _Generator:
    __slots__ = (
        "assigned",
        "constants",
        "depth",
        "indent",
        "known",
        "lines",
        "names",
        "roots",
        "shared",
        "sharing",
        "temporaries",
        "used",
    )

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.indent = "  "
        self.constants: dict[str, Any] = {}
        self.names: dict[int, str] = {}
        self.roots: dict[str, str] = {}
        self.used: set[str] = set()
        self.temporaries = 0
        self.depth = 0
        # Chains of fields that are read more than once, and the temporaries that hold them where the code is
        # sure to have read them before. Only code without loops shares: it runs in the order it is written.
        self.shared: set[Chain] = set()
        self.known: dict[Chain, str] = {}
        self.assigned: dict[str, str] = {}  # the code of such a chain's first reading: its temporary
        self.sharing = False

    def program(self, node: Node, exact: Program) -> tuple[Program, str]:
        self.shared = repeated_chains(node)
        self.answer(node, False)
        parameters = {name: _HELPERS[name] for name in sorted(self.used - {"B"})} | self.constants
        parameters["EXCEEDED"] = BudgetExceeded
        parameters["exact"] = exact
        head = ["def f(A):", " try:"]
        head += [f"  {local} = A.{name}" for name, local in self.roots.items()]
        if "B" in self.used:
            head.append("  B = A.budget")
        tail = [" except EXCEEDED:", "  raise", " except Exception:", "  pass", " return exact(A)", ""]
        source = "\n".join([*head, *self.lines, *tail])
        if len(source) > _LONGEST_SOURCE:
            raise Unsupported
        try:
            exec(compile(source, "<cel>", "exec"), parameters)  # noqa: S102 - only what this module wrote
        except (SyntaxError, RecursionError, MemoryError, OverflowError):  # CPython's own limits on nesting
            raise Unsupported from None
        function: Program = parameters["f"]
        return function, source

    # Small tools

    def emit(self, line: str) -> None:
        self.lines.append(self.indent + line)

    def temporary(self) -> str:
        self.temporaries += 1
        return f"t{self.temporaries}"

    def constant(self, value: Any) -> str:
        for name, known in self.constants.items():
            if known is value:
                return name
        name = f"k{len(self.constants)}"
        self.constants[name] = value
        return name

    def helper(self, name: str) -> str:
        self.used.add(name)
        return name

    def twice(self, text: str) -> tuple[str, str]:
        """Return code for the first and for later readings of a value."""
        if text.isidentifier():
            return text, text
        if text in self.assigned:
            return text, self.assigned[text]
        name = self.temporary()
        return f"({name}:={text})", name

    # Conditions

    def test(self, node: Node) -> str:
        """Return code for `node` as a bool, which leaves the tier for any other value."""
        text = self.value(node)
        if node.type == "bool":
            return text
        first, again = self.twice(text)
        return f"({first} is True or {again} is not False and {self.helper('X')}())"

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

    # Values

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

    def refuse_scalar(self, operand: Node, named: bool) -> None:
        """Leave to the exact tier what is sure to fail, and of which Python's compiler would warn."""
        operand = without_dyn(operand)
        if operand.type in _SCALARS or (named and operand.__class__ is ListOf):
            raise Unsupported

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

    def either(self, node: Choice, value: Callable[[Node], str]) -> str:
        test = self.test(node.test)
        if not node.yes.loops and not node.no.loops:
            yes = self.apart(value, node.yes)
            return f"({yes} if {test} else {self.apart(value, node.no)})"
        result = self.temporary()
        for head, branch in ((f"if {test}:", node.yes), ("else:", node.no)):
            self.emit(head)
            outside = self.open_branch()
            self.emit(f"{result} = {value(branch)}")
            self.close(outside)
        return result

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

    # Optionals: inside a chain the value itself, or MISSING

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
        return self.maybe(node) if node.type == "optional" else self.value(node)

    def maybe_select(self, node: Select) -> str:
        if node.operand.type == "@variables":
            return f"A.variable({node.field!r})"
        self.refuse_scalar(node.operand, True)
        return self.maybe_key(self.maybe_operand(node.operand), node.field)

    def maybe_key(self, operand: str, field: str) -> str:
        first, again = self.twice(operand)
        found = f"{again}[{field!r}] if {first}.__class__ is dict and {field!r} in {again}"
        return f"({found} else {self.helper('FIELD')}({again}, {field!r}))"

    def maybe_index(self, node: Index) -> str:
        self.refuse_scalar(node.operand, node.index.type == "string")
        operand = self.maybe_operand(node.operand)
        if node.index.__class__ is Literal and node.index.type == "string":
            return self.maybe_key(operand, node.index.value)
        return f"{self.helper('ELEMENT')}({operand}, {self.value(node.index)})"

    def maybe_map(self, node: OptionalMap) -> str:
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
        return f"{self.helper('CLOSE')}({self.maybe(node)})"

    def optional_else(self, node: OptionalElse) -> str:
        if node.optional:
            return f"{self.helper('CLOSE')}({self.maybe(node)})"
        return self.maybe_else(node, self.value)

    # Loops

    def open_branch(self) -> tuple[str, dict[Chain, str]]:
        """Indent for code that isn't sure to run; return what `close` goes back to after it."""
        outside = self.indent, self.known.copy()
        self.indent += " "
        return outside

    def close(self, outside: tuple[str, dict[Chain, str]]) -> None:
        self.indent, self.known = outside

    def apart(self, value: Callable[[Node], str], node: Node) -> str:
        """Return code that isn't sure to run: what it reads isn't known after it."""
        known = self.known.copy()
        text = value(node)
        self.known = known
        return text

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
            self.emit(f"B.left -= len({items}) * {node.weight + _FREE_TURNS * leaves}")
            self.emit("if B.left < 0: B.spend()")
        else:
            steps = f"len({items})" if node.weight == 1 else f"len({items}) * {node.weight}"
            self.emit(f"if len({items}) > {_FREE_TURNS}: {self.helper('CHARGE')}(B, {steps})")
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

    # Calls

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


_SCALARS = frozenset(("null", "bool", "int", "uint", "double", "string", "bytes"))
_STARTS = {
    "all": "True",
    "exists": "False",
    "exists_one": "0",
    "filter": "[]",
    "map": "[]",
    "transformMap": "{}",
    "transformMapEntry": "{}",
}
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

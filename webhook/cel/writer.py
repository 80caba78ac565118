"""What every part of the generated tier's generator uses: its lines, names, constants and known chains."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from webhook.cel import operations as op
from webhook.cel.ast import Apply, Choice, ListOf, Node
from webhook.cel.shape import Chain, without_dyn
from webhook.core.errors import BudgetExceeded

HELPERS: dict[str, Any] = {
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

_SCALARS = frozenset(("null", "bool", "int", "uint", "double", "string", "bytes"))


class Unsupported(Exception):  # noqa: N818 - not an error: the exact tier takes such expressions
    """The expression is one that only the exact tier takes."""


class Writer:
    """Collects the lines of a program; the classes that derive from it know the code of nodes."""

    __slots__ = (
        "assigned",
        "bound",
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
        self.bound: tuple[str, ...] = ()  # those of them that the code itself sets
        self.used: set[str] = set()
        self.temporaries = 0
        self.depth = 0
        # Chains of fields that are read more than once, and the temporaries that hold them where the code is
        # sure to have read them before. Only code without loops shares: it runs in the order it is written.
        self.shared: set[Chain] = set()
        self.known: dict[Chain, str] = {}
        self.assigned: dict[str, str] = {}  # the code of such a chain's first reading: its temporary
        self.sharing = False

    def value(self, node: Node) -> str:
        """Return code for the value of `node`; what needs statements is emitted before."""
        raise NotImplementedError

    def call(self, node: Apply) -> str:
        """Return code for a call of the library, charged where its cost may grow."""
        raise NotImplementedError

    def emit(self, line: str) -> None:
        """Write a line where the code is now."""
        self.lines.append(self.indent + line)

    def temporary(self) -> str:
        """Return a new name for a value of the program."""
        self.temporaries += 1
        return f"t{self.temporaries}"

    def constant(self, value: Any) -> str:
        """Return the name under which the program has a value, which is passed by reference."""
        for name, known in self.constants.items():
            if known is value:
                return name
        name = f"k{len(self.constants)}"
        self.constants[name] = value
        return name

    def helper(self, name: str) -> str:
        """Return the name of a helper, which brings it in."""
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

    def test(self, node: Node) -> str:
        """Return code for `node` as a bool, which leaves the tier for any other value."""
        text = self.value(node)
        if node.type == "bool":
            return text
        first, again = self.twice(text)
        return f"({first} is True or {again} is not False and {self.helper('X')}())"

    def refuse_scalar(self, operand: Node, named: bool) -> None:
        """Leave to the exact tier what is sure to fail, and of which Python's compiler would warn."""
        operand = without_dyn(operand)
        if operand.type in _SCALARS or (named and operand.__class__ is ListOf):
            raise Unsupported

    def either(self, node: Choice, value: Callable[[Node], str]) -> str:
        """Return code for the one or the other value of a ternary."""
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

    def open_branch(self) -> tuple[str, dict[Chain, str]]:
        """Indent for code that isn't sure to run; return what `close` goes back to after it."""
        outside = self.indent, self.known.copy()
        self.indent += " "
        return outside

    def close(self, outside: tuple[str, dict[Chain, str]]) -> None:
        """Go back to what `open_branch` left."""
        self.indent, self.known = outside

    def apart(self, value: Callable[[Node], str], node: Node) -> str:
        """Return code that isn't sure to run: what it reads isn't known after it."""
        known = self.known.copy()
        text = value(node)
        self.known = known
        return text

"""The lines of generated functions: names, constants, open loops, and what leaves a piece of code.

Code is written forward. A check that fails runs `fail`, which goes on with the next turn of the innermost
loop or leaves the function; so code nests only by its loops. CPython allows twenty loops inside each other:
deeper ones go on in a function of their own, which `close` ends.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Final

from webhook.core.errors import CompileError
from webhook.rego.ast import Location
from webhook.rego.codegen.modes import Collect, Flag, Mode, Return

_MAX_DEPTH: Final = 14  # CPython's limit is 20; `try` takes one, negation and `every` one or two
_MAX_INDENT: Final = 80  # CPython's limit is 100
_MAX_LINES: Final = 200_000
_TEXT = re.compile(r"'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\"")
_LOCAL = re.compile(r"\b[A-Za-z][0-9]+\b")
_MOST_SEEN: Final = 200  # they are copied for each loop
_WEIGHT: Final = "{weight}"
_GATHERED: Final = re.compile(
    r"for (?P<one>v[0-9]+) in (?P<values>t[0-9]+):\n"
    r"(?P<result>r[0-9]+)\.collect\((?P=one), (?P<budget>B[0-9]+)\)"
)


@dataclass(frozen=True, slots=True)
class Seen:
    """What was looked up already, where the code is; `defined`: it is known to have been found."""

    name: str
    defined: bool


@dataclass(slots=True)
class _Loop:
    indent: int
    fail: str
    header: int
    charge: int
    flag: Flag | None
    turns: bool
    seen: dict[tuple[Any, ...], Seen]


@dataclass(slots=True)
class _Split:
    name: str
    lines: list[str]
    own: set[str]
    indent: int
    depth: int
    fail: str
    mode: Mode
    seen: dict[tuple[Any, ...], Seen]


class Writer:
    """Collects the lines of a program.

    Attributes:
        finished: the functions that are complete.
        constants: the values that the program is given, by their names in it.
        lines: of the function at hand.
        own: the names that this function sets itself; a part of it that is split off takes all others.
        indent: of the next line.
        depth: how many loops are open in this function.
        fail: the statement that leaves the innermost loop's turn, or the function.
        mode: what becomes of a result.
        frame: the name of the frame that is seen now; `with` makes another.
        ordered: whether OPA's order shows in what is built now.
        open: the loops, and the functions split off, that `close` has yet to end.
        seen: what was looked up, by name and path; what a loop has seen ends with it.
        is_function: whether this is a function of the policy, which is called more than once.
        home: counts functions: a flag is left otherwise in the function that it was made in.
    """

    def __init__(self) -> None:
        self.finished: list[str] = []
        self.constants: dict[str, Any] = {}
        self.lines: list[str] = []
        self.own: set[str] = set()
        self.indent = 1
        self.depth = 0
        self.fail = ""
        self.mode: Mode = Return()
        self.frame = "F0"
        self.ordered = False
        self.open: list[_Loop | _Split] = []
        self.seen: dict[tuple[Any, ...], Seen] = {}
        self.is_function = False
        self.home = 0
        self._names = 0
        self._functions = 0
        self._written = 0
        self._known: dict[tuple[type, Any], str] = {}

    def emit(self, line: str) -> None:
        """Write a line."""
        if self.indent > _MAX_INDENT or self._written > _MAX_LINES:
            raise CompileError("the rules are nested too deeply, or too large, to be compiled")
        self._written += 1
        self.lines.append(" " * self.indent + line)

    def name(self, letter: str) -> str:
        """Return a new local name; each is given once in a program."""
        self._names += 1
        name = f"{letter}{self._names}"
        self.own.add(name)
        return name

    def function_name(self, letter: str) -> str:
        """Return a new name for a function."""
        self._functions += 1
        return f"{letter}_{self._functions}"

    def constant(self, value: Any) -> str:
        """Return the name under which the program has a value, which is passed by reference."""
        known = self._known.get((value.__class__, id(value)))
        if known is None:
            known = f"k_{len(self.constants)}"
            self.constants[known] = value
            self._known[(value.__class__, id(value))] = known
        return known

    def place(self, location: Location) -> str:
        """Return the name of a place in the source."""
        return self.constant(location)

    def check(self, condition: str) -> None:
        """Write: go on only if not `condition`."""
        self.emit(f"if {condition}: {self.fail}")

    def charge(self, steps: str) -> None:
        """Write: so many steps of the budget are taken."""
        self.emit(f"{self.budget()}.left -= {steps}")
        self.emit(f"if {self.budget()}.left < 0: {self.budget()}.spend()")

    def collect(self, result: str, value: str) -> str:
        """Return code that adds a value to the set that `result` names."""
        return f"{result}.collect({value}, {self.budget()})"

    def named(self, text: str) -> str:
        """Return a name for a value: literals get one."""
        if text.isidentifier() and text not in ("True", "False", "None"):
            return text
        name = self.name("t")
        self.emit(f"{name} = {text}")
        return name

    # Loops, and what is around them.

    def loop(self, head: str, *, charge: str = "", real: bool = True, turns: bool = True) -> None:
        """Open a loop; ``{weight}`` in the head, or in `charge`, becomes what a turn is charged.

        Args:
            head: the loop's first line.
            charge: what is charged before, if the head doesn't do that.
            real: whether a flag that is found leaves it.
            turns: whether it may have more than one turn.
        """
        if charge:
            self.charge(charge)
        self.emit(head)
        header = len(self.lines) - 1
        flag = self.mode if isinstance(self.mode, Flag) and real else None
        charged = header - 2 if charge else header
        self.open.append(_Loop(self.indent, self.fail, header, charged, flag, turns, self.seen))
        self.seen = {**self.seen}
        self.indent += 1
        self.depth += 1
        self.fail = "continue"

    def room(self, levels: int = 3) -> None:
        """Make room for what must stay in one function: a name, and the loops that set it."""
        if self.depth > _MAX_DEPTH - levels:
            self._split()

    def once(self) -> None:
        """Open a block that `fail` leaves."""
        self.loop("for _ in ONCE:", real=False, turns=False)

    def see(self, path: tuple[Any, ...], name: str, *, defined: bool) -> None:
        """Note what `name` was looked up by: it isn't looked up again in this loop or one inside."""
        if len(self.seen) < _MOST_SEEN:
            self.seen[path] = Seen(name, defined)

    def mark(self) -> int:
        """Return what `close` goes back to."""
        return len(self.open)

    def close(self, mark: int) -> None:
        """Close the loops that were opened since `mark`, with what has to be written after each."""
        while len(self.open) > mark:
            one = self.open.pop()
            if isinstance(one, _Split):
                self._join(one)
                continue
            weight = 1 + (len(self.lines) - one.header) // 5
            before, placeholder, after = self.lines[one.charge].rpartition(_WEIGHT)  # a text may hold one too
            self.lines[one.charge] = f"{before}{weight if placeholder else ''}{after}"
            if len(self.lines) == one.header + 1:
                self.emit("pass")
            self._gather(one.header)
            self.indent, self.fail, self.seen = one.indent, one.fail, one.seen
            self.depth -= 1
            flag = one.flag
            if flag is None or flag.home != self.home:
                continue
            if any(isinstance(o, _Loop) and o.flag == flag for o in self.open):
                self.emit(f"if {flag.name} is {flag.found}: break")

    def _gather(self, header: int) -> None:
        """Write a loop that does nothing but collect its values as one call."""
        if len(self.lines) != header + 2:
            return
        match = _GATHERED.fullmatch("\n".join([line.strip() for line in self.lines[header:]]))
        if match is not None:
            values, result, budget = match.group("values", "result", "budget")
            indent = self.lines[header][: -len(self.lines[header].lstrip())]
            self.lines[header:] = [f"{indent}{result}.collect_all({values}, {budget})"]

    def found(self, value: str) -> None:
        """Write that there is a result, in the modes that end with the first."""
        mode = self.mode
        if isinstance(mode, Return):
            self.emit(f"return {value}")
        elif isinstance(mode, Flag):
            if mode.home != self.home:
                self.emit(f"return {mode.found}")
                return
            self.emit(f"{mode.name} = {mode.found}")
            self.emit("break")

    def _split(self) -> None:
        """Go on in a new function, which `close` ends and calls from here."""
        mode = self.mode
        self.open.append(
            _Split(
                self.function_name("h"),
                self.lines,
                self.own,
                self.indent,
                self.depth,
                self.fail,
                mode,
                self.seen,
            )
        )
        self.seen = {**self.seen}
        self.lines, self.own, self.indent, self.depth = [], set(), 1, 0
        self.home += 1
        if isinstance(mode, Return):
            self.fail = "return U"
        elif isinstance(mode, Collect):
            self.fail = f"return {mode.name}"
        else:
            self.fail = f"return {mode.unfound}"

    def _join(self, split: _Split) -> None:
        self.indent = 1
        self.emit(self.fail)
        text = "\n".join(self.lines)
        used = set(_LOCAL.findall(_TEXT.sub("''", text)))
        free = sorted(used - self.own)
        self.finished.append(f"def {split.name}({', '.join(free)}):\n{text}")
        self.lines, self.own, self.indent, self.depth = split.lines, split.own, split.indent, split.depth
        self.fail, self.mode, self.seen = split.fail, split.mode, split.seen
        self.home -= 1
        call = f"{split.name}({', '.join(free)})"
        if isinstance(split.mode, Return):
            name = self.name("t")
            self.emit(f"{name} = {call}")
            self.emit(f"if {name} is not U: return {name}")
        elif isinstance(split.mode, Collect):
            self.emit(f"{split.mode.name} = {call}")
        elif split.mode.home == self.home:
            self.emit(f"if {call} is {split.mode.found}:")
            self.emit(f" {split.mode.name} = {split.mode.found}; break")
        else:
            self.emit(f"if {call} is {split.mode.found}: return {split.mode.found}")

    # Functions.

    @property
    def loops(self) -> int:
        """How many loops are open that may have more than one turn."""
        return sum(1 for one in self.open if isinstance(one, _Loop) and one.turns)

    @property
    def repeats(self) -> bool:
        """Whether what is written now may run again in the same frame."""
        return self.is_function or self.loops > 0

    def begin(self, fail: str, mode: Mode) -> None:
        """Begin a function: its first parameter is the frame ``F0``."""
        self.lines, self.own, self.indent, self.depth = [], {"F0", "I0", "B0"}, 1, 0
        self.fail, self.mode, self.frame, self.open, self.ordered = fail, mode, "F0", [], False
        self.seen, self.is_function = {}, False

    def end(self, head: str) -> None:
        """End the function, with what it needs of its frame in front."""
        text = "\n".join(self.lines)
        used = set(_LOCAL.findall(_TEXT.sub("''", text)))
        first = [f" {name}0 = F0.{field}" for name, field in _FIELDS if f"{name}0" in used]
        self.finished.append("\n".join([head, *first, text]))

    def budget(self) -> str:
        """Return the name of the budget: every frame of a query has the same."""
        return "B0"

    def input(self) -> str:
        """Return the name of the input that is seen now."""
        return "I" + self.frame[1:]

    def source(self) -> str:
        """Return the program's text."""
        return "\n".join(self.finished) + "\n"


_FIELDS: Final = (("I", "input"), ("B", "budget"))

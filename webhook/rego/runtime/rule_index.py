"""Which definitions of a rule OPA evaluates at all: those that what they look at doesn't rule out.

It is OPA's index, with what it takes for a match and with what it overlooks (``v1/ast/index.go``): a tree,
one level for each reference that the definitions look at. What it leaves out can be seen where a body would
end the query, or where it leaves out what is true.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field

from webhook.core.activation import Budget
from webhook.rego.raw_text import decoded, encoded
from webhook.rego.runtime.frames import Frame
from webhook.rego.runtime.lookups import along, along_stored
from webhook.rego.values import CONTAINERS, UNDEFINED, Path, RegoSet, Value, entries, key

Item = Hashable
"""What is in an array, by its key; UNDEFINED stands for any."""


@dataclass(frozen=True, slots=True)
class Subject:
    """What is looked at: an argument of the function, or a path below ``input`` or ``data``."""

    argument: int = -1
    root: str = ""
    keys: tuple[Hashable, ...] = ()  # of the path: that `true` isn't 1 is known to them
    path: Path = field(default=(), compare=False)

    def value(self, frame: Frame, args: tuple[Value, ...]) -> Value:
        """Return the value that is there now."""
        if self.argument >= 0:
            return args[self.argument]
        if self.root == "data":
            return along_stored(frame.data, *self.path)
        return UNDEFINED if frame.input is UNDEFINED else along(frame.input, *self.path)


@dataclass(slots=True, eq=False)
class Level:
    """A place in the tree: the definitions that end there, and what is looked at next.

    Attributes:
        found: the definitions, as bits.
        subject: what `below` looks at.
        below: by what there is: the next places.
    """

    found: int = 0
    subject: Subject | None = None
    below: Branches | None = None


@dataclass(slots=True, eq=False)
class Branches:
    """The places after a reference: for any value or none, for any, for a scalar, for arrays of a shape.

    Attributes:
        delimiters: of the globs that are matched: texts are taken apart at them, too.
    """

    always: Level | None = None
    defined: Level | None = None
    scalars: dict[Hashable, Level] = field(default_factory=dict)
    arrays: dict[tuple[Item, ...], Level] = field(default_factory=dict)
    delimiters: list[str] = field(default_factory=list)


class RuleIndex:
    """The definitions of one name.

    Args:
        root: of the tree.
        alike: sets of definitions, as bits, that all have the same constant value.
        early: the bit that tells that only such ones are left, so that the first that is true decides.
    """

    __slots__ = ("_early", "_root", "alike")

    def __init__(self, root: Level, alike: Sequence[int], early: int) -> None:
        self._root = root
        self.alike = tuple(alike)
        self._early = early

    def left(self, frame: Frame, *args: Value) -> int:
        """Return the definitions that are evaluated, as bits.

        Raises:
            BudgetExceeded: the budget is spent.
        """
        found, waiting = 0, [self._root]
        while waiting:
            level = waiting.pop()
            found |= level.found
            if level.subject is not None and level.below is not None:
                _match(frame.budget, level.below, level.subject.value(frame, args), waiting.append)
        for one in self.alike:
            if not found & ~one:
                return found | self._early
        return found


def _match(budget: Budget, branches: Branches, value: Value, go_on: Callable[[Level], None]) -> None:
    budget.left -= 2
    if budget.left < 0:
        budget.spend()
    if branches.always is not None:
        go_on(branches.always)
    if value is UNDEFINED:
        return
    if branches.defined is not None:
        go_on(branches.defined)
    _match_value(budget, branches, value, go_on)
    if value.__class__ is str:
        for delimiters in branches.delimiters:
            budget.left -= len(value) // 16
            _match_value(budget, branches, parts(value, delimiters), go_on)


def _match_value(budget: Budget, branches: Branches, value: Value, go_on: Callable[[Level], None]) -> None:
    if value.__class__ not in CONTAINERS:
        if branches.scalars and (level := branches.scalars.get(key(value))) is not None:
            go_on(level)
        return
    if branches.arrays and value.__class__ is list:
        for pattern, level in branches.arrays.items():
            if len(pattern) == len(value) and _fits(pattern, value):
                go_on(level)
    if branches.scalars:
        # To the index a collection is equal to what is in it: it looks for members, too.
        budget.left -= len(value)
        if budget.left < 0:
            budget.spend()
        values = value if value.__class__ in (list, RegoSet) else [inner for _, inner in entries(value)]
        for one in {key(inner) for inner in values if inner.__class__ not in CONTAINERS}:
            if (found := branches.scalars.get(one)) is not None:
                go_on(found)


def _fits(pattern: tuple[Item, ...], value: list[Value]) -> bool:
    for wanted, item in zip(pattern, value, strict=True):
        if wanted is not UNDEFINED and (item.__class__ in CONTAINERS or key(item) != wanted):
            return False
    return True


def parts(text: str, delimiters: str) -> list[Value]:
    """Return what is between delimiters, but those after a backslash: it is left as it is."""
    if not text.isascii() and not delimiters.isascii():
        # OPA goes by bytes, and takes each for the character of that number.
        return [decoded(one.encode("latin-1")) for one in _split(encoded(text).decode("latin-1"), delimiters)]
    return [*_split(text, delimiters)]


def _split(text: str, delimiters: str) -> list[str]:
    found: list[str] = []
    last, escaped = 0, False
    for at, char in enumerate(text):
        if char == "\\" or escaped:
            escaped = not escaped
        elif char in delimiters:
            found.append(text[last:at])
            last = at + 1
    found.append(text[last:])
    return found

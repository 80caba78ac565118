"""What a definition wants of what it looks at, read from its body as OPA's rule index does."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from webhook.rego.ast import SCALARS, Array, Body, Call, Expr, Location, Object, Ref, Set, String, Term, Var
from webhook.rego.passes.walk import is_constant
from webhook.rego.runtime.rule_index import Item, Subject, parts
from webhook.rego.tree import Node, constant, constant_of
from webhook.rego.values import UNDEFINED, key

ANY: Final = Var("__any__")


class Unindexable(Exception):  # noqa: N818 - it is no error of anybody's
    """OPA has no index for this: it ends with a panic."""


@dataclass(frozen=True, slots=True)
class Scalar:
    """A scalar, by its key."""

    key: Hashable


@dataclass(frozen=True, slots=True)
class Shape:
    """An array: its items by their keys, variables by their names."""

    items: tuple[Hashable | Var, ...]


Wanted: TypeAlias = Var | Scalar | Shape


@dataclass(frozen=True, slots=True)
class Entry:
    """What one definition wants of a subject."""

    subject: Subject
    wanted: Wanted
    delimiters: str | None = None


@dataclass(slots=True)
class Reader:
    """Reads what one definition wants from its body, expression by expression."""

    root: Node
    arguments: tuple[Term, ...]
    count: Counter[Subject]
    places: dict[Subject, Location]
    entries: list[Entry] = field(default_factory=list)
    constants: dict[str, Term] = field(default_factory=dict)
    overlooks: bool = False

    def read(self, body: Body) -> None:
        """Read a body.

        Raises:
            Unindexable: OPA can't.
        """
        for expr in body:
            if not expr.with_ and not expr.negated:
                self._expression(expr)

    def _expression(self, expr: Expr) -> None:
        terms = expr.terms
        if isinstance(terms, Ref):
            self._equal(terms, ANY)
        if not isinstance(terms, Call):
            return
        name, args = terms.name, terms.args
        if name in ("eq", "equal") and len(args) == 2:
            a, b = args
            # The first that fits is taken.
            _ = self._item(a, b) or self._item(b, a) or self._equal(a, b) or self._equal(b, a)
        elif name == "glob.match" and len(args) == 3:
            self._glob(*args)
        elif name == "internal.member_2" and len(args) == 2:
            self._member(*args)

    def _insert(self, subject: Subject, wanted: Wanted, delimiters: str | None = None) -> None:
        self.count[subject] += 1
        entry = Entry(subject, wanted, delimiters)
        for position, other in enumerate(self.entries):
            if other.subject != subject:
                continue
            if other.wanted == wanted:
                return
            if isinstance(other.wanted, Var) and not isinstance(wanted, Var):
                self.entries[position] = entry
                return
        self.entries.append(entry)

    def _equal(self, a: Term, b: Term) -> bool:
        if isinstance(a, Var):
            if is_constant(b):
                self.constants[a.name] = b
            if not _indexed(b):
                return False
            subject = self._subject_of(a)
            if subject is None:
                return False
            self._insert(subject, _wanted(b))
            return True
        subject = self._valid(a)
        if subject is None:
            return False
        if isinstance(b, Var):
            b = self.constants.get(b.name, b)
        elif not _indexed(b):
            return False
        self._insert(subject, _wanted(b))
        return True

    def _item(self, a: Term, b: Term) -> bool:
        """Read ``input.x[_] == "a"``."""
        if not isinstance(a, Ref) or len(prefix := a.ground_prefix().terms) != len(a.terms) - 1:
            return False
        subject = self._valid(Ref(prefix))
        if subject is None:
            return False
        if isinstance(b, Var):
            b = self.constants.get(b.name, b)
        if not isinstance(b, SCALARS):
            return False
        self._insert(subject, _wanted(b))
        return True

    def _glob(self, pattern: Term, delimiters: Term, match: Term) -> None:
        if not isinstance(delimiters, Array) or not isinstance(pattern, String) or not isinstance(match, Var):
            return
        texts = [item.value for item in delimiters.items if isinstance(item, String)]
        if len(texts) != len(delimiters.items):
            return
        chars = "".join(texts) if texts else "."
        shape: list[Item] = []
        for part in parts(pattern.value, chars):
            if part == "*":
                shape.append(Var("$globwildcard"))
            elif _special(part):
                return
            else:
                shape.append(key(part))
        subject = self._subject_of(match)
        if subject is not None:
            self.overlooks = True  # a backslash in the value, or in the pattern
            self._insert(subject, Shape(tuple(shape)), chars)

    def _member(self, one: Term, several: Term) -> None:
        subject = self._subject_of(one) if isinstance(one, Var) else None
        if subject is not None:
            if isinstance(several, Var):
                several = self.constants.get(several.name, several)
            if isinstance(several, Array | Set):
                members: Iterable[Term] = several.items
            elif isinstance(several, Object):
                members = [value for _, value in several.items]
            else:
                return
            for member in members:
                self._insert(subject, _wanted(member))
            return
        if isinstance(one, Var):
            one = self.constants.get(one.name, one)
        elif not isinstance(one, SCALARS):
            return
        subject = self._valid(several)
        if subject is None and isinstance(several, Var):
            subject = self._subject_of(several)
            if subject is not None and subject.argument >= 0:
                return
        if subject is not None:
            self.overlooks |= isinstance(one, Array)  # it is taken for the whole
            self._insert(subject, _wanted(one))

    def _subject_of(self, variable: Var) -> Subject | None:
        """Return what a variable stands for: what it is unified with so far, or an argument."""
        for other in self.entries:
            if other.wanted == variable:
                return other.subject
        for position, argument in enumerate(self.arguments):
            if argument == variable:
                return Subject(position)
        return None

    def _valid(self, term: Term) -> Subject | None:
        """Return what a reference to a base document, or into the input, is."""
        if not isinstance(term, Ref) or term.root not in ("data", "input"):
            return None
        if not all(is_constant(part) for part in term.terms[1:]):
            return None
        path = tuple([constant_of(part) for part in term.terms[1:]])
        if term.root == "data" and self._virtual(term.terms[1:]):
            return None
        subject = Subject(-1, term.root, (*map(key, path),), path)
        self.places.setdefault(subject, term.terms[0].location)
        return subject

    def _virtual(self, path: Sequence[Term]) -> bool:
        node = self.root
        for part in path:
            value = constant(part)
            child = node.children.get(key(value)) if value is not UNDEFINED else None
            if child is None:
                return False
            if child.number >= 0:
                return True
            node = child
        return True


def _indexed(term: Term) -> bool:
    """Tell whether the index takes a term: a scalar, a variable, an array of these."""
    if isinstance(term, Array):
        return all(isinstance(item, (*SCALARS, Var)) for item in term.items)
    return isinstance(term, (*SCALARS, Var))


def _wanted(term: Term) -> Wanted:
    if isinstance(term, Var):
        return term
    if isinstance(term, SCALARS):
        return Scalar(key(constant(term)))
    if isinstance(term, Array) and _indexed(term):
        return Shape(tuple([one if isinstance(one, Var) else key(constant(one)) for one in term.items]))
    raise Unindexable


def _special(part: object) -> bool:
    """Tell whether a glob's part, which isn't ``*``, has more in it than text."""
    escaped = False
    for char in str(part):
        if char == "\\":
            escaped = not escaped
            continue
        if not escaped and char in "[?{*":
            return True
        escaped = False
    return False

"""The nodes of Rego: modules, rules, expressions and terms, as they are parsed and as the passes rewrite.

Nodes are frozen; passes build new ones. They compare by structure: locations and marks of generation don't
count. Names follow OPA's own syntax tree. What holds of a tree after the last pass is written in
`webhook.rego.compile`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final, Literal, TypeAlias

Version: TypeAlias = Literal["v0", "v1"]

_PLAIN_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z_0-9]*\Z")


@dataclass(frozen=True, slots=True)
class Location:
    """Where something is: line and column count from one; columns count characters."""

    row: int
    column: int
    file: str = ""

    @property
    def order(self) -> tuple[str, int, int]:
        """What places are sorted by."""
        return (self.file, self.row, self.column)

    def __str__(self) -> str:
        return f"{self.file}:{self.row}:{self.column}" if self.file else f"{self.row}:{self.column}"


NOWHERE: Final = Location(0, 0)


@dataclass(frozen=True, slots=True)
class Null:
    """``null``."""

    location: Location = field(default=NOWHERE, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Boolean:
    """``true`` or ``false``."""

    value: bool
    location: Location = field(default=NOWHERE, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Number:
    """A number, as its text."""

    text: str
    location: Location = field(default=NOWHERE, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class String:
    """A string, its escapes resolved."""

    value: str
    location: Location = field(default=NOWHERE, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Var:
    """A variable. Wildcards are ``$0``, ``$1``…; generated ones are ``__local0__``…."""

    name: str
    location: Location = field(default=NOWHERE, compare=False, repr=False)

    @property
    def wildcard(self) -> bool:
        """Whether it was written ``_``."""
        return self.name.startswith("$")

    @property
    def generated(self) -> bool:
        """Whether a pass made it (OPA's rule)."""
        return self.name.startswith("__local")


@dataclass(frozen=True, slots=True)
class Ref:
    """A reference: a head, which is a variable or any term that can be selected from, and what selects."""

    terms: tuple[Term, ...]
    location: Location = field(default=NOWHERE, compare=False, repr=False)

    @property
    def head(self) -> Term:
        """The term that the reference begins with."""
        return self.terms[0]

    @property
    def root(self) -> str | None:
        """The name of the head, if that is a variable."""
        head = self.terms[0]
        return head.name if isinstance(head, Var) else None

    def starts_with(self, *names: str) -> bool:
        """Whether it begins with these names, as in ``data.inventory``."""
        if len(self.terms) < len(names) or self.root != names[0]:
            return False
        rest = self.terms[1 : len(names)]
        return all(isinstance(a, String) and a.value == b for a, b in zip(rest, names[1:], strict=True))

    def ground_prefix(self) -> Ref:
        """Return the longest beginning in which only the head may be a variable."""
        for position, term in enumerate(self.terms):
            if position and not is_ground(term):
                return Ref(self.terms[:position], self.location)
        return self


@dataclass(frozen=True, slots=True)
class Array:
    """``[a, b]``."""

    items: tuple[Term, ...]
    location: Location = field(default=NOWHERE, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Object:
    """``{k: v}``; a key may be written twice."""

    items: tuple[tuple[Term, Term], ...]
    location: Location = field(default=NOWHERE, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Set:
    """``{a, b}`` or ``set()``."""

    items: tuple[Term, ...]
    location: Location = field(default=NOWHERE, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class ArrayComprehension:
    """``[term | body]``."""

    term: Term
    body: Body
    location: Location = field(default=NOWHERE, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class SetComprehension:
    """``{term | body}``."""

    term: Term
    body: Body
    location: Location = field(default=NOWHERE, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class ObjectComprehension:
    """``{key: value | body}``."""

    key: Term
    value: Term
    body: Body
    location: Location = field(default=NOWHERE, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Call:
    """A call. Operators are calls too: ``plus``, ``equal``, ``eq`` (``=``), ``assign`` (``:=``)."""

    operator: Ref
    args: tuple[Term, ...]
    location: Location = field(default=NOWHERE, compare=False, repr=False)

    @property
    def name(self) -> str:
        """The operator as text: ``count``, ``json.filter``, ``data.lib.f``."""
        return ref_text(self.operator)


@dataclass(frozen=True, slots=True)
class TemplateString:
    """``$"…{}"``: text and expressions. The passes rewrite it into a call."""

    parts: tuple[Term | Expr, ...]
    raw: bool = False
    location: Location = field(default=NOWHERE, compare=False, repr=False)


Scalar: TypeAlias = Null | Boolean | Number | String
Collection: TypeAlias = Array | Object | Set
Comprehension: TypeAlias = ArrayComprehension | SetComprehension | ObjectComprehension
Term: TypeAlias = Scalar | Var | Ref | Collection | Comprehension | Call | TemplateString

SCALARS: Final = (Null, Boolean, Number, String)
#: The names of the documents that every rule sees.
ROOTS: Final = frozenset(("data", "input"))
COMPREHENSIONS: Final = (ArrayComprehension, SetComprehension, ObjectComprehension)


@dataclass(frozen=True, slots=True)
class Some:
    """``some x, y``: symbols are variables; ``some x in xs``: one symbol, a call of ``internal.member_…``."""

    symbols: tuple[Term, ...]
    location: Location = field(default=NOWHERE, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Every:
    """``every key, value in domain { body }``."""

    key: Term | None
    value: Term
    domain: Term
    body: Body
    location: Location = field(default=NOWHERE, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Not:
    """``not { body }``, and every ``not`` of a module that imports ``future.keywords.not``."""

    body: Body
    explicit: bool = False
    location: Location = field(default=NOWHERE, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class With:
    """``with target as value``."""

    target: Term
    value: Term
    location: Location = field(default=NOWHERE, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Expr:
    """One expression of a body; true unless what it is comes out false or undefined."""

    terms: Term | Some | Every | Not
    negated: bool = False
    with_: tuple[With, ...] = ()
    location: Location = field(default=NOWHERE, compare=False, repr=False)
    generated: bool = field(default=False, compare=False)

    @property
    def operator(self) -> str | None:
        """The name of what is called, if the expression is a call."""
        return self.terms.name if isinstance(self.terms, Call) else None


Body: TypeAlias = tuple[Expr, ...]


@dataclass(frozen=True, slots=True)
class Head:
    """A rule's head.

    ``p contains k`` and v0's ``p[k]`` have a key and no value; ``p[k] := v`` has `k` in its reference and
    as its key.
    """

    name: str
    ref: Ref
    args: tuple[Term, ...] = ()
    key: Term | None = None
    value: Term | None = None
    assign: bool = False
    location: Location = field(default=NOWHERE, compare=False, repr=False)
    #: Which of `contains` and `if` were written.
    keywords: frozenset[str] = field(default=frozenset(), compare=False)
    #: Whether the value is the `true` of a head that names none.
    generated_value: bool = field(default=False, compare=False)

    @property
    def multi_value(self) -> bool:
        """Whether the rule adds elements to a set."""
        return self.key is not None and self.value is None


@dataclass(frozen=True, slots=True)
class Rule:
    """One definition of a rule, with the chain of its `else`."""

    head: Head
    body: Body
    default: bool = False
    else_: Rule | None = None
    location: Location = field(default=NOWHERE, compare=False, repr=False)
    #: Whether the body is the `true` of a rule without one.
    generated_body: bool = field(default=False, compare=False)


@dataclass(frozen=True, slots=True)
class Package:
    """``package a.b``; the path begins with ``data``."""

    path: Ref
    location: Location = field(default=NOWHERE, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Import:
    """``import path as alias``."""

    path: Ref
    alias: str | None = None
    location: Location = field(default=NOWHERE, compare=False, repr=False)

    @property
    def name(self) -> str:
        """What the import is called in its module."""
        if self.alias is not None:
            return self.alias
        last = self.path.terms[-1]
        return last.name if isinstance(last, Var) else last.value if isinstance(last, String) else ""


@dataclass(frozen=True, slots=True)
class Module:
    """A file: its package (a reference that begins with ``data``), imports and rules."""

    package: Ref
    imports: tuple[Import, ...]
    rules: tuple[Rule, ...]
    version: Version
    #: Whether v1's rules hold: of v1 itself, or of v0 with ``import rego.v1``.
    strict: bool
    file: str = ""
    location: Location = field(default=NOWHERE, compare=False, repr=False)

    @property
    def path(self) -> tuple[str, ...]:
        """The package as names: ``("data", "lib", "x")``."""
        rest = tuple(term.value for term in self.package.terms[1:] if isinstance(term, String))
        return (self.package.root or "", *rest)


def ref_text(ref: Ref) -> str:
    """Return a reference as text: ``data.lib.f``."""
    head, *rest = ref.terms
    names = [head.name] if isinstance(head, Var) and not head.wildcard else []
    names += [term.value for term in rest if isinstance(term, String) and _PLAIN_NAME.match(term.value)]
    if len(names) == len(ref.terms):
        return ".".join(names)
    from webhook.rego.node_text import show

    return show(ref)


def is_ground(term: Term) -> bool:
    """Whether no variable is in `term` (the head of a reference doesn't count; closures aren't ground)."""
    if isinstance(term, SCALARS):
        return True
    if isinstance(term, Call):
        return is_ground(term.operator) and all(map(is_ground, term.args))
    if isinstance(term, (Var, TemplateString, *COMPREHENSIONS)):
        return False
    if isinstance(term, Ref):
        rest = term.terms[1:] if isinstance(term.terms[0], Var) else term.terms
        return all(map(is_ground, rest))
    if isinstance(term, Object):
        return all(is_ground(key) and is_ground(value) for key, value in term.items)
    return all(map(is_ground, term.items))


def chain(rule: Rule) -> Iterator[Rule]:
    """Return a rule and its `else`, one after the other; `construction.chained` is the way back."""
    one: Rule | None = rule
    while one is not None:
        yield one
        one = one.else_


def operands(term: Term) -> Iterator[Term]:
    """Return the terms directly in `term`; closures have bodies of their own and give none."""
    if isinstance(term, Ref):
        yield from term.terms
    elif isinstance(term, Array | Set):
        yield from term.items
    elif isinstance(term, Object):
        for key, value in term.items:
            yield key
            yield value
    elif isinstance(term, Call):
        yield term.operator
        yield from term.args

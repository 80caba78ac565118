"""The index of a rule's definitions, made from their bodies as OPA makes it (``v1/ast/index.go``)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile

from webhook.rego.ast import Body, Call, Expr, Location, Ref, Rule, Var, is_ground
from webhook.rego.codegen.wanted import ANY, Entry, Reader, Scalar, Unindexable, Wanted
from webhook.rego.passes.walk import is_constant, variables
from webhook.rego.runtime.rule_index import Branches, Level, RuleIndex, Subject
from webhook.rego.tree import Node, constant_of
from webhook.rego.values import UNDEFINED, key


@dataclass(frozen=True, slots=True)
class Indexed:
    """The index of a name's definitions.

    Attributes:
        index: answers at run time.
        bits: of each definition and of what its `else` adds, by identity.
        seen: the identities of those of which it can be seen that they are left out.
        bodies: of those where it is enough to look things up first, by identity.
        early: the bit of `RuleIndex`.
    """

    index: RuleIndex
    bits: Mapping[int, int]
    seen: frozenset[int]
    bodies: Mapping[int, Body]
    early: int


def index_of(root: Node, links: Sequence[Rule], raises: Callable[[Expr], bool]) -> Indexed | None:
    """Return the index of definitions, each followed by what its `else` adds; None where there is nothing.

    Args:
        root: of all rules.
        links: none of them `default`.
        raises: tells whether an expression may end the query.
    """
    count: Counter[Subject] = Counter()
    places: dict[Subject, Location] = {}
    readers = [Reader(root, link.head.args, count, places) for link in links]
    try:
        for reader, link in zip(readers, links, strict=True):
            reader.read(link.body)
    except Unindexable:
        return None
    if not count:
        return None
    last = Location(1 << 60, 0)

    def rank(subject: Subject) -> tuple[int, str, int, int]:
        at = places.get(subject, last)
        return -count[subject], at.file, at.row, at.column

    ordered = sorted(count, key=rank)
    tree = Level()
    for bit, reader in enumerate(readers):
        _plant(tree, ordered, reader.entries, 1 << bit)
    alike: dict[Hashable, int] = {}
    for bit, link in enumerate(links):
        if link.head.value is not None and is_constant(link.head.value):
            same = key(constant_of(link.head.value))
            alike[same] = alike.get(same, 0) | 1 << bit
    early = 1 << len(links)
    overlooks = any(reader.overlooks for reader in readers)
    seen: set[int] = set()
    bodies: dict[int, Body] = {}
    for reader, link in zip(readers, links, strict=True):
        if not overlooks and not _asks_later(reader, link.body, raises):
            continue
        body = _looked_up_first(link)
        if overlooks or _asks_later(reader, body, raises):
            seen.add(id(link))
        else:
            bodies[id(link)] = body
    return Indexed(
        RuleIndex(tree, [*alike.values()], early),
        {id(link): 1 << bit for bit, link in enumerate(links)},
        frozenset(seen),
        bodies,
        early,
    )


def _asks_later(reader: Reader, body: Body, raises: Callable[[Expr], bool]) -> bool:
    """Tell whether what may end the query stands before something that the index looks at."""
    first = [*takewhile(lambda expr: not raises(expr), body)]
    if len(first) == len(body):
        return False
    before = Reader(reader.root, reader.arguments, Counter(), {})
    before.read(tuple(first))
    return {*before.entries} != {*reader.entries}


def _looked_up_first(link: Rule) -> Body:
    """Return a body that begins with what gives new variables a value of the input, or fails."""
    first: list[Expr] = []
    known = variables(link.head.args)
    for expr in link.body:
        terms = expr.terms
        if not expr.negated and not expr.with_ and isinstance(terms, Call) and terms.name == "eq":
            for one, other in (terms.args, terms.args[::-1]):
                new = isinstance(one, Var) and one.name not in known
                if new and isinstance(other, Ref) and other.root == "input" and is_ground(other):
                    first.append(expr)
        known |= variables(expr)
    moved = {id(expr) for expr in first}
    return (*first, *[expr for expr in link.body if id(expr) not in moved])


def _plant(level: Level, ordered: Sequence[Subject], wanted: Sequence[Entry], bit: int) -> None:
    """Put a definition where what it wants leads."""
    for subject in ordered if wanted else ():
        own = [one for one in wanted if one.subject == subject]
        level.subject = subject
        branches = level.below = level.below or Branches()
        for one in own:
            if one.delimiters is not None and one.delimiters not in branches.delimiters:
                branches.delimiters.append(one.delimiters)
        if not own:
            level = branches.always = branches.always or Level()
        elif len(own) == 1:
            level = _branch(branches, own[0].wanted)
        elif any(isinstance(one.wanted, Var) for one in own):
            level = _branch(branches, ANY)
        else:
            for one in own:  # each for itself, and nothing further is looked at
                _branch(branches, one.wanted).found |= bit
            return
    level.found |= bit


def _branch(branches: Branches, wanted: Wanted) -> Level:
    if isinstance(wanted, Var):
        branches.defined = branches.defined or Level()
        return branches.defined
    if isinstance(wanted, Scalar):
        return branches.scalars.setdefault(wanted.key, Level())
    shape = tuple([UNDEFINED if isinstance(one, Var) else one for one in wanted.items])
    return branches.arrays.setdefault(shape, Level())

"""The nodes of an expression: first as it is written, then as it is resolved.

Named tuples, because a policy set has tens of thousands of nodes and their making is most of a start's cost.
Every node knows its `offset` in the source.
"""

from __future__ import annotations

from typing import Any, NamedTuple, TypeAlias

from webhook.cel.library import Function


class Literal(NamedTuple):
    """A value that is known: a literal, a type's name, or a folded call; `type` is its static type."""

    offset: int
    type: str
    value: Any
    loops: bool = False


class Name(NamedTuple):
    """A name as written; `absolute` with a leading dot. Resolving tells what it is."""

    offset: int
    name: str
    absolute: bool = False


class Root(NamedTuple):
    """A variable of the activation."""

    offset: int
    name: str
    type: str = "dyn"
    loops: bool = False


class Local(NamedTuple):
    """A variable of a comprehension; each has a slot of its own in the frame of one evaluation."""

    offset: int
    name: str
    slot: int
    type: str = "dyn"
    loops: bool = False


class Select(NamedTuple):
    """``operand.field`` or, optional, ``operand.?field``."""

    offset: int
    operand: Any
    field: str
    optional: bool = False
    type: str = "dyn"
    loops: bool = False


class Has(NamedTuple):
    """``has(operand.field)``."""

    offset: int
    operand: Any
    field: str
    type: str = "bool"
    loops: bool = False


class Index(NamedTuple):
    """``operand[index]`` or, optional, ``operand[?index]``."""

    offset: int
    operand: Any
    index: Any
    optional: bool = False
    type: str = "dyn"
    loops: bool = False


class Call(NamedTuple):
    """A function's call; operators are calls too. Resolving makes it an `Apply`."""

    offset: int
    name: str
    target: Any
    args: tuple[Any, ...]


class Apply(NamedTuple):
    """A call of a function that exists, the receiver first among `args`."""

    offset: int
    name: str
    function: Function
    args: tuple[Any, ...]
    type: str = "dyn"
    loops: bool = False


class Or(NamedTuple):
    """``a || b || ...``: true if any part is, even if others fail."""

    offset: int
    parts: tuple[Any, ...]
    type: str = "bool"
    loops: bool = False


class And(NamedTuple):
    """``a && b && ...``: false if any part is, even if others fail."""

    offset: int
    parts: tuple[Any, ...]
    type: str = "bool"
    loops: bool = False


class Not(NamedTuple):
    """``!operand``."""

    offset: int
    operand: Any
    type: str = "bool"
    loops: bool = False


class Choice(NamedTuple):
    """``test ? yes : no``."""

    offset: int
    test: Any
    yes: Any
    no: Any
    type: str = "dyn"
    loops: bool = False


class ListOf(NamedTuple):
    """``[a, ?b]``; `optional` holds a flag for each item, or is empty when none is optional."""

    offset: int
    items: tuple[Any, ...]
    optional: tuple[bool, ...]
    type: str = "list"
    loops: bool = False


class MapOf(NamedTuple):
    """``{k: v, ?k: v}``; each entry is (key, value, optional)."""

    offset: int
    entries: tuple[tuple[Any, Any, bool], ...]
    type: str = "map"
    loops: bool = False


class Loop(NamedTuple):
    """A comprehension macro over a list's items or a map's keys (or, with two, with its value).

    `kind` is ``all``, ``exists``, ``exists_one``, ``map``, ``filter``, ``transformMap`` or
    ``transformMapEntry``; ``transformList`` is a ``map`` with two variables. As written, `first` and `second`
    are names; resolving makes them `Local`. `weight` is the steps that one turn takes.
    """

    offset: int
    kind: str
    range: Any
    first: Any
    second: Any
    body: Any
    condition: Any = None
    type: str = "dyn"
    loops: bool = True
    weight: int = 1


class OptionalMap(NamedTuple):
    """``operand.optMap(variable, body)``, or, flat, ``optFlatMap``; resolving makes `variable` a `Local`."""

    offset: int
    operand: Any
    variable: Any
    body: Any
    flat: bool
    type: str = "optional"
    loops: bool = False


class OptionalElse(NamedTuple):
    """``operand.orValue(other)``, or, as `optional`, ``operand.or(other)``; `other` only when needed."""

    offset: int
    operand: Any
    other: Any
    optional: bool
    type: str = "dyn"
    loops: bool = False


Node: TypeAlias = (
    Literal
    | Root
    | Local
    | Select
    | Has
    | Index
    | Apply
    | Or
    | And
    | Not
    | Choice
    | ListOf
    | MapOf
    | Loop
    | OptionalMap
    | OptionalElse
)
"""A node of a resolved expression."""

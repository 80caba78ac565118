"""Makes nodes: references of names, calls, sets and objects in OPA's order, and nodes placed elsewhere."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import fields, is_dataclass, replace
from decimal import Decimal
from typing import Any, Final, TypeVar, cast

from webhook.rego.ast import (
    NOWHERE,
    Array,
    ArrayComprehension,
    Body,
    Boolean,
    Call,
    Expr,
    Location,
    Null,
    Number,
    Object,
    ObjectComprehension,
    Ref,
    Rule,
    Set,
    SetComprehension,
    String,
    TemplateString,
    Term,
    Var,
)


def name_ref(name: str, location: Location = NOWHERE) -> Ref:
    """Return the reference of a dotted name: ``json.filter``."""
    first, *rest = name.split(".")
    return Ref((Var(first, location), *(String(part, location) for part in rest)), location)


def call(name: str, *args: Term, location: Location = NOWHERE) -> Call:
    """Return a call of a builtin."""
    return Call(name_ref(name, location), args, location)


_ORDER: Final[dict[type, int]] = {
    kind: position
    for position, kind in enumerate(
        (
            Null,
            Body,
            Boolean,
            Number,
            String,
            Var,
            Ref,
            Rule,
            Array,
            Object,
            Set,
            ArrayComprehension,
            ObjectComprehension,
            SetComprehension,
            Call,
            TemplateString,
        )
    )
}


def order_key(term: Term) -> tuple[Any, ...]:
    """Tell what terms are sorted by, as OPA sorts the elements of sets and the keys of objects."""
    rank = _ORDER[type(term)]
    if isinstance(term, Boolean | String):
        return (rank, term.value)
    if isinstance(term, Number):
        return (rank, Decimal(term.text))
    if isinstance(term, Var):
        return (rank, term.name)
    if isinstance(term, Ref):
        return (rank, tuple(map(order_key, term.terms)))
    if isinstance(term, Array | Set):
        return (rank, tuple(map(order_key, term.items)))
    if isinstance(term, Object):
        return (rank, tuple([(order_key(key), order_key(value)) for key, value in term.items]))
    if isinstance(term, Call):
        return (rank, order_key(term.operator), tuple(map(order_key, term.args)))
    if isinstance(term, ObjectComprehension):
        return (rank, order_key(term.key), order_key(term.value))
    return (
        (rank, order_key(term.term)) if isinstance(term, ArrayComprehension | SetComprehension) else (rank,)
    )


def set_of(items: Iterable[Term], location: Location = NOWHERE) -> Set:
    """Return a set: its elements sorted, none twice."""
    return Set(tuple(sorted(dict.fromkeys(items), key=order_key)), location)


def object_of(items: Iterable[tuple[Term, Term]], location: Location = NOWHERE) -> Object:
    """Return an object: its keys sorted; of a key that is there twice the last value counts."""
    return Object(tuple(sorted(dict(items).items(), key=lambda item: order_key(item[0]))), location)


def true_body(at: Location) -> Body:
    """Return the body that is only `true`, as a rule without one has it."""
    return (Expr(Boolean(True, at), location=at),)


def chained(links: Sequence[Rule]) -> Rule:
    """Return a rule of which each link but the first is the `else` of the one before."""
    *before, rule = links
    for one in reversed(before):
        rule = replace(one, else_=rule)
    return rule


NodeT = TypeVar("NodeT")


def relocate(node: NodeT, location: Location) -> NodeT:
    """Return a node, or a tuple of nodes, with it and all that is in it placed elsewhere."""
    if isinstance(node, tuple):
        return cast("NodeT", tuple([relocate(item, location) for item in node]))
    if not is_dataclass(node) or isinstance(node, Location | type):
        return node
    changes: dict[str, Any] = {
        one.name: location if one.name == "location" else relocate(getattr(node, one.name), location)
        for one in fields(node)
    }
    return cast("NodeT", type(node)(**changes))

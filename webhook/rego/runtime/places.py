"""References below ``data`` whose path only the run knows: rules and base documents together."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from webhook.rego.order import entries_in_order
from webhook.rego.runtime.frames import Frame
from webhook.rego.runtime.lookups import along, along_stored
from webhook.rego.runtime.visits import visited
from webhook.rego.tree import (
    Node,
)
from webhook.rego.values import UNDEFINED, Path, RegoObject, Value, entries, key, lookup, object_of


@dataclass(frozen=True, slots=True)
class Place:
    """Where a reference below ``data`` is while it still may meet rules."""

    frame: Frame
    node: Node | None
    path: Path


def hidden(frame: Frame, path: Path) -> bool:
    """Tell whether a `with` replaces `path` or what it is in."""
    return any(path[: len(one)] == one for one in frame.replaced)


def step(at: Value, wanted: Value) -> Value:
    """Return what `wanted` selects: a `Place` as long as rules may be below, then values."""
    if at.__class__ is not Place:
        return lookup(at, wanted)
    frame, path = at.frame, (*at.path, wanted)
    node = at.node.children.get(key(wanted)) if at.node is not None else None
    if node is None or hidden(frame, path):
        return along_stored(frame.data, *path)
    if node.number >= 0:
        return UNDEFINED if node.function or node.call is None else node.call(frame)
    return Place(frame, node, path)


def steps(at: Value, weight: int) -> Iterable[tuple[Value, Value]]:
    """Return what every key selects: those of the base document, then those of the rules."""
    if at.__class__ is not Place:
        return entries_in_order(at)
    base = along(at.frame.data, *at.path)
    visited(at.frame.budget, base, weight)
    names = [k for k, _ in entries_in_order(base)]
    if at.node is not None:
        names += [child.path[-1] for child in at.node.ordered()]
    return [(name, step(at, name)) for name in names]


def whole(at: Value) -> Value:
    """Return the value of where a reference ended: base document and rules as one object."""
    if at.__class__ is not Place:
        return at
    base = along(at.frame.data, *at.path)
    if at.node is None:
        return base
    virtual = _virtual(at.frame, at.node)
    return virtual if base is UNDEFINED else _merged(base, virtual)


def _virtual(frame: Frame, node: Node) -> Value:
    pairs = []
    for child in node.ordered():
        if hidden(frame, child.path):
            continue  # the base document has it
        value: Value
        if child.number < 0:
            value = _virtual(frame, child)
        elif child.function or child.call is None:
            continue
        else:
            value = child.call(frame)
        if value is not UNDEFINED:
            pairs.append((child.path[-1], value))
    return object_of(pairs)


def _merged(a: Value, b: Value) -> Value:
    """Return two documents as one: objects by their keys, of everything else `a`."""
    if a.__class__ not in (dict, RegoObject) or b.__class__ not in (dict, RegoObject):
        return a
    pairs = []
    for k, v in entries(a):
        other = lookup(b, k)
        pairs.append((k, v if other is UNDEFINED else _merged(v, other)))
    pairs.extend([(k, v) for k, v in entries(b) if lookup(a, k) is UNDEFINED])
    return object_of(pairs)

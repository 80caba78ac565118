"""Values that rules build together: objects, trees of objects, and what contradicts in them."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

from webhook.core.activation import Budget
from webhook.rego.ast import Location
from webhook.rego.order import equal
from webhook.rego.runtime.errors import conflict
from webhook.rego.values import UNDEFINED, Path, RegoSet, Value, key, object_of


def agree(before: Value, now: Value, kind: str, location: Location) -> Value:
    """Return the value of a rule that was `before` and of which one more definition gives `now`."""
    if before is not UNDEFINED and not equal(before, now):
        conflict(kind, location)
    return now


class ObjectBuilder:
    """Collects the entries of an object; two values for one key are a conflict."""

    __slots__ = ("budget", "entries", "plain")

    def __init__(self, budget: Budget) -> None:
        self.budget = budget
        self.plain = True
        self.entries: dict[Hashable, tuple[Value, Value]] = {}

    def put(self, wanted: Value, value: Value, location: Location) -> None:
        """Add an entry.

        Raises:
            QueryError: the key has another value already.
        """
        wanted_key = wanted if wanted.__class__ is str else self._key(wanted)
        known = self.entries.get(wanted_key)
        if known is None:
            self.entries[wanted_key] = (wanted, value)
        elif not equal(known[1], value):
            conflict("object", location)

    def replace(self, wanted: Value, value: Value) -> None:
        """Add an entry, or put its value in the place of another."""
        self.entries[wanted if wanted.__class__ is str else self._key(wanted)] = (wanted, value)

    def _key(self, wanted: Value) -> Hashable:
        self.plain = False
        return key(wanted)

    def finish(self) -> Value:
        """Return the object."""
        if self.plain:
            return {k: pair[1] for k, pair in self.entries.items()}
        return object_of(self.entries.values())


class DocumentBuilder:
    """Collects what rules with references as heads give below the reference's constant beginning.

    A leaf is a value (``p.q[x].r := v``) or a set (``p.q[x] contains v``).
    """

    __slots__ = ("budget", "root", "seen")

    def __init__(self, budget: Budget) -> None:
        self.budget = budget
        self.root = _Branch()
        self.seen: set[tuple[Hashable, ...]] = set()

    def put(self, path: Path, value: Value, location: Location) -> None:
        """Set the value of a leaf.

        Raises:
            QueryError: there is another value, or one of a reference that contains this one or is contained.
        """
        branch, last = self._branch(path, location)
        known = branch.entries.get(key(last))
        if known is None:
            branch.entries[key(last)] = (last, value)
        elif not equal(_finished(known[1]), value):
            conflict("object", location)

    def add(self, path: Path, value: Value, location: Location) -> None:
        """Add a member to the set that is a leaf.

        Raises:
            QueryError: the leaf is a value.
        """
        branch, last = self._branch(path, location)
        known = branch.entries.get(key(last))
        if known is None:
            known = branch.entries[key(last)] = (last, _Members())
        if known[1].__class__ is not _Members:
            conflict("object", location)
        known[1].members.collect(value, self.budget)

    def _branch(self, path: Path, location: Location) -> tuple[_Branch, Value]:
        self.budget.left -= 2 * len(path)
        if self.budget.left < 0:
            self.budget.spend()
        keys = tuple([key(part) for part in path])
        for length in range(1, len(keys)):
            if keys[:length] in self.seen:
                conflict("object", location)
        self.seen.add(keys)
        branch = self.root
        for part in path[:-1]:
            known = branch.entries.get(key(part))
            if known is None:
                known = branch.entries[key(part)] = (part, _Branch())
            if known[1].__class__ is not _Branch:
                conflict("object", location)
            branch = known[1]
        return branch, path[-1]

    def finish(self) -> Value:
        """Return the object."""
        return _finished(self.root)


class _Branch:
    __slots__ = ("entries",)

    def __init__(self) -> None:
        self.entries: dict[Hashable, tuple[Value, Any]] = {}


class _Members:
    __slots__ = ("members",)

    def __init__(self) -> None:
        self.members = RegoSet()


def _finished(value: Any) -> Value:
    if value.__class__ is _Branch:
        return object_of([(k, _finished(v)) for k, v in value.entries.values()])
    return value.members if value.__class__ is _Members else value

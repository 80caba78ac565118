"""Rego's values: how each is held in Python, what it is hashed by, and the way into containers.

null is None, booleans are bool, strings str, arrays list. A number is an int, a float where the float's
shortest text is exactly the number's, else a Decimal. An object is a dict where all keys are strings, else a
`RegoObject`; a set is a `RegoSet`. Input and data are decoded JSON as it is. No value is changed once built.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator
from decimal import Decimal
from typing import Any, Final

from webhook.core.activation import Budget
from webhook.core.errors import BudgetExceeded
from webhook.rego.metering import pay
from webhook.rego.numbers import Numeral

Value = Any
"""null, boolean, number, string, array, object or set, as this module's docstring says."""

Path = tuple[Value, ...]
"""What selects, one after the other: keys, positions, names below ``data``."""


class Undefined:
    """The type of `UNDEFINED`."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "undefined"

    def __bool__(self) -> bool:
        return False


UNDEFINED: Final = Undefined()
"""What an expression is that has no value."""

_TRUE_KEY: Final = ("boolean", "true")
_FALSE_KEY: Final = ("boolean", "false")
_MOST_WAITING: Final = 64
_MOST_STEPS: Final = 1_000_000  # that a value is gone through in: more than any budget has
_EXACT = 2**53  # below it a float and the int of the same text are equal and hash alike


class RegoSet:
    """A set: members by their canonical keys, so that a look-up costs the same however many there are.

    Arrays, objects and sets wait for their keys until something needs them: what only goes over the set, as
    most policies do over their containers, sees some twice then, and finds the same.
    """

    __slots__ = ("_budget", "_key", "_members", "_waiting", "in_order")

    def __init__(self, values: Iterable[Value] = ()) -> None:
        self._members: dict[Hashable, Value] = {}
        self._waiting: list[Value] = []
        self._budget: Budget | None = None
        self._key: Hashable | None = None
        self.in_order: list[Value] | None = None  # kept by `order.members_in_order`
        for value in values:
            self._members.setdefault(key(value), value)

    def add(self, value: Value) -> None:
        """Add a member; only while the set is being built."""
        self._members.setdefault(value if value.__class__ is str else key(value), value)

    def collect(self, value: Value, budget: Budget) -> None:
        """Add a member; a container is charged by its size once its key is needed."""
        kind = value.__class__
        if kind is str:
            self._members.setdefault(value, value)
        elif kind in CONTAINERS:
            self._waiting.append(value)
            self._budget = budget
            if len(self._waiting) > _MOST_WAITING:
                self._settle()
        else:
            self._members.setdefault(key(value), value)

    def collect_all(self, values: Iterable[Value], budget: Budget) -> None:
        """Add members, as `collect` does."""
        for value in values:
            kind = value.__class__
            if kind is dict:  # what most policies go over
                self._waiting.append(value)
                self._budget = budget
            elif kind is str:
                self._members.setdefault(value, value)
            else:
                self.collect(value, budget)
        if len(self._waiting) > _MOST_WAITING:
            self._settle()

    @property
    def members(self) -> dict[Hashable, Value]:
        """The members by their keys."""
        if self._waiting:
            self._settle()
        return self._members

    @members.setter
    def members(self, members: dict[Hashable, Value]) -> None:
        self._members, self._waiting = members, []

    def _settle(self) -> None:
        waiting, self._waiting = self._waiting, []
        for value in waiting:
            if self._budget is not None:
                self._budget.left -= 4
            self._members.setdefault(key(value), value)

    def some_twice(self) -> list[Value]:
        """Return the members, quickly, equal ones perhaps more than once."""
        return [*self._members.values(), *self._waiting]

    def __contains__(self, value: object) -> bool:
        return key(value) in self.members

    def __len__(self) -> int:
        return len(self.members)

    def __iter__(self) -> Iterator[Value]:
        return iter(self.members.values())

    def __eq__(self, other: object) -> bool:
        return isinstance(other, RegoSet) and self.members.keys() == other.members.keys()

    def __hash__(self) -> int:
        return hash(self.canonical())

    def __repr__(self) -> str:
        return f"RegoSet({[*self]!r})"

    def canonical(self) -> Hashable:
        """Return the key of the whole set."""
        if self._key is None:
            self._key = ("set", frozenset(self.members))
        return self._key


class RegoObject:
    """An object with a key that is no string; entries by their keys' canonical keys."""

    __slots__ = ("_key", "members")

    def __init__(self, members: dict[Hashable, tuple[Value, Value]]) -> None:
        self.members = members
        self._key: Hashable | None = None

    def __len__(self) -> int:
        return len(self.members)

    def __eq__(self, other: object) -> bool:
        return other.__class__ is RegoObject and self.canonical() == other.canonical()

    def __hash__(self) -> int:
        return hash(self.canonical())

    def __repr__(self) -> str:
        return f"RegoObject({dict(enumerate(self.members.values()))!r})"

    def canonical(self) -> Hashable:
        """Return the key of the whole object."""
        if self._key is None:
            self._key = ("object", frozenset([(k, key(pair[1])) for k, pair in self.members.items()]))
        return self._key


CONTAINERS: Final = frozenset((list, dict, RegoSet, RegoObject))


def object_of(pairs: Iterable[tuple[Value, Value]]) -> dict[str, Value] | RegoObject:
    """Return the object of `pairs`; of two with the same key the later holds."""
    plain: dict[str, Value] = {}
    others: dict[Hashable, tuple[Value, Value]] = {}
    for k, v in pairs:
        if k.__class__ is str:
            plain[k] = v
        else:
            others[key(k)] = (k, v)
    if not others:
        return plain
    others.update({k: (k, v) for k, v in plain.items()})
    return RegoObject(others)


def size(value: Value) -> int:
    """Return about how many steps it takes to go through all of `value`; the running query pays them.

    What is in many places of a value is gone through as often: forty arrays, each of the one before twice,
    take 2**40 steps.

    Raises:
        BudgetExceeded: more than any budget has.
    """
    if value.__class__ not in CONTAINERS:
        return 1
    left = [_MOST_STEPS]
    _count(value, left)
    steps = _MOST_STEPS - left[0]
    pay(steps)
    return steps


def _count(value: Value, left: list[int]) -> None:
    kind = value.__class__
    left[0] -= 2 if kind is RegoObject else 2 + len(value) // (2 if kind is dict else 4)
    if left[0] < 0:
        raise BudgetExceeded("a value is too large to be gone through")
    if kind is RegoObject:
        for pair in value.members.values():
            for part in pair:
                if part.__class__ in CONTAINERS:
                    _count(part, left)
                else:
                    left[0] -= 1
        return
    for item in value.values() if kind is dict else value:
        if item.__class__ in CONTAINERS:
            _count(item, left)


def key(value: Value) -> Hashable:
    """Return what is equal, and hashes alike, for values that are equal in Rego, and for no others.

    Raises:
        BudgetExceeded: it is too large; see `size`.
    """
    kind = value.__class__
    if kind is str or kind is int or value is None:
        return value  # type: ignore[no-any-return]
    if kind in CONTAINERS:
        size(value)
    return _key(value)


def _key(value: Value) -> Hashable:
    kind = value.__class__
    if kind is str or kind is int or value is None:
        return value  # type: ignore[no-any-return]
    if kind is bool:
        return _TRUE_KEY if value else _FALSE_KEY
    if kind is float:
        if value.is_integer() and not -_EXACT < value < _EXACT:
            return int(Decimal(repr(value)))
        return value  # type: ignore[no-any-return]
    if kind is list:
        return ("array", *[v if v.__class__ is str else _key(v) for v in value])
    if kind is dict:
        return ("object", frozenset([(k, v if v.__class__ is str else _key(v)) for k, v in value.items()]))
    if kind is RegoSet or kind is RegoObject:
        return value.canonical()  # type: ignore[no-any-return]
    if kind is Numeral or kind is Decimal:
        return _decimal_key(value)
    raise TypeError(f"not a Rego value: {kind.__name__}")


def _decimal_key(value: Decimal) -> Hashable:
    if value.__class__ is Numeral:
        pay(len(value.text) >> 7)
    whole = value.adjusted() < 400 and value == value.to_integral_value()
    if whole:
        return int(value)
    near = float(value)
    return near if Decimal(repr(near)) == value else value


def type_name(value: Value) -> str:
    """Return Rego's name for the type of `value`.

    Raises:
        TypeError: it is no Rego value.
    """
    kind = value.__class__
    name = _NAMES.get(kind)
    if name is None:
        raise TypeError(f"not a Rego value: {kind.__name__}")
    return name


_NAMES: Final[dict[type, str]] = {
    type(None): "null",
    bool: "boolean",
    int: "number",
    float: "number",
    Decimal: "number",
    Numeral: "number",
    str: "string",
    list: "array",
    dict: "object",
    RegoObject: "object",
    RegoSet: "set",
}


def lookup(container: Value, wanted: Value) -> Value | Undefined:
    """Return what a reference with `wanted` finds in `container`, or `UNDEFINED`."""
    kind = container.__class__
    if kind is dict:
        return container.get(wanted, UNDEFINED) if wanted.__class__ is str else UNDEFINED
    if kind is list:
        if wanted.__class__ is not int:  # 1.0 is 1, and yet no index to OPA
            return UNDEFINED
        return container[wanted] if 0 <= wanted < len(container) else UNDEFINED
    if kind is RegoSet:
        return container.members.get(key(wanted), UNDEFINED)
    if kind is RegoObject:
        pair = container.members.get(key(wanted))
        return UNDEFINED if pair is None else pair[1]
    return UNDEFINED


def entries(container: Value) -> Iterable[tuple[Value, Value]]:
    """Return the keys and values that a reference with an unbound variable visits, in no special order."""
    kind = container.__class__
    if kind is list:
        return enumerate(container)
    if kind is dict:
        return container.items()  # type: ignore[no-any-return]
    if kind is RegoSet:
        return [(v, v) for v in container.members.values()]
    if kind is RegoObject:
        return container.members.values()  # type: ignore[no-any-return]
    return ()

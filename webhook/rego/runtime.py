"""What generated code calls while it runs: frames, look-ups, loops over containers, conflicts, `with`."""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Iterable, Mapping
from decimal import Decimal
from typing import Any, Final, NoReturn

from webhook.core.activation import Budget
from webhook.core.errors import EvaluationError
from webhook.rego.ast import Location
from webhook.rego.context import BuiltinError, Context
from webhook.rego.numbers import text_of
from webhook.rego.order import entries_in_order, equal
from webhook.rego.values import (
    CONTAINERS,
    UNDEFINED,
    RegoObject,
    RegoSet,
    Value,
    entries,
    key,
    lookup,
    object_of,
    size,
)

Path = tuple[Value, ...]

NOT_YET: Final = object()
"""What the cache holds for a rule that wasn't evaluated yet."""

ONCE: Final = (None,)


class RegoError(EvaluationError):
    """An error that ends a query.

    Args:
        code: OPA's code, as ``eval_conflict_error``.
        message: OPA's words.
        location: the rule's place, if it is a rule's fault.
    """

    def __init__(self, code: str, message: str, location: Location | None = None) -> None:
        self.code = code
        self.location = location
        place = f"{location.file}:{location.row}: " if location is not None and location.row else ""
        super().__init__(f"{place}{code}: {message}")


_NO_MOCKS: Final[Mapping[str, Mock]] = {}


class Frame:
    """What the rules see at one moment: a query's own frame, and one more for every `with` in force.

    Attributes:
        input: the input, or UNDEFINED.
        data: the base documents; those that `with` replaces are in their places.
        replaced: the paths under ``data`` that `with` replaces: no rule is seen below them.
        mocks: what `with` puts in the place of functions, by name: a value, or a function of this frame.
        cache: the values of rules, by the rules' numbers.
        budget: the steps left.
        context: what builtins ask.
        strict: the first error of a builtin ends the query.
    """

    __slots__ = ("budget", "cache", "context", "data", "input", "mocks", "replaced", "strict")

    def __init__(
        self,
        value: Value,
        data: Value,
        slots: int,
        context: Context,
        strict: bool = False,
        replaced: tuple[Path, ...] = (),
        mocks: Mapping[str, Mock] = _NO_MOCKS,
    ) -> None:
        self.input = value
        self.data = data
        self.context = context
        self.budget: Budget = context.budget
        self.strict = strict
        self.replaced = replaced
        self.mocks = mocks
        self.cache: list[Any] = [NOT_YET] * slots


class Mock:
    """What stands in a function's place: a value for every call, or another function."""

    __slots__ = ("call", "value")

    def __init__(self, value: Value = None, call: Callable[..., Value] | None = None) -> None:
        self.value = value
        self.call = call


def derive(
    frame: Frame,
    inputs: tuple[tuple[Path, Value], ...],
    data: tuple[tuple[Path, Value], ...],
    mocks: tuple[tuple[str, Mock], ...],
) -> Frame:
    """Return the frame in which an expression with these replacements is evaluated."""
    frame.context.spend(len(frame.cache) // 64 + 8)
    value, base, replaced = frame.input, frame.data, frame.replaced
    for path, new in inputs:
        value = put(value, path, new)
    for path, new in data:
        base = put(base, path, new)
        replaced = (*replaced, path)
    mocked = {**frame.mocks, **dict(mocks)} if mocks else frame.mocks
    return Frame(value, base, len(frame.cache), frame.context, frame.strict, replaced, mocked)


def put(document: Value, path: Path, value: Value) -> Value:
    """Return `document` with another value at `path`; what isn't an object on the way becomes one."""
    if not path:
        return value
    first, *rest = path
    inner = put(lookup(document, first), tuple(rest), value)
    if document.__class__ is dict and first.__class__ is str:
        return {**document, first: inner}
    pairs = list(entries(document)) if document.__class__ in (dict, RegoObject) else []
    return object_of([*pairs, (first, inner)])


def unmocked(frame: Frame) -> Frame:
    """Return the frame in which a function that replaces another is evaluated: nothing is replaced there."""
    other = Frame(frame.input, frame.data, 0, frame.context, frame.strict, frame.replaced)
    other.cache = [NOT_YET] * len(frame.cache)
    return other


def mock_function(function: Callable[..., Value]) -> Mock:
    """Return a mock that calls a rule's function."""
    return Mock(call=lambda frame, *args: function(unmocked(frame), *args))


def mock_builtin(function: Callable[..., Value], needs_context: bool, name: str, location: Location) -> Mock:
    """Return a mock that calls a builtin."""

    def call(frame: Frame, *args: Value) -> Value:
        try:
            return function(frame.context, *args) if needs_context else function(*args)
        except BuiltinError as error:
            return undefined(frame, error, name, location)

    return Mock(call=call)


def called(frame: Frame, mock: Mock, *args: Value) -> Value:
    """Return the value of a call of what `mock` replaces."""
    return mock.value if mock.call is None else mock.call(frame, *args)


def undefined(frame: Frame, error: BuiltinError, name: str, location: Location) -> Value:
    """Return what a builtin's failed call is: undefined, unless errors are strict."""
    if frame.strict:
        raise RegoError(error.code, f"{name}: {error}", location) from error
    return UNDEFINED


def along(value: Value, *path: Value) -> Value:
    """Return what is found in `value` along `path`, one look-up after the other."""
    for wanted in path:
        value = lookup(value, wanted)
        if value is UNDEFINED:
            break
    return value


def at_keys(
    frame: Frame, whole: Callable[[Frame], Value], alone: Callable[..., Value], *keys: Value
) -> Value:
    """Return what rules have at some keys, though they may contradict each other at others."""
    try:
        return along(whole(frame), *keys)
    except RegoError as error:
        if error.code != "eval_conflict_error":
            raise
        return alone(frame, *keys)


def stored(container: Value, wanted: Value) -> Value:
    """Return what a name selects in a base document: OPA's storage goes by texts, so 1 is "1" there."""
    kind, of = wanted.__class__, container.__class__
    if of is dict and (kind is int or kind is float or isinstance(wanted, Decimal)):
        return container.get(text_of(wanted), UNDEFINED)
    if of is list and kind is str and wanted.isascii() and wanted.isdigit() and str(int(wanted)) == wanted:
        return lookup(container, int(wanted))
    return lookup(container, wanted)


def along_stored(value: Value, *path: Value) -> Value:
    """Return what is found in a base document along `path`."""
    for wanted in path:
        value = stored(value, wanted)
        if value is UNDEFINED:
            break
    return value


def values_of(container: Value) -> Collection[Value]:
    """Return the values that a reference with an unbound variable visits."""
    kind = container.__class__
    if kind is list:
        return container  # type: ignore[no-any-return]
    if kind is dict:
        return container.values()  # type: ignore[no-any-return]
    if kind is RegoSet:
        return container.some_twice()  # type: ignore[no-any-return]
    if kind is RegoObject:
        return [pair[1] for pair in container.members.values()]
    return ()


def visited(budget: Budget, container: Value, weight: int) -> Collection[Value]:
    """Return what `values_of` does, charged for a loop over them."""
    values = values_of(container)
    budget.left -= len(values) * weight
    if budget.left < 0:
        budget.spend()
    return values


def visited_entries(budget: Budget, container: Value, weight: int) -> Iterable[tuple[Value, Value]]:
    """Return keys and values, charged as `visited` does."""
    kind = container.__class__
    if kind is RegoSet:
        values = visited(budget, container, weight)
        return zip(values, values, strict=True)
    if kind is list or kind is dict or kind is RegoObject:
        budget.left -= len(container) * weight
        if budget.left < 0:
            budget.spend()
        return entries(container)
    return ()


def visited_in_order(budget: Budget, container: Value, weight: int) -> Iterable[Value]:
    """Return the values in OPA's order: where an array is built, the order shows."""
    if container.__class__ is list:
        return visited(budget, container, weight)
    return [pair[1] for pair in entries_visited_in_order(budget, container, weight)]


def entries_visited_in_order(budget: Budget, container: Value, weight: int) -> Iterable[tuple[Value, Value]]:
    """Return keys and values in OPA's order."""
    visited(budget, container, weight + 1)
    return entries_in_order(container)


def charge_equal(budget: Budget, a: Value, b: Value) -> bool:
    """Tell whether two values are equal, charged by the size of the containers."""
    if a is b:
        return True
    kind = a.__class__
    if kind is not b.__class__:
        return equal(a, b)
    if kind in CONTAINERS:
        if len(a) != len(b):
            return False
        budget.left -= size(a)
        if budget.left < 0:
            budget.spend()
    return equal(a, b)


def conflict(kind: str, location: Location) -> NoReturn:
    """End the query because rules contradict each other.

    Raises:
        RegoError: always.
    """
    raise RegoError("eval_conflict_error", _CONFLICTS[kind], location)


_CONFLICTS: Final = {
    "complete": "complete rules must not produce multiple outputs",
    "function": "functions must not produce multiple outputs for same inputs",
    "object": "object keys must be unique",
}


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
            RegoError: the key has another value already.
        """
        if wanted.__class__ is not str:
            self.plain = False
            self.budget.left -= size(wanted)
            if self.budget.left < 0:
                self.budget.spend()
            wanted_key = key(wanted)
        else:
            wanted_key = wanted
        known = self.entries.get(wanted_key)
        if known is None:
            self.entries[wanted_key] = (wanted, value)
        elif not charge_equal(self.budget, known[1], value):
            conflict("object", location)

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
            RegoError: there is another value, or one of a reference that contains this one or is contained.
        """
        branch, last = self._branch(path, location)
        known = branch.entries.get(key(last))
        if known is None:
            branch.entries[key(last)] = (last, value)
        elif not charge_equal(self.budget, _finished(known[1]), value):
            conflict("object", location)

    def add(self, path: Path, value: Value, location: Location) -> None:
        """Add a member to the set that is a leaf.

        Raises:
            RegoError: the leaf is a value.
        """
        branch, last = self._branch(path, location)
        known = branch.entries.get(key(last))
        if known is None:
            known = branch.entries[key(last)] = (last, _Members())
        if known[1].__class__ is not _Members:
            conflict("object", location)
        known[1].members.collect(value, self.budget)

    def _branch(self, path: Path, location: Location) -> tuple[_Branch, Value]:
        self.budget.left -= sum(map(size, path)) + len(path)
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


def merged(a: Value, b: Value) -> Value:
    """Return two documents as one: objects by their keys, of everything else `a`."""
    if a.__class__ not in (dict, RegoObject) or b.__class__ not in (dict, RegoObject):
        return a
    pairs = []
    for k, v in entries(a):
        other = lookup(b, k)
        pairs.append((k, v if other is UNDEFINED else merged(v, other)))
    pairs.extend([(k, v) for k, v in entries(b) if lookup(a, k) is UNDEFINED])
    return object_of(pairs)


def walked(budget: Budget, value: Value, paths: bool, weight: int) -> Iterable[tuple[list[Value], Value]]:
    """Give every value inside `value`, itself first, with its path (empty unless `paths`), in OPA's order."""
    waiting: list[tuple[list[Value], Value]] = [([], value)]
    while waiting:
        path, at = waiting.pop()
        budget.left -= weight + (len(path) // 4 if paths else 0)
        if budget.left < 0:
            budget.spend()
        yield path, at
        if at.__class__ in CONTAINERS:
            inner = [([*path, k] if paths else path, v) for k, v in entries_in_order(at)]
            inner.reverse()
            waiting.extend(inner)

"""Frames: what rules see at one moment, and what `with` puts in the place of documents and functions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from webhook.core.activation import Budget
from webhook.rego.ast import Location
from webhook.rego.context import BuiltinError, Context
from webhook.rego.runtime.errors import QueryError
from webhook.rego.values import UNDEFINED, Path, RegoObject, Value, entries, lookup, object_of

NOT_YET: Final = object()
"""What the cache holds for a rule that wasn't evaluated yet."""


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
        raise QueryError(error.code, f"{name}: {error}", location) from error
    return UNDEFINED

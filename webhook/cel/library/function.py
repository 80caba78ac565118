"""How a function of CEL is declared, and the bounds on what any of them may build."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from webhook.cel.complaints import NoOverload
from webhook.core.errors import EvaluationError

MAX_STRING: Final = 8 * 1024 * 1024
MAX_LIST: Final = 1_000_000
_WEIGHED = 1_000_000  # steps before a cost is called large enough: no policy has more

Implementation = TypeVar("Implementation", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class Function:
    """A function or method of CEL.

    Attributes:
        name: as expressions write it; operators by their signs.
        implementation: takes the values in order, a method's receiver first; raises EvaluationError, or
            TypeError and the like where the values are of other kinds than any overload takes.
        arities: how many arguments may be given, a method's receiver not counted.
        result: the static type of what it gives: ``bool``, ``string``, ``list``, ``dyn`` and so on.
        pure: whether the same values give the same result, so that it may be computed at compile time.
        costly: the steps that a call with these values takes, without those of a large result; None where
            that is always about one.
        metered: whether the implementation takes, first, a function that charges steps as they show.
    """

    name: str
    implementation: Callable[..., Any]
    arities: frozenset[int]
    result: str
    pure: bool = True
    costly: Callable[..., int] | None = None
    metered: bool = False


class Library:
    """The functions and methods that one module declares."""

    def __init__(self) -> None:
        self.functions: dict[str, Function] = {}
        self.methods: dict[str, Function] = {}

    def function(
        self,
        name: str,
        result: str,
        arities: Collection[int] = (1,),
        *,
        costly: Callable[..., int] | None = None,
    ) -> Callable[[Implementation], Implementation]:
        """Declare the decorated function as the global function `name`."""

        def declare(implementation: Implementation) -> Implementation:
            self.functions[name] = Function(name, implementation, frozenset(arities), result, costly=costly)
            return implementation

        return declare

    def method(
        self,
        name: str,
        result: str,
        arities: Collection[int] = (0,),
        *,
        costly: Callable[..., int] | None = None,
        pure: bool = True,
        metered: bool = False,
    ) -> Callable[[Implementation], Implementation]:
        """Declare the decorated function as the method `name`; its first parameter is the receiver."""

        def declare(implementation: Implementation) -> Implementation:
            self.methods[name] = Function(
                name, implementation, frozenset(arities), result, pure, costly, metered
            )
            return implementation

        return declare


def no_overload(name: str) -> NoOverload:
    """Return the complaint of a function that isn't made for these values."""
    return NoOverload(f"no such overload: {name}")


def check_string(length: int) -> None:
    """Refuse to build a string of more than MAX_STRING characters."""
    if length > MAX_STRING:
        raise EvaluationError(f"a string of {length} characters is over the limit of {MAX_STRING}")


def check_list(length: int) -> None:
    """Refuse to build a list of more than MAX_LIST elements."""
    if length > MAX_LIST:
        raise EvaluationError(f"a list of {length} elements is over the limit of {MAX_LIST}")


def text_cost(text: str) -> int:
    """Return the steps of making a text: one for every 64 bytes, a character beyond ASCII counted as four."""
    return len(text) >> 6 if text.isascii() else len(text) >> 4


def reading_cost(text: Any, *_: Any) -> int:
    """Return the steps of reading a text character by character, as URLs and durations are read."""
    return 1 + (len(text) >> 2) if text.__class__ is str else 0


def size_cost(*values: Any) -> int:
    """Return the steps of looking at all of these values once, not into what lists and maps hold."""
    steps = 0
    for value in values:
        kind = value.__class__
        if kind is str or kind is bytes:
            steps += len(value) >> 6
        elif kind is list or kind is dict:
            steps += len(value)
    return steps


def deep_cost(*values: Any) -> int:
    """Return the steps of looking at all of these values and everything inside them, up to a bound."""
    steps = 0
    waiting = list(values)
    while waiting and steps < _WEIGHED:
        value = waiting.pop()
        kind = value.__class__
        if kind is str or kind is bytes:
            steps += len(value) >> 6
        elif kind is list:
            steps += len(value)
            waiting.extend(value)
        elif kind is dict:
            steps += len(value)
            waiting.extend(value.values())
    return steps


def product_cost(left: Any, right: Any) -> int:
    """Return the steps of comparing each element of one list with each of the other."""
    if left.__class__ is list and right.__class__ is list:
        return max(1, len(left)) * (1 + deep_cost(right)) + max(1, len(right)) * deep_cost(left)
    return 0


def square_cost(values: Any) -> int:
    """Return the steps of comparing each element of a list with each other."""
    return product_cost(values, values) if values.__class__ is list else 0

"""The types of Rego's values, as OPA's checker reasons about them and as builtins declare them.

`Union` is OPA's ``any<…>``: a value of one of its members; without members it is anything (`ANY`). None in
place of a type is no type: what can't exist, or isn't known yet. Texts are those of OPA's messages.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cmp_to_key
from typing import ClassVar, Final, TypeAlias

from webhook.rego.type_constants import Constant, Pairs, compare_constants, constant_rank, show_constant

#: Types with more parts than this are taken for `ANY`: hostile ones double with every name.
MOST_PARTS: Final = 20_000

_BY_KEY = cmp_to_key(compare_constants)


class Weighed:
    """A type of other types: knows how many parts it has, and whether one of them is no type."""

    weight: int
    incomplete: bool

    def _weigh(self, of: Iterable[Type | None]) -> None:
        weight, incomplete = 1, False
        for one in of:
            if one is None:
                incomplete = True
            else:
                weight += one.weight
                incomplete = incomplete or one.incomplete
        object.__setattr__(self, "weight", weight)
        object.__setattr__(self, "incomplete", incomplete)


@dataclass(frozen=True)
class Simple:
    """Null, boolean, number or string."""

    name: str
    weight: ClassVar[int] = 1
    incomplete: ClassVar[bool] = False

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True)
class Array(Weighed):
    """An array: the types of its first elements, and of all further ones (None: there are none)."""

    dynamic: Type | None = None
    static: tuple[Type | None, ...] = ()

    def __post_init__(self) -> None:
        self._weigh(self.static if self.dynamic is None else (*self.static, self.dynamic))

    def __str__(self) -> str:
        text = "array"
        if self.static:
            text += "<" + ", ".join(map(show, self.static)) + ">"
        return text if self.dynamic is None else f"{text}[{self.dynamic}]"

    def select(self, position: int) -> Type | None:
        """Return the type of one element, or None."""
        if position < 0:
            return None
        return self.static[position] if position < len(self.static) else self.dynamic


@dataclass(frozen=True)
class Object(Weighed):
    """An object: known keys with their types, sorted by key, and the types of all further keys and values."""

    static: tuple[tuple[Constant, Type | None], ...] = ()
    dynamic: tuple[Type | None, Type | None] | None = None

    def __post_init__(self) -> None:
        if self.static:
            ordered = tuple(sorted(self.static, key=lambda one: _BY_KEY(one[0])))
            object.__setattr__(self, "static", ordered)
        self._weigh((*(of for _, of in self.static), *(self.dynamic or ())))

    def __str__(self) -> str:
        text = "object"
        if self.static:
            text += "<" + ", ".join(f"{show_constant(key)}: {show(of)}" for key, of in self.static) + ">"
        if self.dynamic is not None:
            text += f"[{show(self.dynamic[0])}: {show(self.dynamic[1])}]"
        return text

    def select(self, key: Constant) -> Type | None:
        """Return the type of the value under a constant key, or None."""
        at = bisect_left(self.static, _BY_KEY(key), key=lambda one: _BY_KEY(one[0]))
        if at < len(self.static) and compare_constants(self.static[at][0], key) == 0:
            return self.static[at][1]
        if self.dynamic is not None and contains(self.dynamic[0], type_of(key)):
            return self.dynamic[1]
        return None


@dataclass(frozen=True)
class Set(Weighed):
    """A set of elements of one type."""

    of: Type | None = None

    def __post_init__(self) -> None:
        self._weigh((self.of,))

    def __str__(self) -> str:
        return f"set[{show(self.of)}]"


@dataclass(frozen=True)
class Union(Weighed):
    """A value of any of the members' types, sorted; of any type at all without members."""

    of: tuple[Type | None, ...] = ()

    def __post_init__(self) -> None:
        if self.of:
            object.__setattr__(self, "of", tuple(sorted(self.of, key=_BY_TYPE)))
        self._weigh(self.of)
        object.__setattr__(self, "incomplete", False)  # as OPA has it

    def __str__(self) -> str:
        return "any<" + ", ".join(map(show, self.of)) + ">" if self.of else "any"

    def contains(self, other: Type | None) -> bool:
        """Whether `other` is one of the members, or everything is."""
        if isinstance(other, Function):
            return False
        if not self.of:
            return True
        at = bisect_left(self.of, _BY_TYPE(other), key=_BY_TYPE)
        return at < len(self.of) and compare(self.of[at], other) == 0

    def merge(self, other: Type | None) -> Union:
        """Return this or `other`, flat."""
        if isinstance(other, Union):
            if not self.of or not other.of:
                return self if not self.of else other
            return Union(_distinct((*self.of, *other.of)))
        return self if self.contains(other) else Union((*self.of, other))


@dataclass(frozen=True)
class Function(Weighed):
    """A function: the types of its arguments, of its result (None: void), and of any further arguments."""

    arguments: tuple[Type | None, ...]
    result: Type | None
    variadic: Type | None = None

    def __post_init__(self) -> None:
        self._weigh((*self.arguments, self.result))

    def __str__(self) -> str:
        return f"({self.show_arguments()}) => {show(self.result)}"

    def show_arguments(self) -> str:
        """Return the arguments' types, separated by commas."""
        return show_arguments(self.arguments, self.variadic)

    @property
    def arity(self) -> int:
        """How many arguments are declared."""
        return len(self.arguments)

    def argument(self, position: int) -> Type | None:
        """Return the declared type of one argument."""
        return self.arguments[position] if position < len(self.arguments) else self.variadic


Type: TypeAlias = Simple | Array | Object | Set | Union | Function

NULL = Simple("null")
BOOLEAN = Simple("boolean")
NUMBER = Simple("number")
STRING = Simple("string")
ANY = Union()

SET_OF_ANY = Set(ANY)
SET_OF_STRING = Set(STRING)
ARRAY_OF_ANY = Array(ANY)
ARRAY_OF_STRING = Array(STRING)
OBJECT_OF_ANY = Object(dynamic=(ANY, ANY))


def any_of(*of: Type | None) -> Union:
    """Return the union of some types."""
    return Union(_distinct(of))


def properties(static: Mapping[str, Type], dynamic: tuple[Type, Type] | None = None) -> Object:
    """Return an object with some known string keys."""
    return Object(tuple(static.items()), dynamic)


def show(a: Type | None) -> str:
    """Return a type's text in OPA's messages; ``???`` for no type."""
    return "???" if a is None else str(bounded(a))


def show_arguments(arguments: Iterable[Type | None], variadic: Type | None = None) -> str:
    """Return some arguments' types as OPA's messages list them."""
    texts = [show(argument) for argument in arguments]
    if variadic is not None:
        texts.append(f"{variadic}...")
    return ", ".join(texts)


def _type_order(a: Type | None) -> int:
    if isinstance(a, Simple):
        return ("null", "boolean", "number", "string").index(a.name)
    return -1 if a is None else (Array, Object, Set, Union, Function).index(type(a)) + 4


def _compare_all(a: tuple[Type | None, ...], b: tuple[Type | None, ...]) -> int:
    for left, right in zip(a, b, strict=False):
        if (order := compare(left, right)) != 0:
            return order
    return (len(a) > len(b)) - (len(a) < len(b))


def compare(a: Type | None, b: Type | None) -> int:
    """-1, 0 or 1 in OPA's order of types, in which a union's members are listed."""
    if a is b:
        return 0
    first, second = _type_order(a), _type_order(b)
    if first != second:
        return -1 if first < second else 1
    if isinstance(a, Array) and isinstance(b, Array):
        return _compare_optional(a.dynamic, b.dynamic) or _compare_all(a.static, b.static)
    if isinstance(a, Object) and isinstance(b, Object):
        return _compare_objects(a, b)
    if isinstance(a, Set) and isinstance(b, Set):
        return compare(a.of, b.of)
    if isinstance(a, Union) and isinstance(b, Union):
        return _compare_all(a.of, b.of)
    if isinstance(a, Function) and isinstance(b, Function):
        arity = (a.arity > b.arity) - (a.arity < b.arity)
        return (
            arity
            or _compare_all(a.arguments, b.arguments)
            or compare(a.result, b.result)
            or compare(a.variadic, b.variadic)
        )
    return 0


_BY_TYPE = cmp_to_key(compare)


def _compare_optional(a: Type | None, b: Type | None) -> int:
    if (a is None) != (b is None):
        return 1 if b is None else -1
    return 0 if a is None else compare(a, b)


def _compare_objects(a: Object, b: Object) -> int:
    if (a.dynamic is None) != (b.dynamic is None):
        return 1 if b.dynamic is None else -1
    if a.dynamic is not None and b.dynamic is not None and (order := _compare_all(a.dynamic, b.dynamic)):
        return order
    for (left, left_of), (right, right_of) in zip(a.static, b.static, strict=False):
        if (order := compare_constants(left, right) or compare(left_of, right_of)) != 0:
            return order
    return (len(a.static) > len(b.static)) - (len(a.static) < len(b.static))


def _distinct(of: Iterable[Type | None]) -> tuple[Type | None, ...]:
    found: list[Type | None] = []
    for one in sorted(of, key=_BY_TYPE):
        if not found or compare(found[-1], one) != 0:
            found.append(one)
    return tuple(found)


def contains(a: Type | None, b: Type | None) -> bool:
    """Whether `a` is `b` or a union that names it."""
    return a.contains(b) if isinstance(a, Union) else compare(a, b) == 0


def unknown(a: Type | None) -> bool:
    """Tell whether `a` has a part without a type (OPA's ``Nil``)."""
    return a is None or a.incomplete


def bounded(a: Type | None) -> Type | None:
    """Return a type, or `ANY` in place of one with too many parts."""
    return ANY if a is not None and a.weight > MOST_PARTS else a


def type_of(constant: Constant) -> Type:
    """Return the type of a constant."""
    if isinstance(constant, Pairs):
        return Object(tuple((key, type_of(value)) for key, value in constant))  # type: ignore[arg-type, misc]
    if isinstance(constant, tuple):
        return Array(static=tuple(type_of(item) for item in constant))  # type: ignore[arg-type]
    return (NULL, BOOLEAN, NUMBER, STRING)[constant_rank(constant)]

"""The generated tier's code for operators and for the functions that policies call most."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from webhook.cel.ast import Apply, Literal, Local, Node
from webhook.cel.library.quantity import plain_nano
from webhook.cel.library.regex import compile_pattern
from webhook.cel.opaque import Quantity
from webhook.cel.resolve import is_plain
from webhook.cel.shape import EXACT_INT, is_cheap, is_small_number, without_dyn
from webhook.core.patterns import without_groups

_SHORT = 256  # strings up to here are searched without charge
_SHORT_PREFIX = 1024
_LITTLE_MATCHING = 4096  # characters times states of the pattern that are matched without charge


class Code(Protocol):
    """The generated tier's generator, as far as calls need it."""

    used: set[str]

    def value(self, node: Node) -> str:
        """Return code for the value of a node."""

    def twice(self, text: str) -> tuple[str, str]:
        """Return code for the first and for later readings of a value."""

    def helper(self, name: str) -> str:
        """Return the name of a helper of the generated code, which brings it in."""

    def constant(self, value: Any) -> str:
        """Return the name under which the generated code has a value."""

    def literal(self, node: Literal) -> str:
        """Return code for a literal."""

    def budgeted(self, helper: str, left: str, right: str) -> str:
        """Return code that calls a helper that charges the budget."""

    def charged(self, node: Apply, texts: list[str]) -> str:
        """Return code that calls the library and charges the budget before."""


def _equality(g: Code, node: Apply) -> str:
    left, right = node.args
    unequal = node.name == "!="
    if right.__class__ is Literal:
        text = _equals_literal(g, left, right, unequal, False)
    elif left.__class__ is Literal:
        text = _equals_literal(g, right, left, unequal, True)
    else:
        text = None
    if text is not None:
        return text
    one, two = g.value(left), g.value(right)
    if left.type == right.type and left.type in ("int", "string", "bool"):
        return f"({one} {node.name} {two})"
    helper = "NE" if unequal else "EQ"
    if is_plain(left) and is_plain(right) and is_cheap(left) and is_cheap(right):
        first, again = g.twice(one)
        other = g.budgeted(helper, again, two)
        short = f"{first}.__class__ is str and {g.helper('len')}({again}) < {_SHORT_PREFIX}"
        return f"({again} {node.name} {two} if {short} else {other})"
    return g.budgeted(helper, one, two)


def _equals_literal(g: Code, node: Node, literal: Literal, unequal: bool, flipped: bool) -> str | None:
    """Return code that compares with a constant by Python's own means, or None where they don't fit."""
    if without_dyn(node).__class__ is Literal:
        return None
    value, plain = literal.value, is_plain(node)
    kind = value.__class__
    sign = "!=" if unequal else "=="
    if value is None:
        return f"({g.value(node)} {'is not' if unequal else 'is'} None)"
    if kind is bool and plain:
        return f"({g.value(node)} {'is not' if unequal else 'is'} {value})"
    if kind is str:
        if plain:
            return f"({g.value(node)} {sign} {value!r})"
        first, again = g.twice(g.value(node))
        pair = (repr(value), again) if flipped else (again, repr(value))
        other = g.budgeted("NE" if unequal else "EQ", *pair)
        return f"({again} {sign} {value!r} if {first}.__class__ is str else {other})"
    if (kind is int or kind is float) and plain and -EXACT_INT < value < EXACT_INT:
        text = g.literal(literal)
        if value not in (0, 1) or node.type in ("int", "double"):
            return f"({g.value(node)} {sign} {text})"
        first, again = g.twice(g.value(node))
        if unequal:
            return f"({first} != {text} or {again}.__class__ is bool)"
        return f"({first} == {text} and {again}.__class__ is not bool)"
    return None


def _comparison(g: Code, node: Apply) -> str:
    left, right = node.args
    if left.type == right.type and left.type in ("int", "string"):
        one, two = g.value(left), g.value(right)
        return f"({one} {node.name} {two})" if left.type == "int" else g.charged(node, [one, two])
    if is_small_number(right):
        return f"({_number(g, left)} {node.name} {g.literal(right)})"
    if is_small_number(left):
        return f"({g.literal(left)} {node.name} {_number(g, right)})"
    g.used.add("B")
    first, one = g.twice(g.value(left))
    second, two = g.twice(g.value(right))
    integers = f"({first}.__class__ is int) & ({second}.__class__ is int)"  # not `and`: both must be read
    other = f"{g.helper('COMPARE')}(B, {g.constant(node.function)}, {one}, {two})"
    return f"({one} {node.name} {two} if {integers} else {other})"


def _number(g: Code, node: Node) -> str:
    """Return code for a value that is to be compared with a small constant number."""
    text = g.value(node)
    if node.type == "int":
        return text
    first, again = g.twice(text)
    return f"({again} if {first}.__class__ is int else {g.helper('NUMBER')}({again}))"


def _membership(g: Code, node: Apply) -> str:
    item, container = node.args
    text = g.value(item)
    if container.__class__ is Literal and container.type == "list" and 0 < len(container.value) <= 32:
        values = container.value
        if all(one.__class__ is str for one in values):
            return f"({text} in ({', '.join([repr(one) for one in values])},))"
        if all(one.__class__ is int and one not in (0, 1) and abs(one) < EXACT_INT for one in values):
            return f"({text} in ({', '.join([repr(one) for one in values])},))"
    where = g.value(container)
    if item.type == "string" and is_cheap(item):
        first, again = g.twice(where)
        other = g.budgeted("IN", text, again)
        return f"({text} in {again} if {first}.__class__ is dict else {other})"
    if item.__class__ is Local:
        first, again = g.twice(where)
        other = g.budgeted("IN", text, again)
        return f"({text} in {again} if {first}.__class__ is dict and {text}.__class__ is str else {other})"
    return g.budgeted("IN", text, where)


def _addition(g: Code, node: Apply) -> str:
    left, right = node.args
    return g.budgeted("ADD", g.value(left), g.value(right))


def _size(g: Code, node: Apply) -> str:
    return f"{g.helper('len')}({g.value(node.args[0])})"  # no other value has a length in Python


def _affix(g: Code, node: Apply) -> str:
    """Generate startsWith and endsWith: strings alone have Python's methods that take a string."""
    text, sought = node.args
    method = node.name.lower()
    receiver, argument = g.value(text), g.value(sought)
    if sought.__class__ is Literal and sought.type == "string":
        return f"{receiver}.{method}({argument})"
    first, again = g.twice(argument)
    short = f"{first}.__class__ is str and {g.helper('len')}({again}) < {_SHORT_PREFIX}"
    return f"{receiver}.{method}({again} if {short} else {g.helper('X')}())"


def _substring(g: Code, node: Apply) -> str | None:
    text, sought = node.args
    if sought.__class__ is not Literal or sought.type != "string":
        return None
    first, again = g.twice(g.value(text))
    short = f"{first}.__class__ is str and {g.helper('len')}({again}) < {_SHORT}"
    return f"({sought.value!r} in {again} if {short} else {g.charged(node, [again, repr(sought.value)])})"


def _matching(g: Code, node: Apply) -> str | None:
    text, pattern = node.args
    if pattern.__class__ is not Literal or pattern.type != "string":
        return None
    first, again = g.twice(g.value(text))
    compiled = compile_pattern(without_groups(pattern.value))
    search = g.constant(compiled.search)
    most = min(_SHORT, _LITTLE_MATCHING // compiled.size)
    short = f"{first}.__class__ is str and {g.helper('len')}({again}) < {most}"
    other = g.charged(node, [again, repr(pattern.value)])
    return f"({search}({again}) is not None if {short} else {other})"


def _quantities(g: Code, node: Apply) -> str | None:
    """Generate the comparison of a quantity with a constant one: as integers, without an object for each."""
    left, right = node.args
    if left.__class__ is not Apply or left.name != "quantity" or right.__class__ is not Literal:
        return None
    bound = right.value.nano if right.value.__class__ is Quantity else None
    if bound is None:
        return None
    first, again = g.twice(f"{g.constant(plain_nano)}({g.value(left.args[0])})")
    if node.name == "compareTo":
        return f"(({first} > {bound}) - ({again} < {bound}))"
    return f"({first} {'>' if node.name == 'isGreaterThan' else '<'} {bound})"


CALLS: dict[str, Callable[[Code, Apply], str | None]] = {
    "==": _equality,
    "!=": _equality,
    "<": _comparison,
    "<=": _comparison,
    ">": _comparison,
    ">=": _comparison,
    "in": _membership,
    "+": _addition,
    "size": _size,
    "startsWith": _affix,
    "endsWith": _affix,
    "contains": _substring,
    "matches": _matching,
    "compareTo": _quantities,
    "isGreaterThan": _quantities,
    "isLessThan": _quantities,
}

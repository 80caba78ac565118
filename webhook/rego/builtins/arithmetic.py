"""Operators and functions of numbers, and comparisons of any values."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from webhook.rego import numbers
from webhook.rego.builtins.declaration import Implementation, builtin
from webhook.rego.builtins.operands import big_integer, check_number, operand_error
from webhook.rego.context import MAX_ITEMS, BuiltinError, Context, Halt, OperandError
from webhook.rego.go import big_floats
from webhook.rego.go.big_floats import Binary
from webhook.rego.numbers import NUMBERS, Number
from webhook.rego.order import compare, equal
from webhook.rego.types import ANY, BOOLEAN, NUMBER, SET_OF_ANY, Array, Union
from webhook.rego.values import RegoSet

_HALF: Final = Binary(False, 1, -1)
_ONE: Final = Binary(False, 1, 0)


@builtin("plus", (NUMBER, NUMBER), NUMBER, infix="+")
def plus(a: Any, b: Any) -> Number:
    """Return the sum."""
    check_number(a, 1)
    check_number(b, 2)
    return big_floats.add(a, b)


@builtin(
    "minus",
    (Union((NUMBER, SET_OF_ANY)), Union((NUMBER, SET_OF_ANY))),
    Union((NUMBER, SET_OF_ANY)),
    infix="-",
    needs_context=True,
)
def minus(context: Context, a: Any, b: Any) -> Any:
    """Return the difference of two numbers or two sets."""
    if a.__class__ in NUMBERS:
        if b.__class__ in NUMBERS:
            return big_floats.subtract(a, b)
        raise operand_error(2, b, "number")
    if a.__class__ is not RegoSet:
        raise operand_error(1, a, "number", "set")
    if b.__class__ is not RegoSet:
        raise operand_error(2, b, "set" if b.__class__ in NUMBERS else "number")
    context.spend(len(a.members) >> 2)
    return difference(a, b)


def difference(a: RegoSet, b: RegoSet) -> RegoSet:
    """Return what only the first set holds."""
    result = RegoSet()
    others = b.members
    result.members = {key: value for key, value in a.members.items() if key not in others}
    return result


@builtin("mul", (NUMBER, NUMBER), NUMBER, infix="*")
def multiply(a: Any, b: Any) -> Number:
    """Return the product."""
    check_number(a, 1)
    check_number(b, 2)
    return big_floats.multiply(a, b)


@builtin("div", (NUMBER, NUMBER), NUMBER, infix="/")
def divide(a: Any, b: Any) -> Number:
    """Return the quotient."""
    check_number(a, 1)
    check_number(b, 2)
    quotient = big_floats.divide(a, b)
    if quotient is None:
        raise BuiltinError("divide by zero")
    return quotient


@builtin("rem", (NUMBER, NUMBER), NUMBER, infix="%")
def rem(a: Any, b: Any) -> int:
    """Return what is left after dividing whole numbers, with the first one's sign."""
    check_number(a, 1)
    check_number(b, 2)
    left, right = big_floats.whole(a), big_floats.whole(b)
    if left is None or right is None:
        raise BuiltinError("modulo on floating-point number")
    if right & ((1 << 64) - 1) == 0:  # OPA looks at the low 64 bits only
        raise BuiltinError("modulo by zero")
    return big_floats.remainder(left, right)


@builtin("abs", (NUMBER,), NUMBER)
def absolute(value: Any) -> Number:
    """Return the number without its sign."""
    check_number(value, 1)
    if value.__class__ is int and value.bit_length() <= big_floats.PRECISION:
        return abs(value)
    return big_floats.number(big_floats.binary(value)._replace(negative=False))


@builtin("round", (NUMBER,), NUMBER)
def round_(value: Any) -> int:
    """Return the nearest integer, half away from zero."""
    check_number(value, 1)
    if value.__class__ is int and value.bit_length() <= big_floats.PRECISION:
        return value
    exact = big_floats.binary(value)
    half = _HALF._replace(negative=exact.negative)
    return numbers.exact_number(big_floats.truncated(big_floats.sum_of(exact, half)))


@builtin("ceil", (NUMBER,), NUMBER)
def ceil(value: Any) -> Number:
    """Return the next integer; between -1 and 0 OPA says 1."""
    check_number(value, 1)
    if value.__class__ is int and value.bit_length() <= big_floats.PRECISION:
        return value
    exact = big_floats.binary(value)
    whole = big_floats.truncated(exact)
    if whole < 0 or big_floats.is_integer(exact):
        return numbers.exact_number(whole)
    return numbers.exact_number(whole + 1)


@builtin("floor", (NUMBER,), NUMBER)
def floor(value: Any) -> Number:
    """Return the integer before; between -1 and 0 OPA says 0."""
    check_number(value, 1)
    if value.__class__ is int and value.bit_length() <= big_floats.PRECISION:
        return value
    exact = big_floats.binary(value)
    whole = big_floats.truncated(exact)
    if whole >= 0 or big_floats.is_integer(exact):
        return numbers.exact_number(whole)
    return numbers.exact_number(whole - 1)


@builtin("numbers.range", (NUMBER, NUMBER), Array(NUMBER), needs_context=True)
def numbers_range(context: Context, first: Any, last: Any) -> list[int]:
    """Return the integers from the first to the last, up or down."""
    return _range(context, big_integer(first, 1), big_integer(last, 2), 1)


@builtin("numbers.range_step", (NUMBER, NUMBER, NUMBER), Array(NUMBER), needs_context=True)
def numbers_range_step(context: Context, first: Any, last: Any, step: Any) -> list[int]:
    """Return each step-th integer from the first to the last, up or down."""
    start, end, width = big_integer(first, 1), big_integer(last, 2), big_integer(step, 3)
    if width <= 0:
        raise BuiltinError("numbers.range_step: step must be a positive integer")
    return _range(context, start, end, width)


def _range(context: Context, first: int, last: int, step: int) -> list[int]:
    found = range(first, last + 1, step) if first <= last else range(first, last - 1, -step)
    # `len` fails on a range of more than 2**63.
    size = abs(last - first) // step + 1
    if size > MAX_ITEMS:
        raise Halt(f"a range of {size} numbers is over the limit of {MAX_ITEMS}")
    context.spend(size >> 2)
    return list(found)


def _bitwise(name: str) -> Callable[[Implementation], Implementation]:
    return builtin(name, (NUMBER, NUMBER), NUMBER)


@_bitwise("bits.or")
def bits_or(a: Any, b: Any) -> int:
    """Return the bits of either."""
    return big_integer(a, 1) | big_integer(b, 2)


@_bitwise("bits.and")
def bits_and(a: Any, b: Any) -> int:
    """Return the bits of both."""
    return big_integer(a, 1) & big_integer(b, 2)


@_bitwise("bits.xor")
def bits_xor(a: Any, b: Any) -> int:
    """Return the bits of one of them."""
    return big_integer(a, 1) ^ big_integer(b, 2)


@builtin("bits.negate", (NUMBER,), NUMBER)
def bits_negate(a: Any) -> int:
    """Return the other bits."""
    return ~big_integer(a, 1)


@_bitwise("bits.lsh")
def bits_lsh(a: Any, b: Any) -> int:
    """Return the bits moved to the left."""
    value, count = big_integer(a, 1), _count(b)
    if value and count + value.bit_length() > numbers.MAX_BITS:
        raise Halt(f"an integer of {count + value.bit_length()} bits is too large")
    return value << count if value else 0


@_bitwise("bits.rsh")
def bits_rsh(a: Any, b: Any) -> int:
    """Return the bits moved to the right."""
    return big_integer(a, 1) >> _count(b)


def _count(value: Any) -> int:
    count = big_integer(value, 2)
    if count < 0:
        raise OperandError("operand 2 must be an unsigned integer number but got a negative integer")
    return count & ((1 << 64) - 1)  # OPA takes the low 64 bits


@builtin("equal", (ANY, ANY), BOOLEAN, infix="==")
def equal_(a: Any, b: Any) -> bool:
    """Tell whether both are the same."""
    return equal(a, b)


@builtin("neq", (ANY, ANY), BOOLEAN, infix="!=")
def not_equal(a: Any, b: Any) -> bool:
    """Tell whether they differ."""
    return not equal(a, b)


@builtin("lt", (ANY, ANY), BOOLEAN, infix="<")
def less(a: Any, b: Any) -> bool:
    """Tell whether the first is before the second in OPA's order."""
    return compare(a, b) < 0


@builtin("lte", (ANY, ANY), BOOLEAN, infix="<=")
def less_or_equal(a: Any, b: Any) -> bool:
    """Tell whether the first is before the second, or the same."""
    return compare(a, b) <= 0


@builtin("gt", (ANY, ANY), BOOLEAN, infix=">")
def greater(a: Any, b: Any) -> bool:
    """Tell whether the first is behind the second in OPA's order."""
    return compare(a, b) > 0


@builtin("gte", (ANY, ANY), BOOLEAN, infix=">=")
def greater_or_equal(a: Any, b: Any) -> bool:
    """Tell whether the first is behind the second, or the same."""
    return compare(a, b) >= 0

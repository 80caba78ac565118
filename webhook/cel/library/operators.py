"""Arithmetic, comparison, membership and size: what the operators of CEL do, by their own signs."""

from __future__ import annotations

import math
from typing import Any

from webhook.cel.comparison import equals, find_key, greater, greater_equal, less, less_equal, same
from webhook.cel.library.function import (
    Library,
    check_list,
    check_string,
    deep_cost,
    no_overload,
    size_cost,
)
from webhook.cel.values import MAX_INT, MAX_UINT, MIN_INT, Duration, Timestamp, UInt
from webhook.core.errors import EvaluationError

LIBRARY = Library()


def bounded_int(value: int) -> int:
    """Return the value if 64 bits hold it.

    Raises:
        EvaluationError: they don't.
    """
    if MIN_INT <= value <= MAX_INT:
        return value
    raise EvaluationError("integer overflow")


def bounded_uint(value: int) -> UInt:
    """Return the value as an unsigned integer if 64 bits hold it.

    Raises:
        EvaluationError: they don't.
    """
    if 0 <= value <= MAX_UINT:
        return UInt(value)
    raise EvaluationError("unsigned integer overflow")


@LIBRARY.function("+", "dyn", (2,), costly=size_cost)
def add(left: Any, right: Any) -> Any:
    """Return ``left + right``: a sum, or strings, bytes or lists joined."""
    kind, other = left.__class__, right.__class__
    if kind is other:
        if kind is int:
            return bounded_int(left + right)
        if kind is str or kind is bytes:
            check_string(len(left) + len(right))
            return left + right
        if kind is float:
            return left + right
        if kind is list:
            check_list(len(left) + len(right))
            return left + right
        if kind is UInt:
            return bounded_uint(int(left) + int(right))
        if kind is Duration:
            return Duration(left.ns + right.ns)
    if kind is Timestamp and other is Duration:
        return Timestamp(left.ns + right.ns, left.offset)
    if kind is Duration and other is Timestamp:
        return Timestamp(left.ns + right.ns, right.offset)
    raise no_overload("_+_")


@LIBRARY.function("-", "dyn", (2,))
def subtract(left: Any, right: Any) -> Any:
    """Return ``left - right``."""
    kind, other = left.__class__, right.__class__
    if kind is other:
        if kind is int:
            return bounded_int(left - right)
        if kind is float:
            return left - right
        if kind is UInt:
            return bounded_uint(int(left) - int(right))
        if kind is Duration:
            return Duration(left.ns - right.ns)
        if kind is Timestamp:
            difference = left.ns - right.ns
            if not MIN_INT <= difference <= MAX_INT:
                raise EvaluationError("integer overflow")
            return Duration(difference)
    if kind is Timestamp and other is Duration:
        if right.ns == MIN_INT:  # Kubernetes negates it first, and its opposite is out of range
            raise EvaluationError("duration overflow")
        return Timestamp(left.ns - right.ns, left.offset)
    raise no_overload("_-_")


@LIBRARY.function("*", "dyn", (2,))
def multiply(left: Any, right: Any) -> Any:
    """Return ``left * right``."""
    kind = left.__class__
    if kind is right.__class__:
        if kind is int:
            return bounded_int(left * right)
        if kind is float:
            return left * right
        if kind is UInt:
            return bounded_uint(int(left) * int(right))
    raise no_overload("_*_")


@LIBRARY.function("/", "dyn", (2,))
def divide(left: Any, right: Any) -> Any:
    """Return ``left / right``; of integers the quotient towards zero."""
    kind = left.__class__
    if kind is right.__class__:
        if kind is int or kind is UInt:
            if right == 0:
                raise EvaluationError("division by zero")
            quotient = abs(int(left)) // abs(int(right))
            if kind is UInt:
                return UInt(quotient)
            return bounded_int(quotient if (left < 0) == (right < 0) else -quotient)
        if kind is float:
            if right == 0:
                if left == 0 or left != left:
                    return math.nan
                return math.copysign(math.inf, left) * math.copysign(1.0, right)
            return left / right
    raise no_overload("_/_")


@LIBRARY.function("%", "dyn", (2,))
def modulo(left: Any, right: Any) -> Any:
    """Return ``left % right`` with the sign of `left`."""
    kind = left.__class__
    if kind is right.__class__ and (kind is int or kind is UInt):
        if right == 0:
            raise EvaluationError("modulus by zero")
        if left == MIN_INT and right == -1:  # as Kubernetes' CEL has it
            raise EvaluationError("integer overflow")
        rest = abs(int(left)) % abs(int(right))
        return UInt(rest) if kind is UInt else -rest if left < 0 else rest
    raise no_overload("_%_")


@LIBRARY.function("neg", "dyn")
def negate(value: Any) -> Any:
    """Return ``-value``."""
    kind = value.__class__
    if kind is int:
        return bounded_int(-value)
    if kind is float:
        return -value
    if kind is Duration:
        if value.ns == MIN_INT:
            raise EvaluationError("integer overflow")
        return Duration(-value.ns)
    raise no_overload("-_")


@LIBRARY.function("!=", "bool", (2,), costly=deep_cost)
def differs(left: Any, right: Any) -> bool:
    """Return ``left != right``; what can't be compared differs."""
    return not same(left, right)


@LIBRARY.function("in", "bool", (2,), costly=deep_cost)
def contained(item: Any, container: Any) -> bool:
    """Return ``item in container``: an element of a list, or a key of a map."""
    kind = container.__class__
    if kind is dict:
        return find_key(container, item)
    if kind is list:
        return any(same(item, element) for element in container)
    raise no_overload("in")


@LIBRARY.method("size", "int", (0,))
@LIBRARY.function("size", "int")
def size(value: Any) -> int:
    """Return the size: code points of a string, bytes, elements or entries."""
    kind = value.__class__
    if kind is str or kind is list or kind is dict or kind is bytes:
        return len(value)
    raise no_overload("size")


LIBRARY.function("==", "bool", (2,), costly=deep_cost)(equals)
LIBRARY.function("<", "bool", (2,), costly=size_cost)(less)
LIBRARY.function("<=", "bool", (2,), costly=size_cost)(less_equal)
LIBRARY.function(">", "bool", (2,), costly=size_cost)(greater)
LIBRARY.function(">=", "bool", (2,), costly=size_cost)(greater_equal)

"""Conversions between types: ``int(x)``, ``string(x)`` and their like, and ``type(x)`` itself."""

from __future__ import annotations

import math
import re
from typing import Any, Final

from webhook.cel.library.addresses import write_cidr, write_ip
from webhook.cel.library.function import Library, no_overload, reading_cost, size_cost
from webhook.cel.library.operators import bounded_int, bounded_uint
from webhook.cel.library.texts import write_double, write_seconds
from webhook.cel.library.times import parse_duration, parse_timestamp, write_timestamp
from webhook.cel.opaque import CIDR, IP
from webhook.cel.values import MAX_INT, MAX_UINT, MIN_INT, Duration, Timestamp, Type, UInt, type_name, type_of
from webhook.core.errors import EvaluationError

LIBRARY = Library()
_TRUE: Final = frozenset(("1", "t", "T", "true", "TRUE", "True"))
_FALSE: Final = frozenset(("0", "f", "F", "false", "FALSE", "False"))
_INTEGER: Final = re.compile(r"[+-]?[0-9]+")
_NATURAL: Final = re.compile(r"[0-9]+")
_DECIMAL: Final = re.compile(
    r"[+-]?(?:(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?|inf(?:inity)?)|nan", re.IGNORECASE | re.ASCII
)
_HEXADECIMAL: Final = re.compile(
    r"[+-]?0x(?:[0-9a-f]+\.?[0-9a-f]*|\.[0-9a-f]+)p[+-]?[0-9]+", re.IGNORECASE | re.ASCII
)
_LOOSE: Final = re.compile(r"(?<![0-9])_|_(?![0-9])")  # an underscore that doesn't separate digits
_LOOSE_HEXADECIMAL: Final = re.compile(r"(?<![0-9a-fA-FxX])_|_(?![0-9a-fA-F])")
_MAX_DIGITS: Final = 4000  # of a number in text; far beyond any that 64 bits hold


def _fails(value: Any, target: str) -> EvaluationError:
    return EvaluationError(f"type conversion error from '{type_name(value)}' to '{target}'")


def _digits(text: str) -> int | None:
    """Return the integer in a text of digits; None where it is too long to matter."""
    sign = text[0] if text[0] in "+-" else ""
    digits = text[len(sign) :].lstrip("0") or "0"
    return int(sign + digits) if len(digits) <= 20 else None


@LIBRARY.function("int", "int", costly=size_cost)
def to_int(value: Any) -> int:
    """Return ``int(value)``."""
    kind = value.__class__
    if kind is int:
        return value  # type: ignore[no-any-return]
    if kind is UInt:
        return bounded_int(int(value))
    if kind is float:
        if (
            not MIN_INT < value < MAX_INT
        ):  # Kubernetes refuses both ends, which doubles can't tell from beyond
            raise EvaluationError("integer overflow")
        return int(value)
    if kind is str:
        number = _digits(value) if _INTEGER.fullmatch(value) else None
        if number is None or not MIN_INT <= number <= MAX_INT:
            raise _fails(value, "int")
        return number
    if kind is Timestamp:
        return value.ns // 10**9  # type: ignore[no-any-return]
    if kind is Duration:
        return value.ns  # type: ignore[no-any-return]
    raise no_overload(f"int({type_name(value)})")


@LIBRARY.function("uint", "uint", costly=size_cost)
def to_uint(value: Any) -> UInt:
    """Return ``uint(value)``."""
    kind = value.__class__
    if kind is UInt:
        return value  # type: ignore[no-any-return]
    if kind is int:
        return bounded_uint(value)
    if kind is float:
        if not 0 <= value < 2.0**64:
            raise EvaluationError("unsigned integer overflow")
        return UInt(int(value))
    if kind is str:
        number = _digits(value) if _NATURAL.fullmatch(value) else None
        if number is None or number > MAX_UINT:
            raise _fails(value, "uint")
        return UInt(number)
    raise no_overload(f"uint({type_name(value)})")


@LIBRARY.function("double", "double", costly=size_cost)
def to_double(value: Any) -> float:
    """Return ``double(value)``."""
    kind = value.__class__
    if kind is float:
        return value  # type: ignore[no-any-return]
    if kind is int or kind is UInt:
        return float(value)
    if kind is str:
        return _parse_double(value)
    raise no_overload(f"double({type_name(value)})")


def _parse_double(text: str) -> float:
    """Return the double nearest to a number in text, as Go's ParseFloat reads it."""
    if len(text) > _MAX_DIGITS:
        raise _fails(text, "double")
    if "_" in text:  # Go lets underscores separate digits
        loose = _LOOSE_HEXADECIMAL if text[:3].lower().lstrip("+-").startswith("0x") else _LOOSE
        text = text if loose.search(text) else text.replace("_", "")
    if _DECIMAL.fullmatch(text):
        value = float(text)
        if math.isinf(value) and "i" not in text and "I" not in text:
            raise _fails(text, "double")
        return value
    if _HEXADECIMAL.fullmatch(text):
        try:
            return float.fromhex(text)
        except OverflowError:
            raise _fails(text, "double") from None
    raise _fails(text, "double")


@LIBRARY.function("string", "string", costly=size_cost)
def to_string(value: Any) -> str:
    """Return ``string(value)``."""
    kind = value.__class__
    if kind is str:
        return value  # type: ignore[no-any-return]
    if kind is int or kind is UInt:
        return str(int(value))
    if kind is bool:
        return "true" if value else "false"
    if kind is float:
        return write_double(value)
    if kind is bytes:
        try:
            return value.decode()  # type: ignore[no-any-return]
        except UnicodeDecodeError:
            raise EvaluationError("invalid UTF-8 in bytes, cannot convert to string") from None
    if kind is Timestamp:
        return write_timestamp(value)
    if kind is Duration:
        return write_seconds(value.ns)
    if kind is IP:
        return write_ip(value)
    if kind is CIDR:
        return write_cidr(value)
    raise no_overload(f"string({type_name(value)})")


@LIBRARY.function("bytes", "bytes", costly=size_cost)
def to_bytes(value: Any) -> bytes:
    """Return ``bytes(value)``: a string in UTF-8."""
    if value.__class__ is bytes:
        return value
    if value.__class__ is str:
        try:
            return value.encode()
        except UnicodeEncodeError:
            raise EvaluationError("the string holds half of a surrogate pair, which UTF-8 can't") from None
    raise no_overload(f"bytes({type_name(value)})")


@LIBRARY.function("bool", "bool")
def to_bool(value: Any) -> bool:
    """Return ``bool(value)``."""
    if value.__class__ is bool:
        return value
    if value.__class__ is str:
        if value in _TRUE:
            return True
        if value in _FALSE:
            return False
        raise _fails(value, "bool")
    raise no_overload(f"bool({type_name(value)})")


@LIBRARY.function("timestamp", "google.protobuf.Timestamp", costly=reading_cost)
def to_timestamp(value: Any) -> Timestamp:
    """Return ``timestamp(value)``: of text as RFC 3339 has it, or of seconds since 1970."""
    if value.__class__ is Timestamp:
        return value
    if value.__class__ is int:
        return Timestamp(value * 10**9)
    if value.__class__ is str:
        found = parse_timestamp(value)
        if found is None:
            raise _fails(value, "google.protobuf.Timestamp")
        return found
    raise no_overload(f"timestamp({type_name(value)})")


@LIBRARY.function("duration", "google.protobuf.Duration", costly=lambda text: 2 * reading_cost(text))
def to_duration(value: Any) -> Duration:
    """Return ``duration(value)``: of text as Go has it, such as ``1h30m``."""
    if value.__class__ is Duration:
        return value
    if value.__class__ is str:
        found = parse_duration(value)
        if found is None:
            raise _fails(value, "google.protobuf.Duration")
        return found
    raise no_overload(f"duration({type_name(value)})")


@LIBRARY.function("type", "type")
def to_type(value: Any) -> Type:
    """Return ``type(value)``."""
    return type_of(value)


@LIBRARY.function("dyn", "dyn")
def to_dyn(value: Any) -> Any:
    """Return the value: ``dyn`` only hides its type from the type checker."""
    return value

"""Kubernetes quantities such as ``500m`` and ``1.5Gi``: parsing, arithmetic, order and canonical text."""

from __future__ import annotations

import math
import re
from functools import lru_cache
from typing import Any, Final

from webhook.cel.library.function import Library, no_overload
from webhook.cel.library.semver import compare_versions
from webhook.cel.opaque import Quantity, Semver
from webhook.cel.values import MAX_INT, MIN_INT
from webhook.core.errors import EvaluationError

LIBRARY = Library()
_QUANTITY: Final = re.compile(r"([+-]?)([0-9]*)(?:\.([0-9]*))?([eEinumkKMGTP]*[+-]?[0-9]*)")
_SHAPE: Final = "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"
_NUMERIC: Final = "unable to parse numeric part of quantity"
_SUFFIX: Final = "unable to parse quantity's suffix"
_DECIMAL: Final = {
    "n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18,
}  # fmt: skip
_BINARY: Final = {"Ki": 10, "Mi": 20, "Gi": 30, "Ti": 40, "Pi": 50, "Ei": 60}
_DECIMAL_SUFFIX: Final = {exponent: suffix for suffix, exponent in _DECIMAL.items()}
_BINARY_SUFFIX: Final = {exponent: suffix for suffix, exponent in _BINARY.items()} | {0: ""}
_SI: Final = "DecimalSI"
_BI: Final = "BinarySI"
_EXPONENT: Final = "DecimalExponent"
_MAX_TEXT: Final = 2000
_MAX_SHIFT: Final = 1000  # powers of ten that arithmetic writes out; Kubernetes itself has no bound


def _int32(value: int) -> int:
    """Return what Go keeps of an integer in 32 bits."""
    return (value + 2**31) % 2**32 - 2**31


def _fits(value: int) -> bool:
    return MIN_INT <= value <= MAX_INT


def _suffix(suffix: str) -> tuple[int, int, str] | None:
    """Return the base, exponent and notation of a suffix; None if there is no such."""
    if suffix in _DECIMAL:
        return 10, _DECIMAL[suffix], _SI
    if suffix in _BINARY:
        return 2, _BINARY[suffix], _BI
    if len(suffix) > 1 and suffix[0] in "eE" and re.fullmatch(r"[+-]?[0-9]+", suffix[1:]):
        digits = suffix[1:].lstrip("+-").lstrip("0") or "0"
        number = int(digits) if len(digits) < 20 else MAX_INT + 1
        number = -number if suffix[1] == "-" else number
        return (10, _int32(number), _EXPONENT) if _fits(number) else None
    return None


@lru_cache(4096)
def _parse(text: str) -> Quantity | str:
    """Return the quantity in a text, or why there is none."""
    found = _QUANTITY.fullmatch(text)
    if found is None or text == "":
        return _SHAPE
    if text == "0":
        return Quantity(0, 0, _SI, written=text)
    sign, whole, fraction, suffix_text = found[1], found[2].lstrip("0"), found[3] or "", found[4]
    suffix = _suffix(suffix_text)
    if suffix is None:
        return _SUFFIX
    base, exponent, notation = suffix
    whole = whole or "0"
    if not (set(found[2]) - {"0"} or fraction or suffix_text or found[3] is not None):
        fraction = ""  # nothing but zeros, or nothing at all
    digits = whole + fraction
    if notation == _BI:
        exact = not fraction and 15 - len(whole) - int(exponent * 3 / 10) - 1 >= 0
        scale = 0
    else:
        exact = 18 - len(digits) >= 0
        scale = exponent
    factor = 2**exponent if base == 2 else 1
    if exact:
        scale = _int32(scale - len(fraction))
        value = int(digits) * factor
        if scale >= -9 and _fits(value):
            return Quantity(
                -value if sign == "-" else value,
                scale,
                notation,
                written=_kept(text, digits, notation, scale),
            )
    if not (found[2] or found[3]):
        return _NUMERIC
    return _big(sign, digits, len(fraction), base, exponent, notation)


def _kept(text: str, digits: str, notation: str, scale: int) -> str:
    """Return the text where Kubernetes keeps it as canonical; else the empty string."""
    if notation == _BI:
        return text if int(digits) & 7 else ""
    return text if scale % 3 == 0 and not digits.endswith("000") and digits[0] != "0" else ""


def _big(sign: str, digits: str, places: int, base: int, exponent: int, notation: str) -> Quantity:
    """Return a quantity that Kubernetes keeps as a big decimal: rounded up to nano, binary ones capped."""
    value = int(digits)
    scale = _int32(-places + exponent) if base == 10 else -places
    if base == 2:
        value <<= exponent
    if value and scale < -9:
        drop = -9 - scale
        # Beyond the digits there are, dividing leaves less than one nano, which rounds up to one.
        value = 1 if drop > len(digits) + 40 else -(-value // 10**drop)
        scale = -9
    if value and -9 < scale <= _MAX_SHIFT:
        value, scale = value * 10 ** (scale + 9), -9
    if notation == _BI:
        if value > MAX_INT * 10**-scale:
            value, scale = MAX_INT, 0
        if 0 < value < 10**-scale:
            notation = _SI
    return Quantity(-value if sign == "-" else value, scale, notation, decimal=True)


def parse_quantity(text: Any, name: str) -> Quantity | str:
    """Return the quantity in a text, or why there is none.

    Raises:
        EvaluationError: it is no text, or has more digits than any quantity needs.
    """
    if text.__class__ is not str:
        raise no_overload(name)
    if len(text) > _MAX_TEXT:
        raise EvaluationError(f"a quantity of {len(text)} characters is over the limit of {_MAX_TEXT}")
    return _parse(text)


_NANO: Final = 10**9
_PLAIN_BINARY: Final = {suffix: 2 ** _BINARY[suffix] * _NANO for suffix in ("Ki", "Mi", "Gi", "Ti")}
_PLAIN_DECIMAL: Final = {"m": _NANO // 1000, "k": _NANO * 10**3, "M": _NANO * 10**6, "G": _NANO * 10**9}
_PLAIN_DIGITS: Final = 6  # with these suffixes far from every bound


def plain_nano(text: Any) -> int:
    """Return a quantity as policies meet it, such as ``500m`` or ``2Gi``, in nano units.

    For code that compares quantities and needs no object for each.

    Raises:
        Exception: it is written in another way, or is none: `quantity` tells.
    """
    factor = _PLAIN_BINARY.get(text[-2:])
    if factor is not None:
        digits = text[:-2]
    else:
        factor = _PLAIN_DECIMAL.get(text[-1:])
        digits = text if factor is None else text[:-1]
    if not digits.isdecimal() or len(digits) > _PLAIN_DIGITS or not digits.isascii():
        raise EvaluationError("it is not written plainly")
    return int(digits) * (_NANO if factor is None else factor)


def write_quantity(quantity: Quantity) -> str:
    """Return the canonical text."""
    if quantity.written:
        return quantity.written
    if quantity.unscaled == 0:
        return "0"
    value, exponent = quantity.unscaled, quantity.exponent
    if quantity.notation == _BI and exponent <= _MAX_SHIFT:
        whole = value * 10**exponent if exponent >= 0 else None
        if whole is None and value % 10**-exponent == 0:
            whole = value // 10**-exponent
        if whole is not None and abs(whole) >= 1024:
            power = 0
            while whole % 1024 == 0:
                whole //= 1024
                power += 10
            return f"{whole}{_BINARY_SUFFIX.get(power, '')}"
    digits = str(value)
    stripped = digits.rstrip("0")
    exponent += len(digits) - len(stripped)
    stripped += "0" * (exponent % 3)
    exponent -= exponent % 3
    if quantity.notation == _EXPONENT:
        return f"{stripped}e{exponent}" if exponent else stripped
    return stripped + _DECIMAL_SUFFIX.get(exponent, "")


def _combine(left: Quantity, right: Quantity, sign: int) -> Quantity:
    """Return ``left + sign * right`` in the notation and the form that Kubernetes gives it."""
    notation = right.notation if left.unscaled == 0 else left.notation
    decimal = left.decimal or right.decimal
    if not decimal:
        if right.unscaled == 0:
            return Quantity(left.unscaled, left.exponent, notation)
        if left.unscaled == 0:
            return Quantity(sign * right.unscaled, right.exponent, notation)
    exponent = min(left.exponent, right.exponent)
    if max(left.exponent, right.exponent) - exponent > _MAX_SHIFT:
        raise EvaluationError("the quantities differ too much in size to be added")
    one = left.unscaled * 10 ** (left.exponent - exponent)
    two = sign * right.unscaled * 10 ** (right.exponent - exponent)
    decimal = decimal or not (_fits(one) and _fits(two) and _fits(one + two))
    return Quantity(one + two, exponent, notation, decimal)


def _quantity(value: Any, name: str) -> Quantity:
    if value.__class__ is not Quantity:
        raise no_overload(name)
    return value


def _operand(value: Any, name: str) -> Quantity:
    if value.__class__ is int:
        return Quantity(value, 0, _EXPONENT)
    return _quantity(value, name)


@LIBRARY.function("quantity", "kubernetes.Quantity")
def to_quantity(text: Any) -> Quantity:
    """Return ``quantity(text)``."""
    found = parse_quantity(text, "quantity")
    if found.__class__ is str:
        raise EvaluationError(str(found))
    return found  # type: ignore[return-value]


@LIBRARY.function("isQuantity", "bool")
def is_quantity(text: Any) -> bool:
    """Tell whether a string is a quantity."""
    return parse_quantity(text, "isQuantity").__class__ is Quantity


@LIBRARY.function("sign", "int")
def sign_of(quantity: Any) -> int:
    """Return -1, 0 or 1."""
    value = _quantity(quantity, "sign").unscaled
    return (value > 0) - (value < 0)


@LIBRARY.method("compareTo", "int", (1,))
def compare_to(left: Any, right: Any) -> int:
    """Return -1, 0 or 1 for two quantities or two versions."""
    if left.__class__ is Quantity and right.__class__ is Quantity:
        return left.compare(right)
    if left.__class__ is Semver and right.__class__ is Semver:
        return compare_versions(left, right)
    raise no_overload("compareTo")


@LIBRARY.method("isGreaterThan", "bool", (1,))
def is_greater_than(left: Any, right: Any) -> bool:
    """Tell whether a quantity or version is greater than another."""
    return compare_to(left, right) > 0


@LIBRARY.method("isLessThan", "bool", (1,))
def is_less_than(left: Any, right: Any) -> bool:
    """Tell whether a quantity or version is less than another."""
    return compare_to(left, right) < 0


@LIBRARY.method("add", "kubernetes.Quantity", (1,))
def add(left: Any, right: Any) -> Quantity:
    """Return the sum of a quantity and a quantity or int."""
    return _combine(_quantity(left, "add"), _operand(right, "add"), 1)


@LIBRARY.method("sub", "kubernetes.Quantity", (1,))
def subtract(left: Any, right: Any) -> Quantity:
    """Return a quantity less a quantity or int."""
    return _combine(_quantity(left, "sub"), _operand(right, "sub"), -1)


def _integer(quantity: Quantity) -> int | None:
    """Return the value as 64 bits hold it; None if they don't, or Kubernetes keeps it as a big decimal."""
    value, exponent = quantity.unscaled, quantity.exponent
    if quantity.decimal or exponent < 0:
        return None
    if value == 0:
        return 0
    if exponent > 18 or not _fits(value * 10**exponent):
        return None
    return value * 10**exponent  # type: ignore[no-any-return]


@LIBRARY.method("isInteger", "bool")
def is_integer(quantity: Any) -> bool:
    """Tell whether `as_integer` gives a value."""
    return _integer(_quantity(quantity, "isInteger")) is not None


@LIBRARY.method("asInteger", "int")
def as_integer(quantity: Any) -> int:
    """Return the value as an int."""
    value = _integer(_quantity(quantity, "asInteger"))
    if value is None:
        raise EvaluationError("cannot convert value to integer")
    return value


@LIBRARY.method("asApproximateFloat", "double")
def as_approximate_float(quantity: Any) -> float:
    """Return the value as a double, with the rounding of Go's own powers of ten."""
    found = _quantity(quantity, "asApproximateFloat")
    try:
        base = float(found.unscaled)
    except OverflowError:
        base = math.copysign(math.inf, found.unscaled)
    return base if found.exponent == 0 else base * _power_of_ten(found.exponent)


def _power_of_ten(exponent: int) -> float:
    if exponent > 308:
        return math.inf
    if exponent >= 0:
        return float(f"1e{exponent // 32 * 32}") * float(f"1e{exponent % 32}")
    if exponent >= -323:
        return float(f"1e-{-exponent // 32 * 32}") / float(f"1e{-exponent % 32}")
    return 0.0

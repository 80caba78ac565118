"""``'...'.format([...])``, with the texts that Kubernetes' CEL writes: numbers as in American English."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Any, Final

from webhook.cel.library.conversions import to_string
from webhook.cel.library.function import MAX_STRING, Library, check_string, deep_cost, no_overload
from webhook.cel.library.texts import quote, quote_bytes
from webhook.cel.values import Duration, Timestamp, Type, UInt, type_name
from webhook.core.errors import EvaluationError

LIBRARY = Library()
_SUPERSCRIPT: Final = str.maketrans("0123456789-", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻")
_PLAIN: Final = frozenset((int, UInt, float, bool, str, Timestamp, bytes, Duration))
_TIMES: Final = "\u00d7"
_SPECIAL: Final = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}
_MAX_DEPTH: Final = 250
_CLAUSE: Final = re.compile(r"(?:\.([0-9]*))?(.)?", re.DOTALL)


class _Writer:
    """Writes values into parts, and counts what it writes."""

    def __init__(self) -> None:
        self.parts: list[str] = []
        self.length = 0

    def write(self, text: str) -> None:
        self.length += len(text)
        if self.length > MAX_STRING:
            check_string(self.length)
        self.parts.append(text)

    def inside(self, value: Any, depth: int) -> None:
        """Write a value as an element of a list or map."""
        kind = value.__class__
        if kind is str:
            self.write(quote(value))
        elif kind is bytes:
            _string(value)
            self.write("b" + quote_bytes(value))
        elif kind is float:
            self.write(f"{value:.6f}" if math.isfinite(value) else f'"{to_string(value)}"')
        elif kind is Timestamp:
            self.write(f'timestamp("{to_string(value)}")')
        elif kind is Duration:
            self.write(f'duration("{to_string(value)}")')
        elif kind is list or kind is dict:
            self.container(value, depth + 1)
        elif kind in _PLAIN or kind is Type or value is None:
            self.write(_string(value))
        else:
            raise _during(f"no formatting function for {type_name(value)}")

    def container(self, value: Any, depth: int) -> None:
        if depth > _MAX_DEPTH:
            raise _during(f"values nested more than {_MAX_DEPTH} deep")
        if value.__class__ is dict:
            self.mapping(value, depth)
            return
        self.write("[")
        for index, item in enumerate(value):
            if index:
                self.write(", ")
            self.inside(item, depth)
        self.write("]")

    def mapping(self, value: dict[Any, Any], depth: int) -> None:
        keys = []
        for key in value:
            if key.__class__ not in (str, bool, int, UInt):
                raise _during(f"no formatting function for map key of type {type_name(key)}")
            keys.append((quote(key) if key.__class__ is str else to_string(key), key))
        keys.sort(key=lambda pair: pair[0].encode("utf-8", "surrogatepass"))
        self.write("{")
        for index, (text, key) in enumerate(keys):
            self.write((", " if index else "") + text + ":")
            self.inside(value[key], depth)
        self.write("}")


def _during(message: str) -> EvaluationError:
    return EvaluationError(f"error during formatting: {message}")


def _string(value: Any) -> str:
    kind = value.__class__
    if kind is str:
        return value  # type: ignore[no-any-return]
    if kind is list or kind is dict:
        writer = _Writer()
        writer.container(value, 1)
        return "".join(writer.parts)
    if value is None:
        return "null"
    if kind is Type:
        return value.name  # type: ignore[no-any-return]
    if kind in _PLAIN:
        try:
            return to_string(value)
        except EvaluationError as error:
            raise _during(f'could not convert argument "{error}" to string') from None
    raise _during(
        "string clause can only be used on strings, bools, bytes, ints, doubles, maps, lists, types, "
        f"durations, and timestamps, was given {type_name(value)}"
    )


def _decimal(value: Any) -> str:
    if value.__class__ not in (int, UInt):
        raise _during(f"decimal clause can only be used on integers, was given {type_name(value)}")
    return str(int(value))


def _double(value: Any, clause: str) -> float:
    if value.__class__ is float:
        return value
    if value.__class__ is str and value in _SPECIAL:
        return _SPECIAL[value]
    raise _during(f"{clause} clause can only be used on doubles, was given {type_name(value)}")


def _special(number: float) -> str:
    return "NaN" if number != number else "∞" if number > 0 else "-∞"


def _unreadable(precision: int) -> bool:
    """Tell whether Go's printer gives up on reading a precision of so many digits."""
    return precision // 10 > 1_000_000


def _fixed(value: Any, precision: int | None) -> str:
    """Write with a fixed number of decimals; as many as Go's printer keeps in eight bits of the precision."""
    number = _double(value, "fixed-point")
    places = 6 if precision is None else precision
    if _unreadable(places):
        return "%!(NOVERB)"
    if not math.isfinite(number):
        return _special(number)
    if number == 0:
        number = 0.0
    text = f"{number:,.{min(places, 1100)}f}"
    if places < 256:
        return text
    whole, _, fraction = text.partition(".")
    fraction = fraction.rstrip("0").ljust(places % 256, "0")
    return f"{whole}.{fraction}" if fraction else whole


def _scientific(value: Any, precision: int | None) -> str:
    """Write with an exponent; Kubernetes' CEL takes the precision for a width, of which 16 bits are kept."""
    number = _double(value, "scientific")
    width = 6 if precision is None else precision
    if _unreadable(width):
        return "%!(NOVERB)"
    if not math.isfinite(number):
        return _special(number).rjust(width % 65_536)
    mantissa, _, power = f"{number or 0.0:.6e}".partition("e")
    sign = "-" if power.startswith("-") else ""
    exponent = f"{sign}{power[1:]}".translate(_SUPERSCRIPT)
    return f"{mantissa}{_TIMES}10{exponent}".rjust(width % 65_536)


def _binary(value: Any) -> str:
    if value.__class__ is bool:
        return "1" if value else "0"
    if value.__class__ not in (int, UInt):
        raise _during(f"only integers and bools can be formatted as binary, was given {type_name(value)}")
    return format(int(value), "b")


def _octal(value: Any) -> str:
    if value.__class__ not in (int, UInt):
        raise _during(f"octal clause can only be used on integers, was given {type_name(value)}")
    return format(int(value), "o")


def _hexadecimal(value: Any) -> str:
    if value.__class__ is str:
        return value.encode("utf-8", "surrogatepass").hex()
    if value.__class__ is bytes:
        return value.hex()
    if value.__class__ not in (int, UInt):
        raise _during(
            "only integers, byte buffers, and strings can be formatted as hex, was given " + type_name(value)
        )
    return format(int(value), "x")


def _upper_hexadecimal(value: Any) -> str:
    return _hexadecimal(value).upper()


_VERBS: Final[dict[str, Callable[[Any], str]]] = {
    "s": _string,
    "d": _decimal,
    "b": _binary,
    "o": _octal,
    "x": _hexadecimal,
    "X": _upper_hexadecimal,
}


def _precision(digits: str, verb: str | None) -> int:
    if verb is None:
        raise _parsing("error while parsing precision: could not find end of precision specifier")
    significant = digits.lstrip("0") or ("0" if digits else "")
    if not significant or len(significant) > 19 or int(significant) > 2**63 - 1:
        raise _parsing(
            f"error while parsing precision: error while converting precision to integer: {digits!r}"
        )
    return int(significant)


def _parsing(message: str) -> EvaluationError:
    return EvaluationError(f"could not parse formatting clause: {message}")


@LIBRARY.method("format", "string", (1,), costly=deep_cost)
def format_text(text: Any, values: Any) -> str:
    """Return the text with its clauses replaced by the values, in order."""
    if text.__class__ is not str or values.__class__ is not list:
        raise no_overload("format")
    writer = _Writer()
    used = at = 0
    while True:
        percent = text.find("%", at)
        if percent < 0:
            writer.write(text[at:])
            return "".join(writer.parts)
        writer.write(text[at:percent])
        if text.startswith("%%", percent):
            writer.write("%")
            at = percent + 2
            continue
        if used >= len(values):
            raise EvaluationError(f"index {used} out of range")
        if percent + 1 >= len(text):
            raise EvaluationError("unexpected end of string")
        found = _CLAUSE.match(text, percent + 1)
        assert found is not None  # noqa: S101 - both halves of the pattern are optional
        verb = found[2]
        precision = _precision(found[1], verb) if found[1] is not None else None
        if verb == "f":
            written = _fixed(values[used], precision)
        elif verb == "e":
            written = _scientific(values[used], precision)
        elif verb in _VERBS:
            written = _VERBS[verb](values[used])
        else:
            raise _parsing(f'unrecognized formatting clause "{verb}"')
        writer.write(written)
        used += 1
        at = found.end()

"""The types of values, and turning one into another."""

from __future__ import annotations

import re
from typing import Any, Final

from webhook.rego.builtins.declaration import builtin
from webhook.rego.builtins.operands import operand_error
from webhook.rego.context import BuiltinError, Context, Halt
from webhook.rego.numbers import NUMBERS, Number, Numeral, is_number_text, number_of
from webhook.rego.order import members_in_order
from webhook.rego.types import ANY, ARRAY_OF_ANY, BOOLEAN, NULL, NUMBER, SET_OF_ANY, STRING, Union
from webhook.rego.types import Object as ObjectType
from webhook.rego.value_text import quote
from webhook.rego.values import RegoObject, RegoSet, type_name

_GO_FLOAT: Final = re.compile(
    r"[+-]?(?:(?:D\.?D?|\.D)(?:[eE][+-]?D)?|0[xX]_?(?:H\.?H?|\.H)[pP][+-]?D)".replace(
        "D", "(?:[0-9]+(?:_[0-9]+)*)"
    ).replace("H", "(?:[0-9a-fA-F]+(?:_[0-9a-fA-F]+)*)")
)


@builtin("type_name", (ANY,), STRING)
def type_name_(value: Any) -> str:
    """Return the name of the value's type."""
    return type_name(value)


def _is(name: str, *kinds: type) -> None:
    wanted = frozenset(kinds)

    def implementation(value: Any) -> bool:
        return value.__class__ in wanted

    builtin(f"is_{name}", (ANY,), BOOLEAN)(implementation)


_is("null", type(None))
_is("boolean", bool)
_is("number", *NUMBERS)
_is("string", str)
_is("array", list)
_is("object", dict, RegoObject)
_is("set", RegoSet)


@builtin("to_number", (Union((NULL, BOOLEAN, NUMBER, STRING)),), NUMBER)
def to_number(value: Any) -> Number:
    """Return the number that a string writes; 0 and 1 for booleans, 0 for null."""
    kind = value.__class__
    if kind in NUMBERS:
        return value  # type: ignore[no-any-return]
    if kind is str:
        return _parsed(value)
    if value is None or kind is bool:
        return 1 if value else 0
    raise operand_error(1, value, "null", "boolean", "number", "string")


def _parsed(text: str) -> Number:
    if len(text) < 16 and text.isascii() and text.isdigit() and (text[0] != "0" or text == "0"):
        return int(text)
    if text.lstrip("+-").lower() in ("inf", "infinity", "nan"):
        raise operand_error(1, text, "valid number string")
    if not _GO_FLOAT.fullmatch(text):
        raise BuiltinError(f"strconv.ParseFloat: parsing {quote(text)}: invalid syntax")
    if "x" in text or "X" in text:
        # OPA takes it for a number, which it then can't write as JSON.
        raise Halt(f"to_number: {quote(text)}: hexadecimal numbers are not supported")
    if float(text) in (float("inf"), float("-inf")):
        raise BuiltinError(f"strconv.ParseFloat: parsing {quote(text)}: value out of range")
    return number_of(text) if is_number_text(text) else Numeral(text)


def _cast(name: str, result: Any, expected: tuple[str, ...], *kinds: type) -> None:
    wanted = frozenset(kinds)

    def implementation(context: Context, value: Any) -> Any:
        if value.__class__ not in wanted:
            raise operand_error(1, value, *expected)
        if name == "set" and value.__class__ is list:
            context.spend(len(value))
        if name == "array" and value.__class__ is RegoSet:
            return members_in_order(value)
        return RegoSet(value) if name == "set" and value.__class__ is list else value

    builtin(f"cast_{name}", (ANY,), result, deprecated=True, needs_context=True)(implementation)


_cast("array", ARRAY_OF_ANY, ("array", "set"), list, RegoSet)
_cast("set", SET_OF_ANY, ("array", "set"), list, RegoSet)
_cast("string", STRING, ("string",), str)
_cast("boolean", BOOLEAN, ("boolean",), bool)
_cast("null", NULL, ("null",), type(None))
_cast("object", ObjectType((), (ANY, ANY)), ("object",), dict, RegoObject)

"""Base64, hexadecimal, URLs' queries and JSON."""

from __future__ import annotations

import re
from typing import Any, Final
from urllib.parse import quote_plus

from webhook.rego.builtins.declaration import builtin
from webhook.rego.builtins.operands import check_object, check_texts, operand_error
from webhook.rego.context import BuiltinError, Context, OperandError, check_items, check_string
from webhook.rego.go.base64_reader import base64_bytes, base64url_bytes
from webhook.rego.go.json_reader import is_json, read_json
from webhook.rego.order import entries_in_order, members_in_order
from webhook.rego.raw_text import decoded, encoded
from webhook.rego.texts import json_text, key_text, quote, term_text
from webhook.rego.types import ANY, BOOLEAN, SET_OF_STRING, STRING, Array, Object, Union
from webhook.rego.values import RegoObject, RegoSet, entries

_ESCAPE = re.compile(rb"%([0-9a-fA-F]{2})")


def _sized(context: Context, text: str) -> bytes:
    context.spend(1 + (len(text) >> 7))
    return encoded(text)


@builtin("base64.encode", (STRING,), STRING, needs_context=True)
def base64_encode(context: Context, text: Any) -> str:
    """Return the bytes in base64."""
    check_texts(text)
    return _base64(_sized(context, text))


def _base64(data: bytes) -> str:
    import base64

    check_string(len(data) * 4 // 3 + 4)
    return base64.b64encode(data).decode()


@builtin("base64.decode", (STRING,), STRING, needs_context=True)
def base64_decode(context: Context, text: Any) -> str:
    """Return what base64 stands for."""
    check_texts(text)
    context.spend(1 + (len(text) >> 4))
    return decoded(base64_bytes(text))


@builtin("base64.is_valid", (STRING,), BOOLEAN, needs_context=True)
def base64_is_valid(context: Context, text: Any) -> bool:
    """Tell whether it is base64."""
    if text.__class__ is not str:
        return False
    context.spend(1 + (len(text) >> 4))
    try:
        base64_bytes(text)
    except BuiltinError:
        return False
    return True


@builtin("base64url.encode", (STRING,), STRING, needs_context=True)
def base64url_encode(context: Context, text: Any) -> str:
    """Return the bytes in base64 for URLs."""
    check_texts(text)
    return _base64(_sized(context, text)).replace("+", "-").replace("/", "_")


@builtin("base64url.encode_no_pad", (STRING,), STRING, needs_context=True)
def base64url_encode_no_pad(context: Context, text: Any) -> str:
    """Return the bytes in base64 for URLs, without padding."""
    check_texts(text)
    return _base64(_sized(context, text)).replace("+", "-").replace("/", "_").rstrip("=")


@builtin("base64url.decode", (STRING,), STRING, needs_context=True)
def base64url_decode(context: Context, text: Any) -> str:
    """Return what base64 for URLs stands for."""
    check_texts(text)
    context.spend(1 + (len(text) >> 4))
    return decoded(base64url_bytes(text))


@builtin("hex.encode", (STRING,), STRING, needs_context=True)
def hex_encode(context: Context, text: Any) -> str:
    """Return the bytes in hexadecimal."""
    check_texts(text)
    data = _sized(context, text)
    check_string(2 * len(data))
    return data.hex()


@builtin("hex.decode", (STRING,), STRING, needs_context=True)
def hex_decode(context: Context, text: Any) -> str:
    """Return what hexadecimal stands for."""
    check_texts(text)
    data = _sized(context, text)
    for at in range(0, len(data) - 1, 2):
        for byte in data[at : at + 2]:
            if byte not in b"0123456789abcdefABCDEF":
                raise BuiltinError(f"encoding/hex: invalid byte: {_rune(byte)}")
    if len(data) % 2:
        if data[-1] not in b"0123456789abcdefABCDEF":
            raise BuiltinError(f"encoding/hex: invalid byte: {_rune(data[-1])}")
        raise BuiltinError("encoding/hex: odd length hex string")
    return decoded(bytes.fromhex(data.decode()))


def _rune(byte: int) -> str:
    char = chr(byte)
    return f"U+{byte:04X}" + (f" '{char}'" if char.isprintable() else "")


def query_escape(text: str) -> str:
    """Return the text as Go's ``url.QueryEscape`` writes it."""
    check_string(3 * len(text))
    return quote_plus(encoded(text), safe="~").replace("%7E", "~")


def query_unescape(text: str) -> str:
    """Return the text that was escaped.

    Raises:
        BuiltinError: it is no such text.
    """
    data = encoded(text)
    at = data.find(b"%")
    while at >= 0:
        if not _ESCAPE.match(data, at):
            raise BuiltinError(f"invalid URL escape {quote(decoded(data[at : at + 3]))}")
        at = data.find(b"%", at + 3)
    plain = data.replace(b"+", b" ")
    return decoded(_ESCAPE.sub(lambda found: bytes((int(found[1], 16),)), plain))


@builtin("urlquery.encode", (STRING,), STRING, needs_context=True)
def urlquery_encode(context: Context, text: Any) -> str:
    """Return the text as it stands in a query."""
    check_texts(text)
    context.spend(len(text) >> 6)
    return query_escape(text)


@builtin("urlquery.decode", (STRING,), STRING, needs_context=True)
def urlquery_decode(context: Context, text: Any) -> str:
    """Return the text that stands in a query."""
    check_texts(text)
    context.spend(len(text) >> 5)
    return query_unescape(text)


_TEXTS: Final = Array(STRING)


@builtin(
    "urlquery.encode_object",
    (Object((), (STRING, Union((STRING, _TEXTS, SET_OF_STRING)))),),
    STRING,
    needs_context=True,
)
def urlquery_encode_object(context: Context, value: Any) -> str:
    """Return an object's entries as a query."""
    if value.__class__ is not dict and value.__class__ is not RegoObject:
        raise operand_error(1, value, "object")
    parts: list[str] = []
    for key, found in sorted((key_text(k), v) for k, v in entries(value)):
        items = [found] if found.__class__ is str else _listed(found)
        for item in items:
            if item.__class__ is not str:
                raise OperandError("operand 1 values must be string, array[string], or set[string]")
            context.spend(1 + (len(item) >> 6))
            parts.append(f"{query_escape(key)}={query_escape(item)}")
    check_string(sum(map(len, parts)))
    return "&".join(parts)


def _listed(value: Any) -> list[Any]:
    if value.__class__ is list:
        return value
    if value.__class__ is RegoSet:
        return members_in_order(value)
    raise OperandError("operand 1 values must be string, array[string], or set[string]")


@builtin("urlquery.decode_object", (STRING,), Object((), (STRING, _TEXTS)), needs_context=True)
def urlquery_decode_object(context: Context, text: Any) -> dict[str, list[str]]:
    """Return what a query gives for each name."""
    check_texts(text)
    context.spend(1 + (len(text) >> 5))
    result: dict[str, list[str]] = {}
    problem: BuiltinError | None = None
    for part in text.split("&"):
        if not part:
            continue
        if ";" in part:
            problem = problem or BuiltinError("invalid semicolon separator in query")
            continue
        name, _, value = part.partition("=")
        try:
            name, value = query_unescape(name), query_unescape(value)
        except BuiltinError as error:
            problem = problem or error
            continue
        result.setdefault(name, []).append(value)
        check_items(len(result))
    if problem is not None:
        raise problem
    return result


@builtin("json.marshal", (ANY,), STRING, needs_context=True)
def json_marshal(context: Context, value: Any) -> str:
    """Return the value as JSON, as Go writes it."""
    text = json_text(value)
    check_string(len(text))
    context.spend(1 + (len(text) >> 4))
    return text


_OPTIONS = Object(
    (("indent", STRING), ("prefix", STRING), ("pretty", BOOLEAN)),
    (STRING, ANY),
)


@builtin("json.marshal_with_options", (ANY, _OPTIONS), STRING, needs_context=True)
def json_marshal_with_options(context: Context, value: Any, options: Any) -> str:
    """Return the value as JSON, indented if that is asked for."""
    check_object(options, 2)
    indent, prefix, implicit, pretty = "\t", "", False, None
    for index, (key, option) in enumerate(entries_in_order(options)):
        if key.__class__ is not str:
            problem = operand_error(index, key, "string")
            raise OperandError(
                f"operand 2 failed to stringify key {term_text(key)} at index {index}: {problem}"
            )
        if key in ("prefix", "indent"):
            if option.__class__ is not str:
                problem = operand_error(index, option, "string")
                raise OperandError(f"operand 2 key {quote(key)} failed cast to string: {problem}")
            implicit = True
            if key == "prefix":
                prefix = option
            else:
                indent = option
        elif key == "pretty":
            if option.__class__ is not bool:
                raise OperandError(f"operand 2 key {quote(key)} failed cast to bool")
            pretty = option
        else:
            raise OperandError(f"operand 2 object contained unknown key {quote(key)}")
    if not (implicit if pretty is None else pretty):
        return json_marshal(context, value)
    context.spend((len(indent) + len(prefix)) >> 2)
    if len(indent) + len(prefix) > 256:
        check_string(json_text(value, prefix="", indent="").count("\n") * (len(indent) * 8 + len(prefix)))
    text = prefix + json_text(value, prefix=prefix, indent=indent)
    check_string(len(text))
    context.spend(1 + (len(text) >> 4))
    return text


@builtin("json.unmarshal", (STRING,), ANY, needs_context=True)
def json_unmarshal(context: Context, text: Any) -> Any:
    """Return the value of a JSON text."""
    check_texts(text)
    context.spend(1 + (len(text) >> 4))
    return read_json(text)


@builtin("json.is_valid", (STRING,), BOOLEAN, needs_context=True)
def json_is_valid(context: Context, text: Any) -> bool:
    """Tell whether it is a JSON text."""
    if text.__class__ is not str:
        return False
    context.spend(1 + (len(text) >> 4))
    return is_json(text)

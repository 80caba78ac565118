"""Queries of URLs, as Go's ``net/url`` writes and reads them."""

from __future__ import annotations

import re
from typing import Any, Final
from urllib.parse import quote_plus

from webhook.rego.builtins.declaration import builtin
from webhook.rego.builtins.operands import check_object, check_texts
from webhook.rego.context import BuiltinError, Context, OperandError, check_items, check_string
from webhook.rego.order import members_in_order
from webhook.rego.raw_text import decoded, encoded
from webhook.rego.types import SET_OF_STRING, STRING, Array, Object, Union
from webhook.rego.value_text import key_text, quote
from webhook.rego.values import RegoSet, entries

_ESCAPE = re.compile(rb"%([0-9a-fA-F]{2})")


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
    check_object(value, 1)
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

"""Values as text: as OPA prints terms, as Go quotes strings, and as Go writes JSON."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final

from webhook.rego.context import MAX_STRING, Halt
from webhook.rego.metering import pay
from webhook.rego.numbers import Numeral, text_of
from webhook.rego.order import entries_in_order, members_in_order
from webhook.rego.plain_json import to_json
from webhook.rego.raw_text import printable
from webhook.rego.values import RegoObject, RegoSet, entries, size

_PLAIN: Final = re.compile(r"[ !#-\[\]-~]*")
_PLAIN_JSON: Final = re.compile(r"[^\x00-\x1f\"\\<>&\u2028\u2029\ud800-\udfff]*")
_ESCAPES: Final = {
    "\a": "\\a",
    "\b": "\\b",
    "\f": "\\f",
    "\n": "\\n",
    "\r": "\\r",
    "\t": "\\t",
    "\v": "\\v",
    "\\": "\\\\",
}
_ESCAPED: Final = {
    **{code: f"\\u{code:04x}" for code in (*range(0x20), 0x2028, 0x2029)},
    **dict.fromkeys(range(0xD800, 0xE000), "\\ufffd"),
    **{ord(char): f"\\{char}" for char in '"\\'},
    **{ord(char): f"\\{name}" for char, name in zip("\b\f\n\r\t", "bfnrt", strict=True)},
}
_ESCAPED_HTML: Final = {**_ESCAPED, **{ord(char): f"\\u{ord(char):04x}" for char in "<>&"}}


def printable_json(value: Any) -> Any:
    """Return a value as JSON data that can leave the process; see `printable`.

    Raises:
        Halt: it would be too long a text.
    """
    _check_length(value)
    return _printable_json(value)


def _printable_json(value: Any) -> Any:
    kind = value.__class__
    if kind is str:
        return printable(value)
    if kind is list:
        return [_printable_json(item) for item in value]
    if kind is dict:
        return {printable(name): _printable_json(item) for name, item in value.items()}
    return _printable_json(to_json(value)) if kind is RegoSet or kind is RegoObject else value


def quote(text: str, mark: str = '"', *, only_ascii: bool = False) -> str:
    """Return a string as Go's ``strconv.Quote`` writes it, or with other quotation marks."""
    if mark == '"' and _PLAIN.fullmatch(text):
        return f'"{text}"'
    pay(len(text) >> 1)
    return mark + "".join(_quoted(char, mark, only_ascii) for char in text) + mark


def _quoted(char: str, mark: str, only_ascii: bool) -> str:
    if char == mark:
        return "\\" + char
    if char in _ESCAPES:
        return _ESCAPES[char]
    code = ord(char)
    if char.isprintable() and (code < 0x80 or not only_ascii):
        return char
    if code < 0x20 or code == 0x7F:
        return f"\\x{code:02x}"
    if 0xD800 <= code < 0xE000:
        return f"\\x{code - 0xDC00:02x}" if 0xDC80 <= code < 0xDD00 else "\\ufffd"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def term_text(value: Any) -> str:
    """Return a value as OPA prints it inside of others: strings quoted, objects and sets in order.

    Raises:
        Halt: the text is longer than any that may be built.
    """
    _check_length(value)
    return _term_text(value)


def _check_length(value: Any) -> None:
    """Refuse a value whose text is too long, without writing it: parts may be in it very often."""
    if value.__class__ in _COLLECTIONS:
        size(value)
        _take(value, [MAX_STRING])


def _take(value: Any, left: list[int]) -> None:
    kind = value.__class__
    if kind in _COLLECTIONS:
        pay(len(value) if kind is list else 2 * len(value))  # which are sorted, too
        left[0] -= len(value)
        for item in value if kind is list or kind is RegoSet else entries(value):
            if item.__class__ is tuple:
                _take(item[0], left)
                item = item[1]
            _take(item, left)
    elif kind is str:
        left[0] -= len(value)
    elif kind is Numeral:
        left[0] -= len(value.text)
    elif kind is int:
        left[0] -= value.bit_length() >> 2
    if left[0] < 0:
        raise Halt(f"a text of more than {MAX_STRING} characters is over the limit")


def _term_text(value: Any) -> str:
    kind = value.__class__
    if kind is str:
        return quote(value)
    if kind is bool:
        return "true" if value else "false"
    if value is None:
        return "null"
    if kind is list:
        return "[" + ", ".join(map(_term_text, value)) + "]"
    if kind is dict or kind is RegoObject:
        return (
            "{" + ", ".join([f"{_term_text(k)}: {_term_text(v)}" for k, v in entries_in_order(value)]) + "}"
        )
    if kind is RegoSet:
        return "{" + ", ".join(map(_term_text, members_in_order(value))) + "}" if len(value) else "set()"
    return text_of(value)


def json_string(text: str, *, html: bool = True) -> str:
    """Return a string as Go's ``encoding/json`` writes it."""
    if _PLAIN_JSON.fullmatch(text):
        return f'"{text}"'
    pay(len(text) >> 6)
    return '"' + text.translate(_ESCAPED_HTML if html else _ESCAPED) + '"'


def json_text(value: Any, *, html: bool = True, prefix: str = "", indent: str | None = None) -> str:
    """Return a value as Go's ``json.Marshal`` writes it: no spaces, keys sorted, ``<>&`` escaped.

    Args:
        value: sets become arrays; keys that are no strings become their JSON text.
        html: whether ``<``, ``>`` and ``&`` are escaped.
        prefix: what each line but the first begins with, if there is an indent.
        indent: for ``json.MarshalIndent``, what each level adds to a line; None: all in one line.

    Raises:
        Halt: the text is longer than any that may be built.
    """
    _check_length(value)
    parts: list[str] = []
    _write(value, parts.append, html, prefix, indent, 0)
    return "".join(parts)


def _write(
    value: Any, put: Callable[[str], None], html: bool, prefix: str, indent: str | None, depth: int
) -> None:
    kind = value.__class__
    if kind is str:
        put(json_string(value, html=html))
    elif value is None:
        put("null")
    elif kind is bool:
        put("true" if value else "false")
    elif kind in _COLLECTIONS:
        opening, closing = ("{", "}") if kind is dict or kind is RegoObject else ("[", "]")
        if not len(value):
            put(opening + closing)
            return
        between = "" if indent is None else f"\n{prefix}{indent * (depth + 1)}"
        colon = ":" if indent is None else ": "
        put(opening)
        first = True
        for item in _items(value):
            put(between if first else "," + between)
            first = False
            if opening == "{":
                put(json_string(item[0], html=html) + colon)
                item = item[1]
            _write(item, put, html, prefix, indent, depth + 1)
        put(closing if indent is None else f"\n{prefix}{indent * depth}{closing}")
    else:
        put(text_of(value))


def _items(value: Any) -> Any:
    """Return what an array or set holds, or the entries of an object, their keys as text, in order."""
    kind = value.__class__
    if kind is list:
        return value
    if kind is RegoSet:
        return members_in_order(value)
    return sorted(((key_text(k), v) for k, v in entries(value)), key=_first)


def _first(pair: tuple[str, Any]) -> str:
    return pair[0]


def key_text(key: Any) -> str:
    """Return the key of an object as JSON needs it: a string as it is, else its JSON text."""
    return key if key.__class__ is str else json_text(key)


_COLLECTIONS: Final = frozenset((list, dict, RegoSet, RegoObject))

"""A review's body decoded, its numbers as Kubernetes reads them."""

from __future__ import annotations

import re
from typing import Any, Final

import orjson

from webhook.core.errors import ReviewError

_LARGEST: Final = 2**63 - 1
_DIGITS: Final = bytes(48 if 48 <= code < 58 else 32 for code in range(256))
_LONG: Final = b"0" * 19  # no integer with fewer digits is too large
_ESCAPED_QUOTE: Final = re.compile(rb"(?<!\\)(?:\\\\)*+\\u0022")
_STRING_OR_BRACE: Final = re.compile(rb'"(?:[^"\\]++|\\.)*+"(\s*+:)?|[{}]', re.DOTALL)


def decode(body: bytes) -> Any:
    """Return what a JSON text holds.

    An integer that 64 bits hold only without a sign is a double to Kubernetes, as larger ones are to both.

    Raises:
        orjson.JSONDecodeError: it is no JSON.
        ReviewError: an object has a key twice, so that two readers may see two different objects.
    """
    value = orjson.loads(body)
    again = _written(value, orjson.OPT_STRICT_INTEGER)
    # Written again, each key is there once, and here no integer is long: what reads the same is sound. An API
    # server writes as we do, with a line's end, unless a text has characters of HTML.
    if again is not None and (body == again or body[:-1] == again):
        return value
    if _may_have_duplicate_keys(body, again or _written(value)):
        _refuse_duplicate_keys(body)
    if again is None and _LONG in body.translate(_DIGITS):
        value = [value]
        _round(value)
        return value[0]
    return value


def _written(value: Any, option: int = 0) -> bytes | None:
    """Return a value as text; None where an integer is long, or it is nested deeper than can be written."""
    try:
        return orjson.dumps(value, option=option)
    except orjson.JSONEncodeError:
        return None


def _round(value: Any) -> None:
    waiting = [value]
    while waiting:
        container = waiting.pop()
        for key, item in container.items() if container.__class__ is dict else enumerate(container):
            if item.__class__ is int:
                if item > _LARGEST:
                    container[key] = float(item)
            elif item.__class__ is dict or item.__class__ is list:
                waiting.append(item)


def _may_have_duplicate_keys(body: bytes, again: bytes | None) -> bool:
    """Say whether a close look is due: it is slow, so nothing that an API server sends may cause one.

    Args:
        body: the text.
        again: its value, written again; None where it is nested deeper than is written: only objects are that
            somebody wrote so.
    """
    if again is None:
        return False
    # Each key is there once in it; so the quotes differ in number if one was there twice.
    if body.count(b'"') != again.count(b'"'):
        return True
    # An escaped quote isn't counted in the body; an API server escapes quotes with a backslash alone.
    return b"\\u0022" in body and _ESCAPED_QUOTE.search(body) is not None


def _refuse_duplicate_keys(body: bytes) -> None:
    objects: list[set[str]] = []
    for token in _STRING_OR_BRACE.finditer(body):
        text = token[0]
        if text == b"{":
            objects.append(set())
        elif text == b"}":
            objects.pop()
        elif token[1]:
            key = orjson.loads(text[: -len(token[1])])
            if key in objects[-1]:
                raise ReviewError(f"the key {key[:100]!r} is given twice in one object")
            objects[-1].add(key)

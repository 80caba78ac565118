"""The string methods of CEL and of its strings library (version 2)."""

from __future__ import annotations

from typing import Any, Final

from webhook.cel.comparison import same
from webhook.cel.library.function import (
    MAX_LIST,
    Library,
    check_list,
    check_string,
    deep_cost,
    no_overload,
    size_cost,
)
from webhook.core.errors import EvaluationError

LIBRARY = Library()
_LOWER: Final = {upper: upper + 32 for upper in range(65, 91)}
_UPPER: Final = {upper + 32: upper for upper in range(65, 91)}
_SPACE: Final = (
    "\t\n\v\f\r \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
    "\u2028\u2029\u202f\u205f\u3000"
)  # what Unicode calls white space, which is less than what Python strips
_QUOTED: Final = {
    7: "\\a", 8: "\\b", 9: "\\t", 10: "\\n", 11: "\\v", 12: "\\f", 13: "\\r", 34: '\\"', 92: "\\\\",
}  # fmt: skip


def _strings(name: str, *values: Any) -> None:
    for value in values:
        if value.__class__ is not str:
            raise no_overload(name)


def _ints(name: str, *values: Any) -> None:
    for value in values:
        if value.__class__ is not int:
            raise no_overload(name)


def _out_of_range(index: int) -> EvaluationError:
    return EvaluationError(f"index out of range: {index}")


@LIBRARY.method("startsWith", "bool", (1,))
def starts_with(text: Any, prefix: Any) -> bool:
    """Tell whether the text starts with `prefix`."""
    _strings("startsWith", text, prefix)
    return text.startswith(prefix)  # type: ignore[no-any-return]


@LIBRARY.method("endsWith", "bool", (1,))
def ends_with(text: Any, suffix: Any) -> bool:
    """Tell whether the text ends with `suffix`."""
    _strings("endsWith", text, suffix)
    return text.endswith(suffix)  # type: ignore[no-any-return]


@LIBRARY.method("contains", "bool", (1,), costly=size_cost)
def contains(text: Any, part: Any) -> bool:
    """Tell whether `part` is in the text."""
    _strings("contains", text, part)
    return part in text


@LIBRARY.method("charAt", "string", (1,))
def char_at(text: Any, index: Any) -> str:
    """Return the character at `index`; the empty string just behind the last."""
    _strings("charAt", text)
    _ints("charAt", index)
    if not 0 <= index <= len(text):
        raise _out_of_range(index)
    return text[index : index + 1]  # type: ignore[no-any-return]


@LIBRARY.method("indexOf", "int", (1, 2), costly=deep_cost)
def index_of(where: Any, what: Any, start: Any = 0) -> int:
    """Return where `what` first is in a string (from `start` on) or a list; -1 if nowhere."""
    if where.__class__ is list and start.__class__ is int and start == 0:
        return next((index for index, item in enumerate(where) if same(item, what)), -1)
    _strings("indexOf", where, what)
    _ints("indexOf", start)
    if start < 0:
        raise _out_of_range(start)
    if what == "":
        return min(start, len(where))  # type: ignore[no-any-return]
    return where.find(what, start)  # type: ignore[no-any-return]


@LIBRARY.method("lastIndexOf", "int", (1, 2), costly=deep_cost)
def last_index_of(where: Any, what: Any, start: Any = None) -> int:
    """Return where `what` last is in a string (at `start` or before) or a list; -1 if nowhere."""
    if where.__class__ is list and start is None:
        return next((index for index in range(len(where) - 1, -1, -1) if same(where[index], what)), -1)
    _strings("lastIndexOf", where, what)
    if start is None:
        return _last(where, what)
    _ints("lastIndexOf", start)
    if start < 0:
        raise _out_of_range(start)
    if what == "":
        return min(start, len(where))  # type: ignore[no-any-return]
    return -1 if start >= len(where) else _last(where[: start + len(what)], what)


def _last(where: str, what: str) -> int:
    """Return where `what` last is; Python's own search from the end isn't linear, that from the start is."""
    if what == "":
        return len(where)
    found = where[::-1].find(what[::-1])
    return -1 if found < 0 else len(where) - found - len(what)


@LIBRARY.method("join", "string", (0, 1), costly=size_cost)
def join(parts: Any, separator: Any = "") -> str:
    """Return a list of strings as one, with `separator` between them."""
    if parts.__class__ is not list:
        raise no_overload("join")
    _strings("join", separator, *parts)
    check_string(sum(map(len, parts)) + len(separator) * len(parts))
    return separator.join(parts)  # type: ignore[no-any-return]


@LIBRARY.method("lowerAscii", "string", costly=size_cost)
def lower_ascii(text: Any) -> str:
    """Return the text with the letters A to Z in lower case."""
    _strings("lowerAscii", text)
    return text.lower() if text.isascii() else text.translate(_LOWER)  # type: ignore[no-any-return]


@LIBRARY.method("upperAscii", "string", costly=size_cost)
def upper_ascii(text: Any) -> str:
    """Return the text with the letters a to z in upper case."""
    _strings("upperAscii", text)
    return text.upper() if text.isascii() else text.translate(_UPPER)  # type: ignore[no-any-return]


@LIBRARY.method("replace", "string", (2, 3), costly=size_cost)
def replace(text: Any, old: Any, new: Any, count: Any = -1) -> str:
    """Return the text with `old` replaced by `new`, at most `count` times unless that is negative."""
    _strings("replace", text, old, new)
    _ints("replace", count)
    if len(new) > len(old):
        times = text.count(old) if count < 0 else min(count, text.count(old))
        check_string(len(text) + times * (len(new) - len(old)))
    return text.replace(old, new, max(-1, min(count, MAX_LIST * 16)))  # type: ignore[no-any-return]


@LIBRARY.method("split", "list", (1, 2), costly=size_cost)
def split(text: Any, separator: Any, limit: Any = -1) -> list[str]:
    """Return the text's parts between separators, at most `limit` of them unless that is negative."""
    _strings("split", text, separator)
    _ints("split", limit)
    if limit == 0:
        return []
    if separator == "":
        if limit < 0 or limit >= len(text):
            check_list(len(text))
            return list(text)
        check_list(limit)
        return [*text[: limit - 1], text[limit - 1 :]]
    if len(text) >= MAX_LIST:
        check_list(text.count(separator) + 1 if limit < 0 else min(limit, text.count(separator) + 1))
    return text.split(separator, -1 if limit < 0 else min(limit - 1, MAX_LIST))  # type: ignore[no-any-return]


@LIBRARY.method("substring", "string", (1, 2), costly=size_cost)
def substring(text: Any, start: Any, end: Any = None) -> str:
    """Return the text from `start` to before `end`."""
    _strings("substring", text)
    _ints("substring", start)
    if end is not None:
        _ints("substring", end)
        if start > end:
            raise EvaluationError(f"invalid substring range. start: {start}, end: {end}")
    for index in (start, end):
        if index is not None and not 0 <= index <= len(text):
            raise _out_of_range(index)
    return text[start:end]  # type: ignore[no-any-return]


@LIBRARY.method("trim", "string", costly=size_cost)
def trim(text: Any) -> str:
    """Return the text without white space at its ends."""
    _strings("trim", text)
    return text.strip(_SPACE)  # type: ignore[no-any-return]


@LIBRARY.function("strings.quote", "string", costly=size_cost)
def quote(text: Any) -> str:
    """Return the text in double quotes, as CEL itself would read it."""
    _strings("strings.quote", text)
    check_string(2 * len(text) + 2)
    return f'"{text.translate(_QUOTED)}"'

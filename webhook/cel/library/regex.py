"""Regular expressions: RE2, and Python's own engine for patterns that it matches the same, in linear time."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any, Final, Protocol, cast

from webhook.cel.library.function import Library, check_list, no_overload, size_cost
from webhook.core.errors import EvaluationError

LIBRARY = Library()
_MAX_PATTERN: Final = 16_384
_LITERAL: Final = frozenset(
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789 /:_@=,;!#%&<>~'\"`-"
)
_IN_CLASS: Final = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789 /:_@=,;.-")
_ESCAPED: Final = frozenset("./-:_@^$*+?()[]{}|\\")


class Match(Protocol):
    """What a match gives, in either engine."""

    def group(self, index: int = 0, /) -> str:
        """Return the text that matched."""

    def start(self) -> int:
        """Return where it starts."""

    def end(self) -> int:
        """Return where it ends."""


class Pattern(Protocol):
    """A compiled pattern, in either engine."""

    def search(self, text: str, /) -> Match | None:
        """Return the first match anywhere in the text."""

    def finditer(self, text: str, /) -> Iterator[Match]:
        """Return the matches one after the other."""


def is_linear(pattern: str) -> bool:
    """Tell whether Python's engine matches the pattern as RE2 does, and backtracks no further than a step.

    Only patterns of this form are taken: ``^`` first and ``$`` last, or either, or neither, and
    between them literal characters and classes of ASCII characters of which each may be repeated, where what
    is repeated shares no character with what follows up to the next thing that must be there. Without ``^``
    nothing may be repeated without bound, since a search would begin anew at each place.
    """
    return _items(pattern) is not None


def _items(pattern: str) -> list[tuple[frozenset[str], int, int]] | None:
    """Return the items as (characters, least, most), most being -1 without bound; None if not linear."""
    if not pattern.isascii():
        return None
    body = pattern[1:] if pattern.startswith("^") else pattern
    body = body[:-1] if body.endswith("$") and not body.endswith("\\$") else body
    items: list[tuple[frozenset[str], int, int]] = []
    at = 0
    while at < len(body):
        read = _class(body, at)
        if read is None:
            return None
        chars, at = read
        least, most = 1, 1
        if at < len(body) and body[at] in "*+?":
            least, most = {"*": (0, -1), "+": (1, -1), "?": (0, 1)}[body[at]]
            at += 1
            if at < len(body) and body[at] in "*+?{":
                return None
        items.append((chars, least, most))
    for index, (chars, least, most) in enumerate(items):
        if (least, most) == (1, 1):
            continue
        if most == -1 and not pattern.startswith("^"):
            return None
        for other, needed, _ in items[index + 1 :]:
            if chars & other:
                return None
            if needed:
                break
    return items


def _class(body: str, at: int) -> tuple[frozenset[str], int] | None:
    """Return the characters that a literal or class takes, and where it ends; None if it is neither."""
    char = body[at]
    if char in _LITERAL:
        return frozenset(char), at + 1
    if char == "\\":
        follows = body[at + 1 : at + 2]
        if follows == "d":
            return frozenset("0123456789"), at + 2
        return (frozenset(follows), at + 2) if follows in _ESCAPED and follows else None
    if char != "[":
        return None
    end = body.find("]", at)
    inside = body[at + 1 : end]
    if end < 0 or not inside or "--" in inside or not set(inside) <= _IN_CLASS:
        return None
    chars: set[str] = set()
    place = 0
    while place < len(inside):
        first = inside[place]
        if place + 2 < len(inside) and inside[place + 1] == "-":
            last = inside[place + 2]
            if not ((first.isdigit() and last.isdigit()) or (first.islower() and last.islower())
                    or (first.isupper() and last.isupper())) or first > last:  # fmt: skip
                return None
            chars |= {chr(code) for code in range(ord(first), ord(last) + 1)}
            place += 3
        elif first == "-" and 0 < place < len(inside) - 1:
            return None  # a dash in the middle: let RE2 say what it means
        else:
            chars.add(first)
            place += 1
    return frozenset(chars), end + 1


def _re2() -> Any:
    import re2  # imported late: many policies have no pattern that needs it

    return re2


@lru_cache(1)
def _re2_options() -> Any:
    options = _re2().Options()
    options.log_errors = False
    options.max_mem = 8 << 20
    return options


@lru_cache(512)
def _compile(pattern: str) -> Pattern | str:
    """Return the compiled pattern, or why it is none."""
    if is_linear(pattern):
        ends = pattern.endswith("$") and not pattern.endswith("\\$")
        # Python's own $ also matches before a newline at the end.
        return cast("Pattern", re.compile(pattern[:-1] + r"\Z" if ends else pattern, re.ASCII))
    try:
        return _re2().compile(pattern, _re2_options())  # type: ignore[no-any-return]
    except _re2().error as error:
        return str(error.args[0].decode() if isinstance(error.args[0], bytes) else error.args[0])


def compile_pattern(pattern: str) -> Pattern:
    """Return a pattern ready to be searched with, as `matches` does.

    Raises:
        EvaluationError: it is no pattern, or one too long or too large.
    """
    if len(pattern) > _MAX_PATTERN:
        raise EvaluationError(f"a regular expression of {len(pattern)} characters is over {_MAX_PATTERN}")
    found = _compile(pattern)
    if found.__class__ is str:
        raise EvaluationError(f"error parsing regexp: {found}: `{pattern[:200]}`")
    return found  # type: ignore[return-value]


def searcher(pattern: str) -> Callable[[str], object]:
    """Return a function that gives a match or None for a text: `matches` with its pattern at hand."""
    return compile_pattern(pattern).search


def _cost(text: Any, pattern: Any, *_: Any) -> int:
    if text.__class__ is not str or pattern.__class__ is not str:
        return 0
    return size_cost(text) * (1 + (len(pattern) >> 4)) + (len(pattern) >> 2)


def _texts(name: str, text: Any, pattern: Any) -> None:
    if text.__class__ is not str or pattern.__class__ is not str:
        raise no_overload(name)


@LIBRARY.method("matches", "bool", (1,), costly=_cost)
@LIBRARY.function("matches", "bool", (2,), costly=_cost)
def matches(text: Any, pattern: Any) -> bool:
    """Tell whether the pattern is found anywhere in the text."""
    _texts("matches", text, pattern)
    return compile_pattern(pattern).search(text) is not None


@LIBRARY.method("find", "string", (1,), costly=_cost)
def find(text: Any, pattern: Any) -> str:
    """Return what the pattern first matches; the empty string if nothing."""
    _texts("find", text, pattern)
    found = compile_pattern(pattern).search(text)
    return "" if found is None else found.group()


@LIBRARY.method("findAll", "list", (1, 2), costly=_cost)
def find_all(text: Any, pattern: Any, limit: Any = -1) -> list[str]:
    """Return everything that the pattern matches, at most `limit` of them unless that is negative."""
    _texts("findAll", text, pattern)
    if limit.__class__ is not int:
        raise no_overload("findAll")
    result: list[str] = []
    if limit == 0:
        return result
    behind = -1
    for found in compile_pattern(pattern).finditer(text):
        if found.start() == found.end() == behind:
            continue  # Go takes no empty match right behind another
        behind = found.end()
        result.append(found.group())
        if len(result) == limit:
            break
        check_list(len(result))
    return result

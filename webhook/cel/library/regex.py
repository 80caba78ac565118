"""Regular expressions: RE2, and Python's own engine for patterns that it matches the same, in linear time."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any, Final, NamedTuple, Protocol

from webhook.cel.library.function import Library, check_list, no_overload
from webhook.core.errors import EvaluationError

LIBRARY = Library()
_MAX_PATTERN: Final = 16_384
_TOO_LARGE: Final = "too large"  # what RE2 says of such patterns, after trying for long
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


class Pattern(NamedTuple):
    """A compiled pattern, of either engine.

    Attributes:
        search: gives the first match anywhere in a text.
        finditer: gives the matches one after the other.
        size: how many states a character may lead to at once: what reading one costs at most.
    """

    search: Callable[[str], Match | None]
    finditer: Callable[[str], Iterator[Match]]
    size: int


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


def _with_re2(pattern: str, memory: int) -> Pattern | str:
    """Return the pattern compiled by RE2 with so much memory for what it keeps, or why it is none."""
    options = _re2().Options()
    options.log_errors = False
    options.max_mem = memory
    options.never_capture = True  # groups aren't asked for, and take the slowest of its ways
    try:
        found = _re2().compile(pattern, options)
    except _re2().error as error:
        return str(error.args[0].decode() if isinstance(error.args[0], bytes) else error.args[0])
    finally:
        _re2().purge()  # which would keep many more than the caches here
    return Pattern(found.search, found.finditer, found.programsize)


@lru_cache(128)
def _compile(pattern: str) -> Pattern | str:
    """Return the compiled pattern, or why it is none."""
    if is_linear(pattern):
        ends = pattern.endswith("$") and not pattern.endswith("\\$")
        # Python's own $ also matches before a newline at the end.
        found: Any = re.compile(pattern[:-1] + r"\Z" if ends else pattern, re.ASCII)
        return Pattern(found.search, found.finditer, 1 + len(pattern))
    return _with_re2(pattern, 1 << 20)


@lru_cache(8)
def _compile_large(pattern: str) -> Pattern | str:
    """Return a pattern that takes more memory than `_compile` gives."""
    return _with_re2(pattern, 8 << 20)


def compile_pattern(pattern: str) -> Pattern:
    """Return a pattern ready to be searched with, as `matches` does.

    Raises:
        EvaluationError: it is no pattern, or one too long or too large.
    """
    if len(pattern) > _MAX_PATTERN:
        raise EvaluationError(f"a regular expression of {len(pattern)} characters is over {_MAX_PATTERN}")
    found = _compile(pattern)
    if isinstance(found, str) and _TOO_LARGE in found:
        found = _compile_large(pattern)
    if isinstance(found, str):
        raise EvaluationError(f"error parsing regexp: {found}: `{pattern[:200]}`")
    return found


def _cost(text: Any, pattern: Any, *_: Any) -> int:
    """Return the steps of making a pattern, and of reading the text while following all its states."""
    if text.__class__ is not str or pattern.__class__ is not str:
        return 0
    try:
        size = compile_pattern(pattern).size
    except EvaluationError as error:
        return 100_000 if _TOO_LARGE in str(error) else 1_000
    return size + (len(text) * size >> 8)


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


@LIBRARY.method("findAll", "list", (1, 2), costly=_cost, pure=False, metered=True)
def find_all(charge: Callable[[int], None], text: Any, pattern: Any, limit: Any = -1) -> list[str]:
    """Return everything that the pattern matches, at most `limit` of them unless that is negative.

    Each search may have read to the end of the text before it knew that a match ends early.
    """
    _texts("findAll", text, pattern)
    if limit.__class__ is not int:
        raise no_overload("findAll")
    result: list[str] = []
    if limit == 0:
        return result
    behind = -1
    compiled = compile_pattern(pattern)
    for found in compiled.finditer(text):
        charge(4 + ((len(text) - found.start()) * (8 + compiled.size) >> 12))
        if found.start() == found.end() == behind:
            continue  # Go takes no empty match right behind another
        behind = found.end()
        result.append(found.group())
        if len(result) == limit:
            break
        check_list(len(result))
    return result

"""Regular expressions: RE2, and Python's own engine for patterns that it matches the same, in linear time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any, Final, NamedTuple, Protocol

from webhook.cel.library.function import Library, check_list, no_overload
from webhook.core.errors import EvaluationError
from webhook.core.patterns import go_error, linear_pattern

LIBRARY = Library()
_MAX_PATTERN: Final = 16_384
_TOO_LARGE: Final = "too large"  # what RE2 says of such patterns, after trying for long


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
    found: Any = linear_pattern(pattern)
    if found is not None:
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
        raise EvaluationError(go_error(found, pattern))
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

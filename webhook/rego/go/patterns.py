"""Regular expressions as Go has them: RE2's, in linear time, and Python's own where that means the same."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any, Final, NamedTuple

from webhook.core.patterns import go_error, linear_pattern, without_groups
from webhook.rego.context import BuiltinError, Context, Halt, check_items
from webhook.rego.go.pattern_syntax import check_depth, in_re2
from webhook.rego.raw_text import printable

_MAX_PATTERN: Final = 16_384
_TOO_LARGE: Final = "too large"  # what RE2 says of such patterns, after trying for long


class Pattern(NamedTuple):
    """A compiled pattern, of either engine.

    Attributes:
        search: gives the first match anywhere in a text.
        finditer: gives the matches one after the other.
        groups: how many groups it captures.
        names: the numbers of groups that have names.
        size: how many states a character may lead to at once: what reading one costs at most.
    """

    search: Callable[[str], Any]
    finditer: Callable[[str], Iterator[Any]]
    groups: int
    names: dict[str, int]
    size: int


def _re2() -> Any:
    import re2  # imported late: many policies have no pattern that needs it

    return re2


def _with_re2(pattern: str, memory: int, capture: bool) -> Pattern | str:
    """Return the pattern compiled by RE2 with so much memory for what it keeps, or why it is none."""
    options = _re2().Options()
    options.log_errors = False
    options.max_mem = memory
    options.never_capture = not capture
    try:
        found = _re2().compile(pattern, options)
    except _re2().error as error:
        return str(error.args[0].decode() if isinstance(error.args[0], bytes) else error.args[0])
    except UnicodeEncodeError:
        return "invalid UTF-8"
    finally:
        _re2().purge()  # which would keep many more than the caches here
    return Pattern(
        found.search,
        found.finditer,
        found.groups if capture else 0,
        dict(found.groupindex),
        found.programsize,
    )


@lru_cache(512)
def _compile(pattern: str, capture: bool) -> Pattern | str:
    """Return the compiled pattern, or why it is none."""
    check_depth(pattern)
    found = linear_pattern(pattern if capture else without_groups(pattern))
    if found is not None:
        return Pattern(found.search, found.finditer, 0, {}, 1 + len(pattern))
    return _with_re2(in_re2(pattern), 1 << 20, capture)


@lru_cache(8)
def _compile_large(pattern: str, capture: bool) -> Pattern | str:
    """Return a pattern that takes more memory than `_compile` gives."""
    return _with_re2(in_re2(pattern), 8 << 20, capture)


def compile_pattern(context: Context, pattern: str, *, capture: bool = False) -> Pattern:
    """Return a pattern ready to be searched with.

    Args:
        context: pays for it.
        pattern: in Go's syntax.
        capture: whether groups are asked for, which takes the slowest way.

    Raises:
        BuiltinError: it is no pattern.
        Halt: it is longer or larger than any policy needs.
    """
    if len(pattern) > _MAX_PATTERN:
        raise Halt(f"a regular expression of {len(pattern)} characters is over the limit of {_MAX_PATTERN}")
    found = _compile(pattern, capture)
    if isinstance(found, str) and _TOO_LARGE in found:
        context.spend(10_000)
        found = _compile_large(pattern, capture)
    if isinstance(found, str):
        context.spend(100_000 if _TOO_LARGE in found else 100)
        if _TOO_LARGE in found:
            raise Halt(f"a regular expression is too large: {pattern[:200]}")
        raise BuiltinError(go_error(found, pattern))
    context.spend(1 + (found.size >> 3))
    return found


def matches(context: Context, pattern: Pattern, text: str, limit: int = -1) -> Iterator[Any]:
    """Yield the matches as Go finds them: no empty one right behind another; at most `limit` unless negative.

    Each search may have read to the end of the text before it knew that a match ends early.
    """
    behind, count, size = -1, 0, len(text)
    if limit == 0:
        return
    text = printable(text)
    for found in pattern.finditer(text):
        start, end = found.start(), found.end()
        context.spend(2 + ((size - start) * (8 + pattern.size) >> 12))
        if start == end == behind:
            continue
        behind = end
        count += 1
        check_items(count)
        yield found
        if count == limit:
            return

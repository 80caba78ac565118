"""Functions of regular expressions."""

from __future__ import annotations

import re
from typing import Any, Final

from webhook.rego.builtins.declaration import builtin
from webhook.rego.builtins.operands import check_texts, small_integer
from webhook.rego.context import BuiltinError, Context, check_string
from webhook.rego.go.patterns import Pattern, compile_pattern, matches
from webhook.rego.raw_text import printable
from webhook.rego.types import BOOLEAN, NUMBER, STRING, Array
from webhook.rego.value_text import quote

_STRINGS: Final = Array(STRING)
_VARIABLE: Final = re.compile(r"\$(?:\$|\{(\w+)\}|(\w+))?", re.ASCII)
_META: Final = frozenset("\\.+*?()|[]{}^$")


_KNOWN: dict[tuple[str, str], bool] = {}
_MOST_KNOWN: Final = 8192
_KNOWN_TEXT: Final = 256  # so that all of them take some megabytes at most


def _match(context: Context, pattern: Any, text: Any) -> bool:
    if pattern.__class__ is not str or text.__class__ is not str:
        check_texts(pattern, text)
    known = _KNOWN.get((pattern, text))
    if known is not None:  # the same quantities, labels and images come again and again
        context.spend(1)
        return known
    compiled = compile_pattern(context, pattern)
    if len(text) > 256:
        context.spend(len(text) * compiled.size >> 10)
    found = compiled.search(printable(text)) is not None
    if len(text) <= _KNOWN_TEXT and len(pattern) <= _KNOWN_TEXT:
        if len(_KNOWN) >= _MOST_KNOWN:
            _KNOWN.clear()
        _KNOWN[pattern, text] = found
    return found


@builtin("regex.match", (STRING, STRING), BOOLEAN, needs_context=True)
def match(context: Context, pattern: Any, text: Any) -> bool:
    """Tell whether the pattern is found anywhere in the text."""
    return _match(context, pattern, text)


@builtin("re_match", (STRING, STRING), BOOLEAN, needs_context=True, deprecated=True)
def re_match(context: Context, pattern: Any, text: Any) -> bool:
    """Tell whether the pattern is found anywhere in the text."""
    return _match(context, pattern, text)


@builtin("regex.is_valid", (STRING,), BOOLEAN, needs_context=True)
def is_valid(context: Context, pattern: Any) -> bool:
    """Tell whether it is a pattern."""
    if pattern.__class__ is not str:
        return False
    try:
        compile_pattern(context, pattern)
    except BuiltinError:
        return False
    return True


@builtin("regex.find_n", (STRING, STRING, NUMBER), _STRINGS, needs_context=True)
def find_n(context: Context, pattern: Any, text: Any, number: Any) -> list[str]:
    """Return what the pattern matches, at most `number` of them unless it is negative."""
    check_texts(pattern, text)
    limit = small_integer(number, 3)
    return [found.group() for found in matches(context, compile_pattern(context, pattern), text, limit)]


@builtin("regex.find_all_string_submatch_n", (STRING, STRING, NUMBER), Array(_STRINGS), needs_context=True)
def find_all_string_submatch_n(context: Context, pattern: Any, text: Any, number: Any) -> list[list[str]]:
    """Return the matches of the pattern with their groups, at most `number` unless that is negative."""
    check_texts(pattern, text)
    limit = small_integer(number, 3)
    compiled = compile_pattern(context, pattern, capture=True)
    result = []
    for found in matches(context, compiled, text, limit):
        context.spend(1 + (compiled.groups >> 2))
        result.append([found.group(), *[group or "" for group in found.groups()]])
    return result


@builtin("regex.split", (STRING, STRING), _STRINGS, needs_context=True)
def split(context: Context, pattern: Any, text: Any) -> list[str]:
    """Return the parts between what the pattern matches."""
    check_texts(pattern, text)
    compiled = compile_pattern(context, pattern)
    if pattern and not text:
        return [""]
    parts: list[str] = []
    begin = end = 0
    for found in matches(context, compiled, text):
        end = found.start()
        if found.end():
            parts.append(text[begin:end])
        begin = found.end()
    if end != len(text):
        parts.append(text[begin:])
    return parts


@builtin("regex.replace", (STRING, STRING, STRING), STRING, needs_context=True)
def replace(context: Context, text: Any, pattern: Any, value: Any) -> str:
    """Return the text with what the pattern matches replaced; ``$1`` and ``${name}`` are its groups."""
    check_texts(text, pattern, value)
    references = "$" in value
    compiled = compile_pattern(context, pattern, capture=references)
    parts: list[str] = []
    size = at = 0
    for found in matches(context, compiled, text):
        new = _expanded(compiled, value, found) if references else value
        parts += (text[at : found.start()], new)
        size += found.start() - at + len(new)
        check_string(size)
        at = found.end()
    if not parts:
        return text  # type: ignore[no-any-return]
    check_string(size + len(text) - at)
    return "".join(parts) + text[at:]  # type: ignore[no-any-return]


def _expanded(compiled: Pattern, template: str, found: Any) -> str:
    """Return the replacement with its references resolved, as Go's ``Regexp.Expand`` does."""

    def resolve(reference: re.Match[str]) -> str:
        if reference.group() == "$":
            return "$"
        name = reference[1] or reference[2]
        if name is None:
            return "$"
        number = _number(name)
        if number is None:
            number = compiled.names.get(name, -1)
        return (found.group(number) or "") if 0 <= number <= compiled.groups else ""

    return _VARIABLE.sub(resolve, template)


def _number(name: str) -> int | None:
    """Return a group's number; None if it is a name."""
    if not name.isdigit() or (len(name) > 1 and name[0] == "0"):
        return None
    return int(name) if len(name) < 9 else 1 << 30


@builtin("regex.template_match", (STRING, STRING, STRING, STRING), BOOLEAN, needs_context=True)
def template_match(context: Context, template: Any, text: Any, start: Any, end: Any) -> bool:
    """Tell whether the text is the template, with patterns between delimiters in it."""
    check_texts(template, text, start, end)
    if len(start.encode("utf-8", "replace")) != 1:
        length = len(start.encode("utf-8", "replace"))
        raise BuiltinError(f"start delimiter has to be exactly one character long but is {length} long")
    if len(end.encode("utf-8", "replace")) != 1:
        raise BuiltinError("end delimiter has to be exactly one character long but is 1 long")
    pattern, at = ["^"], 0
    for first, last in _delimited(template, start, end):
        part = template[first + 1 : last - 1]
        pattern.append(f"{quote_meta(template[at:first])}({part})")
        compile_pattern(context, f"^{part}$")
        at = last
    pattern.append(quote_meta(template[at:]) + "$")
    compiled = compile_pattern(context, "".join(pattern))
    context.spend(len(text) * compiled.size >> 10)
    return compiled.search(printable(text)) is not None


def _delimited(template: str, start: str, end: str) -> list[tuple[int, int]]:
    """Return where what is between outermost delimiters begins and ends, the delimiters with it."""
    places, level, first = [], 0, 0
    for index, char in enumerate(template):
        if char == start:
            level += 1
            if level == 1:
                first = index
        elif char == end:
            level -= 1
            if level == 0:
                places.append((first, index + 1))
            elif level < 0:
                break
    if level != 0:
        raise BuiltinError(f"unbalanced braces in {quote(template)}")
    return places


def quote_meta(text: str) -> str:
    """Return a pattern that matches just the text."""
    return "".join(f"\\{char}" if char in _META else char for char in text)


@builtin("regex.globs_match", (STRING, STRING), BOOLEAN, needs_context=True)
def globs_match(context: Context, first: Any, second: Any) -> bool:
    """Tell whether two patterns of characters, sets, ``.``, ``*`` and ``+`` match a text in common."""
    from webhook.rego.go.glob_intersection import intersects

    check_texts(first, second)
    context.spend(2 + len(first) + len(second))
    return intersects(context, first, second)

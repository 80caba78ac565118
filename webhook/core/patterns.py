"""Regular expressions of RE2 as text: made simpler, or found to mean the same to Python, in linear time."""

from __future__ import annotations

import re
from typing import Final

_LITERAL: Final = frozenset(
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789 /:_@=,;!#%&<>~'\"`-"
)
_IN_CLASS: Final = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789 /:_@=,;.-")
_ESCAPED: Final = frozenset("./-:_@^$*+?()[]{}|\\")
_GO_ERRORS: Final = {
    "missing ]": "missing closing ]",
    "missing )": "missing closing )",
    "no argument for repetition operator": "missing argument to repetition operator",
    "bad repetition operator": "invalid nested repetition operator",
    "invalid repetition size": "invalid repeat count",
    "invalid perl operator": "invalid or unsupported Perl syntax",
    "invalid named capture group": "invalid named capture",
    "trailing \\": "trailing backslash at end of expression",
}


def go_error(problem: str, pattern: str) -> str:
    """Return RE2's complaint of a pattern in the words of Go's ``regexp``."""
    for theirs, ours in _GO_ERRORS.items():
        if problem == theirs or problem.startswith(theirs + ": "):
            part = problem[len(theirs) + 2 :]
            if ours.startswith("trailing"):
                part = ""
            return f"error parsing regexp: {ours}: `{part}`"
    head, colon, part = problem.partition(": ")
    return f"error parsing regexp: {head}: `{part if colon else pattern}`"


def without_groups(pattern: str) -> str:
    """Return a pattern that is found in the same texts, without groups that only capture.

    ``^([a-z]+)$`` is ``^[a-z]+$`` to one who asks only whether there is a match, and that one needs no RE2.
    """
    kept: list[str] = []
    opened: list[tuple[int, bool]] = []  # where in `kept` a group begins, and whether it must stay
    position, length = 0, len(pattern)
    if "\\Q" in pattern:
        return pattern
    while position < length:
        char = pattern[position]
        width = 2 if char == "\\" else 1
        if char == "[":
            end = pattern.find("]", position + 2)
            inside = pattern[position + 1 : end]
            if end < 0 or inside[0] == "^" or "[" in inside or "\\" in inside:
                return pattern  # a class that takes more to read: leave it all as it is
            width = end + 1 - position
        elif char == "(":
            opened.append((len(kept), pattern[position + 1 : position + 2] == "?"))
        elif char == "|" and opened:
            opened[-1] = (opened[-1][0], True)
        elif char == ")" and opened:
            start, stays = opened.pop()
            if not stays and pattern[position + 1 : position + 2] not in ("*", "+", "?", "{"):
                kept[start] = ""
                position += 1
                continue
        kept.append(pattern[position : position + width])
        position += width
    return "".join(kept)


def linear_pattern(pattern: str) -> re.Pattern[str] | None:
    """Return the pattern compiled by Python's own engine if that matches as RE2 does, else None."""
    if not is_linear(pattern):
        return None
    # Python's own $ also matches before a newline at the end.
    ends = pattern.endswith("$") and not pattern.endswith("\\$")
    return re.compile(pattern[:-1] + r"\Z" if ends else pattern, re.ASCII)


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

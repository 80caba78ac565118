"""Whether two patterns of characters, ``.``, sets, ``*`` and ``+`` match a text in common.

It decides as the library does that OPA uses (github.com/yashtewari/glob-intersection), which in rare cases
isn't what a comparison of all texts would give; but each pair of places is looked at once.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from webhook.rego.context import BuiltinError, Context, Halt

_MAX: Final = 1_000  # characters of a pattern
_INVALID: Final = "the input provided is invalid"


class _Token(NamedTuple):
    """A character, a set of them, or any (None), repeated (``*`` or ``+``) or not (empty)."""

    chars: frozenset[str] | None
    flag: str

    def meets(self, other: _Token) -> bool:
        """Tell whether both match a character in common; to the library ``.`` and a set always do."""
        return self.chars is None or other.chars is None or bool(self.chars & other.chars)


def _read(text: str) -> list[_Token]:
    """Return the tokens of a pattern, runs of the same repeated one being one."""

    def fail(at: int, problem: str) -> BuiltinError:
        return BuiltinError(f"input:{text}, pos:{at}, {problem}: {_INVALID}")

    def rune(at: int) -> tuple[int, str, bool]:
        if text[at] != "\\":
            return at + 1, text[at], False
        if at == len(text) - 1:
            raise fail(at, "input ends with a \\ (escape) character")
        return at + 2, text[at + 1], True

    def read_set(at: int) -> tuple[int, frozenset[str]]:
        chars: set[str] = set()
        before = ""
        while at < len(text):
            at, char, escaped = rune(at)
            if escaped or char not in "-]":
                chars.add(char)
                before = char
                continue
            if char == "]":
                return at, frozenset(chars)
            if not before:
                raise fail(at, "range character '-' must be preceded by a Unicode character")
            if at >= len(text) - 1:
                raise fail(at, "range character '-' must be followed by a Unicode character")
            at, char, escaped = rune(at)
            if not escaped and char in "-]":
                raise fail(at, "range character '-' cannot be followed by a special symbol")
            if char < before:
                raise fail(at, f"range is out of order: '{char}' comes before '{before}' in Unicode")
            chars.update(map(chr, range(ord(before), ord(char) + 1)))
            before = ""
        raise fail(at, "found [ without matching ]")

    tokens: list[_Token] = []
    at = 0
    while at < len(text):
        at, char, escaped = rune(at)
        chars: frozenset[str] | None = frozenset(char)
        if not escaped and char == ".":
            chars = None
        elif not escaped and char == "[":
            at, chars = read_set(at)
        elif not escaped and char == "]":
            raise fail(at, "set-close ']' with no preceding '['")
        elif not escaped and char in "+*":
            raise fail(at, f"flag '{char}' must be preceded by a non-flag")
        flag = text[at] if at < len(text) and text[at] in "+*" else ""
        at += len(flag)
        if flag and tokens and tokens[-1].flag and tokens[-1].chars == chars:
            tokens[-1] = _Token(chars, "+" if "+" in (flag, tokens[-1].flag) else "*")
        else:
            tokens.append(_Token(chars, flag))
    return tokens


def intersects(context: Context, first: str, second: str) -> bool:
    """Tell whether two patterns match a text in common.

    Raises:
        BuiltinError: one is no pattern.
        Halt: one is longer than any policy needs.
    """
    if max(len(first), len(second)) > _MAX:
        raise Halt(f"a pattern of more than {_MAX} characters is over the limit")
    left, right = _read(first), _read(second)
    trimmed = _trimmed(left, right)
    return trimmed is not None and _Search(context, *trimmed).normal(0, 0)


def _trimmed(a: list[_Token], b: list[_Token]) -> tuple[list[_Token], list[_Token]] | None:
    """Return both without what meets at their ends, but for one token each; None if that doesn't meet."""
    start = 0
    while start < min(len(a), len(b)) and not a[start].flag and not b[start].flag:
        if not a[start].meets(b[start]):
            return None
        start += 1
    start = max(0, start - 1)
    end, other = len(a) - 1, len(b) - 1
    while end >= start and other >= start and not a[end].flag and not b[other].flag:
        if not a[end].meets(b[other]):
            return None
        end, other = end - 1, other - 1
    if end < len(a) - 1:
        end, other = end + 1, other + 1
    return a[start : end + 1], b[start : other + 1]


class _Search:
    """Follows two patterns side by side; what is known of a pair of places is kept."""

    def __init__(self, context: Context, first: list[_Token], second: list[_Token]) -> None:
        self.context = context
        self.sides = (first, second)
        self.known: dict[tuple[int, int], bool] = {}
        self.depth = 0

    def normal(self, i: int, j: int) -> bool:
        """Tell whether the rests of both meet."""
        first, second = self.sides
        while i < len(first) and j < len(second):
            if first[i].flag or second[j].flag:
                return self.repeated(i, j)
            if not first[i].meets(second[j]):
                return False
            i, j = i + 1, j + 1
        return i == len(first) and j == len(second)

    def repeated(self, i: int, j: int) -> bool:
        """Tell it where one of the next tokens is repeated."""
        if (i, j) not in self.known:
            self.context.spend(4)
            self.depth += 1
            if self.depth > 200:
                raise Halt("patterns are repeated too often to be compared")
            side = 0 if self.sides[0][i].flag else 1
            at, other = (i, j) if side == 0 else (j, i)
            plus = self.sides[side][at].flag == "+"
            self.known[i, j] = self.plus(side, at, other) if plus else self.star(side, at, other)
            self.depth -= 1
        return self.known[i, j]

    def rest(self, side: int, at: int, other: int) -> bool:
        """Tell whether the rests meet, given from one side."""
        return self.normal(at, other) if side == 0 else self.normal(other, at)

    def plus(self, side: int, at: int, other: int) -> bool:
        """Tell it where the token must be there once at least."""
        mine, theirs = self.sides[side], self.sides[1 - side]
        if not mine[at].meets(theirs[other]):
            return False
        if self.star(side, at, other + 1):
            return True
        return bool(theirs[other].flag) and self.rest(side, at + 1, other)

    def star(self, side: int, at: int, other: int) -> bool:
        """Tell it where the token may be missing: it takes the other side's up to where the rests meet."""
        mine, theirs = self.sides[side], self.sides[1 - side]
        following = mine[at + 1] if at + 1 < len(mine) else None
        for place in range(other, len(theirs)):
            self.context.spend(1)
            if following is not None and theirs[place].meets(following) and self.rest(side, at + 1, place):
                return True
            if not theirs[place].meets(mine[at]):
                return False
        return following is None

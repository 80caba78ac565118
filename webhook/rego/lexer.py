"""The lexer: source to tokens, one at a time: which words are keywords depends on the imports read so far.

Tokens, their places and the words of errors are OPA's (``v1/ast/internal/scanner``).
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from webhook.rego.ast import Location

ILLEGAL: Final = "illegal"
EOF: Final = "eof"
WHITESPACE: Final = "whitespace"
IDENTIFIER: Final = "identifier"
COMMENT: Final = "comment"
NUMBER: Final = "number"
STRING: Final = "string"
PART: Final = "template-string-part"
END: Final = "template-string-end"
RAW_PART: Final = "raw-template-string-part"
RAW_END: Final = "raw-template-string-end"

#: Words that are always keywords.
KEYWORDS: Final = frozenset(
    ("package", "import", "as", "default", "else", "not", "some", "with", "null", "true", "false")
)
#: Words that v0 must import and v1 has.
IMPORTED_KEYWORDS: Final = frozenset(("in", "every", "contains", "if"))
#: Words that both must import.
FUTURE_KEYWORDS: Final = frozenset(("not",))

_PUNCTUATION: Final[Mapping[str, str]] = {
    "[": "[",
    "]": "]",
    "{": "{",
    "}": "}",
    "(": "(",
    ")": ")",
    ",": ",",
    ":": ":",
    ":=": "assign",
    "+": "plus",
    "-": "minus",
    "*": "mul",
    "/": "div",
    "%": "rem",
    "&": "and",
    "|": "or",
    "=": "eq",
    "==": "equal",
    "!=": "neq",
    "<": "lt",
    "<=": "lte",
    ">": "gt",
    ">=": "gte",
    ".": ".",
    ";": ";",
}
_DOUBLE: Final = frozenset((":=", "==", "!=", "<=", ">="))
_LETTERS: Final = re.compile(r"[A-Za-z_](?:[A-Za-z_]|\d)*")
_SPACE: Final = re.compile(r"[ \t\n\r]+")
_NUMBER: Final = re.compile(r"[0-9]*")
_COMMENT: Final = re.compile(r"#[^\n]*")
_MARK: Final = "\ufeff"
_MISPLACED: Final = {_MARK: "illegal byte-order mark", "\0": "illegal null character"}
_ANY_MISPLACED: Final = re.compile("[\0\ufeff]")
_PLAIN: Final = re.compile(r'[^"\\\n]*')
_PLAIN_TEMPLATE: Final = re.compile(r'[^"\\\n{]*')
_PLAIN_RAW_TEMPLATE: Final = re.compile(r"[^`\\{]*")


@dataclass(frozen=True, slots=True)
class Token:
    """A token: its kind, its text, and where it begins and ends; `errors` says what is wrong with it."""

    kind: str
    text: str
    start: int
    end: int
    errors: tuple[str, ...] = ()


class Lexer:
    """Reads tokens of a source at any position; what was read is kept."""

    def __init__(self, source: str, file: str = "") -> None:
        self.source = source
        self.file = file
        self._lines = [0, *(match.end() for match in re.finditer("\n", source))]
        self._known: dict[tuple[int, str], Token] = {}
        # A byte-order mark at the very beginning is no part of the text.
        self._first = 1 if source.startswith(_MARK) else 0
        found = (match.start() for match in _ANY_MISPLACED.finditer(source))
        self._misplaced = [at for at in found if at >= self._first]

    def location(self, offset: int) -> Location:
        """Where an offset is; the end of the source is its last character, as OPA has it."""
        row = bisect_right(self._lines, offset)
        column = offset - self._lines[row - 1] + 1
        if offset >= len(self.source):
            column -= 1
        elif self.source[offset] == "\n":
            return Location(row + 1, 0, self.file)
        return Location(row, column, self.file)

    def read(self, offset: int, mode: str = "") -> Token:
        """Return the token at `offset`; with a mode, the rest of a template string."""
        key = (offset, mode)
        token = self._known.get(key)
        if token is None:
            token = self._known[key] = self._checked(self._read(offset, mode))
        return token

    def _checked(self, token: Token) -> Token:
        """Return a token with what is wrong with its characters; it answers for the one after it, too.

        OPA's scanner is always one character ahead.
        """
        if not self._misplaced or token.start < self._first:
            return token
        first = token.start if token.start == self._first else token.start + 1
        errors = tuple(_MISPLACED[self.source[at]] for at in self._misplaced if first <= at <= token.end)
        return replace(token, errors=token.errors + errors) if errors else token

    def _read(self, start: int, mode: str) -> Token:
        source = self.source
        if mode == "template":
            return self._template(start, start)
        if mode == "raw":
            return self._raw_template(start, start)
        if start >= len(source):
            return Token(EOF, "", start, start)
        char = source[start]
        if start < self._first:
            return Token(WHITESPACE, "", start, self._first)
        if char in " \t\n\r":
            end = _SPACE.match(source, start).end()  # type: ignore[union-attr]
            return Token(WHITESPACE, source[start:end], start, end)
        if match := _LETTERS.match(source, start):
            return Token(IDENTIFIER, match.group(), start, match.end())
        if char in "0123456789":
            return self._number(start)
        if char == "#":
            end = _COMMENT.match(source, start).end()  # type: ignore[union-attr]
            return Token(COMMENT, source[start:end], start, end)
        if char == '"':
            return self._string(start)
        if char == "`":
            return self._raw_string(start)
        if char == "$":
            following = source[start + 1 : start + 2]
            if following == '"':
                return self._template(start, start + 2)
            if following == "`":
                return self._raw_template(start, start + 2)
            return Token(ILLEGAL, "", start, start + 1, ("illegal $ character",))
        return self._punctuation(start, char)

    def _punctuation(self, start: int, char: str) -> Token:
        double = self.source[start : start + 2]
        if double in _DOUBLE:
            return Token(_PUNCTUATION[double], "", start, start + 2)
        if (kind := _PUNCTUATION.get(char)) is not None:
            return Token(kind, "", start, start + 1)
        errors: tuple[str, ...] = ()
        if char == "!":
            errors = ("illegal ! character",)
        return Token(ILLEGAL, "", start, start + 1, errors)

    def _number(self, start: int) -> Token:
        source, errors = self.source, []
        end = _NUMBER.match(source, start).end()  # type: ignore[union-attr]
        if source[end : end + 1] == ".":
            digits = _NUMBER.match(source, end + 1).end()  # type: ignore[union-attr]
            if digits == end + 1:
                errors.append("expected fraction")
            end = digits
        if source[end : end + 1] in ("e", "E"):
            end += 1
            if source[end : end + 1] in ("+", "-"):
                end += 1
            digits = _NUMBER.match(source, end).end()  # type: ignore[union-attr]
            if digits == end:
                errors.append("expected exponent")
            end = digits
        if match := _LETTERS.match(source, end):
            errors.append("illegal number format")
            end = match.end()
        return Token(NUMBER, source[start:end], start, end, tuple(errors))

    def _escape(self, at: int, errors: list[str], allowed: str) -> int:
        """Past the escape whose backslash is before `at`."""
        char = self.source[at : at + 1]
        if char == "u":
            return min(at + 5, len(self.source))
        if char and char in allowed:
            return at + 1
        errors.append("illegal escape sequence")
        return at

    def _string(self, start: int) -> Token:
        source, errors = self.source, list[str]()
        at = start + 1
        while True:
            at = _PLAIN.match(source, at).end()  # type: ignore[union-attr]
            char = source[at : at + 1]
            if char == '"':
                return Token(STRING, source[start : at + 1], start, at + 1, tuple(errors))
            if char != "\\":
                errors.append("non-terminated string")
                return Token(STRING, source[start:at], start, at, tuple(errors))
            at = self._escape(at + 1, errors, '\\"/bfnrt')

    def _raw_string(self, start: int) -> Token:
        end = self.source.find("`", start + 1)
        if end < 0:
            end = len(self.source)
            return Token(STRING, self.source[start:], start, end, ("non-terminated string",))
        return Token(STRING, self.source[start : end + 1], start, end + 1)

    def _template(self, start: int, at: int) -> Token:
        """Return one part of a template string, without the escapes of braces."""
        source, errors, texts = self.source, list[str](), list[str]()
        while True:
            end = _PLAIN_TEMPLATE.match(source, at).end()  # type: ignore[union-attr]
            texts.append(source[at:end])
            char = source[end : end + 1]
            if char in ('"', "{"):
                return Token(END if char == '"' else PART, "".join(texts), start, end + 1, tuple(errors))
            if char != "\\":
                errors.append("non-terminated string")
                return Token(PART, "".join(texts), start, end, tuple(errors))
            if source[end + 1 : end + 2] == "{":
                texts.append("{")
                at = end + 2
                continue
            at = self._escape(end + 1, errors, '\\"/bfnrt')
            texts.append(source[end:at])

    def _raw_template(self, start: int, at: int) -> Token:
        source, texts = self.source, list[str]()
        while True:
            end = _PLAIN_RAW_TEMPLATE.match(source, at).end()  # type: ignore[union-attr]
            texts.append(source[at:end])
            char = source[end : end + 1]
            if char in ("`", "{"):
                return Token(RAW_END if char == "`" else RAW_PART, "".join(texts), start, end + 1)
            if not char:
                return Token(RAW_PART, "".join(texts), start, end, ("non-terminated string",))
            at = end + 1
            if source[at : at + 1] == "{":
                texts.append("{")
                at += 1
            else:
                texts.append("\\")


_UNESCAPED: Final = {'"': '"', "\\": "\\", "/": "/", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}
_ESCAPE: Final = re.compile(r'\\(?:u([0-9a-fA-F]{4})|(["\\/bfnrt]))')


def unescape(text: str) -> str | None:
    """Return what is between a JSON string's quotes, or None; half a surrogate pair is U+FFFD, as in Go."""
    if "\\" not in text:
        return text
    if any(char < " " for char in text):
        return None
    parts: list[str] = []
    at = 0
    while True:
        following = text.find("\\", at)
        if following < 0:
            parts.append(text[at:])
            break
        parts.append(text[at:following])
        match = _ESCAPE.match(text, following)
        if match is None:
            return None
        at = match.end()
        if match.group(2):
            parts.append(_UNESCAPED[match.group(2)])
            continue
        code = int(match.group(1), 16)
        if 0xD800 <= code < 0xE000:
            low = _ESCAPE.match(text, at)
            code, at = _join(code, low, at)
        parts.append(chr(code))
    return "".join(parts)


def _join(high: int, match: re.Match[str] | None, at: int) -> tuple[int, int]:
    if high < 0xDC00 and match is not None and match.group(1):
        low = int(match.group(1), 16)
        if 0xDC00 <= low < 0xE000:
            return 0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00), match.end()
    return 0xFFFD, at

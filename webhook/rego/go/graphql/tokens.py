"""Reads the tokens of GraphQL documents, as the parser does that OPA uses (github.com/vektah/gqlparser)."""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from webhook.rego.context import BuiltinError
from webhook.rego.raw_text import encoded
from webhook.rego.value_text import quote

_SPACE: Final = re.compile("(?:[\t ,\ufeff]+)")
_NAME: Final = re.compile("[_A-Za-z][_A-Za-z0-9]*")
_COMMENT: Final = re.compile("#[^\x00-\x08\x0a-\x1f]*")
_DIGITS: Final = re.compile("[0-9]*")
_SIGNS: Final = frozenset("!$&():=@[]{}|")
_ESCAPES: Final = {'"': '"', "/": "/", "\\": "\\", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}


class Token(NamedTuple):
    """A token: its kind is its sign, or its name in errors; its place; what is wrong, if it is none."""

    kind: str
    value: str
    line: int
    column: int
    problem: str = ""

    def __str__(self) -> str:
        return f"{self.kind} {quote(self.value)}" if self.value else self.kind


def failed(line: int, column: int, message: str) -> BuiltinError:
    """Return OPA's words for what is wrong in a document."""
    return BuiltinError(f"{message} in GraphQL string at location {line}:{column}")


class Lexer:
    """Reads tokens from left to right; lines end with LF, CR or both."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.line = 1
        self.start_of_line = 0

    def read(self) -> Token:
        """Return the next token, ``<EOF>`` at the end."""
        self.space()
        start = self.at
        if start >= len(self.text):
            return self.token("<EOF>", start)
        char = self.text[start]
        if char in _SIGNS:
            self.at += 1
            return self.token(char, start)
        if self.text.startswith("...", start):
            self.at += 3
            return self.token("...", start)
        for kind, pattern in (("Comment", _COMMENT), ("Name", _NAME)):
            found = pattern.match(self.text, start)
            if found is not None:
                self.at = found.end()
                return self.token(kind, start, found.group())
        if char in "-0123456789":
            return self.number(start)
        if char == '"':
            return self.block_string() if self.text.startswith('"""', start) else self.string()
        if char < " ":
            return self.invalid(f'Cannot contain the invalid character "\\u{ord(char):04d}"')
        if char == "'":
            return self.invalid(
                "Unexpected single quote character ('), did you mean to use a double quote (\")?"
            )
        return self.invalid(f'Cannot parse the unexpected character "{chr(encoded(char)[0])}".')

    def token(self, kind: str, start: int, value: str = "") -> Token:
        """Return a token that starts there."""
        return Token(kind, value, self.line, start - self.start_of_line + 1)

    def invalid(self, problem: str) -> Token:
        """Return what stands for a token where there is none."""
        return Token("<Invalid>", "", self.line, self.at - self.start_of_line + 1, problem)

    def space(self) -> None:
        """Skip space, commas and ends of lines."""
        while self.at < len(self.text):
            found = _SPACE.match(self.text, self.at)
            if found is not None:
                self.at = found.end()
            elif self.text[self.at] in "\r\n":
                self.at += 2 if self.text.startswith("\r\n", self.at) else 1
                self.line += 1
                self.start_of_line = self.at
                if self.text.startswith("\r\n", self.at - 2):
                    self.start_of_line -= 1  # the line is counted to begin behind the CR
            else:
                return

    def digits(self) -> bool:
        """Take digits; tell whether there were any."""
        found = _DIGITS.match(self.text, self.at)
        before, self.at = self.at, found.end() if found else self.at
        return self.at > before

    def following(self) -> str:
        """Return how the next character is named in errors."""
        return f'"{self.text[self.at]}"' if self.at < len(self.text) else "<EOF>"

    def number(self, start: int) -> Token:
        """Read a number."""
        self.at += self.text[self.at] == "-"
        kind = "Int"
        if self.text.startswith("0", self.at):
            self.at += 1
            place = self.at
            if self.digits():
                self.at = place
                return self.invalid(f"Invalid number, unexpected digit after 0: {self.following()}.")
        elif not self.digits():
            return self.invalid(f"Invalid number, expected digit but got: {self.following()}.")
        if self.text.startswith(".", self.at):
            kind = "Float"
            self.at += 1
            if not self.digits():
                return self.invalid(f"Invalid number, expected digit but got: {self.following()}.")
        if self.text[self.at : self.at + 1] in ("e", "E"):
            kind = "Float"
            self.at += 1
            self.at += self.text[self.at : self.at + 1] in ("-", "+")
            if not self.digits():
                return self.invalid(f"Invalid number, expected digit but got: {self.following()}.")
        return self.token(kind, start, self.text[start : self.at])

    def string(self) -> Token:
        """Read a string; it is where its first character is."""
        self.at += 1
        start = self.at
        parts: list[str] = []
        while self.at < len(self.text):
            char = self.text[self.at]
            if char in "\r\n":
                break
            if char < " " and char != "\t":
                return self.invalid(f'Invalid character within String: "\\u{ord(char):04d}".')
            if char == '"':
                token = self.token("String", start, "".join(parts))
                self.at += 1
                return token
            if char != "\\":
                parts.append(char)
                self.at += 1
                continue
            escape = self.text[self.at + 1 : self.at + 2]
            if escape == "u":
                digits = self.text[self.at + 2 : self.at + 6]
                if (
                    len(digits) < 4
                    or self.at + 6 >= len(self.text)
                    or not re.fullmatch("[0-9a-fA-F]{4}", digits)
                ):
                    self.at += 1
                    return self.invalid(
                        f"Invalid character escape sequence: \\{self.text[self.at : self.at + 5]}."
                    )
                code = int(digits, 16)
                parts.append("\ufffd" if 0xD800 <= code < 0xE000 else chr(code))
                self.at += 6
            elif escape in _ESCAPES:
                parts.append(_ESCAPES[escape])
                self.at += 2
            else:
                self.at += 1
                tail = f": \\{escape}" if escape else ""
                return self.invalid(f"Invalid character escape sequence{tail}.")
        return self.invalid("Unterminated string.")

    def block_string(self) -> Token:
        """Read a string in three quotation marks; it is where it ends, as far as lines go."""
        self.at += 3
        start = self.at
        parts: list[str] = []
        while self.at < len(self.text):
            char = self.text[self.at]
            if char == '"':
                count = 1
                while self.text.startswith('"', self.at + count):
                    count += 1
                if count >= 3:
                    parts.append('"' * (count - 3))
                    token = self.token("BlockString", start, _without_indent("".join(parts)))
                    self.at += count
                    return token
            if char < " " and char not in "\t\r\n":
                return self.invalid(f'Invalid character within String: "\\u{ord(char):04d}".')
            if self.text.startswith('\\"""', self.at):
                parts.append('"""')
                self.at += 4
                continue
            size = 2 if self.text.startswith("\r\n", self.at) else 1
            parts.append("\n" if char == "\r" else char)
            self.at += size
            if char in "\r\n":
                self.line += 1
                self.start_of_line = self.at
        return self.invalid("Unterminated string.")


def _without_indent(raw: str) -> str:
    """Return the lines of a block string without what all are indented by, and without empty ones around."""
    lines = raw.split("\n")
    indents = [len(line) - len(line.lstrip(" \t")) for line in lines if line.strip(" \t")]
    common = min(indents, default=0)
    lines[1:] = [line[common:] for line in lines[1:]]
    while lines and not lines[0].strip(" \t"):
        lines.pop(0)
    while lines and not lines[-1].strip(" \t"):
        lines.pop()
    return "\n".join(lines)

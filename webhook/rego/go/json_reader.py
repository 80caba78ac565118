"""Reads JSON into Rego's values, and says what is wrong with a text in the words of ``encoding/json``."""

from __future__ import annotations

import json
import re
from typing import Any, Final, NoReturn

from webhook.rego.context import BuiltinError, Halt
from webhook.rego.numbers import number_of
from webhook.rego.raw_text import encoded
from webhook.rego.value_text import quote

_SURROGATE: Final = re.compile("[\ud800-\udfff]")
_NESTED: Final = "JSON is nested too deeply"
_SPACE: Final = " \t\r\n"


def _constant(name: str) -> NoReturn:
    raise ValueError(name)


_DECODER: Final = json.JSONDecoder(parse_float=number_of, parse_int=number_of, parse_constant=_constant)


def read_json(text: str) -> Any:
    """Return the value of a JSON text.

    Raises:
        BuiltinError: it is none.
        Halt: it is nested too deeply.
    """
    try:
        value = _DECODER.decode(text)
    except RecursionError:
        raise Halt(_NESTED) from None
    except ValueError:
        raise BuiltinError(_problem(text)) from None
    return _whole(value) if "\\u" in text else value


def is_json(text: str) -> bool:
    """Tell whether it is a JSON text.

    Raises:
        Halt: it is nested too deeply.
    """
    try:
        _DECODER.decode(text)
    except RecursionError:
        raise Halt(_NESTED) from None
    except ValueError:
        return False
    return True


def _whole(value: Any) -> Any:
    """Return the value with U+FFFD for each half of a pair of surrogates, as Go reads them."""
    kind = value.__class__
    if kind is str:
        return value if value.isascii() else _SURROGATE.sub("\ufffd", value)
    if kind is list:
        return [_whole(item) for item in value]
    if kind is dict:
        return {_whole(k): _whole(v) for k, v in value.items()}
    return value


class _Wrong(Exception):  # noqa: N818 - never leaves this module
    pass


def _character(char: str) -> str:
    char = chr(encoded(char)[0])  # Go looks at bytes
    if char == "'":
        return "'\\''"
    if char == '"':
        return "'\"'"
    return f"'{quote(char)[1:-1]}'"


def _problem(text: str) -> str:
    """Return what Go's decoder says of a text that is no JSON."""
    if not text.strip(_SPACE):
        return "EOF"
    scanner = _Scanner(text)
    try:
        scanner.value()
        scanner.space()
        if scanner.at < len(text):
            rest = scanner.at
            char = text[rest]
            if char in "{[":
                return f"error: invalid character '{char}' after top-level value"
            scanner.value()
            token = text[rest : scanner.at]
            token = json.loads(token) if token.startswith('"') else token
            return f"error: invalid character '{token}' after top-level value"
    except _Wrong as wrong:
        return str(wrong)
    except RecursionError:
        return "exceeded max depth"
    return "invalid JSON"


class _Scanner:
    """Follows a JSON text up to what is wrong with it."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0

    def peek(self) -> str:
        """Return the next character.

        Raises:
            _Wrong: there is none.
        """
        if self.at >= len(self.text):
            raise _Wrong("unexpected EOF")
        return self.text[self.at]

    def fail(self, where: str) -> NoReturn:
        """Say that the next character is none that may stand here."""
        raise _Wrong(f"invalid character {_character(self.peek())} {where}")

    def space(self) -> None:
        """Skip space."""
        while self.at < len(self.text) and self.text[self.at] in _SPACE:
            self.at += 1

    def value(self) -> None:
        """Follow one value."""
        self.space()
        char = self.peek()
        if char == "{":
            self.collection("}")
        elif char == "[":
            self.collection("]")
        elif char == '"':
            self.string()
        elif char == "-" or char.isdigit():
            self.number()
        elif char in "tfn":
            self.literal({"t": "true", "f": "false", "n": "null"}[char])
        else:
            self.fail("looking for beginning of value")

    def collection(self, close: str) -> None:
        """Follow an array or object."""
        self.at += 1
        self.space()
        if self.peek() == close:
            self.at += 1
            return
        while True:
            self.space()
            if close == "}":
                if self.peek() != '"':
                    self.fail("looking for beginning of object key string")
                self.string()
                self.space()
                if self.peek() != ":":
                    self.fail("after object key")
                self.at += 1
            self.value()
            self.space()
            char = self.peek()
            self.at += 1
            if char == close:
                return
            if char != ",":
                self.at -= 1
                self.fail("after object key:value pair" if close == "}" else "after array element")

    def string(self) -> None:
        """Follow a string."""
        self.at += 1
        while True:
            char = self.peek()
            if char < " ":
                self.fail("in string literal")
            self.at += 1
            if char == '"':
                return
            if char == "\\":
                if self.peek() not in 'bfnrt\\/"u':
                    self.fail("in string escape code")
                self.at += 1
                if self.text[self.at - 1] == "u":
                    for _ in range(4):
                        if self.peek() not in "0123456789abcdefABCDEF":
                            self.fail("in \\u hexadecimal character escape")
                        self.at += 1

    def number(self) -> None:
        """Follow a number."""
        self.at += self.text[self.at] == "-"
        if self.peek() == "0":
            self.at += 1
        elif self.peek() in "123456789":
            self.digits()
        else:
            self.fail("in numeric literal")
        if self.text[self.at : self.at + 1] == ".":
            self.at += 1
            if self.peek() not in "0123456789":
                self.fail("after decimal point in numeric literal")
            self.digits()
        if self.text[self.at : self.at + 1] in ("e", "E"):
            self.at += 1
            self.at += self.peek() in "+-"
            if self.peek() not in "0123456789":
                self.fail("in exponent of numeric literal")
            self.digits()

    def digits(self) -> None:
        """Follow digits."""
        while self.at < len(self.text) and self.text[self.at] in "0123456789":
            self.at += 1

    def literal(self, word: str) -> None:
        """Follow ``true``, ``false`` or ``null``."""
        for char in word:
            if self.peek() != char:
                self.fail(f"in literal {word} (expecting {_character(char)})")
            self.at += 1

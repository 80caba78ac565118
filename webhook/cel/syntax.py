"""The lexer: CEL source to tokens, with every literal form of the language.

Follows the grammar of the CEL specification as cel-go lexes it (github.com/google/cel-spec, doc/langdef.md).
"""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from webhook.cel.values import UInt
from webhook.core.errors import CompileError

MAX_CODE_POINTS = 100_000

IDENTIFIER = "identifier"
QUOTED = "quoted identifier"
LITERAL = "literal"
END = "end of expression"

RESERVED = frozenset(
    (
        *("as", "break", "const", "continue", "else", "for", "function", "if", "import", "let", "loop"),
        *("package", "namespace", "return", "var", "void", "while"),
    )
)

_TOKEN = re.compile(
    r"""
    (?: [ \t\r\n\f]+ | //[^\n]* )*
    (?:
      ( [bB]?[rR]? (?: \"{3} | '{3} | \" | ' ) )
    | ( [A-Za-z_][A-Za-z0-9_]* )
    | ( && | \|\| | [=!<>]= | [-+*/%<>!?:,()\[\]{}] | \.(?![0-9]) )
    | ( (?: [0-9]+ (?: \.[0-9]+ )? [eE][+-]?[0-9]+ | [0-9]* \.[0-9]+ (?: [eE][+-]?[0-9]+ )? )
      | 0x[0-9a-fA-F]+[uU]? | [0-9]+[uU]? )
    | ` ( [A-Za-z0-9_./\ -]+ ) `
    | ( . )
    | \Z
    )
    """,
    re.VERBOSE | re.DOTALL,
)
_STRING, _NAME, _OPERATOR, _NUMBER, _QUOTED, _OTHER = range(1, 7)

# The end of a string by its opening quotes; the bodies can't backtrack: each character has one reading.
_BODIES = {
    ("'", False): re.compile(r"((?:[^'\\\r\n]|\\.)*)'", re.DOTALL),
    ('"', False): re.compile(r'((?:[^"\\\r\n]|\\.)*)"', re.DOTALL),
    ("'''", False): re.compile(r"((?:[^'\\]|\\.|'(?!''))*)'''", re.DOTALL),
    ('"""', False): re.compile(r'((?:[^"\\]|\\.|"(?!""))*)"""', re.DOTALL),
    ("'", True): re.compile(r"([^'\r\n]*)'"),
    ('"', True): re.compile(r'([^"\r\n]*)"'),
    ("'''", True): re.compile(r"((?:[^']|'(?!''))*)'''"),
    ('"""', True): re.compile(r'((?:[^"]|"(?!""))*)"""'),
}
_ESCAPE = re.compile(
    r"\\(?:([abfnrtv\\?\"'`])|[xX]([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|([0-3][0-7]{2})|.)",
    re.DOTALL,
)
_SIMPLE = dict(zip("abfnrtv\\?\"'`", "\a\b\f\n\r\t\v\\?\"'`", strict=True))
_CONSTANTS = {"true": ("bool", True), "false": ("bool", False), "null": ("null", None)}


class Tokens(NamedTuple):
    """The tokens of one expression, as three lists of the same length.

    Attributes:
        kinds: an operator's own text, ``in``, or one of the constants of this module.
        values: an identifier's name; a literal's (static type, value); else None.
        offsets: where the token begins, in code points.
    """

    kinds: list[str]
    values: list[Any]
    offsets: list[int]


def failure(source: str, offset: int, message: str) -> CompileError:
    """Return a compile error that points at `offset` of `source`."""
    before = source[:offset]
    return CompileError(message, line=before.count("\n") + 1, column=offset - before.rfind("\n"))


def tokenize(source: str) -> Tokens:
    """Split `source` into tokens.

    Raises:
        CompileError: a character that begins no token, an unfinished string, a bad escape, or a number out
            of range.
    """
    if len(source) > MAX_CODE_POINTS:
        raise CompileError(
            f"the expression has {len(source)} code points, at most {MAX_CODE_POINTS} are allowed",
            line=1,
            column=1,
        )
    kinds: list[str] = []
    values: list[Any] = []
    offsets: list[int] = []
    match = _TOKEN.match
    position, length = 0, len(source)
    while True:
        found = match(source, position)
        if found is None:  # never: the pattern's last branches take any character and the end
            raise failure(source, position, "syntax error")
        group = found.lastindex
        if group == _OPERATOR:
            kinds.append(found[3])
            values.append(None)
            offsets.append(found.start(3))
        elif group == _NAME:
            name = found[2]
            if name in _CONSTANTS:
                kinds.append(LITERAL)
                values.append(_CONSTANTS[name])
            else:
                kinds.append("in" if name == "in" else IDENTIFIER)
                values.append(name)
            offsets.append(found.start(2))
        elif group == _STRING:
            start = found.start(1)
            value, position = _string(source, found[1], start)
            kinds.append(LITERAL)
            values.append(value)
            offsets.append(start)
            continue
        elif group == _NUMBER:
            kinds.append(LITERAL)
            values.append(_number(found[4]))
            offsets.append(found.start(4))
        elif group == _QUOTED:
            kinds.append(QUOTED)
            values.append(found[5])
            offsets.append(found.start(5) - 1)
        elif group is None:
            kinds.append(END)
            values.append(None)
            offsets.append(length)
            return Tokens(kinds, values, offsets)
        else:
            raise failure(source, found.start(6), f"syntax error: unexpected character {found[6]!r}")
        position = found.end()


def _number(text: str) -> tuple[str, int | float]:
    """Return (static type, value); whether an integer fits its type is checked where its sign is known."""
    if text[-1] in "uU":
        return "uint", int(text[:-1], 16 if text[:2] == "0x" else 10) if len(text) < 30 else 2**64
    if text[:2] == "0x":
        return "int", int(text, 16) if len(text) < 30 else 2**64
    if text.isdigit():
        return "int", int(text) if len(text.lstrip("0")) < 30 else 2**64
    return "double", float(text)


def checked(kind: str, value: Any, source: str, offset: int) -> Any:
    """Return a literal's value, with the class of its type.

    Raises:
        CompileError: a number that its type can't hold.
    """
    if kind == "int" and not -(2**63) <= value < 2**63:
        raise failure(source, offset, "syntax error: the integer is out of the range of int64")
    if kind == "uint":
        if not 0 <= value < 2**64:
            raise failure(source, offset, "syntax error: the integer is out of the range of uint64")
        return UInt(value)
    if kind == "double" and value in (float("inf"), float("-inf")):
        raise failure(source, offset, "syntax error: the number is out of the range of a double")
    return value


def _string(source: str, opening: str, start: int) -> tuple[tuple[str, str | bytes], int]:
    quotes = opening.lstrip("bBrR")
    prefix = opening[: -len(quotes)].lower()
    raw = "r" in prefix
    found = _BODIES[quotes, raw].match(source, start + len(opening))
    if found is None:
        raise failure(source, start, "syntax error: the string has no end")
    body = found[1]
    if "\r" in body:
        body = body.replace("\r\n", "\n").replace("\r", "\n")
    if "b" in prefix:
        return ("bytes", body.encode() if raw else _unescape_bytes(source, body, start)), found.end()
    if not raw and "\\" in body:
        body = _unescape(source, body, start)
    return ("string", body), found.end()


def _unescape(source: str, body: str, start: int) -> str:
    def one(found: re.Match[str]) -> str:
        simple, *numbers, octal = found.groups()
        if simple:
            return _SIMPLE[simple]
        digits = next(filter(None, numbers), None)
        if digits is None and octal is None:
            raise failure(source, start, f"syntax error: bad escape {found[0]!r} in the string")
        point = int(digits, 16) if digits else int(octal, 8)
        if point > 0x10FFFF or 0xD800 <= point < 0xE000:
            raise failure(source, start, f"syntax error: {found[0]} is no Unicode code point")
        return chr(point)

    return _ESCAPE.sub(one, body)


def _unescape_bytes(source: str, body: str, start: int) -> bytes:
    parts: list[bytes] = []
    position = 0
    for found in _ESCAPE.finditer(body):
        parts.append(body[position : found.start()].encode())
        position = found.end()
        simple, byte, _, _, octal = found.groups()
        if simple:
            parts.append(_SIMPLE[simple].encode())
        elif byte or octal:
            parts.append(bytes([int(byte, 16) if byte else int(octal, 8)]))
        else:
            raise failure(source, start, f"syntax error: bad escape {found[0]!r} in the bytes")
    parts.append(body[position:].encode())
    return b"".join(parts)

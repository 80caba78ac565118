"""Globs: ``*`` stays between delimiters, ``**`` doesn't; ``?``, ``[a-z]``, ``[!ab]`` and ``{a,b}``."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Final, NamedTuple

from webhook.rego.builtins.declaration import builtin
from webhook.rego.builtins.operands import element_error, operand_error
from webhook.rego.builtins.regex import quote_meta
from webhook.rego.context import BuiltinError, Context, check_string
from webhook.rego.go.patterns import compile_pattern
from webhook.rego.raw_text import printable
from webhook.rego.types import BOOLEAN, NULL, STRING, Array, Union

_SPECIAL: Final = frozenset("*?\\[]{}")
_MAX_GLOB: Final = 4_096


@builtin("glob.match", (STRING, Union((NULL, Array(STRING))), STRING), BOOLEAN, needs_context=True)
def glob_match(context: Context, pattern: Any, delimiters: Any, text: Any) -> bool:
    """Tell whether the glob is the text; without delimiters that is ``.``, with null there are none."""
    if pattern.__class__ is not str:
        raise operand_error(1, pattern, "string")
    if delimiters is None:
        separators = ""
    elif delimiters.__class__ is list:
        for item in delimiters:
            if item.__class__ is not str:
                raise element_error(2, delimiters, item, "string")
            if len(item) != 1:
                raise element_error(2, delimiters, item, "rune")
        separators = "".join(delimiters) or "."
    else:
        raise operand_error(2, delimiters, "array", "null")
    if text.__class__ is not str:
        raise operand_error(3, text, "string")
    if len(pattern) > _MAX_GLOB:
        raise BuiltinError(f"a glob of {len(pattern)} characters is over the limit of {_MAX_GLOB}")
    context.spend(2 + (len(pattern) >> 4))
    found = _translated(pattern, separators)
    if found.__class__ is BuiltinError:
        raise found
    compiled = compile_pattern(context, str(found))
    context.spend(len(text) * compiled.size >> 10)
    return compiled.search(printable(text)) is not None


@builtin("glob.quote_meta", (STRING,), STRING, needs_context=True)
def glob_quote_meta(context: Context, pattern: Any) -> str:
    """Return a glob that matches just the text."""
    if pattern.__class__ is not str:
        raise operand_error(1, pattern, "string")
    check_string(2 * len(pattern))
    context.spend(1 + (len(pattern) >> 4))
    return "".join(f"\\{char}" if char in _SPECIAL else char for char in pattern)


@lru_cache(512)
def _translated(pattern: str, separators: str) -> str | BuiltinError:
    """Return the regular expression of a glob, or why it is none."""
    try:
        return _Glob(pattern, separators).translate()
    except BuiltinError as error:
        return error


class _Part(NamedTuple):
    """A part of a glob.

    Attributes:
        expression: the regular expression of it.
        length: how many characters it takes; -1 if that differs.
        text: the characters, if it is just these.
        anything: whether it takes whatever is there.
    """

    expression: str
    length: int = -1
    text: str = ""
    anything: bool = False


class _Glob:
    """Reads a glob from left to right."""

    def __init__(self, pattern: str, separators: str) -> None:
        self.pattern = pattern
        self.at = 0
        inside = "".join(f"\\{char}" if char in "\\]^-[" else char for char in separators)
        self.within = f"[^{inside}]" if separators else "."
        self.depth = 0

    def translate(self) -> str:
        """Return the regular expression."""
        return rf"\A(?s:{self.alternatives()})\z"

    def alternatives(self) -> str:
        """Return the expression of what follows, up to the brace that ends it."""
        branches: list[list[_Part]] = [[]]
        while self.at < len(self.pattern):
            char = self.pattern[self.at]
            if char == "," and self.depth:
                self.at += 1
                branches.append([])
            elif char == "}" and self.depth:
                self.at += 1
                self.depth -= 1
                break
            else:
                branches[-1].append(self.next())
        return "|".join(_sequence(_without_runs(branch)) for branch in branches)

    def next(self) -> _Part:
        """Return what comes next."""
        char = self.pattern[self.at]
        self.at += 1
        if char == "{":
            self.depth += 1
            if self.depth > 50:
                raise BuiltinError("a glob is nested too deeply")
            return _Part(f"(?:{self.alternatives()})")
        if char == "[":
            return _Part(self.range(), 1)
        if char == "?":
            return _Part(self.within, 1)
        if char == "*":
            if self.pattern[self.at : self.at + 1] == "*":
                self.at += 1
                return _Part(".*", anything=True)
            return _Part(self.within + "*", anything=self.within == ".")
        self.at -= 1
        text = self.text("?*[{" + ("}," if self.depth else ""))
        return _Part(quote_meta(text), len(text), text)

    def text(self, breakers: str) -> str:
        """Read characters up to one of `breakers`; a backslash takes the next one as it is."""
        found: list[str] = []
        while self.at < len(self.pattern):
            char = self.pattern[self.at]
            if char == "\\":
                self.at += 1
                if self.at < len(self.pattern):
                    found.append(self.pattern[self.at])
                    self.at += 1
                continue
            if char in breakers:
                break
            found.append(char)
            self.at += 1
        return "".join(found)

    def range(self) -> str:
        """Read what is behind ``[``."""
        negated = self.pattern[self.at : self.at + 1] == "!"
        self.at += negated
        first = self.pattern[self.at : self.at + 1]
        if not first:
            raise BuiltinError("unexpected end of input")
        if self.pattern[self.at + 1 : self.at + 2] == "-":
            last = self.pattern[self.at + 2 : self.at + 3]
            close = self.pattern[self.at + 3 : self.at + 4]
            if not last or not close:
                raise BuiltinError("unexpected end of input")
            if last < first:
                raise BuiltinError(f"hi character '{last}' should be greater than lo '{first}'")
            if close != "]":
                raise BuiltinError("expected close range character")
            self.at += 4
            return f"[{'^' if negated else ''}\\x{{{ord(first):x}}}-\\x{{{ord(last):x}}}]"
        chars = self.text("]")
        if self.at >= len(self.pattern):
            raise BuiltinError("unexpected end of input")
        self.at += 1
        if not chars:
            raise BuiltinError("could not parse range")
        inside = "".join(f"\\x{{{ord(char):x}}}" for char in chars)
        return f"[{'^' if negated else ''}{inside}]"


def _without_runs(parts: list[_Part]) -> list[_Part]:
    """Return the parts, what has a fixed length together, and one instead of many that take anything."""
    result: list[_Part] = []
    for part in parts:
        before = result[-1] if result else None
        if before is not None and before.anything and part.anything:
            continue
        if before is not None and before.length >= 0 and part.length >= 0:
            result[-1] = _Part(before.expression + part.expression, before.length + part.length)
        else:
            result.append(part)
    return result


def _sequence(parts: list[_Part]) -> str:
    """Return the expression of parts one after the other, as OPA's library for globs matches them.

    It takes ``ab**bc`` for a text that begins with ``ab`` and ends with ``bc``, so ``abc`` is one; also in
    longer globs, where such a part is left after splitting them at their longest fixed parts.
    """
    if len(parts) == 3 and parts[0].text and parts[1].anything and parts[2].text:
        whole = "".join(p.expression for p in parts)
        return f"(?:{'|'.join([whole, *_overlaps(parts[0].text, parts[2].text)])})"
    fixed = [(part.length, index) for index, part in enumerate(parts) if part.length >= 0]
    if len(parts) < 3 or not fixed:
        return "".join(part.expression for part in parts)
    at = max(fixed)[1]
    return _sequence(parts[:at]) + parts[at].expression + _sequence(parts[at + 1 :])


def _overlaps(first: str, last: str) -> list[str]:
    """Return the expressions of all texts that begin and end so, the end in the beginning."""
    return [
        quote_meta(first + last[size:])
        for size in range(1, min(len(first), len(last)) + 1)
        if first.endswith(last[:size])
    ]

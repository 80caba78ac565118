"""Functions of strings, as Go's ``strings`` package has them."""

from __future__ import annotations

from typing import Any, Final

from webhook.rego.builtins.declaration import builtin
from webhook.rego.builtins.operands import check_texts, operand_error, small_integer, text_list
from webhook.rego.context import BuiltinError, Context, check_items, check_string
from webhook.rego.types import BOOLEAN, NUMBER, SET_OF_STRING, STRING, Array, Union
from webhook.rego.values import RegoSet

_STRINGS: Final = Array(STRING)
_SMALL: Final = 1 << 31
_SPACES: Final = (
    "\t\n\v\f\r \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
    "\u2028\u2029\u202f\u205f\u3000"
)


@builtin("concat", (STRING, Union((SET_OF_STRING, _STRINGS))), STRING, needs_context=True)
def concat(context: Context, delimiter: Any, parts: Any) -> str:
    """Return the strings of an array or set, the delimiter between them."""
    check_texts(delimiter)
    kind = parts.__class__
    if kind is not list and kind is not RegoSet:
        raise operand_error(2, parts, "set", "array")
    found = text_list(parts, 2)
    if len(found) > 64:
        size = sum(map(len, found)) + len(delimiter) * (len(found) - 1)
        check_string(size)
        context.spend((len(found) >> 4) + (size >> 6))
    elif found:
        size = sum(map(len, found)) + len(delimiter) * (len(found) - 1)
        if size > 1024:
            check_string(size)
            context.spend(size >> 6)
    return delimiter.join(found)  # type: ignore[no-any-return]


@builtin("contains", (STRING, STRING), BOOLEAN, needs_context=True)
def contains(context: Context, text: Any, part: Any) -> bool:
    """Tell whether the part is anywhere in the text."""
    check_texts(text, part)
    context.spend(1 + (len(text) >> 7))
    return part in text


@builtin("startswith", (STRING, STRING), BOOLEAN)
def startswith(text: Any, part: Any) -> bool:
    """Tell whether the text begins with the part."""
    check_texts(text, part)
    return text.startswith(part)  # type: ignore[no-any-return]


@builtin("endswith", (STRING, STRING), BOOLEAN)
def endswith(text: Any, part: Any) -> bool:
    """Tell whether the text ends with the part."""
    check_texts(text, part)
    return text.endswith(part)  # type: ignore[no-any-return]


@builtin("strings.count", (STRING, STRING), NUMBER, needs_context=True)
def strings_count(context: Context, text: Any, part: Any) -> int:
    """Return how often the part is in the text, without overlaps."""
    check_texts(text, part)
    context.spend(1 + (len(text) >> 7))
    return text.count(part)  # type: ignore[no-any-return]


_MANY = Union((STRING, SET_OF_STRING, _STRINGS))


def _one_or_many(value: Any, position: int) -> list[str]:
    if value.__class__ is str:
        return [value]
    if value.__class__ is not list and value.__class__ is not RegoSet:
        raise operand_error(position, value, "string", "set", "array")
    return text_list(value, position)


def _pay_for_each(context: Context, texts: list[str], parts: tuple[str, ...]) -> None:
    """Pay for looking at each text for each part, which may differ from it in the last character alone."""
    context.spend(len(texts) * len(parts) >> 4)
    context.spend(len(texts) * sum(map(len, parts)) >> 12)


@builtin("strings.any_prefix_match", (_MANY, _MANY), BOOLEAN, needs_context=True)
def any_prefix_match(context: Context, texts: Any, prefixes: Any) -> bool:
    """Tell whether any of the texts begins with any of the prefixes."""
    if texts.__class__ is str:  # nearly always
        wanted = tuple(_one_or_many(prefixes, 2))
        _pay_for_each(context, [texts], wanted)
        return texts.startswith(wanted)
    found, wanted = _one_or_many(texts, 1), tuple(_one_or_many(prefixes, 2))
    _pay_for_each(context, found, wanted)
    return any(text.startswith(wanted) for text in found)


@builtin("strings.any_suffix_match", (_MANY, _MANY), BOOLEAN, needs_context=True)
def any_suffix_match(context: Context, texts: Any, suffixes: Any) -> bool:
    """Tell whether any of the texts ends with any of the suffixes."""
    if texts.__class__ is str:  # nearly always
        wanted = tuple(_one_or_many(suffixes, 2))
        _pay_for_each(context, [texts], wanted)
        return texts.endswith(wanted)
    found, wanted = _one_or_many(texts, 1), tuple(_one_or_many(suffixes, 2))
    _pay_for_each(context, found, wanted)
    return any(text.endswith(wanted) for text in found)


def _searched(text: Any, part: Any) -> None:
    check_texts(text, part)
    if not part:
        raise BuiltinError("empty search character")


@builtin("indexof", (STRING, STRING), NUMBER)
def indexof(text: Any, part: Any) -> int:
    """Return where the part first is in the text; -1 if nowhere."""
    _searched(text, part)
    return text.find(part)  # type: ignore[no-any-return]


@builtin("indexof_n", (STRING, STRING), Array(NUMBER), needs_context=True)
def indexof_n(context: Context, text: Any, part: Any) -> list[int]:
    """Return all the places where the part is in the text, overlaps too."""
    _searched(text, part)
    context.spend(len(text) >> 6)
    found: list[int] = []
    at = text.find(part)
    while at >= 0:
        found.append(at)
        check_items(len(found))
        context.spend(1)
        at = text.find(part, at + 1)
    return found


@builtin("substring", (STRING, NUMBER, NUMBER), STRING, needs_context=True)
def substring(context: Context, text: Any, offset: Any, length: Any) -> str:
    """Return a part of the text; all that follows if the length is negative."""
    if text.__class__ is not str:
        check_texts(text)
    context.spend(1 + (len(text) >> 7))
    small = offset.__class__ is int and length.__class__ is int and max(abs(offset), abs(length)) < _SMALL
    start, size = (offset, length) if small else (small_integer(offset, 2), small_integer(length, 3))
    if start < 0:
        raise BuiltinError("negative offset")
    return text[start:] if size < 0 else text[start : start + size]  # type: ignore[no-any-return]


def _lower(char: str) -> str:
    found = char.lower()
    return found if len(found) == 1 else found[0]


def _upper(char: str) -> str:
    found = char.upper()
    if len(found) == 1:
        return found
    title = char.title()
    return title if len(title) == 1 else char


@builtin("lower", (STRING,), STRING, needs_context=True)
def lower(context: Context, text: Any) -> str:
    """Return the text in lower case, each character by itself."""
    check_texts(text)
    if text.isascii():
        context.spend(len(text) >> 7)
        return text.lower()  # type: ignore[no-any-return]
    context.spend(len(text) >> 3)
    return "".join(map(_lower, text))


@builtin("upper", (STRING,), STRING, needs_context=True)
def upper(context: Context, text: Any) -> str:
    """Return the text in upper case, each character by itself."""
    check_texts(text)
    if text.isascii():
        context.spend(len(text) >> 7)
        return text.upper()  # type: ignore[no-any-return]
    context.spend(len(text) >> 3)
    return "".join(map(_upper, text))


@builtin("split", (STRING, STRING), _STRINGS, needs_context=True)
def split(context: Context, text: Any, delimiter: Any) -> list[str]:
    """Return the parts between delimiters; the characters if that is empty."""
    if text.__class__ is not str or delimiter.__class__ is not str:
        check_texts(text, delimiter)
    if not delimiter:
        check_items(len(text))
        context.spend(len(text) >> 4)
        return list(text)
    found = text.split(delimiter)
    if len(found) > 64:
        check_items(len(found))
        context.spend((len(found) >> 2) + (len(text) >> 7))
    return found  # type: ignore[no-any-return]


@builtin("strings.reverse", (STRING,), STRING, needs_context=True)
def reverse(context: Context, text: Any) -> str:
    """Return the characters from the last to the first."""
    check_texts(text)
    context.spend(1 + (len(text) >> 7))
    return text[::-1]  # type: ignore[no-any-return]


def _trimmed(context: Context, text: str, characters: str) -> str:
    """Pay for comparing the characters of a text with some; return these, each once."""
    if len(characters) > 64:
        context.spend(len(characters) >> 4)
        characters = "".join(dict.fromkeys(characters))
        context.spend(len(text) * len(characters) >> 10)
    context.spend(1 + (len(text) >> 7))
    return characters


@builtin("trim", (STRING, STRING), STRING, needs_context=True)
def trim(context: Context, text: Any, characters: Any) -> str:
    """Return the text without any of these characters at either end."""
    check_texts(text, characters)
    return text.strip(_trimmed(context, text, characters))  # type: ignore[no-any-return]


@builtin("trim_left", (STRING, STRING), STRING, needs_context=True)
def trim_left(context: Context, text: Any, characters: Any) -> str:
    """Return the text without any of these characters at its start."""
    check_texts(text, characters)
    return text.lstrip(_trimmed(context, text, characters))  # type: ignore[no-any-return]


@builtin("trim_right", (STRING, STRING), STRING, needs_context=True)
def trim_right(context: Context, text: Any, characters: Any) -> str:
    """Return the text without any of these characters at its end."""
    check_texts(text, characters)
    return text.rstrip(_trimmed(context, text, characters))  # type: ignore[no-any-return]


@builtin("trim_prefix", (STRING, STRING), STRING, needs_context=True)
def trim_prefix(context: Context, text: Any, prefix: Any) -> str:
    """Return the text without the prefix."""
    check_texts(text, prefix)
    context.spend(1 + (len(text) >> 7))
    return text.removeprefix(prefix)  # type: ignore[no-any-return]


@builtin("trim_suffix", (STRING, STRING), STRING, needs_context=True)
def trim_suffix(context: Context, text: Any, suffix: Any) -> str:
    """Return the text without the suffix."""
    check_texts(text, suffix)
    context.spend(1 + (len(text) >> 7))
    return text.removesuffix(suffix)  # type: ignore[no-any-return]


@builtin("trim_space", (STRING,), STRING, needs_context=True)
def trim_space(context: Context, text: Any) -> str:
    """Return the text without space at either end, as Unicode has it."""
    check_texts(text)
    context.spend(1 + (len(text) >> 7))
    return text.strip(_SPACES)  # type: ignore[no-any-return]

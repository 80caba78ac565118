"""Functions of strings, as Go's ``strings`` package has them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Final

from webhook.rego import numbers
from webhook.rego.builtins.declaration import builtin
from webhook.rego.builtins.operands import check_number, check_texts, operand_error, small_integer, text_list
from webhook.rego.context import BuiltinError, Context, OperandError, check_items, check_string
from webhook.rego.go import big_floats
from webhook.rego.go.printing import sprintf
from webhook.rego.order import members_in_order
from webhook.rego.plain_json import to_json
from webhook.rego.raw_text import decoded, encoded
from webhook.rego.texts import term_text
from webhook.rego.types import ANY, ARRAY_OF_ANY, BOOLEAN, NUMBER, SET_OF_STRING, STRING, Array, Object, Union
from webhook.rego.values import RegoObject, RegoSet, entries

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


@builtin("strings.any_prefix_match", (_MANY, _MANY), BOOLEAN, needs_context=True)
def any_prefix_match(context: Context, texts: Any, prefixes: Any) -> bool:
    """Tell whether any of the texts begins with any of the prefixes."""
    if texts.__class__ is str:  # nearly always
        wanted = tuple(_one_or_many(prefixes, 2))
        context.spend(len(wanted) >> 4)
        return texts.startswith(wanted)
    found, wanted = _one_or_many(texts, 1), tuple(_one_or_many(prefixes, 2))
    context.spend(len(found) * len(wanted) >> 4)
    return any(text.startswith(wanted) for text in found)


@builtin("strings.any_suffix_match", (_MANY, _MANY), BOOLEAN, needs_context=True)
def any_suffix_match(context: Context, texts: Any, suffixes: Any) -> bool:
    """Tell whether any of the texts ends with any of the suffixes."""
    if texts.__class__ is str:  # nearly always
        wanted = tuple(_one_or_many(suffixes, 2))
        context.spend(len(wanted) >> 4)
        return texts.endswith(wanted)
    found, wanted = _one_or_many(texts, 1), tuple(_one_or_many(suffixes, 2))
    context.spend(len(found) * len(wanted) >> 4)
    return any(text.endswith(wanted) for text in found)


@builtin("format_int", (NUMBER, NUMBER), STRING)
def format_int(number: Any, base: Any) -> str:
    """Return the integer part in base 2, 8, 10 or 16."""
    check_number(number, 1)
    check_number(base, 2)
    if base.__class__ is not int or base not in (2, 8, 10, 16):
        raise OperandError("operand 2 must be one of {2, 8, 10, 16}")
    if number.__class__ is int and number.bit_length() <= big_floats.PRECISION:
        whole = number
    else:
        whole = numbers.exact_number(big_floats.truncated(big_floats.binary(number)))
    return format(whole, {2: "b", 8: "o", 10: "d", 16: "x"}[base])


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
        return text.lower()  # type: ignore[no-any-return]
    context.spend(len(text) >> 3)
    return "".join(map(_lower, text))


@builtin("upper", (STRING,), STRING, needs_context=True)
def upper(context: Context, text: Any) -> str:
    """Return the text in upper case, each character by itself."""
    check_texts(text)
    if text.isascii():
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
        return list(text)
    found = text.split(delimiter)
    if len(found) > 64:
        check_items(len(found))
        context.spend(len(found) >> 4)
    return found  # type: ignore[no-any-return]


@builtin("replace", (STRING, STRING, STRING), STRING, needs_context=True)
def replace(context: Context, text: Any, old: Any, new: Any) -> str:
    """Return the text with every `old` replaced."""
    check_texts(text, old, new)
    if not old:
        return _replaced_bytes(context, text, [("", new)])
    if len(new) > len(old):
        check_string(len(text) + (len(new) - len(old)) * text.count(old))
    context.spend(len(text) >> 8)
    return text.replace(old, new)  # type: ignore[no-any-return]


@builtin("strings.replace_n", (Object((), (STRING, STRING)), STRING), STRING, needs_context=True)
def replace_n(context: Context, patterns: Any, text: Any) -> str:
    """Return the text with each key of an object replaced by its value, left to right, first key first."""
    if patterns.__class__ is not dict and patterns.__class__ is not RegoObject:
        raise operand_error(1, patterns, "object")
    if text.__class__ is not str:
        raise operand_error(2, text, "string")
    pairs = []
    for key, value in entries(patterns):
        if key.__class__ is not str:
            raise OperandError("operand 1 non-string key found in pattern object")
        if value.__class__ is not str:
            raise OperandError("operand 1 non-string value found in pattern object")
        pairs.append((key, value))
    pairs.sort()
    context.spend((1 + len(text)) * len(pairs) >> 6)
    if not pairs:
        return text
    if not pairs[0][0]:
        return _replaced_bytes(context, text, pairs)
    known = dict(pairs)
    check_string(len(text) * max(1, max(map(len, known.values()))) if len(text) > 1 << 16 else 0)
    pattern = re.compile("|".join(re.escape(key) for key, _ in pairs))
    result = pattern.sub(lambda match: known[match.group()], text)
    check_string(len(result))
    return result


def _replaced_bytes(context: Context, text: str, pairs: Sequence[tuple[str, str]]) -> str:
    """Replace as Go does where one of what is replaced is empty: it is found between all bytes."""
    data = encoded(text)
    fresh = encoded(pairs[0][1])
    others = [(encoded(old), encoded(new)) for old, new in pairs[1:]]
    context.spend(1 + len(data) * (1 + len(others)))
    parts: list[bytes] = []
    size = at = 0
    while at <= len(data):
        parts.append(fresh)
        size += len(fresh)
        for old, new in others:
            if data.startswith(old, at):
                parts.append(new)
                at += len(old)
                break
        else:
            parts.append(data[at : at + 1])
            at += 1
            continue
        size += len(parts[-1])
        check_string(size)
        if at == len(data):
            parts.append(fresh)
            break
    check_string(size + len(data))
    return decoded(b"".join(parts))


@builtin("strings.reverse", (STRING,), STRING, needs_context=True)
def reverse(context: Context, text: Any) -> str:
    """Return the characters from the last to the first."""
    check_texts(text)
    context.spend(1 + (len(text) >> 7))
    return text[::-1]  # type: ignore[no-any-return]


@builtin("trim", (STRING, STRING), STRING, needs_context=True)
def trim(context: Context, text: Any, characters: Any) -> str:
    """Return the text without any of these characters at either end."""
    check_texts(text, characters)
    context.spend(1 + (len(text) >> 7))
    return text.strip(characters)  # type: ignore[no-any-return]


@builtin("trim_left", (STRING, STRING), STRING, needs_context=True)
def trim_left(context: Context, text: Any, characters: Any) -> str:
    """Return the text without any of these characters at its start."""
    check_texts(text, characters)
    context.spend(1 + (len(text) >> 7))
    return text.lstrip(characters)  # type: ignore[no-any-return]


@builtin("trim_right", (STRING, STRING), STRING, needs_context=True)
def trim_right(context: Context, text: Any, characters: Any) -> str:
    """Return the text without any of these characters at its end."""
    check_texts(text, characters)
    context.spend(1 + (len(text) >> 7))
    return text.rstrip(characters)  # type: ignore[no-any-return]


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


@builtin("sprintf", (STRING, ARRAY_OF_ANY), STRING, needs_context=True)
def sprintf_(context: Context, template: Any, values: Any) -> str:
    """Return the template with its verbs replaced, as Go's ``fmt.Sprintf`` does."""
    check_texts(template)
    if values.__class__ is not list:
        raise operand_error(2, values, "array")
    result = sprintf(template, values)
    context.spend(2 + len(values) + (len(result) >> 5))
    return result


@builtin("internal.template_string", (ARRAY_OF_ANY,), STRING, needs_context=True)
def template_string(context: Context, parts: Any) -> str:
    """Return the parts of a template string: texts, and sets of at most one value, none being undefined."""
    if parts.__class__ is not list:
        raise operand_error(1, parts, "array")
    texts: list[str] = []
    for part in parts:
        found = part
        if part.__class__ is RegoSet:
            if not len(part):
                texts.append("<undefined>")
                continue
            found = members_in_order(part)[0]
        texts.append(found if found.__class__ is str else term_text(found))
    size = sum(map(len, texts))
    check_string(size)
    context.spend(len(texts) + (size >> 6))
    return "".join(texts)


def _understood(context: Context, template: Any) -> None:
    from webhook.rego.go.templates import check

    check_texts(template)
    check(context, template)


@builtin(
    "strings.render_template",
    (STRING, Object((), (STRING, ANY))),
    STRING,
    needs_context=True,
    constants={0: _understood},
)
def render_template(context: Context, template: Any, values: Any) -> str:
    """Return a template of Go with values put in."""
    from webhook.rego.go.templates import render

    check_texts(template)
    if values.__class__ is not dict and values.__class__ is not RegoObject:
        raise operand_error(2, values, "object")
    return render(context, template, to_json(values)).replace("<no value>", "<undefined>")

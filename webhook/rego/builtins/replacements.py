"""Parts of strings replaced, as Go's ``strings.ReplaceAll`` and ``strings.Replacer`` do."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from webhook.rego.builtins.declaration import builtin
from webhook.rego.builtins.operands import check_object, check_texts, operand_error
from webhook.rego.context import Context, OperandError, check_string
from webhook.rego.raw_text import decoded, encoded
from webhook.rego.types import STRING, Object
from webhook.rego.values import entries


@builtin("replace", (STRING, STRING, STRING), STRING, needs_context=True)
def replace(context: Context, text: Any, old: Any, new: Any) -> str:
    """Return the text with every `old` replaced."""
    check_texts(text, old, new)
    if not old:
        return _replaced_bytes(context, text, [("", new)])
    size = len(text)
    if len(new) > len(old):
        size += (len(new) - len(old)) * text.count(old)
        check_string(size)
    context.spend(size >> 7)
    return text.replace(old, new)  # type: ignore[no-any-return]


@builtin("strings.replace_n", (Object((), (STRING, STRING)), STRING), STRING, needs_context=True)
def replace_n(context: Context, patterns: Any, text: Any) -> str:
    """Return the text with each key of an object replaced by its value, left to right, first key first."""
    check_object(patterns, 1)
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

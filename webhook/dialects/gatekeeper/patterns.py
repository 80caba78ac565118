"""Regular expressions in Go's syntax, matched in linear time."""

from __future__ import annotations

import functools
import re
from typing import Any

_MEMORY = 8 << 20
_BYTE = re.compile(r"(?<!\\)(?:\\\\)*\\C")
"""One byte, which RE2 has and Go's syntax hasn't."""


@functools.lru_cache(maxsize=512)
def compile_pattern(text: str) -> Any:
    """Return a pattern, whose `search` looks for it in a text.

    Raises:
        ValueError: it is none; the text says why.
    """
    import re2

    if _BYTE.search(text):
        raise ValueError(f"{text!r} is no regular expression: invalid escape sequence: \\C")
    options = re2.Options()
    options.max_mem = _MEMORY
    options.log_errors = False
    try:
        return re2.compile(text, options)
    except re2.error as error:
        said = error.args[0] if error.args else ""
        why = said.decode("utf-8", "replace") if isinstance(said, bytes) else str(said)
        raise ValueError(f"{text!r} is no regular expression: {why}") from None

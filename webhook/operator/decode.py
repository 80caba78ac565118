"""Decodes the JSON of an API server, which takes objects nested far deeper than JSON is read elsewhere."""

from __future__ import annotations

import re
from typing import Any

import orjson

_DEEPEST = 300  # deeper than what a snapshot can keep, so that such an object is known as one that it can't
_TOKEN = re.compile(rb'"(?:[^"\\]++|\\.)*+"|[\[\]{}]', re.DOTALL)


def decode(raw: bytes) -> Any:
    """Return the value of a JSON text; whatever in it is nested too deeply is null.

    One object must not keep all others of a list from being read: anyone who may write a Policy may nest its
    params as deeply as he likes.

    Raises:
        ValueError: it is no JSON.
    """
    try:
        return orjson.loads(raw)
    except orjson.JSONDecodeError:
        return orjson.loads(_shallow(raw))


def _shallow(raw: bytes) -> bytes:
    kept = []
    depth = start = 0
    for token in _TOKEN.finditer(raw):
        mark = token[0]
        if mark in (b"[", b"{"):
            depth += 1
            if depth == _DEEPEST:
                kept += [raw[start : token.start()], b"null"]
        elif mark in (b"]", b"}"):
            if depth == _DEEPEST:
                start = token.end()
            depth -= 1
    kept.append(raw[start:])
    return b"".join(kept)

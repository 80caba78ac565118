"""RFC 8785 canonical JSON, for digests and fingerprints that anyone can compute again."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from json.encoder import encode_basestring
from typing import Any

_MAX_SAFE_INTEGER = 2**53 - 1


def canonical_json(value: Any) -> bytes:
    """Return `value` as RFC 8785 JSON.

    Args:
        value: JSON data without floats: the kinds that are digested have none by their schemas.

    Raises:
        ValueError: a float, an integer that JSON can't carry exactly, a lone surrogate, or a type that JSON
            doesn't have.
    """
    try:
        return _encode(value).encode("utf-8")
    except UnicodeEncodeError as error:
        raise ValueError(f"a string holds a lone surrogate at {error.start}") from None


def _encode(value: Any) -> str:
    if isinstance(value, str):
        return encode_basestring(value)  # what json.dumps calls with ensure_ascii=False
    if value is None or isinstance(value, bool):
        return json.dumps(value)
    if isinstance(value, int):
        if abs(value) > _MAX_SAFE_INTEGER:
            raise ValueError(f"{value} is beyond the integers that JSON carries exactly")
        return str(value)
    if isinstance(value, Mapping):
        # RFC 8785, 3.2.3: by UTF-16 code units, not by code points.
        keys = sorted(value, key=lambda key: key.encode("utf-16-be", "surrogatepass"))
        return "{" + ",".join(f"{_encode(key)}:{_encode(value[key])}" for key in keys) + "}"
    if isinstance(value, Sequence) and not isinstance(value, bytes | bytearray):
        return "[" + ",".join(_encode(item) for item in value) + "]"
    raise ValueError(f"{type(value).__name__} has no canonical JSON here")

"""A review's body decoded, its numbers as Kubernetes reads them."""

from __future__ import annotations

from typing import Any, Final

import orjson

_LARGEST: Final = 2**63 - 1
_DIGITS: Final = bytes(48 if 48 <= code < 58 else 32 for code in range(256))
_LONG: Final = b"0" * 19  # no integer with fewer digits is too large


def decode(body: bytes) -> Any:
    """Return what a JSON text holds.

    An integer that 64 bits hold only without a sign is a double to Kubernetes, as larger ones are to both.

    Raises:
        orjson.JSONDecodeError: it is no JSON.
    """
    value = orjson.loads(body)
    if _LONG in body.translate(_DIGITS):
        value = [value]
        _round(value)
        return value[0]
    return value


def _round(value: Any) -> None:
    waiting = [value]
    while waiting:
        container = waiting.pop()
        for key, item in container.items() if container.__class__ is dict else enumerate(container):
            if item.__class__ is int:
                if item > _LARGEST:
                    container[key] = float(item)
            elif item.__class__ is dict or item.__class__ is list:
                waiting.append(item)

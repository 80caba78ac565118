"""Gives numbers the texts that they have after a way through Go's ``float64``.

Gatekeeper decodes what is judged into Go's own values before OPA sees it, so every number there is a
``float64``, and OPA writes it as ``strconv.FormatFloat(n, 'g', -1, 64)`` does: 999999, but 1e+06 and
1.0007e+09 (``toInterfaceMap`` in its driver and ``ast.InterfaceToValue`` in OPA).
"""

from __future__ import annotations

import math
from typing import Any, Final

from webhook.core.errors import EvaluationError
from webhook.rego.go.decimal_digits import shortest_text
from webhook.rego.numbers import number_of

_PLAIN: Final = 1_000_000  # an integer below it has the same text


def through_float64(value: Any) -> Any:
    """Return JSON with every number as it is after a ``float64``; what has no other number is kept as it is.

    Raises:
        EvaluationError: an integer is larger than any ``float64``.
    """
    return _changed(value) if _has_others([value]) else value


def _has_others(level: list[Any]) -> bool:
    """Tell whether a number may have another text; nearly everything that is judged has none."""
    for container in level:  # grows meanwhile
        for item in container.values() if container.__class__ is dict else container:
            kind = item.__class__
            if kind is str:
                continue
            if kind is dict or kind is list:
                level.append(item)
            elif kind is float or (kind is int and not -_PLAIN < item < _PLAIN):
                return True
    return False


def _changed(value: Any) -> Any:
    kind = value.__class__
    if kind is dict:
        return {name: _changed(item) for name, item in value.items()}
    if kind is list:
        return [_changed(item) for item in value]
    if kind is float or (kind is int and not -_PLAIN < value < _PLAIN):
        return _number(value)
    return value


def _number(value: float) -> Any:
    try:
        near = float(value)
    except OverflowError:
        raise EvaluationError("a number in the request is too large for a float64") from None
    return number_of(shortest_text(near)) if math.isfinite(near) else value

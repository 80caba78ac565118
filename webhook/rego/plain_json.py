"""Values as plain data of JSON, as other libraries read them."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

from webhook.rego.metering import pay
from webhook.rego.order import entries_in_order, members_in_order
from webhook.rego.values import RegoObject, RegoSet, Value, size


def to_json(value: Value) -> Any:
    """Return `value` as plain JSON data: sets as arrays in order, other keys as JSON text.

    Raises:
        BudgetExceeded: it is too large; see `size`.
    """
    pay(3 * size(value))  # it is copied, too
    return _to_json(value)


def _to_json(value: Value) -> Any:
    kind = value.__class__
    if kind is list:
        return [_to_json(v) for v in value]
    if kind is dict:
        return {k: _to_json(v) for k, v in value.items()}
    if kind is RegoSet:
        return [_to_json(v) for v in members_in_order(value)]
    if kind is RegoObject:
        return {
            k if k.__class__ is str else _json_text(_to_json(k)): _to_json(v)
            for k, v in entries_in_order(value)
        }
    return value


def _json_text(value: Any) -> str:
    if value.__class__ is Decimal:
        return str(value)
    return json.dumps(value, separators=(",", ":"), sort_keys=True, ensure_ascii=False, default=str)

"""Values of Go that were read from YAML as JSON, the way ``sigs.k8s.io/yaml`` goes."""

from __future__ import annotations

import math
import struct
from decimal import Decimal
from typing import Any

from webhook.rego.context import BuiltinError
from webhook.rego.go.decimal_digits import general_text, shortest_text
from webhook.rego.numbers import Number, number_of
from webhook.rego.raw_text import printable
from webhook.rego.value_text import quote


def as_json(value: Any) -> Any:
    """Return a value of Go as its JSON.

    Raises:
        BuiltinError: it has none.
    """
    kind = value.__class__
    if kind is dict:
        return {_key(key, item): as_json(item) for (_, key), item in value.items()}
    if kind is list:
        return [as_json(item) for item in value]
    if kind is str:
        return printable(value)
    if kind is float:
        if not math.isfinite(value):
            raise BuiltinError(f"json: unsupported value: {go_syntax(value)}")
        return _json_number(value)
    return value


def _key(key: Any, item: Any) -> str:
    """Return a key of a map as JSON has it."""
    kind = key.__class__
    if kind is str:
        return printable(key)
    if kind is bool:
        return "true" if key else "false"
    if kind is float:
        return _float32_text(key)
    if kind is int and key < 1 << 63:
        return str(key)
    name = "%!s(<nil>)" if key is None else "uint64"
    shown = f"{go_syntax(key)}, value: {go_syntax(item)}"
    raise BuiltinError(f"unsupported map key of type: {name}, key: {shown}")


def _float32_text(value: float) -> str:
    """Return ``strconv.FormatFloat(value, 'g', -1, 32)``, infinite ones and none as YAML has them."""
    near = _float32(value)
    if math.isnan(near):
        return ".nan"
    sign = "-" if math.copysign(1, near) < 0 else ""
    if math.isinf(near):
        return f"{sign}.inf"
    if near == 0:
        return f"{sign}0"
    texts = (f"{abs(near):.{digits}e}" for digits in range(9))
    text = next(text for text in texts if _float32(float(text)) == abs(near))
    mantissa, _, exponent = text.partition("e")
    return sign + general_text(mantissa.replace(".", ""), int(exponent) + 1)


def _float32(value: float) -> float:
    try:
        return struct.unpack("<f", struct.pack("<f", value))[0]  # type: ignore[no-any-return]
    except OverflowError:
        return math.copysign(math.inf, value)


def go_syntax(value: Any, *, inside: bool = False) -> str:
    """Return a value as Go's ``%#v`` writes it."""
    kind = value.__class__
    if value is None:
        return "interface {}(nil)" if inside else "<nil>"
    if kind is bool:
        return "true" if value else "false"
    if kind is str:
        return quote(value)
    if kind is int:
        return str(value) if value < 1 << 63 else hex(value)
    if kind is float:
        if math.isfinite(value):
            return shortest_text(value)
        return "NaN" if math.isnan(value) else "+Inf" if value > 0 else "-Inf"
    if kind is list:
        return "[]interface {}{" + ", ".join(go_syntax(item, inside=True) for item in value) + "}"
    pairs = [
        f"{go_syntax(key, inside=True)}:{go_syntax(item, inside=True)}" for (_, key), item in value.items()
    ]
    return "map[interface {}]interface {}{" + ", ".join(sorted(pairs)) + "}"


def _json_number(value: float) -> Number:
    """Return a float as Go's JSON writes it: without an exponent from 1e-6 up to 1e21."""
    if value == 0:
        return number_of("-0") if math.copysign(1, value) < 0 else 0
    text = shortest_text(value)
    if 1e-6 <= abs(value) < 1e21:
        return number_of(f"{Decimal(repr(value)):f}".removesuffix(".0"))
    head, _, exponent = text.partition("e")
    return number_of(f"{head}e{exponent[0]}{exponent[1:].lstrip('0')}")

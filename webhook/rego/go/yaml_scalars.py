"""What scalars of YAML mean to OPA's library (``go.yaml.in/yaml/v2``): as in YAML 1.1, mostly."""

from __future__ import annotations

import math
import re
from typing import Any, Final

from webhook.rego.context import BuiltinError
from webhook.rego.go.time_reader import read

_WORDS: Final[dict[str, tuple[str, Any]]] = {
    **dict.fromkeys(
        ["y", "Y", "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON"], ("!!bool", True)
    ),
    **dict.fromkeys(
        ["n", "N", "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF"], ("!!bool", False)
    ),
    **dict.fromkeys(["", "~", "null", "Null", "NULL"], ("!!null", None)),
    **dict.fromkeys([".nan", ".NaN", ".NAN"], ("!!float", math.nan)),
    **dict.fromkeys([".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF"], ("!!float", math.inf)),
    **dict.fromkeys(["-.inf", "-.Inf", "-.INF"], ("!!float", -math.inf)),
}
_RESOLVABLE: Final = frozenset(["", "!!str", "!!bool", "!!int", "!!float", "!!null", "!!timestamp"])
_FLOAT: Final = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_INTEGER: Final = re.compile(r"[-+]?(?:0[bB][01]+|0[xX][0-9a-fA-F]+|0[oO]?[0-7]+|0|[1-9][0-9]*)")
_POINTED: Final = re.compile(r"\.[0-9]+(?:_[0-9]+)*(?:[eE][-+]?[0-9]+(?:_[0-9]+)*)?")
_SIGNED_BITS: Final = re.compile(r"0b([-+][01]+)")
_MAX_NUMBER: Final = 4000
_DATE: Final = re.compile(r"[0-9]{4}-")
_TIMES: Final = (
    "2006-1-2T15:4:5.999999999Z07:00",
    "2006-1-2t15:4:5.999999999Z07:00",
    "2006-1-2 15:4:5.999999999",
    "2006-1-2",
)


def resolve(text: str, tag: str = "") -> tuple[str, Any]:
    """Return the tag that a scalar has, and its value; times stay texts.

    Args:
        text: the scalar.
        tag: the tag that is written, ``!!int``; empty: none, and the scalar is plain.

    Raises:
        BuiltinError: it is nothing of that tag.
    """
    if tag not in _RESOLVABLE:
        return tag, text
    found: str
    value: Any
    found, value = ("!!str", text) if tag == "!!str" else _plain(text, timed=tag in ("", "!!timestamp"))
    if tag in ("", found):
        return found, value
    if tag == "!!float" and found == "!!int" and value < 1 << 63:
        return tag, float(value)
    raise BuiltinError(f"yaml: cannot decode {found} `{text}` as a {tag}")


def _plain(text: str, *, timed: bool) -> tuple[str, Any]:
    if text in _WORDS:
        return _WORDS[text]
    if text[0] not in "+-.0123456789" or len(text) > _MAX_NUMBER:
        return "!!str", text
    if timed and is_time(text):
        return "!!timestamp", text
    plain = text.replace("_", "")
    if _INTEGER.fullmatch(plain):
        value = _integer(plain)
        if -(1 << 63) <= value < 1 << 64:
            return "!!int", value
    if _POINTED.fullmatch(text) if text[0] == "." else _FLOAT.fullmatch(plain):
        near = float(plain)
        return ("!!str", text) if math.isinf(near) else ("!!float", near)
    signed = _SIGNED_BITS.fullmatch(plain)
    if signed is not None and len(signed[1]) <= 64:
        return "!!int", int(signed[1], 2)
    return "!!str", text


def _integer(text: str) -> int:
    sign = -1 if text[0] == "-" else 1
    digits = text.lstrip("+-").lower()
    if digits.startswith(("0x", "0b", "0o")):
        return sign * int(digits, 0)
    return sign * int(digits, 8 if digits.startswith("0") and digits != "0" else 10)


def is_time(text: str) -> bool:
    """Tell whether a plain scalar is a time."""
    if not _DATE.match(text) or len(text) > 40:
        return False
    for layout in _TIMES:
        try:
            read(layout, text)
        except BuiltinError:
            continue
        return True
    return False

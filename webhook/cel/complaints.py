"""Says what is wrong with a call's values in the words of Kubernetes' CEL, which end in its denials."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from webhook.cel.values import Duration, Timestamp, Type, UInt, type_name
from webhook.core.errors import EvaluationError

_GO_TYPES: Final[dict[type, str]] = {
    type(None): "types.Null",
    bool: "types.Bool",
    int: "types.Int",
    UInt: "types.Uint",
    float: "types.Double",
    str: "types.String",
    bytes: "types.Bytes",
    Timestamp: "types.Timestamp",
    Duration: "types.Duration",
    Type: "*types.Type",
}
_GO_KEYS: Final[dict[type, str]] = {
    type(None): "<nil>",
    list: "[]interface {}",
    dict: "map[string]interface {}",
}

# A value that knows an operator complains of the other one without a name; for any other value CEL itself
# complains, and names the operator. Strings and times are asked before that happens.
_ASKED: Final = frozenset((str, Timestamp, Duration))
_ADDED: Final = _ASKED | {int, UInt, float}
_COMPARED: Final = _ADDED | {bool, bytes}
_OPERATORS: Final[dict[str, tuple[str, frozenset[type]]]] = {
    "+": ("_+_", _ADDED | {bytes, list}),
    "-": ("_-_", _ADDED),
    "*": ("_*_", _ADDED),
    "/": ("_/_", _ADDED),
    "%": ("_%_", _ASKED | {int, UInt}),
    "neg": ("-_", _ADDED | {bool}),
    "<": ("_<_", _COMPARED),
    "<=": ("_<=_", _COMPARED),
    ">": ("_>_", _COMPARED),
    ">=": ("_>=_", _COMPARED),
    "size": ("size", frozenset((str,))),
    "sort": ("sort", frozenset((str,))),
    "matches": ("matches", _ASKED),
}
_NAMELESS: Final = frozenset(("in", "startsWith", "endsWith", "contains"))
PATTERNED: Final = {name: f"{name} of a literal" for name in ("matches", "find", "findAll")}
"""What these functions are called where their pattern is a literal: such calls complain in another way."""


class NoOverload(EvaluationError):  # noqa: N818 - CEL's word
    """A function isn't made for these values; its caller, who has them all, says so in Kubernetes' words."""


def no_such_overload(name: str, args: Sequence[Any]) -> str:
    """Return what is said of a function that isn't made for its values.

    Args:
        name: the function's; operators by their signs.
        args: the values, a method's receiver first.
    """
    if name in _OPERATORS:
        shown, known = _OPERATORS[name]
        return "no such overload" if args[0].__class__ in known else f"no such overload: {shown}"
    if name in _NAMELESS or name in PATTERNED.values():
        return "no such overload"
    return f"no such overload: {name}({', '.join(map(type_name, args))})"


def not_iterable(value: Any) -> str:
    """Return what is said of a value that a macro such as ``all`` can't go through."""
    return f"got '{_go_type(value)}', expected iterable type"


def no_key(value: Any) -> str:
    """Return what is said of an index that can be neither a key of a map nor a position in a list."""
    return f"invalid qualifier type: {_GO_KEYS.get(value.__class__) or _go_type(value)}"


def _go_type(value: Any) -> str:
    return _GO_TYPES.get(value.__class__) or type_name(value).replace("kubernetes.", "cel.")

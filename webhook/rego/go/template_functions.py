"""The functions of Go's text templates, and how values in them are printed and tested."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from webhook.rego.context import BuiltinError
from webhook.rego.numbers import text_of


class _NoValue:
    """What a key gives that isn't there."""


NO_VALUE: Final = _NoValue()


def truth(value: Any) -> bool:
    """Tell whether ``if`` takes a value for true."""
    if value is None or value is NO_VALUE:
        return False
    if isinstance(value, str | list | dict):
        return len(value) > 0
    return bool(value)


def shown(value: Any, *, inside: bool = False) -> str:
    """Return a value as Go prints it."""
    if value is NO_VALUE:
        return "<no value>"
    if value is None:
        return "<nil>" if inside else "<no value>"
    if value is True or value is False:
        return "true" if value else "false"
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        return "[" + " ".join(shown(item, inside=True) for item in value) + "]"
    if isinstance(value, dict):
        return "map[" + " ".join(f"{k}:{shown(v, inside=True)}" for k, v in sorted(value.items())) + "]"
    return text_of(value)


def _length(value: Any) -> int:
    if isinstance(value, str):
        return len(value.encode("utf-8", "replace"))
    if isinstance(value, list | dict):
        return len(value)
    raise BuiltinError(f"template: template: error calling len: len of type {shown(value)}")


def _same(first: Any, *others: Any) -> bool:
    for other in others:
        if first.__class__ is not other.__class__ or not isinstance(first, str | int):
            raise BuiltinError(
                'template: template:1: executing "template": error calling eq: '
                "incompatible types for comparison"
            )
    return any(first == other for other in others)


FUNCTIONS: Final[dict[str, Callable[..., Any]]] = {
    "len": _length,
    "not": lambda value: not truth(value),
    "and": lambda *values: next((value for value in values if not truth(value)), values[-1]),
    "or": lambda *values: next((value for value in values if truth(value)), values[-1]),
    "eq": _same,
    "ne": lambda first, other: not _same(first, other),
}
OTHERS: Final = frozenset(
    ("call", "ge", "gt", "html", "index", "js", "le", "lt", "print", "printf", "println", "slice", "urlquery")
)
"""Go's own functions that aren't here."""

"""Fields of Gatekeeper's manifests, read as what they must be or refused with their place."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from webhook.core.errors import CompileError

Object = Mapping[str, Any]


def mapping(owner: Object, name: str, field: str) -> Object:
    """Return a field that is a map; empty where it is missing.

    Raises:
        CompileError: it is something else.
    """
    value = owner.get(name)
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise CompileError("must be a map", f"{field}.{name}")
    return value


def mappings(owner: Object, name: str, field: str) -> list[Object]:
    """Return a field that is a list of maps; empty where it is missing.

    Raises:
        CompileError: it is something else.
    """
    value = owner.get(name)
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(item, Mapping) for item in value):
        raise CompileError("must be a list of maps", f"{field}.{name}")
    return value


def texts(owner: Object, name: str, field: str) -> tuple[str, ...]:
    """Return a field that is a list of strings; empty where it is missing.

    Raises:
        CompileError: it is something else.
    """
    value = owner.get(name)
    if value is None:
        return ()
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise CompileError("must be a list of strings", f"{field}.{name}")
    return tuple(value)


def text(owner: Object, name: str, field: str) -> str:
    """Return a field that is a string; empty where it is missing.

    Raises:
        CompileError: it is something else.
    """
    value = owner.get(name)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise CompileError("must be a string", f"{field}.{name}")
    return value


def flag(owner: Object, name: str, field: str, *, default: bool) -> bool:
    """Return a field that is true or false.

    Raises:
        CompileError: it is something else.
    """
    value = owner.get(name)
    if value is None:
        return default
    if not isinstance(value, bool):
        raise CompileError("must be true or false", f"{field}.{name}")
    return value

"""Fields of objects that may hold anything: read as what they must be, or refused with their names."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from webhook.core.times import parse_time


def metadata_of(obj: Mapping[str, Any] | None) -> Mapping[str, Any]:
    """Return the metadata of an object; empty where it has none or it is no map."""
    metadata = obj.get("metadata") if obj else None
    # Asked first for what it nearly always is: a look at an abstract class costs ten times as much.
    return metadata if metadata.__class__ is dict or isinstance(metadata, Mapping) else {}


def generation_of(obj: Mapping[str, Any]) -> int:
    """Return the generation that the API server gave an object; 0 where there is none."""
    generation = metadata_of(obj).get("generation")
    return generation if isinstance(generation, int) else 0


def created_of(obj: Mapping[str, Any]) -> datetime | None:
    """Return when the API server created an object; None where nothing says so, as in files."""
    created = metadata_of(obj).get("creationTimestamp")
    try:
        return parse_time(created) if isinstance(created, str) else None
    except ValueError:
        return None


def texts(owner: Mapping[str, Any], name: str, field: str) -> tuple[str, ...]:
    """Return a field that is a list of strings; empty where it is missing.

    Raises:
        ValueError: it is something else. A text alone would be taken for the list of its characters.
    """
    value = owner.get(name)
    if value is None:
        return ()
    if not isinstance(value, list | tuple) or not all(isinstance(item, str) for item in value):
        raise ValueError(f"{field}.{name}: must be a list of strings")
    return tuple(value)


def maps(owner: Mapping[str, Any], name: str, field: str) -> tuple[Mapping[str, Any], ...]:
    """Return a field that is a list of maps; empty where it is missing.

    Raises:
        ValueError: it is something else.
    """
    value = owner.get(name)
    if value is None:
        return ()
    if not isinstance(value, list | tuple) or not all(isinstance(item, Mapping) for item in value):
        raise ValueError(f"{field}.{name}: must be a list of maps")
    return tuple(value)


def map_in(owner: Mapping[str, Any], name: str, field: str) -> Mapping[str, Any]:
    """Return a field that is a map; empty where it is missing.

    Raises:
        ValueError: it is something else.
    """
    value = owner.get(name)
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise ValueError(f"{field}: must be a map" if field == name else f"{field}.{name}: must be a map")
    return value

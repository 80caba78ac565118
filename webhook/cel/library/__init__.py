"""The function libraries of Kubernetes' CEL: one module a family, gathered here by name.

`FUNCTIONS` are the global functions, operators among them by their signs; `METHODS` are called on a
receiver, which their implementation takes first; `TYPES` are the identifiers that name a type; `NAMESPACES`
are the names before the dot of functions such as ``sets.contains``.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from webhook.cel.library import (
    addresses,
    authorization,
    conversions,
    formats,
    formatting,
    lists,
    operators,
    optionals,
    quantity,
    regex,
    semver,
    sets,
    strings,
    times,
    urls,
)
from webhook.cel.library.function import MAX_LIST, MAX_STRING, Function, Library
from webhook.cel.values import Type

__all__ = ["FUNCTIONS", "MAX_LIST", "MAX_STRING", "METHODS", "NAMESPACES", "TYPES", "Function"]

_LIBRARIES: Final[tuple[Library, ...]] = (
    operators.LIBRARY,
    conversions.LIBRARY,
    strings.LIBRARY,
    formatting.LIBRARY,
    lists.LIBRARY,
    sets.LIBRARY,
    regex.LIBRARY,
    urls.LIBRARY,
    addresses.LIBRARY,
    quantity.LIBRARY,
    formats.LIBRARY,
    semver.LIBRARY,
    times.LIBRARY,
    optionals.LIBRARY,
    authorization.LIBRARY,
)


def _gather(kind: str) -> Mapping[str, Function]:
    found: dict[str, Function] = {}
    for library in _LIBRARIES:
        for name, function in getattr(library, kind).items():
            if name in found:
                raise RuntimeError(f"{name} is declared twice")
            found[name] = function
    return MappingProxyType(found)


FUNCTIONS: Final = _gather("functions")
METHODS: Final = _gather("methods")

_TYPE_IDENTIFIERS: Final = (
    "bool", "bytes", "double", "int", "list", "map", "null_type", "optional_type", "string", "type", "uint",
    "google.protobuf.Duration", "google.protobuf.Timestamp", "net.CIDR", "net.IP",
)  # fmt: skip
TYPES: Final[Mapping[str, Type]] = MappingProxyType({name: Type(name) for name in _TYPE_IDENTIFIERS})
NAMESPACES: Final = frozenset(
    name.partition(".")[0] for name in FUNCTIONS if name[:1].isalpha() and "." in name
)

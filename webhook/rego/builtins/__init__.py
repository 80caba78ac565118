"""OPA's builtins: each family a module, each function beside its declaration."""

from __future__ import annotations

from webhook.rego.builtins import (
    aggregates,
    arithmetic,
    collections,
    crypto,
    encoding,
    formatted,
    globs,
    graphql,
    json_texts,
    kinds,
    misc,
    networks,
    objects,
    patches,
    paths,
    regex,
    replacements,
    schemas,
    strings,
    times,
    token_checks,
    tokens,
    uris,
    urlqueries,
    versions,
    x509,
    yaml_texts,
)
from webhook.rego.builtins.declaration import DECLARATIONS, REFUSED, Declaration
from webhook.rego.context import BuiltinError, Context, Halt

__all__ = [
    "DECLARATIONS",
    "FAMILIES",
    "REFUSED",
    "BuiltinError",
    "Context",
    "Declaration",
    "Halt",
]

FAMILIES = (
    aggregates,
    arithmetic,
    collections,
    crypto,
    encoding,
    formatted,
    globs,
    graphql,
    json_texts,
    kinds,
    misc,
    networks,
    objects,
    patches,
    paths,
    regex,
    replacements,
    schemas,
    strings,
    times,
    token_checks,
    tokens,
    uris,
    urlqueries,
    versions,
    x509,
    yaml_texts,
)
"""The modules that declare builtins."""

"""The words that schemas are written in; a small part of what a CustomResourceDefinition can say."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule that types alone can't say.

    Attributes:
        cel: the rule as the API server judges it; see
            https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/#validation-rules.
        message: what must hold, for a person.
        holds: the same rule offline; None for one that compares with the old object, which only the API
            server has.
        at: the field that is at fault, as ``.validUntil``; empty for the whole value.
    """

    cel: str
    message: str
    holds: Callable[[Any], bool] | None
    at: str = ""


@dataclass(frozen=True, slots=True)
class Schema:
    """What one value may be.

    Attributes:
        type: as in OpenAPI.
        description: what it is for.
        fields: the fields of an object.
        required: the names of those that must be given.
        items: the elements of a list.
        values: the values of a map with free keys.
        open: an object that may hold anything.
        choices: the only values.
        pattern: an RE2 expression that a text must match.
        format: ``date-time`` for an RFC 3339 time.
        min_size: the fewest characters or elements.
        max_size: the most characters, elements or entries; the API server bounds the cost of rules by it.
        minimum: the least number.
        maximum: the greatest number.
        list_type: ``atomic``, ``set`` or ``map``, as server-side apply merges it.
        keys: the fields that make an element of a ``map`` list unique.
        rules: what else must hold.
    """

    type: Literal["string", "boolean", "integer", "array", "object"]
    description: str
    fields: Mapping[str, Schema] = field(default_factory=dict)
    required: tuple[str, ...] = ()
    items: Schema | None = None
    values: Schema | None = None
    open: bool = False
    choices: tuple[str, ...] = ()
    pattern: str = ""
    format: str = ""
    min_size: int = 0
    max_size: int = 0
    minimum: int | None = None
    maximum: int | None = None
    list_type: Literal["", "atomic", "set", "map"] = ""
    keys: tuple[str, ...] = ()
    rules: tuple[Rule, ...] = ()


@dataclass(frozen=True, slots=True)
class Column:
    """What ``kubectl get`` prints beside the name."""

    name: str
    path: str
    type: Literal["string", "integer", "boolean", "date"] = "string"
    description: str = ""
    priority: int = 0


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of the group.

    Attributes:
        kind: its name.
        plural: the name of its resource.
        short_name: for people who type.
        namespaced: it lies in a namespace.
        description: what it is for.
        spec: its spec.
        status: its status.
        columns: what ``kubectl get`` prints.
        example: a whole manifest for the documentation.
    """

    kind: str
    plural: str
    short_name: str
    namespaced: bool
    description: str
    spec: Schema
    status: Schema
    columns: tuple[Column, ...]
    example: str = ""


def text(
    description: str,
    *,
    longest: int = 253,
    shortest: int = 1,
    pattern: str = "",
    choices: tuple[str, ...] = (),
    rules: tuple[Rule, ...] = (),
) -> Schema:
    """Return the schema of a string, which may not be empty unless `shortest` is 0."""
    if choices:
        return Schema("string", description, choices=choices, rules=rules)
    return Schema("string", description, pattern=pattern, min_size=shortest, max_size=longest, rules=rules)


def flag(description: str) -> Schema:
    """Return the schema of a boolean."""
    return Schema("boolean", description)


def integer(description: str, minimum: int = 0, maximum: int | None = None) -> Schema:
    """Return the schema of an integer."""
    return Schema("integer", description, minimum=minimum, maximum=maximum)


def listing(
    items: Schema,
    description: str,
    *,
    longest: int,
    shortest: int = 0,
    kind: Literal["atomic", "set", "map"] = "atomic",
    keys: tuple[str, ...] = (),
    rules: tuple[Rule, ...] = (),
) -> Schema:
    """Return the schema of a list."""
    return Schema(
        "array",
        description,
        items=items,
        min_size=shortest,
        max_size=longest,
        list_type=kind,
        keys=keys,
        rules=rules,
    )


def record(
    description: str,
    fields: Mapping[str, Schema],
    *,
    required: tuple[str, ...] = (),
    rules: tuple[Rule, ...] = (),
) -> Schema:
    """Return the schema of an object with named fields."""
    return Schema("object", description, fields=fields, required=required, rules=rules)


def mapping(values: Schema, description: str, *, longest: int) -> Schema:
    """Return the schema of a map with free keys."""
    return Schema("object", description, values=values, max_size=longest)

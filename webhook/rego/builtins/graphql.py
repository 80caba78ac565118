"""Functions of GraphQL: queries and schemas parsed, schemas checked."""

from __future__ import annotations

from typing import Any, Final

from webhook.rego.builtins.declaration import REFUSED, builtin
from webhook.rego.builtins.operands import check_texts
from webhook.rego.context import BuiltinError, Context
from webhook.rego.plain_json import to_json
from webhook.rego.types import ANY, BOOLEAN, STRING, Object, Union

_OBJECT: Final = Object((), (ANY, ANY))

REFUSED.update(
    dict.fromkeys(
        ("graphql.is_valid", "graphql.parse", "graphql.parse_and_verify"),
        "queries aren't checked against schemas here: graphql.parse_query, graphql.parse_schema and "
        "graphql.schema_is_valid are there",
    )
)


@builtin("graphql.parse_query", (STRING,), _OBJECT, needs_context=True)
def parse_query(context: Context, text: Any) -> dict[str, Any]:
    """Return the tree of a query."""
    from webhook.rego.go.graphql.parser import pruned
    from webhook.rego.go.graphql.queries import QueryParser

    check_texts(text)
    return pruned(QueryParser(context, text).document())  # type: ignore[no-any-return]


@builtin("graphql.parse_schema", (STRING,), _OBJECT, needs_context=True)
def parse_schema(context: Context, text: Any) -> dict[str, Any]:
    """Return the tree of a schema."""
    from webhook.rego.go.graphql.parser import pruned
    from webhook.rego.go.graphql.schemas import SchemaParser

    check_texts(text)
    return pruned(SchemaParser(context, text).document())  # type: ignore[no-any-return]


@builtin("graphql.schema_is_valid", (Union((STRING, _OBJECT)),), BOOLEAN, needs_context=True)
def schema_is_valid(context: Context, schema: Any) -> bool:
    """Tell whether a schema, as text or as a tree, fits together."""
    from webhook.rego.go.graphql.schema_checks import check_schema
    from webhook.rego.go.graphql.schemas import SchemaParser

    try:
        document = SchemaParser(context, schema).document() if schema.__class__ is str else to_json(schema)
        if document.__class__ is not dict:
            return False
        check_schema(context, document)
    except BuiltinError:
        return False
    return True

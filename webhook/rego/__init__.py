"""Rego, as OPA 1.17 means it, compiled to Python."""

from webhook.rego.builtins import BuiltinError, Context, Halt
from webhook.rego.plain_json import to_json
from webhook.rego.program import RegoProgram, compile_modules
from webhook.rego.runtime.errors import QueryError
from webhook.rego.values import UNDEFINED, RegoObject, RegoSet

__all__ = [
    "UNDEFINED",
    "BuiltinError",
    "Context",
    "Halt",
    "QueryError",
    "RegoObject",
    "RegoProgram",
    "RegoSet",
    "compile_modules",
    "to_json",
]

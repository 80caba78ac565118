"""The names that generated code calls, and what they are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from webhook.rego import remembered, runtime, tree
from webhook.rego.context import BuiltinError
from webhook.rego.numbers import NUMBERS
from webhook.rego.order import compare
from webhook.rego.values import UNDEFINED, RegoObject, RegoSet, lookup, object_of

HELPERS: Final[Mapping[str, Any]] = {
    "__builtins__": {},
    "U": UNDEFINED,
    "NOT_YET": runtime.NOT_YET,
    "ONCE": runtime.ONCE,
    "INT": int,
    "STR": str,
    "BOOL": bool,
    "NUMBERS": NUMBERS,
    "LIST": list,
    "DICT": dict,
    "OBJECTS": RegoObject,
    "SIZED": frozenset((list, dict, RegoSet, RegoObject)),
    "LEN": len,
    "ID": id,
    "MISSING": (KeyError, TypeError, AttributeError),
    "FAILED": BuiltinError,
    "FAILURE": runtime.undefined,
    "LOOKUP": lookup,
    "ALONG": runtime.along,
    "AT": runtime.at_keys,
    "STORED": runtime.stored,
    "ALONG_STORED": runtime.along_stored,
    "COMPARE": compare,
    "EQUAL": runtime.charge_equal,
    "SET": RegoSet,
    "OBJECT": object_of,
    "BUILDER": runtime.ObjectBuilder,
    "DOCUMENT": runtime.DocumentBuilder,
    "AGREE": runtime.agree,
    "VALUES": runtime.values_of,
    "VISIT_IN_ORDER": runtime.visited_in_order,
    "ENTRIES": runtime.visited_entries,
    "ENTRIES_IN_ORDER": runtime.entries_visited_in_order,
    "WALK": runtime.walked,
    "DERIVE": runtime.derive,
    "MOCK": runtime.Mock,
    "MOCK_FUNCTION": runtime.mock_function,
    "MOCK_BUILTIN": runtime.mock_builtin,
    "CALLED": runtime.called,
    "REMEMBER": remembered.remember,
    "PLACE": tree.Place,
    "HIDDEN": tree.hidden,
    "STEP": tree.step,
    "STEPS": tree.steps,
    "WHOLE": tree.whole,
}
"""A program sees nothing else: no builtins of Python, no modules."""

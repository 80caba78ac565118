"""The names that generated code calls, and what they are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from webhook.rego.context import BuiltinError
from webhook.rego.numbers import NUMBERS
from webhook.rego.order import compare, equal
from webhook.rego.runtime import documents, frames, lookups, places, remembered, visits
from webhook.rego.values import UNDEFINED, RegoObject, RegoSet, lookup, object_of

HELPERS: Final[Mapping[str, Any]] = {
    "__builtins__": {},
    "U": UNDEFINED,
    "NOT_YET": frames.NOT_YET,
    "ONCE": (None,),
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
    "FAILURE": frames.undefined,
    "LOOKUP": lookup,
    "ALONG": lookups.along,
    "AT": lookups.at_keys,
    "STORED": lookups.stored,
    "ALONG_STORED": lookups.along_stored,
    "COMPARE": compare,
    "EQUAL": equal,
    "SET": RegoSet,
    "OBJECT": object_of,
    "BUILDER": documents.ObjectBuilder,
    "DOCUMENT": documents.DocumentBuilder,
    "AGREE": documents.agree,
    "VALUES": visits.values_of,
    "VISIT_IN_ORDER": visits.visited_in_order,
    "ENTRIES": visits.visited_entries,
    "ENTRIES_IN_ORDER": visits.entries_visited_in_order,
    "WALK": visits.walked,
    "DERIVE": frames.derive,
    "MOCK": frames.Mock,
    "MOCK_FUNCTION": frames.mock_function,
    "MOCK_BUILTIN": frames.mock_builtin,
    "CALLED": frames.called,
    "REMEMBER": remembered.remember,
    "PLACE": places.Place,
    "HIDDEN": places.hidden,
    "STEP": places.step,
    "STEPS": places.steps,
    "WHOLE": places.whole,
}
"""A program sees nothing else: no builtins of Python, no modules."""

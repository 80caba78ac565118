"""JSON Schema as far as policies use it, in the words of the library that OPA uses (xeipuuv/gojsonschema).

Keywords that aren't here are refused, since what they say can't be left out: where the schema is a constant
when the policy is compiled, else by stopping the query.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from fractions import Fraction
from typing import Any, Final

from webhook.rego.context import BuiltinError, Context, Halt
from webhook.rego.go.big_floats import whole
from webhook.rego.go.patterns import compile_pattern
from webhook.rego.numbers import NUMBERS, NumberTooLarge, text_of
from webhook.rego.raw_text import printable
from webhook.rego.value_text import json_text
from webhook.rego.values import key

_TYPES: Final = ("array", "boolean", "integer", "number", "null", "object", "string")
UNSUPPORTED: Final = frozenset(
    (
        *(
            "$ref",
            "$schema",
            "$id",
            "id",
            "definitions",
            "dependencies",
            "format",
            "propertyNames",
            "contains",
        ),
        *("additionalItems", "patternProperties", "if", "then", "else", "allOf", "anyOf", "oneOf", "not"),
    )
)
_COUNTS: Final = ("minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties")
_BOUNDS: Final = ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf")
_MAX_DEPTH: Final = 100
_MAX_EXPONENT: Final = 1_000

Failure = dict[str, str]


def _exact(value: Any) -> Fraction:
    exact = Decimal(text_of(value))
    if exact and abs(exact.adjusted()) > _MAX_EXPONENT:
        raise NumberTooLarge("a number's exponent is out of range")
    return Fraction(exact)


def _unsupported(what: str) -> Halt:
    return Halt(f"JSON Schema: {what} is not supported")


def check_schema(context: Context, schema: Any, depth: int = 0) -> None:
    """Check that it is a schema.

    Raises:
        BuiltinError: it isn't, in the library's words.
        Halt: it says what isn't understood here.
    """
    context.spend(5)
    if depth > _MAX_DEPTH:
        raise Halt("JSON Schema: a schema is nested too deeply")
    if schema.__class__ is bool:
        return
    if schema.__class__ is not dict:
        raise _unsupported("a schema that is no object")
    for name in schema:
        if name in UNSUPPORTED:
            raise _unsupported(name)
    kinds = _kinds(schema)
    for kind in kinds:
        if kind not in _TYPES:
            raise BuiltinError(
                f"has a primitive type that is NOT VALID -- given: /{kind}/ Expected valid values are:"
                f"[{' '.join(_TYPES)}]"
            )
    _check_values(context, schema)
    for inner in _inner(schema):
        check_schema(context, inner, depth + 1)


def _kinds(schema: dict[str, Any]) -> list[str]:
    kinds = schema.get("type", [])
    kinds = [kinds] if kinds.__class__ is str else kinds
    if kinds.__class__ is not list or not all(kind.__class__ is str for kind in kinds):
        raise _unsupported("a type that is neither a name nor a list of names")
    return kinds


def _check_values(context: Context, schema: dict[str, Any]) -> None:
    """Check what stands under keywords; the library's words for what is wrong there aren't known here."""
    required = schema.get("required", [])
    right = required.__class__ is list and all(name.__class__ is str for name in required)
    right = right and schema.get("properties", {}).__class__ is dict
    right = right and schema.get("enum", [0]).__class__ is list and bool(schema.get("enum", [0]))
    right = right and schema.get("uniqueItems", True).__class__ is bool
    for name in _COUNTS:
        value = schema.get(name, 0)
        right = right and value.__class__ is int and value >= 0
    for what in ("Length", "Properties"):
        least, most = schema.get(f"min{what}", 0), schema.get(f"max{what}", 0)
        if right and f"max{what}" in schema and least > most:
            raise BuiltinError(f"min{what} cannot be greater than max{what}")
    for name in _BOUNDS:
        right = right and schema.get(name, 1).__class__ in NUMBERS
    if "multipleOf" in schema:
        right = right and _exact(schema["multipleOf"]) > 0
    if not right:
        raise _unsupported("a keyword with a value of another type")
    if "pattern" in schema:
        if schema["pattern"].__class__ is not str:
            raise _unsupported("a pattern that is no string")
        try:
            compile_pattern(context, schema["pattern"])
        except BuiltinError:
            raise BuiltinError("pattern must be a valid regex") from None


def _inner(schema: dict[str, Any]) -> Iterator[Any]:
    yield from schema.get("properties", {}).values()
    if schema.get("additionalProperties", True).__class__ is not bool:
        yield schema["additionalProperties"]
    if "items" in schema:
        if schema["items"].__class__ is list:
            raise _unsupported("a list of items")
        yield schema["items"]


def failures(context: Context, schema: Any, value: Any) -> list[Failure]:
    """Return what in a value isn't as a schema says, which was checked before."""
    found: list[Failure] = []
    _Validation(context, found).value(schema, value, "(Root)")
    return found


def _kind(value: Any) -> str:
    kind = value.__class__
    if value is None:
        return "null"
    if kind is bool:
        return "boolean"
    if kind in NUMBERS:
        return "integer" if _exact(value).denominator == 1 else "number"
    return {str: "string", list: "array", dict: "object"}[kind]


class _Validation:
    """Collects what is wrong, in the library's order; properties in the order of their names."""

    def __init__(self, context: Context, found: list[Failure]) -> None:
        self.context = context
        self.found = found

    def fail(self, place: str, kind: str, text: str) -> None:
        """Note what is wrong."""
        field = place.removeprefix("(Root).")
        self.context.spend(2)
        self.found.append({"error": f"{field}: {text}", "type": kind, "field": field, "desc": text})

    def value(self, schema: Any, value: Any, place: str) -> None:
        """Check one value."""
        self.context.spend(4)
        if schema.__class__ is bool:
            if not schema:
                self.fail(place, "false", "False always fails validation")
            return
        kind, kinds = _kind(value), _kinds(schema)
        if kinds and kind not in kinds and not (kind == "integer" and "number" in kinds):
            expected = kinds[0] if len(kinds) == 1 else f"[{','.join(kinds)}]"
            self.fail(place, "invalid_type", f"Invalid type. Expected: {expected}, given: {kind}")
            return
        if kind == "array":
            self.array(schema, value, place)
        elif kind == "object":
            self.object(schema, value, place)
        elif kind in ("integer", "number"):
            self.number(schema, value, place)
        self.common(schema, value, place)
        if kind == "object":
            for name, inner in sorted(schema.get("properties", {}).items()):
                if name in value:
                    self.value(inner, value[name], f"{place}.{name}")
        elif kind == "string":
            self.string(schema, value, place)

    def common(self, schema: dict[str, Any], value: Any, place: str) -> None:
        """Check ``const`` and ``enum``."""
        field = place.removeprefix("(Root).")
        for name in ("const", "enum"):
            if name not in schema:
                continue
            allowed = [schema[name]] if name == "const" else schema[name]
            if key(value) not in {key(one) for one in allowed}:
                texts = ", ".join(map(json_text, allowed))
                words = "does not match" if name == "const" else "must be one of the following"
                self.fail(place, name, f"{field} {words}: {texts}")

    def array(self, schema: dict[str, Any], value: list[Any], place: str) -> None:
        """Check an array."""
        if "items" in schema:
            for index, item in enumerate(value):
                self.value(schema["items"], item, f"{place}.{index}")
        if len(value) < schema.get("minItems", 0):
            self.fail(place, "array_min_items", f"Array must have at least {schema['minItems']} items")
        if len(value) > schema.get("maxItems", len(value)):
            self.fail(place, "array_max_items", f"Array must have at most {schema['maxItems']} items")
        if schema.get("uniqueItems"):
            seen: dict[Any, int] = {}
            for index, item in enumerate(value):
                before = seen.get(key(item))
                if before is not None:
                    self.fail(place, "unique", f"array items[{before},{index}] must be unique")
                seen[key(item)] = index

    def object(self, schema: dict[str, Any], value: dict[str, Any], place: str) -> None:
        """Check an object, but for its properties."""
        if len(value) < schema.get("minProperties", 0):
            least = schema["minProperties"]
            self.fail(place, "array_min_properties", f"Must have at least {least} properties")
        if len(value) > schema.get("maxProperties", len(value)):
            most = schema["maxProperties"]
            self.fail(place, "array_max_properties", f"Must have at most {most} properties")
        for name in schema.get("required", ()):
            if name not in value:
                self.fail(place, "required", f"{name} is required")
        further = schema.get("additionalProperties", True)
        for name in sorted(value):
            if name in schema.get("properties", {}) or further is True:
                continue
            if further is False:
                text = f"Additional property {name} is not allowed"
                self.fail(place, "additional_property_not_allowed", text)
            else:
                self.value(further, value[name], f"{place}.{name}")

    def string(self, schema: dict[str, Any], value: str, place: str) -> None:
        """Check a string."""
        if len(value) < schema.get("minLength", 0):
            least = schema["minLength"]
            self.fail(place, "string_gte", f"String length must be greater than or equal to {least}")
        if len(value) > schema.get("maxLength", len(value)):
            most = schema["maxLength"]
            self.fail(place, "string_lte", f"String length must be less than or equal to {most}")
        if "pattern" in schema:
            compiled = compile_pattern(self.context, schema["pattern"])
            self.context.spend(len(value) * compiled.size >> 10)
            if compiled.search(printable(value)) is None:
                self.fail(place, "pattern", f"Does not match pattern '{schema['pattern']}'")

    def number(self, schema: dict[str, Any], value: Any, place: str) -> None:
        """Check a number."""
        exact = _exact(value)
        for name, kind, words, wrong in (
            ("multipleOf", "multiple_of", "a multiple of", lambda a, b: (a / b).denominator != 1),
            ("maximum", "number_lte", "less than or equal to", lambda a, b: a > b),
            ("exclusiveMaximum", "number_lt", "less than", lambda a, b: a >= b),
            ("minimum", "number_gte", "greater than or equal to", lambda a, b: a < b),
            ("exclusiveMinimum", "number_gt", "greater than", lambda a, b: a <= b),
        ):
            if name in schema and wrong(exact, _exact(schema[name])):  # type: ignore[no-untyped-call]
                self.fail(place, kind, f"Must be {words} {_shown(schema[name])}")


def _shown(bound: Any) -> str:
    """Return a bound as Go prints a ``big.Float``: with ten digits at most."""
    found = whole(bound)
    if found is not None and abs(found) < 10**10:
        return str(found)
    return f"{float(bound):.10g}"

"""YAML as OPA's library reads it (``sigs.k8s.io/yaml``), which makes JSON of it."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from typing import Any, Final

import yaml

from webhook.rego.context import BuiltinError, Context, Halt, check_items
from webhook.rego.go.decimal_digits import shortest_text
from webhook.rego.numbers import Number, number_of, text_of
from webhook.rego.raw_text import decoded, printable

_LOADER: Final[Any] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_WORDS: Final[dict[str, Any]] = {
    **dict.fromkeys(["y", "Y", "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON"], True),
    **dict.fromkeys(["n", "N", "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF"], False),
    **dict.fromkeys(["", "~", "null", "Null", "NULL"], None),
}
_RESOLVED: Final = frozenset(["int", "float", "bool", "null"])
_NO_NUMBERS: Final = frozenset(
    [".nan", ".NaN", ".NAN", ".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF", "-.inf", "-.Inf", "-.INF"]
)
_FLOAT: Final = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_INTEGER: Final = re.compile(r"[-+]?(?:0[bB][01]+|0[xX][0-9a-fA-F]+|0[oO]?[0-7]+|0|[1-9][0-9]*)")
_TAG: Final = "tag:yaml.org,2002:"
MAX_DEPTH: Final = 400


def resolve(text: str) -> Any:
    """Return what a plain scalar means: null, a boolean, a number, or itself."""
    if text in _WORDS:
        return _WORDS[text]
    if text in _NO_NUMBERS:
        return math.nan
    if not text or text[0] not in "+-.0123456789":
        return text
    plain = text.replace("_", "")
    if len(plain) < 100 and _INTEGER.fullmatch(plain):
        value = _integer(plain)
        if -(1 << 63) <= value < 1 << 64:
            return value
    if _FLOAT.fullmatch(plain if text[0] != "." else text):
        near = float(plain)
        return text if math.isinf(near) else near
    return text


def _integer(text: str) -> int:
    sign = -1 if text[0] == "-" else 1
    digits = text.lstrip("+-").lower()
    if digits.startswith(("0x", "0b", "0o")):
        return sign * int(digits, 0)
    return sign * int(digits, 8 if digits.startswith("0") and digits != "0" else 10)


def read_yaml(context: Context, text: str) -> Any:
    """Return the value of the first document of a YAML text, as its JSON would be.

    Raises:
        BuiltinError: it is no YAML, or has no JSON.
        Halt: it is nested too deeply.
    """
    loader = _LOADER(printable(text))
    try:
        loader.get_event()  # the stream's start
        node = loader.get_node() if loader.check_node() else None
        return None if node is None else _Reader(context, loader).value(node, 0)
    except yaml.YAMLError as error:
        raise BuiltinError(f"yaml: {_problem(error)}") from None
    except RecursionError:
        raise Halt("YAML is nested too deeply") from None
    finally:
        loader.dispose()


def _problem(error: yaml.YAMLError) -> str:
    """Return what is wrong with a text, the line as Go counts it: from 0, but where the scanner stopped."""
    problem = getattr(error, "problem", None) or str(error)
    for name in ("context_mark", "problem_mark"):
        mark = getattr(error, name, None)
        if mark is not None and mark.line:
            line = mark.line + isinstance(error, yaml.scanner.ScannerError)
            return f"line {line}: {problem}"
    return problem


class _Reader:
    """Makes values of nodes; aliases are paid for each time."""

    def __init__(self, context: Context, loader: Any) -> None:
        self.context = context
        self.loader = loader

    def value(self, node: Any, depth: int) -> Any:
        """Return a node's value."""
        self.context.spend(1)
        if depth > MAX_DEPTH:
            raise Halt("YAML is nested too deeply")
        if isinstance(node, yaml.ScalarNode):
            return self.scalar(node)
        if isinstance(node, yaml.SequenceNode):
            check_items(len(node.value))
            return [self.value(item, depth + 1) for item in node.value]
        return self.mapping(node, depth)

    def scalar(self, node: Any) -> Any:
        """Return a scalar's value, as a number of JSON has it."""
        tag = node.tag.removeprefix(_TAG)
        if tag == "binary":
            return _binary(node.value)
        found = node.value
        if tag in _RESOLVED or (not node.style and self.is_implicit(node)):
            found = resolve(node.value)
        if found.__class__ is float:
            if math.isnan(found):
                raise BuiltinError("json: unsupported value: NaN")
            return json_number(found)
        return found

    def is_implicit(self, node: Any) -> bool:
        """Tell whether a plain scalar has the tag that it has by its look alone."""
        return self.loader.resolve(yaml.ScalarNode, node.value, (True, False)) == node.tag  # type: ignore[no-any-return]

    def mapping(self, node: Any, depth: int) -> dict[str, Any]:
        """Return a mapping's value; keys that are no strings become their text."""
        check_items(len(node.value))
        result: dict[str, Any] = {}
        own: set[str] = set()
        for key_node, value_node in node.value:
            if key_node.value == "<<" and key_node.tag == f"{_TAG}merge":
                for merged in self.merged(value_node, depth):
                    for name, value in merged.items():
                        if name not in own:
                            result[name] = value
                continue
            name = self.key(key_node)
            own.add(name)
            result[name] = self.value(value_node, depth + 1)
        return result

    def merged(self, node: Any, depth: int) -> Iterator[dict[str, Any]]:
        """Give the mappings that a merge key names, the first one last."""
        nodes = reversed(node.value) if isinstance(node, yaml.SequenceNode) else [node]
        for each in nodes:
            if not isinstance(each, yaml.MappingNode):
                raise BuiltinError("yaml: map merge requires map or sequence of maps as the value")
            yield self.mapping(each, depth + 1)

    def key(self, node: Any) -> str:
        """Return a key as JSON has it."""
        if not isinstance(node, yaml.ScalarNode):
            raise BuiltinError("yaml: invalid map key")
        found = self.scalar(node)
        if found.__class__ is str:
            return found
        if found.__class__ is bool:
            return "true" if found else "false"
        if found is None:
            raise BuiltinError("unsupported map key of type: %!s(<nil>), key: <nil>")
        return text_of(found)


def _binary(text: str) -> str:
    import base64

    try:
        return printable(decoded(base64.b64decode(text)))
    except ValueError as error:
        raise BuiltinError(f"yaml: !!binary value contains invalid base64 data: {error}") from None


def json_number(value: float) -> Number:
    """Return a float as Go's JSON writes it: without an exponent from 1e-6 up to 1e21."""
    if value == 0:
        return number_of("-0") if math.copysign(1, value) < 0 else 0
    text = shortest_text(value)
    if 1e-6 <= abs(value) < 1e21:
        from decimal import Decimal

        return number_of(f"{Decimal(repr(value)):f}".removesuffix(".0"))
    head, _, exponent = text.partition("e")
    return number_of(f"{head}e{exponent[0]}{exponent[1:].lstrip('0')}")

"""YAML as OPA's library reads and writes it (``sigs.k8s.io/yaml``): numbers, quotes, the order of keys."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from functools import cmp_to_key
from typing import Any, Final

import yaml

from webhook.rego.context import BuiltinError, Context, Halt, check_items
from webhook.rego.go.decimal_digits import shortest_text
from webhook.rego.go.time_layouts import read
from webhook.rego.numbers import Number, float_of, number_of, text_of
from webhook.rego.order import members_in_order
from webhook.rego.raw_text import decoded, printable
from webhook.rego.texts import key_text
from webhook.rego.values import RegoObject, RegoSet, entries

_LOADER: Final[Any] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_DUMPER: Final[Any] = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
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
_BASE_60: Final = re.compile(r"[-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+(?:\.[0-9_]*)?")
_INTEGER: Final = re.compile(r"[-+]?(?:0[bB][01]+|0[xX][0-9a-fA-F]+|0[oO]?[0-7]+|0|[1-9][0-9]*)")
_DATE: Final = re.compile(r"[0-9]{4}-")
_TIMES: Final = (
    "2006-1-2T15:4:5.999999999Z07:00",
    "2006-1-2t15:4:5.999999999Z07:00",
    "2006-1-2 15:4:5.999999999",
    "2006-1-2",
)
_TAG: Final = "tag:yaml.org,2002:"
_MAX_DEPTH: Final = 400
_DIGITS: Final = re.compile("[0-9]*")


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


def _is_time(text: str) -> bool:
    if not _DATE.match(text) or len(text) > 40:
        return False
    for layout in _TIMES:
        try:
            read(layout, text)
        except BuiltinError:
            continue
        return True
    return False


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
        if depth > _MAX_DEPTH:
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


def write_yaml(value: Any) -> str:
    """Return a value as YAML.

    Raises:
        Halt: it is nested too deeply.
    """
    events = [
        yaml.StreamStartEvent(),
        yaml.DocumentStartEvent(explicit=False),
        *_events(value, 0),
        yaml.DocumentEndEvent(explicit=False),
        yaml.StreamEndEvent(),
    ]
    text: str = yaml.emit(events, Dumper=_DUMPER, width=80, allow_unicode=True)
    return text.removesuffix("...\n")


def _events(value: Any, depth: int) -> Iterator[Any]:
    if depth > _MAX_DEPTH:
        raise Halt("a value is nested too deeply for YAML")
    kind = value.__class__
    if kind is dict or kind is RegoObject:
        pairs = sorted(((printable(key_text(k)), v) for k, v in entries(value)), key=_BY_KEY)
        yield yaml.MappingStartEvent(None, None, True, flow_style=not pairs)
        for name, item in pairs:
            yield _string(name)
            yield from _events(item, depth + 1)
        yield yaml.MappingEndEvent()
    elif kind is list or kind is RegoSet:
        items = value if kind is list else members_in_order(value)
        yield yaml.SequenceStartEvent(None, None, True, flow_style=not items)
        for item in items:
            yield from _events(item, depth + 1)
        yield yaml.SequenceEndEvent()
    elif kind is str:
        yield _string(printable(value))
    elif kind is bool or value is None:
        yield _plain_scalar("null" if value is None else "true" if value else "false")
    else:
        yield _plain_scalar(_number(value))


def _plain_scalar(text: str) -> Any:
    return yaml.ScalarEvent(None, None, (True, True), text)


def _string(text: str) -> Any:
    """Return the event of a string, in the style that it needs so that it is read as one."""
    if "\n" in text:
        return yaml.ScalarEvent(None, None, (True, True), text, style="|")
    if resolve(text).__class__ is str and not _BASE_60.fullmatch(text) and not _is_time(text):
        return _plain_scalar(text)
    return yaml.ScalarEvent(None, None, (True, True), text, style='"')


def _number(value: Number) -> str:
    """Return a number as it is after it was read as YAML."""
    if value.__class__ is int and -(1 << 63) <= value < 1 << 64:
        return str(value)
    near = float_of(value)
    if near is None:
        return text_of(value)
    return shortest_text(near)


def _natural(a: tuple[str, Any], b: tuple[str, Any]) -> int:
    """Return the order of two keys: numbers in them by their value, letters behind all else."""
    left, right = a[0], b[0]
    at = next((i for i, (one, other) in enumerate(zip(left, right, strict=False)) if one != other), None)
    if at is None:
        return (len(left) > len(right)) - (len(left) < len(right))
    one, other = left[at], right[at]
    if one.isalpha() or other.isalpha():
        if one.isalpha() and other.isalpha():
            return -1 if one < other else 1
        return 1 if one.isalpha() else -1
    start = ""
    if "0" in (one, other):
        before = at - 1
        while before >= 0 and left[before].isdigit():
            if left[before] != "0":
                start = "1"
                break
            before -= 1
    numbers = []
    for text in (left, right):
        found = _DIGITS.match(text, at)
        digits = found.group() if found else ""
        numbers.append((int(start + digits[:4000] or "0"), len(digits)))
    if numbers[0] != numbers[1]:
        return -1 if numbers[0] < numbers[1] else 1
    return -1 if one < other else 1


_BY_KEY: Final = cmp_to_key(_natural)

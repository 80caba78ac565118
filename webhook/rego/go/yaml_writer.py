"""YAML as OPA's library writes it (``sigs.k8s.io/yaml``): quotes, numbers, the order of keys."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cmp_to_key
from typing import Any, Final

import yaml

from webhook.rego.context import Halt
from webhook.rego.go.decimal_digits import shortest_text
from webhook.rego.go.yaml_reader import MAX_DEPTH
from webhook.rego.go.yaml_scalars import resolve
from webhook.rego.numbers import Number, float_of, text_of
from webhook.rego.order import members_in_order
from webhook.rego.raw_text import printable
from webhook.rego.value_text import key_text
from webhook.rego.values import RegoObject, RegoSet, entries

_DUMPER: Final[Any] = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
_BASE_60: Final = re.compile(r"[-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+(?:\.[0-9_]*)?")
_TEXTS: Final = frozenset(["!!str", "!!merge"])
_DIGITS: Final = re.compile("[0-9]*")


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
    if depth > MAX_DEPTH:
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
    if resolve(text)[0] in _TEXTS and not _BASE_60.fullmatch(text):
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

"""YAML text to plain objects, as kubectl decodes it, with the line of each document and list item.

The objects are built from the events of PyYAML's C parser (libyaml): that costs less than loading them, keeps
the lines, and needs no recursion. Scalars are resolved as ``sigs.k8s.io/yaml`` does, which kubectl uses (YAML
1.1 with its ``yes`` and ``on``, base-0 integers, no timestamps), so that a file means here what it means to
the API server. Where kubectl would lose something silently (duplicate keys, foreign tags), it is refused.
"""

from __future__ import annotations

import datetime
import json
import math
import re
from collections.abc import Iterator
from typing import Any

import yaml
from yaml.cyaml import CParser  # type: ignore[attr-defined]
from yaml.events import (
    AliasEvent,
    DocumentEndEvent,
    DocumentStartEvent,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
    StreamEndEvent,
)

from webhook.adapters.decoded import INT64, MAX_DEPTH, Decoded, as_json_number
from webhook.core.errors import InputError

MAX_ALIAS_NODES = 100_000

_TAG = "tag:yaml.org,2002:"
_WORDS: dict[str, bool | None] = {
    **dict.fromkeys(("y", "Y", "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON"), True),
    **dict.fromkeys(("n", "N", "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF"), False),
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
}
_FEWER_WORDS = {
    word: value for word, value in _WORDS.items() if value is None or word.lower() in ("true", "false")
}
"""Those of ``gopkg.in/yaml.v3``, which gator's suites are read with."""
_DATE = re.compile(r"([0-9]{4})-([0-9]{1,2})-([0-9]{1,2})\Z")
_NOT_FINITE = frozenset(
    [".nan", ".NaN", ".NAN", *(sign + word for sign in ("", "+", "-") for word in (".inf", ".Inf", ".INF"))]
)
_INTEGER = re.compile(r"([-+]?)(?:0[xX]([0-9a-fA-F]+)|0[bB]([01]+)|0[oO]?([0-7]+)|([1-9][0-9]*|0))\Z")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?\Z")
_NUMBER_START = frozenset("+-.0123456789")
_CACHED_SCALARS = 8192
_CACHED_LENGTH = 128

_TOO_DEEP = "maximum nesting depth"
"""What libyaml says since PyYAML 6.0.4 where it stops by itself, before its events reach our limit."""

_UNSET: Any = object()
_MERGE: Any = object()


def decode_yaml(text: str, file: str, *, as_gator: bool = False) -> Iterator[Decoded]:
    """Yield the documents of a YAML stream; empty ones are left out.

    Args:
        text: the stream.
        file: its name, for errors.
        as_gator: as ``gator verify`` reads it: ``yes``, ``no``, ``on`` and the like are texts, and a date is
            a time.

    Raises:
        InputError: the text isn't YAML, or it holds what can't be carried over safely: a duplicate key, a tag
            of a programming language, nesting deeper than `MAX_DEPTH`, or aliases that expand beyond
            `MAX_ALIAS_NODES`.
    """
    try:
        yield from _Builder(text, file, as_gator=as_gator).documents()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        problem = error.problem or error.context or "can't be parsed"
        if _TOO_DEEP in problem:
            raise InputError(
                f"nested deeper than {MAX_DEPTH} levels", file, mark.line + 1 if mark else 0
            ) from None
        if "cannot start any token" in problem:
            problem += " (a tab can't indent YAML, and @, ` and % need quotes)"
        raise InputError(f"no valid YAML: {problem}", file, mark.line + 1 if mark else 0) from None
    except yaml.reader.ReaderError as error:
        raise InputError(f"no valid YAML: {error.reason}", file) from None
    except yaml.YAMLError as error:
        raise InputError(f"no valid YAML: {error}", file) from None


class _Builder:
    """Builds documents from the parser's events."""

    def __init__(self, text: str, file: str, *, as_gator: bool) -> None:
        self.parser = CParser(text)
        self.words = _FEWER_WORDS if as_gator else _WORDS
        self.as_gator = as_gator
        self.file = file
        self.scalars: dict[str, Any] = {}

    def documents(self) -> Iterator[Decoded]:
        while True:
            event = self.parser.get_event()
            if event.__class__ is StreamEndEvent:
                return
            if event.__class__ is DocumentStartEvent:
                decoded = self.document()
                if decoded.value is not None:
                    yield decoded

    def document(self) -> Decoded:
        # One tight loop over the events: a manifest of a thousand Pods has 170,000 of them.
        next_event = self.parser.get_event
        scalars = self.scalars
        anchors: dict[str, tuple[Any, int] | None] = {}
        merges: dict[int, list[Any]] = {}
        item_lines: list[int] = []
        first: Any = next_event()
        root: list[Any] = []
        stack: list[tuple[Any, Any, str | None, int]] = []  # what encloses the current container
        current: Any = root
        key: Any = _UNSET
        items: Any = None  # the list under ``items`` of the root
        nodes = aliased = 0
        event: Any = first
        while True:
            kind = event.__class__
            if kind is ScalarEvent:
                nodes += 1
                value = event.value
                if event.tag is not None:
                    value = self.tagged(event)
                elif event.implicit[0]:
                    known = scalars.get(value, _UNSET)
                    if known is not _UNSET:
                        value = known
                    elif value == "<<" and current.__class__ is dict and key is _UNSET:
                        value = _MERGE
                    else:
                        value = self.plain(event)
                if event.anchor is not None:
                    anchors[event.anchor] = (value, 1)
            elif kind is MappingStartEvent or kind is SequenceStartEvent:
                nodes += 1
                value = {} if kind is MappingStartEvent else []
                if event.tag is not None and event.tag not in (f"{_TAG}map", f"{_TAG}seq", "!"):
                    raise self.error(f"the tag {event.tag} is not supported in manifests", event)
                if len(stack) >= MAX_DEPTH:
                    raise self.error(f"nested deeper than {MAX_DEPTH} levels", event)
                if current.__class__ is dict and key is _UNSET:
                    raise self.error("a mapping or list can't be a key", event)
                if event.anchor is not None:
                    anchors[event.anchor] = None
                if current is items:
                    item_lines.append(event.start_mark.line + 1)
                elif key == "items" and len(stack) == 1 and kind is SequenceStartEvent:
                    items = value
                if current.__class__ is list:
                    current.append(value)
                elif key is _MERGE:
                    merges.setdefault(id(current), []).append(value)
                else:
                    current[key] = value
                stack.append((current, key, event.anchor, nodes))
                current = value
                key = _UNSET
                event = next_event()
                continue
            elif kind is MappingEndEvent or kind is SequenceEndEvent:
                if merges and kind is MappingEndEvent:
                    self.merge(current, merges.pop(id(current), ()), event)
                value = current
                current, key, anchor, before = stack.pop()
                if anchor is not None:
                    anchors[anchor] = (value, nodes - before + 1)
                if not stack:
                    break
                key = _UNSET
                event = next_event()
                continue
            elif kind is AliasEvent:
                target = anchors.get(event.anchor)
                if target is None:
                    raise self.error(f"the alias *{event.anchor} has no finished anchor before it", event)
                value, size = target
                nodes += size
                aliased += size
                if aliased > MAX_ALIAS_NODES:
                    raise self.error(f"aliases expand to more than {MAX_ALIAS_NODES:,} values", event)
            else:
                raise self.error("an unexpected end", event)

            if current.__class__ is list:
                if current is items:
                    item_lines.append(event.start_mark.line + 1)
                current.append(value)
                if current is root:
                    break
            elif key is _UNSET:
                if value.__class__ is not str and value is not _MERGE:
                    value = self.key(value, event)
                if value in current:
                    raise self.error(f"the key {value!r} is given twice", event)
                key = value
            elif key is _MERGE:
                merges.setdefault(id(current), []).append(value)
                key = _UNSET
            else:
                current[key] = value
                key = _UNSET
            event = next_event()
        end: Any = next_event()
        if end.__class__ is not DocumentEndEvent:
            raise self.error("an unexpected end", end)
        mark = first.start_mark
        return Decoded(root[0], mark.line + 1, mark.index - mark.column, tuple(item_lines))

    def plain(self, event: Any) -> Any:
        text: str = event.value
        value: Any = text
        if text in self.words:
            value = self.words[text]
        elif text[0] in _NUMBER_START:
            value = _date(text) if self.as_gator and _DATE.match(text) else _number(text)
            if value is None:
                raise self.error(f"{text} is a number that JSON can't carry", event)
        if len(self.scalars) < _CACHED_SCALARS and len(text) <= _CACHED_LENGTH and text != "<<":
            self.scalars[text] = value
        return value

    def tagged(self, event: Any) -> Any:
        tag = event.tag
        if tag in (f"{_TAG}str", "!"):
            return event.value
        if tag not in (f"{_TAG}int", f"{_TAG}float", f"{_TAG}bool", f"{_TAG}null"):
            raise self.error(f"the tag {tag} is not supported in manifests", event)
        value = self.plain(event)
        kinds: dict[str, Any] = {"int": int, "float": (int, float), "bool": bool, "null": type(None)}
        kind = kinds[tag.removeprefix(_TAG)]
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            raise self.error(f"{event.value!r} doesn't fit its tag {tag}", event)
        return value

    def key(self, value: Any, event: Any) -> str:
        # As kubectl: a key that YAML reads as a boolean or an integer becomes its JSON text.
        if isinstance(value, bool):
            return "true" if value else "false"
        if isinstance(value, int):
            return str(value)
        raise self.error(f"the key {json.dumps(value, default=repr)} isn't a string: quote it", event)

    def merge(self, target: dict[str, Any], sources: list[Any] | tuple[()], event: Any) -> None:
        for source in sources:
            for mapping in source if isinstance(source, list) else [source]:
                if not isinstance(mapping, dict):
                    raise self.error("a merge key (<<) needs a mapping or a list of mappings", event)
                for name, value in mapping.items():
                    target.setdefault(name, value)

    def error(self, message: str, event: Any) -> InputError:
        return InputError(message, self.file, event.start_mark.line + 1)


def _date(text: str) -> str:
    """Return a date as a time, as Go writes one to JSON; a text that is no date as it is."""
    try:
        return datetime.date(*map(int, text.split("-"))).strftime("%Y-%m-%dT00:00:00Z")
    except ValueError:
        return text


def _number(text: str) -> int | float | str | None:
    """Return the number that a plain scalar is, the text if it is none, None if it is not finite."""
    if text in _NOT_FINITE:
        return None
    if text[0] == ".":
        return _float(text) if _FLOAT.match(text) else text
    digits = text.replace("_", "")
    match = _INTEGER.match(digits)
    if match and len(digits) <= 80:
        sign, hexadecimal, binary, octal, decimal = match.groups()
        if hexadecimal:
            number = int(hexadecimal, 16)
        elif binary:
            number = int(binary, 2)
        else:
            number = int(octal, 8) if octal else int(decimal)
        if sign == "-":
            number = -number
        if number in INT64:
            return number
        if number in range(2**64):
            return float(number)
    return _float(digits, text) if _FLOAT.match(digits) else text


def _float(digits: str, text: str = "") -> int | float | str:
    number = float(digits)
    if math.isinf(number):
        return text or digits
    return as_json_number(number)

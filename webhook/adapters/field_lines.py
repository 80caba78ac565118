"""The line of a field in a manifest's text, found when an error needs it."""

from __future__ import annotations

import re
from typing import Any

import yaml
from yaml.cyaml import CParser  # type: ignore[attr-defined]
from yaml.events import (
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
    StreamEndEvent,
)


def line_of(text: str, offset: int, line: int, path: str) -> int:
    """Return the line of a field in a YAML or JSON document, or else of the nearest field above it.

    Args:
        text: the whole text.
        offset: where the document's first line with content starts in it, as `Decoded` has it.
        line: the number of that line.
        path: the field, as ``spec.validations[0].expression`` or ``metadata.labels['a/b']``.
    """
    found = line
    try:
        parser = CParser(text[offset:])
        event = parser.get_event()
        while not isinstance(event, MappingStartEvent | SequenceStartEvent | ScalarEvent | StreamEndEvent):
            event = parser.get_event()
        for part in _parts(path):
            place = _child(parser, event, part)
            if place is None:
                break
            found, event = line + place[0], place[1]
    except yaml.YAMLError:
        pass
    return found


def _parts(path: str) -> list[str]:
    pattern = re.compile(r"""\[(?:'([^']*)'|"([^"]*)"|([0-9]+))\]|\.?([^.\[\]]+)""")
    return [next(group for group in match.groups() if group is not None) for match in pattern.finditer(path)]


def _child(parser: Any, parent: Any, name: str) -> tuple[int, Any] | None:
    """Return line and event of one field or element of the mapping or list that `parent` starts."""
    index = 0
    while isinstance(parent, MappingStartEvent | SequenceStartEvent):
        event = parser.get_event()
        if isinstance(event, MappingEndEvent | SequenceEndEvent | StreamEndEvent):
            break
        line = event.start_mark.line
        label = str(index)
        if isinstance(parent, MappingStartEvent):
            label = event.value if isinstance(event, ScalarEvent) else ""
            event = parser.get_event()
        if label == name:
            return line, event
        _skip(parser, event)
        index += 1
    return None


def _skip(parser: Any, event: Any) -> None:
    depth = 0
    while True:
        if isinstance(event, MappingStartEvent | SequenceStartEvent):
            depth += 1
        elif isinstance(event, MappingEndEvent | SequenceEndEvent):
            depth -= 1
        if depth <= 0 or isinstance(event, StreamEndEvent):
            return
        event = parser.get_event()

"""JSON text to plain objects, with the line of each value and of each list item."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from typing import Any

from webhook.adapters.decoded import INT64, MAX_DEPTH, Decoded, as_json_number
from webhook.core.errors import InputError


def decode_json(text: str, file: str) -> Iterator[Decoded]:
    """Yield the JSON values of `text`, which may follow one another.

    Raises:
        InputError: the text isn't JSON, or it holds a duplicate key, a number that JSON can't carry,
            half of a surrogate pair, or nesting deeper than `MAX_DEPTH`.
    """
    reader = _JsonReader(text, file)
    try:
        yield from reader.documents()
    except json.JSONDecodeError as error:
        raise InputError(f"no valid JSON: {error.msg} (column {error.colno})", file, error.lineno) from None
    except RecursionError:
        raise InputError(f"nested deeper than {MAX_DEPTH} levels", file, reader.line) from None


class _JsonReader:
    """Reads JSON values one after another, and notes where the elements of ``items`` start."""

    _space = re.compile(r"[ \t\n\r]*")

    def __init__(self, text: str, file: str) -> None:
        self.text = text
        self.file = file
        self.place = 0
        self.line = 1
        self.counted = 0
        self.decode = json.JSONDecoder(
            object_pairs_hook=self.object,
            parse_int=self.integer,
            parse_float=self.float,
            parse_constant=self.constant,
        ).raw_decode

    def documents(self) -> Iterator[Decoded]:
        text = self.text
        self.skip()
        while self.place < len(text):
            line = self.count()
            offset = text.rfind("\n", 0, self.place) + 1
            start = self.place
            item_lines: list[int] = []
            value = self.members(item_lines) if text[start] == "{" else self.value()
            self.check(value, start)
            yield Decoded(value, line, offset, tuple(item_lines))
            self.skip()

    def members(self, item_lines: list[int]) -> dict[str, Any]:
        # The outermost object is read member by member, so that the lines of its items are known.
        pairs: list[tuple[str, Any]] = []
        closed = self.opened("}")
        while not closed:
            if self.text[self.place : self.place + 1] != '"':
                raise json.JSONDecodeError("Expecting property name in double quotes", self.text, self.place)
            name = self.value()
            self.expect(":")
            if name == "items" and self.text[self.place : self.place + 1] == "[":
                pairs.append((name, self.elements(item_lines)))
            else:
                pairs.append((name, self.value()))
            closed = self.closed("}")
        return self.object(pairs)

    def elements(self, lines: list[int]) -> list[Any]:
        values: list[Any] = []
        closed = self.opened("]")
        while not closed:
            lines.append(self.count())
            values.append(self.value())
            closed = self.closed("]")
        return values

    def opened(self, end: str) -> bool:
        self.place += 1
        self.skip()
        if self.text[self.place : self.place + 1] == end:
            self.place += 1
            return True
        return False

    def closed(self, end: str) -> bool:
        self.skip()
        found = self.text[self.place : self.place + 1]
        if found not in (",", end) or not found:
            raise json.JSONDecodeError(f"Expecting ',' or '{end}'", self.text, self.place)
        self.place += 1
        self.skip()
        return found == end

    def expect(self, delimiter: str) -> None:
        self.skip()
        if self.text[self.place : self.place + 1] != delimiter:
            raise json.JSONDecodeError(f"Expecting '{delimiter}'", self.text, self.place)
        self.place += 1
        self.skip()

    def value(self) -> Any:
        value, self.place = self.decode(self.text, self.place)
        return value

    def skip(self) -> None:
        match = self._space.match(self.text, self.place)
        self.place = match.end() if match else self.place

    def count(self) -> int:
        self.line += self.text.count("\n", self.counted, self.place)
        self.counted = self.place
        return self.line

    def object(self, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        result = dict(pairs)
        if len(result) != len(pairs):
            names = [name for name, _ in pairs]
            twice = next(name for name in names if names.count(name) > 1)
            raise self.error(f"the key {twice!r} is given twice")
        return result

    def integer(self, digits: str) -> int | float:
        if len(digits) < 19:
            return int(digits)
        number = int(digits) if len(digits) <= 20 else None
        return number if number is not None and number in INT64 else self.float(digits)

    def float(self, digits: str) -> Any:
        number = float(digits)
        if math.isinf(number):
            raise self.error(f"{digits[:40]} is a number that JSON can't carry")
        return as_json_number(number)

    def constant(self, name: str) -> Any:
        raise self.error(f"{name} is no JSON number")

    def error(self, message: str) -> InputError:
        return InputError(message, self.file, self.count())

    def check(self, value: Any, start: int) -> None:
        text = self.text
        if text.count("[", start, self.place) + text.count("{", start, self.place) > MAX_DEPTH:
            level = [value]
            for _ in range(MAX_DEPTH + 1):
                level = [
                    child
                    for parent in level
                    for child in (parent.values() if isinstance(parent, dict) else parent)
                    if isinstance(child, dict | list)
                ]
                if not level:
                    break
            else:
                raise self.error(f"nested deeper than {MAX_DEPTH} levels")
        if text.find("\\u", start, self.place) >= 0:
            try:
                json.dumps(value, ensure_ascii=False).encode()
            except UnicodeEncodeError:
                raise self.error("a string holds half of a surrogate pair") from None

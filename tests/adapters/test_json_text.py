"""JSON decodes strictly, with the line of every value and every list item."""

from __future__ import annotations

import pytest

from webhook.adapters.json_text import decode_json
from webhook.core.errors import InputError


def test_values_and_items_have_their_lines() -> None:
    text = '\n{"kind": "List",\n "items": [\n  {"a": 1},\n\n  {"b": {"items": [1]}}\n ], "z": 1}\n'
    text += '\n{"c": []} [1]'
    documents = list(decode_json(text, "a.json"))
    assert [(d.value, d.line, d.item_lines) for d in documents] == [
        ({"kind": "List", "items": [{"a": 1}, {"b": {"items": [1]}}], "z": 1}, 2, (4, 6)),
        ({"c": []}, 9, ()),
        ([1], 9, ()),
    ]


def test_numbers_are_what_gos_json_makes_of_them() -> None:
    (document,) = decode_json('{"a": 1.0, "b": 1e3, "c": 0.5, "d": 9223372036854775808, "e": -0}', "a.json")
    assert document.value == {"a": 1, "b": 1000, "c": 0.5, "d": 9223372036854775808.0, "e": 0}
    assert [type(value) for value in document.value.values()] == [int, int, float, float, int]


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ('{"a": 1,\n "a": 2}', 2, "the key 'a' is given twice"),
        ('{"b": {"a": 1,\n "a": 2}}', 1, "the key 'a' is given twice"),
        ('{"a": NaN}', 1, "NaN is no JSON number"),
        ('{"a": 1e999}', 1, "1e999 is a number that JSON can't carry"),
        ('{"a": ' + "9" * 5000 + "}", 1, "is a number that JSON can't carry"),
        ('{"a": "\\ud800"}', 1, "half of a surrogate pair"),
        ('{"a": [' + "[" * 300 + "]" * 300 + "]}", 1, "nested deeper than 200 levels"),
        ("[" * 200_000, 1, "nested deeper than 200 levels"),
        ('{"a":' * 200_000, 1, "nested deeper than 200 levels"),
        ('{"a": 1', 1, "no valid JSON"),
        ('{"a"\n 1}', 2, "no valid JSON"),
        ('{"a": 1,}', 1, "no valid JSON"),
        ('{"items": [1,\n2', 2, "no valid JSON"),
        ('{"items": [1 2]}', 1, "no valid JSON"),
        ("{a: 1}", 1, "no valid JSON"),
        ('{"a": "\x00"}', 1, "no valid JSON"),
        ('{"a": 1} x', 1, "no valid JSON"),
    ],
)
def test_bad_json_is_refused_with_its_line(text: str, line: int, message: str) -> None:
    with pytest.raises(InputError) as caught:
        list(decode_json(text, "a.json"))
    assert message in caught.value.message
    assert (caught.value.file, caught.value.line) == ("a.json", line)

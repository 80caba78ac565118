"""Numbers in a review's body are read as Kubernetes reads them."""

from __future__ import annotations

import json
from typing import Any

import orjson
import pytest

from webhook.core.errors import ReviewError
from webhook.server.decoding import decode


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("9223372036854775807", 2**63 - 1),
        ("9223372036854775808", 2.0**63),
        ("18446744073709551615", 2.0**64),
        ("18446744073709551616", 2.0**64),
        ("-9223372036854775808", -(2**63)),
        ("-9223372036854775809", -(2.0**63)),
        ('{"a": [1, {"b": 9223372036854775809}]}', {"a": [1, {"b": 2.0**63}]}),
        ('{"a": "9999999999999999999", "b": 1, "c": true}', {"a": "9999999999999999999", "b": 1, "c": True}),
        ("[1.5, 0.1234567890123456789, null]", [1.5, 0.12345678901234568, None]),
    ],
)
def test_integers_beyond_int64_are_doubles(text: str, expected: Any) -> None:
    found = decode(text.encode())
    assert found == expected
    assert repr(found) == repr(expected)


def test_what_is_no_json_is_refused() -> None:
    with pytest.raises(orjson.JSONDecodeError):
        decode(b'{"a": ')


@pytest.mark.parametrize(
    "text",
    [
        '{"a": 1, "a": 2}',
        '{"a":{"b":[{"c":"x","d":"y","c":"x"}]}}',
        '{"a": 1, "\\u0061": 2}',
        '{"a\\u0022": 1, "a\\"": 2}',
        '{"a": "\\u0022", "a" : 2}',
        '{"a": "\\u0022\\u0022", "b":1,\n "b"\n:2}',
    ],
)
def test_a_key_given_twice_is_refused(text: str) -> None:
    with pytest.raises(ReviewError, match="is given twice in one object"):
        decode(text.encode())


@pytest.mark.parametrize(
    "text",
    [
        '{"a": {"a": [{"a": 1}, {"a": 2}]}, "b": {"a": 1}}',
        '{"a": "{\\"b\\":1,\\"b\\":2}", "c": "\\u0022c\\u0022:"}',
        '{"A": 1, "a": 2, "": 3, "\\u00e4": 4, "\\\\u0022": "{}}"}',
    ],
)
def test_a_key_in_two_objects_or_in_a_text_is_no_duplicate(text: str) -> None:
    assert decode(text.encode()) == json.loads(text)

"""Numbers in a review's body are read as Kubernetes reads them."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

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

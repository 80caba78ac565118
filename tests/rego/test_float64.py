"""Numbers on their way through Go's float64: their texts, and what is kept as it is."""

from __future__ import annotations

from typing import Any

import pytest

from webhook.core.errors import EvaluationError
from webhook.rego.go.float64 import through_float64
from webhook.rego.numbers import text_of

TEXTS: list[tuple[Any, str]] = [
    (0, "0"),
    (-7, "-7"),
    (999_999, "999999"),
    (1_000_000, "1e+06"),
    (-5_000_000, "-5e+06"),
    (2_097_152, "2.097152e+06"),
    (1_000_700_000, "1.0007e+09"),
    (2**53 + 1, "9.007199254740992e+15"),
    (10**16, "1e+16"),
    (10**22, "1e+22"),
    (1.0, "1"),
    (-0.0, "-0"),
    (1.5, "1.5"),
    (250_000.25, "250000.25"),
    (1_234_567.5, "1.2345675e+06"),
    (0.0001, "0.0001"),
    (0.00001, "1e-05"),
]


@pytest.mark.parametrize(("number", "text"), TEXTS)
def test_a_number_is_written_as_go_writes_a_float64(number: Any, text: str) -> None:
    found = through_float64({"a": [number]})["a"][0]
    assert text_of(found) == text
    assert float(found) == float(number)


def test_what_has_no_such_number_is_kept_as_it_is() -> None:
    value = {"a": [1, {"b": True, "c": None, "d": "1000000"}], "e": {}}
    assert through_float64(value) is value


def test_the_value_itself_never_changes() -> None:
    value: Any = {"a": [1_000_000, {"b": 1.0}]}
    through_float64(value)
    assert value == {"a": [1_000_000, {"b": 1.0}]}
    assert value["a"][1]["b"].__class__ is float


def test_an_integer_beyond_all_floats_is_an_error() -> None:
    with pytest.raises(EvaluationError, match="too large"):
        through_float64([10**400])

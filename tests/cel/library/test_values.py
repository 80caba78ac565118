"""Equality, order and the classes of values."""

from __future__ import annotations

import math
from typing import Any

import pytest

from webhook.cel.comparison import compare, equals, find_key, is_number, less, same
from webhook.cel.library import FUNCTIONS
from webhook.cel.opaque import IP, NamedFormat
from webhook.cel.values import NONE, Duration, Optional, Timestamp, Type, UInt, type_of
from webhook.core.errors import EvaluationError

QUANTITY = FUNCTIONS["quantity"].implementation


@pytest.mark.parametrize(
    ("left", "right", "equal"),
    [
        (1, 1.0, True),
        (1, UInt(1), True),
        (UInt(1), 1.0, True),
        (1, True, False),
        (True, 1, False),
        (0.0, False, False),
        (math.nan, math.nan, False),
        (9007199254740993, 9007199254740992.0, True),  # as Kubernetes compares them
        ("a", b"a", False),
        (None, None, True),
        (None, 0, False),
        ([1, [2.0]], [1.0, [2]], True),
        ([1], [True], False),
        ({"a": 1}, {"a": 1.0}, True),
        ({"a": 1}, {"b": 1}, False),
        ({1: "x"}, {True: "x"}, False),
        ({1.0: "x"}, {1: "x"}, True),
        ({1: "x"}, {1.0: "x"}, False),  # a double as a key is found by doubles alone
        ({"a": None}, {}, False),
        (Timestamp(5), Timestamp(5, 3600), True),
        (Duration(5), Timestamp(5), False),
        (Optional(1), Optional(1.0), True),
        (Optional(None), NONE, False),
        (NONE, Optional(None, False), True),
        (Type("int"), Type("int"), True),
        (Type("int"), "int", False),
        (1, QUANTITY("1"), False),
        (QUANTITY("1"), QUANTITY("1000m"), True),
        (QUANTITY("1"), None, False),
        ([QUANTITY("1")], [1], True),  # elements that can't be compared count as equal, as in Kubernetes
    ],
)
def test_equality(left: Any, right: Any, equal: bool) -> None:
    assert equals(left, right) is equal
    assert same(left, right) is equal


@pytest.mark.parametrize("left", [QUANTITY("1"), IP(1, 4), NamedFormat("uri")])
def test_some_values_equal_only_their_own_kind(left: Any) -> None:
    with pytest.raises(EvaluationError, match="no such overload"):
        equals(left, 1)
    assert same(left, 1) is False


@pytest.mark.parametrize(
    ("left", "right", "order"),
    [
        (1, 2.5, -1),
        (UInt(2), 1, 1),
        (2.0, 2, 0),
        ("a", "b", -1),
        (b"b", b"a", 1),
        (False, True, -1),
        (Timestamp(1), Timestamp(2), -1),
        (Duration(2), Duration(1), 1),
        (-1, UInt(2**63), -1),
    ],
)
def test_order(left: Any, right: Any, order: int) -> None:
    assert compare(left, right) == order
    assert less(left, right) is (order < 0)


@pytest.mark.parametrize(
    ("left", "right"), [(1, "a"), (None, None), ([1], [2]), (True, 1), (Timestamp(1), Duration(1))]
)
def test_what_has_no_order_is_an_error(left: Any, right: Any) -> None:
    with pytest.raises(EvaluationError, match="no such overload"):
        compare(left, right)


def test_nan_has_no_order() -> None:
    with pytest.raises(EvaluationError, match="NaN"):
        less(math.nan, 1)


def test_keys_are_found_across_numbers_but_bools_are_their_own() -> None:
    assert find_key({1: "x"}, 1.0)
    assert find_key({1: "x"}, UInt(1))
    assert not find_key({1: "x"}, True)
    assert not find_key({True: "x"}, 1)
    assert not find_key({"a": 1}, [1])
    assert not find_key({"a": 1}, None)


@pytest.mark.parametrize(
    "value", [Timestamp(5), Duration(5), UInt(5), Type("int"), Optional([1]), QUANTITY("1")]
)
def test_values_can_be_keys(value: Any) -> None:
    assert {value: 1}[value] == 1


def test_types_and_numbers() -> None:
    assert type_of(UInt(1)) == Type("uint")
    assert type_of(True) == Type("bool")
    assert is_number(1.0)
    assert not is_number(True)


@pytest.mark.parametrize("ns", [-62_135_596_800 * 10**9 - 1, 253_402_300_800 * 10**9])
def test_timestamps_end_with_the_years_1_and_9999(ns: int) -> None:
    with pytest.raises(EvaluationError, match="timestamp overflow"):
        Timestamp(ns)


def test_durations_have_64_bits() -> None:
    with pytest.raises(EvaluationError, match="duration overflow"):
        Duration(2**63)

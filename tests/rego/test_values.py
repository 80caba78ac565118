from decimal import Decimal

import pytest

from webhook.rego.order import compare, entries_in_order, equal, ordered
from webhook.rego.plain_json import to_json
from webhook.rego.values import UNDEFINED, RegoSet, key, lookup, object_of

RISING = [
    None,
    False,
    True,
    -1,
    0,
    0.5,
    1,
    Decimal("1.00000000000000000001"),
    2,
    10**23,
    Decimal("1E+400"),
    "",
    "a",
    "b",
    [],
    [1],
    [1, 2],
    [2],
    {},
    {"a": 1},
    {"a": 1, "b": 1},
    {"a": 2},
    RegoSet(),
    RegoSet([1]),
    RegoSet([1, 2]),
    RegoSet([2]),
]


@pytest.mark.parametrize("i", range(len(RISING)))
def test_every_value_is_below_those_after_it_and_equal_to_itself_alone(i: int) -> None:
    for j, other in enumerate(RISING):
        assert compare(RISING[i], other) == (i > j) - (i < j), (RISING[i], other)
        assert equal(RISING[i], other) is (i == j), (RISING[i], other)
        assert (key(RISING[i]) == key(other)) is (i == j), (RISING[i], other)


@pytest.mark.parametrize(
    ("a", "b"),
    [
        (1, 1.0),
        (1e23, 10**23),
        (Decimal("0.50"), 0.5),
        ([1, True], [1.0, True]),
        ({"a": [None]}, {"a": [None]}),
        (RegoSet([1, "x"]), RegoSet(["x", 1.0])),
        (object_of([(1, 2), ("a", 3)]), object_of([("a", 3), (1.0, 2)])),
    ],
)
def test_numbers_are_equal_by_value_whatever_holds_them(a: object, b: object) -> None:
    assert equal(a, b)
    assert equal(b, a)
    assert key(a) == key(b)
    assert hash(key(a)) == hash(key(b))
    assert compare(a, b) == 0


@pytest.mark.parametrize(
    ("a", "b"),
    [(True, 1), (False, 0), ([True], [1]), ({"a": False}, {"a": 0}), (RegoSet([1]), RegoSet([True]))],
)
def test_booleans_are_no_numbers(a: object, b: object) -> None:
    assert not equal(a, b)
    assert key(a) != key(b)


@pytest.mark.parametrize(
    ("container", "wanted", "found"),
    [
        ({"a": 1}, "a", 1),
        ({"a": 1}, 1, UNDEFINED),
        (["x"], 0, "x"),
        (["x"], False, UNDEFINED),
        (["x"], -1, UNDEFINED),
        (["x"], 1, UNDEFINED),
        (["x"], 0.0, UNDEFINED),
        (RegoSet([True]), 1, UNDEFINED),
        (RegoSet([[1, {"a": "b"}]]), [1, {"a": "b"}], [1, {"a": "b"}]),
        (object_of([(True, "yes"), ("s", "no")]), True, "yes"),
        (object_of([(True, "yes"), ("s", "no")]), "s", "no"),
        (object_of([(True, "yes")]), 1, UNDEFINED),
        ("text", 0, UNDEFINED),
        (None, "a", UNDEFINED),
    ],
)
def test_lookup(container: object, wanted: object, found: object) -> None:
    assert lookup(container, wanted) == found


def test_order_of_mixed_values_is_opas() -> None:
    assert ordered(reversed(RISING)) == RISING
    assert list(entries_in_order({"b": 1, "a": 2})) == [("a", 2), ("b", 1)]


def test_as_json_sets_are_arrays_and_other_keys_texts() -> None:
    value = object_of([(RegoSet([2, 1]), RegoSet(["b", "a"])), ("k", None), (True, 1)])
    assert to_json(value) == {"[1,2]": ["a", "b"], "k": None, "true": 1}

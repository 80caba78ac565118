"""Errors of evaluations are said as Kubernetes says them: they end in denials, which people compare."""

from __future__ import annotations

from itertools import product
from pathlib import Path
from typing import Any

import pytest

from tests.cel.differential import Case, ask_oracle, ours

BINDING: dict[str, Any] = {
    "object": {"b": True, "i": 5, "d": 1.5, "s": "str", "l": [1, "a"], "m": {"x": 1}, "n": None}
}
VALUES = [f"object.{name}" for name in BINDING["object"]]
ONE = """
-$ | !$ | size($) | int($) | string($) | bool($) | timestamp($) | quantity($) | isQuantity($) | type($)
$.startsWith('x') | $.contains('x') | $.matches('x') | 'x'.endsWith($) | 'x'.matches($) | $.find('x')
$.lowerAscii() | $.trim() | $.split(',') | $.replace('a', 'b') | 'x'.substring($) | $.indexOf('a')
$.join(',') | $.charAt(0) | 'x'.split($) | $.getFullYear() | quantity('1').compareTo($)
$.all(x, true) | $.exists(x, x) | $.map(x, x) | $.filter(x, x) | $.exists_one(x, x) | [$].all(x, x)
$.x | has($.x) | $[0] | $['x'] | $ ? 1 : 2 | true && $ | $ || false | 'x' in $ | $.reverse() | $.slice(0, 1)
$.max() | $.isSorted() | $.orValue(1) | {'x': 1}[object.b] | $.sort() | sets.contains([1], $)
"""
PATTERNED = [f"$.{name}({pattern})" for name in ("matches", "find") for pattern in ("object.s", "object.i")]
TWO = ["+", "-", "*", "/", "%", "<", ">=", "in"]
PATTERNS = [
    "(",
    "[",
    "a**",
    "a\\\\",
    "(?P<n",
    "(?=a)",
    "[z-a]",
    ")",
    "\\\\8",
    "a{1001}",
    "[[:foo:]]",
    "\\\\pX",
]
MORE = [
    "[{'a': 1}, {'b': 1}, {'c': 1}].filter(x, x.a == object.i)",  # the last error counts
    "[{'c': object.s.x}, {}].exists_one(x, x.a)",
    "[dyn({}), dyn({'a': 5}), dyn({'b': 1})].map(x, x.a, x.b)",
    "[dyn({}), dyn({'a': object.s}), dyn({'b': 1})].all(x, x.b || x.a)",  # the first error counts
]


def expressions() -> list[str]:
    """Return every expression, with each value where one belongs."""
    templates = [part.strip() for line in ONE.strip().split("\n") for part in line.split(" | ")]
    templates += PATTERNED
    found = [each.replace("$", value) for each in templates for value in VALUES]
    found += [f"{left} {sign} {right}" for sign in TWO for left, right in product(VALUES, VALUES)]
    found += [f"'x'.matches(object.s + '{pattern}')" for pattern in PATTERNS]
    return found + MORE


def test_errors_are_kubernetes_words(oracles: Path) -> None:
    cases = [Case("errors", at, text, "b") for at, text in enumerate(expressions())]
    theirs = ask_oracle(oracles, cases, {"b": BINDING})
    differing = []
    for case, expected in zip(cases, theirs, strict=True):
        got = ours(case, BINDING)
        if (got.stage, got.error) != (expected.stage, expected.error):
            differing.append((case.source, got.stage, got.error, expected.stage, expected.error))
    assert differing == []
    assert sum(each.stage == "eval" for each in theirs) > 500


@pytest.mark.parametrize(
    ("source", "error"),
    [
        ("object.i + object.s", "no such overload"),
        ("object.b + object.s", "no such overload: _+_"),
        ("object.l.lowerAscii()", "no such overload: lowerAscii(list)"),
        ("object.i.startsWith('x')", "no such overload"),
        ("object.d.all(x, true)", "got 'types.Double', expected iterable type"),
        ("'x'.matches(object.s + '(')", "error parsing regexp: missing closing ): `str(`"),
    ],
)
def test_an_error_says(source: str, error: str) -> None:
    assert ours(Case("errors", 0, source, "b"), BINDING).error == error

"""Errors are in Kubernetes' own words: people search for them, and Gatekeeper's answers quote them."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

BINDING: dict[str, Any] = {
    "object": {
        "spec": {"none": None, "yes": True, "one": 1, "half": 0.5, "text": "a", "list": [1], "map": {"k": 1}},
        "boxes": [{"size": 1}, {"size": "big"}, {}],
        "crates": [{}, {"size": "big"}],
    },
    "request": {},
}
VARIABLES = {
    "inner": "object.spec.text + object.spec.one",
    "outer": "size(variables.inner) > 0",
    "missing": "object.spec.nope",
}

WORDS = {
    # An operator asks its left value: one that has it says no more, another one names it.
    "object.spec.one + object.spec.none": "no such overload",
    "object.spec.list + object.spec.text": "no such overload",
    "object.spec.none + object.spec.list": "no such overload: _+_",
    "object.spec.map + object.spec.map": "no such overload: _+_",
    "object.spec.text - object.spec.text": "no such overload",
    "object.spec.list - object.spec.one": "no such overload: _-_",
    "object.spec.text * 2": "no such overload",
    "object.spec.yes / 2": "no such overload: _/_",
    "object.spec.half % 2": "no such overload: _%_",
    "object.spec.one < object.spec.text": "no such overload",
    "object.spec.none <= object.spec.one": "no such overload: _<=_",
    "object.spec.list > object.spec.list": "no such overload: _>_",
    "object.spec.one in object.spec.text": "no such overload",
    "-object.spec.text": "no such overload",
    "-object.spec.list": "no such overload: -_",
    # A function names the types of what it got; some of a string's never do.
    "object.spec.one.lowerAscii()": "no such overload: lowerAscii(int)",
    "object.spec.list.trim()": "no such overload: trim(list)",
    "object.spec.text.replace('a', object.spec.one)": "no such overload: replace(string, string, int)",
    "string(object.spec.map)": "no such overload: string(map)",
    "object.spec.none.sum()": "no such overload: sum(null_type)",
    "quantity(object.spec.one)": "no such overload: quantity(int)",
    "quantity('1').isLessThan(object.spec.one)": "no such overload: isLessThan(kubernetes.Quantity, int)",
    "object.spec.one.startsWith('a')": "no such overload",
    "'a'.contains(object.spec.one)": "no such overload",
    "object.spec.one.matches('a')": "no such overload",
    "size(object.spec.one)": "no such overload: size",
    "[object.spec.one, object.spec.text].sum()": "no such overload",
    "[object.spec.one, object.spec.none].max()": "no such overload",
    "object.spec.one.orValue(1)": "no such overload",
    # What isn't iterable, no key, or no pattern.
    "object.spec.none.all(x, true)": "got 'types.Null', expected iterable type",
    "object.spec.text.map(x, x)": "got 'types.String', expected iterable type",
    "object.spec.half.exists(x, true)": "got 'types.Double', expected iterable type",
    "dyn(duration('1s')).filter(x, true)": "got 'types.Duration', expected iterable type",
    "dyn(quantity('1')).filter(x, true)": "got 'cel.Quantity', expected iterable type",
    "dyn(type(1)).filter(x, true)": "got '*types.Type', expected iterable type",
    "object.spec.map[object.spec.yes]": "no such key: true",
    "object.spec.map[object.spec.list]": "invalid qualifier type: []interface {}",
    "object.spec.list[object.spec.none]": "invalid qualifier type: <nil>",
    "object.spec.list[object.spec.text]": "unsupported index type 'string' in list",
    "object.spec.text.matches('[' + object.spec.text)": "error parsing regexp: missing closing ]: `[a`",
    "object.spec.text.matches('(' + object.spec.text)": "error parsing regexp: missing closing ): `(a`",
    "semver(object.spec.text)": "No Major.Minor.Patch elements found",
    "semver(object.spec.text.replace('a', ''))": "Version string empty",
    "semver('.2.3-' + object.spec.text)": 'strconv.ParseUint: parsing "": invalid syntax',
    "semver('1.2.' + object.spec.text)": 'Invalid character(s) found in patch number "a"',
    "semver('01.2.3-' + object.spec.text)": 'Major number must not contain leading zeroes "01"',
    "semver('1.99999999999999999999.3-' + object.spec.text)": (
        'strconv.ParseUint: parsing "99999999999999999999": value out of range'
    ),
    "semver('1.2.3-01.' + object.spec.text)": (
        'Numeric PreRelease version must not contain leading zeroes "01"'
    ),
    "semver('1.2.3-.' + object.spec.text)": "Prerelease is empty",
    "semver('1.2.3-\u00e9' + object.spec.text)": 'Invalid character(s) found in prerelease "\u00e9a"',
    "semver('1.2.3+.' + object.spec.text)": "Build meta data is empty",
    "semver('1.2.3+_' + object.spec.text)": 'Invalid character(s) found in build meta data "_a"',
    "semver('1-' + object.spec.text, true)": "short version cannot contain PreRelease/Build meta data",
    "semver('1.\u200b.3-' + object.spec.text, true)": (
        'Invalid character(s) found in minor number "0\\u200b"'
    ),
    # An error doesn't end a loop: the last one of a condition, the first one of what it gives.
    "object.boxes.filter(b, b.size > 0)": "no such key: size",
    "object.crates.filter(c, c.size > 0)": "no such overload",
    "object.crates.exists_one(c, c.size > 0)": "no such overload",
    "object.crates.map(c, c.size > 0, c)": "no such overload",
    "object.boxes.map(b, b.size + 1)": "no such overload",
    "object.boxes.map(b, has(b.size), b.size + 1)": "no such overload",
    "object.crates.map(c, c.size + 1)": "no such key: size",
    "object.crates.all(c, c.size > 0)": "no such key: size",
    # A variable that fails names itself, and those that it reads.
    "variables.missing == 1": 'composited variable "missing" fails to evaluate: no such key: nope',
    "variables.outer": 'composited variable "outer" fails to evaluate: '
    'composited variable "inner" fails to evaluate: no such overload',
}


@pytest.fixture(scope="module")
def cases(differential: ModuleType) -> list[Any]:
    return [differential.Case("words", 0, source, "words", VARIABLES) for source in WORDS]


@pytest.mark.parametrize("exact", [False, True], ids=["generated", "exact"])
def test_an_error_says_what_kubernetes_says(differential: ModuleType, cases: list[Any], exact: bool) -> None:
    got = [differential.ours(case, BINDING, exact=exact) for case in cases]
    assert {case.source: one.error for case, one in zip(cases, got, strict=True)} == WORDS


@pytest.mark.oracle
@pytest.mark.xdist_group("cel-oracle")
def test_kubernetes_says_so(differential: ModuleType, cases: list[Any], oracles: Path) -> None:
    theirs = differential.ask_oracle(oracles, cases, {"words": BINDING})
    assert {case.source: one.error for case, one in zip(cases, theirs, strict=True)} == WORDS


def test_a_failed_variable_fails_in_the_same_words_at_every_reading(differential: ModuleType) -> None:
    source = "[1, 2].map(x, variables.missing + x)"
    case = differential.Case("words", 0, source, "words", VARIABLES)
    one = differential.ours(case, BINDING)
    assert one.error == 'composited variable "missing" fails to evaluate: no such key: nope'


def test_a_duration_has_an_opposite(differential: ModuleType) -> None:
    case = differential.Case("words", 0, "-dyn(duration('2s')) == duration('-2s')", "words")
    assert differential.ours(case, BINDING).value is True

"""Modules are read as OPA reads them, in time that grows with their length; deep nesting is refused."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests.rego import syntax_tree
from tests.rego.front.checks import VERSIONS, own_cases, problems, tree_of_opa
from webhook.core.errors import CompileError
from webhook.rego.ast import Version
from webhook.rego.parser import parse_module

SECONDS = 60.0  # of CPU: what isn't linear takes far longer

# ruff: noqa: E501, ISC004 - policies are as long as they are
POLICIES: dict[str, tuple[Version, str]] = {
    "heads": (
        "v1",
        "p := 1\nq contains 1\nr[x] := y if { x := 1; y := 2 }\ns.t.u := 3\ns.v[x].w contains x if x := 1\n"
        'f(x, _) := x\ng([x, {"a": y}]) := x + y if x > y\ndefault f(_, _) := 0\ndefault h := {1, [2]}',
    ),
    "chains": (
        "v0",
        "f(_, x) = 1 { x == 1 } { x == 2 } { x == 3 }\np { false } else = 2 { false } else = 3\n"
        "q[x] { x = 1 } { x = 2 }",
    ),
    "bare bodies": ("v0", "p = 1\nq[1]\nf(x) = x\ng(1)\nr.s.t\nu.v = 1\nw := [1 | true]\nx[1] = 2"),
    "operators": (
        "v0",
        "p { x = 1 + 2 * 3 - 4 / 5 % 6; y := (1 | 2 & 3) - 4; -x < -1; a == b != c; z := -input.x }",
    ),
    "literals": (
        "v0",
        'p = [null, true, false, 0, -1, 1.5, 1e3, -2E-7, "a\\u00e9\\n\\ud83d\\ude00", `a\\n{`, set(), {}, [], {1, "a"}, '
        '{"k": 1, 2: {}}, [1,], {1,}, {"a": 1,}]',
    ),
    "comprehensions": (
        "v0",
        "p = [x | x = input[_]]\nq = {x | x = 1; true}\nr = {k: v | v = input[k]}\ns = {x | y}\nt = {(x | y)}\n"
        "u = {1 | 2, 3}\nv = [[x | y] | z]\nw = {x: {y | z} | a}",
    ),
    "some, every and in": (
        "v1",
        "p if { some x; some y, z; some a in b; some k, v in c; every d in e { d; not f }; g in h; i, j in l; (m in n) in o }",
    ),
    "keywords from imports": (
        "v0",
        "import future.keywords.in\nimport future.keywords.every\nimport future.keywords.if\n"
        "import future.keywords.contains\np contains x if { some x in [1]; every y in [x] { y } }\nq if x in y",
    ),
    "all keywords": ("v0", "import future.keywords\np contains 1 if { not false }"),
    "v1 inside v0": ("v0", "import rego.v1\np contains 1 if true"),
    "keywords as names": (
        "v1",
        'p if { input.if.contains["in"].not == data.default.else; x.every }\nif.not := 1',
    ),
    "not with a body": ("v1", "import future.keywords.not\np if { not { x := 1; x > 2 }; not y }"),
    "with": ("v0", "p { true with input as 1 with data.a.b as {} ; not q with input.x as [1] }"),
    "calls": ("v0", "p { f(1).x[0]; a.b.c(1, [2])[_].y; set().x; f(); (g)(1) }"),
    "template strings": ("v1", 'p := $"a{x}b{1}{f("}")}\\{c" if { x := $`{1 + 2}\n\\{` }'),
    "comments": ("v0", "# a\n# METADATA\n# title: x\np { # b\n 1; # c\n # d\n 2 } # e"),
    "windows": ("v0", "p {\r\n  x := 1\r\n  y := 2\r\n}\r\n"),
    "spaces before brackets": ("v0", "p { x [0]; y .z; [1, 2] [0] }"),
}


def trees(text: str, version: Version, program: Path, folder: Path) -> tuple[object, object]:
    """Return our tree and OPA's; None where one refuses."""
    try:
        ours = syntax_tree.normal(syntax_tree.module(parse_module(text, "", version)))
    except CompileError:
        ours = None
    file = folder / "t.rego"
    file.write_text(text, newline="")
    theirs = tree_of_opa(program, file, version)
    return ours, theirs if theirs is None else syntax_tree.normal(theirs)


@pytest.mark.parametrize("name", POLICIES)
def test_opa_reads_the_same(name: str, opa: Path, tmp_path: Path) -> None:
    version, text = POLICIES[name]
    ours, theirs = trees(f"package t\n{text}", version, opa, tmp_path)
    assert ours == theirs


def compare_cases(version: Version, step: int, program: Path, folder: Path, found: Path) -> None:
    compared = 0
    for number, case in enumerate(own_cases(found, version)):
        if number % step:
            continue
        for text in case.fields["modules"]:
            ours, theirs = trees(text, version, program, folder)
            if "1e308" not in text and "e+" not in text:  # JSON has no such number
                assert ours == theirs, case.note
            compared += 1
    assert compared > 500 // step


@pytest.mark.parametrize("version", VERSIONS)
def test_a_sample_of_opa_s_cases_is_read_the_same(
    version: Version, opa: Path, opa_cases: Path, tmp_path: Path
) -> None:
    compare_cases(version, 29, opa, tmp_path, opa_cases)


@pytest.mark.long
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("version", VERSIONS)
def test_all_of_opa_s_cases_are_read_the_same(
    version: Version, opa: Path, opa_cases: Path, tmp_path: Path
) -> None:
    compare_cases(version, 1, opa, tmp_path, opa_cases)


DEEP = {
    "arrays": "p = " + "[" * 5000 + "]" * 5000,
    "open arrays": "p = " + "[" * 100_000,
    "objects": "p = " + '{"a": ' * 5000 + "1" + "}" * 5000,
    "sets": "p = " + "{" * 5000 + "1" + "}" * 5000,
    "parentheses": "p = " + "(" * 5000 + "1" + ")" * 5000,
    "comprehensions": "p = " + "[1 | " * 5000 + "1" + "]" * 5000,
    "broken comprehensions": "p = " + "{1 | " * 5000 + "1, " + "}" * 5000,
    "object comprehensions": "p = " + "{1: 2 | " * 5000 + "1" + "}" * 5000,
    "calls": "p { " + "f(" * 5000 + "1" + ")" * 5000 + " }",
    "brackets": "p { " + "x[" * 5000 + "1" + "]" * 5000 + " }",
    "chained calls": "p { f" + ".g(1)" * 5000 + " }",
    "sums": "p { x = 1" + " + 1" * 5000 + " }",
    "minus": "p { x = " + "-" * 5000 + "1 }",
    "every": "import future.keywords\np { " + "every x in y { " * 5000 + "1" + "}" * 5000 + " }",
    "every without the import": "p { " + "every x in y { " * 5000 + "1" + "}" * 5000 + " }",
    "some": "import future.keywords\np { " + "some x in [y | " * 5000 + "1" + "]" * 5000 + " }",
    "not": "import future.keywords.not\np { " + "not { " * 5000 + "1" + "}" * 5000 + " }",
    "else": "p { false }" + " else = 1 { false }" * 5000,
    "in": "import future.keywords\np { x" + " in x" * 5000 + " }",
}


@pytest.mark.parametrize("name", DEEP)
def test_nesting_without_end_is_refused_at_once(name: str) -> None:
    started = time.process_time()
    found = problems(f"package t\n{DEEP[name]}", "v0")
    assert time.process_time() - started < SECONDS
    assert found
    assert all("rego_parse_error" in one for one in found)


LONG = {
    "rules": "p { x := 1; x > 0 }\n" * 1000,
    "a body": "p { " + "input.a > 0\n" * 2000 + " }",
    "a body in the wrong order": "p { "
    + "".join(f"x{n + 1} = x{n}\n" for n in reversed(range(700)))
    + " x0 = 1 }",
    "a reference": "p { input" + ".a" * 12_000 + " }",
    "an array": "p = [" + "1, " * 12_000 + "2]",
    "a set": "p = {" + ", ".join(map(str, range(8_000))) + "}",
    "an object": "p = {" + ", ".join(f'"k{n}": {n}' for n in range(6_000)) + "}",
    "a string": 'p = "' + "a" * 1_000_000 + '"',
    "escapes": 'p = "' + "\\n" * 300_000 + '"',
    "a number": "p = " + "1" * 20_000,
    "comments": "# a\n" * 100_000 + "p = 1",
    "blanks": "p = " + " \n" * 300_000 + " 1",
    "withs": "p { true" + " with input.a as 1" * 1000 + " }",
    "chained bodies": "p { true }" + "{ true }" * 1000,
    "rules of one name": "".join(f"p[{n}] {{ input.a[{n}] }}\n" for n in range(1000)),
    "a chain of rules": "".join(f"r{n} {{ r{n + 1} }}\n" for n in range(1000)) + "r1000 { true }",
}


@pytest.mark.parametrize("name", LONG)
def test_what_is_only_long_is_compiled_in_time(name: str) -> None:
    started = time.process_time()
    assert problems(f"package t\n{LONG[name]}", "v0") == []
    assert time.process_time() - started < SECONDS


@pytest.mark.parametrize(
    "text", ["", "#", "package", "package t", "\ufeffpackage t\np = 1", "package t\n\0", "\udcff"]
)
def test_any_text_is_read_or_refused(text: str) -> None:
    for version in VERSIONS:
        problems(text, version)


@pytest.mark.parametrize(
    "literal", ["9.99002e30102", "1e-30102", "0e9999999", "123456789e30000", "1" * 30000]
)
def test_numbers_up_to_opa_s_limit_are_read(literal: str) -> None:
    assert problems(f"package t\np = {literal}", "v0") == []


@pytest.mark.parametrize(
    "literal", ["9.99003e30102", "1e30103", "1e-40000", "1e9999999999", "0.1e100000", "9" * 30103]
)
def test_larger_numbers_are_refused(literal: str) -> None:
    assert problems(f"package t\np = {literal}", "v0")[0] == "2:5: rego_parse_error: number too big"

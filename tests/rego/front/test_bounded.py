"""What doubles with every line or level for a checker that isn't careful is checked in time."""

from __future__ import annotations

import time

import pytest

from tests.rego.front.checks import problems
from webhook.rego.errors import MAX_ERRORS

SECONDS = 60.0  # of CPU: what isn't linear takes far longer

ACCEPTED = {
    "nested comprehensions": "p = " + "".join(f"[x{n} | x{n} = " for n in range(45)) + "1" + "]" * 45,
    "comprehensions in comprehensions": "p { y = "
    + "[x | x = [z | z = input.a][_]; x = " * 24
    + "1"
    + "]" * 24
    + " }",
    "comprehensions behind indices": "p { "
    + "".join(f"input.a[i{n}] = [x{n} | x{n} = 1; " for n in range(24))
    + "true"
    + "]" * 24
    + " }",
    "arrays of arrays": "p { x0 = 1; " + "".join(f"x{n + 1} = [x{n}, x{n}]; " for n in range(60)) + "true }",
    "objects of objects": "p { x0 = 1; "
    + "".join(f'x{n + 1} = {{"a": x{n}, "b": x{n}}}; ' for n in range(60))
    + "true }",
    "rules of rules": "".join(f"r{n} = [r{n + 1}, r{n + 1}] {{ true }}\n" for n in range(60)) + "r60 = 1",
    "sets of objects": "".join(f'p[{{"k{n}": {n}}}] {{ input.x = {n} }}\n' for n in range(300)),
    "closures that wait for each other": "p { "
    + "".join(f"x{n} = [y | y = x{n + 1}]; " for n in range(200))
    + "x200 = 1 }",
}

REFUSED = {
    "all rules refer to all": "".join(f"r{n} {{ data.t[_] }}\n" for n in range(400)),
    "an error inside nested comprehensions": "p = "
    + "".join(f"[x{n} | x{n} = " for n in range(45))
    + '1 + "a"'
    + "]" * 45,
    "a ring of unknown variables": "p { " + "".join(f"x{n} = x{n + 1}; " for n in range(500)) + "x500 = x0 }",
    "all rules of a layer refer to all of the next, and one to itself": "".join(
        f"{name}[{n}] {{ {below}[x] }}\n" for name, below in ("ab", "bc", "cd") for n in range(300)
    )
    + "d[x] { d[x] }\n",
    "many errors": "p { " + "foo(1); " * 2000 + "true }",
}


@pytest.mark.parametrize("name", ACCEPTED)
def test_accepted_in_time(name: str) -> None:
    started = time.process_time()
    assert problems(f"package t\n{ACCEPTED[name]}", "v0") == []
    assert time.process_time() - started < SECONDS


@pytest.mark.parametrize("name", REFUSED)
def test_refused_in_time_with_a_few_problems(name: str) -> None:
    started = time.process_time()
    found = problems(f"package t\n{REFUSED[name]}", "v0")
    assert time.process_time() - started < SECONDS
    assert 1 <= len(found) <= MAX_ERRORS + 1, "the last says that there are more"


TOO_LARGE = {
    "definitions": "".join(f"p[{n}] {{ input.a == {n} }}\n" for n in range(30_000)),
    "a literal": "p = [" + "1, " * 400_000 + "1]",
    "a reference": "p { input" + ".a" * 400_000 + " }",
    "names": "p { " + "; ".join(f"x{n} := {n}" for n in range(100_000)) + " }",
}
SECONDS_TO_REFUSE = 10.0  # of CPU: compiling them would take more than twice that


@pytest.mark.parametrize("name", TOO_LARGE)
def test_what_is_too_large_is_refused_before_it_is_compiled(name: str) -> None:
    started = time.process_time()
    (found,) = problems(f"package t\n{TOO_LARGE[name]}", "v0")
    assert time.process_time() - started < SECONDS_TO_REFUSE
    assert "rego_parse_error: the source is too large: a program may have 25,000 tokens" in found


def test_comments_blanks_and_long_texts_are_not_what_makes_a_source_too_large() -> None:
    text = "# " + "word " * 100_000 + "\n" * 100_000 + 'p = "' + "a " * 100_000 + '"'
    assert problems(f"package t\n{text}", "v0") == []

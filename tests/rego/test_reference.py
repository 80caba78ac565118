"""The page about Rego names every builtin that is there, and every one that is refused."""

import re
from pathlib import Path

import webhook.rego.builtins.declaration as declaration
from webhook.rego import compile_modules  # noqa: F401 - declares all builtins

PAGE = (Path(__file__).parents[2] / "docs/reference/rego.md").read_text()
BUILTINS, REFUSED = PAGE.split("## What is refused")
COMPARISONS = {"eq", "equal", "neq", "lt", "lte", "gt", "gte"}
OPERATORS = COMPARISONS | {"plus", "minus", "mul", "div", "rem", "and", "or"}


def named(text: str) -> set[str]:
    return set(re.findall(r"`([a-z][a-z0-9_.]*)`", text))


def test_every_builtin_is_named() -> None:
    there = {name for name in declaration.DECLARATIONS if not name.startswith("internal.")} - OPERATORS
    table = named(BUILTINS.split("## Builtins")[1].split("`uuid.rfc4122` and")[0])
    assert table - {"walk", "print"} == there - {"walk", "print"}


def test_every_refused_builtin_is_named_with_what_to_use_instead() -> None:
    assert declaration.REFUSED.keys() <= named(REFUSED.split("## Limits")[0])

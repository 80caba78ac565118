"""Tables of calls of builtins and their results: reads them, computes them here, and asks OPA."""

from __future__ import annotations

import json
import re
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from webhook.core.activation import Budget
from webhook.core.errors import EvaluationError
from webhook.rego.builtins import DECLARATIONS, BuiltinError, Context
from webhook.rego.numbers import number_of
from webhook.rego.value_text import term_text
from webhook.rego.values import UNDEFINED, RegoSet, object_of

_TOKEN = re.compile(
    r"""\s*(?:(?P<number>-?[0-9][0-9.eE+-]*)|(?P<string>"(?:[^"\\]|\\.)*")|(?P<raw>`[^`]*`)"""
    r"""|(?P<name>[a-z_][A-Za-z0-9_.]*)|(?P<sign>[\[\](){},:]))"""
)


@dataclass(frozen=True)
class Row:
    """One line of a table: an expression, and what is to come of it."""

    file: str
    line: int
    expression: str
    expected: str


def read(path: Path) -> list[Row]:
    """Read a table: ``expression => result`` a line; a result ``!code: message`` is an error."""
    rows = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if line.strip() and not line.startswith("#"):
            expression, _, expected = line.partition(" => ")
            rows.append(Row(path.stem, number, expression.strip(), expected))
    return rows


def evaluate(expression: str, context: Context | None = None) -> str:
    """Return the text of what the builtins here make of an expression of literals and calls."""
    try:
        value, rest = _read(expression, context or Context(budget=Budget(10_000_000)))
    except _CallError as error:
        return f"!{error.code}: {error.name}: {error}".replace("\n", "\\n")
    assert not expression[rest:].strip(), f"trailing {expression[rest:]!r}"
    return "undefined" if value is UNDEFINED else term_text(value)


class _CallError(Exception):
    def __init__(self, name: str, code: str, message: str) -> None:
        super().__init__(message)
        self.name, self.code = name, code


def _read(text: str, context: Context, at: int = 0) -> tuple[Any, int]:
    token = _TOKEN.match(text, at)
    assert token, f"can't read {text[at:]!r}"
    at = token.end()
    if token["number"]:
        return number_of(token["number"]), at
    if token["string"]:
        return json.loads(token["string"], strict=False), at
    if token["raw"] is not None:
        return token["raw"][1:-1], at
    if token["name"] in ("true", "false", "null"):
        return {"true": True, "false": False, "null": None}[token["name"]], at
    if token["name"]:
        items, at = _items(text, context, at, ")")
        return (RegoSet() if token["name"] == "set" else call(token["name"], items, context)), at
    if token["sign"] == "[":
        return _items(text, context, at, "]")
    assert token["sign"] == "{", f"can't read {text[at - 1 :]!r}"
    return _braces(text, context, at)


def _items(text: str, context: Context, at: int, close: str) -> tuple[list[Any], int]:
    if text[at : at + 1] == "(":
        at += 1
    items = []
    while True:
        while text[at : at + 1] in (" ", ","):
            at += 1
        if text[at] == close:
            return items, at + 1
        item, at = _read(text, context, at)
        items.append(item)


def _braces(text: str, context: Context, at: int) -> tuple[Any, int]:
    pairs: list[tuple[Any, Any]] = []
    members: list[Any] = []
    while True:
        while text[at : at + 1] in (" ", ","):
            at += 1
        if text[at] == "}":
            return (RegoSet(members) if members else object_of(pairs)), at + 1
        item, at = _read(text, context, at)
        if text[at : at + 1] == ":":
            value, at = _read(text, context, at + 1)
            pairs.append((item, value))
        else:
            members.append(item)


def call(name: str, operands: Sequence[Any], context: Context) -> Any:
    """Return what a builtin gives for `operands`."""
    if any(operand is UNDEFINED for operand in operands):
        return UNDEFINED
    declaration = DECLARATIONS[name]
    assert declaration.implementation is not None
    try:
        if declaration.needs_context:
            return declaration.implementation(context, *operands)
        return declaration.implementation(*operands)
    except BuiltinError as error:
        raise _CallError(name, error.code, str(error)) from error
    except EvaluationError as error:
        raise _CallError(name, "halt", str(error)) from error


def ask(opa: Path, expressions: Sequence[str]) -> list[str]:
    """Return OPA's results for `expressions`, as `evaluate` writes them."""
    lines = ["package t", "id(_, x) = x"]
    lines += [
        f'r[{index}] = y {{ x = {untyped(e, index)}; y = sprintf("%v", [[x]]) }}'
        for index, e in enumerate(expressions)
    ]
    with tempfile.TemporaryDirectory() as folder:
        policy = Path(folder) / "t.rego"
        policy.write_text("\n".join(lines) + "\n", encoding="utf-8")
        command = [
            opa,
            "eval",
            "--v0-compatible",
            "--show-builtin-errors",
            "-d",
            policy,
            "-f",
            "json",
            "data.t.r",
        ]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    answer = json.loads(done.stdout)
    errors = answer.get("errors", [])
    found = answer["result"][0]["expressions"][0]["value"] if answer.get("result") else {}
    assert answer.get("result"), (errors, done.stderr)
    results = ["undefined"] * len(expressions)
    for index, text in found.items():
        results[int(index)] = text[1:-1]
    for error in errors:
        row = error["location"]["row"] - len(lines) + len(expressions) - 1
        results[row] = _message(error)
    return results


def _message(error: dict[str, str]) -> str:
    return f"!{error['code']}: {error['message']}".replace("\n", "\\n")


def untyped(expression: str, index: int) -> str:
    """Return the expression with each top-level operand behind a function, so OPA's checker lets it pass.

    The function's first operand is always another, since OPA keeps results: 1 and 1.0 are the same to it.
    """
    name, _, rest = expression.partition("(")
    if not re.fullmatch(r"[a-z_][A-Za-z0-9_.]*", name) or name == "set":
        return expression
    parts, depth, start, at, body = [], 0, 0, 0, rest[: rest.rindex(")")]
    while at < len(body):
        if body[at] == '"':
            at = re.compile(r'"(?:[^"\\]|\\.)*"').match(body, at).end()  # type: ignore[union-attr]
            continue
        if body[at] == "`":
            at = body.index("`", at + 1) + 1
            continue
        depth += (body[at] in "([{") - (body[at] in ")]}")
        if body[at] == "," and depth == 0:
            parts.append(body[start:at])
            start = at + 1
        at += 1
    parts.append(body[start:])
    hidden = [f'id("{index}.{place}", {part.strip()})' for place, part in enumerate(parts) if part.strip()]
    return f"{name}({', '.join(hidden)})"

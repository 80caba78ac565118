"""Every builtin of OPA is declared with OPA's types, or refused with a reason."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from webhook.rego import types
from webhook.rego.builtins import DECLARATIONS, REFUSED
from webhook.rego.builtins.operand_names import OPERANDS
from webhook.rego.compile import LANGUAGE, compile_modules
from webhook.rego.errors import RegoError
from webhook.rego.parser import parse_module

OURS = {"external_data"}
"""Builtins that OPA doesn't have: Gatekeeper's."""


def _type(found: dict[str, Any]) -> types.Type:
    kind = found["type"]
    if kind == "any":
        return types.Union(tuple(map(_type, found.get("of", ()))))
    if kind == "array":
        dynamic = _type(found["dynamic"]) if found.get("dynamic") else None
        return types.Array(dynamic, tuple(map(_type, found.get("static", ()))))
    if kind == "set":
        return types.Set(_type(found["of"]))
    if kind == "object":
        static = tuple((one["key"], _type(one["value"])) for one in found.get("static", ()))
        dynamic = found.get("dynamic")
        return types.Object(static, (_type(dynamic["key"]), _type(dynamic["value"])) if dynamic else None)
    return types.Simple(kind)


@pytest.fixture(scope="module")
def capabilities(opa: Path) -> dict[str, dict[str, Any]]:
    done = subprocess.run([opa, "capabilities", "--current"], capture_output=True, check=True, timeout=60)
    return {builtin["name"]: builtin for builtin in json.loads(done.stdout)["builtins"]}


def test_every_builtin_of_opa_is_there_or_refused(capabilities: dict[str, dict[str, Any]]) -> None:
    known = {*DECLARATIONS, *LANGUAGE, *REFUSED}
    assert capabilities.keys() - known - {"internal.print"} == set()
    assert (DECLARATIONS.keys() | REFUSED.keys()) - capabilities.keys() == OURS
    assert not DECLARATIONS.keys() & REFUSED.keys()


def test_types_are_those_of_opa(capabilities: dict[str, dict[str, Any]]) -> None:
    differing = []
    for name, declaration in DECLARATIONS.items():
        if name in OURS:
            continue
        found = capabilities[name]
        arguments = [str(_type(one)) for one in found["decl"].get("args", ())]
        result = str(_type(found["decl"]["result"]))
        ours = [str(one) for one in declaration.arguments]
        if ours != arguments or str(declaration.result) != result:
            differing.append(f"{name}: {ours} -> {declaration.result}, OPA: {arguments} -> {result}")
        if declaration.infix != found.get("infix", ""):
            differing.append(f"{name}: infix {declaration.infix}")
        if declaration.deprecated != found.get("deprecated", False):
            differing.append(f"{name}: deprecated {declaration.deprecated}")
        if found.get("nondeterministic") and declaration.pure:
            differing.append(f"{name}: not pure")
    assert not differing, "\n".join(differing)


def test_operands_are_called_as_opa_calls_them(capabilities: dict[str, dict[str, Any]]) -> None:
    called = {}
    for name in (DECLARATIONS.keys() | LANGUAGE) & capabilities.keys():
        declared = capabilities[name]["decl"]
        names = [one.get("name", "") for one in (*declared.get("args", ()), declared.get("result", {}))]
        if any(names):
            called[name] = ", ".join(names)
    assert called == OPERANDS


@pytest.mark.parametrize(
    "expression",
    [
        "count(1)",
        "count(1, 2, 3)",
        "count()",
        "x := 1 + {}",
        "1 + {}",
        'startswith("a")',
        "walk(1, 2, 3)",
        "set_diff(1, 2)",
        'object.get("a", 1, 2)',
        "f(1, 2, 3)",
        "f({})",
        "sprintf(1, 2)",
    ],
)
def test_wrong_operands_are_told_as_opa_tells_them(opa: Path, tmp_path: Path, expression: str) -> None:
    source = f"package t\n\np {{ {expression} }}\n\nf(x) = y {{ y := x + 1 }}\n"
    (tmp_path / "t.rego").write_text(source)
    words = [opa, "check", "--v0-compatible", "--format", "json", "t.rego"]
    done = subprocess.run(words, capture_output=True, timeout=60, check=False, cwd=tmp_path)
    (wanted,) = json.loads(done.stderr)["errors"]
    with pytest.raises(RegoError) as caught:
        compile_modules({"t.rego": parse_module(source, "t.rego", "v0")})
    (problem,) = caught.value.problems
    assert problem.message == wanted["message"]
    assert problem.location.row == wanted["location"]["row"]
    lines = subprocess.run(
        [*words[:3], "t.rego"], capture_output=True, timeout=60, check=False, cwd=tmp_path, text=True
    ).stderr.splitlines()
    assert [f"\t{line}" for line in problem.details] == lines[1:]


def test_every_reason_says_what_to_use_instead() -> None:
    assert all(len(reason) > 20 for reason in REFUSED.values())

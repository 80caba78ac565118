"""Strings that aren't UTF-8 are what Go holds; whatever leaves has U+FFFD, as OPA prints it."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from webhook.rego import Context, compile_modules
from webhook.rego.value_text import printable_json

BYTE = 'base64.decode("/w==")'
MIXED = 'base64.decode("Yf9i")'
EXPRESSIONS = (
    r'"\ud800"',
    r'"\ud83d\ude00"',
    r'"\udc00x"',
    'sprintf("%c", [55296])',
    f'sprintf("%c|%q|%U", [55296, 65533, 55296])  == {BYTE}',
    BYTE,
    'hex.decode("c3")',
    'urlquery.decode("%ff%c3%28")',
    'urlquery.decode_object("a%ff=%ff")',
    r'json.unmarshal("\"\\ud800\"")',
    f'sprintf("%s|%q|%v|%x", [{BYTE}, {BYTE}, [{BYTE}], {BYTE}])',
    f'sprintf("%5s|%-5v|%.1s", [{BYTE}, {BYTE}, {MIXED}])',
    f"upper({MIXED})",
    f"json.marshal({{{BYTE}: {BYTE}}})",
    f'json.marshal_with_options({{{BYTE}: {BYTE}}}, {{"pretty": true}})',
    f"yaml.marshal({{{BYTE}: {BYTE}}})",
    f'concat(",", [{BYTE}, "a"])',
    f'split({MIXED}, "")',
    f"count({MIXED})",
    rf'{BYTE} == "\ufffd"',
    f"base64.encode({BYTE})",
    f"hex.encode({MIXED})",
    f"urlquery.encode({BYTE})",
    f"crypto.sha256({BYTE})",
    f"substring({MIXED}, 1, 1)",
    f'indexof({MIXED}, "b")',
    f'trim({MIXED}, "a")',
    f'replace({MIXED}, "a", {BYTE})',
    f'strings.replace_n({{"a": {BYTE}}}, "aba")',
    f'regex.replace({MIXED}, "a", "x")',
    f'regex.split("b", {MIXED})',
    f'regex.find_n(".", {MIXED}, -1)',
    f'regex.match("^a.b$", {MIXED})',
    f'glob.match("a?b", [], {MIXED})',
    f'startswith({MIXED}, "a")',
    f'$"{{{BYTE}}}"',
    f"{{{BYTE}: 1}}",
    f"{{{BYTE}, {MIXED}}}",
    rf'sort([{BYTE}, "\uffff", "z", "\u00e9", {MIXED}])',
    rf'{BYTE} > "\uffff"',
    rf'sprintf("%v", [{{{BYTE}: 1, "\uffff": 2}}])',
    rf'max([{BYTE}, "\uffff"])',
)


def test_opa_prints_the_same(opa: Path, tmp_path: Path) -> None:
    module = "package s\na := [" + ",\n".join(EXPRESSIONS) + "]\n"
    (tmp_path / "s.rego").write_text(module)
    command = [str(opa), "eval", "--strict-builtin-errors", "-f", "json", "-d", "s.rego", "data.s.a"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, check=True)
    theirs = json.loads(done.stdout)["result"][0]["expressions"][0]["value"]
    program = compile_modules({"s.rego": module}, version="v1", entry=("s", "a"))
    ours = printable_json(program.evaluate({}, {}, Context(), strict=True))
    for expression, mine, other in zip(EXPRESSIONS, ours, theirs, strict=True):
        assert mine == other, expression


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_what_leaves_is_utf_8(expression: str) -> None:
    program = compile_modules({"s.rego": f"package s\na := {expression}"}, version="v1", entry=("s", "a"))
    value = program.evaluate({}, {}, Context(), strict=True)
    json.dumps(printable_json(value), ensure_ascii=False).encode()

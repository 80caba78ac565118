"""Messages that aren't UTF-8 reach every output as Gatekeeper's do: with U+FFFD, and nothing fails."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.core.builders import namespace, pod, request
from tests.gatekeeper import oracle
from tests.gatekeeper.gk import NOW, as_gator, constraint, named, rego_template, snapshot, thing
from webhook import cli
from webhook.core.evaluate import evaluate
from webhook.core.review import response

HEAD = "package any\n"
MESSAGES = {
    "bytes": 'msg := base64.decode("/w==")',
    "mixed": 'msg := concat("", ["a", base64.decode("/w=="), "é"])',
    "number": 'msg := sprintf("%c|%q", [55296, base64.decode("/w==")])',
    "escaped": r'msg := "\ud800"',
    "urlquery": 'msg := urlquery.decode("%ff%c3%28")',
    "unmarshal": r'msg := json.unmarshal("\"\\ud800\"")',
}
RULES = {
    **{name: f'violation[{{"msg": msg}}] {{ {body} }}' for name, body in MESSAGES.items()},
    "details": 'violation[{"msg": "m", "details": {x: {x}}}] { x := base64.decode("/w==") }',
    "twice": 'violation[{"msg": msg}] { msg := base64.decode(["/w==", "/g=="][_]) }',
    "error": 'violation[{"msg": [base64.decode("/w==")]}] { true }',
}


def manifests(name: str, **spec: Any) -> list[Any]:
    kind = f"K8s{name.title()}"
    return [rego_template(HEAD + RULES[name], kind), constraint(kind, name, **spec)]


def test_gator_says_the_same(tmp_path: Path) -> None:
    objects = [each for name in RULES if name != "error" for each in manifests(name)]
    judged = thing(namespace="shop")
    theirs = [each for each in oracle.judged(tmp_path, [*objects, judged]) if each[0] == named(judged)]
    assert [each for each in as_gator([*objects, judged]) if each[0] == named(judged)] == theirs
    assert len(theirs) >= len(RULES) - 2


@pytest.mark.parametrize("name", RULES)
def test_no_answer_holds_half_a_surrogate_pair(name: str) -> None:
    verdict = evaluate(request(pod()), snapshot(namespace(), *manifests(name)), NOW)
    text = json.dumps(response("u", verdict), ensure_ascii=False)
    text.encode()
    assert not verdict.allowed
    assert "\ufffd" in text or name == "details"
    for violation in verdict.violations:
        json.dumps(violation.details, ensure_ascii=False).encode()


COMMANDS = [("check", "text"), ("check", "json")]
COMMANDS += [("report", output) for output in ("text", "json", "junit", "sarif", "openreports", "wgpolicy")]


@pytest.mark.parametrize(("command", "output"), COMMANDS)
def test_commands_print_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], command: str, output: str
) -> None:
    file = tmp_path / "all.yaml"
    objects = [*(each for name in RULES for each in manifests(name)), thing(namespace="shop")]
    file.write_text("\n---\n".join(map(json.dumps, objects)))
    cli.run([command, str(file), "-o", output])
    said = capsys.readouterr().out
    said.encode()
    assert "\ufffd" in said or "\\ufffd" in said
    assert "\\udc" not in said

"""What is said of templates that can't be used: in their status, and as Gatekeeper's webhook refuses them."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.cluster import eventually
from tests.gatekeeper.gk import cel_template, rego_template, template
from tests.gatekeeper.webhooks import Ask, Object, gatekeeper
from webhook.core.errors import CompileError
from webhook.dialects.gatekeeper import refusal
from webhook.dialects.gatekeeper.template import compile_template

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("gatekeeper-manager-templates")]

GOOD = 'package a\nviolation[{"msg": "x"}] { true }\n'
SAYS = 'package a\nviolation[{"msg": msg}] '
LIB = "package lib.a\n"


def schema(**given: Any) -> Object:
    return template("Bad", {"engine": "Rego", "source": {"rego": GOOD}}, schema=given)


def inner(**given: Any) -> Object:
    return schema(type="object", properties={"a": given})


def changed(*path: str | int, to: Any) -> Object:
    """Return a good template with one field changed; the path begins in its ``spec``."""
    made = copy.deepcopy(rego_template(GOOD, "Bad"))
    part: Any = made["spec"]
    for name in path[:-1]:
        part = part[name]
    part[path[-1]] = to
    return made


def cel(**given: Any) -> Object:
    return cel_template("Bad", **{"generateVAP": False, "validations": [{"expression": "true"}], **given})


CODE = ("targets", 0, "code")
SOURCE = (*CODE, 0, "source")
BAD: dict[str, Object] = {
    "a token": rego_template(SAYS + "{\n  msg = = 1\n}\n", "Bad"),
    "a token behind tabs and other letters": rego_template(SAYS + '{\n\t\tmsg := "äöü" ) \n}\n', "Bad"),
    "a string without an end": rego_template(SAYS + '{\n  msg := "x\n}\n', "Bad"),
    "a body without an end": rego_template(SAYS + '{\n  msg := "x"\n\n\n', "Bad"),
    "no package": rego_template('violation[{"msg": "x"}] { true }', "Bad"),
    "an empty module": rego_template("", "Bad"),
    "only a comment": rego_template("# nothing\n", "Bad"),
    "no rule": rego_template('package a\ndeny[{"msg": "x"}] { true }', "Bad"),
    "unsafe variables": rego_template(SAYS + "{\n input.x == y\n msg := 1\n z > 1\n}\nother { q }\n", "Bad"),
    "too many of them": rego_template(GOOD + "".join(f"r{i} {{ x{i} }}\n" for i in range(15)), "Bad"),
    "an unknown function": rego_template(SAYS + "{ msg := nothing(1) }", "Bad"),
    "wrong operands": rego_template(SAYS + "{ msg := count(1) }\nb { startswith(1, 2) }", "Bad"),
    "recursion": rego_template(SAYS + '{ f(1); msg := "x" }\nf(x) { f(x) }\n', "Bad"),
    "rules that contradict each other": rego_template(GOOD + "violation = 1 { true }\n", "Bad"),
    "a target of with": rego_template('package a\nviolation[{"msg": "x"}] { true with foo as 1 }', "Bad"),
    "an import of input": rego_template(GOOD.replace("\n", "\nimport input.review\n", 1), "Bad"),
    "an import of data": rego_template(GOOD.replace("\n", "\nimport data.foo\n", 1), "Bad"),
    "v1 with the rules of v0": rego_template(GOOD, "Bad", version="v1"),
    "v0 with the rules of v1": rego_template('package a\nviolation contains {"msg": "x"} if { true }', "Bad"),
    "references to data": rego_template(SAYS + "{ x := data.foo.bar; data[y]; msg := data.baz[x] }", "Bad"),
    "data itself": rego_template(SAYS + "{ msg := data }", "Bad"),
    "a library's package": rego_template(GOOD, "Bad", libs=["package other\nf(x) = x\n"]),
    "a library's syntax": rego_template(GOOD, "Bad", libs=[LIB + "f(x) = x\n", LIB + "f(x) = = x\n"]),
    "an empty library": rego_template(GOOD, "Bad", libs=[""]),
    "a library's unsafe variable": rego_template(GOOD, "Bad", libs=[LIB + "f(x) = y { true }\n"]),
    "a library's import": rego_template(GOOD, "Bad", libs=[LIB + "import data.foo\nf(x) = x\n"]),
    "a library's reference": rego_template(GOOD, "Bad", libs=[LIB + "f(x) = data.foo\n"]),
    "a library that isn't there": rego_template(
        "package a\nimport data.lib.none\n" + 'violation[{"msg": msg}] { msg := none.f(1) }', "Bad"
    ),
    "no source": changed(*SOURCE, to={}),
    "no code": changed(*CODE, to=[]),
    "another engine": changed(*CODE, 0, "engine", to="Other"),
    "no target": changed("targets", to=[]),
    "another target": changed("targets", 0, "target", to="other"),
    "a target without a name": changed("targets", 0, "target", to=""),
    "another kind": changed("crd", "spec", "names", "kind", to="Other"),
    "no kind": changed("crd", "spec", "names", "kind", to=""),
    "no such type": schema(type="nothing"),
    "no type": inner(),
    "an array of nothing": inner(type="array"),
    "properties and more": schema(
        type="object", properties={"a": {"type": "string"}}, additionalProperties={"type": "string"}
    ),
    "a schema elsewhere": schema(**{"type": "object", "$ref": "#/x"}),
    "unique items": inner(type="array", items={"type": "string"}, uniqueItems=True),
    "a reserved variable": cel(variables=[{"name": "params", "expression": "1"}]),
    "a reserved prefix": cel(variables=[{"name": "gatekeeper_internal_x", "expression": "1"}]),
    "a reserved prefix of a condition": cel(
        matchCondition=[{"name": "gatekeeper_internal_x", "expression": "true"}]
    ),
    "a failurePolicy": cel(failurePolicy="Never"),
}
_PATTERN = '[a].pattern: Invalid value: "[": must be a valid regular expression, but isn\'t: '
OTHER_WORDS: dict[str, tuple[Object, str, str]] = {
    "violations without a message": (
        rego_template('package a\nviolation["x"] { true }', "Bad"),
        "Could not ingest Rego: unable to compile modules: 2 errors occurred:\nhooks.hooks_builtin:20: ",
        "Could not ingest Rego: spec.targets[0].code[0].source.rego: each violation needs a msg: ",
    ),
    "a pattern": (inner(type="string", pattern="["), _PATTERN + "error parsing", _PATTERN + "'[' is no"),
    "a field of another type": (
        changed(*SOURCE, to={"rego": 1}),
        "Could not ingest Rego: .rego accessor error: 1 is of the type float64, expected string",
        "Could not ingest Rego: spec.targets[0].code[0].source.rego: must be a string",
    ),
}
"""Both refuse it, with the same code, and with other words: the template, and a part of what each says."""


def named(obj: Object, number: int) -> Object:
    """Return a template with a name and kind of its own; one that shows its name keeps to itself."""
    made = copy.deepcopy(obj)
    names = made["spec"]["crd"]["spec"]["names"]
    made["metadata"]["name"] = f"bad{number}"
    if names["kind"] == "Bad":
        names["kind"] = f"Bad{number}"
    return made


@dataclass(frozen=True)
class Theirs:
    """What Gatekeeper says: in statuses, by name, and at admission."""

    errors: Mapping[str, list[Object]]
    admits: Ask


TEMPLATES = {
    name: named(obj, number)
    for number, (name, obj) in enumerate(
        [*BAD.items(), *((key, each[0]) for key, each in OTHER_WORDS.items())]
    )
}


@pytest.fixture(scope="module")
def theirs(
    assets: Path, gatekeeper_manager: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Theirs]:
    folder = tmp_path_factory.mktemp("templates")
    with ExitStack() as stack:
        started = stack.enter_context(gatekeeper(assets, gatekeeper_manager, folder, [], "status"))
        started.manager.apply(list(TEMPLATES.values()))

        def told() -> dict[str, list[Object]] | None:
            listed = started.plane.kubectl("get", "constrainttemplates", "-o", "json", check=True).stdout
            found = {each["metadata"]["name"]: _errors(each) for each in json.loads(listed)["items"]}
            return found if len(found) == len(TEMPLATES) and all(found.values()) else None

        yield Theirs(eventually(told, "an error in each status", 120), started.ask)


def _errors(obj: Object) -> list[Object]:
    pods = (obj.get("status") or {}).get("byPod") or [{}]
    found: list[Object] = pods[0].get("errors") or []
    return found


def ours(obj: Object) -> dict[str, str]:
    with pytest.raises(CompileError) as error:
        compile_template(obj)
    return refusal.in_status(error.value)


@pytest.mark.parametrize("name", BAD)
def test_a_status_says_it_in_the_same_words(theirs: Theirs, name: str) -> None:
    bad = TEMPLATES[name]
    (wanted,) = theirs.errors[bad["metadata"]["name"]]
    said = ours(bad)
    assert said.pop("location").startswith(("spec.", "metadata.name"))
    assert said == wanted
    # Its webhook makes a kind of it, and doesn't compile its code.
    answer = theirs.admits(_review(bad))
    assert answer["allowed"] is (said["code"] == refusal.INGEST)
    assert answer["allowed"] or answer["status"]["message"] == said["message"]


@pytest.mark.parametrize("name", OTHER_WORDS)
def test_a_status_that_says_it_in_other_words_has_the_same_code(theirs: Theirs, name: str) -> None:
    _, one, other = OTHER_WORDS[name]
    bad = TEMPLATES[name]
    (wanted,) = theirs.errors[bad["metadata"]["name"]]
    said = ours(bad)
    assert said["code"] == wanted["code"]
    assert one in wanted["message"]
    assert other in said["message"]


def _review(obj: Object) -> Object:
    group, version = obj["apiVersion"].split("/")
    request = {
        "uid": "u1",
        "kind": {"group": group, "version": version, "kind": obj["kind"]},
        "resource": {"group": group, "version": version, "resource": "constrainttemplates"},
        "operation": "CREATE",
        "name": obj["metadata"]["name"],
        "userInfo": {"username": "jane"},
        "object": obj,
        "oldObject": None,
    }
    return {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": request}

"""Templates in Rego: the same results as gator's, word for word, and the same refusals."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.gatekeeper import oracle
from tests.gatekeeper.gk import as_gator, constraint, named, rego_template, snapshot, thing
from webhook.adapters.gatekeeper import GatekeeperCache, template
from webhook.core.errors import CompileError
from webhook.dialects.gatekeeper.template import compile_template

HEAD = "package any\n"
JUDGED: list[Any] = [
    thing(labels={"app": "web", "n": "1"}, namespace="shop"),
    {**thing("Deployment", "web", "apps/v1", namespace="shop"), "spec": {"replicas": 3, "ratio": 0.5}},
    thing("Namespace", "shop"),
]

TEMPLATES: dict[str, str] = {
    "all": 'violation[{"msg": "always"}] { true }',
    "details": 'violation[{"msg": "m", "details": {"b": [1, {"x"}], "a": input.review.name}}] { true }',
    "twice": 'violation[{"msg": "m"}] { true }\nviolation[{"msg": "m", "details": {}}] { true }\n'
    'violation[{"msg": "m", "details": {"a": 1}}] { true }',
    "none": "violation[x] { x := input.review.object.metadata }",
    "object": 'violation[{"msg": "key"}] = {"msg": "value"} { true }',
    "undefined": "violation[x] { x := input.review.nothing }",
    "review": 'violation[{"msg": msg}] { msg := json.marshal(object.remove(input.review, ["object"])) }',
    "parameters": 'violation[{"msg": msg}] { msg := json.marshal(input.parameters) }',
    "input": 'violation[{"msg": msg}] { msg := concat(",", [k | input[k]]) }',
    "numbers": 'violation[{"msg": msg}] { n := input.review.object.spec.replicas; msg := sprintf("%v %v %d", '
    "[n, n / 2, n]) }",
    "fraction": 'violation[{"msg": msg}] { msg := sprintf("%v", [input.review.object.spec.ratio * 3]) }',
    "loops": 'violation[{"msg": msg}] { v := input.review.object.metadata.labels[k]; '
    'msg := sprintf("%v=%q", [k, v]) }',
    "conflict": 'f(x) = 1 { x }\nf(x) = 2 { x }\nviolation[{"msg": msg}] { msg := sprintf("%v", [f(true)]) }',
    "builtin-error": 'violation[{"msg": msg}] { msg := sprintf("%v", [to_number("x")]) }',
    "missing": "missing[l] { l := input.parameters.labels[_]; not input.review.object.metadata.labels[l] }\n"
    'violation[{"msg": msg}] { count(missing) > 0; msg := sprintf("missing %v", [missing]) }',
    "inventory": 'violation[{"msg": msg}] { some ns, k, n; data.inventory.namespace[ns][_][k][n]; '
    'msg := concat("/", [ns, k, n]) }',
    "cluster": 'violation[{"msg": n}] { data.inventory.cluster["v1"].Namespace[n] }',
    "namespace": 'violation[{"msg": msg}] { msg := sprintf("%v", [input.review.namespaceObject]) }',
}


@pytest.mark.parametrize("parameters", [None, {"labels": ["app", "owner", "b"], "n": [1, 1.5, None]}])
def test_rego_says_the_same(tmp_path: Path, parameters: Any) -> None:
    objects: list[Any] = []
    for name, rego in TEMPLATES.items():
        kind = "K8s" + name.title().replace("-", "")
        spec = {} if parameters is None else {"parameters": parameters}
        objects += [rego_template(HEAD + rego, kind), constraint(kind, name, **spec)]
    objects += JUDGED
    names = {named(each) for each in JUDGED}
    # What gator holds as data beside our objects are the policies themselves.
    said = [each for each in oracle.judged(tmp_path, objects) if each[0] in names]
    theirs = [each for each in said if each[1] != "namespace" or each[0].startswith("Namespace")]
    ours = [each for each in as_gator(objects) if each[1] != "namespace" or each[0].startswith("Namespace")]
    assert ours == theirs
    assert len({each[1] for each in ours}) > 12


NUMBERS = {
    "small": 999_999,
    "million": 1_000_000,
    "user": 1_000_700_000,
    "negative": -5_000_000,
    "over53": 2**53 + 1,
    "fraction": 1_234_567.5,
    "tiny": 0.00001,
    "listed": [3, 30_000_000],
}
SHOWING = """
violation[{"msg": msg}] {
  n := input.review.object.spec[k]
  msg := sprintf("%v: %v %s %d %v", [k, n, json.marshal(n), n, [n]])
}
violation[{"msg": msg}] {
  n := input.review.object.spec[k]
  is_number(n)
  msg := sprintf("%v: %v %v", [k, n * 2, n > 1000000])
}
"""


def test_numbers_of_an_object_are_written_as_gatekeeper_writes_them(tmp_path: Path) -> None:
    """Its driver decodes objects into Go's float64; a user of 1000700000 is 1.0007e+09 in a message."""
    judged = {**thing("Deployment", "web", "apps/v1", namespace="shop"), "spec": NUMBERS}
    objects = [rego_template(HEAD + SHOWING), constraint(), thing("Namespace", "shop"), judged]
    theirs = [each for each in oracle.judged(tmp_path, objects) if each[0] == named(judged)]
    assert as_gator(objects) == theirs
    assert len(theirs) > 12
    assert any("1.0007e+09" in each[3] for each in theirs)


LIBRARY = "package lib.more\nimport data.lib.most\nsays(x) = most.says(x)\n"
MOST = "package lib.most.deep\n"
REFUSED: dict[str, tuple[Any, str, str]] = {
    "no rule": (
        rego_template("package any\nallow { true }"),
        "spec.targets[0].code[0].source.rego",
        "missing required rules",
    ),
    "syntax": (rego_template("package any\nviolation[{"), "source.rego: 2:", "rego_parse_error"),
    "unsafe": (
        rego_template(HEAD + 'violation[{"msg": x}] { true }'),
        "source.rego: 2:1",
        "rego_unsafe_var_error",
    ),
    "type": (rego_template(HEAD + 'violation[{"msg": "m"}] { startswith(1, "a") }'), ":", "rego_type_error"),
    "recursion": (
        rego_template(HEAD + 'violation[{"msg": "m"}] { p }\np { q }\nq { p }'),
        ":",
        "rego_recursion_error",
    ),
    "input": (
        rego_template(HEAD + 'import input.review\nviolation[{"msg": "m"}] { true }'),
        "2:1",
        "cannot import input",
    ),
    "v1 import": (
        rego_template(HEAD + 'import rego.v1\nviolation contains {"msg": "m"} if true'),
        "2:1",
        "bad import",
    ),
    "import": (
        rego_template(HEAD + 'import data.other\nviolation[{"msg": "m"}] { true }'),
        "2:1",
        "data.other",
    ),
    "data": (
        rego_template(HEAD + 'violation[{"msg": "m"}] { data.other.x }'),
        "2:27",
        "disallowed ref data.other.x",
    ),
    "all data": (
        rego_template(HEAD + 'violation[{"msg": "m"}] { x := data; x }'),
        "2:",
        "disallowed ref data",
    ),
    "any data": (rego_template(HEAD + 'violation[{"msg": "m"}] { data[_] }'), "2:27", "disallowed ref data["),
    "library": (
        rego_template(HEAD + 'violation[{"msg": "m"}] { true }', libs=["package other\nx = 1"]),
        "spec.targets[0].code[0].source.libs[0]: 1:",
        "invalid lib prefix",
    ),
    "bare library": (
        rego_template(HEAD + 'violation[{"msg": "m"}] { true }', libs=["package lib\nx = 1"]),
        "source.libs[0]",
        "invalid lib prefix",
    ),
    "in a library": (
        rego_template(HEAD + 'violation[{"msg": "m"}] { true }', libs=["package lib.x\n\np = y { true }"]),
        "source.libs[0]: 3:",
        "rego_unsafe_var_error",
    ),
    "no msg": (
        rego_template(HEAD + 'violation[{"message": "m"}] { true }'),
        "source.rego",
        "each violation needs a msg: rego_type_error: undefined ref: r",
    ),
    "texts": (rego_template(HEAD + 'violation["m"] { true }'), "source.rego", "each violation needs a msg"),
    "http": (rego_template(HEAD + 'violation[{"msg": "m"}] { http.send({}) }'), "2:27", "http.send"),
}


@pytest.mark.parametrize(("made", "where", "said"), REFUSED.values(), ids=REFUSED)
def test_what_gator_refuses_is_refused_with_its_line(
    tmp_path: Path, made: Any, where: str, said: str
) -> None:
    with pytest.raises(CompileError) as refused:
        compile_template(made)
    assert where in str(refused.value)
    assert said in str(refused.value)
    if said != "http.send":
        with pytest.raises(AssertionError):
            oracle.judged(tmp_path, [made, thing()])


def test_a_template_s_modules_may_not_be_too_large_together() -> None:
    def lib(number: int) -> str:
        return f"package lib.l{number}\n" + "".join(f"p[{n}] {{ input.a == {n} }}\n" for n in range(600))

    def made(libs: int) -> Any:
        return rego_template(HEAD + 'violation[{"msg": "m"}] { true }', libs=[lib(n) for n in range(libs)])

    compile_template(made(2))
    with pytest.raises(
        CompileError, match="the source is too large: a program may have 25,000 tokens"
    ) as refused:
        compile_template(made(4))
    assert refused.value.field.endswith(".libs[3]")


def test_libraries_are_found_below_data_lib(tmp_path: Path) -> None:
    entry = (
        "package any\nimport data.lib.more\nimport data.lib.more.says as speak\n"
        'violation[{"msg": msg}] { msg := more.says("a") }\n'
        'violation[{"msg": msg}] { word := data.lib.most.deep.word; msg := speak("b") }\n'
        # Gatekeeper moves no reference inside a call: it is undefined.
        'violation[{"msg": msg}] { msg := speak(data.lib.most.deep.word) }\n'
        'violation[{"msg": "with"}] { data.lib.most.deep.word == "no" '
        'with data.lib.most.deep.word as "no" }\n'
    )
    libs = [
        'package lib.more\nimport data.lib.most.deep\nsays(x) = y { y := sprintf("%v-%v", [x, deep.word]) }',
        'package lib.most.deep\nword = "deep"',
    ]
    objects = [rego_template(entry, libs=libs), constraint(), JUDGED[0]]
    theirs = [each for each in oracle.judged(tmp_path, objects) if each[0] == named(JUDGED[0])]
    assert as_gator(objects) == theirs
    assert [each[3] for each in theirs] == ["a-deep", "b-deep", "with"]


@pytest.mark.parametrize(
    ("version", "rego", "works"),
    [
        ("", 'violation[{"msg": "m"}] { true }', True),
        ("v1", 'violation contains {"msg": "m"} if true', True),
        ("v1", 'violation[{"msg": "m"}] { true }', False),
        ("v0", 'violation contains {"msg": "m"} if true', False),
        ("v7", 'violation[{"msg": "m"}] { true }', True),
        ("v0", 'import future.keywords\nviolation contains {"msg": "m"} if true', True),
    ],
)
def test_the_version_of_rego_is_the_templates(tmp_path: Path, version: str, rego: str, works: bool) -> None:
    made = rego_template(HEAD + rego, version=version)
    failed = [each.message for each in snapshot(made).failures]
    assert bool(failed) is not works, failed
    if works:
        assert (
            len(
                oracle.judged(
                    tmp_path, [made, constraint(match={"kinds": [{"kinds": ["ConfigMap"]}]}), thing()]
                )
            )
            == 1
        )


def test_whatever_is_wrong_with_a_template_is_an_error_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_: object) -> None:
        raise RecursionError("of ours")

    made, cache = rego_template('package t\nviolation[{"msg": "m"}] { true }'), GatekeeperCache()
    monkeypatch.setattr("webhook.adapters.gatekeeper.compile_template", broken)
    with pytest.raises(CompileError, match="can't be compiled: RecursionError: of ours"):
        template(made, cache)

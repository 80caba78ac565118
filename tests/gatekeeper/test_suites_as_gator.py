"""`tidewaiter verify` reads gator's suites as gator does: what passes there passes here, what fails fails."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from tests.gatekeeper import oracle
from webhook import cli

TEMPLATE = """\
apiVersion: templates.gatekeeper.sh/v1
kind: ConstraintTemplate
metadata: {name: k8swanted}
spec:
  crd:
    spec:
      names: {kind: K8sWanted}
      validation:
        openAPIV3Schema:
          type: object
          properties:
            labels: {type: array, items: {type: string}}
  targets:
  - target: admission.k8s.gatekeeper.sh
    rego: |
      package wanted
      violation[{"msg": msg}] {
        label := input.parameters.labels[_]
        not input.review.object.metadata.labels[label]
        msg := sprintf("missing %v", [label])
      }
      violation[{"msg": msg}] {
        data.inventory.cluster[version][kind][name]
        msg := sprintf("known: %v %v %v", [version, kind, name])
      }
      violation[{"msg": msg}] {
        msg := sprintf("shown: %v", [json.marshal(input.review.object.data)])
      }
"""
CONSTRAINT = """\
apiVersion: constraints.gatekeeper.sh/v1beta1
kind: K8sWanted
metadata: {name: wanted}
spec:
  parameters: {labels: [a, b]}
"""
THING = """\
apiVersion: v1
kind: ConfigMap
metadata: {name: thing, namespace: shop}
"""
SHOWN = THING + "data: {a: yes, b: n, c: Off, d: on, e: true, f: 2001-02-03, g: 2001-02-30}\n"
SHOWN_AS = '{"a":"yes","b":"n","c":"Off","d":"on","e":true,"f":"2001-02-03T00:00:00Z","g":"2001-02-30"}'
REVIEW = """\
apiVersion: admission.k8s.io/v1
kind: AdmissionReview
request:
  uid: some
  operation: CREATE
  userInfo: {username: jane, extra: {scopes: [a]}}
  object: {apiVersion: v1, kind: ConfigMap, metadata: {name: thing, namespace: shop}}
"""
EXPANSION = """\
apiVersion: expansion.gatekeeper.sh/v1alpha1
kind: ExpansionTemplate
metadata: {name: pods-of-deployments}
spec:
  applyTo: [{groups: [apps], kinds: [Deployment], versions: [v1]}]
  templateSource: spec.template
  generatedGVK: {group: "", version: v1, kind: Pod}
"""
DEPLOYMENT = """\
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: shop, labels: {a: "1", b: "1"}}
spec: {template: {metadata: {labels: {a: "1"}}}}
"""
HEAD = "apiVersion: test.gatekeeper.sh/v1alpha1\nkind: Suite\n"
TEST = "- {name: t, template: template.yaml, constraint: constraint.yaml, cases: [CASE]}\n"
CASE = "{name: c, object: object.yaml, assertions: [{violations: 2}]}"


def suite(case: str = CASE, test: str = TEST, head: str = HEAD) -> str:
    return f"{head}tests:\n{test.replace('CASE', case)}"


def asserting(assertion: str) -> str:
    return suite(CASE.replace("{violations: 2}", assertion))


def case(more: str) -> str:
    return suite(CASE.replace("}]}", f"}}], {more}}}"))


def with_(more: str, cases: str = CASE) -> str:
    return suite(cases, TEST.replace("cases:", f"{more}, cases:"))


def expanded(assertions: str = "{violations: 1, message: Implied by pods-of-deployments}") -> str:
    return with_("expansion: expansion.yaml", CASE.replace("{violations: 2}", assertions))


Files = dict[str, str]
LISTED = "apiVersion: v1\nkind: List\nmetadata: {labels: {a: x}}\nitems:\n- " + THING.replace("\n", "\n  ")

PASSING: dict[str, tuple[str, Files]] = {
    "as it is": (suite(), {}),
    "null where a list could be": (case("inventory: "), {}),
    "null where a text could be": (asserting("{violations: 2, message: }"), {}),
    "null where a test could say more": (with_("invalid: , skip: , expansion: "), {}),
    "no cases at all": (with_("skip: ", ""), {}),
    "an assertion that is null": (asserting("null"), {}),
    "no tests at all": (HEAD + "tests:\n", {}),
    "names with capitals": (suite().replace("tests:", "Tests:").replace("object:", "Object:"), {}),
    "a suite's name that YAML 1.1 takes for true": (suite(head=HEAD + "name: yes\n"), {}),
    "words and dates are texts": (
        asserting("{message: 'shown: " + SHOWN_AS.replace("{", "[{]") + "$'}"),
        {"object.yaml": SHOWN},
    ),
    "labels that are no texts": (
        asserting("{violations: 0}"),
        {"object.yaml": THING.replace("shop}", "shop, labels: {a: 1, b: y}}")},
    ),
    "metadata that is no map": (suite(), {"object.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata: [a]\n"}),
    "an object without apiVersion": (suite(), {"object.yaml": "kind: ConfigMap\nmetadata: {name: a}\n"}),
    "a List is one object": (asserting("{violations: 1, message: missing b}"), {"object.yaml": LISTED}),
    "a List in the inventory is one object": (
        suite(
            CASE.replace("violations: 2", "message: '^known: v1 List $'").replace(
                "}]}", "}], inventory: [i.yaml]}"
            )
        ),
        {"i.yaml": LISTED},
    ),
    "YAML in a file that says JSON": (suite(CASE.replace("object.yaml", "o.json")), {"o.json": THING}),
    "a path that looks absolute": (suite(CASE.replace("object.yaml", "/object.yaml")), {}),
    "a label selector with y": (
        suite(),
        {
            "object.yaml": THING.replace("shop}", "shop, labels: {x: y}}"),
            "constraint.yaml": CONSTRAINT + "  match: {labelSelector: {matchLabels: {x: y}}}\n",
        },
    ),
    "an action that is none": (suite(), {"constraint.yaml": CONSTRAINT + "  enforcementAction: never\n"}),
    "a broken message where nothing was found": (
        asserting("{violations: no, message: '['}"),
        {"object.yaml": THING.replace("shop}", "shop, labels: {a: x, b: x}}")},
    ),
    "a review": (suite(), {"object.yaml": REVIEW}),
    "a review with nulls and a response": (
        suite(),
        {
            "object.yaml": REVIEW
            + "  oldObject: null\n  options: null\nresponse: {uid: some, allowed: true}\n"
        },
    ),
    "an expansion": (expanded(), {"object.yaml": DEPLOYMENT, "expansion.yaml": EXPANSION}),
}

FAILING: dict[str, tuple[str, Files, str]] = {
    "true is no number of violations": (asserting("{violations: true}"), {}, "violations must be"),
    "nor is Yes": (asserting("{violations: Yes}"), {}, "violations must be"),
    "nor a number that Go can't hold": (asserting("{violations: 99999999999}"), {}, "violations must be"),
    "an escape that Go hasn't": (asserting(r"{message: 'mi\C'}"), {}, "invalid escape sequence"),
    "a folder as an object": (suite(CASE.replace("object.yaml", ".")), {}, "can't be read"),
    "a missing file": (suite(CASE.replace("object.yaml", "gone.yaml")), {}, "gone.yaml: no such file"),
    "an object without a kind": (suite(), {"object.yaml": "apiVersion: v1\n"}, "object.yaml:1: not a Kub"),
    "two objects": (suite(), {"object.yaml": THING + "---\n" + THING}, "defines 2 objects"),
    "an empty file": (suite(), {"object.yaml": "# nothing\n"}, "object.yaml: defines no objects"),
    "a constraint of another kind": (
        suite(),
        {"constraint.yaml": CONSTRAINT.replace("kind: K8sWanted", "kind: K8sOther")},
        "constraint.yaml:2: K8sOther wanted: the constraint: kind: wrong kind 'K8sOther'",
    ),
    "an expansion that is none": (expanded(), {"expansion.yaml": THING}, "expansion.yaml:1: not an Expan"),
    "an expansion of what isn't there": (
        expanded(),
        {"object.yaml": DEPLOYMENT.partition("spec:")[0], "expansion.yaml": EXPANSION},
        'could not find source field "spec.template" in resource web',
    ),
    **{
        f"a review with {name}": (suite(), {"object.yaml": REVIEW.replace(before, after)}, said)
        for name, before, after, said in [
            (
                "a field that there isn't",
                "uid: some",
                "uids: some",
                "object.yaml:4: request.uids: there is no",
            ),
            (
                "a field with capitals",
                "operation",
                "Operation",
                "object.yaml:5: request.Operation: there is no",
            ),
            ("metadata", "request:", "metadata: {name: a}\nrequest:", "object.yaml:3: metadata: there is no"),
            ("a number for a text", "uid: some", "uid: 7", "object.yaml:4: request.uid: must be a text"),
            ("a text for true", "uid: some", "dryRun: 'true'", "request.dryRun: must be true or false"),
            ("extra that is no list", "[a]", "a", "request.userInfo.extra: must be a map of lists"),
            (
                "a text for the user",
                "{username: jane, extra: {scopes: [a]}}",
                "jane",
                "userInfo: must be a map",
            ),
            ("an object without a kind", "kind: ConfigMap, ", "", "request.object: is no Kubernetes object"),
            ("no object", "  object", "  options", "neither an object nor an oldObject"),
            ("DELETE and no oldObject", "CREATE", "DELETE", "oldObject cannot be nil"),
        ]
    },
}


def write(folder: Path, suite: str, files: Files) -> None:
    there = {"template.yaml": TEMPLATE, "constraint.yaml": CONSTRAINT, "object.yaml": THING, **files}
    for name, text in {**there, "suite.yaml": suite}.items():
        (folder / name).write_text(text)


@pytest.mark.parametrize(("text", "files"), PASSING.values(), ids=PASSING)
def test_passes_as_with_gator(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, files: Files
) -> None:
    write(tmp_path, text, files)
    assert cli.run(["verify", str(tmp_path)]) == 0, capsys.readouterr()


@pytest.mark.parametrize(("text", "files", "said"), FAILING.values(), ids=FAILING)
def test_fails_as_with_gator_and_says_where(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, files: Files, said: str
) -> None:
    write(tmp_path, text, files)
    assert cli.run(["verify", str(tmp_path)]) == 1, capsys.readouterr()
    out = capsys.readouterr().out
    assert re.search(r"suite\.yaml:\d+: ", out)
    assert said in out


EVERY: dict[str, tuple[Any, int]] = {
    **{name: (given, 0) for name, given in PASSING.items()},
    **{name: (given[:2], 1) for name, given in FAILING.items()},
}


@pytest.mark.parametrize(("given", "status"), EVERY.values(), ids=EVERY)
def test_gator_says_the_same(tmp_path: Path, given: tuple[str, Files], status: int) -> None:
    write(tmp_path, *given)
    found, said = oracle.verify(str(tmp_path))
    assert found == status, said


NAMED = (
    HEAD
    + """\
tests:
- name: labels
  template: template.yaml
  constraint: constraint.yaml
  cases:
  - {name: bare, object: object.yaml, assertions: [{violations: 2}]}
  - {name: bare too, object: object.yaml, assertions: [{violations: 2}]}
- name: others
  template: template.yaml
  constraint: constraint.yaml
  cases:
  - {name: bare, object: object.yaml, assertions: [{violations: 2}]}
  - {name: labels, object: object.yaml, assertions: [{violations: 2}]}
"""
)


@pytest.mark.parametrize(
    ("expression", "run"),
    [
        ("labels", ["labels / bare", "labels / bare too", "others / labels"]),
        ("^bare$", ["labels / bare", "others / bare"]),
        ("labels//", ["labels / bare", "labels / bare too"]),
        ("//too", ["labels / bare too"]),
        ("^o//lab", ["others / labels"]),
        ("(?i)OTHERS", ["others / bare", "others / labels"]),
    ],
)
def test_run_chooses_the_cases_that_gator_would(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], expression: str, run: list[str]
) -> None:
    write(tmp_path, NAMED, {})
    assert cli.run(["verify", str(tmp_path), "-v", "--run", expression]) == 0
    out = capsys.readouterr().out
    names = re.findall(r": ([a-z]+ / [a-z ]+) passed", out)
    assert names == run
    assert f"1 suite, {len(run)} case" in out


@pytest.mark.parametrize("expression", ["labels", "^bare$", "labels//", "//too", "^o//lab", "(?i)OTHERS"])
def test_gator_chooses_the_same(tmp_path: Path, capsys: pytest.CaptureFixture[str], expression: str) -> None:
    write(tmp_path, NAMED, {})
    assert cli.run(["verify", str(tmp_path), "-v", "--run", expression]) == 0
    ours = re.findall(r"/ ([a-z ]+) passed", capsys.readouterr().out)
    status, said = oracle.verify(str(tmp_path), "--run", expression)
    assert status == 0
    assert re.findall(r"^ +--- PASS: ([a-z ]+)", said, re.MULTILINE) == ours


@pytest.mark.parametrize(
    ("expression", "said"),
    [
        ("nothing", "error: --run: 'nothing' matches no test and no case"),
        ("a//b//c", "error: --run: 'a//b//c': may have // once"),
        ("(", "error: --run: '(' is no regular expression: missing ): ("),
    ],
)
def test_run_that_chooses_nothing_is_an_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], expression: str, said: str
) -> None:
    write(tmp_path, NAMED, {})
    assert cli.run(["verify", str(tmp_path), "--run", expression]) == 2
    assert said in capsys.readouterr().err


def test_three_dots_say_what_a_folder_means_anyway(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "below").mkdir()
    write(tmp_path / "below", NAMED, {})
    monkeypatch.chdir(tmp_path)
    for path in (".", "...", "./...", "below/...", f"{tmp_path}/..."):
        assert cli.run(["verify", path]) == 0, path
        assert "1 suite, 4 cases" in capsys.readouterr().out
    for path in ("gone/...", "below/suite.yaml/..."):
        assert cli.run(["verify", path]) == 2
        assert f"error: {path}: {path.removesuffix('/...')} is no folder" in capsys.readouterr().err


@pytest.mark.parametrize("api", ["test.gatekeeper.sh/v1alpha1", "tidewaiter.dev/v1alpha1"])
def test_a_suite_that_is_no_yaml_is_not_passed_over(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], api: str
) -> None:
    write(tmp_path, NAMED, {"broken.yaml": f"apiVersion: {api}\nkind: Suite\ntests: [\n"})
    assert cli.run(["verify", str(tmp_path)]) == 2
    told = capsys.readouterr()
    assert f"error: {tmp_path / 'broken.yaml'}:4: no valid YAML" in told.err
    assert "1 suite, 4 cases: 4 passed" in told.out

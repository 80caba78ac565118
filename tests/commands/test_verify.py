"""`tidewaiter verify`: what passes, what fails and why, and what can't be run at all."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from offline_manifests import (
    API,
    acceptance,
    appetite,
    approval,
    deployment,
    namespace,
    pod,
    policy,
    write,
)

pytestmark = pytest.mark.usefixtures("folder")


def suite(*cases: dict[str, Any], name: str = "non-root", **parts: Any) -> dict[str, Any]:
    return {
        "apiVersion": API,
        "kind": "Suite",
        "metadata": {"name": name},
        "policies": ["../p.yaml"],
        "cases": list(cases),
        **parts,
    }


def case(expect: Any, *objects: Any, **parts: Any) -> dict[str, Any]:
    return {"name": "case", "objects": list(objects or [pod()]), "expect": expect, **parts}


def verify(run: Any, *cases: dict[str, Any], rules: Any = None, **parts: Any) -> Any:
    write("p.yaml", *(rules or [policy()]))
    write("tests/suite.yaml", suite(*cases, **parts))
    return run("verify", "tests", "-o", "json")


VIOLATION = {
    "policy": "non-root",
    "validation": "run-as-non-root",
    "container": "app",
    "message": "as non-root",
    "fieldPath": "spec.containers[0].securityContext.runAsNonRoot",
    "severity": "medium",
    "action": "deny",
    "object": "web",
}


@pytest.mark.parametrize(
    ("expect", "problems"),
    [
        ({"allowed": False}, []),
        ({"allowed": False, "violations": [VIOLATION]}, []),
        ({"violations": [{"validation": "run-as-non-root"}]}, []),
        ({"allowed": True}, ["expected to be allowed, and was denied", "got the violation"]),
        ({"allowed": False, "violations": []}, ["got the violation"]),
        (
            {"violations": [{**VIOLATION, "container": "other"}]},
            ["expected the violation", "got the violation"],
        ),
        ({"violations": [VIOLATION, {"validation": "other"}]}, ["expected the violation validation 'other'"]),
        ({"allowed": False, "warnings": ["x"]}, ["expected the warning 'x'"]),
        ({"allowed": False, "accepted": [{"validation": "x"}]}, ["expected the accepted violation"]),
        ({"allowed": False, "errors": ["x"]}, ["expected the evaluation error 'x'"]),
    ],
)
def test_verdicts_are_compared_on_what_is_given(run: Any, expect: Any, problems: list[str]) -> None:
    outcome = verify(run, case(expect))
    (result,) = outcome.data["suites"][0]["cases"]
    assert outcome.status == int(bool(problems))
    assert len(result["problems"]) == len(problems)
    for problem, start in zip(result["problems"], problems, strict=True):
        assert problem.startswith(start)


def test_an_evaluation_error_that_nobody_expects_fails_the_case(run: Any) -> None:
    rule = policy("bad", {"name": "bad", "expression": "object.spec.none == 1"}, failurePolicy="Ignore")
    assert verify(run, case({"allowed": True}), rules=[rule]).status == 1
    assert verify(run, case({"allowed": True, "errors": ["no such key: none"]}), rules=[rule]).status == 0


def test_all_objects_of_a_case_are_judged(run: Any) -> None:
    good, bad = pod("good", root=False), deployment("bad")
    violation = {"validation": "run-as-non-root", "object": "bad"}
    assert verify(run, case({"allowed": False, "violations": [violation]}, good, bad)).status == 0


OPERATIONS = [{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["*"], "resources": ["*", "*/*"]}]


@pytest.mark.parametrize(
    ("parts", "expression"),
    [
        ({}, "request.operation == 'CREATE' && oldObject == null && request.namespace == 'shop'"),
        ({"oldObject": pod(root=False)}, "request.operation == 'UPDATE' && oldObject.metadata.name == 'web'"),
        ({"operation": "DELETE"}, "request.operation == 'DELETE' && object == null && oldObject != null"),
        ({"userInfo": {"username": "jane", "groups": ["dev"]}}, "'dev' in request.userInfo.groups"),
        ({"request": {"subResource": "resize"}, "oldObject": pod()}, "request.subResource == 'resize'"),
        ({"request": {"dryRun": True, "name": "x"}}, "request.dryRun && request.name == 'x'"),
        (
            {"objects": [{"apiVersion": "v1", "kind": "PodExecOptions"}], "request": {"name": "web"}},
            "request.operation == 'CONNECT' && request.resource.resource + request.subResource == 'podsexec'",
        ),
        ({"context": [namespace(stage="prod")]}, "namespaceObject.metadata.labels.stage == 'prod'"),
    ],
    ids=["create", "update", "delete", "user", "subresource", "other parts", "connect", "namespace"],
)
def test_a_case_says_what_its_request_is(run: Any, parts: dict[str, Any], expression: str) -> None:
    rule = policy("request", {"name": "request", "expression": expression}, podTemplates=False)
    rule["spec"]["matchConstraints"] = {"resourceRules": OPERATIONS}
    outcome = verify(run, {**case({"allowed": True, "violations": []}), **parts}, rules=[rule])
    assert outcome.data["suites"][0]["cases"][0]["problems"] == []
    assert outcome.status == 0


def test_a_suite_may_bring_acceptances_and_a_time(run: Any) -> None:
    write("risk.yaml", acceptance(), approval(acceptance()), appetite())
    parts = {"acceptances": ["../risk.yaml"], "trustApprovals": True}
    accepted = {"accepted": [{"acceptance": "shop/legacy", "validation": "run-as-non-root"}]}
    expect = {"allowed": True, "violations": [], **accepted, "warnings": ["risk accepted by"]}
    assert verify(run, case(expect), at="2026-12-01T00:00:00Z", **parts).status == 0
    assert verify(run, case({"allowed": False}), at="2027-02-01T00:00:00Z", **parts).status == 0


def test_a_skipped_case_says_why(run: Any) -> None:
    outcome = verify(run, case({"allowed": True}, skip="not yet"), case({"allowed": False}))
    assert outcome.status == 0
    assert outcome.data["summary"] == {"suites": 1, "cases": 2, "passed": 1, "failed": 0, "skipped": 1}
    assert outcome.data["suites"][0]["cases"][0] == {
        "name": "case",
        "status": "skipped",
        "problems": ["not yet"],
    }


def test_files_are_found_from_the_suite(run: Any) -> None:
    write("objects/pod.yaml", pod())
    cases = {"name": "a file", "files": ["../objects/pod.yaml"], "expect": {"allowed": False}}
    assert verify(run, cases).status == 0


def test_junit_has_every_case(run: Any) -> None:
    verify(run, case({"allowed": True}), case({"allowed": False}), case({}, skip="no \x1b"))
    outcome = run("verify", "tests", "-o", "junit")
    assert outcome.status == 1
    root = ElementTree.fromstring(outcome.out)
    assert root.tag == "testsuites"
    assert (root.get("tests"), root.get("failures"), root.get("skipped")) == ("3", "1", "1")
    assert [[child.tag for child in each] for each in root.iter("testcase")] == [["failure"], [], ["skipped"]]
    failure = next(root.iter("failure"))
    assert failure.get("message") == "expected to be allowed, and was denied"


def test_text_shows_only_what_failed(run: Any) -> None:
    verify(run, case({"allowed": True}), case({"allowed": False}))
    out = run("verify", "tests/suite.yaml").out.splitlines()
    assert out[0] == "tests/suite.yaml:2: non-root: case failed"
    assert out[1] == "  expected to be allowed, and was denied"
    assert out[-1] == "1 suite, 2 cases: 1 passed, 1 failed, 0 skipped"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"policies": ["../gone.yaml"]}, "no such file or folder"),
        ({"policies": []}, "names no policies"),
        ({"policies": ["../objects.yaml"]}, "its policies hold none"),
        ({"policies": ["../broken.yaml"]}, "broken does not compile"),
        ({"cases": []}, "has no cases"),
        ({"case": []}, "case: there is no such field; did you mean cases?"),
        ({"at": "soon"}, "is no RFC 3339 time"),
        (
            {"cases": [case({"alowed": True})]},
            "cases[0].expect.alowed: there is no such field; did you mean allowed?",
        ),
        ({"cases": [case({"allowed": "no"})]}, "cases[0].expect.allowed: must be true or false"),
        ({"cases": [case({})]}, "cases[0]: expects nothing"),
        ({"cases": [{"name": "x", "expect": {"allowed": True}}]}, "cases[0]: has neither objects nor files"),
        ({"cases": [case({"allowed": True}, {"kind": "Pod"})]}, "an object needs apiVersion and kind"),
        ({"cases": [case({"allowed": True}, operation="PATCH")]}, "request.operation must be one of"),
        ({"apiVersion": "tidewaiter.dev/v2"}, "write tidewaiter.dev/v1alpha1"),
    ],
)
def test_a_suite_that_cannot_be_run_is_an_error_and_hides_no_other(
    run: Any, change: dict[str, Any], message: str
) -> None:
    write("objects.yaml", pod())
    write("broken.yaml", policy("broken", {"name": "broken", "expression": "("}))
    write("tests/other.yaml", {**suite(case({"allowed": False})), **change})
    outcome = verify(run, case({"allowed": False}))
    assert outcome.status == 2
    assert message in outcome.err
    assert outcome.data["summary"]["passed"] == 1


def test_paths_without_a_suite_are_an_error(run: Any) -> None:
    Path("empty").mkdir()
    write("p.yaml", policy())
    for path, message in (
        ("empty", "empty: there is no Suite here"),
        ("p.yaml", "there is no Suite"),
        ("gone", "no such"),
    ):
        outcome = run("verify", path)
        assert outcome.status == 2
        assert message in outcome.err


def test_files_beside_the_suites_are_not_read(run: Any) -> None:
    write("p.yaml", policy())
    Path("tests").mkdir()
    Path("tests/values.yaml").write_text("{{ helm }}: [")
    write("tests/suite.yaml", suite(case({"allowed": False})))
    write("tests/.hidden.yaml", suite())
    assert run("verify", ".").status == 0

"""`tidewaiter check`: exit status, report, which objects are judged, and what it says of bad input."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from offline_manifests import (
    API,
    DEPLOYMENTS,
    NON_ROOT,
    PODS,
    always,
    deployment,
    namespace,
    pod,
    policy,
    write,
)

from webhook.adapters.manifests import parse
from webhook.adapters.material import Settings, gather
from webhook.adapters.offline import judge
from webhook.adapters.reports import report
from webhook.adapters.text_report import text_report
from webhook.core.model import ObjectRef, PolicyRef, fingerprint

NOW = datetime(2026, 12, 1, tzinfo=UTC)
pytestmark = pytest.mark.usefixtures("folder")

BROKEN = policy("broken", {"name": "broken", "expression": "object.spec.("})
FAILING = policy("failing", {"name": "failing", "expression": "object.spec.missing == 1"})
BOMB = "a: &a [x,x,x,x,x,x,x,x]\n" + "".join(
    f"{name}: &{name} [{','.join([f'*{before}'] * 8)}]\n"
    for before, name in zip("abcdef", "bcdefg", strict=True)
)
IGNORING = policy(
    "failing", {"name": "failing", "expression": "object.spec.missing == 1"}, failurePolicy="Ignore"
)


def check(run: Any, *words: str, **options: Any) -> Any:
    return run("check", "-o", "json", *words, **options)


@pytest.mark.parametrize(
    ("objects", "policies", "status", "summary"),
    [
        ([pod(root=False)], [policy()], 0, (1, 0, 0, 0, 0)),
        ([pod()], [policy()], 1, (1, 1, 0, 0, 0)),
        ([pod()], [policy(validationActions=["Warn"])], 0, (1, 0, 1, 0, 0)),
        ([pod()], [policy(validationActions=["Audit"])], 0, (1, 0, 0, 0, 0)),
        ([pod()], [policy(validationActions=["Deny", "Audit"])], 1, (1, 1, 0, 0, 0)),
        ([pod(), pod("api", root=False)], [policy(), always(validationActions=["Warn"])], 1, (2, 1, 2, 0, 0)),
        ([pod()], [policy(), BROKEN], 2, (1, 1, 0, 0, 1)),
        ([pod(root=False)], [FAILING], 2, (1, 1, 0, 0, 1)),
        (
            [pod(root=False)],
            [{**FAILING, "spec": {**FAILING["spec"], "validationActions": ["Warn"]}}],
            2,
            (1, 0, 0, 0, 1),
        ),
        ([pod(root=False)], [IGNORING], 0, (1, 0, 0, 0, 0)),
        ([], [policy()], 0, (0, 0, 0, 0, 0)),
        ([pod()], [], 2, (1, 0, 0, 0, 1)),
    ],
    ids=[
        *("nothing denied", "denied", "warned", "audited", "denied and audited", "denied and warned"),
        *("a policy that does not compile", "an error under Fail", "an error that would only warn"),
        *("an error under Ignore", "nothing to judge", "no policy"),
    ],
)
def test_exit_status_and_summary(
    run: Any, objects: list[Any], policies: list[Any], status: int, summary: tuple[int, ...]
) -> None:
    write("m/objects.yaml", *objects)
    write("policies.yaml", *policies)
    outcome = check(run, "m", "--policies", "policies.yaml")
    assert outcome.status == status
    assert outcome.data["summary"] == dict(
        zip(("objects", "denied", "warned", "accepted", "errors"), summary, strict=True)
    )


def test_the_report_has_the_documented_shape(run: Any) -> None:
    Path("web.yaml").write_text("# a comment\n\n---\n" + Path(write("one.yaml", pod())).read_text())
    write("policies.yaml", policy(), BROKEN)
    outcome = check(run, "web.yaml", "--policies", "policies.yaml")
    policy_ref = PolicyRef("ClusterPolicy", "", "non-root")
    target = ObjectRef("", "v1", "Pod", "shop", "web")
    message = "ClusterPolicy broken does not compile: spec.validations[0].expression: "
    assert outcome.data["errors"][0].pop("message").startswith(message)
    assert outcome.data["verdicts"] == [
        {
            "object": {"apiVersion": "v1", "kind": "Pod", "namespace": "shop", "name": "web"},
            "source": {"file": "web.yaml", "line": 5},
            "allowed": False,
            "violations": [
                {
                    "policy": "non-root",
                    "validation": "run-as-non-root",
                    "message": "must run as non-root",
                    "fieldPath": "spec.containers[0].securityContext.runAsNonRoot",
                    "container": "app",
                    "severity": "medium",
                    "action": "deny",
                    "fingerprint": fingerprint(
                        policy_ref,
                        "run-as-non-root",
                        target,
                        "containers",
                        "app",
                        "securityContext.runAsNonRoot",
                    ),
                }
            ],
            "accepted": [],
            "warnings": [],
        }
    ]
    assert list(outcome.data) == ["verdicts", "errors", "summary"]
    assert outcome.data["errors"][0]["file"] == "policies.yaml"
    assert outcome.data["errors"][0]["line"] == 4


def test_a_namespaced_policy_is_named_with_its_namespace_and_judges_only_there(run: Any) -> None:
    write("m.yaml", pod(), pod("other", namespace="elsewhere"))
    write("p.yaml", policy(namespace="shop"))
    outcome = check(run, "m.yaml", "--policies", "p.yaml")
    assert [len(verdict["violations"]) for verdict in outcome.data["verdicts"]] == [1, 0]
    assert outcome.data["verdicts"][0]["violations"][0]["policy"] == "shop/non-root"


def test_any_path_may_hold_any_kind(run: Any) -> None:
    write("all/1.yaml", policy(), pod(), {"apiVersion": API, "kind": "Suite", "metadata": {"name": "s"}})
    outcome = check(run, "all")
    assert outcome.status == 1
    assert [verdict["object"]["kind"] for verdict in outcome.data["verdicts"]] == ["Pod"]


def test_what_is_given_as_policies_is_not_judged_and_that_is_said(run: Any) -> None:
    write("m.yaml", pod(root=False))
    write("p.yaml", policy(), namespace(), pod("forgotten"))
    outcome = check(run, "m.yaml", "--policies", "p.yaml")
    assert outcome.status == 0
    assert "p.yaml:6: Pod shop/forgotten is given after --policies or --acceptances" in outcome.err


def test_standard_input_is_judged(run: Any) -> None:
    write("p.yaml", policy())
    text = Path(write("m.yaml", pod())).read_text()
    assert check(run, "-", "--policies", "p.yaml", stdin=text).data["verdicts"][0]["source"]["file"] == "-"


def test_a_kustomization_is_read_by_its_resources(run: Any) -> None:
    write("m/used.yaml", pod())
    write("m/unused.yaml", pod("unused"))
    write("m/kustomization.yaml", {"resources": ["used.yaml"]})
    write("p/p.yaml", policy())
    write("p/kustomization.yaml", {"resources": ["p.yaml"]})
    outcome = check(run, "m", "--policies", "p")
    assert [verdict["object"]["name"] for verdict in outcome.data["verdicts"]] == ["web"]


@pytest.mark.parametrize(
    ("first", "second", "judged", "status"),
    [
        (pod(), pod(), 1, 1),
        (pod(), pod(root=False), 1, 2),
        (
            {**pod(), "metadata": {"name": "web"}},
            {**pod(), "metadata": {"name": "web", "namespace": "default"}},
            1,
            1,
        ),
    ],
    ids=["equal", "different", "the namespace is said and implied"],
)
def test_an_object_given_twice_counts_once(
    run: Any, first: Any, second: Any, judged: int, status: int
) -> None:
    write("a.yaml", first)
    write("b.yaml", second)
    write("p.yaml", policy())
    outcome = check(run, "a.yaml", "b.yaml", "--policies", "p.yaml")
    assert (outcome.status, len(outcome.data["verdicts"])) == (status, judged)
    if status == 2:
        assert "is given twice, and differs from a.yaml:2" in outcome.data["errors"][0]["message"]


@pytest.mark.parametrize(
    ("given", "word", "expected"),
    [
        (None, None, "default"),
        (None, "billing", "billing"),
        ("shop", "billing", "shop"),
    ],
)
def test_the_namespace_is_the_manifests_then_the_options_then_default(
    run: Any, given: str | None, word: str | None, expected: str
) -> None:
    obj = pod()
    obj["metadata"] = {"name": "web", **({"namespace": given} if given else {})}
    write("m.yaml", obj)
    expression = (
        f"object.metadata.namespace == request.namespace && namespaceObject.metadata.name == '{expected}'"
    )
    rule = {"name": "where", "expression": expression}
    write("p.yaml", policy("where", rule))
    outcome = check(run, "m.yaml", "--policies", "p.yaml", *(["--namespace", word] if word else []))
    assert outcome.status == 0
    assert outcome.data["verdicts"][0]["object"]["namespace"] == expected


def test_cluster_scoped_kinds_have_no_namespace(run: Any) -> None:
    crd = {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "boxen.example.com"},
        "spec": {"group": "example.com", "scope": "Cluster", "names": {"kind": "Box", "plural": "boxen"}},
    }
    role = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": "all"}}
    box = {"apiVersion": "example.com/v1", "kind": "Box", "metadata": {"name": "box"}}
    write("m.yaml", crd, role, box)
    rules = [
        {
            **PODS,
            "apiGroups": ["*"],
            "apiVersions": ["*"],
            "resources": ["clusterroles", "boxen"],
            "scope": "Cluster",
        }
    ]
    write("p.yaml", always(rules=rules, podTemplates=False))
    outcome = check(run, "m.yaml", "--policies", "p.yaml", "--namespace", "shop")
    found = {v["object"]["name"]: (v["object"]["namespace"], v["allowed"]) for v in outcome.data["verdicts"]}
    assert found == {"boxen.example.com": ("", True), "all": ("", False), "box": ("", False)}


def test_an_unknown_kind_is_guessed_and_that_is_said(run: Any) -> None:
    write(
        "m.yaml",
        {"apiVersion": "example.com/v1", "kind": "Proxy", "metadata": {"name": "p", "namespace": "shop"}},
    )
    rules = [{**PODS, "apiGroups": ["example.com"], "resources": ["proxies"]}]
    write("p.yaml", always(rules=rules, podTemplates=False))
    outcome = check(run, "m.yaml", "--policies", "p.yaml")
    assert outcome.status == 1
    assert (
        "the kind Proxy.example.com is not known and was taken as namespaced and served as proxies"
        in outcome.err
    )


def test_an_object_in_a_version_that_no_policy_names_is_said(run: Any) -> None:
    write("m.yaml", {**deployment(), "apiVersion": "apps/v1beta1"})
    write("p.yaml", always(rules=[DEPLOYMENTS], podTemplates=False))
    outcome = check(run, "m.yaml", "--policies", "p.yaml")
    assert outcome.status == 0
    assert "never judges deployments as v1, and did not judge this apps/v1beta1" in outcome.err


@pytest.mark.parametrize("where", ["m.yaml", "p.yaml"])
def test_a_namespace_gives_its_labels_to_what_is_in_it(run: Any, where: str) -> None:
    write("m.yaml", pod(), *([namespace(stage="prod")] if where == "m.yaml" else []))
    match = {"resourceRules": [PODS], "namespaceSelector": {"matchLabels": {"stage": "prod"}}}
    write("p.yaml", policy(matchConstraints=match), *([namespace(stage="prod")] if where == "p.yaml" else []))
    outcome = check(run, "m.yaml", "--policies", "p.yaml")
    assert outcome.data["summary"]["denied"] == 1
    assert outcome.data["summary"]["objects"] == (2 if where == "m.yaml" else 1)


@pytest.mark.parametrize("obj", [pod(), deployment()], ids=["a Pod", "a Deployment's template"])
@pytest.mark.parametrize("where", ["selector", "override"])
def test_a_namespace_that_is_not_given_is_noted_where_its_labels_are_asked_for(
    run: Any, obj: dict[str, Any], where: str
) -> None:
    stage = {"matchLabels": {"stage": "prod"}}
    match = {"matchConstraints": {"resourceRules": [PODS], "namespaceSelector": stage}}
    override = {"validationActionOverrides": [{"namespaceSelector": stage, "validationActions": ["Warn"]}]}
    write("p.yaml", policy(**(match if where == "selector" else override)))
    write("m.yaml", obj)
    note = "note: m.yaml:2: the Namespace shop is not here, so it counted as one without labels for non-root"
    assert note in check(run, "m.yaml", "--policies", "p.yaml").err
    write("m.yaml", obj, namespace())
    assert "is not here" not in check(run, "m.yaml", "--policies", "p.yaml").err


@pytest.mark.parametrize("match", [{}, {"matchLabels": {"kubernetes.io/metadata.name": "shop"}}])
def test_a_namespace_that_is_not_given_is_not_noted_where_nobody_asks(run: Any, match: Any) -> None:
    rules = {"resourceRules": [PODS], "namespaceSelector": match}
    write("p.yaml", policy(matchConstraints=rules))
    write("m.yaml", pod())
    assert "is not here" not in check(run, "m.yaml", "--policies", "p.yaml").err
    stage = {"resourceRules": [DEPLOYMENTS], "namespaceSelector": {"matchLabels": {"stage": "prod"}}}
    write("p.yaml", policy(matchConstraints=stage, podTemplates=False))
    assert "is not here" not in check(run, "m.yaml", "--policies", "p.yaml").err


def test_a_namespace_that_is_not_given_has_only_its_name_as_label(run: Any) -> None:
    write("m.yaml", pod(), pod("other", namespace="elsewhere"))
    named = {"matchLabels": {"kubernetes.io/metadata.name": "shop"}}
    write("p.yaml", policy(matchConstraints={"resourceRules": [PODS], "namespaceSelector": named}))
    outcome = check(run, "m.yaml", "--policies", "p.yaml")
    assert [verdict["allowed"] for verdict in outcome.data["verdicts"]] == [False, True]


def test_exempt_namespaces_are_not_judged_and_that_is_said(run: Any) -> None:
    write("m.yaml", pod(namespace="kube-system"))
    write("p.yaml", policy())
    outcome = check(run, "m.yaml", "--policies", "p.yaml")
    assert outcome.status == 0
    assert "the namespace kube-system is exempt" in outcome.err


def test_the_user_is_who_is_named(run: Any) -> None:
    write("m.yaml", pod())
    write("p.yaml", policy("who", {"name": "who", "expression": "request.userInfo.username == 'jane'"}))
    assert check(run, "m.yaml", "--policies", "p.yaml", "--user", "jane").status == 0
    assert check(run, "m.yaml", "--policies", "p.yaml").status == 1


def test_parameters_come_from_anywhere(run: Any) -> None:
    config = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "names", "namespace": "shop"},
        "data": {"name": "web"},
    }
    source = {
        "paramKind": {"apiVersion": "v1", "kind": "ConfigMap"},
        "paramRef": {"name": "names", "parameterNotFoundAction": "Deny"},
    }
    rule = {"name": "name", "expression": "object.metadata.name == params.data.name"}
    write("p.yaml", policy("name", rule, **source))
    write("c.yaml", config)
    write("m.yaml", pod(), pod("other"))
    for words, objects in (
        (("m.yaml", "c.yaml", "--policies", "p.yaml"), 3),
        (("m.yaml", "--policies", "p.yaml", "c.yaml"), 2),
    ):
        outcome = check(run, *words)
        assert outcome.status == 1
        assert outcome.data["summary"]["objects"] == objects
        assert outcome.data["summary"]["denied"] == 1
    assert (
        "no ConfigMap names was found"
        in check(run, "m.yaml", "--policies", "p.yaml").data["errors"][0]["message"]
    )


@pytest.mark.parametrize(
    ("resource", "templates"), [("pods", True), ("pods", False), ("pods/*", False), ("*", True)]
)
def test_a_workload_is_judged_as_its_pods_would_be(run: Any, resource: str, templates: bool) -> None:
    write("m.yaml", deployment())
    write("p.yaml", policy(podTemplates=templates, rules=[{**PODS, "resources": [resource]}]))
    outcome = check(run, "m.yaml", "--policies", "p.yaml")
    (violation,) = outcome.data["verdicts"][0]["violations"]
    assert violation["fieldPath"] == "spec.template.spec.containers[0].securityContext.runAsNonRoot"
    target = ObjectRef("apps", "v1", "Deployment", "shop", "web")
    assert violation["fingerprint"] == fingerprint(
        PolicyRef("ClusterPolicy", "", "non-root"),
        "run-as-non-root",
        target,
        "containers",
        "app",
        "securityContext.runAsNonRoot",
    )


def test_a_policy_on_workloads_and_pods_judges_both(run: Any) -> None:
    write("m.yaml", deployment())
    rule = {"name": "kind", "expression": "object.kind == 'Deployment' && request.kind.kind == 'Deployment'"}
    pods = {"name": "pods", "expression": "object.kind == 'Pod' || request.kind.kind != 'Pod'"}
    write("p.yaml", policy("both", rule, pods, rules=[PODS, DEPLOYMENTS], podTemplates=False))
    outcome = check(run, "m.yaml", "--policies", "p.yaml")
    assert [violation["validation"] for violation in outcome.data["verdicts"][0]["violations"]] == ["kind"]


def test_nobody_can_be_asked_offline(run: Any) -> None:
    write("m.yaml", pod())
    expression = "authorizer.group('').resource('pods').check('create').allowed()"
    write("p.yaml", policy("asks", {"name": "asks", "expression": expression}))
    outcome = check(run, "m.yaml", "--policies", "p.yaml")
    assert outcome.status == 2
    assert "asks could not be evaluated: " in outcome.data["errors"][0]["message"]
    assert "there is nobody to ask offline" in outcome.data["errors"][0]["message"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: [", "no valid YAML"),
        ("apiVersion: v1\nkind: Pod\nkind: Pod\n", "the key 'kind' is given twice"),
        (BOMB, "aliases expand"),
        ("[" * 5000, "nested deeper"),
        ("apiVersion: v1\nkind: Pod\nmetadata: {name: \x00}\n", "no valid YAML"),
        (b"apiVersion: v1\nkind: Pod\nmetadata: {name: \xff}\n", "not UTF-8"),
        ("just text", "not a Kubernetes object"),
        ("!!python/object/apply:os.system [id]", "tag"),
        (f"apiVersion: {API}\nkind: ClusterPolicie\nmetadata: {{name: x}}\n", "did you mean ClusterPolicy?"),
        (
            f"apiVersion: {API}\nkind: ClusterPolicy\nmetadata: {{name: x}}\nspec: {{validation: []}}\n",
            "did you mean validations?",
        ),
        (
            "apiVersion: tidewaiter.dev/v2\nkind: ClusterPolicy\nmetadata: {name: x}\n",
            "is no version of ClusterPolicy",
        ),
    ],
    ids=[
        *(
            "malformed",
            "duplicate key",
            "alias bomb",
            "deep",
            "NUL",
            "not UTF-8",
            "no object",
            "a tag of Python",
        ),
        *("unknown kind", "unknown field", "unknown version"),
    ],
)
def test_bad_input_is_an_error_and_hides_nothing(run: Any, text: str | bytes, message: str) -> None:
    Path("m").mkdir()
    Path("m/bad.yaml").write_bytes(text.encode() if isinstance(text, str) else text)
    write("m/good.yaml", pod())
    write("p.yaml", policy())
    outcome = check(run, "m", "--policies", "p.yaml")
    assert outcome.status == 2
    assert {error["file"] for error in outcome.data["errors"]} == {"m/bad.yaml"}
    assert any(message in error["message"] for error in outcome.data["errors"])
    assert outcome.data["summary"]["denied"] == 1


def test_a_missing_path_is_an_error_once(run: Any) -> None:
    write("m.yaml", pod(root=False))
    outcome = check(run, "m.yaml", "gone", "--policies", "gone", "p.yaml")
    assert outcome.status == 2
    assert [error["file"] for error in outcome.data["errors"]] == ["gone", "p.yaml"]


def test_an_object_of_any_shape_is_judged_or_an_error(run: Any) -> None:
    shapes: list[Any] = [None, [], "text", 7, {"template": []}, {"template": {"spec": {"containers": {}}}}]
    objects = [{**deployment(f"d{n}"), "spec": shape} for n, shape in enumerate(shapes)]
    objects += [{**pod(f"p{n}"), "spec": shape} for n, shape in enumerate(shapes)]
    write("m.yaml", *objects)
    write("p.yaml", policy(), policy("later", podTemplates=False))
    outcome = check(run, "m.yaml", "--policies", "p.yaml")
    assert outcome.data["summary"]["objects"] == len(objects)


@pytest.mark.parametrize(
    "words",
    [
        ("m", "--policies", "p/a.yaml", "p/b.yaml"),
        ("m", "--policies", "p/a.yaml", "--policies", "p/b.yaml"),
        ("m", "--policies=p/a.yaml", "--policies=p/b.yaml"),
        ("--policies", "p/a.yaml", "p/b.yaml", "--", "m"),
        ("--policies", "p/a.yaml", "p/b.yaml", "--user", "jane", "m"),
        ("--policies", "p", "m"),
        ("m", "--acceptances", "p/a.yaml", "p/b.yaml"),
    ],
)
def test_options_take_several_values_after_one_flag(run: Any, words: tuple[str, ...]) -> None:
    write("m/m.yaml", pod())
    write("p/a.yaml", policy("a"))
    write("p/b.yaml", policy("b"))
    outcome = check(run, *words)
    assert [v["policy"] for v in outcome.data["verdicts"][0]["violations"]] == ["a", "b"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--policies", "p.yaml"), ""),
        ((), "Missing argument"),
        (("m.yaml", "--at", "tomorrow"), "is no RFC 3339 time"),
        (("m.yaml", "--at", "2026-12-01"), "is no RFC 3339 time"),
        (("m.yaml", "-o", "xml"), "'xml' is not one of"),
        (("m.yaml", "--polices", "p"), "No such option"),
    ],
)
def test_wrong_usage_says_what_is_wrong(run: Any, words: tuple[str, ...], message: str) -> None:
    outcome = run("check", *words)
    assert outcome.status == 2
    assert message in outcome.err


def test_text_shows_place_message_and_remediation_once(run: Any) -> None:
    Path("m.yaml").write_text(
        "# a Pod\napiVersion: v1\nkind: Pod\nmetadata: {name: web, namespace: shop}\nspec:\n  containers:\n"
        "  - name: app\n    image: x\n    securityContext:\n      runAsNonRoot: false\n"
        "  - name: proxy\n    image: x\n"
    )
    write("p.yaml", policy())
    outcome = run("check", "m.yaml", "--policies", "p.yaml")
    assert outcome.out == (
        "m.yaml:2: Pod shop/web denied\n"
        "  deny (medium) non-root/run-as-non-root container app\n"
        "      must run as non-root\n"
        "      at line 10: spec.containers[0].securityContext.runAsNonRoot\n"
        "  deny (medium) non-root/run-as-non-root container proxy\n"
        "      must run as non-root\n"
        "      at line 11: spec.containers[1].securityContext.runAsNonRoot\n"
        "\n"
        "What to change\n"
        "  non-root\n"
        "      Do as non-root says.\n"
        "\n"
        "1 object, 1 denied, 0 warned, 0 with an accepted risk, 0 errors\n"
    )


def test_text_on_success_is_only_the_summary(run: Any) -> None:
    write("m.yaml", pod(root=False), pod())
    write("p.yaml", policy(validationActions=["Audit"]))
    outcome = run("check", "m.yaml", "--policies", "p.yaml")
    assert outcome.status == 2  # two different Pods of one name
    write("m.yaml", pod())
    outcome = run("check", "m.yaml", "--policies", "p.yaml")
    assert outcome.out == (
        "1 object, 0 denied, 0 warned, 0 with an accepted risk, 0 errors, 1 violation only audited\n"
    )


def test_text_cannot_steer_a_terminal(run: Any) -> None:
    write("m.yaml", pod(name="\x1b[2Jweb\u202e"))
    rule = {"name": "name", "expression": "false", "messageExpression": "'name: ' + object.metadata.name"}
    write("p.yaml", policy("name", rule, remediation="\x9b1m"))
    for words in ((), ("-o", "json")):
        outcome = run("check", "m.yaml", "--policies", "p.yaml", *words)
        assert outcome.status == 1
        assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f]", outcome.out + outcome.err)
    assert "\\u001b[2Jweb\\u202e" in run("check", "m.yaml", "--policies", "p.yaml").out


def test_a_long_report_finds_lines_for_the_first_violations_only(run: Any) -> None:
    write("m.yaml", *(pod(f"web-{number}") for number in range(210)))
    write("p.yaml", policy())
    out = run("check", "m.yaml", "--policies", "p.yaml").out
    assert out.count("at line ") == 200
    assert out.count("at spec.") == 10


def test_for_each_of_many_expressions_one_error_is_located(run: Any) -> None:
    text = (
        f"apiVersion: {API}\nkind: ClusterPolicy\nmetadata: {{name: broken}}\nspec:\n  matchConstraints:\n"
        "    resourceRules:\n"
        "    - {apiGroups: [''], apiVersions: [v1], operations: [CREATE], resources: [pods]}\n"
        "  validations:\n  - name: a\n    expression: 'true'\n  - name: b\n    expression: nonsense(\n"
    )
    Path("p.yaml").write_text(text)
    write("m.yaml", pod())
    (error,) = check(run, "m.yaml", "--policies", "p.yaml").data["errors"]
    assert (error["file"], error["line"]) == ("p.yaml", 12)


def test_validations_without_container_name_no_container(run: Any) -> None:
    write("m.yaml", pod())
    write("p.yaml", always(), policy("both", NON_ROOT))
    (verdict,) = check(run, "m.yaml", "--policies", "p.yaml").data["verdicts"]
    assert [violation["container"] for violation in verdict["violations"]] == ["app", ""]


def test_an_error_that_denies_is_shown_with_its_object(run: Any) -> None:
    write("m.yaml", pod(root=False))
    write("p.yaml", FAILING)
    outcome = run("check", "m.yaml", "--policies", "p.yaml")
    assert outcome.out.startswith("m.yaml:2: Pod shop/web denied\n  error failing could not be evaluated\n")
    assert outcome.err.startswith("error: m.yaml:2: Pod shop/web: failing could not be evaluated: ")


def test_a_file_name_may_be_any_bytes(run: Any) -> None:
    write("m/a.yaml", pod())
    Path("m/a.yaml").rename(os.fsdecode(b"m/\xff.yaml"))
    write("p.yaml", policy())
    outcome = check(run, "m", "--policies", "p.yaml")
    assert outcome.data["verdicts"][0]["source"]["file"] == "m/\udcff.yaml"
    assert run("check", "m", "--policies", "p.yaml").out.startswith("m/\\udcff.yaml:2: Pod shop/web denied")


def test_only_what_is_needed_is_imported(run: Any) -> None:
    write("m.yaml", pod())
    write("p.yaml", policy())
    script = (
        "import sys; from webhook import cli; cli.run(['check', 'm.yaml', '--policies', 'p.yaml']);"
        "heavy = ('aiohttp', 'kopf', 'kubernetes_asyncio', 'rich', 'asyncio', 'cryptography', 'xml');"
        "print('LOADED', sorted({m.split('.')[0] for m in sys.modules} & set(heavy)))"
    )
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert "LOADED []" in result.stdout


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
_PODS = st.dictionaries(
    st.sampled_from(["containers", "initContainers", "ephemeralContainers", "securityContext", "volumes"]),
    st.lists(
        st.dictionaries(st.sampled_from(["name", "image", "securityContext", "ports"]), _JSON), max_size=3
    )
    | _JSON,
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    spec=_PODS | _JSON, kind=st.sampled_from(["Pod", "Deployment", "CronJob", "Namespace", "ClusterPolicy"])
)
def test_whatever_an_object_holds_it_gets_a_verdict_or_an_error(spec: Any, kind: str) -> None:
    obj = {
        "apiVersion": {"Deployment": "apps/v1", "CronJob": "batch/v1", "ClusterPolicy": API}.get(kind, "v1"),
        "kind": kind,
        "metadata": {"name": "x"},
        "spec": {"template": {"spec": spec}} if kind == "Deployment" else spec,
    }
    data = parse(json.dumps(obj).encode(), "m.json")
    rules = parse(json.dumps(policy()).encode(), "p.json").documents
    rules += parse(json.dumps(policy("later", podTemplates=False)).encode(), "p.json").documents
    material = gather(data.documents, rules, Settings())
    judged = list(judge(material.judged, material.snapshot, material.kinds, Settings(), NOW))
    assert len(judged) + len(data.errors) + (kind == "ClusterPolicy") >= 1
    json.dumps(report(judged, material.errors))
    "".join(text_report(judged, {}, lambda _role, text: text)).encode()

"""What a record tells of a request: who, what, by what it was decided; nothing of what was judged."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.core.builders import APPETITE, NOW, acceptance, approval, pod, request, review
from webhook.adapters import evidence_facts
from webhook.adapters.snapshots import Context, build
from webhook.core.acceptance import digest_of
from webhook.core.canonical import canonical_json
from webhook.core.digests import object_digest
from webhook.core.evaluate import evaluate
from webhook.core.guard import guard
from webhook.core.review import AdmissionRequest
from webhook.core.snapshot import Snapshot

Object = dict[str, Any]
SECRET = "s3cr3t-value"


def make_policy(resource: str = "pods", **validation: Any) -> Object:
    rule = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["*"], "resources": [resource]}
    first = {"name": "first", "expression": "false", "message": "it is refused"} | validation
    return {
        "apiVersion": "tidewaiter.dev/v1alpha1",
        "kind": "ClusterPolicy",
        "metadata": {"name": "strict"},
        "spec": {
            "severity": "low",
            "matchConstraints": {"resourceRules": [rule]},
            "validations": [{name: value for name, value in first.items() if value is not None}],
        },
    }


def decided(asked: AdmissionRequest, *objects: Object) -> tuple[Object, Snapshot]:
    """Return what is told of a decision by these objects."""
    snapshot = build(objects, Context(trust_approvals=True), revision="one")
    assert not snapshot.problems
    assert not snapshot.failures
    verdict = evaluate(asked, snapshot, NOW)
    assert not verdict.allowed or verdict.accepted
    return told(evidence_facts.decision(asked, verdict, snapshot)), snapshot


def told(facts: evidence_facts.Facts) -> Object:
    content: Object = json.loads(canonical_json(facts.content))
    assert len(canonical_json(facts.content)) <= facts.size + 4096, "or the queue's bound is none"
    return content


SECRET_OBJECT: Object = {
    "apiVersion": "v1",
    "kind": "Secret",
    "metadata": {"name": "db", "namespace": "shop", "annotations": {"note": SECRET}, "labels": {"l": SECRET}},
    "data": {"password": SECRET},
    "stringData": {"token": SECRET},
}
ENV = pod({"name": "app", "image": f"registry/{SECRET}:1", "env": [{"name": "PASSWORD", "value": SECRET}]})
ENV["metadata"]["annotations"] = {"note": SECRET}
CONFIG = SECRET_OBJECT | {"kind": "ConfigMap"}
ENVS = "object.spec.containers[0].env[0].value"
DATA = "object.data.password"


@pytest.mark.parametrize(
    ("obj", "resource", "validation"),
    [
        (SECRET_OBJECT, "secrets", {}),
        (SECRET_OBJECT, "secrets", {"message": None, "messageExpression": f"'it is ' + {DATA}"}),
        (SECRET_OBJECT, "secrets", {"messageExpression": DATA}),
        (SECRET_OBJECT, "secrets", {"expression": f"int({DATA}) > 0"}),
        (SECRET_OBJECT, "secrets", {"expression": f"object.data[{DATA}] == ''"}),
        (CONFIG, "configmaps", {"messageExpression": DATA}),
        (ENV, "pods", {}),
        (ENV, "pods", {"messageExpression": f"'env is ' + {ENVS}"}),
        (ENV, "pods", {"expression": f"quantity({ENVS}).isGreaterThan(quantity('1'))"}),
        (ENV, "pods", {"message": None, "messageExpression": "object.metadata.annotations.note"}),
        (
            ENV,
            "pods",
            {"forEach": "containers", "message": None, "messageExpression": "container.env[0].value"},
        ),
    ],
)
@pytest.mark.parametrize("operation", ["CREATE", "UPDATE", "DELETE"])
def test_nothing_of_a_judged_object_is_told(
    obj: Object, resource: str, validation: Object, operation: str
) -> None:
    if operation == "DELETE" and "forEach" in validation:
        pytest.skip("the containers of what is deleted are not visited")
    new = None if operation == "DELETE" else obj
    old = None if operation == "CREATE" else obj
    asked = request(new, old)
    if operation == "DELETE":
        validation = {
            name: value.replace("object.", "oldObject.") if isinstance(value, str) else value
            for name, value in validation.items()
        }
    policy = make_policy(resource, **validation)
    quoted = f"{'oldObject' if operation == 'DELETE' else 'object'}.metadata.annotations.note"
    policy["spec"]["existingViolations"] = "Deny"
    policy["spec"]["auditAnnotations"] = [{"key": "seen", "valueExpression": quoted}]
    content, _ = decided(asked, policy)
    text = json.dumps(content)
    assert SECRET not in text
    assert content["kind"] == obj["kind"]
    assert content["name"] == obj["metadata"]["name"]


def test_a_constant_message_is_told_and_one_that_an_expression_made_is_not() -> None:
    content, _ = decided(request(pod()), make_policy())
    assert content["violations"][0]["message"] == "it is refused"
    content, _ = decided(request(pod()), make_policy(messageExpression="'it is ' + object.metadata.name"))
    assert "message" not in content["violations"][0]


def test_a_denial_says_who_and_what_and_by_which_policy() -> None:
    policy = make_policy()
    content, _ = decided(request(pod(uid="of-the-pod"), user="eve", groups=("dev",)), policy)
    assert content["user"] == {"name": "eve", "groups": ["dev"]}
    assert (content["operation"], content["namespace"], content["name"]) == ("CREATE", "shop", "web")
    assert content["resource"] == {"group": "", "version": "v1", "resource": "pods"}
    assert (content["allowed"], content["dryRun"], content["revision"]) == (False, False, "one")
    assert content["uid"] == "of-the-pod"
    (violation,) = content["violations"]
    assert violation["policy"] == {
        "kind": "ClusterPolicy",
        "name": "strict",
        "digest": object_digest(policy),
    }
    assert (violation["validation"], violation["severity"], violation["actions"]) == (
        "first",
        "low",
        ["Deny"],
    )
    assert "change" not in content


def test_a_used_acceptance_is_told_with_its_digest_and_its_approvals() -> None:
    asked = acceptance(policies=[{"kind": "ClusterPolicy", "name": "strict"}])
    asked["spec"]["scope"] = {"kinds": [{"kind": "Pod"}], "names": ["web"]}
    given = approval(asked)
    stale = approval(asked, digest="sha256:" + "0" * 64)
    stale["metadata"]["name"] += "-stale"
    content, _ = decided(request(pod()), make_policy(), asked, given, stale, APPETITE)
    assert content["allowed"] is True
    assert "violations" not in content
    (accepted,) = content["accepted"]
    by = accepted["acceptance"]
    assert (by["kind"], by["namespace"], by["name"]) == ("RiskAcceptance", "shop", "legacy")
    assert by["digest"] == digest_of(asked) == object_digest(asked)
    assert by["approvers"] == ["jane@example.com"]
    assert [(each["name"], each["approver"]) for each in by["approvals"]] == [
        (given["metadata"]["name"], "jane@example.com")
    ]
    assert accepted["fingerprint"]


def test_an_error_tells_no_more_than_the_policy_that_failed() -> None:
    content, _ = decided(request(ENV), make_policy(expression=f"int({ENVS}) > 0"))
    (error,) = content["errors"]
    assert set(error) == {"policy", "actions"}


def test_a_policy_without_canonical_json_is_enforced_and_told_without_digest() -> None:
    policy = make_policy()
    policy["spec"]["params"] = {"share": 0.5}
    content, _ = decided(request(pod()), policy)
    assert content["violations"][0]["policy"] == {"kind": "ClusterPolicy", "name": "strict"}


def test_another_snapshots_digests_are_not_told() -> None:
    content, snapshot = decided(request(pod()), make_policy())
    assert "digest" in content["violations"][0]["policy"]
    other = build([make_policy(message="another")], revision="two")
    verdict = evaluate(request(pod()), snapshot, NOW)
    for known in (other, None):
        content = told(evidence_facts.decision(request(pod()), verdict, known))
        assert set(content["violations"][0]["policy"]) == {"kind", "name"}
        assert "message" not in content["violations"][0], "whose text it is can't be told any more"


@pytest.mark.parametrize("operation", ["CREATE", "UPDATE", "DELETE"])
def test_a_write_is_told_before_and_after(operation: str) -> None:
    before, after = acceptance(title="Before"), acceptance(title="After")
    old = None if operation == "CREATE" else before
    new = None if operation == "DELETE" else after
    content = told(evidence_facts.write(request(new, old), "one"))
    expected = {"before": old, "after": new}
    assert content["change"] == {
        name: {"digest": digest_of(obj), "spec": obj["spec"]} for name, obj in expected.items() if obj
    }
    assert content["revision"] == "one"


def test_a_denied_write_to_our_kinds_is_told_with_what_it_would_have_changed() -> None:
    asked = acceptance()
    snapshot = build([APPETITE], revision="one")
    denied = request(asked, user="eve@example.com")
    verdict = guard(denied, snapshot, NOW)
    assert not verdict.allowed
    content = told(evidence_facts.decision(denied, verdict, snapshot))
    assert content["change"]["after"]["digest"] == digest_of(asked)
    assert content["violations"][0]["message"].startswith("must be eve@example.com")


def deep(levels: int) -> Object:
    spec: Object = {}
    for _ in range(levels):
        spec = {"a": spec}
    return spec


@pytest.mark.parametrize(
    ("spec", "known"),
    [
        ({"params": {"share": 0.5}}, {"textDigest", "text"}),
        ({"params": {"huge": 2**60}}, {"textDigest", "text"}),
        ({"title": "\ud800"}, {"textDigest", "text"}),
        ({"title": "x" * (evidence_facts.LARGEST_SPEC + 1)}, {"digest", "omittedBytes"}),
        ({"title": "x" * evidence_facts.LARGEST_SPEC, "share": 0.5}, {"textDigest", "omittedBytes"}),
        (deep(100_000), {"digest", "problem"}),
        (None, {"digest", "spec"}),
    ],
)
def test_a_spec_that_is_unusual_can_be_told_of(spec: Any, known: set[str]) -> None:
    obj = make_policy() | {"spec": spec}
    content = told(evidence_facts.write(request(obj), "one"))
    assert set(content["change"]["after"]) == known


def test_names_and_lists_are_bounded_and_what_is_missing_is_counted() -> None:
    groups = tuple(f"group-{number}" for number in range(150))
    body = review(pod(name="x" * 5000), user="u\ud800" + "v" * 5000, groups=groups)
    content, _ = decided(AdmissionRequest.of(body["request"]), make_policy())
    assert len(content["user"]["groups"]) == 100
    assert content["user"]["groupsOmitted"] == 50
    assert len(content["user"]["name"].encode()) <= 512
    assert content["user"]["name"].startswith("u?v")
    assert len(content["name"].encode()) <= 512

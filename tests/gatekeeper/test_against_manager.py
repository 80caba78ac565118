"""What the running Gatekeeper answers to AdmissionReviews, Tidewaiter answers too, to the letter."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from bench import gatekeeper_kinds
from tests.e2e.cluster import eventually
from tests.gatekeeper.gk import cel_template, constraint, rego_template
from tests.gatekeeper.webhooks import Object, Sides, both, matching, review, scoped, settled, shown

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("gatekeeper-manager")]

# Says what it was given, so that a difference in the review is one in the message.
SEEN = """package seen

violation[{"msg": msg}] {
  review := input.review
  some_of := {key | review[key]; key != "uid"}
  stage := object.get(review, ["namespaceObject", "metadata", "labels", "stage"], "-")
  seen := {
    "fields": sort(some_of), "operation": review.operation, "kind": review.kind,
    "name": object.get(review, "name", "-"), "namespace": object.get(review, "namespace", "-"),
    "sub": object.get(review, "subResource", "-"), "dryRun": object.get(review, "dryRun", "-"),
    "object": object.get(review, "object", "-"), "old": object.get(review, "oldObject", "-"),
    "user": review.userInfo, "stage": stage,
  }
  msg := json.marshal(seen)
}
"""
SYNCED = """package synced

violation[{"msg": msg}] {
  known := object.get(data.inventory, ["namespace", "shop", "v1", "Secret"], "nothing")
  msg := sprintf("known: %v", [known])
}
"""
BROKEN = """package broken

value = 1 { input.review.kind.kind == "ConfigMap" }
value = 2 { input.review.object.metadata.name }
violation[{"msg": "never"}] { value == 3 }
"""


def _seen() -> Object:
    made = rego_template(SEEN, "Seen")
    made["spec"]["targets"][0]["operations"] = ["*"]
    return made


TEMPLATES = [
    _seen(),
    rego_template(SYNCED, "Synced"),
    rego_template(BROKEN, "Broken"),
    cel_template(
        "Cel",
        generateVAP=True,
        validations=[{"expression": "variables.anyObject.data.a == 'b'", "message": "no b"}],
    ),
    rego_template('package says\nviolation[{"msg": input.parameters.msg}] { true }', "Says"),
]
CONSTRAINTS = [
    constraint("Seen", "deny", match=matching("ConfigMap")),
    constraint(
        "Says",
        "warned",
        enforcementAction="warn",
        parameters={"msg": "one line"},  # of more than one, and of long ones, we make what a header can hold
        match=matching("ConfigMap", "Service"),
    ),
    constraint("Seen", "dry", enforcementAction="dryrun", match=matching("*")),
    constraint(
        "Seen", "others", match={"kinds": [{"apiGroups": ["*"], "kinds": ["Role", "Namespace", "Node"]}]}
    ),
    constraint("Seen", "scale", match=matching("Scale", group="autoscaling")),
    constraint("Seen", "deleted", match=matching("ServiceAccount")),
    constraint("Seen", "exec", match=matching("PodExecOptions")),
    constraint("Seen", "binding", match=matching("Binding")),
    constraint("Seen", "at-webhook", match=matching("Secret"), **scoped("deny", "validation.gatekeeper.sh")),
    constraint("Seen", "at-audit", match=matching("Secret"), **scoped("deny", "audit.gatekeeper.sh")),
    constraint(
        "Says",
        "at-all-lines",
        enforcementAction="warn",
        parameters={"msg": "two\nlines"},
        match=matching("Secret", name="lines"),
    ),
    constraint("Says", "at-all", parameters={"msg": "all"}, match=matching("Secret"), **scoped("warn", "*")),
    constraint("Seen", "not-in-shop", match=matching("Pod", excludedNamespaces=["sh*"])),
    constraint("Seen", "only-in-shop", match=matching("Pod", namespaces=["shop"])),
    constraint(
        "Says",
        "staged",
        parameters={"msg": "staged"},
        match=matching("Endpoints", namespaceSelector={"matchLabels": {"stage": "prod"}}),
    ),
    constraint(
        "Says",
        "labelled",
        parameters={"msg": "labelled"},
        match=matching("Service", labelSelector={"matchExpressions": [{"key": "app", "operator": "Exists"}]}),
    ),
    constraint("Says", "named", parameters={"msg": "two\nlines"}, match=matching("Service", name="web-*")),
    constraint(
        "Says",
        "cluster",
        parameters={"msg": "c"},
        match={"scope": "Cluster", "kinds": [{"apiGroups": ["storage.k8s.io"], "kinds": ["StorageClass"]}]},
    ),
    constraint("Says", "generated", parameters={"msg": "g"}, match=matching("Service", source="Generated")),
    constraint("Synced", "synced", match=matching("LimitRange")),
    constraint("Broken", "broken-one", match=matching("ResourceQuota")),
    constraint("Broken", "broken-two", enforcementAction="warn", match=matching("ResourceQuota")),
    constraint("Cel", "cel", match=matching("ConfigMap")),
]
NAMESPACES = [
    {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}
    for name, labels in (("shop", {"stage": "prod"}), ("bank", {"stage": "dev"}), ("left-out", {}))
]
CONFIG = {
    "apiVersion": "config.gatekeeper.sh/v1alpha1",
    "kind": "Config",
    "metadata": {"name": "config", "namespace": gatekeeper_kinds.NAMESPACE},
    "spec": {
        "match": [{"processes": ["webhook"], "excludedNamespaces": ["left-*"]}],
        "sync": {"syncOnly": [{"group": "", "version": "v1", "kind": "LimitRange"}]},
    },
}


RBAC = "rbac.authorization.k8s.io"
REQUESTS = {
    "CREATE, denied, warned and dry": review(),
    "UPDATE": review(operation="UPDATE"),
    "DELETE with oldObject": review("ServiceAccount", "DELETE"),
    "DELETE that a template isn't for": review("Endpoints", "DELETE", resource="endpoints", namespace="bank"),
    "CONNECT": review(
        "PodExecOptions",
        "CONNECT",
        resource="pods",
        subResource="exec",
        name="web",
        content={"command": ["sh"], "stdin": True},
    ),
    "a binding": review("Binding", resource="pods", subResource="binding", content={"target": {"name": "n"}}),
    "a scale": review(
        "Scale",
        "UPDATE",
        group="autoscaling",
        resource="deployments",
        subResource="scale",
        content={"spec": {"replicas": 3}},
    ),
    "a dry run": review(dryRun=True),
    "generateName": review(metadata={"generateName": "one-"}),
    "generateName that a name matches": review("Service", metadata={"generateName": "web-"}),
    "no match": review("PersistentVolumeClaim"),
    "only a warning": review("Service"),
    "labels": review("Service", metadata={"name": "one", "labels": {"app": "x"}}),
    "labels that the old object had": review(
        "Service",
        "UPDATE",
        oldObject={
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "one", "namespace": "shop", "labels": {"app": "x"}},
        },
    ),
    "a name, and a message of two lines": review("Service", metadata={"name": "web-1"}),
    "scoped": review("Secret"),
    "excludedNamespaces": review("Pod", namespace="shop"),
    "namespaces": review("Pod", namespace="bank"),
    "a namespace that Config leaves out": review(namespace="left-out"),
    "a namespaceSelector that matches": review("Endpoints", resource="endpoints"),
    "a namespaceSelector that doesn't": review("Endpoints", resource="endpoints", namespace="bank"),
    "cluster-scoped": review("StorageClass", namespace="", group="storage.k8s.io"),
    "another group": review("Role", group=RBAC),
    "a Namespace": review("Namespace", namespace="", metadata={"name": "new", "labels": {"stage": "x"}}),
    "a Namespace's UPDATE": review("Namespace", "UPDATE", namespace="", metadata={"name": "shop"}),
    "a Node": review("Node", namespace=""),
    "sync data that isn't there": review("LimitRange"),
    "a constraint that can't be evaluated": review("ResourceQuota"),
    "CEL that holds": review(content={"data": {"a": "b"}}),
    "CEL that doesn't": review(content={"data": {"a": "c"}}),
    "CEL that fails": review(content={"data": {}}),
    "numbers": review(content={"data": {"a": "b"}, "x": 1.5, "y": 999999, "z": 1e300, "n": -0.25}),
    "long whole numbers": review(
        content={"data": {"a": "b"}, "y": 1234567, "long": 9007199254740993, "longer": 2**70}
    ),
    "HTML and quotes in a message": review(content={"data": {"a": '<&>\u2028 "q" ä'}}),
    "no userInfo": review(userInfo={}),
    "extra of a user": review(userInfo={"username": "x", "uid": "7", "extra": {"k": ["v"]}}),
}
REQUESTS["a Namespace's request that names itself"] = review("Namespace", namespace="shop")


DIFFERENT = {
    "a namespace that isn't there": (
        review("Endpoints", resource="endpoints", namespace="nowhere"),
        'failed to create augmentedReview: namespaces "nowhere" not found',
        "[staged] unable to match constraints: ",
    ),
    "a message of two lines that only warns": (
        review("Secret", metadata={"name": "lines"}),
        "[at-all-lines] two\nlines",
        "[at-all-lines] two lines",
    ),
}
"""What the reference of differences says: the request, and a part of what each says."""


@pytest.fixture(scope="module")
def sides(
    assets: Path, gatekeeper_manager: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Sides]:
    folder = tmp_path_factory.mktemp("manager")
    with both(assets, gatekeeper_manager, folder, TEMPLATES, CONSTRAINTS, [CONFIG], NAMESPACES) as started:
        yield started


@pytest.mark.parametrize("name", REQUESTS)
def test_both_answer_the_same(sides: Sides, name: str) -> None:
    asked = REQUESTS[name]
    # A constraint is enforced a moment after it is there.
    theirs = eventually(lambda: settled(sides.theirs, asked), "two equal answers of Gatekeeper")
    assert shown(sides.ours(copy.deepcopy(asked))) == theirs


@pytest.mark.parametrize("name", DIFFERENT)
def test_what_differs_is_what_is_said_to_differ(sides: Sides, name: str) -> None:
    asked, theirs, ours = DIFFERENT[name]
    eventually(lambda: settled(sides.theirs, asked), "two equal answers of Gatekeeper")
    one, other = sides.theirs(asked), sides.ours(copy.deepcopy(asked))
    assert one["allowed"] == other["allowed"]
    for response, part in ((one, theirs), (other, ours)):
        assert part in "\n".join([_message(response), *(response.get("warnings") or ())])


def _message(response: Mapping[str, Any]) -> str:
    return str((response.get("status") or {}).get("message") or "")

"""What a user of kubectl sees when policies judge requests."""

from __future__ import annotations

import json

import pytest

from tests.e2e.cluster import (
    Cluster,
    configmap,
    deployment,
    eventually,
    namespace,
    no_privileged,
    pod,
    policy,
)

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("e2e")]

NO_SECRETS = "!has(object.data) || !('password' in object.data)"


def test_what_meets_the_policy_passes_and_what_does_not_is_denied(cluster: Cluster) -> None:
    space = cluster.namespace()
    rule = policy(space, NO_SECRETS, validation={"message": "keep passwords in a Secret"})
    cluster.enforce(rule)
    said = cluster.denied(configmap(space, password="x"))
    assert f"{rule['metadata']['name']}/check: keep passwords in a Secret" in said
    assert "cluster.tidewaiter.dev" in said
    assert not cluster.allowed(configmap(space, colour="blue"))


def test_a_warning_is_shown_and_the_request_passes(cluster: Cluster) -> None:
    space = cluster.namespace()
    cluster.enforce(policy(space, NO_SECRETS, validationActions=["Warn"]))
    warnings = eventually(lambda: cluster.allowed(configmap(space, password="x")), "a warning")
    assert warnings.startswith("Warning: ")
    assert "must not be" in warnings


def test_an_audited_violation_is_in_the_audit_log_only(cluster: Cluster) -> None:
    space = cluster.namespace()
    cluster.enforce(policy(space, NO_SECRETS, validationActions=["Audit"]))

    def annotation() -> str:
        assert not cluster.allowed(configmap(space, "audited", password="x"))
        found = ""
        for event in cluster.plane.audit_events():
            if event.get("objectRef", {}).get("namespace") == space:
                notes = event.get("annotations") or {}
                found = notes.get("cluster.tidewaiter.dev/violations", found)
        cluster.kubectl("delete", "configmap", "audited", "-n", space, check=True)
        return found

    assert "[audit]" in eventually(annotation, "an annotation")


def test_an_update_may_keep_a_violation_but_not_add_one(cluster: Cluster) -> None:
    space = cluster.namespace()
    cluster.apply(configmap(space, password="x"), check=True)
    cluster.enforce(policy(space, NO_SECRETS, validation={"fieldPath": "data.password"}))
    cluster.denied(configmap(space, "new", password="x"))
    cluster.allowed(configmap(space, labels={"team": "a"}, password="x"))
    cluster.denied(configmap(space, password="y"))
    cluster.allowed(configmap(space, colour="blue"))
    cluster.denied(configmap(space, password="x"))


def test_a_deletion_is_judged_by_the_old_object(cluster: Cluster) -> None:
    space = cluster.namespace()
    expression = "!('protected' in oldObject.metadata.?labels.orValue({}))"
    cluster.enforce(policy(space, expression, operations=("DELETE",)))
    cluster.apply(configmap(space, "kept", {"protected": "yes"}), configmap(space, "free"), check=True)

    def attempt() -> str:
        cluster.apply(configmap(space, "kept", {"protected": "yes"}), check=True)
        return cluster.kubectl("delete", "configmap", "kept", "-n", space).stderr

    assert "denied the request" in eventually(attempt, "a denial")
    cluster.kubectl("delete", "configmap", "free", "-n", space, check=True)


def test_a_dry_run_is_judged_and_known_as_one(cluster: Cluster) -> None:
    space = cluster.namespace()
    cluster.enforce(policy(space, "request.?dryRun.orValue(false) || object.metadata.name != 'only-dry'"))
    cluster.denied(configmap(space, "only-dry"))
    cluster.allowed(configmap(space, "only-dry"), flags=["--dry-run=server"])
    cluster.enforce(policy(space, NO_SECRETS))
    cluster.denied(configmap(space, password="x"), flags=["--dry-run=server"])


def test_server_side_apply_is_judged(cluster: Cluster) -> None:
    space = cluster.namespace()
    cluster.enforce(policy(space, NO_SECRETS))
    cluster.denied(configmap(space, password="x"), flags=["--server-side"])
    cluster.allowed(configmap(space, colour="blue"), flags=["--server-side"])


def test_exec_is_denied_before_anything_runs(cluster: Cluster) -> None:
    space = cluster.namespace()
    cluster.enforce(
        policy(
            space,
            "object.container != 'app' || request.name != 'guarded'",
            resources=("pods/exec",),
            operations=("CONNECT",),
        )
    )
    cluster.apply(pod(space, "guarded"), check=True)
    said = eventually(
        lambda: [
            text
            for text in [cluster.kubectl("exec", "-n", space, "guarded", "-c", "app", "--", "id").stderr]
            if "denied the request" in text
        ],
        "a denial",
    )
    assert "must not be" in said[0]


def test_a_namespace_and_its_first_deployment_in_one_apply(cluster: Cluster) -> None:
    name = "first-of"
    rule = no_privileged("unused")
    rule["spec"]["matchConstraints"]["namespaceSelector"] = {"matchLabels": {"suite": name}}
    cluster.enforce(rule)
    probe = cluster.namespace({"suite": name})
    cluster.denied(pod(probe, privileged=True))
    for number in range(50):
        space = f"{name}-{number}"
        # Every tenth is refused, so that the namespace's labels are known to have been seen.
        bad = number % 10 == 0
        done = cluster.apply(namespace(space, {"suite": name}), deployment(space, privileged=bad))
        assert ("denied the request" in done.stderr) is bad, done.stderr
        assert bool(done.returncode) is bad, done.stderr
    spaces = [f"{name}-{number}" for number in range(50)]
    cluster.kubectl("delete", "namespace", "--wait=false", *spaces, check=True)


def test_parameters_come_from_a_configmap_and_follow_it(cluster: Cluster) -> None:
    space = cluster.namespace()
    rule = policy(
        space,
        "object.metadata.name == 'limits' || int(object.data.size) <= int(params.data.most)",
        validation={"messageExpression": "'size must be at most ' + params.data.most"},
        paramKind={"apiVersion": "v1", "kind": "ConfigMap"},
        paramRef={"name": "limits", "namespace": space, "parameterNotFoundAction": "Deny"},
    )
    cluster.apply(configmap(space, "limits", most="5"), check=True)
    cluster.enforce(rule)
    assert "size must be at most 5" in cluster.denied(configmap(space, size="7"))
    cluster.allowed(configmap(space, size="4"))
    cluster.apply(configmap(space, "limits", most="10"), check=True)
    eventually(lambda: cluster.apply(configmap(space, size="7")).returncode == 0, "the new limit")


def test_the_namespaces_labels_decide(cluster: Cluster) -> None:
    space = cluster.namespace({"stage": "dev"})
    rule = policy(space, NO_SECRETS)
    rule["spec"]["matchConstraints"]["namespaceSelector"] = {
        "matchExpressions": [
            {"key": "kubernetes.io/metadata.name", "operator": "In", "values": [space]},
            {"key": "stage", "operator": "In", "values": ["production"]},
        ]
    }
    cluster.enforce(rule)
    cluster.allowed(configmap(space, password="x"))
    cluster.kubectl("label", "namespace", space, "stage=production", "--overwrite", check=True)
    cluster.denied(configmap(space, "other", password="x"))


def test_a_namespaced_policy_judges_its_own_namespace_only(cluster: Cluster) -> None:
    here, there = cluster.namespace(), cluster.namespace()
    rule = policy(here, NO_SECRETS)
    rule["kind"] = "Policy"
    rule["metadata"]["namespace"] = here
    del rule["spec"]["matchConstraints"]["namespaceSelector"]
    cluster.enforce(rule)
    assert "namespaced.tidewaiter.dev" in cluster.denied(configmap(here, password="x"))
    cluster.allowed(configmap(there, password="x"))


def test_policies_that_name_different_versions_of_a_resource_each_see_theirs(cluster: Cluster) -> None:
    space = cluster.namespace()
    scaler = {
        "apiVersion": "autoscaling/v1",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": "one", "namespace": space},
        "spec": {
            "maxReplicas": 3,
            "targetCPUUtilizationPercentage": 80,
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "one"},
        },
    }
    names = {"group": "autoscaling", "resources": ["horizontalpodautoscalers"]}
    old = policy(space, "object.spec.targetCPUUtilizationPercentage < 50", version="v1", **names)
    new = policy(
        space, "object.spec.metrics[0].resource.target.averageUtilization < 60", version="v2", **names
    )
    cluster.enforce(old, new)
    cluster.denied(scaler)
    scaler["spec"]["targetCPUUtilizationPercentage"] = 55
    assert "v1.cluster.tidewaiter.dev" in cluster.denied(scaler)
    entries = {entry["name"] for entry in (cluster.configuration() or {})["webhooks"]}
    assert {"v1.cluster.tidewaiter.dev", "v2.cluster.tidewaiter.dev"} <= entries
    scaler["spec"]["targetCPUUtilizationPercentage"] = 45
    cluster.allowed(scaler)
    cluster.kubectl("delete", "clusterpolicy", old["metadata"]["name"], new["metadata"]["name"], check=True)


def test_a_policy_may_ask_what_the_user_may_do(cluster: Cluster) -> None:
    space = cluster.namespace()
    expression = f"authorizer.group('').resource('secrets').namespace('{space}').check('get').allowed()"
    cluster.enforce(policy(space, expression))
    cluster.kubectl(
        "create", "rolebinding", "editor", "--clusterrole=edit", "--user=editor", "-n", space, check=True
    )
    role = ["create", "role", "writer", "--verb=get,create,patch", "--resource=configmaps", "-n", space]
    cluster.kubectl(*role, check=True)
    cluster.kubectl(
        "create", "rolebinding", "writer", "--role=writer", "--user=writer", "-n", space, check=True
    )
    cluster.denied(configmap(space), flags=["--as=writer"])
    cluster.allowed(configmap(space), flags=["--as=editor"])


def test_a_policy_for_everything_leaves_policies_and_heartbeats_alone(cluster: Cluster) -> None:
    space = cluster.namespace()
    rule = policy(space, "false", group="*", version="*", resources=["*/*"], operations=["*"])
    del rule["spec"]["matchConstraints"]["namespaceSelector"]
    rule["spec"]["matchConditions"] = [
        {"name": "only-here", "expression": f"request.?namespace.orValue('') == '{space}'"}
    ]
    own = policy(space, NO_SECRETS)
    own["kind"] = "Policy"
    own["metadata"]["namespace"] = space
    lease = {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {"name": "one", "namespace": space},
    }
    try:
        cluster.enforce(rule)
        cluster.denied(configmap(space))
        cluster.allowed(own)
        cluster.allowed(lease)
        who = cluster.kubectl("auth", "can-i", "get", "pods", "-n", space, check=True)
        assert who.stdout.strip() == "yes"
    finally:
        cluster.kubectl("delete", "clusterpolicy", rule["metadata"]["name"], check=True)
    eventually(lambda: cluster.apply(configmap(space)).returncode == 0, "the policy's end")


def test_a_policy_that_does_not_compile_says_where(cluster: Cluster) -> None:
    space = cluster.namespace()
    rule = policy(space, "object.data.size() >")
    name = rule["metadata"]["name"]
    cluster.apply(rule, check=True)
    cluster.kubectl(
        "wait", "--for=condition=Ready=False", "--timeout=60s", f"clusterpolicy/{name}", check=True
    )
    status = cluster.status_of("clusterpolicy", name)
    ready, enforced = (
        next(each for each in status["conditions"] if each["type"] == kind) for kind in ("Ready", "Enforced")
    )
    assert ready["reason"] == "CompileError"
    assert ready["message"].startswith("spec.validations[0].expression: 1:")
    assert enforced["status"] == "False"
    cluster.allowed(configmap(space, password="x"))

    def events() -> list[str]:
        found = json.loads(cluster.kubectl("get", "events", "-n", "default", "-o", "json", check=True).stdout)
        return [each["message"] for each in found["items"] if each["involvedObject"].get("name") == name]

    assert eventually(events, "an event") == [ready["message"]]
    rule["spec"]["validations"][0]["expression"] = NO_SECRETS
    cluster.enforce(rule)
    cluster.denied(configmap(space, "other", password="x"))


def test_a_policy_on_what_webhooks_never_see_says_so(cluster: Cluster) -> None:
    rule = policy(
        "unused", "true", group="admissionregistration.k8s.io", resources=["validatingwebhookconfigurations"]
    )
    name = rule["metadata"]["name"]
    cluster.apply(rule, check=True)
    cluster.kubectl(
        "wait", "--for=condition=Enforced=False", "--timeout=60s", f"clusterpolicy/{name}", check=True
    )
    conditions = cluster.status_of("clusterpolicy", name)["conditions"]
    # The audit adds its own, sooner or later.
    reasons = {each["type"]: each["reason"] for each in conditions if each["reason"] != "Judged"}
    assert list(reasons.values()) == ["Compiled", "NeverSentToWebhooks"]


def test_a_deleted_policy_no_longer_holds(cluster: Cluster) -> None:
    space = cluster.namespace()
    rule = policy(space, NO_SECRETS)
    cluster.enforce(rule)
    cluster.denied(configmap(space, password="x"))
    cluster.kubectl("delete", "clusterpolicy", rule["metadata"]["name"], check=True)
    eventually(lambda: cluster.apply(configmap(space, password="x")).returncode == 0, "the policy's end")

"""The webhook configuration sends us what some policy judges, once, and nothing else."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import pytest

from tests.controlplane import ControlPlane
from webhook.core.model import PolicyRef
from webhook.core.policy import CompiledPolicy, Rule
from webhook.core.selectors import Selector
from webhook.operator.certificates import next_bundle
from webhook.operator.informer import Object
from webhook.operator.mend import merged
from webhook.operator.webhooks import OWN_LABELS, Endpoint, Registration, desired, path_of, unsent

ENDPOINT = Endpoint(b"PEM", url="https://127.0.0.1:8443")
EXEMPT = frozenset({"kube-system", "tidewaiter-system"})
REGISTRATION = Registration("tidewaiter", ENDPOINT, exempt_namespaces=EXEMPT)


def rule(
    resources: Sequence[str],
    group: str = "",
    versions: Sequence[str] = ("v1",),
    operations: Sequence[str] = ("CREATE",),
    scope: str = "*",
) -> Rule:
    return Rule(frozenset({group}), frozenset(versions), frozenset(resources), frozenset(operations), scope)


def policy(*rules: Rule, namespace: str = "", name: str = "one", **more: Any) -> CompiledPolicy:
    kind = "Policy" if namespace else "ClusterPolicy"
    return CompiledPolicy(PolicyRef(kind, namespace, name), 1, rules, (), **more)


def entries(*policies: CompiledPolicy) -> dict[str, Any]:
    """Return the entries of the policies by name: those without the guard."""
    found = desired(policies, REGISTRATION)["webhooks"]
    return {entry["name"]: entry for entry in found if entry["name"] not in GUARDS}


def sent(entry: dict[str, Any]) -> set[tuple[str, str, str, str, str]]:
    """Return what an entry's rules send: group, version, resource, operation, scope."""
    return {
        (group, version, resource, operation, each["scope"])
        for each in entry["rules"]
        for group in each["apiGroups"]
        for version in each["apiVersions"]
        for resource in each["resources"]
        for operation in each["operations"]
    }


GUARDS = ["guard.tidewaiter.dev", "deleted.guard.tidewaiter.dev", "recorded.guard.tidewaiter.dev"]


def test_without_policies_only_the_guard_of_the_risk_kinds_is_registered() -> None:
    assert [entry["name"] for entry in desired([], REGISTRATION)["webhooks"]] == GUARDS


@pytest.mark.parametrize("failure_policy", ["Fail", "Ignore"])
def test_the_guard_fails_closed_for_everybody_whatever_the_policies_do(failure_policy: str) -> None:
    registration = Registration(
        "tidewaiter",
        ENDPOINT,
        failure_policy,
        exempt_namespaces=EXEMPT,
        own_users=("system:serviceaccount:tidewaiter-system:operator",),
        exempt_users=("admin",),
    )
    guard, deleted, recorded = desired([policy(rule(["pods"]))], registration)["webhooks"][-3:]
    assert [each["failurePolicy"] for each in (guard, deleted, recorded)] == ["Fail", "Ignore", "Ignore"]
    for entry in (guard, deleted, recorded):
        assert entry["namespaceSelector"] == entry["objectSelector"] == {}
        assert "userInfo" not in str(entry["matchConditions"])
    both = {"CREATE", "UPDATE"}
    assert {(resource, operation) for _, _, resource, operation, _ in sent(guard)} == {
        *(("riskacceptances", operation) for operation in both),
        *(("riskapprovals", operation) for operation in both),
        *(("clusterriskacceptances", operation) for operation in both | {"DELETE"}),
        *(("clusterriskapprovals", operation) for operation in both | {"DELETE"}),
        *(("riskappetites", operation) for operation in both | {"DELETE"}),
    }
    assert sent(deleted) == {
        ("tidewaiter.dev", "v1alpha1", resource, "DELETE", "Namespaced")
        for resource in ("riskacceptances", "riskapprovals")
    }
    assert guard["clientConfig"]["url"] == "https://127.0.0.1:8443/guard"
    assert deleted["clientConfig"]["url"] == "https://127.0.0.1:8443/guard/deleted"
    assert sent(recorded) == {
        ("tidewaiter.dev", "v1alpha1", resource, operation, scope)
        for resource, scope in (("policies", "Namespaced"), ("clusterpolicies", "Cluster"))
        for operation in both | {"DELETE"}
    }
    assert recorded["clientConfig"]["url"] == "https://127.0.0.1:8443/guard/recorded"


def test_only_what_is_judged_is_sent() -> None:
    found = entries(
        policy(rule(["pods"]), name="a"),
        policy(rule(["pods"], operations=["DELETE"]), rule(["nodes"], scope="Cluster"), name="b"),
    )
    assert list(found) == ["cluster.tidewaiter.dev"]
    entry = found["cluster.tidewaiter.dev"]
    assert sent(entry) == {
        ("", "v1", "pods", "CREATE", "*"),
        ("", "v1", "pods", "DELETE", "*"),
        ("", "v1", "nodes", "CREATE", "Cluster"),
    }
    assert entry["clientConfig"] == {"url": "https://127.0.0.1:8443/admit/cluster/any", "caBundle": "UEVN"}
    assert entry["namespaceSelector"]["matchExpressions"] == [
        {
            "key": "kubernetes.io/metadata.name",
            "operator": "NotIn",
            "values": ["kube-system", "tidewaiter-system"],
        }
    ]


def test_the_order_of_policies_changes_nothing() -> None:
    policies = [policy(rule([kind]), name=kind) for kind in ("pods", "services", "secrets")]
    assert desired(policies, REGISTRATION) == desired(reversed(policies), REGISTRATION)


def test_pod_templates_add_the_workloads() -> None:
    entry = entries(policy(rule(["pods"]), pod_templates=True))["cluster.tidewaiter.dev"]
    assert {(group, resource) for group, _, resource, _, _ in sent(entry)} == {
        ("", "pods"),
        ("", "podtemplates"),
        ("", "replicationcontrollers"),
        ("apps", "daemonsets"),
        ("apps", "deployments"),
        ("apps", "replicasets"),
        ("apps", "statefulsets"),
        ("batch", "cronjobs"),
        ("batch", "jobs"),
    }


def test_pod_templates_of_a_policy_on_subresources_add_nothing() -> None:
    judged = policy(rule(["pods/exec"], operations=["CONNECT"]), pod_templates=True)
    entry = entries(judged)["cluster.tidewaiter.dev"]
    assert sent(entry) == {("", "v1", "pods/exec", "CONNECT", "*")}


def test_namespaced_policies_have_an_entry_for_their_namespaces() -> None:
    found = entries(
        policy(rule(["pods"]), namespace="shop", name="a"),
        policy(rule(["pods", "nodes"], scope="Cluster"), namespace="shop", name="b"),
        policy(rule(["secrets"]), namespace="billing", name="c"),
        policy(rule(["services"])),
    )
    assert set(found) == {"cluster.tidewaiter.dev", "namespaced.tidewaiter.dev"}
    entry = found["namespaced.tidewaiter.dev"]
    assert sent(entry) == {
        ("", "v1", "pods", "CREATE", "Namespaced"),
        ("", "v1", "secrets", "CREATE", "Namespaced"),
    }
    assert entry["namespaceSelector"]["matchExpressions"][0]["values"] == ["billing", "shop"]
    assert entry["clientConfig"]["url"].endswith("/admit/namespaced/any")


def test_a_namespace_that_a_policy_names_is_no_longer_exempt() -> None:
    expression = {"key": "kubernetes.io/metadata.name", "operator": "In", "values": ["kube-system"]}
    naming = policy(rule(["pods"]), namespace_selector=Selector.parse({"matchExpressions": [expression]}))
    entry = entries(naming)["cluster.tidewaiter.dev"]
    assert entry["namespaceSelector"]["matchExpressions"][0]["values"] == ["tidewaiter-system"]


def test_different_versions_of_a_resource_have_an_entry_each() -> None:
    found = entries(
        policy(rule(["scalers"], "autoscaling", ["v1"]), rule(["pods"]), name="a"),
        policy(rule(["scalers"], "autoscaling", ["v2", "v2beta1"]), rule(["pods"]), name="b"),
    )
    assert {name: entry["clientConfig"]["url"].rpartition("8443")[2] for name, entry in found.items()} == {
        "cluster.tidewaiter.dev": "/admit/cluster/any",
        "v1.cluster.tidewaiter.dev": "/admit/cluster/v1",
        "v2.v2beta1.cluster.tidewaiter.dev": "/admit/cluster/v2.v2beta1",
    }
    assert sent(found["cluster.tidewaiter.dev"]) == {("", "v1", "pods", "CREATE", "*")}
    assert sent(found["v1.cluster.tidewaiter.dev"]) == {("autoscaling", "v1", "scalers", "CREATE", "*")}
    assert {version for _, version, *_ in sent(found["v2.v2beta1.cluster.tidewaiter.dev"])} == {
        "v2",
        "v2beta1",
    }


def test_wildcards_that_name_different_versions_have_an_entry_each() -> None:
    """One entry with both would send each object in its own version: to one of the policies unseen."""
    found = entries(
        policy(rule(["*"], "autoscaling", ["v1"]), name="a"),
        policy(rule(["scalers"], "autoscaling", ["v2"]), name="b"),
        policy(rule(["*"], "*", ["*"]), name="c"),
    )
    assert {name: sent(entry) for name, entry in found.items()} == {
        "cluster.tidewaiter.dev": {("*", "*", "*", "CREATE", "*")},
        "v1.cluster.tidewaiter.dev": {("autoscaling", "v1", "*", "CREATE", "*")},
        "v2.cluster.tidewaiter.dev": {("autoscaling", "v2", "scalers", "CREATE", "*")},
    }


def test_a_rule_is_sent_in_its_own_versions_though_its_policy_names_more() -> None:
    scalers = policy(
        rule(["scalers"], "autoscaling", ["v1"]),
        rule(["scalers"], "autoscaling", ["v2"], operations=["UPDATE"]),
    )
    assert sent(entries(scalers)["cluster.tidewaiter.dev"]) == {
        ("autoscaling", "v1", "scalers", "CREATE", "*"),
        ("autoscaling", "v2", "scalers", "UPDATE", "*"),
    }


def test_a_pod_template_is_sent_to_the_entry_for_all_versions() -> None:
    found = entries(
        policy(rule(["pods"]), pod_templates=True, name="a"),
        policy(rule(["deployments"], "apps", ["v1"]), name="b"),
        policy(rule(["deployments"], "apps", ["v1beta1"]), name="c"),
    )
    assert ("apps", "v1", "deployments", "CREATE", "Namespaced") in sent(found["cluster.tidewaiter.dev"])


def test_what_the_api_server_never_sends_is_not_asked_for() -> None:
    group = "admissionregistration.k8s.io"
    never = policy(rule(["validatingwebhookconfigurations"], group))
    both = policy(rule(["validatingwebhookconfigurations"], group), rule(["pods"]))
    assert unsent(never) == (["validatingwebhookconfigurations.admissionregistration.k8s.io"], True)
    assert unsent(both) == (["validatingwebhookconfigurations.admissionregistration.k8s.io"], False)
    assert unsent(policy(rule(["pods"]))) == ([], False)
    assert unsent(policy(rule(["clusterpolicies"], "tidewaiter.dev")))[1]
    assert not entries(never)


def test_our_own_account_is_left_out_only_where_there_is_one() -> None:
    names = [
        each["name"] for each in entries(policy(rule(["pods"])))["cluster.tidewaiter.dev"]["matchConditions"]
    ]
    assert "not-self" not in names
    own = Registration(
        "tidewaiter", ENDPOINT, own_users=("system:serviceaccount:tidewaiter-system:operator",)
    )
    conditions = desired([policy(rule(["pods"]))], own)["webhooks"][0]["matchConditions"]
    assert conditions[-1]["expression"] == (
        '!(request.userInfo.username in ["system:serviceaccount:tidewaiter-system:operator"])'
    )


def test_exempt_users_are_left_out_and_their_names_stay_names() -> None:
    hostile = 'x"]) || true || (request.userInfo.username in ["\\'
    registration = Registration("tidewaiter", ENDPOINT, exempt_users=(hostile, "alice"))
    condition = desired([policy(rule(["pods"]))], registration)["webhooks"][0]["matchConditions"][-1]
    assert condition == {
        "name": "not-exempt-users",
        "expression": '!(request.userInfo.username in ["alice", '
        r'"x\"]) || true || (request.userInfo.username in [\"\\"])',
    }


@pytest.mark.parametrize(
    ("scope", "versions", "path"),
    [("cluster", "*", "/admit/cluster/any"), ("namespaced", "v1,v1beta1", "/admit/namespaced/v1.v1beta1")],
)
def test_the_path_says_which_policies(scope: str, versions: str, path: str) -> None:
    assert path_of(scope, versions) == path


def _live(policies: Iterable[CompiledPolicy]) -> tuple[Object, Object]:
    wanted = desired(policies, REGISTRATION)
    live = copy.deepcopy(wanted)
    live["metadata"]["resourceVersion"] = "7"
    return wanted, live


def test_a_configuration_as_wanted_is_left_alone() -> None:
    wanted, live = _live([policy(rule(["pods"]))])
    assert merged(wanted, live) is None
    live["metadata"]["labels"]["team"] = "platform"
    live["webhooks"].append({"name": "another.example.com"})
    live["webhooks"][0]["namespaceSelector"]["matchExpressions"].append(
        {"key": "control-plane", "operator": "DoesNotExist"}
    )
    assert merged(wanted, live) is None


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("failurePolicy", "Ignore"),
        ("rules", []),
        ("matchConditions", []),
        ("timeoutSeconds", 1),
        ("clientConfig", {"url": "https://elsewhere.example.com"}),
        ("objectSelector", {"matchLabels": {"judged": "yes"}}),
        ("namespaceSelector", {}),
        (
            "namespaceSelector",
            {
                "matchExpressions": [
                    {"key": "kubernetes.io/metadata.name", "operator": "In", "values": ["nowhere"]}
                ]
            },
        ),
    ],
)
def test_an_edited_field_is_put_back_and_foreign_ones_stay(field: str, value: Any) -> None:
    wanted, live = _live([policy(rule(["pods"]))])
    foreign = {"name": "another.example.com", "failurePolicy": "Ignore"}
    live["webhooks"].append(foreign)
    live["webhooks"][0][field] = value
    change = merged(wanted, live)
    assert change is not None
    assert change["webhooks"] == [*wanted["webhooks"], foreign]


@pytest.mark.parametrize("position", [-1, -2])
@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("failurePolicy", "Exact"),
        ("rules", []),
        ("matchConditions", [{"name": "never", "expression": "false"}]),
        ("objectSelector", {"matchLabels": {"judged": "yes"}}),
        ("clientConfig", {"url": "https://elsewhere.example.com"}),
    ],
)
def test_an_edited_guard_is_put_back(position: int, field: str, value: Any) -> None:
    wanted, live = _live([])
    live["webhooks"][position][field] = value
    change = merged(wanted, live)
    assert change is not None
    assert change["webhooks"] == wanted["webhooks"]


OPT_OUT = {"admissions.enforcer/disabled": "true"}


@pytest.mark.parametrize("live_labels", [{}, {"admissions.enforcer/disabled": "false"}, {"team": "platform"}])
def test_a_label_that_is_asked_for_is_put_back(live_labels: dict[str, str]) -> None:
    wanted = desired([], replace(REGISTRATION, labels={**OPT_OUT, "app.kubernetes.io/name": "other"}))
    assert wanted["metadata"]["labels"] == {**OPT_OUT, **OWN_LABELS}
    live = copy.deepcopy(wanted)
    live["metadata"]["labels"] = live_labels
    change = merged(wanted, live)
    assert change is not None
    assert change["metadata"]["labels"] == {**live_labels, **OPT_OUT, **OWN_LABELS}


def test_a_label_that_nobody_asks_us_for_is_left_to_whoever_set_it() -> None:
    wanted, live = _live([])
    live["metadata"]["labels"] |= OPT_OUT
    assert merged(wanted, live) is None
    live["webhooks"][0]["timeoutSeconds"] = 1
    change = merged(wanted, live)
    assert change is not None
    assert change["metadata"] == {}, "a merge patch that says nothing of labels keeps them"


def test_an_entry_that_is_no_longer_wanted_goes() -> None:
    wanted, _ = _live([policy(rule(["pods"]))])
    _, live = _live([policy(rule(["pods"])), policy(rule(["pods"]), namespace="shop")])
    change = merged(wanted, live)
    assert change is not None
    assert [entry["name"] for entry in change["webhooks"]] == ["cluster.tidewaiter.dev", *GUARDS]


@pytest.mark.e2e
@pytest.mark.xdist_group("operator")
@pytest.mark.parametrize("service", [False, True])
def test_the_api_server_takes_every_kind_of_rule(plane: ControlPlane, service: bool) -> None:
    from datetime import UTC, datetime

    bundle = next_bundle(None, ["127.0.0.1"], datetime.now(UTC))
    url = "" if service else "https://127.0.0.1:8443"
    endpoint = Endpoint(bundle.trusted, url, "tidewaiter", "tidewaiter-system")
    policies = [
        policy(rule(["*/*"], "*", ["*"], ["*"]), name="everything"),
        policy(rule(["*", "*/scale", "pods/*", "pods"], "", ["v1"], ["UPDATE", "CONNECT"]), name="wild"),
        policy(rule(["scalers"], "autoscaling", ["v1"]), name="old"),
        policy(rule(["scalers"], "autoscaling", ["v2", "v2beta1"]), name="new"),
        policy(rule(["pods", "pods/exec"], operations=["CREATE", "UPDATE", "DELETE", "CONNECT"])),
        policy(rule(["*"], "*", ["*"], ["*"]), namespace="shop", pod_templates=True),
    ]
    own = ("system:serviceaccount:tidewaiter-system:operator",)
    registration = Registration(
        "taken", endpoint, exempt_namespaces=EXEMPT, own_users=own, exempt_users=("it's \"\\\n\t\x01 ü 😀",)
    )
    wanted = desired(policies, registration)
    for each in wanted["webhooks"]:
        each["failurePolicy"] = "Ignore"  # nobody answers here
    path = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations"
    status, made = plane.request("POST", path, wanted)
    assert status == 201, made
    assert merged(wanted, made) is None, "the API server's defaults are no difference"
    plane.request("DELETE", f"{path}/taken")

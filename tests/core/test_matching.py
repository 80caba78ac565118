"""Which policies a request meets: rules, scopes, selectors, versions, exemptions."""

from __future__ import annotations

from typing import Any

import pytest

from tests.core.builders import NOW, PODS, namespace, pod, policy, request, snapshot, validation, workload
from webhook.core.evaluate import evaluate
from webhook.core.match import Selection, versions_named
from webhook.core.policy import Rule
from webhook.core.selectors import Selector
from webhook.core.verdict import NamespaceLack

NEVER = validation(lambda _: False, "never")


def rule(**fields: Any) -> Rule:
    given = {"groups": [""], "versions": ["v1"], "resources": ["pods"], "operations": ["CREATE"], **fields}
    scope = given.pop("scope", "*")
    return Rule(**{key: frozenset(value) for key, value in given.items()}, scope=scope)


def judged(made: Any, req: Any, **options: Any) -> bool:
    return bool(evaluate(req, snapshot(made, **options), NOW).violations)


POD = request(pod())
EXEC = request(
    {"apiVersion": "v1", "kind": "PodExecOptions"},
    operation="CONNECT",
    resource={"group": "", "version": "v1", "resource": "pods"},
    requestResource={"group": "", "version": "v1", "resource": "pods"},
    subResource="exec",
    name="web",
    namespace="shop",
)
NAMESPACE = request(namespace("shop", stage="dev"))


@pytest.mark.parametrize(
    ("fields", "req", "expected"),
    [
        ({}, POD, True),
        ({"groups": ["apps"]}, POD, False),
        ({"groups": ["*"], "versions": ["*"], "resources": ["*"], "operations": ["*"]}, POD, True),
        ({"versions": ["v2"]}, POD, False),
        ({"operations": ["UPDATE"]}, POD, False),
        ({"resources": ["services", "pods"]}, POD, True),
        ({"scope": "Namespaced"}, POD, True),
        ({"scope": "Cluster"}, POD, False),
        ({"resources": ["namespaces"], "scope": "Cluster"}, NAMESPACE, True),
        ({"resources": ["namespaces"], "scope": "Namespaced"}, NAMESPACE, False),
        ({"names": ["web"]}, POD, True),
        ({"names": ["api"]}, POD, False),
        ({"resources": ["pods"], "operations": ["CONNECT"]}, EXEC, False),
        ({"resources": ["pods/exec"], "operations": ["CONNECT"]}, EXEC, True),
        ({"resources": ["pods/*"], "operations": ["CONNECT"]}, EXEC, True),
        ({"resources": ["*/exec"], "operations": ["CONNECT"]}, EXEC, True),
        ({"resources": ["*"], "operations": ["CONNECT"]}, EXEC, False),
        ({"resources": ["*/*"], "operations": ["CONNECT"]}, EXEC, True),
    ],
)
def test_a_rule_takes_what_it_names(fields: dict[str, Any], req: Any, expected: bool) -> None:
    assert judged(policy(NEVER, rules=(rule(**fields),)), req) is expected


def test_an_exclusion_takes_out_what_a_rule_took_in() -> None:
    made = policy(NEVER, rules=(rule(resources=["*"]),), exclude_rules=(rule(names=["web"]),))
    assert not judged(made, POD)
    assert judged(made, request(pod(name="api")))


@pytest.mark.parametrize(
    ("selector", "labels", "expected"),
    [
        ({"matchLabels": {"stage": "prod"}}, {"stage": "prod"}, True),
        ({"matchLabels": {"stage": "prod"}}, {"stage": "dev"}, False),
        ({"matchLabels": {"stage": "prod"}}, {}, False),
        ({"matchExpressions": [{"key": "stage", "operator": "NotIn", "values": ["dev"]}]}, {}, True),
        (
            {"matchExpressions": [{"key": "stage", "operator": "In", "values": ["a", "b"]}]},
            {"stage": "b"},
            True,
        ),
        ({"matchExpressions": [{"key": "stage", "operator": "Exists"}]}, {"stage": ""}, True),
        ({"matchExpressions": [{"key": "stage", "operator": "DoesNotExist"}]}, {"stage": ""}, False),
    ],
)
def test_selectors_on_namespaces_and_objects(selector: Any, labels: dict[str, str], expected: bool) -> None:
    parsed = Selector.parse(selector)
    assert (
        judged(policy(NEVER, namespace_selector=parsed), POD, namespaces=(namespace(**labels),)) is expected
    )
    assert judged(policy(NEVER, object_selector=parsed), request(pod(labels=labels))) is expected


def test_an_object_selector_also_takes_the_labels_that_an_update_removes() -> None:
    made = policy(NEVER, object_selector=Selector.parse({"matchLabels": {"guard": "on"}}), ratchet=False)
    assert judged(made, request(pod(), pod(labels={"guard": "on"})))
    assert judged(made, request(None, pod(labels={"guard": "on"})))
    assert not judged(made, request(pod(), pod()))


def test_a_namespace_is_selected_by_its_own_new_labels() -> None:
    made = policy(
        NEVER,
        rules=(rule(resources=["namespaces"], operations=["CREATE", "UPDATE", "DELETE"]),),
        namespace_selector=Selector.parse({"matchLabels": {"stage": "prod"}}),
        ratchet=False,
    )
    assert judged(made, request(namespace(stage="prod")), namespaces=())
    assert not judged(made, request(namespace(stage="dev"), namespace(stage="prod")))
    assert judged(made, request(None, namespace(stage="dev")), namespaces=(namespace(stage="prod"),))


def test_a_namespace_selector_passes_cluster_scoped_objects() -> None:
    made = policy(
        NEVER,
        rules=(rule(groups=["storage.k8s.io"], resources=["storageclasss"]),),
        namespace_selector=Selector.parse({"matchLabels": {"stage": "prod"}}),
    )
    thing = {"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "metadata": {"name": "fast"}}
    assert judged(made, request(thing))


def test_a_policy_judges_only_its_own_namespace() -> None:
    made = policy(NEVER, namespace="shop")
    assert judged(made, POD)
    other = pod()
    other["metadata"]["namespace"] = "other"
    assert not judged(made, request(other), namespaces=(namespace("other"),))
    everything = policy(NEVER, namespace="shop", rules=(rule(resources=["*"]),))
    assert not judged(everything, NAMESPACE)


def test_a_namespace_that_is_not_known_yet_is_an_error_of_the_policies_that_need_it() -> None:
    needs = policy(NEVER, name="needs", namespace_selector=Selector.parse({"matchLabels": {"a": "b"}}))
    other = policy(NEVER, name="other")
    verdict = evaluate(POD, snapshot(needs, other, namespaces=()), NOW)
    assert [error.policy.name for error in verdict.errors] == ["needs"]
    assert [violation.policy.name for violation in verdict.violations] == ["other"]
    assert verdict.lacking == (NamespaceLack("shop"),)
    assert not verdict.allowed


def test_exempt_namespaces_are_judged_only_by_policies_that_name_them() -> None:
    system = pod()
    system["metadata"]["namespace"] = "kube-system"
    selector = {"matchLabels": {"kubernetes.io/metadata.name": "kube-system"}}
    known = (namespace("kube-system"),)
    assert not judged(policy(NEVER), request(system), namespaces=known)
    assert judged(
        policy(NEVER, namespace_selector=Selector.parse(selector)), request(system), namespaces=known
    )


def test_match_policy_exact_compares_the_version_that_the_client_used() -> None:
    asked = request(pod(), requestResource={"group": "", "version": "v1beta1", "resource": "pods"})
    assert judged(policy(NEVER), asked)
    assert not judged(policy(NEVER, exact=True), asked)


def test_the_entry_says_which_policies_it_asks_for() -> None:
    both = snapshot(
        policy(NEVER, name="a"),
        policy(NEVER, name="b", rules=(rule(versions=["v1", "v2"]),)),
        policy(NEVER, name="c", namespace="shop"),
    )

    def names(selection: Selection) -> list[str]:
        return [v.policy.name for v in evaluate(POD, both, NOW, selection=selection).violations]

    assert names(Selection()) == ["a", "b", "c"]
    assert names(Selection("cluster", "*")) == ["a", "b"]
    assert names(Selection("namespaced", "*")) == ["c"]
    assert names(Selection("cluster", "v1")) == ["a"]
    assert names(Selection("cluster", "v1,v2")) == ["b"]
    mixed = snapshot(
        policy(NEVER, rules=(rule(resources=["*"]), rule(versions=["v2"], operations=["UPDATE"])))
    )
    for asked in ("v1", "*"):  # sent for the wildcard, and by the entry for all
        assert evaluate(POD, mixed, NOW, selection=Selection("cluster", asked)).violations
    assert versions_named((rule(versions=["v2"]), rule(versions=["v1"])), "", "pods") == "v1,v2"


def test_a_thousand_policies_for_other_labels_are_never_looked_at() -> None:
    looked: list[int] = []

    def program(number: int) -> Any:
        return lambda _: looked.append(number) or True

    policies = [
        policy(
            validation(program(number)),
            name=f"p{number:04}",
            namespace_selector=Selector.parse({"matchLabels": {"team": f"t{number}"}}),
        )
        for number in range(1000)
    ]
    snap = snapshot(*policies, namespaces=(namespace(team="t7"),))
    evaluate(POD, snap, NOW)
    assert looked == [7]
    assert len(snap.index.bucket(POD).find(POD.namespace, ({"team": "t7"},), ({}, {}))) == 1


def test_pod_templates_are_judged_as_the_pods_they_make() -> None:
    def program(activation: Any) -> bool:
        seen.append(activation.object)
        return False

    seen: list[Any] = []
    made = policy(validation(program, field_path="spec.hostNetwork"), pod_templates=True)
    (violation,) = evaluate(request(workload()), snapshot(made), NOW).violations
    assert seen[0]["kind"] == "Pod"
    assert seen[0]["metadata"] == {"labels": {"app": "web"}, "namespace": "shop"}
    assert violation.field_path == "spec.template.spec.hostNetwork"
    cron = {
        "apiVersion": "batch/v1",
        "kind": "CronJob",
        "metadata": {"name": "report", "namespace": "shop"},
        "spec": {"jobTemplate": {"spec": {"template": {"spec": {"containers": []}}}}},
    }
    (violation,) = evaluate(request(cron), snapshot(made), NOW).violations
    assert violation.field_path == "spec.jobTemplate.spec.template.spec.hostNetwork"
    assert not judged(policy(NEVER), request(workload()))
    assert not judged(
        policy(NEVER, pod_templates=True, rules=(PODS,)), request(workload(), subResource="scale")
    )


def test_an_object_selector_never_takes_what_can_have_no_labels() -> None:
    unlabelled = Selector.parse({"matchExpressions": [{"key": "free", "operator": "DoesNotExist"}]})
    made = policy(NEVER, rules=(rule(resources=["pods/exec"], operations=["*"]),), object_selector=unlabelled)
    assert not judged(made, EXEC)
    assert judged(policy(NEVER, object_selector=unlabelled), POD)


def test_an_unknown_namespace_is_no_error_of_a_policy_whose_object_selector_does_not_match() -> None:
    made = policy(
        NEVER,
        namespace_selector=Selector.parse({"matchLabels": {"a": "b"}}),
        object_selector=Selector.parse({"matchLabels": {"guard": "on"}}),
    )
    verdict = evaluate(POD, snapshot(made, namespaces=()), NOW)
    assert verdict.allowed
    assert not verdict.lacking
    assert evaluate(request(pod(labels={"guard": "on"})), snapshot(made, namespaces=()), NOW).errors


def test_an_equivalent_exclusion_takes_out_every_version() -> None:
    old_version = rule(versions=["v1beta1"])
    assert not judged(policy(NEVER, exclude_rules=(old_version,)), POD)
    assert judged(policy(NEVER, exclude_rules=(old_version,), exact=True), POD)


def test_the_namespace_object_of_an_exempt_namespace_is_exempt_too() -> None:
    system = request(namespace("kube-system"))
    rules = (rule(resources=["namespaces"]),)
    named = Selector.parse({"matchLabels": {"kubernetes.io/metadata.name": "kube-system"}})
    assert not judged(policy(NEVER, rules=rules), system)
    assert judged(policy(NEVER, rules=rules, namespace_selector=named), system)

"""Constraints in the engine: what a violation does where, what excuses it, and how the answer reads."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.core.builders import APPETITE, acceptance, approval, namespace, pod, request, workload
from tests.gatekeeper.gk import NOW, cel_template, constraint, snapshot, template, thing
from webhook.adapters.snapshots import Context
from webhook.core.constraint import OWN_POINT, Review
from webhook.core.evaluate import evaluate
from webhook.core.model import Action, PolicyRef
from webhook.core.review import response
from webhook.core.verdict import NamespaceLack, Verdict

PODS = {"kinds": [{"apiGroups": [""], "kinds": ["Pod"]}]}
TEMPLATE = cel_template()
TWO = cel_template(
    "K8sTwo",
    validations=[
        {"expression": "false", "message": "z is wrong"},
        {"expression": "false", "message": "a is wrong"},
    ],
)
IN_OUR_PLACE, BESIDE = Context(), Context(gatekeeper="beside")
TRUSTED = Context(trust_approvals=True)


def scoped(*entries: tuple[str, str]) -> dict[str, Any]:
    return {
        "enforcementAction": "scoped",
        "scopedEnforcementActions": [
            {"action": action, "enforcementPoints": [{"name": point}]} for action, point in entries
        ],
    }


def verdict(*objects: Any, of: Any = None, context: Context = IN_OUR_PLACE) -> Verdict:
    return evaluate(of or request(pod()), snapshot(namespace(), *objects, context=context), NOW)


def test_lines_come_by_action_then_message_then_kind_then_name() -> None:
    deny, warn = scoped(("deny", "*")), scoped(("warn", "*"))
    found = verdict(
        TEMPLATE,
        TWO,
        cel_template("K8sAlike"),
        *(constraint(name=name) for name in ("b", "a")),
        constraint("K8sAlike", "z"),
        constraint("K8sTwo", "two", **deny),
        constraint("K8sTwo", "warned", enforcementAction="warn"),
        constraint(name="later", **warn),
    )
    assert found.message.splitlines() == [
        "[z] refused",
        "[a] refused",
        "[b] refused",
        "[two] a is wrong",
        "[two] z is wrong",
    ]
    assert found.warnings == ("[later] refused", "[warned] a is wrong", "[warned] z is wrong")


def test_the_answer_reads_as_gatekeepers() -> None:
    found = verdict(
        TEMPLATE,
        TWO,
        constraint(name="first"),
        constraint("K8sTwo", "two"),
        constraint(name="z", enforcementAction="warn"),
    )
    answer = response("u", found)["response"]
    assert answer["allowed"] is False
    assert answer["status"]["code"] == 403
    assert answer["status"]["reason"] == "Forbidden"
    assert answer["status"]["message"] == "[two] a is wrong\n[first] refused\n[two] z is wrong"
    assert answer["warnings"] == ["[z] refused"]
    assert found.denied_by == (PolicyRef("K8sRefused", "", "first"), PolicyRef("K8sTwo", "", "two"))


@pytest.mark.parametrize(
    ("spec", "context", "denied", "warned", "found"),
    [
        ({}, IN_OUR_PLACE, True, False, 1),
        ({"enforcementAction": "warn"}, IN_OUR_PLACE, False, True, 1),
        ({"enforcementAction": "dryrun"}, IN_OUR_PLACE, False, False, 1),
        (scoped(("deny", "validation.gatekeeper.sh")), IN_OUR_PLACE, True, False, 1),
        (scoped(("deny", "webhook.tidewaiter.dev")), IN_OUR_PLACE, True, False, 1),
        (scoped(("deny", "*")), IN_OUR_PLACE, True, False, 1),
        (scoped(("deny", "audit.gatekeeper.sh")), IN_OUR_PLACE, False, False, 0),
        (scoped(("warn", "*"), ("deny", "webhook.tidewaiter.dev")), IN_OUR_PLACE, True, True, 1),
        ({}, BESIDE, False, False, 0),
        ({"enforcementAction": "warn"}, BESIDE, False, False, 0),
        (scoped(("deny", "validation.gatekeeper.sh")), BESIDE, False, False, 0),
        (scoped(("deny", "webhook.tidewaiter.dev")), BESIDE, True, False, 1),
        (scoped(("deny", "*")), BESIDE, True, False, 1),
    ],
)
def test_what_a_violation_does_depends_on_the_enforcement_point(
    spec: Any, context: Context, denied: bool, warned: bool, found: int
) -> None:
    got = verdict(TEMPLATE, constraint(**spec), context=context)
    assert (got.allowed, bool(got.warnings), len(got.violations)) == (not denied, warned, found)


@pytest.mark.parametrize(
    ("spec", "context", "sent"),
    [
        ({}, IN_OUR_PLACE, True),
        ({}, BESIDE, False),
        (scoped(("deny", "validation.gatekeeper.sh")), BESIDE, False),
        (scoped(("deny", "webhook.tidewaiter.dev")), BESIDE, True),
        (scoped(("deny", "audit.gatekeeper.sh")), IN_OUR_PLACE, False),
    ],
)
def test_the_api_server_sends_nothing_for_what_is_left_to_gatekeeper(
    spec: Any, context: Context, sent: bool
) -> None:
    around = snapshot(TEMPLATE, constraint(**spec), context=context)
    assert len(around.policies) == 1
    assert bool(around.enforced) is sent


@pytest.mark.parametrize(
    ("spec", "context", "denied"),
    [
        (scoped(("deny", "audit.gatekeeper.sh")), BESIDE, True),
        (scoped(("deny", "audit.gatekeeper.sh")), IN_OUR_PLACE, True),
        ({"enforcementAction": "dryrun"}, BESIDE, True),
    ],
)
def test_an_annotation_says_what_holds_at_our_own_point(spec: Any, context: Context, denied: bool) -> None:
    annotated = constraint(**spec)
    annotated["metadata"]["annotations"] = {"tidewaiter.dev/enforcement-action": "deny"}
    assert verdict(TEMPLATE, annotated, context=context).allowed is not denied


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"enforcementAction": "never"}, "unrecognized enforcementAction"),
        ({"enforcementAction": "scoped"}, "spec.scopedEnforcementActions must be defined"),
        (scoped(("refuse", "*")), "'refuse' is none of deny, warn, dryrun"),
        (
            {"enforcementAction": "scoped", "scopedEnforcementActions": [{"action": "deny"}]},
            "spec.scopedEnforcementActions[0].enforcementPoints: names no enforcement point",
        ),
        ({"match": {"namespaces": ["shop!"]}}, "spec.match.namespaces[0]: 'shop!' should match"),
        ({"match": {"source": "Other"}}, "spec.match.source: unsupported value 'Other'"),
        (
            {"match": {"labelSelector": {"matchExpressions": [{"key": "a", "operator": "Is"}]}}},
            "'Is' is no operator",
        ),
        ({"mtach": {}}, "spec.mtach: unknown fields: spec.mtach"),
        ({"match": []}, "spec.match: must be of type object"),
    ],
)
def test_a_constraint_that_gatekeeper_refuses_is_not_enforced_and_says_why(change: Any, said: str) -> None:
    around = snapshot(TEMPLATE, constraint(**change), constraint(name="good"))
    (failure,) = around.failures
    assert failure.ref == PolicyRef("K8sRefused", "", "refused")
    assert said in failure.message
    assert [policy.ref.name for policy in around.policies] == ["good"]


def test_a_constraint_waits_for_its_template() -> None:
    (failure,) = snapshot(constraint()).failures
    assert "there is no ConstraintTemplate for K8sRefused" in failure.message
    assert not snapshot(constraint(), TEMPLATE).failures


@pytest.mark.parametrize("action", ["deny", "warn", "dryrun"])
def test_what_keeps_it_from_being_judged_counts_as_a_violation(action: str) -> None:
    broken = cel_template("K8sBroken", validations=[{"expression": "object.spec.x.y == 1", "message": "m"}])
    got = verdict(broken, constraint("K8sBroken", "broken", enforcementAction=action))
    assert got.allowed is (action != "deny")
    assert [each.message for each in got.violations] == [
        "expression 'object.spec.x.y == 1' resulted in error: no such key: x"
    ]


def test_an_unknown_namespace_rejects_where_its_labels_matter() -> None:
    selecting = constraint(match={"namespaceSelector": {"matchLabels": {"a": "b"}}})
    around = snapshot(TEMPLATE, selecting)
    got = evaluate(request(pod()), around, NOW)
    assert not got.allowed
    assert got.message == (
        "[refused] unable to match constraints: error matching the requested object: web :failed to run "
        "Match criteria: namespace selector for namespace-scoped object but missing Namespace"
    )
    assert got.lacking == (NamespaceLack("shop"),)
    assert evaluate(request(pod()), snapshot(TEMPLATE, selecting, namespace()), NOW).allowed


@pytest.mark.parametrize(
    ("operations", "operation", "judged"),
    [
        ([], "CREATE", True),
        ([], "UPDATE", True),
        ([], "DELETE", False),
        (["DELETE"], "DELETE", True),
        (["DELETE"], "CREATE", False),
        (["*"], "DELETE", True),
    ],
)
def test_a_template_says_for_which_operations(operations: Any, operation: str, judged: bool) -> None:
    made = cel_template()
    made["spec"]["targets"][0]["operations"] = operations
    new, old = (None if operation == "DELETE" else pod()), (None if operation == "CREATE" else pod())
    got = verdict(made, constraint(), of=request(new, old, operation=operation))
    assert got.allowed is not judged


@pytest.mark.parametrize(
    ("sub_resource", "judged"),
    [("", True), ("ephemeralcontainers", True), ("resize", True), ("status", False)],
)
def test_only_subresources_that_gatekeeper_is_sent_are_judged(sub_resource: str, judged: bool) -> None:
    asked = request(pod(), pod(), operation="UPDATE", subResource=sub_resource)
    assert verdict(TEMPLATE, constraint(), of=asked).allowed is not judged


def risk(kind: str = "K8sRefused", name: str = "refused", **scope: Any) -> dict[str, Any]:
    where = {"kinds": [{"group": "", "kind": "Pod"}], "names": ["web*"], **scope}
    return acceptance(policies=[{"kind": kind, "name": name}], scope=where)


def test_an_acceptance_names_a_constraint_by_kind_and_name() -> None:
    accepted = risk()
    around = (TEMPLATE, constraint(), APPETITE, accepted, approval(accepted))
    got = verdict(*around, context=TRUSTED)
    assert got.allowed
    assert [each.acceptance.name for each in got.accepted] == ["legacy"]
    assert "risk accepted by RiskAcceptance shop/legacy" in got.warnings[0]


@pytest.mark.parametrize(("kind", "name"), [("K8sOther", "refused"), ("K8sRefused", "other")])
def test_an_acceptance_of_another_constraint_covers_nothing(kind: str, name: str) -> None:
    accepted = risk(kind, name)
    got = verdict(TEMPLATE, constraint(), APPETITE, accepted, approval(accepted), context=TRUSTED)
    assert not got.allowed


def test_no_acceptance_covers_that_a_constraint_could_not_be_judged() -> None:
    selecting = constraint(match={"namespaceSelector": {"matchLabels": {"a": "b"}}})
    accepted = risk()
    around = snapshot(TEMPLATE, selecting, APPETITE, accepted, approval(accepted), context=TRUSTED)
    assert not evaluate(request(pod()), around, NOW).allowed


def test_an_acceptance_says_how_bad_a_constraint_is_by_its_annotation() -> None:
    critical = constraint()
    critical["metadata"]["annotations"] = {"tidewaiter.dev/severity": "critical"}
    accepted = risk()
    got = verdict(TEMPLATE, critical, APPETITE, accepted, approval(accepted), context=TRUSTED)
    assert "the RiskAppetite accepts no critical risk" in got.message


@pytest.mark.parametrize(
    ("annotation", "changed", "allowed"),
    [("", "labels", False), ("Allow", "labels", True), ("Allow", "spec", False), ("Deny", "labels", False)],
)
def test_an_update_that_adds_nothing_passes_where_the_constraint_says_so(
    annotation: str, changed: str, allowed: bool
) -> None:
    ratcheting = constraint()
    if annotation:
        ratcheting["metadata"]["annotations"] = {"tidewaiter.dev/existing-violations": annotation}
    new = pod(labels={"a": "b"}) if changed == "labels" else {**pod(), "spec": {"containers": []}}
    got = verdict(TEMPLATE, ratcheting, of=request(new, pod()))
    assert got.allowed is allowed
    assert bool(got.existing) is allowed


def test_what_is_being_deleted_lets_go_of_its_finalizers_though_its_acceptance_has_ended() -> None:
    ratcheting = constraint()
    ratcheting["metadata"]["annotations"] = {"tidewaiter.dev/existing-violations": "Allow"}
    ended = risk()
    ended["spec"] |= {"validFrom": "2026-10-01T00:00:00Z", "validUntil": "2026-11-26T00:00:00Z"}
    around = (TEMPLATE, ratcheting, APPETITE, ended, approval(ended))
    held = pod(finalizers=["example.com/held"])
    assert not verdict(*around, of=request(pod(), held), context=TRUSTED).allowed, "its expiry bites"
    held["metadata"]["deletionTimestamp"] = "2026-11-27T00:00:00Z"
    assert verdict(*around, of=request(pod(), held), context=TRUSTED).existing


def config(*match: Any, sync: Any = ()) -> dict[str, Any]:
    return {
        "apiVersion": "config.gatekeeper.sh/v1alpha1",
        "kind": "Config",
        "metadata": {"name": "config", "namespace": "gatekeeper-system"},
        "spec": {"match": list(match), "sync": {"syncOnly": list(sync)}},
    }


@pytest.mark.parametrize(
    ("processes", "patterns", "judged"),
    [
        (["webhook"], ["shop"], False),
        (["*"], ["sh*"], False),
        (["audit"], ["shop"], True),
        (["webhook"], ["other"], True),
    ],
)
def test_a_config_leaves_namespaces_out(processes: Any, patterns: Any, judged: bool) -> None:
    left_out = config({"processes": processes, "excludedNamespaces": patterns})
    assert verdict(TEMPLATE, constraint(), left_out).allowed is not judged


def expansion(**spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "expansion.gatekeeper.sh/v1beta1",
        "kind": "ExpansionTemplate",
        "metadata": {"name": "expand-deployments"},
        "spec": {
            "applyTo": [{"groups": ["apps"], "kinds": ["Deployment"], "versions": ["v1"]}],
            "templateSource": "spec.template",
            "generatedGVK": {"group": "", "version": "v1", "kind": "Pod"},
            **spec,
        },
    }


@pytest.mark.parametrize(("action", "denied"), [("", True), ("warn", False)])
def test_an_expansion_judges_what_a_workload_will_make(action: str, denied: bool) -> None:
    named = cel_template(
        "K8sNamed", validations=[{"expression": "false", "messageExpression": "object.metadata.name"}]
    )
    more = {"enforcementAction": action} if action else {}
    around = (named, constraint("K8sNamed", "pods", match=PODS), expansion(**more))
    got = verdict(*around, of=request(workload()))
    assert got.allowed is not denied
    assert [each.message for each in got.violations] == ["[Implied by expand-deployments] web-pod"]
    assert verdict(*around[:2], of=request(workload())).allowed


@pytest.mark.parametrize(
    ("context", "change", "denied"),
    [(IN_OUR_PLACE, {}, True), (BESIDE, {}, False), (BESIDE, scoped(("deny", OWN_POINT)), True)],
)
def test_what_can_not_be_expanded_is_denied_where_a_constraint_is_enforced(
    context: Context, change: Any, denied: bool
) -> None:
    asked = request(workload())
    assert asked.object is not None
    bare = replace(asked, object={**asked.object, "spec": {}})
    got = verdict(TEMPLATE, constraint(match=PODS, **change), expansion(), of=bare, context=context)
    assert got.allowed is not denied
    said = 'unable to expand object: could not find source field "spec.template" in resource web'
    assert got.message == (f"[expand-deployments] {said}" if denied else "")


def test_what_can_not_be_expanded_does_no_more_than_the_installation_lets_it() -> None:
    bare = replace(request(workload()), object=thing("Deployment", api_version="apps/v1", namespace="shop"))
    around = snapshot(namespace(), TEMPLATE, constraint(match=PODS), expansion())
    got = evaluate(bare, replace(around, max_action="Warn"), NOW)
    assert got.allowed
    assert [each.actions for each in got.errors] == [(Action.WARN,)]


NO_MAP = "could not extract source field from unstructured: .spec.template accessor error: "
NOT_THERE = 'could not find source field "spec.template" in resource web'


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ({}, NOT_THERE),
        (None, NOT_THERE),
        ("x", f"{NO_MAP}x is of the type string, expected map[string]interface{{}}"),
        ({"template": None}, f"{NO_MAP}<nil> is of the type <nil>, expected map[string]interface{{}}"),
        ({"template": 7}, f"{NO_MAP}7 is of the type int64, expected map[string]interface{{}}"),
        (
            {"template": ["a", {"b": True}]},
            f"{NO_MAP}[a map[b:true]] is of the type []interface {{}}, expected map[string]interface{{}}",
        ),
    ],
)
def test_what_cannot_be_expanded_is_refused_where_it_would_be_judged(spec: Any, said: str) -> None:
    broken = {**workload(), "spec": spec}
    around = (TEMPLATE, constraint(match=PODS), expansion())
    got = verdict(*around, of=request(broken))
    assert not got.allowed
    assert [each.message for each in got.errors] == [f"unable to expand object: {said}"]
    left_out = config({"processes": ["webhook"], "excludedNamespaces": ["sh*"]})
    assert verdict(*around, left_out, of=request(broken)).allowed


def test_an_acceptance_of_the_workload_covers_what_an_expansion_implies() -> None:
    accepted = risk(kinds=[{"group": "apps", "kind": "Deployment"}])
    around = (TEMPLATE, constraint(match=PODS), expansion(), APPETITE, accepted, approval(accepted))
    assert verdict(*around, of=request(workload()), context=TRUSTED).allowed


def test_the_source_of_an_object_can_be_asked() -> None:
    for source, expected in (("Original", 0), ("Generated", 1), ("All", 1)):
        got = verdict(
            TEMPLATE, constraint(match={**PODS, "source": source}), expansion(), of=request(workload())
        )
        assert len(got.violations) == expected, source


def test_expansions_that_go_round_in_circles_hold_neither() -> None:
    back = expansion(
        applyTo=[{"groups": [""], "kinds": ["Pod"], "versions": ["v1"]}],
        generatedGVK={"group": "apps", "version": "v1", "kind": "Deployment"},
    )
    back["metadata"] = {"name": "back"}
    around = snapshot(TEMPLATE, constraint(), expansion(), back)
    assert len(around.problems) == 2
    assert not around.constraints.expansions


def test_synced_kinds_are_the_inventory_and_nothing_else_is() -> None:
    synced = config(
        {"processes": ["sync"], "excludedNamespaces": ["hidden"]},
        sync=[{"group": "", "version": "v1", "kind": "ConfigMap"}],
    )
    sync_set = {
        "apiVersion": "syncset.gatekeeper.sh/v1alpha1",
        "kind": "SyncSet",
        "metadata": {"name": "more"},
        "spec": {"gvks": [{"group": "", "version": "v1", "kind": "Namespace"}]},
    }
    there = [
        thing(namespace="shop"),
        thing(namespace="hidden"),
        thing("Secret", namespace="shop"),
        namespace(),
    ]
    around = snapshot(TEMPLATE, constraint(), synced, sync_set, *there)
    assert around.constraints.inventory == {
        "cluster": {"v1": {"Namespace": {"shop": namespace()}}},
        "namespace": {"shop": {"v1": {"ConfigMap": {"thing": thing(namespace="shop")}}}},
    }


PARAMETERS = {
    "type": "object",
    "properties": {
        "size": {"type": "integer", "default": 3},
        "more": {"type": "object", "default": {}, "properties": {"x": {"type": "string", "default": "y"}}},
        "each": {
            "type": "array",
            "items": {"type": "object", "properties": {"a": {"type": "string", "default": "b"}}},
        },
    },
}


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        (None, "null"),
        ({}, "[size:3, more:y]"),
        ({"size": 5, "each": [{}]}, "[size:5, more:y, each:b]"),
    ],
)
def test_defaults_of_the_schema_are_filled_in(parameters: Any, expected: str) -> None:
    says = (
        "variables.params == null ? 'null' : '[' + 'size:' + string(variables.params.size) + ', more:' + "
        "variables.params.more.x + "
        "(has(variables.params.each) ? ', each:' + variables.params.each[0].a : '') + ']'"
    )
    source = {"validations": [{"expression": "false", "message": "m", "messageExpression": says}]}
    made = template("K8sDefaults", {"engine": "K8sNativeValidation", "source": source}, schema=PARAMETERS)
    spec = {} if parameters is None else {"parameters": parameters}
    got = verdict(made, constraint("K8sDefaults", **spec))
    assert [each.message for each in got.violations] == [expected]


def test_the_request_that_cel_sees_is_made_of_its_attributes() -> None:
    kind = {"group": "apps", "version": "v1", "kind": "Deployment"}
    resource = {"group": "apps", "version": "v1", "resource": "deployments"}
    sent = {
        "uid": "u1",
        "kind": kind,
        "resource": resource,
        "subResource": "scale",
        "requestKind": {**kind, "version": "v1beta1"},
        "requestResource": {**resource, "version": "v1beta1"},
        "requestSubResource": "status",
        "name": "web",
        "namespace": "shop",
        "operation": "UPDATE",
        "userInfo": {"username": "jane", "groups": [], "extra": {}},
        "options": {"kind": "UpdateOptions"},
    }
    assert Review(sent, {}, {}).attributes == {
        "kind": kind,
        "resource": resource,
        "subResource": "scale",
        "requestKind": kind,
        "requestResource": resource,
        "requestSubResource": "scale",
        "name": "web",
        "namespace": "shop",
        "operation": "UPDATE",
        "userInfo": {"username": "jane"},
        "dryRun": False,
        "options": {"kind": "UpdateOptions"},
    }

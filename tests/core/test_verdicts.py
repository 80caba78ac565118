"""What a verdict says: actions, overrides, errors, budgets, params, the ratchet, and the wire."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from tests.core.builders import (
    NON_ROOT,
    NOW,
    container,
    namespace,
    pod,
    policy,
    request,
    review,
    snapshot,
    validation,
    workload,
)
from webhook.core.activation import Budget
from webhook.core.authorization import AuthorizerCheck, AuthorizerDecision
from webhook.core.errors import BudgetExceeded, EvaluationError, ReviewError
from webhook.core.evaluate import evaluate
from webhook.core.model import Action, PolicyRef
from webhook.core.policy import ActionOverride, NamedProgram, ParamSource
from webhook.core.review import AdmissionRequest, response, within_budget
from webhook.core.selectors import Selector
from webhook.core.verdict import DecisionLack

NEVER = validation(lambda _: False, "never")
SAFE = {"securityContext": {"runAsNonRoot": True}}


def fails(_: Any) -> Any:
    raise EvaluationError("no such key: spec")


def test_a_denial_ends_with_what_to_change_once_for_each_policy() -> None:
    told = policy(
        NEVER, validation(lambda _: False, "nor-this"), name="told", remediation="Do:\n\n    this: 1\n"
    )
    warns = policy(NEVER, name="warns", actions=(Action.WARN,), remediation="Nobody needs this.")
    silent = policy(NEVER, name="silent")
    long = policy(NEVER, name="wordy", remediation="x" * 5000)
    status = response("u", evaluate(request(pod()), snapshot(told, warns, silent), NOW))["response"]["status"]
    assert status["message"] == (
        "told/never: never is not met\n"
        "told/nor-this: nor-this is not met\n"
        "silent/never: never is not met\n"
        "What to change:\n"
        "  told:\n"
        "    Do:\n"
        "\n"
        "        this: 1"
    )
    status = response("u", evaluate(request(pod()), snapshot(long, silent), NOW))["response"]["status"]
    assert "silent/never: never is not met\n" in status["message"]
    assert status["message"].endswith("x…")
    assert len(status["message"]) < 2500


def test_a_denial_by_policies_that_say_nothing_of_it_ends_there() -> None:
    status = response("u", evaluate(request(pod()), snapshot(policy(NEVER)), NOW))["response"]["status"]
    assert status["message"] == "policy/never: never is not met"


@pytest.mark.parametrize(
    ("actions", "allowed", "warned"),
    [
        ((Action.DENY,), False, False),
        ((Action.WARN,), True, True),
        ((Action.AUDIT,), True, False),
        ((Action.DENY, Action.AUDIT), False, False),
        ((Action.WARN, Action.AUDIT), True, True),
    ],
)
@pytest.mark.parametrize("broken", [False, True], ids=["violation", "error"])
def test_a_violation_and_an_error_under_fail_do_what_the_actions_say(
    actions: tuple[Action, ...], allowed: bool, warned: bool, broken: bool
) -> None:
    made = policy(validation(fails) if broken else NEVER, actions=actions)
    verdict = evaluate(request(pod()), snapshot(made), NOW)
    assert (verdict.allowed, bool(verdict.warnings)) == (allowed, warned)
    assert verdict.audit_annotations["revision"] == "r1"


def test_an_error_under_ignore_does_nothing_and_hides_no_other_violation() -> None:
    made = policy(validation(fails, "broken"), NEVER, fail=False)
    verdict = evaluate(request(pod()), snapshot(made), NOW)
    assert [violation.validation for violation in verdict.violations] == ["never"]
    assert verdict.errors[0].actions == ()
    assert "validations[broken]: no such key: spec" in verdict.errors[0].message


def test_only_true_meets_a_validation() -> None:
    for value in (None, 1, "true", [], {}):
        verdict = evaluate(request(pod()), snapshot(policy(validation(lambda _, v=value: v))), NOW)
        assert not verdict.allowed


@pytest.mark.parametrize(
    ("conditions", "judged", "error"),
    [
        ([lambda _: True], True, False),
        ([lambda _: False], False, False),
        ([fails, lambda _: False], False, False),
        ([fails, lambda _: True], False, True),
    ],
)
def test_match_conditions(conditions: list[Any], judged: bool, error: bool) -> None:
    named = tuple(NamedProgram(f"c{i}", program) for i, program in enumerate(conditions))
    verdict = evaluate(request(pod()), snapshot(policy(NEVER, match_conditions=named)), NOW)
    assert (bool(verdict.violations), bool(verdict.errors)) == (judged, error)


def test_the_first_override_that_matches_replaces_the_actions() -> None:
    dev = Selector.parse({"matchLabels": {"stage": "dev"}})
    made = policy(
        NEVER, overrides=(ActionOverride(dev, (Action.WARN,)), ActionOverride(Selector(), (Action.AUDIT,)))
    )
    for stage, expected in (("dev", Action.WARN), ("prod", Action.AUDIT)):
        verdict = evaluate(request(pod()), snapshot(made, namespaces=(namespace(stage=stage),)), NOW)
        assert verdict.violations[0].actions == (expected,)


def test_an_override_takes_a_namespace_only_as_it_was_and_will_be() -> None:
    dev = Selector.parse({"matchLabels": {"stage": "dev"}})
    rules = policy(NEVER).rules[0]
    made = policy(
        NEVER,
        rules=(type(rules)(rules.groups, rules.versions, frozenset({"namespaces"}), rules.operations),),
        overrides=(ActionOverride(dev, (Action.WARN,)),),
        ratchet=False,
    )
    snap = snapshot(made)
    assert evaluate(request(namespace(stage="dev")), snap, NOW).allowed
    assert not evaluate(request(namespace(stage="dev"), namespace(stage="prod")), snap, NOW).allowed
    assert evaluate(request(namespace(stage="dev"), namespace(stage="dev")), snap, NOW).allowed


def test_containers_are_visited_by_list_and_named_with_their_path() -> None:
    obj = pod(container("app", **SAFE), container("proxy"))
    obj["spec"]["initContainers"] = [container("setup")]
    obj["spec"]["ephemeralContainers"] = [container("debug")]
    verdict = evaluate(request(obj), snapshot(policy(NON_ROOT)), NOW)
    assert [(v.container_kind, v.container, v.field_path) for v in verdict.violations] == [
        ("containers", "proxy", "spec.containers[1].securityContext.runAsNonRoot"),
        ("initContainers", "setup", "spec.initContainers[0].securityContext.runAsNonRoot"),
        ("ephemeralContainers", "debug", "spec.ephemeralContainers[0].securityContext.runAsNonRoot"),
    ]


@pytest.mark.parametrize("containers", ["text", [1], {"a": {}}])
def test_containers_of_a_wrong_type_are_an_error_not_a_pass(containers: Any) -> None:
    obj = pod()
    obj["spec"]["containers"] = containers
    verdict = evaluate(request(obj), snapshot(policy(NON_ROOT)), NOW)
    assert not verdict.allowed
    assert verdict.errors


def test_messages_come_from_the_expression_where_it_gives_one() -> None:
    for value, expected in (
        ("  told  ", "told"),
        ("", "rule is not met"),
        ("two\nlines", "rule is not met"),
        (5, "rule is not met"),
        ("x" * 5121, "rule is not met"),
    ):
        made = validation(lambda _: False, message_program=lambda _, v=value: v)
        assert evaluate(request(pod()), snapshot(policy(made)), NOW).violations[0].message == expected
    made = validation(lambda _: False, message_program=fails)
    assert evaluate(request(pod()), snapshot(policy(made)), NOW).violations[0].message == "rule is not met"


def test_variables_are_computed_once_and_only_when_read() -> None:
    counted: list[str] = []

    def count(activation: Any) -> int:
        counted.append("x")
        return 3

    def reads(activation: Any) -> bool:
        return bool(activation.variable("x") == 3)

    made = policy(
        validation(reads, "a"),
        validation(reads, "b"),
        variables={"x": count, "unread": lambda _: counted.append("y")},
    )
    assert evaluate(request(pod()), snapshot(made), NOW).allowed
    assert counted == ["x"]


CONFIG = {
    "apiVersion": "v1",
    "kind": "ConfigMap",
    "metadata": {"name": "limits", "namespace": "shop", "labels": {"for": "pods"}},
    "data": {"max": "3"},
}


def source(**fields: Any) -> ParamSource:
    given = {"name": "limits", "selector": None, "namespace": "", "required": True, **fields}
    return ParamSource(group="", version="v1", kind="ConfigMap", **given)


@pytest.mark.parametrize(
    ("fields", "params", "outcome"),
    [
        ({}, [CONFIG], "3"),
        ({"namespace": "other"}, [CONFIG], "error"),
        ({}, [], "error"),
        ({"required": False}, [], "not judged"),
        ({"name": "", "selector": Selector.parse({"matchLabels": {"for": "pods"}})}, [CONFIG], "3"),
        ({"name": "", "selector": Selector.parse({"matchLabels": {"for": "none"}})}, [CONFIG], "error"),
    ],
)
def test_params_come_from_the_objects_that_the_policy_names(fields: Any, params: Any, outcome: str) -> None:
    seen: list[str] = []
    made = policy(
        validation(lambda a: seen.append(a.params["data"]["max"]) or True), param_source=source(**fields)
    )
    verdict = evaluate(request(pod()), snapshot(made, params=tuple(params)), NOW)
    assert ("error" if verdict.errors else seen[0] if seen else "not judged") == outcome


def test_each_parameter_is_judged_by_itself() -> None:
    second = copy.deepcopy(CONFIG)
    second["metadata"]["name"] = "more"
    second["data"] = {"max": "0"}
    made = policy(
        validation(lambda a: a.params["data"]["max"] != "0"),
        param_source=source(name="", selector=Selector()),
    )
    assert not evaluate(request(pod()), snapshot(made, params=(CONFIG, second)), NOW).allowed


def with_image(obj: dict[str, Any], image: str) -> dict[str, Any]:
    changed = copy.deepcopy(obj)
    changed["spec"]["containers"][0]["image"] = image
    return changed


def test_an_update_that_adds_no_violation_passes() -> None:
    old = pod(container())
    labelled = copy.deepcopy(old)
    labelled["metadata"]["labels"] = {"a": "b"}
    snap = snapshot(policy(NON_ROOT))
    verdict = evaluate(request(labelled, old), snap, NOW)
    assert verdict.allowed
    assert len(verdict.existing) == 1
    assert not evaluate(request(with_image(old, "other:1"), old), snap, NOW).allowed
    second = copy.deepcopy(old)
    second["spec"]["containers"].append(container("new"))
    verdict = evaluate(request(second, old), snap, NOW)
    assert [violation.container for violation in verdict.violations] == ["new"]
    assert not evaluate(request(labelled), snap, NOW).allowed
    assert not evaluate(request(labelled, old), snapshot(policy(NON_ROOT, ratchet=False)), NOW).allowed


def test_a_violation_without_container_is_existing_while_what_it_points_at_stays() -> None:
    old = workload()
    scaled = copy.deepcopy(old)
    scaled["spec"]["replicas"] = 5
    templates = snapshot(policy(NEVER, pod_templates=True))
    assert evaluate(request(scaled, old), templates, NOW).allowed
    changed = copy.deepcopy(old)
    changed["spec"]["template"]["metadata"]["labels"]["new"] = "label"
    assert not evaluate(request(changed, old), templates, NOW).allowed
    field = snapshot(policy(validation(lambda _: False, field_path="spec.hostNetwork")))
    before = pod()
    before["spec"]["hostNetwork"] = True
    assert evaluate(request(with_image(before, "x:2"), before), field, NOW).allowed
    assert not evaluate(request(before, pod()), field, NOW).allowed
    whole = snapshot(policy(NEVER))
    assert not evaluate(request(with_image(before, "x:2"), before), whole, NOW).allowed


def test_an_object_that_is_nested_too_deeply_is_an_error_of_the_policy() -> None:
    def nested() -> dict[str, Any]:
        deep: dict[str, Any] = {}
        for _ in range(5000):
            deep = {"a": deep}
        return deep

    old, new = pod(), pod(labels={"a": "b"})
    old["spec"]["deep"], new["spec"]["deep"] = nested(), nested()

    def depth(value: Any) -> int:
        return 1 + depth(value["a"]) if value else 0

    def descends(activation: Any) -> bool:
        return depth(activation.object["spec"]["deep"]) < 10

    verdict = evaluate(request(new, old), snapshot(policy(validation(descends)), policy(NEVER)), NOW)
    assert "nested too deeply" in verdict.errors[0].message
    assert [violation.validation for violation in verdict.violations] == ["never"]


def test_a_rule_about_the_change_itself_is_never_existing() -> None:
    immutable = validation(lambda a: a.oldObject is None or a.object["spec"] == a.oldObject["spec"])
    old = pod()
    assert not evaluate(request(with_image(old, "x:2"), old), snapshot(policy(immutable)), NOW).allowed


def test_a_spent_budget_fails_that_policy_and_keeps_what_was_found() -> None:
    def loops(activation: Any) -> bool:
        while True:
            activation.budget.left -= 1
            if activation.budget.left < 0:
                activation.budget.spend()

    snap = snapshot(
        policy(NEVER, name="a"), policy(validation(loops), name="b", fail=False), policy(NEVER, name="c")
    )
    verdict = evaluate(request(pod()), snap, NOW, budget=Budget(50_000))
    assert [violation.policy.name for violation in verdict.violations] == ["a", "c"]
    assert "took more than 50000 steps" in verdict.errors[0].message


def test_a_passed_deadline_fails_every_policy_not_finished_under_its_own_failure_policy() -> None:
    late = iter([False, True, True])
    snap = snapshot(policy(NEVER, name="a"), policy(NEVER, name="b"), policy(NEVER, name="c", fail=False))
    verdict = evaluate(request(pod()), snap, NOW, budget=Budget(expired=lambda: next(late)))
    assert [violation.policy.name for violation in verdict.violations] == ["a"]
    assert [(error.policy.name, bool(error.actions)) for error in verdict.errors] == [
        ("b", True),
        ("c", False),
    ]


def test_a_policy_that_takes_its_time_leaves_the_others_theirs() -> None:
    taken = [0.0]

    def burns(activation: Any) -> bool:
        while True:
            taken[0] += 0.02
            activation.budget.left = -1
            activation.budget.spend()

    snap = snapshot(
        policy(validation(burns), name="a", fail=False),
        policy(NEVER, name="b"),
        policy(validation(burns), name="c"),
        policy(NEVER, name="d"),
    )
    budget = Budget(10**9, taken=lambda: taken[0], seconds=0.25)
    verdict = evaluate(request(pod()), snap, NOW, budget=budget)
    assert [violation.policy.name for violation in verdict.violations] == ["b", "d"]
    assert [(error.policy.name, bool(error.actions)) for error in verdict.errors] == [
        ("a", False),
        ("c", True),
    ]
    assert "took longer than one policy may take" in verdict.errors[0].message
    assert taken[0] < 0.25
    assert budget.seconds_left() > 0


def test_a_budget_looks_at_the_time_at_once_when_it_is_told_to() -> None:
    late = [False]
    budget = Budget(expired=lambda: late[0])
    budget.refill()
    budget.left -= 1
    budget.look()
    budget.look()
    budget.left -= 1
    assert budget.left < 0, "a program looks as soon as it takes a step"
    budget.spend()
    for _ in range(2):
        budget.left -= 499_000
        budget.spend()
    late[0] = True
    budget.look()
    with pytest.raises(BudgetExceeded, match="deadline"):
        budget.spend()
    late[0] = False
    budget.look()
    budget.left -= 3_000
    with pytest.raises(BudgetExceeded, match="steps"):
        budget.spend()


def test_a_policy_without_credit_takes_no_more_time_and_others_are_judged() -> None:
    taken = [0.0]
    asked: list[tuple[str, bool]] = []

    class Accounts:
        def goes_on(self, policy: PolicyRef, *, again: bool) -> bool:
            asked.append((policy.name, again))
            return policy.name != "b" or not again

    def slow(activation: Any) -> bool:
        for _ in range(4):
            taken[0] += 0.01
            activation.budget.left = -1
            activation.budget.spend()
        return True

    snap = snapshot(*[policy(validation(slow), name=name) for name in "abc"], policy(NEVER, name="d"))
    budget = Budget(10**9, taken=lambda: taken[0], seconds=0.25, ledger=Accounts())
    verdict = evaluate(request(pod()), snap, NOW, budget=budget)
    assert [(error.policy.name, error.message) for error in verdict.errors] == [
        ("b", "validations[rule]: was slow so often lately that it may take no more time for now")
    ]
    assert [violation.policy.name for violation in verdict.violations] == ["d"]
    goes_on = [False, True, True, True]
    assert asked == [("a", again) for again in goes_on] + [("b", False), ("b", True)] + [
        ("c", again) for again in goes_on
    ]


def test_time_that_is_used_up_fails_the_policies_that_are_left() -> None:
    taken = iter([0.0, 0.1, 0.3, 0.3, 0.3])

    def slow(activation: Any) -> bool:
        activation.budget.left = 0
        return True

    snap = snapshot(*[policy(validation(slow), name=name) for name in "abc"])
    verdict = evaluate(request(pod()), snap, NOW, budget=Budget(taken=lambda: next(taken), seconds=0.25))
    assert [(error.policy.name, error.message) for error in verdict.errors] == [
        ("c", "other policies took the time that this request may take")
    ]
    assert verdict.allowed is False


def test_the_authorizer_is_asked_through_the_verdict() -> None:
    check = AuthorizerCheck(verb="get", resource="pods")

    def program(activation: Any) -> bool:
        return bool(activation.authorizer(check).allowed)

    made = policy(validation(program), make_authorizer=lambda ask, _: ask)
    req = request(pod())
    first = evaluate(req, snapshot(made), NOW, decisions={})
    assert first.lacking == (DecisionLack(check),)
    assert not first.allowed
    assert evaluate(req, snapshot(made), NOW, decisions={check: AuthorizerDecision(True)}).allowed
    offline = evaluate(req, snapshot(made), NOW)
    assert not offline.lacking
    assert "nobody to ask offline" in offline.errors[0].message


def test_the_answer_on_the_wire() -> None:
    made = policy(NON_ROOT, name="pod-run-as-non-root")
    verdict = evaluate(request(pod()), snapshot(made), NOW)
    answer = response("0b8e9f2a", verdict)["response"]
    assert answer["status"]["code"] == 403
    assert answer["status"]["message"] == (
        "pod-run-as-non-root/run-as-non-root (container app): run-as-non-root is not met "
        "[spec.containers[0].securityContext.runAsNonRoot]"
    )
    assert answer["status"]["details"]["causes"][0]["field"].startswith("spec.containers[0]")
    assert answer["auditAnnotations"]["denied-by"] == "pod-run-as-non-root"
    assert "patch" not in answer
    allowed = response("u", evaluate(request(pod()), snapshot(), NOW))
    assert allowed["response"] == {"uid": "u", "allowed": True}


def test_warnings_fit_what_the_api_server_passes_on() -> None:
    many = within_budget(tuple(f"{number} " + "ü" * 300 for number in range(50)))
    assert all(len(text.encode()) <= 256 for text in many)
    assert sum(len(text.encode()) for text in many) <= 4096
    assert many[-1].endswith("more warnings")
    assert within_budget(("one\ntwo",)) == ["one two"]


@pytest.mark.parametrize(
    "broken",
    [
        None,
        [],
        "text",
        {},
        {"apiVersion": "admission.k8s.io/v1beta1", "kind": "AdmissionReview", "request": {}},
        {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview"},
        {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": []},
        review(pod(), uid=""),
        review(pod(), uid=5),
        review(pod(), operation="PATCH"),
        review(pod(), object=[]),
        review(pod(), object=None),
        review(pod(), kind="Pod"),
        review(pod(), resource={"resource": 5}),
        review(pod(), resource={}),
        review(pod(), userInfo=[]),
        review(pod(), userInfo={"groups": 3}),
        review(pod(), namespace=3),
    ],
)
def test_what_is_no_admission_review_is_refused(broken: Any) -> None:
    with pytest.raises(ReviewError):
        AdmissionRequest.parse(broken)


def test_delete_and_connect_see_what_kubernetes_gives_them() -> None:
    seen: list[Any] = []
    made = policy(validation(lambda a: seen.append((a.object, a.oldObject)) or True))
    evaluate(request(None, pod()), snapshot(made), NOW)
    assert seen[0][0] is None
    assert seen[0][1]["kind"] == "Pod"


def test_audit_annotations_are_written_for_what_was_judged() -> None:
    long = "a-very-long-policy-name-that-goes-on-and-on-and-on-for-ever-and-ever"
    notes = (NamedProgram("seen", lambda _: "yes"), NamedProgram("none", lambda _: None))
    verdict = evaluate(request(pod()), snapshot(policy(name=long, audit_annotations=notes)), NOW)
    (key,) = (key for key in verdict.audit_annotations if key != "revision")
    assert key.endswith(".seen")
    assert len(key) <= 63
    wrong = evaluate(
        request(pod()), snapshot(policy(audit_annotations=(NamedProgram("n", lambda _: 5),))), NOW
    )
    assert not wrong.allowed


@pytest.mark.parametrize("path", ["spec.volumes[*].hostPath", "spec.volumes.hostPath", "spec.hostNetwork.on"])
def test_a_field_path_that_leads_nowhere_compares_the_whole_object(path: str) -> None:
    snap = snapshot(policy(validation(lambda _: False, field_path=path)))
    old = pod(container())
    old["spec"].update(volumes=[{"name": "a", "hostPath": {"path": "/a"}}], hostNetwork=True)
    labelled = copy.deepcopy(old)
    labelled["metadata"]["labels"] = {"a": "b"}
    assert evaluate(request(labelled, old), snap, NOW).existing
    changed = copy.deepcopy(old)
    changed["spec"]["volumes"][0]["hostPath"]["path"] = "/etc"
    assert not evaluate(request(changed, old), snap, NOW).allowed


def test_an_update_that_brings_an_object_under_a_policy_is_judged_as_new() -> None:
    free, plain = pod(labels={"free": "yes"}), pod()

    def not_free(activation: Any) -> bool:
        return "free" not in (activation.object["metadata"].get("labels") or {})

    conditions = policy(NON_ROOT, match_conditions=(NamedProgram("not-free", not_free),))
    assert evaluate(request(free), snapshot(conditions), NOW).allowed
    assert not evaluate(request(plain, free), snapshot(conditions), NOW).allowed
    assert evaluate(request(plain, plain), snapshot(conditions), NOW).allowed
    selected = policy(NON_ROOT, object_selector=Selector.parse({"matchLabels": {"guard": "on"}}))
    guarded = pod(labels={"guard": "on"})
    assert not evaluate(request(guarded, plain), snapshot(selected), NOW).allowed
    assert evaluate(request(guarded, guarded), snapshot(selected), NOW).allowed
    assert evaluate(request(plain, guarded), snapshot(selected), NOW).allowed


def test_a_container_is_unchanged_as_json_not_as_python() -> None:
    old, new = pod(container(tty=True)), pod(container(tty=1))
    assert not evaluate(request(new, old), snapshot(policy(NON_ROOT)), NOW).allowed


def test_a_pod_whose_spec_is_no_map_is_an_error_of_rules_about_containers() -> None:
    broken = {**pod(), "spec": [{"containers": []}]}
    assert evaluate(request(broken), snapshot(policy(NON_ROOT)), NOW).errors


def test_a_parameter_is_taken_in_the_version_that_the_policy_names() -> None:
    def made(version: str) -> Any:
        seen = validation(lambda a: a.params["apiVersion"] == f"x.dev/{version}")
        return policy(
            seen,
            name=version,
            param_source=ParamSource("x.dev", version, "Limit", "limits", None, "", required=True),
        )

    params = tuple({**CONFIG, "apiVersion": f"x.dev/{v}", "kind": "Limit"} for v in ("v1", "v2"))
    assert evaluate(request(pod()), snapshot(made("v1"), made("v2"), params=params), NOW).allowed
    assert evaluate(request(pod()), snapshot(made("v1"), made("v2"), params=params[::-1]), NOW).allowed
    assert not evaluate(request(pod()), snapshot(made("v3"), params=params), NOW).errors


@pytest.mark.parametrize("selector", [None, Selector()], ids=["name", "selector"])
def test_a_namespaced_parameter_of_a_cluster_scoped_object_is_an_error(selector: Any) -> None:
    rules = policy(NEVER).rules[0]
    made = policy(
        NEVER,
        rules=(type(rules)(rules.groups, rules.versions, frozenset({"namespaces"}), rules.operations),),
        param_source=source(required=False, selector=selector, name="" if selector is not None else "limits"),
    )
    assert not evaluate(request(namespace()), snapshot(made, params=(CONFIG,)), NOW).allowed
    elsewhere = source(namespace="shop", required=False)
    placed = policy(
        validation(lambda a: a.params["data"]["max"] == "3"), rules=made.rules, param_source=elsewhere
    )
    assert evaluate(request(namespace()), snapshot(placed, params=(CONFIG,)), NOW).allowed


def test_audit_annotations_of_several_parameters_stand_side_by_side() -> None:
    second = {**copy.deepcopy(CONFIG), "data": {"max": "5"}}
    second["metadata"]["name"] = "more"
    third = {**copy.deepcopy(CONFIG), "metadata": {**CONFIG["metadata"], "name": "third"}}
    made = policy(
        audit_annotations=(NamedProgram("max", lambda a: a.params["data"]["max"]),),
        param_source=source(name="", selector=Selector()),
    )
    verdict = evaluate(request(pod()), snapshot(made, params=(CONFIG, second, third)), NOW)
    assert verdict.audit_annotations["policy.max"] == "3, 5"


def test_a_policy_of_a_namespace_writes_no_annotation_of_a_cluster_policy() -> None:
    for name in ("policy", "a-very-long-policy-name-that-goes-on-and-on-and-on-for-ever-and-ever"):
        notes = [
            policy(name=name, audit_annotations=(NamedProgram("k", lambda _: "true"),)),
            policy(name=name, namespace="shop", audit_annotations=(NamedProgram("k", lambda _: "forged"),)),
        ]
        notes_of = evaluate(request(pod()), snapshot(*notes), NOW).annotations
        assert sorted(notes_of.values()) == ["forged", "true"]
        assert all(len(key) <= 63 and key[0].isalnum() and key[-1].isalnum() for key in notes_of)


def test_one_audit_annotation_that_fails_hides_no_other() -> None:
    notes = (NamedProgram("broken", fails), NamedProgram("fine", lambda _: "yes"))
    verdict = evaluate(request(pod()), snapshot(policy(audit_annotations=notes)), NOW)
    assert verdict.annotations == {"policy.fine": "yes"}
    assert "auditAnnotations[broken]: no such key: spec" in verdict.errors[0].message


def test_a_message_is_measured_in_bytes() -> None:
    made = validation(lambda _: False, message_program=lambda _: "ü" * 3000)
    assert evaluate(request(pod()), snapshot(policy(made)), NOW).violations[0].message == "rule is not met"


def test_a_denial_of_thousands_of_containers_stays_small() -> None:
    obj = pod(*(container(f"c{number}") for number in range(3000)))
    answer = response("u", evaluate(request(obj), snapshot(policy(NON_ROOT)), NOW))["response"]
    assert len(answer["status"]["message"].encode()) <= 32768
    assert answer["status"]["message"].endswith("…")

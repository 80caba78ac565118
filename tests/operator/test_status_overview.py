"""What `tidewaiter status` makes of what it could read."""

from __future__ import annotations

import base64
import copy
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.core.builders import APPETITE, acceptance, approval
from webhook.adapters import snapshots
from webhook.core.acceptance import digest_of
from webhook.core.appetite import parse_appetite
from webhook.operator import replicas
from webhook.operator.authority import new_authority
from webhook.operator.impersonators import impersonators
from webhook.operator.status_lines import Overview
from webhook.operator.status_overview import overview
from webhook.operator.status_reading import Found
from webhook.operator.status_text import lines
from webhook.operator.webhooks import Endpoint, Registration, desired

NOW = datetime(2026, 11, 24, tzinfo=UTC)
NAMESPACE = "tidewaiter-system"
SELF = f"system:serviceaccount:{NAMESPACE}:tidewaiter"
SETTINGS = {
    "cluster": "test",
    "maxAction": "Deny",
    "exemptNamespaces": ["kube-node-lease", "kube-system", NAMESPACE],
    "exemptUsers": [],
    "failurePolicy": "Fail",
}
AUTHORITY = new_authority(datetime.now(UTC)).certificate


def policy(name: str = "one", expression: str = "true", enforced: bool = True, **spec: Any) -> dict[str, Any]:
    rule = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}
    condition = {"type": "Enforced", "status": "True" if enforced else "False", "reason": "NoWorker"}
    return {
        "apiVersion": "tidewaiter.dev/v1alpha1",
        "kind": "ClusterPolicy",
        "metadata": {"name": name, "generation": 1},
        "spec": {
            "matchConstraints": {"resourceRules": [rule]},
            "validations": [{"name": "check", "expression": expression}],
            **spec,
        },
        "status": {"observedGeneration": 1, "conditions": [condition]},
    }


def lease(
    name: str = "a", leader: bool = True, revision: str = "r1", age: float = 3.0, **said: Any
) -> dict[str, Any]:
    report = {
        "version": "0.1.0",
        "leader": leader,
        "revision": revision,
        "workers": [{"revision": revision, "certificate": "c", "error": ""}],
        "clockSkewSeconds": 0.0,
        "problems": [],
        "settings": SETTINGS,
    } | said
    renewed = (NOW - timedelta(seconds=age)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    return {
        "metadata": {
            "name": f"{replicas.PREFIX}{name}",
            "annotations": {replicas.ANNOTATION: json.dumps(report)},
        },
        "spec": {"renewTime": renewed, "leaseDurationSeconds": 30},
    }


def configuration(*policies: dict[str, Any], **changes: Any) -> dict[str, Any]:
    registration = Registration(
        "tidewaiter",
        Endpoint(AUTHORITY, service="tidewaiter", namespace=NAMESPACE),
        exempt_namespaces=frozenset(SETTINGS["exemptNamespaces"]),
        own_users=(SELF,),
    )
    made = desired(snapshots.build(policies).policies, registration)
    made["metadata"]["managedFields"] = [{"manager": "tidewaiter"}]
    return made | changes


def found(*policies: dict[str, Any], **changes: Any) -> Found:
    fields: dict[str, Any] = {
        "at": NOW.timestamp(),
        "objects": {
            "Lease": [lease()],
            "ClusterPolicy": list(policies),
            "Policy": [],
            "RiskAppetite": [],
            "ClusterRole": [],
            "ClusterRoleBinding": [],
        },
        "configuration": configuration(*policies),
    }
    fields["objects"] |= changes.pop("objects", {})
    return Found(**fields | changes)


def told(what: Found) -> Overview:
    return overview(what, NAMESPACE)


def test_all_is_well() -> None:
    made = told(found(policy()))
    assert (made.problems, made.notes, made.exit_status) == ([], [], 0)
    assert [line.enforced for line in made.policies] == [True]
    assert next(lines(made, lambda _, text: text)) == "all is well"
    json.dumps(made.document())


@pytest.mark.parametrize(
    ("what", "problem"),
    [
        (found(objects={"Lease": []}), "no replica of the control plane has spoken lately"),
        (
            found(objects={"Lease": [lease(), lease("b", False, age=99)]}),
            "replica b has been silent for 99 s",
        ),
        (found(objects={"Lease": [lease(leader=False)]}), "0 replicas lead"),
        (found(objects={"Lease": [lease(), lease("b")]}), "2 replicas lead: a, b"),
        (found(objects={"Lease": [lease(workers=[])]}), "replica a has no worker that judges"),
        (found(objects={"Lease": [lease(), lease("b", False, "r2")]}), "published different revisions"),
        (
            found(objects={"Lease": [lease(workers=[{"revision": "r0"}, {"revision": "r1"}])]}),
            "1 of 2 workers judge by another revision",
        ),
        (found(objects={"Lease": [lease(problems=["the disk is full"])]}), "replica a: the disk is full"),
        (found(objects={"Lease": [lease(clockSkewSeconds=-90)]}), "clock differs by -90 s"),
        (
            found(objects={"Lease": [lease(), lease("b", False, settings={})]}),
            "the replicas were told different settings",
        ),
        (found(objects={"Lease": [lease(certificateExpires=1.0)]}), "its certificate has ended 1970"),
        (found(configuration=None), "there is no webhook configuration"),
        (found(missing=("Policy",)), "the cluster has no kinds Policy"),
        (found(policy(expression="object.")), "ClusterPolicy one is not enforced: spec.validations[0]"),
        (found(policy(enforced=False)), "ClusterPolicy one is not enforced: NoWorker"),
        (found({**policy(), "status": {}}), "no control plane has looked at this generation yet"),
    ],
)
def test_what_is_wrong_is_said(what: Found, problem: str) -> None:
    made = told(what)
    assert any(problem in each for each in made.problems), made.problems
    assert made.exit_status == 1
    shown = list(lines(made, lambda _, text: text))
    assert shown[0].split()[1].startswith("problem")
    assert shown[2] == "Problems"


def test_who_and_what_is_exempt_is_shown() -> None:
    exempt = {"exemptUsers": ["velero"], "exemptNamespaces": ["kube-system", "backup"]}
    made = told(found(objects={"Lease": [lease(settings=SETTINGS | exempt)]}))
    assert made.document()["settings"].items() >= exempt.items()
    shown = {" ".join(line.split()) for line in lines(made, lambda _, text: text)}
    assert {"exempt namespaces kube-system, backup", "exempt users velero"} <= shown


@pytest.mark.parametrize("skew", [0.0, 10.0])
def test_replicas_publish_the_same_whatever_their_clocks_say(skew: float) -> None:
    other, behind = (lease("b", False, revision, clockSkewSeconds=skew) for revision in ("r1", "r2"))
    assert told(found(objects={"Lease": [lease(), other]})).problems == []
    (problem,) = told(found(objects={"Lease": [lease(), behind]})).problems
    assert "different revisions" in problem


@pytest.mark.parametrize(
    "junk",
    ["", "{", "[]", '{"workers": 1, "problems": 2, "settings": 3}', '{"settings": {"exemptUsers": 1}}'],
)
def test_a_lease_that_says_nonsense_is_no_crash(junk: str) -> None:
    broken = lease()
    broken["metadata"]["annotations"] = {replicas.ANNOTATION: junk}
    assert told(found(objects={"Lease": [broken]})).exit_status == 1


def _edited(change: str) -> dict[str, Any]:
    live = copy.deepcopy(configuration(policy()))
    entry = live["webhooks"][0]
    if change == "condition":
        entry["matchConditions"].append({"name": "never", "expression": "false"})
    elif change == "self":
        for condition in entry["matchConditions"]:
            if condition["name"] == "not-self":
                condition["expression"] = (
                    '!(request.userInfo.username in ["system:serviceaccount:shop:mallory"])'
                )
    elif change == "rules":
        entry["rules"] = []
    elif change == "failurePolicy":
        entry["failurePolicy"] = "Ignore"
    elif change == "namespaces":
        entry["namespaceSelector"]["matchExpressions"][0]["values"].append("shop")
    elif change == "bundle":
        other = new_authority(datetime.now(UTC)).certificate
        entry["clientConfig"]["caBundle"] = base64.b64encode(other).decode()
    elif change == "garbage":
        entry["clientConfig"]["caBundle"] = "???"
    elif change == "entry":
        del live["webhooks"][0]
    return live


@pytest.mark.parametrize(
    "change",
    ["condition", "self", "rules", "failurePolicy", "namespaces", "bundle", "garbage", "entry"],
)
def test_a_webhook_configuration_that_somebody_edited_is_a_problem(change: str) -> None:
    made = told(found(policy(), configuration=_edited(change)))
    assert any("webhook configuration" in problem for problem in made.problems), made.problems


def test_what_a_cloud_adds_to_a_webhook_configuration_is_none() -> None:
    live = configuration(policy())
    for entry in live["webhooks"]:
        expressions = entry["namespaceSelector"].setdefault("matchExpressions", [])
        expressions.append({"key": "control-plane", "operator": "DoesNotExist"})
    live["metadata"]["managedFields"].append({"manager": "admissionsenforcer"})
    made = told(found(policy(), configuration=live))
    assert made.problems == []
    assert made.notes == ["the webhook configuration was also written by admissionsenforcer"]


def test_actions_are_shown_after_the_cap() -> None:
    capped = lease(settings=SETTINGS | {"maxAction": "Warn"})
    made = told(found(policy(), policy("two", validationActions=["Audit"]), objects={"Lease": [capped]}))
    assert [(line.actions, line.capped) for line in made.policies] == [(("Warn",), True), (("Audit",), False)]
    assert any("no policy does more than Warn" in note for note in made.notes)
    assert made.exit_status == 0


@pytest.mark.parametrize(
    ("kind", "status"),
    [("Lease", 2), ("ValidatingWebhookConfiguration", 2), ("ClusterPolicy", 2), ("ClusterRole", 0)],
)
def test_what_could_not_be_read_is_said(kind: str, status: int) -> None:
    what = found(policy())
    objects = {name: items for name, items in what.objects.items() if name != kind}
    live = None if kind == "ValidatingWebhookConfiguration" else what.configuration
    made = told(Found(what.at, objects, live, {kind: "forbidden"}))
    assert made.unknown == [f"{kind}: forbidden"]
    assert made.exit_status == status


def test_acceptances_are_weighed_by_what_the_workers_know_of_the_guard_and_of_revocations() -> None:
    asked = acceptance(policies=[{"kind": "ClusterPolicy", "name": "one"}])
    given = approval(asked)
    for each, created in ((asked, "2026-11-01T00:00:00Z"), (given, "2026-11-02T00:00:00Z")):
        each["metadata"]["creationTimestamp"] = created
    objects = {"RiskAcceptance": [asked], "RiskApproval": [given], "RiskAppetite": [APPETITE]}

    def phase(since: str = "", revoked: str = "") -> str:
        revocations = ((digest_of(asked), revoked),) if revoked else ()
        leases = [lease(guardedSince=since)]
        made = told(found(policy(), objects={**objects, "Lease": leases}, revocations=revocations))
        (line,) = made.acceptances
        return line.phase

    assert phase() == "Active"
    assert phase(since="2026-11-01T12:00:00Z") == "Pending"
    assert phase(revoked="2026-11-03T00:00:00Z") == "Pending"


def test_nothing_hostile_reaches_the_terminal() -> None:
    broken = policy("one", "object.\x1b[2J", enforced=False)
    broken["status"]["conditions"][0]["message"] = "\x1b[31mred"
    shown = "\n".join(lines(told(found(broken)), lambda _, text: text))
    assert "\x1b" not in shown


class TestImpersonators:
    APPETITE = parse_appetite(
        {
            "spec": {
                "rules": [
                    {"severities": ["low"], "approvers": {"groups": ["owners"], "users": ["jane"]}},
                ]
            }
        }
    )

    @pytest.mark.parametrize(
        ("rule", "users", "groups"),
        [
            ({"resources": ["users"]}, ("*",), ()),
            ({"resources": ["users", "groups"], "resourceNames": ["jane", "joe"]}, ("jane",), ()),
            ({"resources": ["groups"], "resourceNames": ["owners"]}, (), ("owners",)),
            ({"resources": ["*"], "verbs": ["*"], "apiGroups": ["*"]}, ("*",), ("*",)),
            (
                {
                    "resources": ["users"],
                    "verbs": ["impersonate:user-info"],
                    "apiGroups": ["authentication.k8s.io"],
                },
                ("*",),
                (),
            ),
        ],
    )
    def test_who_may(self, rule: dict[str, Any], users: tuple[str, ...], groups: tuple[str, ...]) -> None:
        (one,) = impersonators([_role(rule)], [_binding()], self.APPETITE)
        assert (one.subject, one.users, one.groups) == ("ServiceAccount ci/bot", users, groups)

    @pytest.mark.parametrize(
        "rule",
        [
            {"resources": ["users"], "verbs": ["get"]},
            {"resources": ["users"], "resourceNames": ["joe"]},
            {"resources": ["users"], "apiGroups": ["apps"]},
            {"resources": ["serviceaccounts"]},
        ],
    )
    def test_who_may_not(self, rule: dict[str, Any]) -> None:
        assert impersonators([_role(rule)], [_binding()], self.APPETITE) == []


def _role(rule: dict[str, Any]) -> dict[str, Any]:
    return {"metadata": {"name": "r"}, "rules": [{"apiGroups": [""], "verbs": ["impersonate"]} | rule]}


def _binding() -> dict[str, Any]:
    return {
        "metadata": {"name": "b"},
        "roleRef": {"kind": "ClusterRole", "name": "r"},
        "subjects": [{"kind": "ServiceAccount", "namespace": "ci", "name": "bot"}],
    }

"""One table of manifests, judged by the strict reading offline and by a real API server with the CRDs: equally."""

# ruff: noqa: E501 - one case a line, so that the table can be read

from __future__ import annotations

import copy
import json
import random
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from webhook.adapters.crds import definition
from webhook.adapters.schema import KINDS
from webhook.adapters.strict import validate

CRDS = Path(__file__).parents[2] / "charts" / "tidewaiter" / "crds"
DIGEST = "sha256:" + "0a" * 32
GONE: Any = object()

POLICY = {
    "matchConstraints": {
        "resourceRules": [
            {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}
        ]
    },
    "validations": [{"name": "a", "expression": "true"}],
}
WHOLE_POLICY = {
    "title": "Containers must run as non-root",
    "description": "Why.",
    "remediation": "What.",
    "severity": "critical",
    "category": "Pod security",
    "standards": [{"name": "PSS", "version": "1.34", "control": "restricted/Running as Non-root"}],
    "validationActions": ["Deny", "Audit"],
    "validationActionOverrides": [
        {"namespaceSelector": {"matchLabels": {"stage": "dev"}}, "validationActions": ["Warn"]}
    ],
    "matchConstraints": {
        "resourceRules": [
            {
                "apiGroups": ["", "apps"],
                "apiVersions": ["*"],
                "operations": ["CREATE", "UPDATE", "DELETE", "CONNECT"],
                "resources": ["pods", "pods/exec", "*/scale", "*/*"],
                "resourceNames": ["a"],
                "scope": "Namespaced",
            }
        ],
        "excludeResourceRules": [
            {"apiGroups": ["*"], "apiVersions": ["*"], "operations": ["*"], "resources": ["*"], "scope": "*"}
        ],
        "namespaceSelector": {
            "matchExpressions": [{"key": "kubernetes.io/metadata.name", "operator": "NotIn", "values": ["a"]}]
        },
        "objectSelector": {"matchExpressions": [{"key": "a/b.c", "operator": "Exists"}]},
        "matchPolicy": "Exact",
    },
    "matchConditions": [{"name": "a.example.com/b", "expression": "true"}],
    "podTemplates": True,
    "paramKind": {"apiVersion": "v1", "kind": "ConfigMap"},
    "paramRef": {"name": "a", "namespace": "b", "parameterNotFoundAction": "Deny"},
    "variables": [{"name": "a_1", "expression": "1"}, {"name": "b", "expression": "variables.a_1"}],
    "validations": [
        {
            "name": "a",
            "expression": "true",
            "message": "no",
            "messageExpression": "'no'",
            "reason": "Forbidden",
            "forEach": "containers",
            "fieldPath": "securityContext.runAsNonRoot",
        },
        {"name": "b", "expression": "true"},
    ],
    "auditAnnotations": [{"key": "a", "valueExpression": "'b'"}],
    "failurePolicy": "Ignore",
    "existingViolations": "Deny",
    "background": False,
    "riskAcceptance": {
        "allowed": True,
        "maxDuration": "90d",
        "approvals": 1,
        "requireTicket": False,
        "requireCompensatingControls": True,
    },
}
ACCEPTANCE = {
    "policies": [{"kind": "ClusterPolicy", "name": "a"}],
    "scope": {"kinds": [{"group": "apps", "kind": "Deployment"}], "names": ["billing-*"]},
    "justification": "It must.",
    "riskOwner": "jane.doe@example.com",
    "requester": "john.roe@example.com",
    "validFrom": "2026-12-01T00:00:00Z",
    "validUntil": "2027-02-28T00:00:00Z",
}
WHOLE_ACCEPTANCE = {
    **ACCEPTANCE,
    "title": "Legacy billing",
    "reason": "Waiver",
    "policies": [{"kind": "ClusterPolicy", "name": "a", "validations": ["b", "c"]}],
    "scope": {
        "kinds": [{"group": "apps", "kind": "Deployment"}, {"kind": "Pod"}, {"group": "", "kind": "Service"}],
        "names": ["billing-*"],
        "objectSelector": {"matchLabels": {"a": "b"}},
        "containers": ["legacy"],
        "images": ["registry.example.com/billing/legacy@sha256:*"],
    },
    "clusters": ["prod"],
    "residualRisk": "high",
    "compensatingControls": [
        {"description": "egress", "policy": {"kind": "ClusterPolicy", "name": "deny-egress"}},
        {"description": "watched"},
    ],
    "remediation": {"plan": "rewrite", "due": "2027-01-31"},
    "ticket": "https://tickets.example.com/1",
    "breakGlass": True,
    "revoked": {"at": "2026-12-24T00:00:00+01:00", "by": "jane", "reason": "done"},
}
APPROVAL = {
    "riskAcceptance": "a",
    "digest": DIGEST,
    "approver": "jane.doe@example.com",
    "groups": ["risk-owners"],
    "approvedAt": "2026-11-24T09:00:00Z",
}
APPETITE = {
    "rules": [
        {
            "severities": ["info", "low", "medium"],
            "maxDuration": "180d",
            "approvals": 1,
            "approvers": {"groups": ["risk-owners"], "users": []},
            "required": ["ticket"],
        },
        {
            "severities": ["high"],
            "maxDuration": "90d",
            "approvals": 2,
            "approvers": {"groups": ["risk-owners"]},
            "routes": ["Signature"],
            "required": ["ticket", "compensatingControls"],
        },
        {"severities": ["critical"], "acceptable": False},
    ],
    "signers": [
        {
            "approver": "jane.doe@example.com",
            "groups": ["risk-owners"],
            "publicKey": "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIA== jane",
            "validFrom": "2026-01-01T00:00:00Z",
            "validUntil": "2027-01-01T00:00:00Z",
        }
    ],
    "trustedAppliers": [{"user": "system:serviceaccount:risk:applier", "namespaces": ["billing"]}],
    "people": [{"name": "Jane Doe", "users": ["jane.doe@example.com", "oidc:jdoe"]}],
    "revoked": [{"digest": DIGEST, "at": "2026-11-24T09:00:00Z", "reason": "wrong"}],
    "workloadControllers": ["system:serviceaccount:rollouts:controller"],
    "afterExpiry": "KeepRunning",
    "keepRunningFor": "30d",
    "breakGlass": {"maxDuration": "4h", "groups": ["on-call"]},
    "administrators": {"groups": ["security"]},
}
SPECS = {
    "ClusterPolicy": POLICY,
    "Policy": POLICY,
    "RiskAcceptance": ACCEPTANCE,
    "ClusterRiskAcceptance": ACCEPTANCE,
    "RiskApproval": APPROVAL,
    "ClusterRiskApproval": APPROVAL,
    "RiskAppetite": APPETITE,
}


@dataclass(frozen=True)
class Case:
    """A manifest: a valid spec with changes; what is wrong with it (nothing if `field` is empty)."""

    title: str
    kind: str
    changes: dict[str, Any]
    field: str = ""
    message: str = ""
    spec: dict[str, Any] | None = None

    def manifest(self, name: str) -> dict[str, Any]:
        obj: dict[str, Any] = {
            "apiVersion": "tidewaiter.dev/v1alpha1",
            "kind": self.kind,
            "metadata": {"name": name},
            "spec": copy.deepcopy(self.spec or SPECS[self.kind]),
        }
        for path, value in self.changes.items():
            change(obj, path, value)
        return obj


def change(obj: Any, path: str, value: Any) -> None:
    """Set the value at a path; `GONE` takes it away, a function changes it."""
    *parts, last = [int(part) if part.isdigit() else part for part in re.findall(r"[^.\[\]]+", path)]
    for part in parts:
        if isinstance(obj, dict) and part not in obj:
            obj[part] = {}
        obj = obj[part]
    if value is GONE:
        del obj[last]
    elif callable(value):
        obj[last] = value(obj[last])
    else:
        obj[last] = copy.deepcopy(value)  # the table is read again by the next test


def twice(entries: list[Any]) -> list[Any]:
    return [*entries, copy.deepcopy(entries[0])]


def bad(title: str, kind: str, path: str, value: Any, message: str, field: str = "") -> Case:
    return Case(title, kind, {path: value}, field or path, message)


# fmt: off
PARAM_REF = {"paramRef": {"name": "a", "parameterNotFoundAction": "Deny"}}
SELECTOR = "spec.matchConstraints.objectSelector"

ACCEPTED = [
    *(Case(f"the least {kind}", kind, {}) for kind in SPECS),
    Case("every field", "ClusterPolicy", {}, spec=WHOLE_POLICY),
    Case("every field", "Policy", {}, spec=WHOLE_POLICY),
    Case("every field", "RiskAcceptance", {}, spec=WHOLE_ACCEPTANCE),
    Case("every field and namespaces", "ClusterRiskAcceptance", {"spec.scope.namespaces": ["a-*"]}, spec=WHOLE_ACCEPTANCE),
    Case("an empty appetite", "RiskAppetite", {"spec": {}}),
    Case("an appetite that isn't named default", "RiskAppetite", {}),
    Case("a signature", "RiskApproval", {"spec.signature": "-----BEGIN SSH SIGNATURE-----\nAAAA\n"}),
    Case("inline params of any shape", "ClusterPolicy", {"spec.params": {"a": [1, {"b": None, "c": 1.5}]}}),
    Case("params by selector", "ClusterPolicy", {
        "spec.paramKind": {"apiVersion": "example.com/v1", "kind": "Limit"},
        "spec.paramRef": {"selector": {}, "parameterNotFoundAction": "Allow"},
    }),
    Case("only audit annotations", "ClusterPolicy", {
        "spec.validations": GONE, "spec.auditAnnotations": [{"key": "a", "valueExpression": "'b'"}],
    }),
    Case("scope by images alone", "RiskAcceptance", {"spec.scope.names": GONE, "spec.scope.images": ["a"]}),
    Case("a Policy of the own namespace", "RiskAcceptance", {"spec.policies[0].kind": "Policy"}),
    Case("other kinds of policies", "RiskAcceptance", {"spec.policies[0].kind": "K8sRequiredLabels"}),
    Case("a mixed duration", "ClusterPolicy", {"spec.riskAcceptance.maxDuration": "1d12h30m5s"}),
    Case("times with a zone and a fraction", "RiskAcceptance", {
        "spec.validFrom": "2026-12-01T00:00:00.5+01:00", "spec.validUntil": "2026-12-01T00:00:00.25Z",
    }),
]

REFUSED = [
    # policies
    bad("an unknown field", "ClusterPolicy", "spec.validationAction", ["Deny"], "did you mean validationActions?"),
    bad("an unknown field deep inside", "ClusterPolicy", "spec.validations[0].expresion", "x", "did you mean expression?"),
    bad("Deny and Warn", "ClusterPolicy", "spec.validationActions", ["Deny", "Warn"], "Deny and Warn exclude each other"),
    bad("no action", "ClusterPolicy", "spec.validationActions", [], "must not be empty"),
    bad("an action twice", "ClusterPolicy", "spec.validationActions", ["Audit", "Audit"], "given twice", "spec.validationActions[1]"),
    bad("an unknown action", "ClusterPolicy", "spec.validationActions", ["deny"], "did you mean Deny?", "spec.validationActions[0]"),
    Case("Deny and Warn in an override", "ClusterPolicy", {"spec.validationActionOverrides": [
        {"namespaceSelector": {}, "validationActions": ["Deny", "Warn"]}
    ]}, "spec.validationActionOverrides[0].validationActions", "Deny and Warn exclude each other"),
    bad("params and paramRef", "ClusterPolicy", "spec", lambda spec: {
        **spec, **PARAM_REF, "paramKind": {"apiVersion": "v1", "kind": "ConfigMap"}, "params": {},
    }, "params excludes paramKind and paramRef", "spec.params"),
    bad("paramRef alone", "ClusterPolicy", "spec", lambda spec: {**spec, **PARAM_REF}, "need each other"),
    bad("paramKind alone", "ClusterPolicy", "spec.paramKind", {"apiVersion": "v1", "kind": "ConfigMap"}, "need each other", "spec"),
    bad("params in a Secret", "ClusterPolicy", "spec", lambda spec: {
        **spec, **PARAM_REF, "paramKind": {"apiVersion": "v1", "kind": "Secret"},
    }, "no place for secrets", "spec.paramKind.kind"),
    *(
        bad(title, "ClusterPolicy", "spec", lambda spec, reference=reference: {
            **spec, "paramKind": {"apiVersion": "v1", "kind": "ConfigMap"}, "paramRef": reference,
        }, message, field)
        for title, reference, message, field in (
            ("paramRef with name and selector", {"name": "a", "selector": {}, "parameterNotFoundAction": "Deny"}, "a name or a selector", "spec.paramRef"),
            ("paramRef with neither", {"parameterNotFoundAction": "Deny"}, "a name or a selector", "spec.paramRef"),
            ("paramRef without parameterNotFoundAction", {"name": "a"}, "is missing", "spec.paramRef.parameterNotFoundAction"),
        )
    ),
    bad("no validations", "ClusterPolicy", "spec.validations", [], "needs validations or auditAnnotations", "spec"),
    bad("a validation's name twice", "ClusterPolicy", "spec.validations", twice, "given twice", "spec.validations[1]"),
    bad("a validation without name", "ClusterPolicy", "spec.validations[0].name", GONE, "is missing"),
    bad("another forEach", "ClusterPolicy", "spec.validations[0].forEach", "volumes", "none of containers"),
    bad("another reason", "ClusterPolicy", "spec.validations[0].reason", "Because", "none of"),
    bad("a blank message", "ClusterPolicy", "spec.validations[0].message", " ", "must not be blank"),
    bad("an empty expression", "ClusterPolicy", "spec.validations[0].expression", "", "must not be empty"),
    bad("a variable that is no identifier", "ClusterPolicy", "spec.variables", [{"name": "a-b", "expression": "1"}], "does not match", "spec.variables[0].name"),
    bad("a variable twice", "Policy", "spec.variables", [{"name": "a", "expression": "1"}] * 2, "given twice", "spec.variables[1]"),
    bad("65 match conditions", "ClusterPolicy", "spec.matchConditions", [{"name": f"c{i}", "expression": "true"} for i in range(65)], "more than 64"),
    bad("another severity", "ClusterPolicy", "spec.severity", "High", "did you mean high?"),
    bad("a boolean as text", "ClusterPolicy", "spec.podTemplates", "true", "must be true or false, not a text"),
    bad("a number as title", "ClusterPolicy", "spec.title", 5, "must be a text, not the number 5: quote it"),
    bad("no rules", "ClusterPolicy", "spec.matchConstraints.resourceRules", [], "must not be empty"),
    bad("a rule without operations", "ClusterPolicy", "spec.matchConstraints.resourceRules[0].operations", GONE, "is missing"),
    bad("another operation", "ClusterPolicy", "spec.matchConstraints.resourceRules[0].operations", ["PATCH"], "none of", "spec.matchConstraints.resourceRules[0].operations[0]"),
    bad("a selector with a wrong operator", "ClusterPolicy", SELECTOR, {"matchExpressions": [{"key": "a", "operator": "Is"}]}, "none of In", f"{SELECTOR}.matchExpressions[0].operator"),
    bad("In without values", "ClusterPolicy", SELECTOR, {"matchExpressions": [{"key": "a", "operator": "In"}]}, "need values", f"{SELECTOR}.matchExpressions[0]"),
    bad("Exists with values", "ClusterPolicy", SELECTOR, {"matchExpressions": [{"key": "a", "operator": "Exists", "values": ["b"]}]}, "take none", f"{SELECTOR}.matchExpressions[0]"),
    bad("a duration in weeks", "ClusterPolicy", "spec.riskAcceptance.maxDuration", "2w", "does not match"),
    bad("a duration of nothing", "ClusterPolicy", "spec.riskAcceptance.maxDuration", "0d", "longer than nothing"),
    bad("no approvals needed", "ClusterPolicy", "spec.riskAcceptance.approvals", 0, "at least 1"),
    bad("no spec", "ClusterPolicy", "spec", GONE, "is missing"),
    # acceptances
    bad("a reversed window", "RiskAcceptance", "spec.validUntil", "2026-11-30T00:00:00Z", "must be later than validFrom"),
    bad("an empty window", "ClusterRiskAcceptance", "spec.validUntil", "2026-12-01T01:00:00+01:00", "must be later than validFrom"),
    bad("a time without zone", "RiskAcceptance", "spec.validUntil", "2027-02-28T00:00:00", "no RFC 3339 time"),
    bad("a day that isn't", "RiskAcceptance", "spec.validUntil", "2027-02-30T00:00:00Z", "no RFC 3339 time"),
    bad("a list as a time", "RiskApproval", "spec.approvedAt", ["2026-11-24T09:00:00Z"], "must be a text, "),
    bad("an empty list as a time", "RiskAppetite", "spec.revoked[0].at", [], "must be a text, "),
    bad("a day as a time", "RiskAcceptance", "spec.validFrom", "2026-12-01", "no RFC 3339 time"),
    bad("no risk owner", "RiskAcceptance", "spec.riskOwner", GONE, "is missing"),
    bad("an empty risk owner", "RiskAcceptance", "spec.riskOwner", "", "must not be empty"),
    bad("a blank justification", "RiskAcceptance", "spec.justification", " \n", "must not be blank"),
    bad("a requester of the system", "RiskAcceptance", "spec.requester", "system:admin", "must not start with system:"),
    bad("no kinds", "RiskAcceptance", "spec.scope.kinds", [], "must not be empty"),
    bad("neither names nor images", "RiskAcceptance", "spec.scope.names", GONE, "names or images must be given", "spec.scope"),
    bad("empty names", "RiskAcceptance", "spec.scope.names", [], "names or images must be given", "spec.scope"),
    bad("namespaces in a RiskAcceptance", "RiskAcceptance", "spec.scope.namespaces", ["a"], "there is no such field"),
    bad("a Policy in a ClusterRiskAcceptance", "ClusterRiskAcceptance", "spec.policies[0].kind", "Policy", "can't name a Policy"),
    Case("a Policy as control there", "ClusterRiskAcceptance", {"spec.compensatingControls": [
        {"description": "a", "policy": {"kind": "Policy", "name": "b"}}
    ]}, "spec.compensatingControls[0].policy.kind", "can't name a Policy"),
    bad("no policies", "RiskAcceptance", "spec.policies", [], "must not be empty"),
    bad("another reason for it", "RiskAcceptance", "spec.reason", "Laziness", "none of Waiver"),
    bad("a due date that isn't", "RiskAcceptance", "spec.remediation", {"due": "2027-13-01"}, "does not match", "spec.remediation.due"),
    bad("a revocation without time", "RiskAcceptance", "spec.revoked", {}, "is missing", "spec.revoked.at"),
    bad("a name twice in the scope", "RiskAcceptance", "spec.scope.names", twice, "given twice", "spec.scope.names[1]"),
    # approvals
    bad("a short digest", "RiskApproval", "spec.digest", "sha256:00", "does not match"),
    bad("a digest in capitals", "ClusterRiskApproval", "spec.digest", DIGEST.upper(), "does not match"),
    bad("an approver of the system", "RiskApproval", "spec.approver", "system:serviceaccount:a:b", "must not start with system:"),
    bad("no approver", "RiskApproval", "spec.approver", GONE, "is missing"),
    bad("a group of the system", "RiskApproval", "spec.groups", ["system:masters"], "must not start with system:", "spec.groups[0]"),
    bad("another signature", "RiskApproval", "spec.signature", "-----BEGIN PGP SIGNATURE-----\n", "does not match"),
    # the appetite
    bad("a group of the system approves", "RiskAppetite", "spec.rules[0].approvers.groups", ["system:masters"], "must not start with system:", "spec.rules[0].approvers.groups[0]"),
    bad("a user of the system approves", "RiskAppetite", "spec.rules[0].approvers.users", ["system:admin"], "must not start with system:", "spec.rules[0].approvers.users[0]"),
    bad("a group of the system in an emergency", "RiskAppetite", "spec.breakGlass.groups", ["system:nodes"], "must not start with system:", "spec.breakGlass.groups[0]"),
    bad("a group of the system administers", "RiskAppetite", "spec.administrators.groups", ["system:authenticated"], "must not start with system:", "spec.administrators.groups[0]"),
    bad("nobody may approve", "RiskAppetite", "spec.rules[0].approvers", {}, "needs approvers", "spec.rules[0]"),
    bad("nobody may approve in an emergency", "RiskAppetite", "spec.breakGlass.groups", [], "may approve in an emergency", "spec.breakGlass"),
    bad("no severities", "RiskAppetite", "spec.rules[0].severities", [], "must not be empty"),
    bad("another route", "RiskAppetite", "spec.rules[1].routes", ["Mail"], "none of ClusterUser", "spec.rules[1].routes[0]"),
    bad("another required field", "RiskAppetite", "spec.rules[0].required", ["tickets"], "did you mean ticket?", "spec.rules[0].required[0]"),
    bad("a digest revoked twice", "RiskAppetite", "spec.revoked", twice, "given twice", "spec.revoked[1]"),
    bad("a person twice", "RiskAppetite", "spec.people", twice, "given twice", "spec.people[1]"),
    bad("an applier that is no service account", "RiskAppetite", "spec.trustedAppliers[0].user", "jane", "does not match"),
    bad("an applier for every namespace", "RiskAppetite", "spec.trustedAppliers[0].namespaces", ["*"], "does not match", "spec.trustedAppliers[0].namespaces[0]"),
    bad("a controller that is no service account", "RiskAppetite", "spec.workloadControllers", ["system:admin"], "does not match", "spec.workloadControllers[0]"),
    bad("a key of another type", "RiskAppetite", "spec.signers[0].publicKey", "ssh-dss AAAA", "does not match"),
    bad("a key's reversed validity", "RiskAppetite", "spec.signers[0].validUntil", "2025-01-01T00:00:00Z", "must be later than validFrom"),
    bad("another afterExpiry", "RiskAppetite", "spec.afterExpiry", "Evict", "none of KeepRunning"),
]
# fmt: on

CASES = [*ACCEPTED, *REFUSED]


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.kind}: {case.title}")
def test_the_strict_reading_says_what_is_wrong_and_where(case: Case) -> None:
    problems = validate(case.manifest("a"))
    if not case.field:
        assert problems == ()
        return
    assert any(problem.field == case.field and case.message in problem.message for problem in problems), (
        problems
    )


@pytest.mark.parametrize(
    ("changes", "field", "message"),
    [
        ({"kind": "ClusterPolice"}, "kind", "has no kind 'ClusterPolice'; did you mean ClusterPolicy?"),
        ({"apiVersion": "tidewaiter.dev/v1"}, "apiVersion", "write tidewaiter.dev/v1alpha1"),
        ({"sepc": {}}, "sepc", "there is no such field; did you mean spec?"),
        ({"metadata.nam": "a"}, "metadata.nam", "did you mean name?"),
        ({"metadata.name": "A b"}, "metadata.name", "'A b' is no name"),
        ({"metadata.name": GONE}, "metadata.name", "is missing"),
        ({"metadata.namespace": "a"}, "metadata.namespace", "a ClusterPolicy lies in no namespace"),
        ({"spec": []}, "spec", "must be a mapping, not a list"),
    ],
)
def test_what_surrounds_the_spec_is_read_strictly_too(
    changes: dict[str, Any], field: str, message: str
) -> None:
    problems = validate(Case("", "ClusterPolicy", changes).manifest("a"))
    assert [problem.field for problem in problems] == [field]
    assert message in problems[0].message


def test_other_groups_and_the_status_are_not_judged() -> None:
    assert validate({"apiVersion": "v1", "kind": "Pod", "spec": 5}) == ()
    assert validate({**Case("", "Policy", {}).manifest("a"), "status": {"x": 1}}) == ()


def test_null_is_refused_since_the_api_server_would_drop_it_and_the_digest_would_change() -> None:
    (problem,) = validate(Case("", "RiskAcceptance", {"spec.title": None}).manifest("a"))
    assert str(problem) == "spec.title: must be a text, not null (leave it out instead)"


def test_the_number_of_problems_is_bounded() -> None:
    changes = {f"spec.x{index}": 1 for index in range(1000)}
    assert len(validate(Case("", "Policy", changes).manifest("a"))) == 50


# The risk kinds are digested as written


def test_the_risk_kinds_have_no_defaults_and_only_plain_types() -> None:
    def walk(schema: dict[str, Any]) -> Iterator[dict[str, Any]]:
        yield schema
        for child in [
            *schema.get("properties", {}).values(),
            schema.get("items"),
            schema.get("additionalProperties"),
        ]:
            if child:
                yield from walk(child)

    for kind in KINDS.values():
        version = definition(kind)["spec"]["versions"][0]
        for schema in walk(version["schema"]["openAPIV3Schema"]["properties"]["spec"]):
            assert "default" not in schema
            assert schema["type"] in ("string", "boolean", "integer", "array", "object")
            assert schema["description"]
            if "Risk" in kind.kind:
                assert "x-kubernetes-preserve-unknown-fields" not in schema


# Any value in any place

VALUES: list[Any] = [
    *(True, 5, -1, 0, 1.5, "", "x", "x" * 300, " ", [], {}, ["a"], ["a", "a"], [{}], {"a": "1"}),
    *("2026-01-01T00:00:00Z", "2026-01-01t00:00:00z", "2026-06-01T24:00:00Z", "2026-06-01T23:59:60Z"),
    *("2027-01-01T00:00:00.123456789Z", "2026-01-01T00:00:00+0100", "2026-12-31", "1d", "01d", "00s", "1d1d"),
    *("é", "a\nb", "system:x", "a/b", "A", "*", "🎉" * 200, "Deny", ["Deny"], "containers"),
]


def places(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    if path:
        yield path
    entries = (
        value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    )
    for name, child in entries:
        yield from places(child, (*path, name))


def mutants(count: int, seed: int) -> Iterator[dict[str, Any]]:
    """Yield accepted manifests with one value replaced, taken away, doubled or with a stranger beside it."""
    chosen = random.Random(seed)
    for index in range(count):
        obj = chosen.choice(ACCEPTED).manifest(f"mutant-{index}")
        *parts, last = chosen.choice(list(places(obj["spec"], ("spec",))))
        parent: Any = obj
        for part in parts:
            parent = parent[part]
        what = chosen.randrange(len(VALUES) + 3)
        if what < len(VALUES):
            parent[last] = copy.deepcopy(VALUES[what])
        elif what == len(VALUES):
            del parent[last]
        elif isinstance(parent, list):
            parent.append(copy.deepcopy(parent[last]))
        else:
            parent["stranger"] = 1
        yield obj


def test_the_strict_reading_never_fails_itself() -> None:
    refused = sum(bool(validate(mutant)) for mutant in mutants(3000, seed=1))
    assert 1500 < refused < 2900


# The same on a real API server


@pytest.fixture(scope="module")
def kubectl(assets: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Any]]:
    sys.path.insert(0, str(Path(__file__).parents[1]))
    try:
        from controlplane import ControlPlane
    finally:
        sys.path.pop(0)

    with ControlPlane(assets, tmp_path_factory.mktemp("controlplane")) as plane:

        def run(*arguments: str, manifests: list[dict[str, Any]] | None = None) -> Any:
            command = [str(assets / "kubectl"), "--kubeconfig", str(plane.kubeconfig), *arguments]
            text = "\n".join(json.dumps(manifest) for manifest in manifests or [])
            return subprocess.run(command, input=text, capture_output=True, text=True, timeout=120)

        applied = run("apply", "--server-side", "-k", str(CRDS))
        assert applied.returncode == 0, applied.stderr
        waited = run("wait", "--for=condition=Established", "crd", "--all", "--timeout=60s")
        assert waited.returncode == 0, waited.stderr
        yield run


@pytest.mark.e2e
@pytest.mark.xdist_group("controlplane")
class TestApiServer:
    def test_the_definitions_have_no_complaints(self, kubectl: Callable[..., Any]) -> None:
        found = json.loads(kubectl("get", "crd", "-o", "json").stdout)["items"]
        assert {item["spec"]["names"]["kind"] for item in found} == set(KINDS)
        for item in found:
            conditions = {entry["type"]: entry["status"] for entry in item["status"]["conditions"]}
            assert conditions == {"NamesAccepted": "True", "Established": "True"}, item["metadata"]["name"]

    def test_it_judges_the_table_as_the_strict_reading_does(self, kubectl: Callable[..., Any]) -> None:
        for kind in SPECS:
            cases = {f"case-{i}": case for i, case in enumerate(CASES) if case.kind == kind}
            manifests = [case.manifest(name) for name, case in cases.items()]
            done = kubectl("create", "--dry-run=server", "-f", "-", manifests=manifests)
            accepted = set(re.findall(r"/(case-\d+) created", done.stdout))
            assert accepted == {name for name, case in cases.items() if not case.field}, done.stderr
            for name, case in cases.items():
                if not case.field or "no such field" in case.message or "did you mean" in case.message:
                    continue
                said = re.search(
                    rf'"{name}" is invalid:((?:(?!Error from server).)*)', done.stderr, re.DOTALL
                )
                assert said, (case, done.stderr)
                assert f"{case.field}:" in said[1], (case, said[1])
                rules = [rule.message for rule in all_rules(kind) if case.message in rule.message]
                judged = all(rule in said[1] for rule in rules) or "expected string, got" in said[1]
                assert judged, (case, said[1])
            for case in cases.values():
                if "did you mean" in case.message and case.field.rpartition(".")[2].isalpha():
                    assert case.field in done.stderr

    def test_it_judges_mutants_as_the_strict_reading_does(self, kubectl: Callable[..., Any]) -> None:
        found = {mutant["metadata"]["name"]: mutant for mutant in mutants(400, seed=2)}
        done = kubectl("create", "--dry-run=server", "-f", "-", manifests=list(found.values()))
        accepted = set(re.findall(r"/(mutant-\d+) created", done.stdout))
        ours = {name for name, mutant in found.items() if not validate(mutant)}
        assert [found[name] for name in sorted(accepted ^ ours)] == [], done.stderr

    def test_an_approval_never_changes(self, kubectl: Callable[..., Any]) -> None:
        before = Case("", "RiskApproval", {}).manifest("never-changes")
        after = Case("", "RiskApproval", {"spec.comment": "later"}).manifest("never-changes")
        labelled = copy.deepcopy(before)
        labelled["metadata"]["labels"] = {"a": "b"}
        assert_update(kubectl, before, labelled, "")
        assert_update(kubectl, before, after, "an approval never changes")

    def test_a_requester_never_changes_and_a_revocation_is_for_good(
        self, kubectl: Callable[..., Any]
    ) -> None:
        kind, revoked = "RiskAcceptance", {"spec.revoked": {"at": "2026-12-24T00:00:00Z"}}
        before = Case("", kind, {}).manifest("requested")
        other = Case("", kind, {"spec.requester": "eve"}).manifest("requested")
        assert_update(kubectl, before, other, "never changes")
        assert_update(kubectl, before, Case("", kind, {"spec.title": "x"}).manifest("requested"), "")
        assert_update(kubectl, before, Case("", kind, revoked).manifest("requested"), "")
        taken_back = kubectl("replace", "-f", "-", manifests=[before])
        assert "a revocation is for good" in taken_back.stderr

    def test_what_the_appetite_revokes_only_grows(self, kubectl: Callable[..., Any]) -> None:
        def appetite(*digests: str, reason: str = "a") -> dict[str, Any]:
            revoked = [{"digest": f"sha256:{digest * 64}", "reason": reason} for digest in digests]
            return Case("", "RiskAppetite", {"spec.revoked": revoked}).manifest("grows")

        assert_update(kubectl, appetite("1"), appetite("1", "2"), "")
        assert_update(kubectl, appetite("1", "2"), appetite("3", "2", "1"), "")
        for smaller in (appetite("1", "2"), appetite("1", "2", "3", reason="b"), appetite()):
            assert_update(kubectl, appetite("1", "2", "3"), smaller, "only grows")
        gone = Case("", "RiskAppetite", {"spec.revoked": GONE}).manifest("grows")
        assert_update(kubectl, appetite("1", "2", "3"), gone, "only grows")

    def test_a_long_list_of_revocations_is_within_the_cost_limit(self, kubectl: Callable[..., Any]) -> None:
        revoked = [{"digest": f"sha256:{index:064x}", "reason": "x" * 40} for index in range(4096)]
        case = Case("", "RiskAppetite", {"spec.revoked": revoked})
        assert kubectl("create", "-f", "-", manifests=[case.manifest("long")]).returncode == 0
        shorter = case.manifest("long")
        shorter["spec"]["revoked"] = list(reversed(revoked))
        assert kubectl("replace", "-f", "-", manifests=[shorter]).returncode == 0
        shorter["spec"]["revoked"].pop(7)
        assert "only grows" in kubectl("replace", "-f", "-", manifests=[shorter]).stderr

    def test_kubectl_get_answers_what_a_person_asks(self, kubectl: Callable[..., Any]) -> None:
        manifests = [Case("", kind, {}).manifest("shown") for kind in SPECS]
        assert kubectl("create", "-f", "-", manifests=manifests).returncode == 0
        columns = {
            "twcp": "NAME SEVERITY ACTIONS READY ENFORCED REASON VIOLATIONS AGE",
            "twp": "NAME SEVERITY ACTIONS READY ENFORCED REASON VIOLATIONS AGE",
            "ra": "NAME PHASE VALID UNTIL OWNER APPROVALS AGE",
            "cra": "NAME PHASE VALID UNTIL OWNER APPROVALS AGE",
            "rappr": "NAME ACCEPTANCE APPROVER APPROVED AT AGE",
            "crappr": "NAME ACCEPTANCE APPROVER APPROVED AT AGE",
            "rapt": "NAME AFTER EXPIRY BREAK GLASS AGE",
        }
        for short_name, header in columns.items():
            printed = kubectl("get", short_name)
            assert printed.stdout.splitlines()[0].split() == header.split(), printed.stderr
        everything = kubectl("get", "tidewaiter").stdout
        assert all(
            f"{kind.plural[:-1]}" in everything or kind.kind.lower() in everything for kind in KINDS.values()
        )

    def test_what_is_stored_is_what_was_written(self, kubectl: Callable[..., Any]) -> None:
        for kind, spec in (
            ("RiskAcceptance", WHOLE_ACCEPTANCE),
            ("RiskAppetite", APPETITE),
            ("ClusterPolicy", WHOLE_POLICY),
        ):
            manifest = Case("", kind, {}, spec=spec).manifest("stored")
            assert kubectl("create", "-f", "-", manifests=[manifest]).returncode == 0
            stored = json.loads(kubectl("get", kind, "stored", "-o", "json").stdout)
            assert stored["spec"] == manifest["spec"]
            assert validate(stored) == ()


def assert_update(
    kubectl: Callable[..., Any], before: dict[str, Any], after: dict[str, Any], problem: str
) -> None:
    kubectl("create", "-f", "-", manifests=[before])
    done = kubectl("replace", "-f", "-", manifests=[after])
    if problem:
        assert problem in done.stderr, done.stdout
    else:
        assert done.returncode == 0, done.stderr


def all_rules(kind: str) -> list[Any]:
    def walk(schema: Any) -> Iterator[Any]:
        yield from schema.rules
        for child in [*schema.fields.values(), schema.items, schema.values]:
            if child:
                yield from walk(child)

    return list(walk(KINDS[kind].spec))


def test_every_rule_that_can_be_judged_offline_is_broken_by_a_case() -> None:
    for kind in KINDS:
        for rule in all_rules(kind):
            if rule.holds is not None:
                assert any(case.message and case.message in rule.message for case in REFUSED), (kind, rule)

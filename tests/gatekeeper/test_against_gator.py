"""The same templates, constraints and objects for gator and for us: the same results, word for word."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.gatekeeper import oracle
from tests.gatekeeper.gk import as_gator, cel_template, constraint, named, thing
from webhook import cli

SHOP = thing("Namespace", "shop", labels={"stage": "prod"})
OBJECTS = [
    SHOP,
    thing("Namespace", "kube-public", labels={"stage": "dev"}),
    thing(namespace="shop", labels={"app": "web"}),
    thing(name="other", namespace="shop"),
    thing(namespace="kube-public"),
    thing(namespace="unknown", labels={"app": "web"}),
    thing("Deployment", "web-1", "apps/v1", namespace="shop"),
    thing("Secret", "", generateName="web-", namespace="shop"),
    thing("Widget", "a", "example.com/v1alpha1", namespace="shop"),
]

MATCHES: list[dict[str, Any]] = [
    {},
    {"kinds": []},
    {"kinds": [{"apiGroups": [""], "kinds": ["ConfigMap"]}]},
    {"kinds": [{"apiGroups": ["*"], "kinds": ["*"]}]},
    {"kinds": [{"kinds": ["Deployment"]}]},
    {"kinds": [{"apiGroups": ["apps"]}, {"apiGroups": [""], "kinds": ["Secret"]}]},
    {"kinds": [{"apiGroups": ["apps"], "kinds": ["ConfigMap"]}]},
    {"scope": "Cluster"},
    {"scope": "Namespaced"},
    {"scope": "*"},
    {"scope": "cluster"},
    {"namespaces": ["shop"]},
    {"namespaces": ["sh*"]},
    {"namespaces": ["*-public"]},
    {"namespaces": ["*ho*"]},
    {"namespaces": ["*"]},
    {"excludedNamespaces": ["kube-*"]},
    {"excludedNamespaces": ["shop"], "namespaces": ["*"]},
    {"labelSelector": {"matchLabels": {"app": "web"}}},
    {"labelSelector": {"matchExpressions": [{"key": "app", "operator": "DoesNotExist"}]}},
    {"labelSelector": {"matchExpressions": [{"key": "app", "operator": "NotIn", "values": ["web"]}]}},
    {"labelSelector": {}},
    {"namespaceSelector": {"matchLabels": {"stage": "prod"}}},
    {"namespaceSelector": {"matchExpressions": [{"key": "stage", "operator": "In", "values": ["dev"]}]}},
    {"namespaceSelector": {}},
    {"name": "web-*"},
    {"name": "thing"},
    {"name": "*-1"},
    {"name": "*e*"},
    {"source": "All"},
    {"source": "Original"},
    {"source": "Generated"},
    {"kinds": [{"kinds": ["ConfigMap"]}], "name": "other", "namespaceSelector": {"matchLabels": {"a": "b"}}},
]


ROLE = thing("ClusterRole", "admin", "rbac.authorization.k8s.io/v1", labels={"app": "web"})


def test_every_field_of_match_means_the_same(tmp_path: Path) -> None:
    constraints = [constraint(name=f"m{at}", match=match) for at, match in enumerate(MATCHES)]
    objects = [cel_template(), *constraints, constraint(name="bare"), *OBJECTS]
    judged = {named(each) for each in OBJECTS}
    # gator judges templates and constraints as objects too.
    theirs = [each for each in oracle.judged(tmp_path, objects) if each[0] in judged]
    assert as_gator(objects) == theirs
    assert len(theirs) > 100


def _random_match(pick: random.Random) -> dict[str, Any]:
    globs = ["shop", "sh*", "*op", "*ho*", "*", "kube-*", "*-public", "unknown", "nothing"]
    keys, values = ["app", "stage", "team"], ["web", "prod", "dev", ""]

    def selector() -> dict[str, Any]:
        expressions = []
        for _ in range(pick.randrange(3)):
            operator = pick.choice(["In", "NotIn", "Exists", "DoesNotExist"])
            listed = {"values": pick.sample(values, pick.randint(1, 2))} if operator.endswith("In") else {}
            expressions.append({"key": pick.choice(keys), "operator": operator, **listed})
        labels = {pick.choice(keys): pick.choice(values) for _ in range(pick.randrange(2))}
        return {"matchLabels": labels, "matchExpressions": expressions}

    def kinds() -> list[dict[str, Any]]:
        groups, names = (
            ["", "apps", "example.com", "*"],
            ["ConfigMap", "Deployment", "Namespace", "Widget", "*"],
        )
        parts = {"apiGroups": groups, "kinds": names}
        return [
            {part: pick.sample(of, pick.randrange(3)) for part, of in parts.items() if pick.random() < 0.8}
            for _ in range(pick.randrange(4))
        ]

    fields: dict[str, Callable[[], Any]] = {
        "kinds": kinds,
        "namespaces": lambda: pick.sample(globs, pick.randrange(3)),
        "excludedNamespaces": lambda: pick.sample(globs, pick.randrange(3)),
        "namespaceSelector": selector,
        "labelSelector": selector,
        "name": lambda: pick.choice(["web-*", "*-1", "thing", "*", "*e*"]),
        "scope": lambda: pick.choice(["Cluster", "Namespaced", "*", "other"]),
        "source": lambda: pick.choice(["All", "Original", "Generated"]),
    }
    return {name: make() for name, make in fields.items() if pick.random() < 0.3}


@pytest.mark.parametrize("seed", range(3))
def test_random_matches_mean_the_same(tmp_path: Path, seed: int) -> None:
    pick = random.Random(seed)
    constraints = [constraint(name=f"m{at}", match=_random_match(pick)) for at in range(120)]
    objects = [cel_template(), *constraints, *OBJECTS]
    judged = {named(each) for each in OBJECTS}
    theirs = [each for each in oracle.judged(tmp_path, objects) if each[0] in judged]
    assert as_gator(objects) == theirs
    assert len(theirs) > 100


def test_cluster_scoped_objects_match_the_same(tmp_path: Path) -> None:
    """`gator test` gives them an empty Namespace, which no webhook does; `gator verify` doesn't."""
    tests = []
    for at, match in enumerate(MATCHES):
        one = constraint(match=match)
        (tmp_path / f"constraint-{at}.yaml").write_text(json.dumps(one))
        found = as_gator([cel_template(), one, ROLE])
        assertions = [{"violations": len(found)}, *({"message": re.escape(each[3])} for each in found)]
        case = {"name": "role", "object": "role.yaml", "assertions": assertions}
        tests.append(
            {
                "name": f"m{at}",
                "template": "template.yaml",
                "constraint": f"constraint-{at}.yaml",
                "cases": [case],
            }
        )
    suite = {"apiVersion": "test.gatekeeper.sh/v1alpha1", "kind": "Suite", "tests": tests}
    for name, content in (("template", cel_template()), ("role", ROLE), ("suite", suite)):
        (tmp_path / f"{name}.yaml").write_text(json.dumps(content))
    status, said = oracle.verify(str(tmp_path / "suite.yaml"))
    assert status == 0, said
    assert cli.run(["verify", str(tmp_path / "suite.yaml")]) == 0


ACTIONS: list[dict[str, Any]] = [
    {},
    {"enforcementAction": "deny"},
    {"enforcementAction": "warn"},
    {"enforcementAction": "dryrun"},
    {
        "enforcementAction": "scoped",
        "scopedEnforcementActions": [
            {"action": "warn", "enforcementPoints": [{"name": "gator.gatekeeper.sh"}]}
        ],
    },
    {
        "enforcementAction": "scoped",
        "scopedEnforcementActions": [{"action": "deny", "enforcementPoints": [{"name": "*"}]}],
    },
    {
        "enforcementAction": "scoped",
        "scopedEnforcementActions": [
            {"action": "deny", "enforcementPoints": [{"name": "validation.gatekeeper.sh"}]}
        ],
    },
    {"enforcementAction": "scoped", "scopedEnforcementActions": []},
]


def test_actions_hold_where_they_say(tmp_path: Path) -> None:
    constraints = [constraint(name=f"a{at}", **spec) for at, spec in enumerate(ACTIONS)]
    objects = [cel_template(), *constraints, thing()]
    theirs = [each for each in oracle.judged(tmp_path, objects) if each[0] == "ConfigMap /thing"]
    ours = as_gator(objects)
    assert [each[1] for each in ours] == ["a0", "a1", "a2", "a3", "a4", "a5"]
    # gator writes "scoped" where a constraint's actions are; ours says which.
    assert [each[1:2] + each[3:] for each in ours] == [each[1:2] + each[3:] for each in theirs]
    assert [each for each in ours if each[1] < "a4"] == [each for each in theirs if each[1] < "a4"]


SOURCES: dict[str, dict[str, Any]] = {
    "plain": {"validations": [{"expression": "false"}]},
    "message": {"validations": [{"expression": "1 == 2", "message": " two lines\nof text "}]},
    "expression": {
        "validations": [
            {"expression": "false", "message": "plain", "messageExpression": "'not ' + object.kind"}
        ]
    },
    "bad-expression": {
        "validations": [{"expression": "false", "message": "plain", "messageExpression": "object.spec.name"}]
    },
    "error": {"validations": [{"expression": "object.spec.replicas < 3", "message": "plain"}]},
    "ignored": {"failurePolicy": "Ignore", "validations": [{"expression": "object.spec.replicas < 3"}]},
    "condition": {
        "matchCondition": [{"name": "a", "expression": "object.kind == 'Secret'"}],
        "validations": [{"expression": "false"}],
    },
    "condition-error": {
        "matchCondition": [
            {"name": "a", "expression": "object.spec.replicas > 0"},
            {"name": "b", "expression": "object.spec.x > 0"},
        ],
        "validations": [{"expression": "false"}],
    },
    "condition-error-but-false": {
        "matchCondition": [
            {"name": "a", "expression": "object.spec.replicas > 0"},
            {"name": "b", "expression": "false"},
        ],
        "validations": [{"expression": "false"}],
    },
    "variables": {
        "variables": [{"name": "kind", "expression": "variables.anyObject.kind"}],
        "validations": [
            {"expression": "variables.kind == 'X'", "messageExpression": "variables.kind + ' is no X'"},
            {"expression": "variables.params == null", "message": "there are parameters"},
            {
                "expression": "variables.params.allowed.exists(x, x == variables.kind)",
                "message": "not allowed",
            },
        ],
    },
    "namespace": {"validations": [{"expression": "namespaceObject != null", "message": "no namespace"}]},
}


@pytest.mark.parametrize("parameters", [None, {"allowed": ["ConfigMap"]}])
def test_cel_says_the_same(tmp_path: Path, parameters: Any) -> None:
    objects: list[Any] = []
    for name, source in SOURCES.items():
        kind = "K8s" + name.title().replace("-", "")
        spec = {} if parameters is None else {"parameters": parameters}
        objects += [cel_template(kind, **source), constraint(kind, name, **spec)]
    objects += [
        thing(),
        thing("Secret", "s", spec={}),
        {**thing("Deployment", "d", "apps/v1"), "spec": {"replicas": 5}},
    ]
    names = {"ConfigMap /thing", "Secret /s", "Deployment /d"}
    theirs = [each for each in oracle.judged(tmp_path, objects) if each[0] in names]
    assert as_gator(objects) == theirs
    assert len(theirs) > 20


SUITES = sorted(Path(__file__).parent.glob("suites/*/suite.yaml"))


@pytest.mark.parametrize("suite", SUITES, ids=lambda path: path.parent.name)
def test_gator_passes_our_own_suites(suite: Path) -> None:
    status, said = oracle.verify(str(suite))
    assert (status, "PASS" in said) == (0, True), said


FAILING: dict[str, Any] = {
    "variables": [
        {"name": "spec", "expression": "variables.anyObject.spec"},
        {"name": "sizes", "expression": "variables.spec.items.map(x, quantity(string(x.size)))"},
        {
            "name": "names",
            "expression": "variables.spec.items.filter(x, x.name.startsWith('a')).map(x, x.name)",
        },
    ],
    "validations": [
        {"expression": "variables.sizes.all(x, x.isGreaterThan(quantity('1')))", "message": "sizes"},
        {"expression": "variables.names.all(x, x.matches(variables.spec.pattern))", "message": "names"},
        {"expression": "variables.spec.items + variables.names == []", "message": "both"},
    ],
}
SPECS: list[Any] = [
    {"items": [{"name": "ab", "size": "2Gi"}, {"name": "b", "size": 3}], "pattern": "b$"},
    {"items": [{"name": "ab", "size": "2Gx"}], "pattern": "("},
    {"items": [{"name": 1, "size": [1]}, {"size": None}], "pattern": 1},
    {"items": "text", "pattern": "a"},
    {"items": {"a": 1}},
    {"items": None},
    {},
    None,
]


def test_errors_of_cel_are_said_the_same(tmp_path: Path) -> None:
    """Under failurePolicy Fail they are the denial's text, with the variables on the way to what failed."""
    made = [{**thing(name=f"t{at}", namespace="shop"), "spec": spec} for at, spec in enumerate(SPECS)]
    objects = [cel_template(**FAILING), constraint(), SHOP, *made]
    names = {named(each) for each in made}
    theirs = [each for each in oracle.judged(tmp_path, objects) if each[0] in names]
    assert [each for each in as_gator(objects) if each[0] in names] == theirs
    assert any('composited variable "names" fails to evaluate: ' in each[3] for each in theirs)


def test_templates_in_cel_see_the_same_request_of_an_object(tmp_path: Path) -> None:
    """What the request of an object without an AdmissionReview has, down to what is there but empty."""
    fields = [
        *("kind", "resource", "requestKind", "requestResource", "subResource", "requestSubResource", "name"),
        *("namespace", "operation", "userInfo", "userInfo.username", "userInfo.groups", "dryRun", "options"),
        *("kind.group", "resource.group", "resource.resource", "requestKind.kind", "requestResource.version"),
    ]
    values = ("operation", "dryRun", "requestKind.kind", "requestResource.resource", "options == null")
    shown = [f"'{field} ' + string(has(request.{field}))" for field in fields]
    shown += [f"'{value}: ' + string(request.{value})" for value in values]
    validations = [{"expression": "false", "messageExpression": each} for each in shown]
    objects = [
        cel_template(validations=validations),
        constraint(),
        thing(namespace="shop"),
        thing("ClusterRole", "admin", "rbac.authorization.k8s.io/v1"),
        thing("Secret", "", generateName="web-", namespace="shop"),
    ]
    judged = {named(each) for each in objects[2:]}
    theirs = [each for each in oracle.judged(tmp_path, objects) if each[0] in judged]
    assert as_gator(objects) == theirs
    assert len(theirs) == 3 * len(shown)


def test_an_update_rule_in_cel_judges_what_no_request_was_made_of(tmp_path: Path) -> None:
    """A rule that only looks at requests that say an operation other than UPDATE judges plain objects too."""
    source = "!has(request.operation) || request.operation == 'UPDATE' || has(object.metadata.labels)"
    objects = [
        cel_template(validations=[{"expression": source, "message": "needs labels"}]),
        constraint(),
        thing(namespace="shop"),
        thing(name="labelled", namespace="shop", labels={"app": "web"}),
    ]
    judged = {named(each) for each in objects[2:]}
    theirs = [each for each in oracle.judged(tmp_path, objects) if each[0] in judged]
    assert as_gator(objects) == theirs == [("ConfigMap shop/thing", "refused", "deny", "needs labels")]

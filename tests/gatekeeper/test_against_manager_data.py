"""What is beside the request, told of to the letter as the running Gatekeeper does: data and expansion."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bench import gatekeeper_kinds
from tests.e2e.cluster import eventually
from tests.gatekeeper.gk import cel_template, constraint, rego_template
from tests.gatekeeper.provider import Service
from tests.gatekeeper.webhooks import Object, Sides, both, matching, review, scoped, settled, shown

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("gatekeeper-manager-data")]

NETWORK = "networking.k8s.io"


PROVIDERS = ("images", "odd", "down", "other-version", "text", "broken")

TOLD = """package told

violation[{"msg": msg}] {
  response := external_data(input.review.object.ask)
  msg := sprintf("%v: %v", [status(response), json.marshal(object.remove(response, ["status_code"]))])
}

# Of what is remembered Gatekeeper says 0.
status(response) = "fine" { response.status_code == {0, 200}[_]; count(response.responses) > 0 }
else = response.status_code { true }
"""
UNIQUE = """package unique

violation[{"msg": msg}] {
  host := input.review.object.spec.rules[_].host
  other := data.inventory.namespace[space][version].Ingress[name]
  other.spec.rules[_].host == host
  [space, name] != [input.review.namespace, input.review.name]
  msg := sprintf("the host %v is taken by %v/%v in %v", [host, space, name, version])
}
"""
HELD = """package held

violation[{"msg": msg}] {
  msg := json.marshal(object.get(data.inventory, input.review.object.path, "nothing"))
}
"""
NAMES = """package names

violation[{"msg": msg}] {
  kinds := data.inventory.namespace[space][version]
  space != "default" # where the API server has a Service
  msg := sprintf("%v: %v", [space, {kind: sort(object.keys(kinds[kind])) | kinds[kind]}])
}
"""
MADE = """package made

more := {"parameters": input.parameters}
seen := object.union(object.remove(input.review, ["namespaceObject", "object"]), more)

# In parts: of a long warning we make what a header can hold.
violation[{"msg": msg}] { msg := sprintf("%v: %v", [key, json.marshal(seen[key])]) }
violation[{"msg": msg}] { msg := sprintf("%v: %v", [key, input.review.object[key]]) }
violation[{"msg": msg}] { msg := sprintf("of %v", [input.review.namespaceObject.metadata.labels]) }
"""


def of_every_operation(template: Object) -> Object:
    template["spec"]["targets"][0]["operations"] = ["*"]
    return template


CEL = of_every_operation(
    cel_template(
        "Checked",
        generateVAP=False,
        failurePolicy="Fail",
        matchCondition=[{"name": "not-left-out", "expression": "!has(variables.anyObject.metadata.labels)"}],
        variables=[
            {"name": "data", "expression": "has(variables.anyObject.data) ? variables.anyObject.data : {}"},
            {"name": "count", "expression": "size(variables.data)"},
        ],
        validations=[
            {"expression": "variables.count < 2", "message": "  at most one  "},
            {
                "expression": "!('secret' in variables.data)",
                "message": "no secret",
                "messageExpression": "'no secret in ' + object.metadata.name + ' by ' + variables.params.who",
            },
            {"expression": "!('long' in variables.data)", "messageExpression": "'two\\nlines'"},
            {"expression": "variables.data.?number.orValue('1') == '1'"},
            {
                "expression": "!has(variables.params.labels) || "
                "namespaceObject.metadata.labels.stage in variables.params.labels",
                "messageExpression": "'not in ' + namespaceObject.metadata.labels.stage",
            },
            {
                "expression": "request.operation != 'DELETE' || oldObject.metadata.name != 'kept'",
                "messageExpression": "request.userInfo.username + ' may not ' + request.operation",
            },
            {"expression": "!('boom' in variables.data) || object.data.nothing == ''", "message": "never"},
        ],
    )
)
IGNORING = cel_template(
    "Ignoring",
    generateVAP=False,
    failurePolicy="Ignore",
    validations=[
        {"expression": "object.data.nothing == ''", "message": "fails"},
        {"expression": "false", "message": "said all the same"},
    ],
)
BOTH_ENGINES = rego_template('package b\nviolation[{"msg": "rego"}] { true }', "Preferred")
BOTH_ENGINES["spec"]["targets"][0]["code"] += [
    {
        "engine": "K8sNativeValidation",
        "source": {"generateVAP": False, "validations": [{"expression": "false", "message": "cel"}]},
    }
]
TEMPLATES = [
    rego_template(TOLD, "Told"),
    rego_template(UNIQUE, "Unique"),
    rego_template(HELD, "Held"),
    rego_template(NAMES, "Names"),
    of_every_operation(rego_template(MADE, "Made")),
    rego_template('package says\nviolation[{"msg": input.parameters.msg}] { true }', "Says"),
    rego_template('package says\nviolation[{"msg": input.parameters.msg}] { true }', "Alike"),
    CEL,
    IGNORING,
    BOTH_ENGINES,
]
POD = {"apiGroups": [""], "kinds": ["Pod"]}
LEASES = matching("Lease", group="*")
CONSTRAINTS = [
    constraint("Told", "told", match=matching("ConfigMap", namespaces=["asking"])),
    constraint("Unique", "unique", match=matching("Ingress", group=NETWORK)),
    constraint("Held", "held", match=matching("Secret")),
    constraint("Names", "names", match=matching("LimitRange")),
    constraint("Made", "made", parameters={"a": [1]}, match=matching("Pod", namespaces=["shop", "asking"])),
    constraint(
        "Made",
        "made-only",
        enforcementAction="warn",
        match=matching("Pod", source="Generated", namespaces=["bank"]),
    ),
    constraint(
        "Says",
        "original",
        parameters={"msg": "o"},
        match=matching("Pod", source="Original", namespaces=["shop"]),
    ),
    constraint(
        "Says",
        "job",
        enforcementAction="dryrun",
        parameters={"msg": "j"},
        match=matching("Job", group="batch"),
    ),
    constraint("Says", "job-too", parameters={"msg": "jj"}, match=matching("Job", group="batch")),
    constraint(
        "Says",
        "scoped-pod",
        parameters={"msg": "s"},
        match={"kinds": [POD], "namespaces": ["bank"]},
        **scoped("warn", "validation.gatekeeper.sh", "audit.gatekeeper.sh"),
    ),
    constraint(
        "Says",
        "audited-pod",
        parameters={"msg": "never"},
        match={"kinds": [POD], "namespaces": ["bank"]},
        **scoped("deny", "audit.gatekeeper.sh"),
    ),
    constraint(
        "Says",
        "two-points",
        parameters={"msg": "two"},
        match=matching("Service"),
        **scoped(
            "deny",
            "audit.gatekeeper.sh",
            then=[
                {"action": "warn", "enforcementPoints": [{"name": "validation.gatekeeper.sh"}]},
                {"action": "dryrun", "enforcementPoints": [{"name": "*"}]},
            ],
        ),
    ),
    constraint(
        "Says",
        "two-actions",
        parameters={"msg": "both"},
        match=matching("Service"),
        **scoped(
            "deny",
            "*",
            then=[{"action": "warn", "enforcementPoints": [{"name": "validation.gatekeeper.sh"}]}],
        ),
    ),
    constraint(
        "Says",
        "in-prod",
        parameters={"msg": "prod"},
        match={
            "kinds": [{"apiGroups": ["*"], "kinds": ["Endpoints", "Namespace", "Node"]}],
            "namespaceSelector": {
                "matchExpressions": [{"key": "stage", "operator": "In", "values": ["prod"]}]
            },
        },
    ),
    constraint(
        "Says",
        "not-in-shops",
        parameters={"msg": "not here"},
        match={
            "kinds": [{"apiGroups": ["*"], "kinds": ["Endpoints", "Namespace", "Node"]}],
            "excludedNamespaces": ["sh*", "*ing"],
        },
    ),
    constraint(
        "Checked", "checked", parameters={"who": "us"}, match=matching("ConfigMap", namespaces=["shop"])
    ),
    constraint(
        "Checked", "unset", enforcementAction="warn", match=matching("ConfigMap", namespaces=["shop"])
    ),
    constraint(
        "Checked",
        "labelled",
        parameters={"who": "us", "labels": ["dev"]},
        match=matching("ConfigMap", namespaces=["shop"]),
    ),
    constraint("Says", "first", parameters={"msg": "2"}, match=LEASES),
    constraint("Says", "second", parameters={"msg": "1"}, match=LEASES, **scoped("deny", "*")),
    constraint("Says", "third", parameters={"msg": "0"}, match=LEASES, enforcementAction="warn"),
    constraint("Says", "fourth", parameters={"msg": "9"}, match=LEASES, **scoped("warn", "*")),
    constraint("Alike", "z", parameters={"msg": "2"}, match=LEASES),
    constraint("Alike", "b", parameters={"msg": "2"}, match=LEASES),
    constraint("Ignoring", "ignoring", match=matching("ResourceQuota")),
    constraint("Preferred", "preferred", match=matching("ResourceQuota")),
]
NAMESPACES = [
    {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}
    for name, labels in (
        ("shop", {"stage": "prod"}),
        ("bank", {"stage": "dev"}),
        ("asking", {}),
        ("hidden", {}),
    )
]


def ingress(name: str, namespace: str, *hosts: str) -> Object:
    backend = {"service": {"name": "web", "port": {"number": 80}}}
    http = {"paths": [{"path": "/", "pathType": "Prefix", "backend": backend}]}
    return {
        "apiVersion": f"{NETWORK}/v1",
        "kind": "Ingress",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"rules": [{"host": host, "http": http} for host in hosts]},
    }


PRESENT = [
    ingress("web", "shop", "shop.example.com", "both.example.com"),
    ingress("web", "bank", "bank.example.com", "both.example.com"),
    ingress("web", "hidden", "hidden.example.com"),
    {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "web", "namespace": "shop", "labels": {"a": "b"}},
        "spec": {"ports": [{"port": 80}], "clusterIP": "None"},
    },
    {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "unsynced", "namespace": "shop"},
    },
]
CONFIG = {
    "apiVersion": "config.gatekeeper.sh/v1alpha1",
    "kind": "Config",
    "metadata": {"name": "config", "namespace": gatekeeper_kinds.NAMESPACE},
    "spec": {
        "match": [{"processes": ["sync"], "excludedNamespaces": ["hid*"]}],
        "sync": {"syncOnly": [{"group": NETWORK, "version": "v1", "kind": "Ingress"}]},
    },
}
SYNC_SET = {
    "apiVersion": "syncset.gatekeeper.sh/v1alpha1",
    "kind": "SyncSet",
    "metadata": {"name": "more"},
    "spec": {
        "gvks": [
            {"group": "", "version": "v1", "kind": "Service"},
            {"group": "", "version": "v1", "kind": "Namespace"},
        ]
    },
}


def expansion(name: str, applies: Object, source: str, generated: Object, action: str = "") -> Object:
    return {
        "apiVersion": "expansion.gatekeeper.sh/v1beta1",
        "kind": "ExpansionTemplate",
        "metadata": {"name": name},
        "spec": {
            "applyTo": [applies],
            "templateSource": source,
            "generatedGVK": generated,
            **({"enforcementAction": action} if action else {}),
        },
    }


def named(group: str, kind: str) -> Object:
    return {"groups": [group], "versions": ["v1"], "kinds": [kind]}


A_POD = {"group": "", "version": "v1", "kind": "Pod"}
EXPANSIONS = [
    expansion("deployments", named("apps", "Deployment"), "spec.template", A_POD),
    expansion(
        "crons",
        named("batch", "CronJob"),
        "spec.jobTemplate",
        {"group": "batch", "version": "v1", "kind": "Job"},
    ),
    expansion("jobs", named("batch", "Job"), "spec.template", A_POD, "warn"),
    expansion("sets", named("apps", "StatefulSet"), "spec.template", A_POD, "dryrun"),
    expansion("again", named("apps", "StatefulSet"), "spec.template", A_POD, "deny"),
]

TEMPLATE = {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "a", "image": "i"}]}}


def asking(**ask: Any) -> Object:
    return review(namespace="asking", content={"ask": ask})


def held(*path: str) -> Object:
    return review("Secret", content={"path": list(path)})


def data(operation: str = "CREATE", name: str = "one", **values: str) -> Object:
    return review(operation=operation, metadata={"name": name}, content={"data": values})


def controller(kind: str, group: str = "apps", operation: str = "CREATE", **more: Any) -> Object:
    content = more.pop("content", {"spec": {"template": TEMPLATE}})
    return review(kind, operation, group=group, content=content, **more)


CRON = {"spec": {"jobTemplate": {"metadata": {"labels": {"job": "x"}}, "spec": {"template": TEMPLATE}}}}

REQUESTS = {
    "external data": asking(provider="images", keys=["b", "a", "bad", "b", "c"]),
    "external data of one key": asking(provider="images", keys=["one"]),
    "external data of no key": asking(provider="images", keys=[]),
    "external data of a key that is not answered": asking(provider="images", keys=["d", "unsaid"]),
    "external data of more than text": asking(provider="odd", keys=["x", "y"]),
    "external data of nobody": asking(provider="nobody", keys=["a"]),
    "a provider that says that it can't": asking(provider="down", keys=["a"]),
    "a provider of another version": asking(provider="other-version", keys=["a"]),
    "external data without a provider": asking(keys=["a"]),
    "external data without keys": asking(provider="images"),
    "external data of keys that are no text": asking(provider="images", keys=["a", 1]),
    "external data of a provider that is no text": asking(provider=1, keys=["a"]),
    "a provider that answers with 500": asking(provider="broken", keys=["a"]),
    "external data with more": asking(provider="images", keys=["a"], other=1),
    "a host that is taken": review(
        "Ingress", group=NETWORK, content={"spec": {"rules": [{"host": "bank.example.com"}]}}
    ),
    "a host that is taken twice": review(
        "Ingress",
        namespace="asking",
        group=NETWORK,
        content={"spec": {"rules": [{"host": "both.example.com"}, {"host": "free.example.com"}]}},
    ),
    "a host of its own": review(
        "Ingress",
        "UPDATE",
        group=NETWORK,
        metadata={"name": "web"},
        content={"spec": {"rules": [{"host": "shop.example.com"}]}},
    ),
    "a host of a namespace that isn't synced": review(
        "Ingress", group=NETWORK, content={"spec": {"rules": [{"host": "hidden.example.com"}]}}
    ),
    "a synced object": held("namespace", "bank", f"{NETWORK}/v1", "Ingress", "web", "spec"),
    "a synced object of a SyncSet": held("namespace", "shop", "v1", "Service", "web", "spec"),
    "a synced Namespace": held("cluster", "v1", "Namespace", "shop", "metadata", "labels"),
    "the status of a synced object": held("cluster", "v1", "Namespace", "shop", "status"),
    "what isn't synced": held("namespace", "shop", "v1", "ConfigMap"),
    "metadata of a synced object": held("namespace", "shop", "v1", "Service", "web", "metadata", "labels"),
    "what is synced": review("LimitRange"),
    "an expanded Deployment": controller("Deployment"),
    "an expanded Deployment of a name that is made": controller(
        "Deployment", metadata={"generateName": "x-"}
    ),
    "an expanded Deployment's UPDATE": controller("Deployment", operation="UPDATE"),
    "an expanded Deployment's DELETE": controller("Deployment", operation="DELETE"),
    "an expansion with a scoped constraint": controller("Deployment", namespace="bank"),
    "an expanded CronJob": controller("CronJob", "batch", content=CRON),
    "an expanded CronJob, scoped": controller("CronJob", "batch", namespace="bank", content=CRON),
    "an expanded Job": controller("Job", "batch"),
    "an expansion by two": controller("StatefulSet"),
    "an expansion by two, scoped": controller("StatefulSet", namespace="bank"),
    "a Deployment's scale": review(
        "Scale",
        "UPDATE",
        group="autoscaling",
        resource="deployments",
        subResource="scale",
        content={"spec": {"replicas": 3}},
    ),
    "a Pod itself": review("Pod", content={"spec": TEMPLATE["spec"]}),
    "a Pod in the bank": review("Pod", namespace="bank"),
    "scoped, with two points": review("Service"),
    "a namespaceSelector's namespace": review("Endpoints", resource="endpoints"),
    "another namespace than a namespaceSelector's": review(
        "Endpoints", resource="endpoints", namespace="bank"
    ),
    "a namespaceSelector, and a Namespace that has the label": review(
        "Namespace", namespace="", metadata={"name": "new", "labels": {"stage": "prod"}}
    ),
    "a namespaceSelector, and a Namespace that had the label": review(
        "Namespace",
        "UPDATE",
        namespace="",
        metadata={"name": "shop"},
        oldObject={
            "apiVersion": "v1",
            "kind": "Namespace",
            "metadata": {"name": "shop", "labels": {"stage": "prod"}},
        },
    ),
    "a namespaceSelector, and a Namespace that is left out": review(
        "Namespace", namespace="", metadata={"name": "shipping"}
    ),
    "a namespaceSelector, and what has no namespace": review("Node", namespace=""),
    "several lines, in their order": review("Lease", group="coordination.k8s.io"),
    "CEL that holds": data(a="b"),
    "CEL that says several things": data(a="b", secret="c", long="d"),
    "CEL without a message": data(number="2"),
    "CEL that fails": data(boom="x"),
    "CEL that a condition leaves out": review(
        metadata={"name": "one", "labels": {"a": "b"}}, content={"data": {"secret": "x"}}
    ),
    "CEL on UPDATE": data("UPDATE", secret="x"),
    "CEL on DELETE": data("DELETE", name="kept", a="b"),
    "CEL on DELETE that fails": data("DELETE", secret="x"),
    "CEL whose failures are ignored, and CEL beside Rego": review("ResourceQuota"),
    "DELETE of a Pod": review("Pod", "DELETE", "asking", content={"spec": TEMPLATE["spec"]}),
}


DIFFERENT = {
    "a Deployment without a template": (
        controller("Deployment", content={"spec": {}}),
        'unable to expand object: could not find source field "spec.template" in resource one',
        '[deployments] unable to expand object: could not find source field "spec.template" in resource one',
    ),
    "a provider that answers no JSON": (
        asking(provider="text", keys=["a"]),
        '500: {"errors":null,"responses":null,"system_error":"failed to unmarshal external data response: i',
        '500: {"errors":null,"responses":null,"system_error":"failed to unmarshal external data response: u',
    ),
}
"""What the reference of differences says: the request, and a part of what each says."""


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    started = Service(tmp_path_factory.mktemp("provider"))
    yield started
    started.close()


@pytest.fixture(scope="module")
def sides(
    assets: Path, gatekeeper_manager: Path, tmp_path_factory: pytest.TempPathFactory, service: Service
) -> Iterator[Sides]:
    folder = tmp_path_factory.mktemp("manager-data")
    others = [CONFIG, SYNC_SET, *EXPANSIONS, *map(service.manifest, PROVIDERS)]
    certificates = [folder / name / "tls.crt" for name in ("gatekeeper", "ours")]
    given = (TEMPLATES, CONSTRAINTS, others, NAMESPACES, PRESENT)
    with both(assets, gatekeeper_manager, folder, *given) as started:
        for each in certificates:
            service.trust(each)
        yield started


@pytest.mark.parametrize("name", REQUESTS)
def test_both_answer_the_same(sides: Sides, name: str) -> None:
    asked = REQUESTS[name]
    theirs = eventually(lambda: settled(sides.theirs, asked), "two equal answers of Gatekeeper")
    assert shown(sides.ours(copy.deepcopy(asked))) == theirs


@pytest.mark.parametrize("name", DIFFERENT)
def test_what_differs_is_what_is_said_to_differ(sides: Sides, name: str) -> None:
    asked, theirs, ours = DIFFERENT[name]
    eventually(lambda: settled(sides.theirs, asked), "two equal answers of Gatekeeper")
    one, other = sides.theirs(asked), sides.ours(copy.deepcopy(asked))
    assert not one["allowed"]
    assert not other["allowed"]
    assert theirs in one["status"]["message"]
    assert ours in other["status"]["message"]


def test_both_show_the_provider_their_certificates(sides: Sides, service: Service) -> None:
    asked = asking(provider="images", keys=["who"])
    for ask in (sides.theirs, sides.ours):
        assert '[["who","who!"]]' in ask(asked)["status"]["message"]
    assert len(service.clients) == 2

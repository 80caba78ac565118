"""The same rules as ValidatingAdmissionPolicies and as ClusterPolicies, on one real API server's requests.

The API server judges by its own policies and says so in warnings; it sends the same request to a webhook,
registered as the operator registers it, which only keeps it. The kept reviews are judged here.
"""

from __future__ import annotations

import http.client
import http.server
import json
import ssl
import threading
import time
import urllib.parse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.controlplane import ControlPlane
from tests.core.builders import NOW
from webhook.adapters.snapshots import build
from webhook.core.evaluate import evaluate
from webhook.core.match import Selection
from webhook.core.review import AdmissionRequest, request_for
from webhook.core.snapshot import Snapshot
from webhook.dialects.native import compile_policy
from webhook.operator.webhooks import Endpoint, Registration, desired
from webhook.server.selfsigned import write_pair

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("beside-vap")]

PODS = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["*"], "resources": ["pods"]}
NAMESPACES = {**PODS, "resources": ["namespaces"]}
ANYTHING = {"apiGroups": ["*"], "apiVersions": ["*"], "operations": ["*"], "resources": ["*"]}
PROD = {"matchLabels": {"stage": "prod"}}
GUARDED = {"matchLabels": {"guard": "on"}}
NOT_FREE = {"matchExpressions": [{"key": "free", "operator": "DoesNotExist"}]}
CONFIG_MAPS = {"apiVersion": "v1", "kind": "ConfigMap"}


def rules(*named: dict[str, Any], **match: Any) -> dict[str, Any]:
    return {"matchConstraints": {"resourceRules": list(named), **match}}


def says(expression: str, **fields: Any) -> dict[str, Any]:
    return {"validations": [{"name": "rule", "expression": expression, **fields}]}


def params(**reference: Any) -> dict[str, Any]:
    reference.setdefault("parameterNotFoundAction", "Allow")
    return {"paramKind": CONFIG_MAPS, "paramRef": reference, **says("params.data.max == '9'", message="max")}


NEVER = says("false", message="never")
POLICIES: dict[str, dict[str, Any]] = {
    "pods": {**rules(PODS), **NEVER},
    "pods-created": {**rules({**PODS, "operations": ["CREATE"]}), **NEVER},
    "pods-and-parts": {**rules({**PODS, "resources": ["pods/*"]}), **NEVER},
    "exec": {**rules({**PODS, "resources": ["pods/exec"], "operations": ["CONNECT"]}), **NEVER},
    "exec-command": {
        **rules({**PODS, "resources": ["pods/exec"]}),
        **says("object.command != ['sh']", messageExpression="'runs ' + object.command[0]"),
    },
    "exec-unlabelled": {**rules({**PODS, "resources": ["pods/exec"]}, objectSelector=NOT_FREE), **NEVER},
    "ephemeral": {
        **rules({**PODS, "resources": ["pods/ephemeralcontainers"]}),
        **says(
            "size(object.spec.ephemeralContainers) == size(oldObject.spec.?ephemeralContainers.orValue([]))"
        ),
    },
    "scale": {
        **rules({**ANYTHING, "resources": ["deployments/scale"]}),
        **says("object.spec.replicas < 3", messageExpression="string(object.spec.replicas) + ' replicas'"),
    },
    "any-part": {**rules({**ANYTHING, "resources": ["*/*"]}), **NEVER},
    "named": {**rules({**PODS, "resourceNames": ["web"]}), **NEVER},
    "excluded-name": {**rules(PODS, excludeResourceRules=[{**PODS, "resourceNames": ["web"]}]), **NEVER},
    "excluded-create": {**rules(PODS, excludeResourceRules=[{**PODS, "operations": ["CREATE"]}]), **NEVER},
    "cluster-scope": {**rules({**ANYTHING, "scope": "Cluster"}), **NEVER},
    "namespaced-scope": {**rules({**ANYTHING, "scope": "Namespaced"}), **NEVER},
    "prod": {**rules(PODS, NAMESPACES, namespaceSelector=PROD), **NEVER},
    "prod-cluster": {**rules({**ANYTHING, "scope": "Cluster"}, namespaceSelector=PROD), **NEVER},
    "guarded": {**rules(PODS, NAMESPACES, objectSelector=GUARDED), **NEVER},
    "not-free": {**rules(PODS, objectSelector=NOT_FREE), **NEVER},
    "one-condition": {
        **rules(PODS),
        "matchConditions": [{"name": "named-web", "expression": "request.name == 'web'"}],
        **NEVER,
    },
    "condition-fails": {
        **rules(PODS),
        "matchConditions": [{"name": "labelled", "expression": "object.metadata.labels.team == 'a'"}],
        **NEVER,
    },
    "condition-fails-ignored": {
        **rules(PODS),
        "failurePolicy": "Ignore",
        "matchConditions": [{"name": "labelled", "expression": "object.metadata.labels.team == 'a'"}],
        **NEVER,
    },
    "false-condition-decides": {
        **rules(PODS),
        "matchConditions": [
            {"name": "labelled", "expression": "object.metadata.labels.team == 'a'"},
            {"name": "no", "expression": "false"},
        ],
        **NEVER,
    },
    "no-message": {**rules(PODS), **says("  request.operation == 'NONE'  ")},
    "message-fails": {
        **rules(PODS),
        **says("false", message="written", messageExpression="string(object.metadata.labels.team)"),
    },
    "message-blank": {**rules(PODS), **says("false", message="written", messageExpression="'   '")},
    "message-lines": {**rules(PODS), **says("false", message="written", messageExpression="'a\\nb'")},
    "rule-fails": {**rules(PODS), **says("object.metadata.labels.team == 'a'", message="team")},
    "rule-fails-ignored": {
        **rules(PODS),
        "failurePolicy": "Ignore",
        **says("object.metadata.labels.team == 'a'", message="team"),
    },
    "variables": {
        **rules(PODS),
        "variables": [
            {"name": "first", "expression": "request.name"},
            {"name": "second", "expression": "variables.first + '!'"},
        ],
        **says("variables.second == ''", messageExpression="variables.second"),
    },
    "namespace-labels": {
        **rules(PODS),
        **says("namespaceObject.metadata.labels.stage != 'prod'", message="in prod"),
    },
    "no-namespace": {**rules({**ANYTHING, "scope": "Cluster"}), **says("namespaceObject != null")},
    "request": {
        **rules(ANYTHING),
        **says(
            "false",
            messageExpression="request.operation + ' ' + request.resource.resource + ' ' + request.name + "
            "' ' + request.namespace + ' ' + request.kind.kind + ' ' + request.userInfo.username + ' ' + "
            "string(request.dryRun)",
        ),
    },
    "objects": {
        **rules(PODS),
        **says("false", messageExpression="string(object != null) + ' ' + string(oldObject != null)"),
    },
    "max-here": {**rules(PODS), **params(name="limits")},
    "max-there": {**rules(PODS, NAMESPACES), **params(name="limits", namespace="shop")},
    "max-selected": {**rules(PODS), **params(selector={"matchLabels": {"for": "pods"}})},
    "max-none": {**rules(PODS), **params(selector={"matchLabels": {"for": "none"}})},
    "max-of-namespaces": {**rules(NAMESPACES), **params(name="limits")},
    "max-condition": {
        **rules(PODS),
        **params(name="limits"),
        "matchConditions": [{"name": "max", "expression": "params.data.max == '3'"}],
        **NEVER,
    },
    "equivalent": {
        **rules(
            {
                "apiGroups": ["autoscaling"],
                "apiVersions": ["v1"],
                "operations": ["CREATE"],
                "resources": ["horizontalpodautoscalers"],
            }
        ),
        **says(
            "object.apiVersion == ''",
            messageExpression="object.apiVersion + ' ' + request.requestKind.version",
        ),
    },
    "exact": {
        **rules(
            {
                "apiGroups": ["autoscaling"],
                "apiVersions": ["v1"],
                "operations": ["CREATE"],
                "resources": ["horizontalpodautoscalers"],
            },
            matchPolicy="Exact",
        ),
        **NEVER,
    },
}

REFUSING: dict[str, dict[str, Any]] = {
    "max-denied": {
        **rules({**PODS, "resourceNames": ["lost"]}),
        **params(name="limits", parameterNotFoundAction="Deny"),
    },
    "max-of-cluster-scoped": {
        **rules({**ANYTHING, "resources": ["storageclasses"], "resourceNames": ["lost"]}),
        **params(name="limits"),
    },
}
"""Without parameters the API server refuses whatever the actions are, and asks no webhook any more."""
ALL = {**POLICIES, **REFUSING}


def native(name: str) -> dict[str, Any]:
    spec = {**ALL[name], "existingViolations": "Deny", "validationActions": ["Warn"]}
    return {
        "apiVersion": "tidewaiter.dev/v1alpha1",
        "kind": "ClusterPolicy",
        "metadata": {"name": name},
        "spec": spec,
    }


def as_vap(name: str) -> list[dict[str, Any]]:
    spec = dict(ALL[name])
    spec["validations"] = [
        {key: value for key, value in validation.items() if key != "name"}
        for validation in spec["validations"]
    ]
    binding: dict[str, Any] = {"policyName": name, "validationActions": ["Warn"]}
    if "paramRef" in spec:
        binding["paramRef"] = spec.pop("paramRef")
    return [
        {
            "apiVersion": "admissionregistration.k8s.io/v1",
            "kind": kind,
            "metadata": {"name": name},
            "spec": content,
        }
        for kind, content in (
            ("ValidatingAdmissionPolicy", spec),
            ("ValidatingAdmissionPolicyBinding", binding),
        )
    ]


def namespace(name: str, **labels: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}


def pod(name: str = "web", **labels: str) -> dict[str, Any]:
    metadata: dict[str, Any] = {"labels": labels} if labels else {}
    metadata["generateName" if name.endswith("-") else "name"] = name
    spec = {"containers": [{"name": "app", "image": "x.example.com/app:1"}]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}


def config(name: str, where: str, most: str, **labels: str) -> dict[str, Any]:
    return {
        **CONFIG_MAPS,
        "metadata": {"name": name, "namespace": where, "labels": labels},
        "data": {"max": most},
    }


NAMESPACE_OBJECTS = (namespace("shop", stage="prod"), namespace("lab", stage="dev"))
CONFIGS = (config("limits", "shop", "3", **{"for": "pods"}), config("more", "shop", "9", **{"for": "pods"}))
DEPLOYMENT = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "web"},
    "spec": {
        "replicas": 1,
        "selector": {"matchLabels": {"a": "b"}},
        "template": {"metadata": {"labels": {"a": "b"}}, "spec": pod()["spec"]},
    },
}
STORAGE_CLASS = {
    "apiVersion": "storage.k8s.io/v1",
    "kind": "StorageClass",
    "metadata": {"name": "fast"},
    "provisioner": "x.example.com/p",
}


def autoscaler(version: str) -> dict[str, Any]:
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}
    return {
        "apiVersion": f"autoscaling/{version}",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": "web"},
        "spec": {"maxReplicas": 2, "scaleTargetRef": target},
    }


SHOP, LAB = "/api/v1/namespaces/shop", "/api/v1/namespaces/lab"
APPS = "/apis/apps/v1/namespaces/shop/deployments"
HPA = "/apis/autoscaling/{}/namespaces/shop/horizontalpodautoscalers"
MERGE = "application/merge-patch+json"
DEBUG = {"spec": {"ephemeralContainers": [{"name": "debug", "image": "x.example.com/debug:1"}]}}
CASES: dict[str, tuple[str, str, Any]] = {
    "create": ("POST", f"{SHOP}/pods", pod("api")),
    "create by name": ("POST", f"{SHOP}/pods", pod("web2")),
    "create with generated name": ("POST", f"{SHOP}/pods", pod("web-")),
    "create guarded": ("POST", f"{SHOP}/pods", pod("api", guard="on")),
    "create free": ("POST", f"{SHOP}/pods", pod("api", free="yes")),
    "create with team a": ("POST", f"{SHOP}/pods", pod("api", team="a")),
    "create with team b": ("POST", f"{SHOP}/pods", pod("api", team="b")),
    "create in dev": ("POST", f"{LAB}/pods", pod("api")),
    "create named in dev": ("POST", f"{LAB}/pods", pod("web")),
    "update": ("PATCH", f"{SHOP}/pods/web", {"metadata": {"labels": {"x": "y"}}}),
    "update guards": ("PATCH", f"{SHOP}/pods/web", {"metadata": {"labels": {"guard": "on"}}}),
    "update unguards": ("PATCH", f"{SHOP}/pods/guarded", {"metadata": {"labels": None}}),
    "update frees": ("PATCH", f"{SHOP}/pods/web", {"metadata": {"labels": {"free": "yes"}}}),
    "update frees the free": ("PATCH", f"{SHOP}/pods/free", {"metadata": {"labels": {"x": "y"}}}),
    "update of status": ("PATCH", f"{SHOP}/pods/web/status", {"status": {"message": "x"}}),
    "ephemeral container": ("PATCH", f"{SHOP}/pods/web/ephemeralcontainers", DEBUG),
    "resize": (
        "PATCH",
        f"{SHOP}/pods/web/resize",
        {"spec": {"containers": [{"name": "app", "image": "x.example.com/app:1"}]}},
    ),
    "eviction": (
        "POST",
        f"{SHOP}/pods/web/eviction",
        {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": "web"}},
    ),
    "delete": ("DELETE", f"{SHOP}/pods/web", None),
    "delete guarded": ("DELETE", f"{SHOP}/pods/guarded", None),
    "delete free": ("DELETE", f"{SHOP}/pods/free", None),
    "delete all free": ("DELETE", f"{SHOP}/pods?labelSelector=free", None),
    "exec": ("POST", f"{SHOP}/pods/web/exec?command=sh&stdout=true", None),
    "exec other": ("POST", f"{SHOP}/pods/web/exec?command=ls&command=-l&stdout=true", None),
    "attach": ("POST", f"{SHOP}/pods/web/attach?stdout=true", None),
    "create deployment": ("POST", APPS, {**DEPLOYMENT, "metadata": {"name": "api"}}),
    "scale up": ("PATCH", f"{APPS}/web/scale", {"spec": {"replicas": 5}}),
    "scale a little": ("PATCH", f"{APPS}/web/scale", {"spec": {"replicas": 2}}),
    "create config": ("POST", f"{SHOP}/configmaps", {**CONFIG_MAPS, "metadata": {"name": "c"}}),
    "create namespace": ("POST", "/api/v1/namespaces", namespace("new")),
    "create prod namespace": ("POST", "/api/v1/namespaces", namespace("new", stage="prod")),
    "namespace to dev": ("PATCH", SHOP, {"metadata": {"labels": {"stage": "dev"}}}),
    "namespace to prod": ("PATCH", LAB, {"metadata": {"labels": {"stage": "prod"}}}),
    "namespace guarded": ("PATCH", LAB, {"metadata": {"labels": {"guard": "on"}}}),
    "namespace status": ("PATCH", f"{LAB}/status", {"metadata": {"labels": {"stage": "prod"}}}),
    "delete prod namespace": ("DELETE", SHOP, None),
    "delete dev namespace": ("DELETE", LAB, None),
    "create storage class": ("POST", "/apis/storage.k8s.io/v1/storageclasses", STORAGE_CLASS),
    "autoscaler v1": ("POST", HPA.format("v1"), autoscaler("v1")),
    "autoscaler v2": ("POST", HPA.format("v2"), autoscaler("v2")),
    "role": (
        "POST",
        "/apis/rbac.authorization.k8s.io/v1/clusterroles",
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "ClusterRole",
            "metadata": {"name": "r"},
            "rules": [],
        },
    ),
}


class _Keeper(http.server.ThreadingHTTPServer):
    """Lets every request in and keeps its path and review."""

    daemon_threads = True

    def __init__(self, certificate: str, key: str) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        self.socket = context.wrap_socket(self.socket, server_side=True)
        self.kept: list[tuple[str, dict[str, Any]]] = []


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        review = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        assert isinstance(self.server, _Keeper)
        self.server.kept.append((urllib.parse.urlsplit(self.path).path, review))
        answer = {**review, "response": {"uid": review["request"]["uid"], "allowed": True}}
        del answer["request"]
        body = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


class _Beside:
    """A control plane that judges by its own policies, and what it sent to the webhook."""

    def __init__(self, plane: ControlPlane, keeper: _Keeper) -> None:
        self.plane = plane
        self.keeper = keeper
        self.context = ssl.create_default_context(cafile=str(plane.ca_file))
        self.context.load_cert_chain(plane.cert_file, plane.key_file)

    def send(self, method: str, path: str, body: Any) -> tuple[int, list[str], str]:
        """Return the status, the warnings and the body of one dry-run request."""
        where = urllib.parse.urlsplit(self.plane.url)
        connection = http.client.HTTPSConnection(where.netloc, context=self.context, timeout=30)
        dry = "" if "stdout" in path else ("&" if "?" in path else "?") + "dryRun=All"
        kind = MERGE if method == "PATCH" else "application/json"
        if "ephemeralcontainers" in path or "resize" in path:
            kind = "application/strategic-merge-patch+json"
        data = None if body is None else json.dumps(body)
        connection.request(method, path + dry, data, {"Content-Type": kind, "Accept": "application/json"})
        answer = connection.getresponse()
        warnings = [text.partition('"')[2][:-1] for text in answer.headers.get_all("Warning") or ()]
        text = answer.read().decode()
        connection.close()
        return answer.status, warnings, text


@pytest.fixture(scope="module")
def beside(assets: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[_Beside]:
    folder = tmp_path_factory.mktemp("beside-vap")
    pair = write_pair(folder)
    keeper = _Keeper(pair.certificate, pair.key)
    thread = threading.Thread(target=keeper.serve_forever, daemon=True)
    with ControlPlane(assets, folder / "plane") as plane:
        thread.start()
        known = _Beside(plane, keeper)
        _fill(plane)
        endpoint = Endpoint(
            Path(pair.certificate).read_bytes(), url=f"https://127.0.0.1:{keeper.server_port}"
        )
        policies = [compile_policy(native(name)) for name in POLICIES]
        objects = [desired(policies, Registration("tidewaiter", endpoint))]
        objects += [obj for name in ALL for obj in as_vap(name)]
        _apply(plane, objects)
        _wait(known)
        yield known
    keeper.shutdown()
    thread.join()
    keeper.server_close()


def _apply(plane: ControlPlane, objects: list[dict[str, Any]]) -> None:
    text = json.dumps({"apiVersion": "v1", "kind": "List", "items": objects})
    plane.kubectl("create", "-f", "-", input=text, check=True)


def _fill(plane: ControlPlane) -> None:
    _apply(plane, [*NAMESPACE_OBJECTS, *CONFIGS])
    pods = [pod("web"), pod("guarded", guard="on"), pod("free", free="yes")]
    for obj in (*pods, DEPLOYMENT):
        obj["metadata"]["namespace"] = "shop"
    _apply(plane, [*pods, DEPLOYMENT])


def _wait(known: _Beside) -> None:
    """Wait until every policy judges, its parameters included: two equal answers a second apart."""
    deadline, before = time.monotonic() + 30, None
    while time.monotonic() < deadline:
        warned = {
            name: sorted(known.send(*CASES[name])[1])
            for name in ("create", "create storage class", "autoscaler v1")
        }
        if before == warned and any("'max-here'" in text for text in warned["create"]) and known.keeper.kept:
            return
        before = warned
        time.sleep(1)
    raise TimeoutError(f"the policies do not all judge: {before}")


def theirs(warnings: list[str]) -> set[tuple[str, str]]:
    """Return what the API server's own policies say: policy and message, or that it failed."""
    said = set()
    for text in warnings:
        text = text.replace('\\"', '"').replace("\\\\", "\\")
        if not text.startswith("Validation failed for ValidatingAdmissionPolicy"):
            continue
        name, message = text.split("'")[1], text.split("': ", 1)[1]
        said.add((name, "error" if _is_error(message) else message))
    return said


def _is_error(message: str) -> bool:
    return any(
        part in message for part in ("resulted in error", "no params found", "cannot use namespaced paramRef")
    )


def ours(kept: list[tuple[str, dict[str, Any]]], snapshot: Snapshot) -> set[tuple[str, str]]:
    """Return what the same reviews give here, each by the path it was sent to."""
    said = set()
    for path, review in kept:
        _, _, scope, versions = path.split("/")
        selection = Selection(scope, "*" if versions == "any" else versions.replace(".", ","))
        verdict = evaluate(AdmissionRequest.parse(review), snapshot, NOW, selection=selection)
        said |= {(violation.policy.name, violation.message) for violation in verdict.violations}
        said |= {(error.policy.name, "error") for error in verdict.errors if error.actions}
    return said


@pytest.fixture(scope="module")
def snapshot() -> Snapshot:
    named = [
        {
            **obj,
            "metadata": {
                **obj["metadata"],
                "labels": {**obj["metadata"]["labels"], NAME: obj["metadata"]["name"]},
            },
        }
        for obj in NAMESPACE_OBJECTS
    ]
    return build([*map(native, POLICIES), *named, *CONFIGS])


NAME = "kubernetes.io/metadata.name"


@pytest.mark.parametrize("case", CASES)
def test_both_say_the_same_of_a_request(case: str, beside: _Beside, snapshot: Snapshot) -> None:
    beside.keeper.kept.clear()
    status, warnings, text = beside.send(*CASES[case])
    said = theirs(warnings)
    assert said, f"{status} {text}: no policy of the API server judged it"
    assert ours(list(beside.keeper.kept), snapshot) == said


@pytest.mark.parametrize(
    ("policy", "path", "obj", "why"),
    [
        ("max-denied", f"{LAB}/pods", pod("lost"), "no params found"),
        (
            "max-of-cluster-scoped",
            "/apis/storage.k8s.io/v1/storageclasses",
            {**STORAGE_CLASS, "metadata": {"name": "lost"}},
            "cannot use namespaced paramRef",
        ),
    ],
)
def test_both_refuse_what_has_no_parameters(
    policy: str, path: str, obj: dict[str, Any], why: str, beside: _Beside
) -> None:
    status, _, text = beside.send("POST", path, obj)
    assert status >= 400
    assert why in text
    resource = path.rpartition("/")[2]
    place = "lab" if resource == "pods" else ""
    made = native(policy)
    made["spec"]["validationActions"] = ["Deny"]
    known = build([made, *NAMESPACE_OBJECTS, *CONFIGS])
    assert evaluate(request_for(obj, resource=resource, namespace=place), known, NOW).errors

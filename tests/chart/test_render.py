"""What the chart makes of its values, and which values it refuses."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.chart.helm import CHART, NAMESPACE, ROOT, Helm
from tests.controlplane import ControlPlane
from webhook.adapters.schema import KINDS

PACKS = ("pss-baseline", "pss-restricted")
SCHEMA = json.loads((CHART / "values.schema.json").read_text())


def named(objects: list[dict[str, Any]], kind: str, name: str = "tidewaiter") -> dict[str, Any]:
    (found,) = (each for each in objects if (each["kind"], each["metadata"]["name"]) == (kind, name))
    return found


def of_kind(objects: list[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    return [each for each in objects if each["kind"] == kind]


def container(objects: list[dict[str, Any]], name: str) -> dict[str, Any]:
    containers = named(objects, "Deployment")["spec"]["template"]["spec"]["containers"]
    (found,) = (each for each in containers if each["name"] == name)
    return dict(found)


KEY_FILE = "/run/tidewaiter/evidence-key/evidence.pem"

# Some sets of values that people have.

VALUES: dict[str, dict[str, Any]] = {
    "defaults": {},
    "first rollout": {
        "cluster": "eu-west-1",
        "enforcement": {"maxAction": "Audit", "failurePolicy": "Ignore"},
        "packs": {name: {"enabled": True, "validationActions": ["Warn", "Audit"]} for name in PACKS},
        "exemptNamespaces": ["kube-public", "calico-system"],
        "exemptUsers": ["system:serviceaccount:velero:velero"],
    },
    "cert-manager": {"tls": {"mode": "certManager"}, "webhook": {"url": "https://10.0.0.7:9443"}},
    "cert-manager, own issuer": {
        "tls": {
            "mode": "certManager",
            "certManager": {
                "issuerRef": {"name": "corp", "kind": "ClusterIssuer", "group": "cert-manager.io"}
            },
        },
        "webhook": {"url": "https://webhook.example.com"},
    },
    "given files": {
        "tls": {
            "mode": "existingSecret",
            "existingSecret": "webhook-tls",
            "minVersion": "1.2",
            "clientAuthority": {"secretName": "apiserver-ca"},
        }
    },
    "everything": {
        "fullnameOverride": "guard",
        "image": {"repository": "registry.example.com/tidewaiter", "digest": "sha256:" + "a" * 64},
        "imagePullSecrets": [{"name": "pull"}],
        "replicas": 3,
        "risk": {"administratorGroups": ["risk-office"]},
        "webhook": {
            "bindAddress": "[::]",
            "workers": 4,
            "extraArgs": ["--max-body=4MiB"],
            "resources": {"limits": {"memory": "1Gi", "cpu": 2}},
        },
        "evidence": {
            "output": "files",
            "keySecret": "evidence",
            "volume": {"persistentVolumeClaim": {"claimName": "evidence"}},
            "otlp": {
                "endpoint": "https://collector.example.com",
                "headersSecret": "token",
                "authoritySecret": "authority",
            },
        },
        "log": {"level": "debug", "format": "text"},
        "metrics": {"serviceMonitor": {"enabled": True, "labels": {"release": "prometheus"}}},
        "networkPolicy": {
            "metricsNamespaces": ["monitoring"],
            "apiServerPorts": [6443],
            "extraEgress": [{"ports": [{"port": 53, "protocol": "UDP"}]}],
        },
        "podDisruptionBudget": {"maxUnavailable": "50%"},
        "priorityClass": {"create": True, "name": "tidewaiter-critical"},
        "topologySpreadConstraints": [],
        "nodeSelector": {"pool": "system"},
        "tolerations": [{"key": "CriticalAddonsOnly", "operator": "Exists"}],
        "affinity": {"nodeAffinity": {}},
        "podAnnotations": {"example.com/a": "1"},
        "podLabels": {"team": "platform"},
        "commonLabels": {"part": "security"},
        "serviceAccount": {"name": "webhook", "annotations": {"example.com/b": "2"}},
        "rbac": {
            "paramKinds": [{"apiGroup": "", "resources": ["configmaps"]}],
            "aggregateUserRoles": True,
        },
    },
    "little": {
        "replicas": 1,
        "networkPolicy": {"enabled": False},
        "podDisruptionBudget": {"enabled": False},
        "rbac": {"userRoles": False},
        "risk": {"admissionPolicy": False},
        "evidence": {"enabled": False},
        "crds": {"upgrade": False},
        "uninstall": {"hook": False},
    },
}


@pytest.mark.parametrize("name", VALUES)
def test_lint_finds_nothing(helm: Helm, name: str) -> None:
    done = helm.run("lint", "--strict", str(CHART), values=VALUES[name])
    assert "0 chart(s) failed" in done.stdout
    assert "[WARNING]" not in done.stdout
    assert "[ERROR]" not in done.stdout


def test_both_helms_render_the_same(helms: Path, tmp_path: Path) -> None:
    three, four = (Helm(helms / name, tmp_path) for name in ("helm", "helm4"))
    for values in VALUES.values():
        assert three.template(values) == four.template(values)


@pytest.fixture(scope="module")
def plane(assets: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """Return an API server with our kinds, and stand-ins for those of others."""
    with ControlPlane(assets, tmp_path_factory.mktemp("render")) as started:
        started.kubectl("apply", "-k", str(CHART / "crds"), check=True)
        others = [
            ("monitoring.coreos.com", "v1", "ServiceMonitor"),
            ("cert-manager.io", "v1", "Issuer"),
            ("cert-manager.io", "v1", "Certificate"),
        ]
        text = "\n---\n".join(json.dumps(definition(*other)) for other in others)
        started.kubectl("apply", "-f", "-", input=text, check=True)
        started.kubectl("wait", "--for=condition=Established", "--timeout=60s", "crds", "--all", check=True)
        for name in (NAMESPACE, "default-2"):
            started.kubectl("create", "namespace", name, check=True)
        yield started


def definition(group: str, version: str, kind: str) -> dict[str, Any]:
    plural = f"{kind.lower()}s"
    schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    served = {"name": version, "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{group}"},
        "spec": {
            "group": group,
            "names": {"kind": kind, "plural": plural, "singular": kind.lower(), "listKind": f"{kind}List"},
            "scope": "Namespaced",
            "versions": [served],
        },
    }


@pytest.mark.e2e
@pytest.mark.xdist_group("chart-render")
@pytest.mark.parametrize("name", VALUES)
def test_the_api_server_takes_every_object(
    helms: Path, tmp_path: Path, plane: ControlPlane, name: str
) -> None:
    objects = Helm(helms / "helm4", tmp_path).template(VALUES[name])
    text = "\n---\n".join(json.dumps(each) for each in objects)
    done = plane.kubectl(
        *("apply", "--dry-run=server", "--server-side", "--validate=strict", "-f", "-"), input=text
    )
    assert done.returncode == 0, done.stderr
    assert "Warning" not in done.stderr
    assert len(done.stdout.splitlines()) == len(objects)


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "a misspelt value": ({"replica": 3}, "replica"),
    "a misspelt value inside": ({"enforcement": {"maxaction": "Warn"}}, "maxaction"),
    "an action that isn't one": ({"enforcement": {"maxAction": "Dryrun"}}, "maxAction"),
    "a pack that isn't there": ({"packs": {"pss-privileged": {"enabled": True}}}, "pss-privileged"),
    "Deny with Warn": (
        {"packs": {"pss-baseline": {"enabled": True, "validationActions": ["Deny", "Warn"]}}},
        "validationActions",
    ),
    "a version of the standards that isn't one": (
        {"packs": {"pss-baseline": {"version": "1.30"}}},
        "version",
    ),
    "a digest that isn't one": ({"image": {"digest": "sha256:abc"}}, "digest"),
    "a webhook without TLS": ({"webhook": {"url": "http://10.0.0.7"}}, "url"),
    "a user that can't be quoted": ({"exemptUsers": ["it's me"]}, "exemptUsers"),
    "a label that YAML takes for a boolean": (
        {"webhook": {"configurationLabels": {"admissions.enforcer/disabled": True}}},
        "configurationLabels",
    ),
    "a label that is ours": (
        {"webhook": {"configurationLabels": {"app.kubernetes.io/name": "a"}}},
        "invalid propertyName 'app.kubernetes.io/name'",
    ),
    "no replicas": ({"replicas": 0}, "replicas"),
    "given files, not named": ({"tls": {"mode": "existingSecret"}}, "name it in tls.existingSecret"),
    "Secrets as parameters": (
        {"rbac": {"paramKinds": [{"apiGroup": "", "resources": ["secrets"]}]}},
        "Secrets can't be parameters",
    ),
    "everything as parameters": (
        {"rbac": {"paramKinds": [{"apiGroup": "*", "resources": ["*"]}]}},
        "Secrets can't be parameters",
    ),
    "everything for the audit": (
        {"audit": {"kinds": [{"apiGroup": "", "resources": ["*"]}]}},
        "* would bring Secrets with them",
    ),
    "reports of no kind": ({"audit": {"reports": "sarif"}}, "reports"),
    "evidence that goes nowhere": ({"evidence": {"output": "none"}}, "say where the decision log goes"),
    "evidence in files without a volume": ({"evidence": {"output": "files"}}, "give evidence.volume"),
    "a collector that is none": ({"evidence": {"otlp": {"endpoint": "collector:4318"}}}, "endpoint"),
    "a class of Kubernetes' own": (
        {"priorityClass": {"create": True, "name": "system-node-critical"}},
        "names that start with system- are Kubernetes' own",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_wrong_values_are_refused_by_their_name(helm: Helm, name: str) -> None:
    values, told = REFUSED[name]
    assert told in helm.refusal(values)


# The Pods.


@pytest.mark.parametrize("name", VALUES)
def test_our_own_pods_pass_the_restricted_pack(helms: Path, tmp_path: Path, name: str) -> None:
    workloads = [
        each
        for each in Helm(helms / "helm", tmp_path).template(VALUES[name])
        if each["kind"] in ("Deployment", "Job")
    ]
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "webhook",
            "check",
            "-",
            "--policies",
            "policies/pss-restricted",
            "-o",
            "json",
        ],
        input="\n---\n".join(json.dumps(each) for each in workloads),
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(json.loads(done.stdout)["verdicts"]) == len(workloads)


def test_only_the_operator_has_a_token(helms: Path, tmp_path: Path) -> None:
    objects = Helm(helms / "helm", tmp_path).template({})
    pod = named(objects, "Deployment")["spec"]["template"]["spec"]
    assert pod["automountServiceAccountToken"] is False
    assert named(objects, "ServiceAccount")["automountServiceAccountToken"] is False
    (volume,) = (each for each in pod["volumes"] if "projected" in each)
    with_token = [
        each["name"]
        for each in pod["containers"]
        if volume["name"] in [mount["name"] for mount in each["volumeMounts"]]
    ]
    assert with_token == ["operator"]
    writable = {
        each["name"]: {mount["name"] for mount in each["volumeMounts"] if not mount.get("readOnly")}
        for each in pod["containers"]
    }
    assert writable == {"webhook": {"snapshot", "counters"}, "operator": {"snapshot", "certs"}}


@pytest.mark.parametrize(
    ("values", "plane_name", "argument"),
    [
        ({"enforcement": {"maxAction": "Warn"}}, "operator", "--max-action=Warn"),
        ({"enforcement": {"failurePolicy": "Ignore"}}, "operator", "--failure-policy=Ignore"),
        ({"exemptNamespaces": ["a", "b"]}, "operator", "--exempt-namespace=b"),
        (
            {"exemptUsers": ["system:serviceaccount:a:b"]},
            "operator",
            "--exempt-user=system:serviceaccount:a:b",
        ),
        ({"risk": {"administratorGroups": ["office"]}}, "operator", "--risk-admin-group=office"),
        ({"cluster": "eu"}, "operator", "--cluster=eu"),
        ({"webhook": {"url": "https://h:1"}}, "operator", "--webhook-url=https://h:1"),
        ({"webhook": {"configurationName": "other"}}, "operator", "--webhook-name=other"),
        (
            {"webhook": {"configurationLabels": {"admissions.enforcer/disabled": "true"}}},
            "operator",
            "--webhook-label=admissions.enforcer/disabled=true",
        ),
        ({"tls": {"mode": "certManager"}}, "operator", "--cert-source=/run/tidewaiter/cert-source"),
        ({"tls": {"minVersion": "1.2"}}, "webhook", "--tls-min-version=1.2"),
        (
            {"tls": {"clientAuthority": {"secretName": "s", "key": "k"}}},
            "webhook",
            "--client-ca=/run/tidewaiter/client-authority/k",
        ),
        ({"webhook": {"workers": 3}}, "webhook", "--workers=3"),
        ({"webhook": {"maxInFlight": 100000}}, "webhook", "--max-in-flight=100000"),
        ({"webhook": {"drainSeconds": 25}}, "webhook", "--drain-seconds=25"),
        (
            {"evidence": {"keySecret": "k"}},
            "webhook",
            "--evidence-key=/run/tidewaiter/evidence-key/evidence.pem",
        ),
        (
            {"evidence": {"output": "files", "volume": {"emptyDir": {}}}},
            "webhook",
            "--evidence-dir=/var/log/tidewaiter/evidence",
        ),
        (
            {"evidence": {"output": "none", "otlp": {"endpoint": "http://c:4318"}}},
            "webhook",
            "--evidence-otlp=http://c:4318",
        ),
        ({"audit": {"enabled": False}}, "operator", "--no-audit"),
        ({"audit": {"reports": "wgpolicy"}}, "operator", "--audit-reports=wgpolicy"),
        ({"log": {"level": "error"}}, "webhook", "--log-level=error"),
        ({"log": {"format": "text"}}, "operator", "--log-format=text"),
        ({"operator": {"extraArgs": ["--settle-seconds=5"]}}, "operator", "--settle-seconds=5"),
    ],
)
def test_values_reach_the_commands(
    helms: Path, tmp_path: Path, values: Mapping[str, Any], plane_name: str, argument: str
) -> None:
    helm = Helm(helms / "helm", tmp_path)
    assert argument in container(helm.template(values), plane_name)["args"]
    assert argument not in container(helm.template({}), plane_name)["args"]


@pytest.mark.parametrize("name", VALUES)
def test_every_argument_is_an_option_of_its_command(helms: Path, tmp_path: Path, name: str) -> None:
    for each in Helm(helms / "helm", tmp_path).template(VALUES[name]):
        if each["kind"] in ("Deployment", "Job"):
            for one in each["spec"]["template"]["spec"]["containers"]:
                command, *options = one["args"]
                words = [command, *([] if options[:1] != ["apply"] else [options.pop(0)])]
                text = subprocess.run(
                    [sys.executable, "-m", "webhook", *words, "--help"],
                    capture_output=True,
                    text=True,
                    cwd=ROOT,
                    check=True,
                ).stdout
                known = set(re.findall(r"--[a-z-]+", text))
                assert {option.partition("=")[0] for option in options} <= known, one["name"]


def test_only_the_data_plane_can_sign_the_decision_log(helms: Path, tmp_path: Path) -> None:
    helm = Helm(helms / "helm", tmp_path)
    for values, key, environment in (
        ({"keySecret": "k"}, True, []),
        ({"otlp": {"endpoint": "https://c", "headersSecret": "h"}}, False, ["OTEL_EXPORTER_OTLP_HEADERS"]),
        ({"enabled": False, "keySecret": "k", "otlp": {"headersSecret": "h"}}, False, []),
    ):
        objects = helm.template({"evidence": values})
        webhook, operator = (container(objects, name) for name in ("webhook", "operator"))
        mounted = {mount["name"]: mount for mount in webhook["volumeMounts"]}
        assert ("evidence-key" in mounted) is key
        assert not key or mounted["evidence-key"]["readOnly"] is True
        assert "evidence-key" not in {mount["name"] for mount in operator["volumeMounts"]}
        assert [each["name"] for each in webhook.get("env", [])] == environment
    assert not any("--evidence" in word for word in container(objects, "webhook")["args"])


@pytest.mark.parametrize(
    ("endpoint", "port"),
    [("http://c:4318", 4318), ("https://c.example.com/otlp", 443), ("http://c", 80), ("", None)],
)
def test_the_network_policy_lets_the_log_out_to_its_collector(
    helms: Path, tmp_path: Path, endpoint: str, port: int | None
) -> None:
    objects = Helm(helms / "helm", tmp_path).template({"evidence": {"otlp": {"endpoint": endpoint}}})
    egress = named(objects, "NetworkPolicy")["spec"]["egress"][1:]
    expected = [[(port, "TCP")], [(53, "UDP"), (53, "TCP")]] if port else []
    assert [[(each["port"], each["protocol"]) for each in rule["ports"]] for rule in egress] == expected


def test_a_digest_wins_over_a_tag(helms: Path, tmp_path: Path) -> None:
    helm = Helm(helms / "helm", tmp_path)
    digest = "sha256:" + "a" * 64
    for image, expected in (
        ({}, "tidewaiter:0.1.0"),
        ({"repository": "r.example.com/t", "tag": "1"}, "r.example.com/t:1"),
        ({"repository": "r.example.com/t", "tag": "1", "digest": digest}, f"r.example.com/t@{digest}"),
    ):
        objects = helm.template({"image": image})
        pods = [each["spec"]["template"]["spec"] for each in objects if each["kind"] in ("Deployment", "Job")]
        assert {one["image"] for pod in pods for one in pod["containers"]} == {expected}


# What keeps it up.


def selected(selector: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    return selector["matchLabels"].items() <= labels.items()


def test_replicas_are_spread_protected_and_drained(helms: Path, tmp_path: Path) -> None:
    objects = Helm(helms / "helm", tmp_path).template({"webhook": {"drainSeconds": 30}})
    deployment = named(objects, "Deployment")["spec"]
    template = deployment["template"]
    labels, pod = template["metadata"]["labels"], template["spec"]
    assert deployment["replicas"] == 2
    assert deployment["strategy"]["rollingUpdate"]["maxUnavailable"] == 0
    keys = {each["topologyKey"] for each in pod["topologySpreadConstraints"]}
    assert keys == {"kubernetes.io/hostname", "topology.kubernetes.io/zone"}
    assert all(selected(each["labelSelector"], labels) for each in pod["topologySpreadConstraints"])
    assert pod["priorityClassName"] == "system-cluster-critical"
    assert pod["terminationGracePeriodSeconds"] > 30, "it drains before it is killed"
    budget = named(objects, "PodDisruptionBudget")["spec"]
    assert budget["maxUnavailable"] == 1
    assert selected(budget["selector"], labels)
    assert selected(named(objects, "NetworkPolicy")["spec"]["podSelector"], labels)
    for service in of_kind(objects, "Service"):
        assert service["spec"]["selector"].items() <= labels.items()


def test_both_containers_are_probed_and_only_who_answers_takes_a_pod_out(helms: Path, tmp_path: Path) -> None:
    objects = Helm(helms / "helm", tmp_path).template({})
    probes = {
        name: {
            kind: each["httpGet"]["path"]
            for kind, each in container(objects, name).items()
            if "Probe" in kind
        }
        for name in ("webhook", "operator")
    }
    alive = {"startupProbe": "/livez", "livenessProbe": "/livez"}
    assert probes == {"webhook": {**alive, "readinessProbe": "/readyz"}, "operator": alive}
    for name in probes:
        ports = {each["name"] for each in container(objects, name)["ports"]}
        used = {each["httpGet"]["port"] for kind, each in container(objects, name).items() if "Probe" in kind}
        assert used <= ports


def test_a_service_monitor_comes_on_request_and_reads_both_planes(helms: Path, tmp_path: Path) -> None:
    helm = Helm(helms / "helm", tmp_path)
    assert not of_kind(helm.template({}), "ServiceMonitor")
    objects = helm.template({"metrics": {"serviceMonitor": {"enabled": True, "labels": {"release": "one"}}}})
    monitor = named(objects, "ServiceMonitor")
    assert monitor["metadata"]["labels"]["release"] == "one"
    (service,) = (
        each
        for each in of_kind(objects, "Service")
        if selected(monitor["spec"]["selector"], each["metadata"]["labels"])
    )
    ports = {each["name"]: each["targetPort"] for each in service["spec"]["ports"]}
    assert {ports[each["port"]] for each in monitor["spec"]["endpoints"]} == {"metrics", "op-metrics"}


# Rights.


def test_the_operator_may_read_no_secret_but_its_own(helms: Path, tmp_path: Path) -> None:
    helm = Helm(helms / "helm", tmp_path)
    for values in ({}, {"tls": {"mode": "certManager"}}):
        objects = helm.template(values)
        rules = [
            (each["kind"], rule)
            for each in of_kind(objects, "ClusterRole") + of_kind(objects, "Role")
            for rule in each["rules"]
            if {"secrets", "*"} & set(rule["resources"]) and {"", "*"} & set(rule["apiGroups"])
        ]
        if values:
            assert rules == []
        else:
            ((kind, rule),) = rules
            assert (kind, rule["resourceNames"]) == ("Role", ["tidewaiter-certificates"])


def test_the_audit_may_read_what_its_values_say_and_write_reports_alone(helms: Path, tmp_path: Path) -> None:
    helm = Helm(helms / "helm", tmp_path)

    def rights(audit: Mapping[str, Any]) -> set[tuple[str, str, str]]:
        role = named(helm.template({"audit": audit}), "ClusterRole")
        return {
            (group, resource, verb)
            for rule in role["rules"]
            for group in rule["apiGroups"]
            for resource in rule["resources"]
            for verb in rule["verbs"]
        }

    none = rights({"enabled": False})
    kinds = [{"apiGroup": "example.com", "resources": ["databases"]}]
    more = rights({"kinds": kinds}) - none
    assert {each for each in more if each[0] == "example.com"} == {
        ("example.com", "databases", verb) for verb in ("get", "list", "watch")
    }
    assert {each for each in more if each[0] != "example.com"} == {
        ("openreports.io", plural, verb)
        for plural in ("reports", "clusterreports")
        for verb in ("list", "create", "patch", "delete")
    }
    assert not {
        each for each in rights({"reports": "none"}) if each[0] in ("openreports.io", "wgpolicyk8s.io")
    }
    assert {each[0] for each in rights({"kinds": [], "reports": "wgpolicy"}) - none} == {"wgpolicyk8s.io"}


def test_rights_on_gatekeepers_kinds_come_with_the_mode(helms: Path, tmp_path: Path) -> None:
    helm = Helm(helms / "helm", tmp_path)

    def rights(**gatekeeper: Any) -> set[tuple[str, str, str]]:
        role = named(helm.template({"gatekeeper": gatekeeper}), "ClusterRole")
        return {
            (group, resource, verb)
            for rule in role["rules"]
            for group in rule["apiGroups"]
            for resource in rule["resources"]
            for verb in rule["verbs"]
        }

    none = rights()
    assert not {each for each in none if each[0].endswith(".gatekeeper.sh")}
    beside = rights(enabled=True, mode="beside") - none
    assert {verb for _, _, verb in beside} == {"list", "watch"}
    replacing = rights(enabled=True) - none - beside
    assert {each for each in replacing if each[0] == "apiextensions.k8s.io"} == {
        ("apiextensions.k8s.io", "customresourcedefinitions", verb) for verb in ("get", "create", "patch")
    }
    assert ("constraints.gatekeeper.sh", "*/status", "patch") in replacing
    kinds = [{"apiGroup": "example.com", "resources": ["widgets"]}]
    more = rights(enabled=True, mode="beside", syncKinds=kinds) - none - beside
    assert more == {("example.com", "widgets", verb) for verb in ("list", "watch")}
    arguments = container(helm.template({"gatekeeper": {"enabled": True}}), "operator")["args"]
    assert "--gatekeeper=replace" in arguments
    assert "--constraint-violations-limit=20" in arguments
    secrets = [{"apiGroup": "", "resources": ["secrets"]}]
    refused = helm.refusal({"gatekeeper": {"enabled": True, "syncKinds": secrets}})
    assert "Secrets are never synced" in refused


def test_no_right_of_the_chart_has_a_wildcard_verb_or_group(helms: Path, tmp_path: Path) -> None:
    objects = Helm(helms / "helm", tmp_path).template(VALUES["everything"])
    roles = of_kind(objects, "ClusterRole") + of_kind(objects, "Role")
    assert len(roles) >= 6
    for role in roles:
        for rule in role["rules"]:
            assert "*" not in rule["verbs"]
            assert "*" not in rule["apiGroups"]


def test_alerts_and_a_dashboard_are_made_where_they_are_asked_for(helm: Helm) -> None:
    kinds = {each["kind"] for each in helm.template({})}
    assert not kinds & {"PrometheusRule", "ConfigMap"}
    values = {
        "prometheusRule": {"enabled": True, "labels": {"release": "prometheus"}},
        "grafanaDashboard": {"enabled": True, "annotations": {"grafana_folder": "Security"}},
    }
    objects = helm.template({"metrics": values})
    rule = named(objects, "PrometheusRule")
    assert rule["spec"] == yaml.safe_load((CHART / "monitoring/alerts.yaml").read_text())
    assert rule["metadata"]["labels"]["release"] == "prometheus"
    board = named(objects, "ConfigMap", "tidewaiter-dashboard")
    assert board["metadata"]["labels"]["grafana_dashboard"] == "1"
    assert board["metadata"]["annotations"] == {"grafana_folder": "Security"}
    text = board["data"]["tidewaiter.json"]
    assert json.loads(text) == json.loads((CHART / "monitoring/dashboard.json").read_text())


def test_panels_of_the_dashboard_lie_beside_each_other() -> None:
    panels = json.loads((CHART / "monitoring/dashboard.json").read_text())["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        at = panel["gridPos"]
        assert at["x"] + at["w"] <= 24
        cells = {(at["x"] + x, at["y"] + y) for x in range(at["w"]) for y in range(at["h"])}
        assert not cells & taken, panel["title"]
        taken |= cells


PEOPLE = ("view", "requester", "approver", "auditor", "reader")


def verbs_of(role: dict[str, Any], resource: str) -> set[str]:
    return {verb for rule in role["rules"] if resource in rule["resources"] for verb in rule["verbs"]}


def test_nobody_is_bound_to_the_roles_for_people(helms: Path, tmp_path: Path) -> None:
    objects = Helm(helms / "helm", tmp_path).template({})
    people = {f"tidewaiter-{name}" for name in PEOPLE}
    assert people <= {each["metadata"]["name"] for each in of_kind(objects, "ClusterRole")}
    bindings = of_kind(objects, "ClusterRoleBinding") + of_kind(objects, "RoleBinding")
    assert people.isdisjoint(each["roleRef"]["name"] for each in bindings)


def test_who_asks_does_not_approve_and_who_audits_changes_nothing(helms: Path, tmp_path: Path) -> None:
    objects = Helm(helms / "helm", tmp_path).template({})
    reading = {"get", "list", "watch"}
    requester, approver, auditor, reader = (
        named(objects, "ClusterRole", f"tidewaiter-{name}") for name in PEOPLE[1:]
    )
    for resource in ("riskapprovals", "clusterriskapprovals", "riskappetites", "clusterpolicies"):
        assert verbs_of(requester, resource) == reading
    # Taking back is a patch; the guard lets somebody else than the requester change nothing else.
    assert verbs_of(approver, "riskacceptances") == reading | {"patch"}
    assert "update" not in verbs_of(approver, "riskapprovals")
    assert verbs_of(approver, "riskappetites") == reading
    for role in (auditor, reader):
        assert {verb for rule in role["rules"] for verb in rule["verbs"]} <= reading


def test_people_read_constraints_where_these_are_enforced(helms: Path, tmp_path: Path) -> None:
    for enabled in (False, True):
        objects = Helm(helms / "helm", tmp_path).template({"gatekeeper": {"enabled": enabled}})
        for name in ("requester", "approver", "auditor", "reader"):
            rules = named(objects, "ClusterRole", f"tidewaiter-{name}")["rules"]
            found = [rule["verbs"] for rule in rules if "constraints.gatekeeper.sh" in rule["apiGroups"]]
            assert found == ([["get", "list"]] if enabled else [])


def test_people_are_bound_as_the_values_say(helms: Path, tmp_path: Path) -> None:
    bind = {
        "requesters": {"groups": ["developers"], "namespaces": ["shop", "web"]},
        "approvers": {"groups": ["risk-owners"], "users": ["jane.doe@example.com"]},
        "auditors": {"groups": ["audit"]},
    }
    objects = Helm(helms / "helm", tmp_path).template({"rbac": {"bind": bind}})
    found = {
        (each["kind"], each["metadata"].get("namespace", ""), each["roleRef"]["name"]): {
            (subject["kind"], subject["name"]) for subject in each["subjects"]
        }
        for each in of_kind(objects, "ClusterRoleBinding") + of_kind(objects, "RoleBinding")
        if each["subjects"][0]["kind"] != "ServiceAccount"
    }
    developers, owners = (
        {("Group", "developers")},
        {("Group", "risk-owners"), ("User", "jane.doe@example.com")},
    )
    everybody = developers | owners | {("Group", "audit")}
    assert found == {
        ("ClusterRoleBinding", "", "tidewaiter-reader"): developers,
        ("RoleBinding", "shop", "tidewaiter-requester"): developers,
        ("RoleBinding", "web", "tidewaiter-requester"): developers,
        ("ClusterRoleBinding", "", "tidewaiter-approver"): owners,
        ("ClusterRoleBinding", "", "tidewaiter-auditor"): {("Group", "audit")},
        ("RoleBinding", NAMESPACE, "tidewaiter-view"): everybody,
    }


@pytest.mark.parametrize(
    "bind",
    [
        {"auditors": {"namespaces": ["shop"]}},
        {"requesters": {"groups": [""]}},
        {"owners": {"groups": ["a"]}},
        {"approvers": {"serviceAccounts": ["a"]}},
    ],
)
def test_bindings_that_can_not_be_meant_are_refused(
    helms: Path, tmp_path: Path, bind: dict[str, Any]
) -> None:
    assert "bind" in Helm(helms / "helm", tmp_path).refusal({"rbac": {"bind": bind}})


def test_the_hook_for_the_kinds_may_change_these_kinds_only(helms: Path, tmp_path: Path) -> None:
    (rule,) = named(Helm(helms / "helm", tmp_path).template({}), "ClusterRole", "tidewaiter-crds")["rules"]
    assert sorted(rule["resourceNames"]) == sorted(f"{kind.plural}.tidewaiter.dev" for kind in KINDS.values())
    assert rule["resources"] == ["customresourcedefinitions"]


# Packs and kinds.


def source(name: str) -> dict[str, Any]:
    (path,) = (ROOT / "policies").glob(f"*/{name}.yaml")
    return dict(yaml.load(path.read_text(), Loader=yaml.CSafeLoader))


@pytest.mark.parametrize(
    ("on", "folders"),
    [((), ()), (("pss-baseline",), PACKS[:1]), (("pss-restricted",), PACKS), (PACKS, PACKS)],
)
def test_packs_are_the_policies_of_the_repository(
    helms: Path, tmp_path: Path, on: tuple[str, ...], folders: tuple[str, ...]
) -> None:
    values = {"packs": {name: {"enabled": True} for name in on}}
    found = of_kind(Helm(helms / "helm", tmp_path).template(values), "ClusterPolicy")
    for each in found:
        labels = each["metadata"].pop("labels")
        assert labels["tidewaiter.dev/pack"] in folders
        assert each == source(each["metadata"]["name"])
    wanted = [
        path.stem
        for folder in folders
        for path in (ROOT / "policies" / folder).glob("*.yaml")
        if path.stem != "kustomization"
    ]
    assert sorted(each["metadata"]["name"] for each in found) == sorted(wanted)


def test_each_pack_has_actions_and_a_version_of_its_own(helms: Path, tmp_path: Path) -> None:
    helm = Helm(helms / "helm", tmp_path)
    baseline = {"enabled": True, "validationActions": ["Deny"], "version": "v1.30"}
    restricted = {"enabled": True, "validationActions": ["Warn"], "version": "v1.31"}
    found = of_kind(
        helm.template({"packs": {"pss-baseline": baseline, "pss-restricted": restricted}}), "ClusterPolicy"
    )
    seen = {
        (
            each["metadata"]["labels"]["tidewaiter.dev/pack"],
            tuple(each["spec"]["validationActions"]),
            each["spec"].get("params", {}).get("version"),
        )
        for each in found
    }
    assert seen == {
        ("pss-baseline", ("Deny",), None),
        ("pss-baseline", ("Deny",), "v1.30"),
        ("pss-restricted", ("Warn",), None),
        ("pss-restricted", ("Warn",), "v1.31"),
    }


def test_helm_installs_our_kinds_and_nothing_else_from_crds(helm: Helm) -> None:
    objects = [
        each
        for each in helm.template({}, "--include-crds")
        if each["kind"] in ("CustomResourceDefinition", "Kustomization")
    ]
    assert sorted(each["spec"]["names"]["kind"] for each in objects) == sorted(KINDS)


# Values are what the schema says, and are explained.


def defaults(schema: Mapping[str, Any]) -> Any:
    if "default" in schema:
        return schema["default"]
    return {
        name: defaults(value)
        for name, value in schema["properties"].items()
        if "default" in value or "properties" in value
    }


def test_the_defaults_are_those_of_the_schema() -> None:
    assert yaml.safe_load((CHART / "values.yaml").read_text()) == defaults(SCHEMA)


def test_every_value_is_explained() -> None:
    def explained(schema: Mapping[str, Any], path: str = "") -> Iterator[str]:
        for name, value in schema["properties"].items():
            if "default" in value:
                yield f"| `{path}{name}` |"
                assert value["description"].endswith((".", "…}].", "…")), f"{path}{name}"
            elif "properties" in value:
                yield from explained(value, f"{path}{name}.")

    text = (CHART / "README.md").read_text()
    for row in explained(SCHEMA):
        assert row in text


def test_the_chart_has_the_version_of_the_program() -> None:
    from webhook import __version__

    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    assert (chart["version"], chart["appVersion"]) == (__version__, __version__)

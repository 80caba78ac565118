"""The object and the policies that benchmarks judge: a Deployment of about 5 KB, and ten rules on it."""

from __future__ import annotations

from typing import Any

_REGISTRY = "registry.example.com"


def _container(name: str, image: str, cpu: str, memory: str) -> dict[str, Any]:
    return {
        "name": name,
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "command": [f"/usr/local/bin/{name}", "--listen=:8080"],
        "args": ["--log-format=json", "--config=/etc/service/config.yaml"],
        "ports": [
            {"name": "http", "containerPort": 8080, "protocol": "TCP"},
            {"name": "metrics", "containerPort": 9090, "protocol": "TCP"},
        ],
        "env": [
            {"name": "POD_IP", "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": "status.podIP"}}},
            {"name": "TZ", "value": "Europe/Berlin"},
            {"name": "CLUSTER", "value": "west-1"},
        ],
        "resources": {
            "limits": {"cpu": cpu, "memory": memory},
            "requests": {"cpu": "50m", "memory": "64Mi"},
        },
        "readinessProbe": {
            "httpGet": {"path": "/ready", "port": 8080, "scheme": "HTTP"},
            "initialDelaySeconds": 3,
            "periodSeconds": 10,
            "timeoutSeconds": 2,
            "successThreshold": 1,
            "failureThreshold": 3,
        },
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "privileged": False,
            "readOnlyRootFilesystem": True,
            "runAsNonRoot": True,
        },
        "volumeMounts": [
            {"name": "config", "mountPath": "/etc/service", "readOnly": True},
            {"name": "scratch", "mountPath": "/tmp"},
        ],
        "terminationMessagePath": "/dev/termination-log",
        "terminationMessagePolicy": "File",
    }


def deployment() -> dict[str, Any]:
    """Return the Deployment: three containers, as the API server stores it."""
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {
            "name": "checkout",
            "namespace": "shop",
            "uid": "5f0c2f0e-6d55-4b83-9c5b-2f3e1d6b7a90",
            "creationTimestamp": "2026-10-01T08:00:00Z",
            "generation": 7,
            "labels": {
                "app": "checkout",
                "team": "sales",
                "stage": "prod",
                "app.kubernetes.io/name": "checkout",
                "app.kubernetes.io/part-of": "shop",
            },
            "annotations": {"deployment.kubernetes.io/revision": "7", "contact": "sales@example.com"},
        },
        "spec": {
            "replicas": 3,
            "revisionHistoryLimit": 10,
            "progressDeadlineSeconds": 600,
            "selector": {"matchLabels": {"app": "checkout"}},
            "strategy": {
                "type": "RollingUpdate",
                "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": "25%"},
            },
            "template": {
                "metadata": {"labels": {"app": "checkout", "team": "sales"}},
                "spec": {
                    "containers": [
                        _container("checkout", f"{_REGISTRY}/shop/checkout:4.2.0", "500m", "512Mi"),
                        _container("envoy", f"{_REGISTRY}/mesh/envoy:v1.33.0", "200m", "256Mi"),
                        _container("agent", f"{_REGISTRY}/ops/agent@sha256:{'4e' * 32}", "100m", "64Mi"),
                    ],
                    "volumes": [
                        {"name": "config", "configMap": {"name": "checkout", "defaultMode": 420}},
                        {"name": "scratch", "emptyDir": {}},
                    ],
                    "serviceAccountName": "checkout",
                    "restartPolicy": "Always",
                    "terminationGracePeriodSeconds": 30,
                    "dnsPolicy": "ClusterFirst",
                    "schedulerName": "default-scheduler",
                    "securityContext": {
                        "fsGroup": 2000,
                        "runAsNonRoot": True,
                        "runAsUser": 10001,
                        "seccompProfile": {"type": "RuntimeDefault"},
                    },
                    "nodeSelector": {"kubernetes.io/os": "linux"},
                    "tolerations": [
                        {"key": "pool", "operator": "Equal", "value": "shop", "effect": "NoSchedule"}
                    ],
                    "topologySpreadConstraints": [
                        {
                            "maxSkew": 1,
                            "topologyKey": "topology.kubernetes.io/zone",
                            "whenUnsatisfiable": "ScheduleAnyway",
                            "labelSelector": {"matchLabels": {"app": "checkout"}},
                        }
                    ],
                },
            },
        },
    }


def namespace() -> dict[str, Any]:
    """Return the Deployment's Namespace."""
    labels = {"kubernetes.io/metadata.name": "shop", "stage": "prod"}
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop", "labels": labels}}


_POD = "object.spec.template.spec"

POLICIES = (
    "object.spec.replicas <= 20",
    (
        "has(object.metadata.labels) && 'team' in object.metadata.labels && 'stage' in object.metadata.labels"
        " && object.metadata.labels['stage'] in ['dev', 'test', 'prod']"
    ),
    f"{_POD}.containers.all(c, c.image.startsWith('{_REGISTRY}/'))",
    f"{_POD}.containers.all(c, !c.image.endsWith(':latest') && c.image.contains(':'))",
    (
        f"{_POD}.containers.all(c, has(c.resources) && has(c.resources.limits)"
        " && has(c.resources.limits.memory) && has(c.resources.limits.cpu))"
    ),
    (
        f"{_POD}.containers.all(c, has(c.resources.limits.memory)"
        " && quantity(c.resources.limits.memory).compareTo(quantity('2Gi')) <= 0)"
    ),
    (
        f"(has({_POD}.securityContext) && has({_POD}.securityContext.runAsNonRoot)"
        f" && {_POD}.securityContext.runAsNonRoot) || {_POD}.containers.all(c, has(c.securityContext)"
        " && has(c.securityContext.runAsNonRoot) && c.securityContext.runAsNonRoot)"
    ),
    (
        f"(!has({_POD}.hostNetwork) || {_POD}.hostNetwork == false)"
        f" && (!has({_POD}.hostPID) || !{_POD}.hostPID)"
        f" && {_POD}.containers.all(c, !has(c.securityContext) || !has(c.securityContext.privileged)"
        " || c.securityContext.privileged == false)"
    ),
    (
        f"{_POD}.containers.all(c, ['{_REGISTRY}/shop/', '{_REGISTRY}/mesh/', '{_REGISTRY}/ops/']"
        ".exists(r, c.image.startsWith(r)))"
    ),
    (
        "request.operation != 'UPDATE' || (object.metadata.name == oldObject.metadata.name"
        " && object.spec.selector == oldObject.spec.selector"
        " && object.metadata.labels.all(k, k.matches('^([a-z0-9A-Z./-]+)$')))"
    ),
)
"""Ten rules as teams write them; each holds for the Deployment."""

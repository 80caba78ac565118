"""Gatekeeper's manager outside a cluster, beside an API server on loopback."""

from __future__ import annotations

import base64
import json
import os
import shutil
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from bench import gatekeeper_kinds
from bench.process import Process
from bench.tree import free_port
from tests.controlplane import ControlPlane
from webhook.server.selfsigned import write_pair

WEBHOOK = "gatekeeper-validating-webhook-configuration"
"""The name of its webhook configuration."""


class Manager:
    """Starts ``gatekeeper-manager``, as the Pods of its chart do.

    Args:
        program: ``gatekeeper-manager``.
        plane: its API server, which must have Gatekeeper's kinds and its own Pod.
        folder: an own one, for certificates and logs; made when missing.

    Attributes:
        certificate: what its webhook is trusted by.
        log: what all of its processes say.
    """

    def __init__(self, program: Path, plane: ControlPlane, folder: Path) -> None:
        self._program = program
        self._plane = plane
        self._folder = folder
        self._cache = folder / "cache"  # of its audit
        self._cache.mkdir(parents=True, exist_ok=True)
        self.log = folder / "log"
        self.certificate = Path(write_pair(folder).certificate)
        shutil.copy(self.certificate, folder / "ca.crt")

    def start(
        self, stack: ExitStack, *operations: str, metrics: int = 0, more: Sequence[str] = ()
    ) -> tuple[Process, int, int]:
        """Start a process, and return it with the ports of its webhook and of its ``/readyz``.

        Args:
            stack: ends it.
            operations: what it does, as ``--operation`` names it.
            metrics: the port of its metrics; any when 0.
            more: other flags.
        """
        port, health = free_port(), free_port()
        arguments: tuple[str | Path, ...] = (
            *(self._program, "--kubeconfig", self._plane.kubeconfig),
            *("--disable-cert-rotation", f"--cert-dir={self._folder}", "--host=127.0.0.1", f"--port={port}"),
            *(f"--health-addr=127.0.0.1:{health}", f"--prometheus-port={metrics or free_port()}"),
            *("--logtostderr", f"--api-cache-dir={self._cache}", *more),
            *("--disable-opa-builtin={http.send}", *(f"--operation={name}" for name in operations)),
        )
        names = {"POD_NAME": gatekeeper_kinds.POD, "POD_NAMESPACE": gatekeeper_kinds.NAMESPACE}
        environment = {**names, "HOME": str(self._folder), "PATH": os.environ.get("PATH", "")}
        return stack.enter_context(Process(arguments, self.log, environment)), port, health

    def apply(self, documents: Sequence[dict[str, Any]]) -> None:
        """Bring objects, whatever their schemas."""
        text = json.dumps({"apiVersion": "v1", "kind": "List", "items": documents})
        # Their schemas take anything, and reading them all takes kubectl longer than it waits.
        words = ("apply", "--server-side", "--validate=false", "-f", "-")
        self._plane.kubectl(*words, input=text, check=True)

    def configuration(self, port: int, failure_policy: str = "Ignore") -> dict[str, Any]:
        """Return its webhook configuration, as its chart has it, for a webhook on that port of loopback."""
        authority = base64.b64encode(self.certificate.read_bytes()).decode()
        rule = {"apiGroups": ["*"], "apiVersions": ["*"], "operations": ["CREATE", "UPDATE"]}
        return {
            "apiVersion": "admissionregistration.k8s.io/v1",
            "kind": "ValidatingWebhookConfiguration",
            "metadata": {"name": WEBHOOK},
            "webhooks": [
                {
                    "name": "validation.gatekeeper.sh",
                    "admissionReviewVersions": ["v1", "v1beta1"],
                    "clientConfig": {"caBundle": authority, "url": f"https://127.0.0.1:{port}/v1/admit"},
                    "failurePolicy": failure_policy,
                    "matchPolicy": "Exact",
                    "namespaceSelector": {
                        "matchExpressions": [
                            {"key": "admission.gatekeeper.sh/ignore", "operator": "DoesNotExist"}
                        ]
                    },
                    "rules": [{**rule, "resources": ["*", *_SUB_RESOURCES]}],
                    "sideEffects": "None",
                    "timeoutSeconds": 3,
                }
            ],
        }


_SUB_RESOURCES = (
    "pods/ephemeralcontainers",
    "pods/exec",
    "pods/log",
    "pods/eviction",
    "pods/portforward",
    "pods/proxy",
    "pods/attach",
    "pods/binding",
    "pods/resize",
    "deployments/scale",
    "replicasets/scale",
    "statefulsets/scale",
    "replicationcontrollers/scale",
    "services/proxy",
    "nodes/proxy",
    "services/status",
)

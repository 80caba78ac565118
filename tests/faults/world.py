"""Two replicas behind a Service on a real API server, guarding it with failurePolicy Fail."""

from __future__ import annotations

import base64
import json
import signal
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from cryptography import x509

from tests.controlplane import ControlPlane
from tests.e2e.cluster import eventually, namespace
from tests.faults.containers import ROOT, Replica, free_port
from tests.faults.forwarder import Forwarder
from tests.faults.load import KEPT, SPACE, load_policies

OWN_NAMESPACE = "tidewaiter-system"
CONFIGURATION = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations/tidewaiter"
START_SECONDS = 90.0


class World:
    """The replicas and what stands before them; a context manager.

    Args:
        plane: a running control plane.
        count: of the replicas.
        operator: more options of the control planes.
        serve: more options of the data planes.
        policies: what is in the cluster before anything starts.
        kubeconfigs: one of each control plane; the plane's by default.
    """

    def __init__(
        self,
        plane: ControlPlane,
        *,
        count: int = 2,
        operator: Sequence[str] = (),
        serve: Sequence[str] = (),
        policies: Sequence[Mapping[str, Any]] = (),
        kubeconfigs: Sequence[Path] = (),
    ) -> None:
        self.plane = plane
        self.policies = policies
        port = free_port()
        folder = plane.workdir / f"replicas-{port}"
        url = f"https://127.0.0.1:{port}"
        self.replicas = [
            Replica(folder / str(number), config, url, operator, serve)
            for number, config in enumerate(kubeconfigs or [plane.kubeconfig] * count)
        ]
        self.forwarder = Forwarder(port, [replica.endpoint for replica in self.replicas])

    def __enter__(self) -> Self:
        try:
            self.plane.kubectl("apply", "-k", str(ROOT / "charts/tidewaiter/crds"), check=True)
            self.apply(namespace(OWN_NAMESPACE), namespace(SPACE), KEPT)
            self.apply(*load_policies(), *self.policies)
            self.forwarder.__enter__()
            for replica in self.replicas:
                replica.start()
            eventually(self.settled, "both replicas are ready", START_SECONDS)
            eventually(self.enforced, "every policy is enforced", START_SECONDS)
        except BaseException:
            self.show_logs()
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for replica in self.replicas:
            replica.stop(signal.SIGINT)
        self.plane.request("DELETE", CONFIGURATION)
        self.forwarder.__exit__()

    def show_logs(self) -> None:
        """Print what the replicas logged, for whoever reads the failure."""
        for replica in self.replicas:
            for container in (replica.webhook, replica.operator):
                if container.log.exists():
                    print(f"--- {container.log}", container.log.read_text()[-6000:], sep="\n")

    def apply(self, *objects: Mapping[str, Any]) -> None:
        """Apply objects, which must be taken."""
        text = "\n---\n".join(json.dumps(each) for each in objects)
        self.plane.kubectl("apply", "-f", "-", input=text, check=True)

    def settled(self) -> bool:
        """Tell whether every worker of every replica judges by the one snapshot that both published."""
        published = {replica.published for replica in self.replicas}
        return len(published) == 1 and all(replica.settled() for replica in self.replicas)

    def enforced(self) -> bool:
        """Tell whether every policy's status says that it holds."""
        _, found = self.plane.request("GET", "/apis/tidewaiter.dev/v1alpha1/clusterpolicies")
        items = found.get("items") or ()
        return bool(items) and all(_holds(item) for item in items)

    def configuration(self) -> dict[str, Any] | None:
        """Return the live webhook configuration."""
        status, found = self.plane.request("GET", CONFIGURATION)
        return found if status == 200 else None

    def trusted(self) -> list[x509.Certificate]:
        """Return the authorities that the live configuration trusts."""
        entries = (self.configuration() or {}).get("webhooks") or ()
        bundles = {entry["clientConfig"]["caBundle"] for entry in entries}
        assert len(bundles) <= 1
        return [
            each for bundle in bundles for each in x509.load_pem_x509_certificates(base64.b64decode(bundle))
        ]

    def leader(self) -> Replica:
        """Return the replica whose control plane leads."""
        found: Replica = eventually(
            lambda: next((replica for replica in self.replicas if replica.leads()), None), "a leader", 60
        )
        return found


def _holds(policy: Mapping[str, Any]) -> bool:
    conditions = (policy.get("status") or {}).get("conditions") or ()
    return any(each["type"] == "Enforced" and each["status"] == "True" for each in conditions)

"""What the control plane can be told."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from webhook.core.errors import InputError
from webhook.operator.leader import Timing


@dataclass(frozen=True, slots=True)
class Options:
    """What the control plane can be told.

    Attributes:
        snapshot: the folder that the workers read.
        cert_dir: where the server certificate is written for them.
        kubeconfig: the cluster; empty for the one that this Pod runs in, else ``KUBECONFIG``.
        namespace: our own.
        webhook_url: where the API server reaches the workers; empty for a Service.
        service: the Service's name.
        service_port: its port.
        cluster: the cluster's name, for acceptances with ``clusters``.
        webhook_name: of the webhook configuration.
        failure_policy: ``Fail`` or ``Ignore``.
        leader_elect: share the work with other replicas by a Lease.
        lease_name: its name.
        create_namespace: make our own namespace where it is missing.
        remove_on_exit: remove the webhook configuration at the end.
        timing: of the election.
    """

    snapshot: Path
    cert_dir: Path
    kubeconfig: str = ""
    namespace: str = "tidewaiter-system"
    webhook_url: str = ""
    service: str = "tidewaiter"
    service_port: int = 443
    cluster: str = ""
    webhook_name: str = "tidewaiter"
    failure_policy: str = "Fail"
    leader_elect: bool = True
    lease_name: str = "tidewaiter-leader"
    create_namespace: bool = False
    remove_on_exit: bool = False
    timing: Timing = field(default_factory=Timing)

    @property
    def hosts(self) -> tuple[str, ...]:
        """What the server certificate is for.

        Raises:
            InputError: the URL is none that the API server takes.
        """
        if not self.webhook_url:
            name = f"{self.service}.{self.namespace}.svc"
            return (name, f"{name}.cluster.local", f"{self.service}.{self.namespace}")
        url = urlsplit(self.webhook_url)
        if url.scheme != "https" or not url.hostname or url.query or url.fragment or url.username:
            raise InputError(f"{self.webhook_url!r}: must be https://HOST:PORT, without user or query")
        return (url.hostname,)

"""What the control plane can be told."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from webhook.adapters.addresses import Address
from webhook.core.errors import InputError
from webhook.operator.leader import Timing
from webhook.operator.webhooks import OWN_LABELS

SETTLE_SECONDS = 60.0
_NAMESPACE = re.compile("[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")  # RFC 1123, as Kubernetes wants it
# https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#syntax-and-character-set
_LABEL_NAME = "[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?"
_LABEL = re.compile(
    rf"(?P<key>((?=[^/]{{1,253}}/)[a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?{_LABEL_NAME})=(?P<value>({_LABEL_NAME})?)"
)


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
        webhook_labels: more labels of it, as ``KEY=VALUE``.
        failure_policy: ``Fail`` or ``Ignore``.
        max_action: ``Deny``, or ``Warn`` or ``Audit``: the most that any policy does.
        exempt_namespaces: not judged unless a policy names them, beside the built-in ones and our own.
        exempt_users: users whose requests policies don't judge.
        risk_admin_groups: groups that may change the RiskAppetite; without any, system:masters.
        guard_policy: what the names of the guard's ValidatingAdmissionPolicies begin with: an approval by a
            cluster user counts only if it came after them; empty where there are none.
        cert_source: a folder with ``tls.crt``, ``tls.key`` and ``ca.crt`` that others keep, as cert-manager
            does; None for an authority of our own.
        settle_seconds: how long after a step of a rotation the next one waits, for API servers that have not
            heard of the webhook configuration yet.
        replica: our name among the replicas, such as the Pod's; empty for one of our own.
        metrics_listen: plain HTTP for metrics and probes; None for none.
        leader_elect: share the work with other replicas by a Lease.
        lease_name: its name.
        create_namespace: make our own namespace where it is missing.
        remove_on_exit: remove the webhook configuration at the end.
        owner_deployment: Deployment in our namespace that owns the Secret and the Leases; empty for none.
        owner_cluster_role: ClusterRole that owns the webhook configuration; empty for none.
        timing: of the election.
        audit: judge in the background what is there already, while we lead.
        audit_reports: which reports it writes: ``openreports``, ``wgpolicy`` or ``none``.
        violations_limit: so many violations it writes into the status of a Gatekeeper constraint.
        log_level: of the audit's log.
        log_format: of the audit's log.
        gatekeeper: ``off``; ``replace``: templates and constraints are enforced in Gatekeeper's place; or
            ``beside``: only at our own enforcement point, and Gatekeeper keeps its kinds.
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
    webhook_labels: tuple[str, ...] = ()
    failure_policy: str = "Fail"
    max_action: str = "Deny"
    exempt_namespaces: tuple[str, ...] = ()
    exempt_users: tuple[str, ...] = ()
    risk_admin_groups: tuple[str, ...] = ()
    guard_policy: str = ""
    cert_source: Path | None = None
    settle_seconds: float = SETTLE_SECONDS
    replica: str = ""
    metrics_listen: Address | None = None
    leader_elect: bool = True
    lease_name: str = "tidewaiter-leader"
    create_namespace: bool = False
    remove_on_exit: bool = False
    owner_deployment: str = ""
    owner_cluster_role: str = ""
    timing: Timing = field(default_factory=Timing)
    audit: bool = False
    audit_reports: str = "openreports"
    violations_limit: int = 20
    log_level: str = "info"
    log_format: str = "text"
    gatekeeper: str = "off"

    def check(self) -> None:
        """Make sure that what was given can be used.

        Raises:
            InputError: something can't be.
        """
        _ = self.hosts
        _ = self.labels
        for name in self.exempt_namespaces:
            if not _NAMESPACE.fullmatch(name):
                raise InputError(f"--exempt-namespace {name!r}: is no name of a namespace")
        for option, names in (
            ("--exempt-user", self.exempt_users),
            ("--risk-admin-group", self.risk_admin_groups),
        ):
            for name in names:
                if not name or not name.isprintable():
                    raise InputError(f"{option} {name!r}: must be a name without control characters")

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

    @property
    def labels(self) -> dict[str, str]:
        """What labels the webhook configuration gets beside ours.

        Raises:
            InputError: one is no label, or is one of ours.
        """
        found = {}
        for text in self.webhook_labels:
            match = _LABEL.fullmatch(text)
            if match is None:
                raise InputError(f"--webhook-label {text!r}: must be KEY=VALUE, as a label of Kubernetes is")
            if match["key"] in OWN_LABELS:
                raise InputError(f"--webhook-label {text!r}: {match['key']} is a label that we set ourselves")
            found[match["key"]] = match["value"]
        return found

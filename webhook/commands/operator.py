"""`tidewaiter operator`: the control plane."""

from __future__ import annotations

from pathlib import Path

import click

from webhook.commands import shared


@click.command(name="operator")
@shared.kubeconfig
@shared.namespace
@click.option(
    "--snapshot",
    metavar="DIR",
    required=True,
    help="Folder in which `tidewaiter serve --snapshot DIR` finds the snapshot; best in memory.",
)
@click.option(
    "--cert-dir",
    metavar="DIR",
    required=True,
    help="Folder in which the data plane finds its certificate: tls.crt and tls.key.",
)
@click.option(
    "--webhook-url",
    metavar="URL",
    default="",
    help="Register this URL, for an API server outside of the Pods' network, instead of a Service.",
)
@click.option(
    "--service", metavar="NAME", default="tidewaiter", show_default=True, help="Service of the data plane."
)
@click.option(
    "--service-port", type=click.IntRange(1, 65535), default=443, show_default=True, help="Its port."
)
@click.option(
    "--cert-source",
    metavar="DIR",
    default="",
    help="Folder with tls.crt, tls.key and ca.crt that others keep, such as cert-manager's Secret, mounted.  "
    "[default: an authority of our own, in a Secret]",
)
@click.option(
    "--settle-seconds",
    type=click.FloatRange(0, 3600),
    default=60.0,
    show_default=True,
    help="How long a step of a certificate rotation waits for API servers that heard late of the one before.",
)
@shared.cluster
@shared.webhook_name
@click.option(
    "--webhook-label",
    "webhook_labels",
    metavar="KEY=VALUE",
    multiple=True,
    help="Another label of the ValidatingWebhookConfiguration, kept as the rest of it; repeatable.",
)
@shared.failure_policy
@shared.max_action
@shared.gatekeeper
@shared.exempt_namespaces
@shared.exempt_users
@shared.risk_admin_groups
@shared.guard_policy
@click.option(
    "--replica",
    metavar="NAME",
    envvar="POD_NAME",
    default="",
    show_envvar=True,
    help="Our name among the replicas.  [default: the host's, and a random part]",
)
@click.option(
    "--leader-elect/--no-leader-elect",
    default=True,
    show_default=True,
    help="Share the work with other replicas; without it there may be only one.",
)
@shared.lease_name
@click.option(
    "--owner-deployment",
    metavar="NAME",
    default="",
    help="Deployment in our namespace that owns our Secret and Leases, so that they go with it.",
)
@click.option(
    "--owner-cluster-role",
    metavar="NAME",
    default="",
    help="ClusterRole that owns the webhook configuration, so that it goes with it.",
)
@shared.audit
@shared.audit_reports
@shared.violations_limit
@shared.metrics_listen
@shared.log_level
@shared.log_format
def command(
    kubeconfig: str,
    namespace: str,
    snapshot: str,
    cert_dir: str,
    webhook_url: str,
    service: str,
    service_port: int,
    cert_source: str,
    settle_seconds: float,
    cluster: str,
    webhook_name: str,
    webhook_labels: tuple[str, ...],
    failure_policy: str,
    max_action: str,
    gatekeeper: str,
    exempt_namespaces: tuple[str, ...],
    exempt_users: tuple[str, ...],
    risk_admin_groups: tuple[str, ...],
    guard_policy: str,
    replica: str,
    leader_elect: bool,
    lease_name: str,
    owner_deployment: str,
    owner_cluster_role: str,
    audit: bool,
    audit_reports: str,
    constraint_violations_limit: int,
    metrics_listen: str,
    log_level: str,
    log_format: str,
) -> int:
    """Feed the data plane and reconcile the cluster.

    Every replica watches the cluster and publishes the snapshot. The leader writes statuses, certificates and
    the webhook configuration, which it registers once a worker has loaded a snapshot and never removes.
    """
    from webhook.adapters.addresses import parse_address
    from webhook.operator import main, process
    from webhook.operator.options import Options

    options = Options(
        snapshot=Path(snapshot),
        cert_dir=Path(cert_dir),
        kubeconfig=kubeconfig,
        namespace=namespace,
        webhook_url=webhook_url,
        service=service,
        service_port=service_port,
        cert_source=Path(cert_source) if cert_source else None,
        settle_seconds=settle_seconds,
        cluster=cluster,
        webhook_name=webhook_name,
        webhook_labels=webhook_labels,
        failure_policy=failure_policy,
        max_action=max_action,
        gatekeeper=gatekeeper,
        exempt_namespaces=exempt_namespaces,
        exempt_users=exempt_users,
        risk_admin_groups=risk_admin_groups,
        guard_policy=guard_policy,
        replica=replica,
        metrics_listen=parse_address(metrics_listen) if metrics_listen else None,
        leader_elect=leader_elect,
        lease_name=lease_name,
        owner_deployment=owner_deployment,
        owner_cluster_role=owner_cluster_role,
        audit=audit,
        audit_reports=audit_reports,
        violations_limit=constraint_violations_limit,
        log_level=log_level,
        log_format=log_format,
    )
    process.configure_logs(log_level, log_format)
    return process.run(lambda stop: main.run(options, stop))

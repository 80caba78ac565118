"""`tidewaiter operator`: the control plane."""

from __future__ import annotations

from pathlib import Path

import click

from webhook.commands import shared


@click.command(name="operator")
@click.option(
    "--kubeconfig",
    metavar="FILE",
    default="",
    help="The cluster.  [default: the one that this Pod runs in, else $KUBECONFIG]",
)
@click.option(
    "--namespace",
    metavar="NAME",
    envvar="POD_NAMESPACE",
    default="tidewaiter-system",
    show_default=True,
    show_envvar=True,
    help="Our own namespace, with the Secret and the Lease; it must exist.",
)
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
@shared.cluster
@shared.webhook_name
@shared.failure_policy
@click.option(
    "--leader-elect/--no-leader-elect",
    default=True,
    show_default=True,
    help="Share the work with other replicas; without it there may be only one.",
)
@click.option(
    "--lease-name", metavar="NAME", default="tidewaiter-leader", show_default=True, help="Name of the Lease."
)
@shared.log_level
def command(
    kubeconfig: str,
    namespace: str,
    snapshot: str,
    cert_dir: str,
    webhook_url: str,
    service: str,
    service_port: int,
    cluster: str,
    webhook_name: str,
    failure_policy: str,
    leader_elect: bool,
    lease_name: str,
    log_level: str,
) -> int:
    """Feed the data plane and reconcile the cluster.

    Every replica watches the cluster and publishes the snapshot. The leader writes statuses, certificates and
    the webhook configuration, which it registers once a worker has loaded a snapshot and never removes.
    """
    from webhook.operator import main, process
    from webhook.operator.options import Options

    options = Options(
        snapshot=Path(snapshot),
        cert_dir=Path(cert_dir),
        kubeconfig=kubeconfig,
        namespace=namespace,
        webhook_url=webhook_url,
        service=service,
@shared.log_format
        service_port=service_port,
        cluster=cluster,
        webhook_name=webhook_name,
        failure_policy=failure_policy,
        leader_elect=leader_elect,
        lease_name=lease_name,
    )
    process.configure_logs(log_level, log_format)
    return process.run(lambda stop: main.run(options, stop))
    log_format: str,

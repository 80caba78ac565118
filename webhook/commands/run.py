"""`tidewaiter run`: control plane and data plane together, against any cluster."""

from __future__ import annotations

import click

from webhook.commands import shared


@click.command(name="run")
@click.option("--kubeconfig", metavar="FILE", default="", help="The cluster.  [default: $KUBECONFIG]")
@click.option(
    "--listen",
    metavar="HOST:PORT",
    default="127.0.0.1:8443",
    show_default=True,
    help="Where to answer the API server; port 0 takes a free one.",
)
@click.option(
    "--webhook-url",
    metavar="URL",
    default="",
    help="Where the API server reaches us.  [default: https:// and the address of --listen]",
)
@click.option(
    "--namespace",
    metavar="NAME",
    default="tidewaiter-system",
    show_default=True,
    help="Our own namespace, for the Secret with the certificate; made where it is missing.",
)
@shared.cluster
@shared.webhook_name
@shared.failure_policy
@shared.max_action
@shared.gatekeeper
@shared.exempt_namespaces
@shared.exempt_users
@shared.risk_admin_groups
@shared.guard_policy
@click.option(
    "--keep", is_flag=True, help="Leave the webhook configuration when stopping; see the warning above."
)
@click.option(
    "--workers", type=click.IntRange(1, 64), default=None, help="Processes that answer; see `serve`."
)
@shared.audit
@shared.audit_reports
@shared.violations_limit
@shared.metrics_listen
@shared.evidence
@shared.log_level
@shared.log_format
def command(
    kubeconfig: str,
    listen: str,
    webhook_url: str,
    namespace: str,
    cluster: str,
    webhook_name: str,
    failure_policy: str,
    max_action: str,
    gatekeeper: str,
    exempt_namespaces: tuple[str, ...],
    exempt_users: tuple[str, ...],
    risk_admin_groups: tuple[str, ...],
    guard_policy: str,
    keep: bool,
    workers: int | None,
    audit: bool,
    audit_reports: str,
    constraint_violations_limit: int,
    metrics_listen: str,
    evidence: str | None,
    evidence_dir: str,
    evidence_otlp: str,
    evidence_key: str,
    log_level: str,
    log_format: str,
) -> int:
    """Enforce the policies of any cluster from this machine: for development, tests and a first try.

    The cluster must have our kinds (kubectl apply -k charts/tidewaiter/crds); until it has, this waits for
    them. The API server must reach the --webhook-url. No other instance may serve the same cluster under the
    same --webhook-name.

    Ctrl-C removes the webhook configuration, since a cluster whose webhook is gone refuses everything that
    the policies judge. After --keep or a kill -9 remove it by hand:
    kubectl delete validatingwebhookconfiguration tidewaiter
    """
    from webhook.operator import process, together

    process.configure_logs(log_level, log_format)
    settings = together.Settings(
        kubeconfig=kubeconfig,
        listen=listen,
        webhook_url=webhook_url,
        namespace=namespace,
        cluster=cluster,
        webhook_name=webhook_name,
        failure_policy=failure_policy,
        max_action=max_action,
        gatekeeper=gatekeeper,
        exempt_namespaces=exempt_namespaces,
        exempt_users=exempt_users,
        risk_admin_groups=risk_admin_groups,
        guard_policy=guard_policy,
        keep=keep,
        workers=workers,
        metrics_listen=metrics_listen,
        data_plane=shared.evidence_words(evidence, evidence_dir, evidence_otlp, evidence_key),
        audit=audit,
        audit_reports=audit_reports,
        violations_limit=constraint_violations_limit,
        log_level=log_level,
        log_format=log_format,
    )
    return process.run(lambda stop: together.run(settings, stop))

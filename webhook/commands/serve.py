"""`tidewaiter serve`: the data plane, from files or from the operator's snapshot."""

from __future__ import annotations

from dataclasses import replace

import click

from webhook.commands import shared
from webhook.commands.options import ManyValues

DEFAULT_LISTEN = "0.0.0.0:8443"


@click.command(name="serve", cls=ManyValues)
@click.option(
    "--listen",
    metavar="HOST:PORT",
    default=DEFAULT_LISTEN,
    show_default=True,
    help="Where to answer the API server, over TLS; port 0 takes a free one.",
)
@click.option(
    "--policies",
    metavar="PATH",
    multiple=True,
    help="File or folder with policies, acceptances, approvals, the RiskAppetite, namespaces and parameters; "
    "several may follow. Read again when something changes.",
)
@click.option(
    "--snapshot", metavar="DIR", default="", help="The operator's snapshot folder, instead of --policies."
)
@click.option(
    "--trust-approvals",
    is_flag=True,
    help="Count unsigned approvals in --policies: says that they come from a cluster.",
)
@shared.cluster
@click.option("--tls-cert", metavar="FILE", default="", help="Certificate, PEM; read again when it changes.")
@click.option("--tls-key", metavar="FILE", default="", help="Its key, PEM.")
@click.option(
    "--client-ca",
    metavar="FILE",
    default="",
    help="Authorities of client certificates, PEM: every client must bring one. "
    "Probes then need --metrics-listen.",
)
@click.option(
    "--client-name",
    metavar="NAME",
    multiple=True,
    help="Answer only clients whose certificate has this common name; several may follow. Needs --client-ca.",
)
@click.option(
    "--tls-min-version",
    type=click.Choice(["1.2", "1.3"]),
    default="1.3",
    show_default=True,
    help="Lowest TLS version.",
)
@click.option(
    "--workers",
    type=click.IntRange(1, 64),
    default=None,
    help="Processes that answer.  [default: 2, or 1 where only one CPU may be used]",
)
@click.option("--max-body", metavar="SIZE", default="8MiB", show_default=True, help="Largest request body.")
@click.option(
    "--max-in-flight",
    type=click.IntRange(1, 100_000),
    default=256,
    show_default=True,
    help="Requests that one worker works on at once, of all namespaces together; past it they are refused.",
)
@click.option(
    "--max-connections",
    type=click.IntRange(16, 100_000),
    default=2048,
    show_default=True,
    help="Connections of one worker; past it the one goes that has kept it waiting for longest.",
)
@click.option(
    "--metrics-listen",
    metavar="HOST:PORT",
    default="",
    help="Serve /metrics, /readyz and /livez over plain HTTP too; the TLS port always serves them.",
)
@click.option(
    "--drain-seconds",
    type=click.FloatRange(0, 600),
    default=10.0,
    show_default=True,
    help="How long a worker still answers after SIGTERM, so that nobody is refused.",
)
@click.option(
    "--debug",
    is_flag=True,
    help="Serve /debug/stacks and /debug/snapshot on --metrics-listen: what a worker does and holds.",
)
@shared.evidence
@shared.log_level
@shared.log_format
def command(
    listen: str,
    policies: tuple[str, ...],
    snapshot: str,
    trust_approvals: bool,
    cluster: str,
    tls_cert: str,
    tls_key: str,
    client_ca: str,
    client_name: tuple[str, ...],
    tls_min_version: str,
    workers: int | None,
    max_body: str,
    max_in_flight: int,
    max_connections: int,
    metrics_listen: str,
    drain_seconds: float,
    debug: bool,
    evidence: str | None,
    evidence_dir: str,
    evidence_otlp: str,
    evidence_key: str,
    log_level: str,
    log_format: str,
) -> int:
    """Answer admission requests over TLS.

    Standalone it judges by the manifests in --policies; beside the operator, by the snapshot in --snapshot.
    Paths: POST /admit, or /admit/SCOPE/VERSIONS for some of the policies; GET /readyz, /livez, /metrics.
    """
    if bool(policies) == bool(snapshot):
        raise click.UsageError("Give either --policies or --snapshot.")
    if snapshot and (trust_approvals or cluster):
        raise click.UsageError(
            "--trust-approvals and --cluster go with --policies: a snapshot says both itself."
        )
    if bool(tls_cert) != bool(tls_key):
        raise click.UsageError("--tls-cert and --tls-key go together.")
    if client_ca and not tls_cert:
        raise click.UsageError("--client-ca needs --tls-cert and --tls-key.")
    if client_name and not client_ca:
        raise click.UsageError("--client-name needs --client-ca.")
    if debug and not metrics_listen:
        raise click.UsageError("--debug needs --metrics-listen: what it shows is served there alone.")

    shared.evidence_words(evidence, evidence_dir, evidence_otlp, evidence_key)

    from webhook.adapters import logs
    from webhook.adapters.addresses import parse_address
    from webhook.server.settings import (
        EvidenceSettings,
        Limits,
        Settings,
        TlsSettings,
        default_workers,
        parse_size,
    )

    logs.configure(log_level, log_format)
    limits = Limits(
        max_body=parse_size(max_body), max_in_flight=max_in_flight, max_connections=max_connections
    )
    if policies:
        # Files bring no namespace within a second of a request: waiting would only delay the answer.
        limits = replace(limits, namespace_wait=0.0)
    settings = Settings(
        listen=parse_address(listen),
        tls=TlsSettings(tls_cert, tls_key, client_ca, client_name, tls_min_version) if tls_cert else None,
        metrics_listen=parse_address(metrics_listen) if metrics_listen else None,
        policies=policies,
        snapshot=snapshot,
        trust_approvals=trust_approvals,
        cluster=cluster,
        workers=workers or default_workers(),
        limits=limits,
        drain_seconds=drain_seconds,
        debug=debug,
        evidence=EvidenceSettings(evidence_dir, evidence == "stdout", evidence_otlp, evidence_key)
        if evidence or evidence_dir or evidence_otlp
        else None,
    )
    # Loaded only now, so that wrong options are answered at once; the counters' files must be known before.
    from webhook.server.launch import serve

    return serve(settings)

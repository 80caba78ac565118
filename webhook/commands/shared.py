"""Options that more than one command has, so that they mean and say the same everywhere."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

kubeconfig = click.option(
    "--kubeconfig",
    metavar="FILE",
    default="",
    help="The cluster.  [default: the one that this Pod runs in, else $KUBECONFIG]",
)
namespace = click.option(
    "--namespace",
    metavar="NAME",
    envvar="POD_NAMESPACE",
    default="tidewaiter-system",
    show_default=True,
    show_envvar=True,
    help="Our own namespace, with the Secret and the Leases; it must exist.",
)
installation = click.option(
    "--namespace",
    "-n",
    metavar="NAME",
    default="tidewaiter-system",
    show_default=True,
    help="The namespace of the installation.",
)
lease_name = click.option(
    "--lease-name",
    metavar="NAME",
    default="tidewaiter-leader",
    show_default=True,
    help="Name of the leader's Lease.",
)
cluster = click.option(
    "--cluster", metavar="NAME", default="", help="The cluster's name, for acceptances with clusters."
)
webhook_name = click.option(
    "--webhook-name",
    metavar="NAME",
    default="tidewaiter",
    show_default=True,
    help="Name of the ValidatingWebhookConfiguration.",
)
failure_policy = click.option(
    "--failure-policy",
    type=click.Choice(["Fail", "Ignore"]),
    default="Fail",
    show_default=True,
    help="What the API server does with a request when nobody answers: refuse it or let it through.",
)
max_action = click.option(
    "--max-action",
    type=click.Choice(["Deny", "Warn", "Audit"]),
    default="Deny",
    show_default=True,
    help="The most that any policy does: a first rollout warns, or only audits.",
)
gatekeeper = click.option(
    "--gatekeeper",
    type=click.Choice(["off", "replace", "beside"]),
    default="off",
    show_default=True,
    help="Gatekeeper's templates and constraints: enforce them in its place, or beside it, where only those "
    "that name our enforcement point (webhook.tidewaiter.dev) are ours.",
)
exempt_namespaces = click.option(
    "--exempt-namespace",
    "exempt_namespaces",
    metavar="NAME",
    multiple=True,
    help="Namespace that is not judged unless a policy names it, beside kube-system, kube-node-lease and "
    "our own; repeatable.",
)
exempt_users = click.option(
    "--exempt-user",
    "exempt_users",
    metavar="NAME",
    multiple=True,
    help="User whose requests no policy judges; the guard of the risk kinds still does; repeatable.",
)
risk_admin_groups = click.option(
    "--risk-admin-group",
    "risk_admin_groups",
    metavar="NAME",
    multiple=True,
    help="Group that may change the RiskAppetite; repeatable.  [default: system:masters]",
)
guard_policy = click.option(
    "--guard-policy",
    metavar="NAME",
    default="",
    help="Count an approval by a cluster user only if it came after the ValidatingAdmissionPolicies "
    "NAME-acceptances and NAME-approvals and their bindings, which the chart makes.",
)
metrics_listen = click.option(
    "--metrics-listen",
    metavar="HOST:PORT",
    default="",
    help="Also answer /metrics, /livez and /readyz of the control plane on this address, as plain HTTP.",
)
log_format = click.option(
    "--log-format",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="Form of a line.",
)
log_level = click.option(
    "--log-level",
    type=click.Choice(["debug", "info", "warning", "error"]),
    default="info",
    show_default=True,
    help="Least level that is logged.",
)
output = click.option(
    "--output",
    "-o",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="The format.",
)

_EVIDENCE = (
    click.option(
        "--evidence",
        type=click.Choice(["stdout"]),
        default=None,
        help="Keep the decision log, chained and signed, on standard output: every denial, acceptance used "
        "and write to our kinds.",
    ),
    click.option(
        "--evidence-dir",
        metavar="DIR",
        default="",
        help="Keep the decision log in files of this folder, one after the other for each worker.",
    ),
    click.option(
        "--evidence-otlp",
        metavar="URL",
        default="",
        help="Send the decision log to this OpenTelemetry collector too, or only, as OTLP over HTTP, such as "
        "http://collector:4318.",
    ),
    click.option(
        "--evidence-key",
        metavar="FILE",
        default="",
        help="Ed25519 key that signs the decision log, PEM.  [default: one made at the start, whose public "
        "half is logged]",
    ),
)


def evidence(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options of the decision log."""
    for option in reversed(_EVIDENCE):
        command = option(command)
    return command


def evidence_words(evidence: str | None, folder: str, otlp: str, key: str) -> tuple[str, ...]:
    """Return the options of the decision log as words of a command line.

    Raises:
        click.UsageError: they don't go together.
    """
    if evidence and folder:
        raise click.UsageError("Give either --evidence or --evidence-dir.")
    if key and not (evidence or folder or otlp):
        raise click.UsageError("--evidence-key needs --evidence, --evidence-dir or --evidence-otlp.")
    given = {
        "--evidence": evidence,
        "--evidence-dir": folder,
        "--evidence-otlp": otlp,
        "--evidence-key": key,
    }
    return tuple(f"{name}={value}" for name, value in given.items() if value)


audit = click.option(
    "--audit/--no-audit",
    default=True,
    show_default=True,
    help="Judge in the background what is there already; a process of its own, on the leader.",
)
violations_limit = click.option(
    "--constraint-violations-limit",
    type=click.IntRange(0, 500),
    default=20,
    show_default=True,
    metavar="NUMBER",
    help="So many violations the audit writes into a Gatekeeper constraint's status.",
)
audit_reports = click.option(
    "--audit-reports",
    type=click.Choice(("openreports", "wgpolicy", "none")),
    default="openreports",
    show_default=True,
    help="Which reports the audit writes, where the cluster has their kinds.",
)

"""`tidewaiter audit`: the background audit, as the operator starts it."""

from __future__ import annotations

from pathlib import Path

import click

from webhook.commands import shared


@click.command(name="audit", hidden=True)
@shared.kubeconfig
@click.option("--snapshot", metavar="DIR", required=True, help="Folder where the operator publishes.")
@click.option(
    "--reports",
    type=click.Choice(("openreports", "wgpolicy", "none")),
    default="openreports",
    show_default=True,
    help="Which reports to write.",
)
@shared.violations_limit
@shared.log_level
@shared.log_format
def command(
    kubeconfig: str,
    snapshot: str,
    reports: str,
    constraint_violations_limit: int,
    log_level: str,
    log_format: str,
) -> int:
    """Judge what is there already; started by the leading operator, which says on standard input how long.

    What it finds goes to standard output, a line of JSON each time.
    """
    from typing import cast

    from webhook.adapters.openreports import Family
    from webhook.operator import process
    from webhook.operator.audit import process as audit

    family = cast("Family", reports) if reports != "none" else None
    process.configure_logs(log_level, log_format)
    return process.run(
        lambda stop: audit.run(kubeconfig, Path(snapshot), family, stop, constraint_violations_limit)
    )

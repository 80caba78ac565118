"""`tidewaiter crds`: our CustomResourceDefinitions in a cluster."""

from __future__ import annotations

import asyncio

import click

from webhook.commands import shared


@click.group(name="crds")
def command() -> None:
    """Keep our kinds in a cluster up to date."""


@command.command(name="apply")
@shared.kubeconfig
@click.option(
    "--timeout",
    metavar="SECONDS",
    type=click.FloatRange(1, 3600),
    default=60.0,
    show_default=True,
    help="How long to wait until the API server serves the kinds.",
)
def apply(kubeconfig: str, timeout: float) -> None:
    """Create or change our kinds' definitions, by server-side apply.

    They are the ones in charts/tidewaiter/crds. Those that a newer Tidewaiter has written are left alone.
    The chart runs this before an upgrade, since Helm never changes what is in a chart's crds folder.

    Exit status: 0 the cluster has them, 2 it doesn't take them or does not answer.
    """
    from webhook.operator import client, definitions

    async def apply_all() -> None:
        connected = await client.connect(kubeconfig)
        try:
            async for name, done in definitions.apply_all(connected, timeout):
                click.echo(f"{name} {done}")
        finally:
            await connected.close()

    asyncio.run(apply_all())

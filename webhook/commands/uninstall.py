"""`tidewaiter uninstall`: the end of an installation, so that nothing is asked that no longer answers."""

from __future__ import annotations

import asyncio

import click

from webhook.commands import shared


@click.command(name="uninstall")
@shared.kubeconfig
@shared.namespace
@shared.webhook_name
@shared.lease_name
@shared.log_level
@shared.log_format
def command(
    kubeconfig: str, namespace: str, webhook_name: str, lease_name: str, log_level: str, log_format: str
) -> int:
    """Remove the webhook configuration, and let no running operator put it back.

    Run it before the Pods go, as Helm does. From then on nothing is judged. An operator that still runs
    leaves it so for ten minutes. Our kinds stay, and with them the policies and acceptances.
    """
    from webhook.operator import process, uninstalling
    from webhook.operator.client import connect

    process.configure_logs(log_level, log_format)

    async def uninstall() -> None:
        client = await connect(kubeconfig)
        try:
            await uninstalling.uninstall(client, namespace, lease_name, webhook_name)
        finally:
            await client.close()

    asyncio.run(uninstall())
    return 0

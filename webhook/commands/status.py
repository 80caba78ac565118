"""`tidewaiter status`: what is enforced where, and what is wrong."""

from __future__ import annotations

import click

from webhook.commands import shared


@click.command(name="status")
@shared.kubeconfig
@shared.installation
@shared.webhook_name
@shared.output
def command(kubeconfig: str, namespace: str, webhook_name: str, output: str) -> int:
    """Tell what is enforced where, and what is wrong.

    Reads replicas, webhook configuration, policies and risk acceptances, as far as the user of the
    kubeconfig may, and says what could not be read. Exits with 0 when all is well, 1 when something is wrong,
    2 when that can't be told.
    """
    import asyncio

    from webhook.core.errors import InputError
    from webhook.operator import status_overview, status_reading, status_text
    from webhook.operator.client import ApiError, connect

    async def read() -> status_reading.Found:
        client = await connect(kubeconfig)
        try:
            return await status_reading.read(client, namespace, webhook_name)
        except ApiError as error:
            raise InputError(f"the API server can't be asked: {error}") from None
        finally:
            await client.close()

    overview = status_overview.overview(asyncio.run(read()), namespace)
    if output == "json":
        import orjson

        click.echo(orjson.dumps(overview.document(), option=orjson.OPT_INDENT_2))
    else:
        from webhook.commands.options import Output

        for line in status_text.lines(overview, Output().style):
            click.echo(line)
    return overview.exit_status

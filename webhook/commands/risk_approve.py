"""`tidewaiter risk approve`: shows a risk and approves it as the user of the kubeconfig."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import click

from webhook.commands import risk_files, shared

if TYPE_CHECKING:
    from webhook.operator.approving import Request


@click.command(name="approve")
@click.argument("name", metavar="NAME")
@click.option(
    "--namespace",
    "-n",
    metavar="NAME",
    default="default",
    show_default=True,
    help="The acceptance's namespace.",
)
@shared.kubeconfig
@click.option("--yes", "-y", is_flag=True, help="Don't ask; needed where standard input is no terminal.")
def command(name: str, namespace: str, kubeconfig: str, yes: bool) -> int:
    """Show a risk whole, ask, and approve it as the user of the kubeconfig.

    NAME is a RiskAcceptance, or clusterriskacceptance/NAME. The approval is for exactly what was shown:
    should the acceptance change meanwhile, it does not count. Whether yours counts, and how many others it
    takes, is the RiskAppetite's.

    Exit status: 0 approved, 1 you said no, 2 it can't be read, or was refused.
    """
    return asyncio.run(_approve(name, namespace, kubeconfig, yes=yes))


async def _approve(name: str, namespace: str, kubeconfig: str, *, yes: bool) -> int:
    from webhook.core.errors import InputError
    from webhook.operator import approving
    from webhook.operator.client import ApiError, connect

    client = await connect(kubeconfig)
    try:
        request = await approving.read(client, name, namespace)
        _show(request)
        if not yes and not _agreed(request.user):
            click.echo("not approved", err=True)
            return 1
        made = await approving.approve(client, request)
    except ApiError as error:
        advice = ""
        if error.status == 409:
            advice = (
                f"; `tidewaiter risk show {name}` says whether it counts: to give it anew, delete it first"
            )
        raise InputError(f"not approved: {error}{advice}") from None
    finally:
        await client.close()
    click.echo(f"{made['kind'].lower()}.tidewaiter.dev/{made['metadata']['name']} created")
    return 0


def _agreed(user: str) -> bool:
    return risk_files.agreed(f"Approve this as {user}?")


def _show(request: Request) -> None:
    """Write the risk to standard error, so that standard output has the result alone."""
    from webhook.adapters.text_report import printable

    risk_files.show(request.acceptance, request.digest)
    before = ", ".join(request.approvers) or "nobody"
    groups = ", ".join(request.groups) or "none"
    click.echo(printable(f"approved before by: {before}"), err=True)
    click.echo(printable(f"your groups that the RiskAppetite names: {groups}"), err=True)

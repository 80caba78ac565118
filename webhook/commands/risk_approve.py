"""`tidewaiter risk approve`: shows a risk and approves it as the user of the kubeconfig."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING

import click

from webhook.commands import shared
from webhook.commands.options import Output

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
        raise InputError(f"not approved: {error}") from None
    finally:
        await client.close()
    click.echo(f"{made['kind'].lower()}.tidewaiter.dev/{made['metadata']['name']} created")
    return 0


def _agreed(user: str) -> bool:
    if not sys.stdin.isatty():
        raise click.UsageError("Standard input is no terminal to ask on: say --yes once you have read it.")
    return click.confirm(f"Approve this as {user}?", default=False, err=True)


def _show(request: Request) -> None:
    """Write the risk to standard error, so that standard output has the result alone."""
    import yaml

    from webhook.adapters.text_report import printable

    style = Output().style
    metadata = request.acceptance["metadata"]
    place = f"{metadata['namespace']}/" if "namespace" in metadata else ""
    head = f"{request.acceptance['kind']} {place}{metadata['name']}"
    lines = [style("strong", printable(head))]
    text = yaml.safe_dump(
        request.acceptance.get("spec") or {}, sort_keys=False, allow_unicode=True, width=100
    )
    lines += [f"  {printable(line)}" for line in text.splitlines()]
    before = ", ".join(request.approvers) or "nobody"
    groups = ", ".join(request.groups) or "none"
    lines += [
        f"digest: {request.digest}",
        printable(f"approved before by: {before}"),
        printable(f"your groups that the RiskAppetite names: {groups}"),
    ]
    click.echo("\n".join(lines), err=True)

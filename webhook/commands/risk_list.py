"""`tidewaiter risk list` and `risk show`: the acceptances, where they stand, and all of one."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import click

from webhook.commands import risk_source
from webhook.commands.options import Output
from webhook.commands.risk_source import Where
from webhook.core.errors import InputError

if TYPE_CHECKING:
    from webhook.adapters.risks import Cover, Known, Risk

PHASES = ("Active", "Pending", "Expired", "Revoked", "Refused", "Unknown")
_SORTS: dict[str, Callable[[Risk], Any]] = {
    "name": lambda risk: risk.ref.name,
    "until": lambda risk: risk.until,
    "phase": lambda risk: PHASES.index(risk.phase),
    "owner": lambda risk: str(risk.spec.get("riskOwner")),
    "severity": lambda risk: -1 * (risk.severity if risk.severity is not None else -1),
}


@click.command(name="list")
@click.argument("paths", nargs=-1, metavar="[PATH...]")
@risk_source.takes_where
@click.option(
    "--phase",
    "phases",
    multiple=True,
    type=click.Choice(PHASES),
    help="Only those of this phase; repeatable.",
)
@click.option(
    "--sort-by",
    type=click.Choice(sorted(_SORTS)),
    default=None,
    help="The order; until is what ends first.  [default: namespace and name]",
)
@click.option("--no-headers", is_flag=True, help="Without the names of the columns.")
@click.option(
    "--output",
    "-o",
    type=click.Choice(["wide", "name", "json", "yaml"]),
    default=None,
    help="Another form than a table: more columns, names alone, or data.",
)
def command(
    paths: Sequence[str],
    where: Where,
    phases: Sequence[str],
    sort_by: str | None,
    no_headers: bool,
    output: str | None,
) -> int:
    """List risk acceptances with where they stand.

    Without PATH those of a cluster, as far as the user of the kubeconfig may read it; ClusterRiskAcceptances
    are among them. With PATH those in files or folders, which also hold their policies, approvals and the
    RiskAppetite. UNTIL is the end after every cap; LEFT is how long that is.

    Exit status: 0 also where there are none, 2 something can't be read.
    """
    from webhook.adapters.risks import risks_of

    known = asyncio.run(risk_source.read(paths, where))
    only = where.only if known.cluster else "" if where.every else where.namespace
    risks = [
        risk
        for risk in risks_of(known)
        if (not only or risk.ref.namespace in ("", only)) and (not phases or risk.phase in phases)
    ]
    risks.sort(key=lambda risk: (risk.ref.namespace, risk.ref.kind, risk.ref.name))
    if sort_by:
        risks.sort(key=_SORTS[sort_by])
    risk_source.tell(known.notes, known.errors)
    many = where.every or (not known.cluster and not where.namespace)
    _show_list(risks, output, namespaces=many, headers=not no_headers)
    return 2 if known.errors else 0


def _show_list(risks: Sequence[Risk], output: str | None, *, namespaces: bool, headers: bool) -> None:
    from webhook.adapters import risk_data, risk_text

    if output in ("json", "yaml"):
        _dump({"acceptances": [risk_data.as_data(risk) for risk in risks]}, output)
    elif output == "name":
        for risk in risks:
            click.echo(risk_text.short_name(risk))
    elif risks:
        rows = risk_text.table(
            risks, Output().style, namespaces=namespaces, wide=output == "wide", headers=headers
        )
        for line in rows:
            click.echo(line)
    else:
        click.echo("No risk acceptances found.", err=True)


@click.command(name="show")
@click.argument("name", metavar="NAME")
@click.argument("paths", nargs=-1, metavar="[PATH...]")
@risk_source.takes_where
@click.option(
    "--output",
    "-o",
    type=click.Choice(["text", "json", "yaml"]),
    default="text",
    show_default=True,
    help="The format.",
)
def show(name: str, paths: Sequence[str], where: Where, output: str) -> int:
    """Show all of one risk acceptance: what it is for, where it stands, who approved it, what it covers.

    NAME is a RiskAcceptance, or clusterriskacceptance/NAME. It is read from a cluster, or from PATH. Each
    approval says by which route it came, and where it doesn't count, why. What it covers is looked for among
    what runs, or among the manifests in PATH.

    Exit status: 0 shown, 2 there is none, or something can't be read.
    """
    known, risk, covered, notes = asyncio.run(_look(name, paths, where))
    risk_source.tell((*known.notes, *notes), known.errors)
    _show_one(risk, covered, output, whole=not notes)
    return 2 if known.errors else 0


async def _look(name: str, paths: Sequence[str], where: Where) -> tuple[Known, Risk, list[Cover], list[str]]:
    from webhook.operator.client import ApiError, connect

    if paths:
        known, material = risk_source.from_files(paths, where)
        risk = risk_source.one(known, name, where)
        return known, risk, risk_source.covered_in_files(risk, known, material), []
    client = await connect(where.kubeconfig)
    try:
        known, live = await risk_source.from_cluster(client, where)
        risk = risk_source.one(known, name, where)
        covered, notes = await risk_source.covered_in_cluster(risk, known, live, client)
        return known, risk, covered, notes
    except ApiError as error:
        raise InputError(f"the API server can't be asked: {error}") from None
    finally:
        await client.close()


def _show_one(risk: Risk, covered: Sequence[Cover], output: str, *, whole: bool) -> None:
    from webhook.adapters import risk_data, risk_text

    if output == "text":
        for line in risk_text.lines(risk, Output().style, covered, whole=whole):
            click.echo(line)
    else:
        _dump(risk_data.as_data(risk, covered), output)


def _dump(data: Any, output: str) -> None:
    if output == "json":
        from webhook.adapters.reports import as_json

        click.echo(as_json(data))
        return
    import yaml

    click.echo(yaml.safe_dump(data, sort_keys=False, allow_unicode=False, width=110), nl=False)

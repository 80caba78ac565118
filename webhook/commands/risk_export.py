"""`tidewaiter risk export`: the acceptances in the forms that auditors take."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from webhook.commands import risk_source
from webhook.commands.risk_source import Where
from webhook.core.errors import InputError

if TYPE_CHECKING:
    from webhook.adapters.risk_sightings import Sightings
    from webhook.adapters.risks import Known, Risk

FORMATS = ("oscal-poam", "csv", "pci-worksheet")


@click.command(name="export")
@click.argument("paths", nargs=-1, metavar="[PATH...]")
@click.option("--format", "form", type=click.Choice(FORMATS), required=True, help="The form.")
@risk_source.takes_where
@click.option("--name", "names", multiple=True, metavar="NAME", help="Only this acceptance; repeatable.")
@click.option("--without-objects", is_flag=True, help="Don't look at objects for what is covered.")
def command(
    paths: Sequence[str], form: str, where: Where, names: Sequence[str], without_objects: bool
) -> int:
    """Export risk acceptances for auditors, on standard output.

    oscal-poam is a Plan of Action and Milestones as OSCAL 1.1 JSON, csv a table for a spreadsheet,
    pci-worksheet a Compensating Controls Worksheet of PCI DSS v4 Appendix C for each acceptance, as Markdown.

    Without PATH they are those of a cluster, in the namespace -n or in all by -A, as far as the user of the
    kubeconfig may read them, with what they cover of what runs. With PATH they are those in files. Emergency
    acceptances (break-glass) are flagged in each form.

    Exit status: 0 exported, 1 there is nothing to export, 2 something can't be read.
    """
    known, risks, sightings, notes = asyncio.run(_gather(paths, where, names, look=not without_objects))
    risk_source.tell((*known.notes, *notes), known.errors)
    if not risks and form != "csv":
        click.echo("note: there is no acceptance to export", err=True)
        return 2 if known.errors else 1
    click.echo(_text(known, risks, sightings, form, where), nl=False)
    return 2 if known.errors else 0


def _text(known: Known, risks: list[Risk], sightings: Sightings, form: str, where: Where) -> str:
    from webhook.adapters import risk_csv, risk_oscal, risk_worksheet
    from webhook.adapters.reports import as_json
    from webhook.dialects import native

    if form == "csv":
        return risk_csv.as_csv(risks, sightings)
    if form == "pci-worksheet":
        policies = {native.policy_ref(obj): obj for obj in known.objects if obj.get("kind") in native.KINDS}
        return risk_worksheet.as_worksheets(risks, sightings, policies)
    cluster = where.cluster or known.snapshot.cluster
    return as_json(risk_oscal.as_poam(risks, sightings, known.at, cluster)) + "\n"


async def _gather(
    paths: Sequence[str], where: Where, names: Sequence[str], *, look: bool
) -> tuple[Known, list[Risk], Sightings, list[str]]:
    from webhook.adapters.material import Settings
    from webhook.adapters.offline import judge
    from webhook.adapters.risk_sightings import Sightings
    from webhook.operator.client import ApiError, connect

    notes: list[str] = []
    if paths:
        known, material = risk_source.from_files(paths, where)
        risks = _chosen(known, where, names)
        sightings = Sightings(risks)
        sightings.whole = look and bool(material.judged)
        judged = judge(material.judged, material.snapshot, material.kinds, Settings(), known.at)
        for one in judged if look else ():
            place = f"{one.document.file}:{one.document.line}"
            sightings.take(one.verdict, one.request.target, one.request.object, place)
        return known, risks, sightings, notes
    client = await connect(where.kubeconfig)
    try:
        known, live = await risk_source.from_cluster(client, where)
        risks = _chosen(known, where, names)
        sightings = Sightings(risks)
        if look and risks:
            found: Any = risk_source.judged_in_cluster(client, known, live, where, "", notes)
            async for request, verdict in found:
                sightings.take(verdict, request.target, request.object)
        sightings.whole = look and not notes
        return known, risks, sightings, notes
    except ApiError as error:
        raise InputError(f"the API server can't be asked: {error}") from None
    finally:
        await client.close()


def _chosen(known: Known, where: Where, names: Sequence[str]) -> list[Risk]:
    from webhook.adapters.risks import risks_of

    only = where.only if known.cluster else "" if where.every else where.namespace
    return [
        risk
        for risk in risks_of(known)
        if (not only or risk.ref.namespace in ("", only)) and (not names or risk.ref.name in names)
    ]

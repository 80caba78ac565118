"""`tidewaiter report`: what violates the policies, and what is accepted, in a cluster or in manifests."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from webhook.commands import shared
from webhook.commands.options import ManyValues, Output, Time, now_or

if TYPE_CHECKING:
    from webhook.adapters.findings_report import Report
    from webhook.adapters.material import Settings
    from webhook.core.model import PolicyRef
    from webhook.core.policy import CompiledPolicy

    Policies = Mapping[PolicyRef, CompiledPolicy]

FORMATS = ("text", "json", "junit", "sarif", "openreports", "wgpolicy")


@click.command(cls=ManyValues, name="report")
@click.argument("paths", nargs=-1, metavar="[PATH...]")
@click.option("--cluster", "live", is_flag=True, help="Report on the cluster of the kubeconfig, not on PATH.")
@click.option(
    "--policies",
    multiple=True,
    metavar="PATH...",
    help="Policies, and what they need, beside PATH; not judged.",
)
@click.option(
    "--acceptances",
    multiple=True,
    metavar="PATH...",
    help="Risk acceptances, their approvals, and the RiskAppetite, beside PATH.",
)
@click.option("--at", type=Time(), metavar="TIME", help="Judge at this RFC 3339 time, not now; with PATH.")
@click.option(
    "--cluster-name",
    default="",
    metavar="NAME",
    help="The cluster's name, for acceptances with clusters.  [default: what its operator was told]",
)
@click.option(
    "--trust-approvals",
    is_flag=True,
    help="The files come from the cluster: approvals without a signature count; with PATH.",
)
@shared.kubeconfig
@click.option(
    "--namespace",
    "-n",
    metavar="NAME",
    default="tidewaiter-system",
    show_default=True,
    help="The namespace of the installation; with --cluster.",
)
@shared.webhook_name
@click.option(
    "--output",
    "-o",
    type=click.Choice(FORMATS),
    default="text",
    show_default=True,
    help="How to write it; openreports and wgpolicy are a List for kubectl apply.",
)
def command(
    paths: Sequence[str],
    live: bool,
    policies: Sequence[str],
    acceptances: Sequence[str],
    at: datetime | None,
    cluster_name: str,
    trust_approvals: bool,
    kubeconfig: str,
    namespace: str,
    webhook_name: str,
    output: str,
) -> int:
    """Report what violates the policies and what is accepted until when, with every violation whole.

    With PATH it judges manifests, as check does; with --cluster what runs, as far as the user of the
    kubeconfig may read it, by the policies, acceptances and approvals of that cluster: just as the audit
    does, whose reports say the same.

    Exit status: 0 nothing fails, 1 something fails, 2 something could not be read or evaluated.
    """
    from webhook.adapters.findings import Result
    from webhook.adapters.material import Settings

    if live == bool(paths):
        raise click.UsageError("Name manifests by PATH, or the running cluster by --cluster.")
    if live:
        if at or policies or acceptances or trust_approvals:
            raise click.UsageError("--at, --policies, --acceptances and --trust-approvals need a PATH.")
        when, report, known = asyncio.run(_of_cluster(kubeconfig, namespace, webhook_name, cluster_name))
    else:
        when = now_or(at)
        settings = Settings(cluster=cluster_name, trust_approvals=trust_approvals)
        report, known = _of_manifests(paths, (*policies, *acceptances), settings, when)
    _show(report, known, when, output)
    if report.problems or report.count(Result.ERROR):
        return 2
    return int(report.count(Result.FAIL) > 0)


def _of_manifests(
    paths: Sequence[str], others: Sequence[str], settings: Settings, at: datetime
) -> tuple[Report, Policies]:
    from webhook.adapters import advice
    from webhook.adapters.findings import findings_of
    from webhook.adapters.findings_report import Found, Report
    from webhook.adapters.manifests import read
    from webhook.adapters.material import gather
    from webhook.adapters.offline import judge

    first, second = read(paths, sys.stdin.buffer), read(others, sys.stdin.buffer)
    material = gather(first.documents, second.documents, settings)
    problems = dict.fromkeys(map(str, (*first.errors, *second.errors, *material.errors)))
    if not material.snapshot.policies and not problems:
        problems[str(advice.no_policy(material))] = None
    found, objects = [], 0
    for one in judge(material.judged, material.snapshot, material.kinds, settings, at):
        objects += 1
        findings = findings_of(one.request, one.verdict)
        if findings:
            found.append(Found(one.request.target, findings, one.document))
    known = {policy.ref: policy for policy in material.snapshot.policies}
    return Report(found, objects, list(problems)), known


async def _of_cluster(
    kubeconfig: str, namespace: str, webhook_name: str, cluster: str
) -> tuple[datetime, Report, Policies]:
    from webhook.adapters.findings_report import Found, Report
    from webhook.core.errors import InputError
    from webhook.operator import live_snapshot
    from webhook.operator.audit.judging import Judge, as_listed
    from webhook.operator.client import ApiError, connect
    from webhook.operator.listing import matched

    client = await connect(kubeconfig)
    try:
        live = await live_snapshot.read(client, namespace, webhook_name, cluster, owners=True)
        at = datetime.fromtimestamp(live.at, UTC)
        known = {policy.ref: policy for policy in live.snapshot.policies}
        problems = dict.fromkeys(f"{each.ref} does not compile" for each in live.snapshot.failures)
        judge = Judge(live.snapshot)
        listed = await matched(client, map(as_listed, judge.policies))
        judge = Judge(live.snapshot, listed.versions)
        once = {(each.group, each.plural): each for each in reversed(listed.resources)}
        found, objects = [], 0
        async for resource, obj in live_snapshot.listed(client, listed):
            if isinstance(obj, str):
                problems[f"not looked at: {obj}"] = None
                continue
            objects += resource.version == once[resource.group, resource.plural].version
            findings = judge(obj, resource, at).findings
            if findings:
                found.append(Found(findings[0].target, findings))
        found.sort(key=lambda each: each.target)
        return at, Report(found, objects, list(problems), live.notes), known
    except ApiError as error:
        raise InputError(f"the API server can't be asked: {error}") from None
    finally:
        await client.close()


def _show(report: Report, policies: Policies, at: datetime, output: str) -> None:
    from webhook.adapters import findings_report
    from webhook.adapters.openreports import Family, reports_of
    from webhook.adapters.reports import as_json
    from webhook.adapters.sarif import as_sarif
    from webhook.adapters.text_report import printable

    for note in report.notes:
        click.echo(printable(f"note: {note}"), err=True)
    for problem in report.problems:
        click.echo(printable(f"error: {problem}"), err=True)
    if output == "json":
        click.echo(as_json(findings_report.as_data(report)))
    elif output == "junit":
        click.echo(findings_report.as_junit(report))
    elif output == "sarif":
        click.echo(as_json(as_sarif(report, policies)))
    elif output == "openreports" or output == "wgpolicy":
        categories = {ref: policy.category for ref, policy in policies.items()}
        family: Family = "openreports" if output == "openreports" else "wgpolicy"
        items = reports_of(report.findings, at, family, categories)
        click.echo(as_json({"apiVersion": "v1", "kind": "List", "items": items}))
    else:
        for line in findings_report.lines(report, Output().style):
            click.echo(line)

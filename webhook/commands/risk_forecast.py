"""`tidewaiter risk forecast`: which acceptances end until a day, and what is refused then."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from webhook.commands import shared
from webhook.commands.options import ManyValues, Output, Time, Until, now_or
from webhook.core.times import format_time

if TYPE_CHECKING:
    from webhook.adapters.forecast_report import Live
    from webhook.adapters.material import Settings
    from webhook.core.errors import InputError
    from webhook.core.forecast import Forecast, Forecaster
    from webhook.core.hygiene import Hygiene
    from webhook.core.snapshot import Snapshot
    from webhook.core.verdict import Verdict


@click.command(cls=ManyValues, name="forecast")
@click.argument("paths", nargs=-1, metavar="[PATH...]")
@click.option(
    "--until",
    type=Until(),
    required=True,
    metavar="DATE",
    help="The last day, as 2027-01-31, or an RFC 3339 time.",
)
@click.option(
    "--at", type=Time(), metavar="TIME", help="Look from this RFC 3339 time on, not from now; with PATH."
)
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
@click.option(
    "--cluster",
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
    help="The namespace of the installation; without PATH.",
)
@shared.webhook_name
@click.option(
    "--fail-on-refused", is_flag=True, help="Exit with 1 where something would be refused, for pipelines."
)
@shared.output
def command(
    paths: Sequence[str],
    until: datetime,
    at: datetime | None,
    policies: Sequence[str],
    acceptances: Sequence[str],
    cluster: str,
    trust_approvals: bool,
    kubeconfig: str,
    namespace: str,
    webhook_name: str,
    fail_on_refused: bool,
    output: str,
) -> int:
    """Say which acceptances end until a day, and which workloads are refused from then on.

    With PATH it looks at manifests, as check does; without, at a live cluster, as far as the user of the
    kubeconfig may read it. Nothing that runs is stopped when an acceptance ends: refused is what is created
    or changed then. An acceptance ends at the earliest of its validUntil and what the policy, the
    RiskAppetite and its approvals allow.

    Of a live cluster it also says which acceptances cover nothing any more, and which could be narrower.

    Exit status: 0, or with --fail-on-refused 1 where something would be refused; 2 input that can't be used.
    """
    from webhook.adapters.material import Settings

    if paths:
        start = now_or(at)
        _check(start, until)
        settings = Settings(cluster=cluster, trust_approvals=trust_approvals)
        found, notes, errors = _of_manifests(paths, (*policies, *acceptances), settings, start, until)
        untidy: Sequence[Hygiene] = ()
    else:
        if at or policies or acceptances or trust_approvals:
            raise click.UsageError("--at, --policies, --acceptances and --trust-approvals need a PATH.")
        reading = _of_cluster(kubeconfig, namespace, webhook_name, cluster, until)
        start, found, untidy, notes = asyncio.run(reading)
        errors = []
    _show(found, untidy, notes, errors, (start, until), output)
    if errors:
        return 2
    return int(fail_on_refused and bool(found.refusals))


def _check(start: datetime, until: datetime) -> None:
    if until <= start:
        raise click.UsageError(f"--until must be later than {format_time(start)}.")


def _of_manifests(
    paths: Sequence[str],
    others: Sequence[str],
    settings: Settings,
    start: datetime,
    until: datetime,
) -> tuple[Forecast[Live], list[str], list[InputError]]:
    from webhook.adapters.forecast_report import Live
    from webhook.adapters.manifests import read
    from webhook.adapters.material import gather
    from webhook.adapters.offline import request_of
    from webhook.core.errors import InputError
    from webhook.core.review import UserInfo

    first, second = read(paths, sys.stdin.buffer), read(others, sys.stdin.buffer)
    material = gather(first.documents, second.documents, settings)
    unread = {str(error): error for error in (*first.errors, *second.errors)}
    errors = [*unread.values(), *material.errors]
    if not material.snapshot.policies and not errors:
        errors.append(InputError("there is no policy among the paths: name some with --policies"))
    forecaster = _forecaster(material.snapshot, start, until)
    notes: dict[str, None] = {}
    for document in material.judged:
        request = request_of(document.object, material.kinds, "", UserInfo(settings.user))
        verdict = forecaster.take(Live(request, f"{document.file}:{document.line}"))
        notes.update(dict.fromkeys(_problems(verdict)))
    return forecaster.forecast(), list(notes), errors


async def _of_cluster(
    kubeconfig: str, namespace: str, webhook_name: str, cluster: str, until: datetime
) -> tuple[datetime, Forecast[Live], Sequence[Hygiene], list[str]]:
    from webhook.adapters.forecast_report import Live
    from webhook.core.errors import InputError
    from webhook.core.hygiene import Covered, covered_by, hygiene
    from webhook.core.owners import is_made_from_workload
    from webhook.core.review import UserInfo, request_for
    from webhook.operator import live_snapshot
    from webhook.operator.client import ApiError, connect

    client = await connect(kubeconfig)
    try:
        live = await live_snapshot.read(client, namespace, webhook_name, cluster)
        start = datetime.fromtimestamp(live.at, UTC)
        _check(start, until)
        forecaster = _forecaster(live.snapshot, start, until)
        notes = dict.fromkeys(live.notes)
        notes.update({f"{each.ref} does not compile": None for each in live.snapshot.failures})
        covered: list[Covered] = []
        whole = True
        async for resource, obj in live_snapshot.objects(client, live):
            if isinstance(obj, str):
                notes[f"not looked at: {obj}"] = None
                whole = False
                continue
            metadata = obj["metadata"]
            place = metadata["name"] if resource.kind == "Namespace" else metadata.get("namespace", "")
            request = request_for(obj, resource=resource.plural, namespace=place, user=UserInfo())
            verdict = forecaster.take(Live(request), made=is_made_from_workload(obj))
            covered += covered_by(verdict, request.target)
            notes.update(dict.fromkeys(_problems(verdict)))
        snapshot = live.snapshot
        untidy = hygiene(snapshot.register, snapshot.policies, covered, start) if whole else ()
        return start, forecaster.forecast(), untidy, list(notes)
    except ApiError as error:
        raise InputError(f"the API server can't be asked: {error}") from None
    finally:
        await client.close()


def _forecaster(snapshot: Snapshot, start: datetime, until: datetime) -> Forecaster[Live]:
    from webhook.adapters.offline import later_snapshot, verdict_of
    from webhook.core.forecast import Forecaster

    later = later_snapshot(snapshot)
    return Forecaster(
        lambda live, moment: verdict_of(live.request, snapshot, later, moment),
        snapshot.policies,
        snapshot.register,
        start,
        until,
    )


def _problems(verdict: Verdict) -> list[str]:
    return [f"{error.policy} could not be evaluated: {error.message}" for error in verdict.errors]


def _show(
    found: Forecast[Live],
    untidy: Sequence[Hygiene],
    notes: Sequence[str],
    errors: Sequence[InputError],
    span: tuple[datetime, datetime],
    output: str,
) -> None:
    from webhook.adapters import forecast_report
    from webhook.adapters.text_report import printable

    for note in notes:
        click.echo(printable(f"note: {note}"), err=True)
    for error in errors:
        click.echo(printable(f"error: {error}"), err=True)
    if output == "json":
        import orjson

        click.echo(orjson.dumps(forecast_report.as_json(found, *span, untidy), option=orjson.OPT_INDENT_2))
        return
    for line in forecast_report.lines(found, span[1], Output().style, untidy):
        click.echo(line)

"""`tidewaiter gatekeeper`: stands beside Gatekeeper, and takes over from it."""

from __future__ import annotations

import asyncio
import shutil
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from webhook.commands import shared
from webhook.commands.options import ManyValues, Output, now_or
from webhook.core.errors import InputError

if TYPE_CHECKING:
    from webhook.adapters.gator_compare import Comparison
    from webhook.operator.gatekeeper_handover import Moving


@click.group(name="gatekeeper")
def command() -> None:
    """Stand beside Gatekeeper, and take over from it."""


@command.command(cls=ManyValues, name="compare")
@click.argument("paths", nargs=-1, metavar="[PATH...]")
@click.option("--gator", default="gator", show_default=True, metavar="FILE", help="The program; with PATH.")
@shared.kubeconfig
@shared.output
def compare(paths: Sequence[str], gator: str, kubeconfig: str, output: str) -> int:
    """Judge with both and show every difference.

    With PATH it judges templates, constraints and other objects of manifests here and by gator test. Without,
    it judges the objects of a cluster by its constraints, and compares with what Gatekeeper's audit left in
    the constraints' statuses: a part of it, cut off, and as of then.

    Exit status: 0 both say the same, 1 they differ, 2 something could not be read.
    """
    from webhook.adapters.text_report import printable

    found = _of_manifests(paths, gator) if paths else asyncio.run(_of_cluster(kubeconfig))
    if isinstance(found, list):
        for error in dict.fromkeys(map(str, found)):
            click.echo(printable(f"error: {error}"), err=True)
        return 2
    _show(found, "gator" if paths else "Gatekeeper's audit", output)
    return int(found.differs)


@command.command(name="takeover")
@click.argument("constraints", nargs=-1, required=True, metavar="KIND/NAME...")
@click.option("--undo", is_flag=True, help="Put it back as it was.")
@click.option("--dry-run", is_flag=True, help="Change nothing; print the constraints as they would be.")
@click.option(
    "--wait",
    type=click.FloatRange(min=0),
    default=60,
    show_default=True,
    metavar="SECONDS",
    help="For who takes a constraint to enforce it; with 0 nobody may for a moment.",
)
@shared.kubeconfig
@shared.installation
@shared.webhook_name
@shared.output
def takeover(
    constraints: Sequence[str],
    undo: bool,
    dry_run: bool,
    wait: float,
    kubeconfig: str,
    namespace: str,
    webhook_name: str,
    output: str,
) -> int:
    """Move a constraint's enforcement at admission from Gatekeeper to Tidewaiter.

    First both enforce it; once Tidewaiter does, Gatekeeper keeps its audit and gator alone. What was there
    before is noted in an annotation, and --undo puts it back, in the same way. Where constraints come from
    Git, commit what --dry-run prints.

    Exit status: 0 done, 2 a constraint could not be moved.
    """
    from webhook.adapters.reports import as_json
    from webhook.adapters.text_report import printable

    named = list(dict.fromkeys(_named(text) for text in constraints))
    moved = asyncio.run(_takeover(named, kubeconfig, namespace, webhook_name, wait, undo=undo, dry=dry_run))
    for each in moved:
        if each.problem:
            click.echo(printable(f"error: {each.kind}/{each.name}: {each.problem}"), err=True)
    done = [each for each in moved if not each.problem]
    if output == "json":
        click.echo(
            as_json(
                [
                    {"constraint": f"{each.kind}/{each.name}", "result": each.said, "object": each.object}
                    for each in done
                ]
            )
        )
    else:
        for each in done:
            click.echo(printable(f"{'# ' if dry_run else ''}{each.kind}/{each.name}: {each.said}"))
            if dry_run:
                click.echo("---")
                click.echo(as_json(each.object))
    return 2 if len(done) < len(moved) else 0


def _named(text: str) -> tuple[str, str]:
    kind, slash, name = text.partition("/")
    if not slash or not kind or not name or "/" in name:
        raise InputError(f"{text!r}: name a constraint as KIND/NAME, as K8sAllowedRepos/prod-repos")
    return kind, name


async def _takeover(
    named: Sequence[tuple[str, str]],
    kubeconfig: str,
    namespace: str,
    webhook_name: str,
    wait: float,
    *,
    undo: bool,
    dry: bool,
) -> Sequence[Moving]:
    from webhook.operator import gatekeeper_handover
    from webhook.operator.client import ApiError, connect
    from webhook.operator.gatekeeper_enforcers import Where

    client = await connect(kubeconfig)
    where = Where(client, namespace, webhook_name, wait)
    move = gatekeeper_handover.give_back if undo else gatekeeper_handover.take_over
    try:
        return await move(where, named, dry=dry)
    except ApiError as error:
        raise InputError(f"the API server can't be asked: {error}") from None
    finally:
        await client.close()


def _of_manifests(paths: Sequence[str], gator: str) -> Comparison | list[InputError]:
    from dataclasses import replace

    from webhook.adapters import advice, gator_compare
    from webhook.adapters.gatekeeper import problems
    from webhook.adapters.manifests import read
    from webhook.adapters.reading import Cache
    from webhook.adapters.snapshots import Context, build
    from webhook.core.constraint import GATOR_POINT
    from webhook.dialects.gatekeeper.names import is_gatekeepers

    program = shutil.which(gator)
    if program is None:
        raise InputError("there is no such program: name gator by --gator, or put it on the PATH", gator)
    documents = read(paths, sys.stdin.buffer)
    cache = Cache()
    errors = [*documents.errors, *problems(documents, cache.gatekeeper)]
    if errors:
        return errors
    objects = [document.object for document in documents]
    snapshot = build(objects, Context(sync_everything=True), cache)
    rest = [*(f"{each.ref}: {each.message}" for each in snapshot.failures), *snapshot.problems]
    if rest:
        return [InputError(each) for each in rest]
    policies = [policy for policy in snapshot.policies if policy.constraint is not None]
    if not policies:
        raise InputError(advice.no_constraint(documents) or "there is no constraint among the paths")
    context = replace(snapshot.constraints, points=(GATOR_POINT,), excludes=None, shows_namespaces=False)
    now, ours, count = now_or(None), [], 0
    for obj in objects:
        if not is_gatekeepers(str(obj["apiVersion"]).partition("/")[0]):
            count += 1
            namespace = gator_compare.as_gator_is_given(obj, snapshot.namespaces)
            ours += gator_compare.judged(obj, policies, context, namespace, now)
    theirs = gator_compare.gators(program, objects)
    notes = [] if count else ["there was nothing to judge among the paths"]
    return gator_compare.compared(ours, theirs, count, len(policies), notes)


async def _of_cluster(kubeconfig: str) -> Comparison:
    from webhook.operator import gatekeeper_live
    from webhook.operator.client import ApiError, connect

    client = await connect(kubeconfig)
    try:
        return await gatekeeper_live.compare(client)
    except ApiError as error:
        raise InputError(f"the API server can't be asked: {error}") from None
    finally:
        await client.close()


def _show(found: Comparison, who: str, output: str) -> None:
    from webhook.adapters import gator_compare
    from webhook.adapters.reports import as_json
    from webhook.adapters.text_report import printable

    if output == "json":
        click.echo(as_json(gator_compare.as_data(found, who)))
        return
    for note in found.notes:
        click.echo(printable(f"note: {note}"), err=True)
    for line in gator_compare.lines(found, who, Output().style):
        click.echo(line)

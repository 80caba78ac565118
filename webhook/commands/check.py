"""`tidewaiter check`: judges manifests offline, as the webhook would."""

from __future__ import annotations

import contextlib
import gc
import sys
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

import click

from webhook.commands import shared
from webhook.commands.options import ManyValues, Output, Time, now_or

if TYPE_CHECKING:
    from webhook.adapters.material import Material
    from webhook.adapters.offline import Judged
    from webhook.core.errors import InputError


@click.command(cls=ManyValues, name="check")
@click.argument("paths", nargs=-1, required=True, metavar="PATH...")
@click.option(
    "--policies",
    multiple=True,
    metavar="PATH...",
    help="Policies, and what they need: parameters and Namespaces. These objects are not judged.",
)
@click.option(
    "--acceptances",
    multiple=True,
    metavar="PATH...",
    help="Risk acceptances, their approvals, and the RiskAppetite.",
)
@click.option("--at", type=Time(), metavar="TIME", help="Judge at this RFC 3339 time instead of now.")
@click.option(
    "--cluster", default="", metavar="NAME", help="The cluster's name, for acceptances with clusters."
)
@click.option(
    "--namespace",
    "-n",
    default="",
    metavar="NAME",
    help="The namespace of objects whose manifest names none; without it, default.",
)
@click.option("--user", default="", metavar="NAME", help="Who applies the manifests, as policies see it.")
@click.option(
    "--trust-approvals",
    is_flag=True,
    help="The files come from the cluster: approvals without a signature count.",
)
@shared.output
def command(
    paths: Sequence[str],
    policies: Sequence[str],
    acceptances: Sequence[str],
    at: datetime | None,
    cluster: str,
    namespace: str,
    user: str,
    trust_approvals: bool,
    output: str,
) -> int:
    """Judge manifests offline, as the webhook would.

    PATH is a file, a folder (one with a kustomization.yaml is read by its resources) or - for standard input.
    Any path may hold any kind: policies, acceptances and approvals are told by their kind. --policies and
    --acceptances may be repeated, and each takes every word up to the next option; -- ends the list.

    Exit status: 0 nothing denied, 1 something denied, 2 input that can't be used.
    """
    from webhook.adapters import advice
    from webhook.adapters.manifests import read
    from webhook.adapters.material import Settings, gather
    from webhook.adapters.offline import judge
    from webhook.adapters.reports import evaluation_errors

    settings = Settings(namespace=namespace, user=user, cluster=cluster, trust_approvals=trust_approvals)
    with _without_collecting():
        first = read(paths, sys.stdin.buffer)
        others = read((*policies, *acceptances), sys.stdin.buffer)
        material = gather(first.documents, others.documents, settings)
        judged = list(judge(material.judged, material.snapshot, material.kinds, settings, now_or(at)))
    failed, ignored = evaluation_errors(judged)
    unread = {str(error): error for error in (*first.errors, *others.errors)}
    errors = [*unread.values(), *material.errors, *failed]
    notes = [*ignored, *advice.notes(material, judged)]
    if not material.snapshot.policies and not errors:
        templates = [] if judged else advice.on_templates(material)
        notes += templates
        if not templates:
            errors.append(advice.no_policy(material))
    elif not judged and not errors:
        notes.append("there was nothing to judge among the paths")
    _show(judged, errors, notes, material, output)
    if errors:
        return 2
    return int(any(not one.verdict.allowed for one in judged))


def _show(
    judged: Sequence[Judged],
    errors: Sequence[InputError],
    notes: Sequence[str],
    material: Material,
    output: str,
) -> None:
    from webhook.adapters import reports
    from webhook.adapters.text_report import printable, summary_line, text_report
    from webhook.core.model import Action

    for note in notes:
        click.echo(printable(f"note: {note}"), err=True)
    if output == "json":
        click.echo(reports.as_json(reports.report(judged, errors)))
        return
    for error in errors:
        click.echo(printable(f"error: {error}"), err=True)
    by_ref = {policy.ref: policy for policy in material.snapshot.policies}
    for line in text_report(judged, by_ref, Output().style):
        click.echo(line)
    audited = sum(v.action is Action.AUDIT for one in judged for v in one.verdict.violations)
    click.echo(summary_line(reports.summary(judged, len(errors)), audited))


@contextlib.contextmanager
def _without_collecting() -> Iterator[None]:
    """Collect no garbage meanwhile: where everything is kept, each look for it costs more than the last."""
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collecting:
            gc.enable()

"""`tidewaiter risk import`: makes drafts of what other tools except."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import click

from webhook.adapters.foreign_exceptions import FORMATS


@click.command(name="import")
@click.argument("paths", nargs=-1, required=True, metavar="PATH...")
@click.option(
    "--format",
    "form",
    type=click.Choice(["auto", *FORMATS]),
    default="auto",
    show_default=True,
    help="What to look for; auto is all of them.",
)
def command(paths: Sequence[str], form: str) -> int:
    """Make drafts of risk acceptances from other tools' exceptions.

    PATH is a file, a folder, or - for standard input, such as what kubectl get -o yaml prints. Read are
    annotations */policy.exclusion.POLICY of Security Tower and Phylake, Kyverno's PolicyExceptions of both
    APIs, excludedNamespaces of Gatekeeper's constraints and Config, and Polaris' exemption annotations.

    The drafts go to standard output. They lack who asks, who owns the risk, until when and mostly why, so
    that nothing takes them as they are; comments say where each came from and what was not carried over.
    No approval is ever written.

    Exit status: 0 drafts were written, 1 there was nothing to import, 2 input that can't be used.
    """
    from webhook.adapters.drafts import as_yaml
    from webhook.adapters.foreign_exceptions import drafts_of
    from webhook.adapters.manifests import read
    from webhook.adapters.text_report import printable

    documents = read(paths, sys.stdin.buffer)
    formats = FORMATS if form == "auto" else (form,)
    drafts = [each for document in documents for each in drafts_of(document, formats)]
    for error in documents.errors:
        click.echo(printable(f"error: {error}"), err=True)
    click.echo(as_yaml(drafts), nl=False)
    said = f"{len(drafts)} drafts" if drafts else "nothing to import"
    click.echo(f"note: {said}, of {len(documents)} objects", err=True)
    return 2 if documents.errors else int(not drafts)

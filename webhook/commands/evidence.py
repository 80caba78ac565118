"""`tidewaiter evidence`: works with the decision log."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import click

from webhook.commands import shared
from webhook.commands.options import ManyValues

if TYPE_CHECKING:
    from webhook.adapters.evidence_lines import Record


@click.group(name="evidence")
def command() -> None:
    """Work with the decision log."""


@command.command(name="verify", cls=ManyValues)
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@click.option(
    "--public-key",
    "public_keys",
    metavar="FILE",
    multiple=True,
    help="A key that may have signed, PEM or as the server logs it; repeatable. Without one each chain is "
    "held against the key that it brings itself.",
)
@click.option("--partial", is_flag=True, help="Chains may begin before the files do.")
@click.option("--complete", is_flag=True, help="Every chain must have its end, and every worker its chain.")
@click.option(
    "--unordered",
    is_flag=True,
    help="Lines may come in any order and again, as some collectors deliver them; held in memory.",
)
@shared.output
def verify(
    files: Sequence[str],
    public_keys: Sequence[str],
    partial: bool,
    complete: bool,
    unordered: bool,
    output: str,
) -> int:
    """Find what was changed, lost or reordered in a decision log.

    FILE has lines as `tidewaiter serve --evidence` writes them, or is - for standard input; the parts of a
    chain come in their order. Lines that are no records are passed over, and what a collector put before a
    record.

    Exit status: 0 every record up to each chain's last checkpoint is as it was written, 1 something isn't,
    2 files or keys that can't be used.
    """
    from webhook.adapters import evidence_keys, evidence_lines, evidence_report, evidence_verify
    from webhook.core.errors import InputError

    keys = [evidence_keys.public_key(file) for file in public_keys]
    found = _records(files)
    report = evidence_verify.verify(
        evidence_lines.in_order(found) if unordered else found, keys, partial=partial, complete=complete
    )
    if not report.chains:
        raise InputError("there is no record of a decision log", " ".join(files))
    if output == "json":
        from webhook.adapters.reports import as_json

        click.echo(as_json(evidence_report.as_data(report)))
    else:
        from webhook.commands.options import Output

        for line in evidence_report.as_text(report, Output().style):
            click.echo(line)
    return int(bool(report.findings))


def _records(files: Sequence[str]) -> Iterator[Record | None]:
    from webhook.adapters.evidence_lines import records
    from webhook.core.errors import InputError

    for file in files:
        try:
            with click.open_file(file, "rb") as stream:
                yield from records(file, stream)
        except OSError as error:
            raise InputError(f"can't be read: {error.strerror or error}", file) from None

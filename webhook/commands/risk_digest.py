"""`tidewaiter risk digest`: prints what an approval must carry."""

from __future__ import annotations

import click

from webhook.commands import risk_files


@click.command(name="digest")
@click.argument("file", metavar="FILE")
@risk_files.namespace
def command(file: str, namespace: str) -> int:
    """Print the digest that an approval must carry.

    FILE holds one RiskAcceptance or ClusterRiskAcceptance or several, or is - for standard input. Of several,
    each line starts with kind, namespace and name.

    The digest is sha256: and the hex SHA-256 of the RFC 8785 JSON of group, kind, name, namespace (not for
    cluster kinds) and spec, so that any change of these voids every approval.
    """
    from webhook.adapters.text_report import printable
    from webhook.core.acceptance import digest_of

    documents, errors = risk_files.read_acceptances(file, namespace)
    for error in errors:
        click.echo(printable(f"error: {error}"), err=True)
    if errors:
        return 2
    for document in documents:
        key = document.key
        name = "/".join(part for part in (key.kind, key.namespace, key.name) if part)
        head = f"{name} " if len(documents) > 1 else ""
        click.echo(f"{head}{digest_of(document.object)}")
    return 0

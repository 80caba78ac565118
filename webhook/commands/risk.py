"""`tidewaiter risk`: works with risk acceptances and approvals."""

from __future__ import annotations

import sys

import click


@click.group(name="risk")
def command() -> None:
    """Work with risk acceptances and approvals."""


@command.command(name="digest")
@click.argument("file", metavar="FILE")
@click.option(
    "--namespace",
    "-n",
    default="",
    metavar="NAME",
    help="The namespace of acceptances whose manifest names none; without it, default.",
)
def digest(file: str, namespace: str) -> int:
    """Print the digest that an approval must carry.

    FILE holds one RiskAcceptance or ClusterRiskAcceptance or several, or is - for standard input. Of several,
    each line starts with kind, namespace and name.

    The digest is sha256: and the hex SHA-256 of the RFC 8785 JSON of group, kind, name, namespace (not for
    cluster kinds) and spec, so that any change of these voids every approval.
    """
    from webhook.adapters.manifests import read
    from webhook.adapters.material import ACCEPTANCES, Settings, gather, of_kinds
    from webhook.adapters.text_report import printable
    from webhook.core.acceptance import digest_of
    from webhook.core.errors import InputError

    documents = read([file], sys.stdin.buffer)
    own = of_kinds(documents, ACCEPTANCES)
    material = gather((), own, Settings(namespace=namespace))
    errors = [*documents.errors, *material.errors]
    if not own and not errors:
        errors.append(InputError("holds no RiskAcceptance and no ClusterRiskAcceptance", file))
    for error in errors:
        click.echo(printable(f"error: {error}"), err=True)
    if errors:
        return 2
    for document in material.documents:
        key = document.key
        name = "/".join(part for part in (key.kind, key.namespace, key.name) if part)
        head = f"{name} " if len(material.documents) > 1 else ""
        click.echo(f"{head}{digest_of(document.object)}")
    return 0

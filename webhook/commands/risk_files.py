"""Risk acceptances as files give them: what the commands that take one share."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from webhook.core.errors import InputError

if TYPE_CHECKING:
    from webhook.adapters.manifests import Document

_NAME = re.compile(r"((cluster)?riskacceptance/)?[a-z0-9]([-.a-z0-9]*[a-z0-9])?", re.IGNORECASE)

namespace = click.option(
    "--namespace",
    "-n",
    default="",
    metavar="NAME",
    help="The namespace of acceptances whose manifest names none; without it, default.",
)


def read_acceptances(file: str, place: str) -> tuple[Sequence[Document], Sequence[InputError]]:
    """Return the acceptances in a file, each with its namespace, and what can't be used.

    Args:
        file: a path, or ``-`` for standard input.
        place: the namespace of those that name none.
    """
    from webhook.adapters.manifests import read
    from webhook.adapters.material import ACCEPTANCES, Settings, gather, of_kinds

    documents = read([file], sys.stdin.buffer)
    own = of_kinds(documents, ACCEPTANCES)
    material = gather((), own, Settings(namespace=place))
    errors = [*documents.errors, *material.errors]
    if not own and not errors:
        errors.append(InputError("holds no RiskAcceptance and no ClusterRiskAcceptance", file))
    return material.documents, errors


def read_acceptance(file: str, place: str) -> Mapping[str, Any]:
    """Return the one acceptance in a file.

    Raises:
        InputError: there is none, or more than one, or it can't be used.
    """
    documents, errors = read_acceptances(file, place)
    if errors:
        raise errors[0]
    if len(documents) > 1:
        names = ", ".join(str(document.key) for document in documents)
        raise InputError(f"holds {len(documents)} acceptances, where one is signed at a time: {names}", file)
    return documents[0].object


def is_name(what: str) -> bool:
    """Tell whether a word names an acceptance of a cluster, and no file.

    Raises:
        InputError: it may mean either: what is signed must not depend on what somebody put into a folder.
    """
    if what == "-" or what.endswith((".yaml", ".yml", ".json")) or not _NAME.fullmatch(what):
        return False
    if Path(what).exists():
        clear = what if "/" in what else f"riskacceptance/{what}"
        raise InputError(
            f"{what} is a file, and may be a name: say ./{what}, or {clear} where no such file is"
        )
    return True


def show(acceptance: Mapping[str, Any], digest: str) -> None:
    """Write an acceptance to standard error, so that standard output has the result alone."""
    import yaml

    from webhook.adapters.risk_warnings import unnamed_severity
    from webhook.adapters.text_report import printable
    from webhook.commands.options import Output
    from webhook.core.acceptance import parse_acceptance

    metadata = acceptance["metadata"]
    place = f"{metadata['namespace']}/" if "namespace" in metadata else ""
    head = f"{acceptance['kind']} {place}{metadata['name']}"
    lines = [Output().style("strong", printable(head))]
    text = yaml.safe_dump(acceptance.get("spec") or {}, sort_keys=False, allow_unicode=True, width=100)
    lines += [f"  {printable(line)}" for line in text.splitlines()]
    click.echo("\n".join([*lines, f"digest: {digest}"]), err=True)
    try:
        warning = unnamed_severity(parse_acceptance(acceptance))
    except (ValueError, TypeError, OverflowError) as error:
        warning = f"it can't be read, so that it accepts nothing: {error}"
    if warning:
        click.echo(printable(f"warning: {warning}"), err=True)


def agreed(question: str) -> bool:
    """Ask on the terminal, and return whether the answer is yes.

    Raises:
        click.UsageError: there is no terminal.
    """
    if not sys.stdin.isatty():
        raise click.UsageError("Standard input is no terminal to ask on: say --yes once you have read it.")
    return click.confirm(question, default=False, err=True)
